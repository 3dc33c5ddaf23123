/* shader, private: loops whose turns each use another pointer of a private array. Compiler process.
 */
#ifndef ABX_SHADER_NVPTX_TURNS_H
#define ABX_SHADER_NVPTX_TURNS_H

#include <llvm-c/Core.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Asks for such loops to be unrolled, where they are short and it is known how often they turn: the
 * array is registers then, else it lies in memory, and where pointers that are kept in it point to
 * is unknown. */
void nvptx_turns(LLVMValueRef function);

#ifdef __cplusplus
}
#endif

#endif
