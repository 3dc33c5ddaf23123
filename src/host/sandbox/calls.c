/* host: the system calls that workers and compile children keep. Runs there. What is not listed
 * fails with EPERM. Native guest code can issue every call of the worker's list, so each says why
 * it is there. */
#include "host/sandbox/sandbox.h"

#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

struct rule {
    int call;
    const char *why; /* documentation that cannot get lost; also shown by a failing load */
};

static const struct rule common[] = {
        {SCMP_SYS(read), "eventfds, memory files"},
        {SCMP_SYS(write), "eventfds, the log"},
        {SCMP_SYS(close), "descriptors of chunks and clients"},
        {SCMP_SYS(fstat), "sizes of memory files"},
        {SCMP_SYS(lseek), "memory files"},
        {SCMP_SYS(munmap), "heap, chunks"},
        {SCMP_SYS(mremap), "heap (realloc)"},
        {SCMP_SYS(madvise), "heap: giving pages back"},
        {SCMP_SYS(brk), "heap"},
        {SCMP_SYS(futex), "locks; waking guests"},
        {SCMP_SYS(sched_yield), "locks"},
        {SCMP_SYS(sched_getaffinity), "number of CPUs"},
        {SCMP_SYS(set_robust_list), "new threads"},
        {SCMP_SYS(rseq), "new threads"},
        {SCMP_SYS(rt_sigaction), "abort()"},
        {SCMP_SYS(rt_sigprocmask), "new threads, abort()"},
        {SCMP_SYS(rt_sigreturn), "returning from a signal handler"},
        {SCMP_SYS(sigaltstack), "fault handlers of threads"},
        {SCMP_SYS(clock_gettime), "time, where the vDSO cannot"},
        {SCMP_SYS(clock_nanosleep), "waiting"},
        {SCMP_SYS(nanosleep), "waiting"},
        {SCMP_SYS(gettid), "abort()"},
        {SCMP_SYS(getpid), "log lines, abort()"},
        {SCMP_SYS(getrandom), "heap (tcache key)"},
        {SCMP_SYS(exit), "threads that end"},
        {SCMP_SYS(exit_group), "the end"},
        {SCMP_SYS(restart_syscall), "interrupted waits"},
        {SCMP_SYS(mprotect), "thread stacks' guards; code becomes executable once relocated"},
        {SCMP_SYS(mmap), "chunks, heap, stacks, compiled kernels"},
};

static const struct rule worker_only[] = {
        {SCMP_SYS(recvmsg), "clients' messages; nobody can be connected to"},
        {SCMP_SYS(sendmsg), "answers"},
        {SCMP_SYS(shutdown), "a compiler that ended"},
        {SCMP_SYS(poll), "sleeping"},
        {SCMP_SYS(ppoll), "sleeping (aarch64)"},
        {SCMP_SYS(ftruncate), "memory files it makes"},
        {SCMP_SYS(fstatfs), "is a client's file ordinary memory?"},
        {SCMP_SYS(memfd_create),
                "compiled kernels are mapped twice, never writable and executable"},
        {SCMP_SYS(eventfd2), "a doorbell a client"},
        {SCMP_SYS(membarrier), "code patched while threads run"},
        {SCMP_SYS(sysinfo), "memory size"},
};

static int add_all(scmp_filter_ctx filter, const struct rule *rules, size_t count)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < count; i++)
        r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, rules[i].call, 0);
    return r;
}

/* Calls allowed with some arguments only. */
static int add_conditional(scmp_filter_ctx filter)
{
    int r = 0;
    static const int commands[] = {
            F_GET_SEALS, F_ADD_SEALS, F_GETFL, F_SETFL, F_GETFD, F_SETFD, F_DUPFD_CLOEXEC};
    for (unsigned i = 0; r == 0 && i < ABX_ARRAY_SIZE(commands); i++)
        r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1,
                SCMP_A1(SCMP_CMP_EQ, (scmp_datum_t)commands[i]));
    /* Threads, never processes. */
    if (r == 0)
        r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
                SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_VM | CLONE_THREAD, CLONE_VM | CLONE_THREAD));
    /* Its flags are in memory, where a filter cannot look: glibc falls back to clone. */
    if (r == 0)
        r = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
    /* Only itself: abort(), and leaving a kernel that runs too long. */
    if (r == 0)
        r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
                SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid()));
    /* Thread names; names of heap mappings. */
    if (r == 0)
        r = seccomp_rule_add(
                filter, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1, SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME));
    /* fstat() in newer C libraries; with an empty path it names a descriptor. The file system is
     * empty anyway. */
    if (r == 0)
        r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(newfstatat), 0);
    return r;
}

