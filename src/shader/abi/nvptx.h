/* shader: what the code generator hands to a CUDA backend: one kernel as PTX text, and what its
 * launch must look like. The counterpart of kernel.h, which is about CPUs.
 *
 * The blob was made from guest source; the worker checks everything it reads from it. The PTX is
 * for ptxas or the driver, which do not protect themselves: the worker's process is the boundary.
 *
 * The launch:
 *   block  (threads of a full threadgroup, 1, 1); at most max_threads. The kernel works out each
 *          thread's place from its number, and ends those beyond the grid's far edges.
 *   grid   the threadgroups, or any box of them when CUDA's limits (y and z below 65536) ask for
 *          several launches: `origin` is the box's first threadgroup.
 *   shared memory: dynamic, the [[threadgroup(n)]] arguments one after the other, each aligned to
 *          16 bytes, in the order of threadgroup[]. What a kernel declares itself is static.
 *   parameters: one block (CU_LAUNCH_PARAM_BUFFER_POINTER) of parameter_bytes bytes: struct
 *          abx_ptx_dispatch, one 64-bit device address for each of buffers[], one 32-bit number for
 *          each of threadgroup[]: its offset in dynamic shared memory in units of 16 bytes.
 * Shared memory is not cleared by the kernel. */
#ifndef ABX_SHADER_ABI_NVPTX_H
#define ABX_SHADER_ABI_NVPTX_H

#include "shader/abi/code.h"

#include <string.h>

/* The kernel's name in the PTX begins with this; the rest is for whoever looks at a profile. */
#define ABX_PTX_ENTRY "abx_entry"
/* What processors of compute capability 9.0 and later have, the kernel waits with until the kernels
 * before it in a graph are over: two lines of the PTX, behind this mark. Without the mark they are
 * the processor's instructions, and the PTX's target is ABX_PTX_EARLY_TARGET, which is as long. */
#define ABX_PTX_EARLY_MARK "//griddepcontrol."
#define ABX_PTX_TARGET ".target sm_80"
#define ABX_PTX_EARLY_TARGET ".target sm_90"
#define ABX_PTX_MAX_NAME 64u

struct abx_ptx_dispatch {
    uint32_t grid[3];       /* threads */
    uint32_t group_size[3]; /* as dispatched */
    uint32_t groups[3];     /* of the whole dispatch */
    uint32_t origin[3];
    /* Where the first thread of the first block writes `number` when it begins, so that it is known
     * which kernel ran when the context was lost: a 64-bit address. number 0: nowhere. */
    uint32_t began[2], number, reserved;
};

/* The body. The PTX follows at ptx_offset from its start, ends with a NUL, and is for sm_80 and
 * later; its .maxntid is the head's max_threads. */
struct abx_ptx {
    uint32_t uses_simd; /* 1: lanes of a SIMD-group, which is a warp, meet */
    uint32_t parameter_bytes;
    uint32_t buffer_count, threadgroup_count;
    uint8_t buffers[ABX_BUFFER_SLOTS];                 /* [[buffer(n)]] of each */
    uint8_t threadgroup[ABX_MAX_THREADGROUP_BINDINGS]; /* [[threadgroup(n)]] of each */
    uint64_t ptx_offset, ptx_bytes;                    /* 8-byte aligned; the NUL counted */
    char entry[ABX_PTX_MAX_NAME];                      /* the kernel's name in it */
};

/* CUDA's own limit on a thread's local memory. */
#define ABX_PTX_MAX_PRIVATE_BYTES (512u << 10)

/* A whole blob. */
static inline int abx_ptx_check(const void *blob, size_t bytes)
{
    const struct abx_code *head = blob;
    if (abx_code_check(blob, bytes) < 0 || head->target != ABX_TARGET_NVPTX ||
            head->private_bytes > ABX_PTX_MAX_PRIVATE_BYTES)
        return -EBADMSG;
    const struct abx_ptx *p = abx_code_body(head);
    if (head->body_bytes < sizeof *p || p->buffer_count > ABX_BUFFER_SLOTS ||
            p->threadgroup_count > ABX_MAX_THREADGROUP_BINDINGS ||
            p->parameter_bytes != sizeof(struct abx_ptx_dispatch) + 8 * p->buffer_count +
                                          4 * p->threadgroup_count)
        return -EBADMSG;
    if (!memchr(p->entry, 0, sizeof p->entry))
        return -EBADMSG;
    for (uint32_t i = 0; i < p->buffer_count; i++)
        if (p->buffers[i] >= ABX_BUFFER_SLOTS)
            return -EBADMSG;
    for (uint32_t i = 0; i < p->threadgroup_count; i++)
        if (p->threadgroup[i] >= ABX_MAX_THREADGROUP_BINDINGS)
            return -EBADMSG;
    if (p->ptx_offset % 8 || p->ptx_offset < sizeof *p || p->ptx_bytes == 0 ||
            !abx_range_ok(p->ptx_offset, p->ptx_bytes, head->body_bytes) ||
            ((const char *)p)[p->ptx_offset + p->ptx_bytes - 1] != 0)
        return -EBADMSG;
    return 0;
}

#endif
