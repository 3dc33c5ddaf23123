/* shader, private: kernels for NVIDIA's processors (codegen_nvptx*.c). Compiler process. */
#ifndef ABX_SHADER_NVPTX_NVPTX_H
#define ABX_SHADER_NVPTX_NVPTX_H

#include "shader/codegen/codegen.h"
#include "shader/abi/nvptx.h"

/* The loaded kernel as PTX in a blob (abi/nvptx.h). `function` is its reflection. */
int codegen_nvptx(struct codegen *g, const struct abx_reflection *reflection, uint32_t function,
        struct abx_shader_result *result);

/* ---- flow.c: calls visit() for every instruction of g->kernel, which it may
 * replace. `uniform`: all lanes of a SIMD-group that have not ended run it together. */
typedef void codegen_nvptx_visit(struct codegen *g, LLVMValueRef instruction, bool uniform);
int codegen_nvptx_flow(struct codegen *g, codegen_nvptx_visit *visit);

#endif