static int add_more(scmp_filter_ctx filter, const struct abx_sandbox_call *more)
{
    int r = 0;
    for (; r == 0 && more && more->why; more++)
        r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, more->number, 0);
    return r;
}

/* A filter that is to be finished, on failure too. */
static int begin(const struct rule *rules, size_t count, bool conditional, scmp_filter_ctx *ret)
{
    scmp_filter_ctx filter = *ret = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    if (!filter)
        return -ENOMEM;
    /* The backend's threads run already. */
    int r = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
    if (r == 0)
        r = add_all(filter, common, ABX_ARRAY_SIZE(common));
    if (r == 0)
        r = add_all(filter, rules, count);
    if (r == 0 && conditional)
        r = add_conditional(filter);
    return r;
}

static int finish(scmp_filter_ctx filter, int r)
{
    if (r == 0)
        r = seccomp_load(filter);
    if (filter)
        seccomp_release(filter);
    return r;
}

static int load(const struct rule *rules, size_t count, bool conditional,
        const struct abx_sandbox_call *more)
{
    scmp_filter_ctx filter;
    int r = begin(rules, count, conditional, &filter);
    if (r == 0)
        r = add_more(filter, more);
    return finish(filter, r);
}

int abx_sandbox_worker_calls(const struct abx_sandbox_call *more)
{
    return load(worker_only, ABX_ARRAY_SIZE(worker_only), true, more);
}

static const struct rule device_only[] = {
        {SCMP_SYS(recvmsg), "the hypervisor's messages, the worker's answers"},
        {SCMP_SYS(recvfrom), "the hypervisor's messages"},
        {SCMP_SYS(shutdown), "a program of the guest's that ended"},
        {SCMP_SYS(sendmsg), "what the guest says to the worker"},
        {SCMP_SYS(sendto), "answers to the hypervisor"},
        {SCMP_SYS(connect), "a connection to the worker for each context"},
        {SCMP_SYS(poll), "sleeping"},
        {SCMP_SYS(ppoll), "sleeping (aarch64)"},
        {SCMP_SYS(pread64), "a worker's payload"},
        {SCMP_SYS(ftruncate), "memory files it makes"},
        {SCMP_SYS(fstatfs), "is the hypervisor's file ordinary memory?"},
        {SCMP_SYS(memfd_create), "lists of memory, copies of payloads"},
        {SCMP_SYS(eventfd2), "a bell for each connection"},
};

/* Of sockets, those of this machine alone; there is one file to connect to. No thread, no
 * process. */
int abx_sandbox_device_calls(void)
{
    scmp_filter_ctx filter;
    int r = begin(device_only, ABX_ARRAY_SIZE(device_only), true, &filter);
    if (r == 0)
        r = seccomp_rule_add(
                filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_EQ, AF_UNIX));
    return finish(filter, r);
}

static const struct rule codegen_only[] = {
        {SCMP_SYS(setitimer), "how long NVIDIA's assembler may take"},
};

/* LLVM and NVIDIA's assembler: no descriptor but those it has, no process. */
int abx_sandbox_codegen_calls(void)
{
    return load(codegen_only, ABX_ARRAY_SIZE(codegen_only), true, NULL);
}

/* The compiler's children run clang, an ordinary program with its own sub-processes and files: this
 * list keeps the kernel's large and dangerous corners away from it. */
