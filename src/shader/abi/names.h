/* shader: the functions without a body that generated code may call, by name. Compiler process; the
 * names come from the guest's modules. */
#ifndef ABX_SHADER_ABI_NAMES_H
#define ABX_SHADER_ABI_NAMES_H

#include <stdbool.h>

/* Machine code may: the worker provides it (kernel.h). */
bool abx_is_runtime_function(const char *name);
/* A kernel may, before code is made of it: that, a marker (shim/markers.h) or an intrinsic of
 * LLVM's. */
bool abx_is_callable(const char *name);

#endif
