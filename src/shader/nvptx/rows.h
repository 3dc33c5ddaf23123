/* shader, private: rows whose sums lanes share. Compiler process. */
#ifndef ABX_SHADER_NVPTX_ROWS_H
#define ABX_SHADER_NVPTX_ROWS_H

#include <llvm-c/Core.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What nvptx_rows() has to be told of the flow (flow.c): terminators and sums over a SIMD-group
 * that all lanes which have not ended run together have metadata of this kind. */
#define NVPTX_TOGETHER "abx.together"

/* Where each lane multiplies a piece of one array with the like piece of another, lane after lane
 * the next piece, and all of it is summed up over the SIMD-group, lanes take elements of each
 * other's pieces, so that what they load at a time lies side by side. */
void nvptx_rows(LLVMValueRef function);

#ifdef __cplusplus
}
#endif

#endif
