/* shader, private: where threadgroup memory's bytes lie in the banks. Compiler process. */
#ifndef ABX_SHADER_NVPTX_BANKS_H
#define ABX_SHADER_NVPTX_BANKS_H

#include <llvm-c/Core.h>
#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A function that is the same but for its name. */
LLVMValueRef nvptx_copy(LLVMValueRef function, const char *name);

/* A power of two that the address, or the number, is known to be a multiple of: up to 128. */
unsigned nvptx_multiple(LLVMValueRef value);

/* Whether a pointer of the kernel, before its markers are lowered, points to threadgroup memory; to
 * an argument's, whose size the program says when it dispatches. */
bool nvptx_is_threadgroup(LLVMValueRef pointer);
bool nvptx_is_threadgroup_argument(LLVMValueRef pointer);

/* Pieces of 16 bytes of `array`, which is threadgroup memory and begins at a multiple of 128,
 * change places within each 128 bytes, by their address: tiles of 128 bytes that lanes write side
 * by side then lie in other banks. Every access of the kernel goes by it, or none does: false,
 * where one may cover two pieces or is not understood. A program's bytes may lie up to 112 behind
 * the array's end. */
bool nvptx_spread_banks(LLVMValueRef kernel, LLVMValueRef array);

#ifdef __cplusplus
}
#endif

#endif