static const struct rule compiler_only[] = {
        {SCMP_SYS(execve), "clang"},
        {SCMP_SYS(close_range), "descriptors that a clang should not have"},
        {SCMP_SYS(clone), "clang's sub-processes"},
        {SCMP_SYS(clone3), "clang's sub-processes"},
        {SCMP_SYS(fork), "clang's sub-processes"},
        {SCMP_SYS(vfork), "clang's sub-processes"},
        {SCMP_SYS(wait4), "clang's sub-processes"},
        {SCMP_SYS(waitid), "clang's sub-processes"},
        {SCMP_SYS(kill), "its own process space only"},
        {SCMP_SYS(tgkill), "its own process space only"},
        {SCMP_SYS(open), "files: shim, libraries, temporary ones"},
        {SCMP_SYS(openat), "files"},
        {SCMP_SYS(newfstatat), "files"},
        {SCMP_SYS(stat), "files"},
        {SCMP_SYS(lstat), "files"},
        {SCMP_SYS(statx), "files"},
        {SCMP_SYS(statfs), "files"},
        {SCMP_SYS(fstatfs), "files: is it on a network?"},
        {SCMP_SYS(access), "files"},
        {SCMP_SYS(faccessat), "files"},
        {SCMP_SYS(faccessat2), "files"},
        {SCMP_SYS(readlink), "files"},
        {SCMP_SYS(readlinkat), "files"},
        {SCMP_SYS(getdents64), "files"},
        {SCMP_SYS(getcwd), "files"},
        {SCMP_SYS(chdir), "files"},
        {SCMP_SYS(mkdir), "temporary files"},
        {SCMP_SYS(rmdir), "temporary files"},
        {SCMP_SYS(unlink), "temporary files"},
        {SCMP_SYS(unlinkat), "temporary files"},
        {SCMP_SYS(rename), "temporary files"},
        {SCMP_SYS(renameat), "temporary files"},
        {SCMP_SYS(renameat2), "temporary files"},
        {SCMP_SYS(fchmod), "temporary files"},
        {SCMP_SYS(chmod), "temporary files"},
        {SCMP_SYS(ftruncate), "temporary files"},
        {SCMP_SYS(fallocate), "temporary files"},
        {SCMP_SYS(fsync), "temporary files"},
        {SCMP_SYS(umask), "temporary files"},
        {SCMP_SYS(pread64), "files"},
        {SCMP_SYS(pwrite64), "files"},
        {SCMP_SYS(readv), "files"},
        {SCMP_SYS(writev), "files, diagnostics"},
        {SCMP_SYS(fcntl), "descriptors"},
        {SCMP_SYS(dup), "pipes"},
        {SCMP_SYS(dup2), "pipes"},
        {SCMP_SYS(dup3), "pipes"},
        {SCMP_SYS(pipe), "pipes"},
        {SCMP_SYS(pipe2), "pipes"},
        {SCMP_SYS(poll), "pipes"},
        {SCMP_SYS(ppoll), "pipes"},
        {SCMP_SYS(select), "pipes"},
        {SCMP_SYS(pselect6), "pipes"},
        {SCMP_SYS(ioctl), "is it a terminal?"},
        {SCMP_SYS(arch_prctl), "starting a program"},
        {SCMP_SYS(prctl), "starting a program"},
        {SCMP_SYS(prlimit64), "starting a program; limits can only be lowered"},
        {SCMP_SYS(getrlimit), "starting a program"},
        {SCMP_SYS(setrlimit), "limits can only be lowered"},
        {SCMP_SYS(setitimer), "how long NVIDIA's assembler may take"},
        {SCMP_SYS(set_tid_address), "starting a program"},
        {SCMP_SYS(uname), "starting a program"},
        {SCMP_SYS(sysinfo), "starting a program"},
        {SCMP_SYS(getuid), "starting a program"},
        {SCMP_SYS(geteuid), "starting a program"},
        {SCMP_SYS(getgid), "starting a program"},
        {SCMP_SYS(getegid), "starting a program"},
        {SCMP_SYS(getppid), "starting a program"},
        {SCMP_SYS(getpgrp), "starting a program"},
        {SCMP_SYS(getrusage), "time of a compile"},
        {SCMP_SYS(times), "time of a compile"},
        {SCMP_SYS(gettimeofday), "time"},
        {SCMP_SYS(clock_getres), "time"},
        {SCMP_SYS(sched_setaffinity), "threads"},
        {SCMP_SYS(membarrier), "threads"},
        {SCMP_SYS(setpriority), "niceness"},
        {SCMP_SYS(getpriority), "niceness"},
};

int abx_sandbox_compiler_calls(void)
{
    return load(compiler_only, ABX_ARRAY_SIZE(compiler_only), false, NULL);
}
