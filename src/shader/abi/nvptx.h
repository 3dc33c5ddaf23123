/* shader: what the code generator hands to a CUDA backend: one kernel as PTX text, which any driver
 * assembles, where it could be made also as machine code for one processor (a "cubin"), and what
 * its launch must look like. The counterpart of kernel.h, which is about CPUs.
 *
 * The blob was made from guest source; the worker checks everything it reads from it. Both forms
 * are for ptxas or the driver, which do not protect themselves: the worker's process is the
 * boundary.
 *
 * The launch:
 *   block  (threads of a full threadgroup, 1, 1); at most max_threads, rounded up to whole warps
 *          where whole_warps says so. The kernel works out each thread's place from its number, and
 *          ends those beyond the threadgroup and the grid's far edges.
 *   entry  `few` where there is one and the threadgroup has no more than ABX_PTX_FEW threads: the
 *          same kernel with more registers a thread.
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

#include <elf.h>
#include <string.h>

/* The kernel's name in the PTX begins with this; the rest is for whoever looks at a profile. */
#define ABX_PTX_ENTRY "abx_entry"
/* What processors of compute capability 9.0 and later have, the kernel waits with until the kernels
 * before it in a graph are over: two lines of the PTX, behind this mark, which abx_ptx_let_wait()
 * takes away. Where no kernel comes early they do nothing, whatever the driver: so a cubin for such
 * a processor has them always, and PTX, which is for all processors, when the worker says so. */
#define ABX_PTX_EARLY_MARK "//griddepcontrol."
#define ABX_PTX_TARGET ".target sm_80"
#define ABX_PTX_EARLY_TARGET ".target sm_90" /* as long */
#define ABX_PTX_EARLY_PROCESSOR 90u
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
 * later; its .maxntid is the head's max_threads. Then, perhaps, the cubin: an ELF file for
 * `processor` alone, and for drivers as new as what made it. */
struct abx_ptx {
    uint32_t uses_simd; /* 1: lanes of a SIMD-group, which is a warp, meet */
    uint32_t parameter_bytes;
    uint32_t buffer_count, threadgroup_count;
    uint8_t buffers[ABX_BUFFER_SLOTS];                 /* [[buffer(n)]] of each */
    uint8_t threadgroup[ABX_MAX_THREADGROUP_BINDINGS]; /* [[threadgroup(n)]] of each */
    uint64_t ptx_offset, ptx_bytes;                    /* 8-byte aligned; the NUL counted */
    uint64_t cubin_offset, cubin_bytes;                /* the same; 0, 0: there is none */
    uint32_t processor;                                /* the cubin's, as in code.h, or 0 */
    uint32_t cubin_waits;                              /* 1: its kernel waits itself, see above */
    uint32_t whole_warps;                              /* 1: blocks are whole warps, see above */
    uint32_t few_spares;                               /* 1: `few` is worth it only where `entry`
                                                          keeps in memory what it does not */
    char entry[ABX_PTX_MAX_NAME];                      /* the kernel's name in both */
    char few[ABX_PTX_MAX_NAME]; /* the same for threadgroups of few threads; or empty */
};

#define ABX_PTX_FEW 256u

/* CUDA's own limit on a thread's local memory. */
#define ABX_PTX_MAX_PRIVATE_BYTES (512u << 10)

/* True: there were the two lines, which count now. */
static inline bool abx_ptx_let_wait(char *ptx)
{
    bool waits = false;
    char *target = strstr(ptx, ABX_PTX_TARGET), *at = target;
    while (at && (at = strstr(at, ABX_PTX_EARLY_MARK))) {
        memset(at, ' ', 2);
        waits = true;
    }
    if (waits)
        memcpy(target, ABX_PTX_EARLY_TARGET, sizeof ABX_PTX_EARLY_TARGET - 1);
    return waits;
}

/* The driver is not told how long a cubin is: all that its headers name lies in it. */
static inline bool abx_cubin_ok(const void *cubin, uint64_t bytes)
{
    Elf64_Ehdr e;
    Elf64_Shdr s;
    Elf64_Phdr p;
    if (bytes < sizeof e)
        return false;
    memcpy(&e, cubin, sizeof e);
    if (memcmp(e.e_ident, ELFMAG, SELFMAG) != 0 || e.e_ident[EI_CLASS] != ELFCLASS64 ||
            e.e_machine != EM_CUDA || e.e_shentsize != sizeof s || !e.e_shnum ||
            !abx_range_ok(e.e_shoff, e.e_shnum * sizeof s, bytes) ||
            (e.e_phnum && (e.e_phentsize != sizeof p ||
                                  !abx_range_ok(e.e_phoff, e.e_phnum * sizeof p, bytes))))
        return false;
    for (unsigned i = 0; i < e.e_shnum; i++) {
        memcpy(&s, (const char *)cubin + e.e_shoff + i * sizeof s, sizeof s);
        if (s.sh_type != SHT_NOBITS && !abx_range_ok(s.sh_offset, s.sh_size, bytes))
            return false;
    }
    for (unsigned i = 0; i < e.e_phnum; i++) {
        memcpy(&p, (const char *)cubin + e.e_phoff + i * sizeof p, sizeof p);
        if (!abx_range_ok(p.p_offset, p.p_filesz, bytes))
            return false;
    }
    return true;
}

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
    if (!memchr(p->entry, 0, sizeof p->entry) || !memchr(p->few, 0, sizeof p->few) ||
            p->whole_warps > 1 || p->few_spares > 1)
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
    if (!p->processor)
        return p->cubin_offset || p->cubin_bytes || p->cubin_waits ? -EBADMSG : 0;
    if (p->cubin_offset % 8 || p->cubin_offset < sizeof *p || p->cubin_waits > 1 ||
            !abx_range_ok(p->cubin_offset, p->cubin_bytes, head->body_bytes) ||
            !abx_cubin_ok((const char *)p + p->cubin_offset, p->cubin_bytes))
        return -EBADMSG;
    return 0;
}

#endif
