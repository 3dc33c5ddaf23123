/* shader, private: kernels for NVIDIA's processors (nvptx_generate*.c). Compiler process. */
#ifndef ABX_SHADER_NVPTX_NVPTX_H
#define ABX_SHADER_NVPTX_NVPTX_H

#include "shader/codegen/codegen.h"
#include "shader/abi/nvptx.h"

enum { NVPTX_GLOBAL_SPACE = 1, NVPTX_SHARED_SPACE = 3 };

/* LLVM's attribute "memory": two bits for each of three kinds of memory. */
enum { NVPTX_MEMORY_READS = 21, NVPTX_MEMORY_WRITES = 42 };

/* The loaded kernel as PTX in a blob (abi/nvptx.h). `function` is its reflection. */
int nvptx_generate(struct codegen *g, const struct abx_reflection *reflection, uint32_t function,
        struct abx_shader_result *result);

/* ---- flow.c: calls visit() for every instruction of g->kernel, which it may
 * replace. `uniform`: all lanes of a SIMD-group that have not ended run it together. */
typedef void nvptx_visit(struct codegen *g, LLVMValueRef instruction, bool uniform);
int nvptx_flow(struct codegen *g, nvptx_visit *visit);

/* ---- matrix.c: 8x8 matrices of the kernel. Products of a block's are looked for when its loops
 * are unrolled. */
int nvptx_matrices(struct codegen *g);

/* ---- loads.c: loads of neighbouring bytes become one, in the whole module, once it is optimised.
 */
int nvptx_loads(struct codegen *g);
/* What a pointer is a constant number of bytes behind. */
LLVMValueRef nvptx_base_of(struct codegen *g, LLVMValueRef pointer, int64_t *offset);
/* Whether the instruction may write memory of that address space. */
bool nvptx_may_write(struct codegen *g, LLVMValueRef in, unsigned space);

#endif
