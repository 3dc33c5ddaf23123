/* shader: see reflect_sure.c. */
#ifndef ABX_SHADER_FRONTEND_REFLECT_SURE_H
#define ABX_SHADER_FRONTEND_REFLECT_SURE_H

#include <llvm-c/Core.h>
#include <stdbool.h>

/* False when making code of the function `entry` may fail: it reaches functions or variables that
 * nothing defines, or more threadgroup memory than there is. */
bool reflect_sure(LLVMModuleRef module, const char *entry);

#endif
