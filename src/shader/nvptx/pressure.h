/* shader, private: how many registers a kernel wants. Compiler process. */
#ifndef ABX_SHADER_NVPTX_PRESSURE_H
#define ABX_SHADER_NVPTX_PRESSURE_H

#include <llvm-c/Types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Of 32 bits, for all values that live at once at some place of the function, which is optimised:
 * about what ptxas wants. */
unsigned nvptx_pressure(LLVMValueRef function);

#ifdef __cplusplus
}
#endif

#endif
