/* arcbox doctor: each prerequisite, found or how to get it, then a kernel run end to end. */
#include "backend/names.h"
#include "cli/doctor.h"
#include "cli/nvml.h"
#include "host/control/control.h"

#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define OUTPUT_CAP 65536

enum verdict { GOOD, LACKS, FAULTY };

struct report {
    struct abx_string json;
    bool as_json;
    unsigned count, faulty;
};

static void say(struct report *r, enum verdict verdict, const char *what, const char *text)
{
    static const char *const words[] = {"ok", "missing", "FAILED"};
    static const char *const keys[] = {"ok", "missing", "failed"};
    r->count++;
    r->faulty += verdict == FAULTY;
    if (!r->as_json) {
        printf("%-8s %-20s %s\n", words[verdict], what, text);
        fflush(stdout);
        return;
    }
    abx_string_printf(&r->json, "%s\n  {\"check\": ", r->count > 1 ? "," : "");
    abx_json_string(&r->json, what);
    abx_string_printf(&r->json, ", \"result\": \"%s\", \"text\": ", keys[verdict]);
    abx_json_string(&r->json, text);
    abx_string_printf(&r->json, "}");
}

/* Runs it and returns its exit code; *ret_text is its output and messages, without the last end of
 * line. */
int abx_doctor_output(char *const argv[], char **ret_text)
{
    int out[2];
    void *text = NULL;
    size_t length = 0;
    fflush(NULL);
    if (pipe2(out, O_CLOEXEC) < 0)
        return -1;
    pid_t pid = fork();
    if (pid == 0) {
        dup2(out[1], 1);
        dup2(out[1], 2);
        execv(argv[0], argv);
        _exit(127);
    }
    close(out[1]);
    if (abx_read_fd(out[0], OUTPUT_CAP, &text, &length) < 0)
        text = abx_xstrdup("");
    close(out[0]);
    int status = 0;
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    for (char *last = text; length && last[length - 1] == '\n';)
        last[--length] = 0;
    *ret_text = text;
    return pid > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

static void check_program(struct report *r, const char *name, bool needed, const char *how)
{
    char *path = abx_find_program(name), *text;
    if (!path) {
        say(r, needed ? FAULTY : LACKS, name, how);
        return;
    }
    char *argv[] = {path, "--version", NULL};
    if (abx_doctor_output(argv, &text) == 0) {
        text[strcspn(text, "\n")] = 0;
        say(r, GOOD, name, text);
    } else
        say(r, GOOD, name, path);
    free(text);
    free(path);
}

static void check_namespaces(struct report *r)
{
    int status = 0;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        _exit(unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0 ? errno & 0x7f : 0);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        say(r, GOOD, "user namespaces", "this user may make them");
    else
        say(r, FAULTY, "user namespaces",
                "not allowed: sysctl -w kernel.unprivileged_userns_clone=1 "
                "user.max_user_namespaces=10000; "
                "on Ubuntu also kernel.apparmor_restrict_unprivileged_userns=0");
}

/* A second wall, so nothing fails without it. */
static void check_landlock(struct report *r)
{
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, 1u);
    char *text =
            version < 1   ? abx_xstrdup("none in this kernel: sandboxes have one wall less around "
                                          "files (Linux 5.13, lsm=landlock)")
            : version < 6 ? abx_xprintf("version %ld: of the host's network, its sockets without a "
                                        "file are in reach (Linux 6.12; or --network none)",
                                    version)
                          : abx_xprintf("version %ld", version);
    say(r, version < 6 ? LACKS : GOOD, "Landlock", text);
    free(text);
}

static bool check_sandbox(struct report *r)
{
    char *self = abx_place_self(), *text;
    char *argv[] = {self, "run", "host", "true", NULL};
    bool works = abx_doctor_output(argv, &text) == 0;
    const char *message = strncmp(text, "arcbox: ", 8) == 0 ? text + 8 : text;
    if (works)
        say(r, *text ? LACKS : GOOD, "sandbox",
                *text ? message : "a container of the host's root starts, with a writable layer");
    else
        say(r, FAULTY, "sandbox", message);
    free(text);
    free(self);
    return works;
}

static void check_part(struct report *r, const char *what, char *path)
{
    say(r, path ? GOOD : FAULTY, what, path ? path : "missing beside arcbox: build again");
    free(path);
}

/* The compiler the shaders need, looked for where the host runtime looks. */
static void check_clang(struct report *r)
{
    const char *given = getenv("ARCBOX_CLANG");
    if (given && *given)
        say(r, access(given, X_OK) == 0 ? GOOD : FAULTY, "clang 19",
                abx_xprintf(access(given, X_OK) == 0 ? "%s"
                                                     : "ARCBOX_CLANG is '%s', which is no "
                                                       "program: apt install clang-19",
                        given));
    else if (access("/usr/lib/llvm-19/bin/clang", X_OK) == 0)
        say(r, GOOD, "clang 19", "/usr/lib/llvm-19/bin/clang");
    else
        check_program(r, "clang-19", true, "apt install clang-19: shaders cannot be compiled");
}

/* The folder of one that a virtual environment has, which nobody but its user may rely on
 * (base/cuda_library.c); the caller's. NULL: there is none. */
static char *assembler_of_environment(void)
{
    const char *environments[] = {getenv("VIRTUAL_ENV"), getenv("CONDA_PREFIX")};
    char *folder = NULL;
    for (size_t i = 0; i < ABX_ARRAY_SIZE(environments) && !folder; i++) {
        if (!environments[i] || environments[i][0] != '/')
            continue;
        glob_t found;
        char *pattern =
                abx_xprintf("%s/lib/python3*/site-packages/nvidia/*/lib/libnvJitLink.so.1[23]",
                        environments[i]);
        if (glob(pattern, 0, NULL, &found) == 0) {
            const char *path = found.gl_pathv[found.gl_pathc - 1]; /* the newest */
            folder = abx_xprintf("%.*s", (int)(strrchr(path, '/') - path), path);
            globfree(&found);
        }
        free(pattern);
    }
    return folder;
}

