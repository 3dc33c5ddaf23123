/* shader: the contract between the code generator (compiler process) and what runs its output
 * (src/backend/cpu, worker process): the body of its code, what a kernel's machine code is called
 * with, and what it may call.
 *
 * The blob was made from guest source; the worker checks everything it reads from it, but the
 * machine code inside may do anything: the worker's process is the boundary. */
#ifndef ABX_SHADER_ABI_KERNEL_H
#define ABX_SHADER_ABI_KERNEL_H

#include "shader/abi/code.h"

#define ABX_CPU_ENTRY "abx_entry" /* the one symbol looked up */

enum abx_kernel_form {
    /* abx_kernel_groups: whole threadgroups one after the other; nothing in it waits. */
    ABX_FORM_GROUPS = 1,
    /* abx_kernel_start: a coroutine runs `lanes` threads and stops where they wait. */
    ABX_FORM_COROUTINE = 2,
};

/* The body; the ELF relocatable object follows at elf_offset from its start. */
struct abx_cpu_code {
    uint32_t form;        /* enum abx_kernel_form */
    uint32_t lanes;       /* threads a coroutine runs: 1, or a divisor of 32 or 32 */
    uint32_t frame_bytes; /* coroutine frame, a multiple of 64 */
    uint32_t uses_simd;   /* 1: lanes of a SIMD-group exchange values */
    uint32_t yields;      /* 1: its coroutines stop to let others go on, too */
    uint32_t references;  /* bit per buffer: ABX_REFERENCE_BYTES of it are read at any time */
    uint64_t elf_offset, elf_bytes; /* 8-byte aligned */
};

/* A frame holds the private memory of `lanes` threads; Apple's limit on a thread's stack is far
 * lower than this. */
#define ABX_MAX_FRAME_BYTES (4u << 20)

/* A whole blob, for this kind of processor. */
static inline int abx_cpu_code_check(const void *blob, size_t bytes)
{
    const struct abx_code *head = blob;
    if (abx_code_check(blob, bytes) < 0 || head->target == ABX_TARGET_NVPTX)
        return -EBADMSG;
    const struct abx_cpu_code *c = abx_code_body(head);
    if (head->body_bytes < sizeof *c ||
            (c->form != ABX_FORM_GROUPS && c->form != ABX_FORM_COROUTINE))
        return -EBADMSG;
    if (c->lanes == 0 || c->lanes > 32 || (c->lanes & (c->lanes - 1)))
        return -EBADMSG;
    if (c->frame_bytes > ABX_MAX_FRAME_BYTES || c->frame_bytes % 64 ||
            (c->form == ABX_FORM_COROUTINE && c->frame_bytes == 0))
        return -EBADMSG;
    if (c->elf_offset % 8 || c->elf_offset < sizeof *c ||
            !abx_range_ok(c->elf_offset, c->elf_bytes, head->body_bytes))
        return -EBADMSG;
    return 0;
}

/* What a kernel knows of its surroundings. One a worker thread; the kernel reads it, and writes
 * `nowhere`. */
struct abx_kernel_call {
    void *buffers[ABX_BUFFER_SLOTS];
    void *threadgroup[ABX_MAX_THREADGROUP_BINDINGS];
    void *static_threadgroup;
    uint32_t grid[3];       /* threads */
    uint32_t group_size[3]; /* as dispatched */
    uint32_t groups[3];
    /* ABX_FORM_COROUTINE only: the threadgroup being run, and its real size (edges may be less). */
    uint32_t group[3];
    uint32_t size[3];
    uint64_t nowhere[8]; /* what lanes that are off read and write instead of their addresses */
};

/* ABX_FORM_GROUPS. Groups are numbered with x fastest. */
typedef void abx_kernel_groups(const struct abx_kernel_call *call, uint64_t first, uint64_t count);

enum abx_kernel_wait {
    ABX_WAIT_SIMD = 1,  /* until every running lane of the SIMD-group waits */
    ABX_WAIT_GROUP = 2, /* until every running thread of the threadgroup waits */
    ABX_WAIT_YIELD = 3, /* for nothing in particular: other threads may run */
};

/* A one-lane coroutine's mailbox (lanes == 1 only). */
struct abx_kernel_lane {
    uint32_t wait;   /* enum abx_kernel_wait, written before each stop */
    uint32_t site;   /* which call waits, in program order: lanes at one are active together */
    uint64_t value;  /* what this lane gives */
    uint64_t shown;  /* the scheduler's copy, which neighbours read after the stop */
    uint32_t index;  /* within the SIMD-group */
    uint32_t active; /* bit per lane that stopped at the same site */
};

/* ABX_FORM_COROUTINE. Starts threads [thread, thread + lanes) of call->group (those below the
 * group's size) in `frame` (frame_bytes, 64-byte aligned) and runs them to their first stop.
 * Returns a handle: its first word is a function that takes the handle and runs on to the next
 * stop, or NULL when the threads have ended. With lanes > 1 there is no ABX_WAIT_SIMD, and
 * `wait` is written only by kernels that yield: every stop of the others is an ABX_WAIT_GROUP one.
 */
typedef void *abx_kernel_start(const struct abx_kernel_call *call, void *frame, uint32_t thread,
        struct abx_kernel_lane *lane);

/* What machine code may call besides the functions of ABX_RUNTIME_MATH. */
/* Publishes a value before an ABX_WAIT_SIMD stop. */
void abx_rt_give(struct abx_kernel_lane *lane, uint64_t value, uint32_t site);
/* After the stop: the operation's result for this lane; op: markers.h, a constant. */
uint64_t abx_rt_take(struct abx_kernel_lane *lane, uint32_t op, uint64_t argument);

/* Unformatted: clang-format nests lists of macro calls deeper with every line. */
/* clang-format off */
#define ABX_RUNTIME_MATH(X) \
    X(memcpy) X(memmove) X(memset) X(memcmp) X(sinf) X(cosf) X(tanf) X(asinf) X(acosf) X(atanf) \
    X(atan2f) X(sinhf) X(coshf) X(tanhf) X(asinhf) X(acoshf) X(atanhf) X(expf) X(exp2f) \
    X(exp10f) X(expm1f) X(logf) X(log2f) X(log10f) X(log1pf) X(powf) X(fmodf) X(erff) X(erfcf) \
    X(lgammaf) X(tgammaf) X(ldexpf) X(frexpf) X(nextafterf) X(floorf) X(ceilf) X(truncf) \
    X(rintf) X(roundf) X(nearbyintf) X(roundevenf) X(fmaf) X(fminf) X(fmaxf) X(cbrtf) X(hypotf) \
    X(remainderf) X(sqrtf) X(sin) X(cos) X(exp) X(exp2) X(log) X(log2) X(pow) X(fmod) X(fma) \
    X(modff) X(floor) X(ceil) X(trunc) X(rint) X(round) X(sincosf)
/* clang-format on */

/* Wide arithmetic and conversions that the compiler's own runtime provides: half's only where the
 * processor has no instruction for it. */
#define ABX_RUNTIME_BUILTINS(X) X(__divti3) X(__modti3) X(__udivti3) X(__umodti3)
#define ABX_RUNTIME_HALF(X) X(__extendhfsf2) X(__truncsfhf2)
#define ABX_RUNTIME_BFLOAT "__truncsfbf2" /* runtime.c has it: gcc 12's library does not */

#endif