/* Looked for as the compiler does, which sees what arcboxd was started with. */
static void check_assembler(struct report *r)
{
    if (abx_open_cuda_library(abx_assembler_libraries)) {
        say(r, GOOD, "nvJitLink", "kernels' machine code is made once and kept");
        return;
    }
    char *folder = assembler_of_environment();
    char *text = abx_xprintf("not found: the driver assembles each kernel whenever a program "
                             "starts. %s%s",
            folder ? "Start arcboxd with LD_LIBRARY_PATH=" : "As root pip install nvidia-nvjitlink",
            folder ? folder : "");
    say(r, LACKS, "nvJitLink", text);
    free(text);
    free(folder);
}

static bool check_daemon(struct report *r, char default_backend[16])
{
    struct abx_control *control;
    struct abx_control_device *devices = NULL;
    struct abx_control_daemon daemon;
    unsigned count = 0;
    bool has_driver = false;
    char *why = NULL;
    int e = abx_control_connect(true, &control, &why);
    if (e < 0) {
        say(r, FAULTY, "host runtime", why ? why : strerror(-e));
        return false;
    }
    if (abx_control_ping(control, &daemon) < 0 ||
            abx_control_devices(control, &devices, &count) < 0) {
        say(r, FAULTY, "host runtime", abx_control_error(control));
        return false;
    }
    char *text = abx_xprintf("process %d, log %s", daemon.pid, daemon.log);
    say(r, GOOD, "host runtime", text);
    for (unsigned i = 0; i < count; i++) {
        if (devices[i].is_default)
            snprintf(default_backend, 16, "%s", devices[i].backend);
        if (devices[i].simulated)
            continue;
        has_driver |=
                strncmp(devices[i].backend, ABX_BACKEND_DRIVER, sizeof ABX_BACKEND_DRIVER - 1) == 0;
        char *device = abx_xprintf("%s (%s)%s", devices[i].name, devices[i].backend,
                devices[i].is_default ? ", the default" : "");
        say(r, GOOD, "device", device);
    }
    struct abx_nvml_card cards[ABX_NVML_MAX];
    for (unsigned i = 0, n = abx_nvml_read(cards); i < n; i++)
        say(r, GOOD, "NVIDIA GPU", abx_nvml_line(&cards[i]));
    if (has_driver)
        check_assembler(r);
    abx_control_close(control);
    return true;
}

static void check_machines(struct report *r)
{
    struct abx_doctor_line lines[ABX_DOCTOR_VM_LINES];
    for (unsigned i = 0, n = abx_doctor_vm(lines); i < n; i++) {
        say(r, lines[i].good ? GOOD : LACKS, lines[i].what, lines[i].text);
        free(lines[i].text);
    }
}

/* In a container, or in a virtual machine. */
static void check_kernel(struct report *r, const char *backend, bool vm)
{
    const char *what = vm ? "kernel run in a VM" : "kernel run";
    char *tool = abx_place_tool("arcbox-kernel-check"), *self = abx_place_self(), *text;
    if (!tool) {
        say(r, FAULTY, what, "arcbox-kernel-check is missing beside arcbox: build again");
        return;
    }
    char *mount = abx_xprintf("%s:/opt/arcbox-kernel-check:ro", tool);
    char *device = abx_xprintf("device=%s", backend);
    char *argv[] = {self, "run", "--gpus", device, "--mount", mount, "-w", "/",
            vm ? "--vm" : "--vm=false", "host", "/opt/arcbox-kernel-check", NULL};
    int code = abx_doctor_output(argv, &text);
    const char *last = strrchr(text, '\n'); /* before it: notices, which the sandbox's line has */
    const char *result = code == 0 && last ? last + 1 : text;
    say(r, code == 0 ? GOOD : FAULTY, what, *result ? result : "it did not run");
    free(text);
}

int abx_do_doctor(int argc, char **argv)
{
    struct report r = {0};
    bool vm = false;
    struct abx_options o = abx_options_start(argc, argv);
    for (const char *name; (name = abx_options_next(&o));) {
        if (strcmp(name, "--format") == 0)
            r.as_json = abx_option_json(&o);
        else if (strcmp(name, "--vm") == 0)
            vm = abx_options_bool(&o);
    }
    check_program(&r, "bwrap", true, "apt install bubblewrap");
    check_namespaces(&r);
    check_landlock(&r);
    check_part(&r, "arcbox-init", abx_place_init());
    check_part(&r, "guest library", abx_place_guest_root());
    bool sandbox = check_sandbox(&r);
    check_clang(&r);
    char backend[16] = "";
    bool daemon = check_daemon(&r, backend);
    check_program(&r, "podman", false, "apt install podman: only OCI images need it");
    char *text = NULL;
    int podman = abx_doctor_podman(&text);
    if (podman >= 0)
        say(&r, podman ? LACKS : GOOD, "OCI container", text);
    free(text);
    check_machines(&r);
    if (sandbox && daemon)
        check_kernel(&r, backend, false);
    else
        say(&r, FAULTY, "kernel run", "not tried: what it needs is not there");
    if (sandbox && daemon && vm)
        check_kernel(&r, backend, true);
    if (r.as_json)
        printf("{\"ok\": %s, \"checks\": [%s\n]}\n", r.faulty ? "false" : "true", r.json.data);
    else if (r.faulty)
        printf("%u of %u checks failed\n", r.faulty, r.count);
    abx_string_finish(&r.json);
    return r.faulty ? 1 : 0;
}
