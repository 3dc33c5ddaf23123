/* shader: see names.h. */
#include "shader/abi/names.h"

#include "shader/abi/kernel.h"

#include <string.h>

bool abx_is_runtime_function(const char *name)
{
    static const char *const names[] = {ABX_RUNTIME_BFLOAT,
#define NAME(f) #f,
            ABX_RUNTIME_MATH(NAME) ABX_RUNTIME_BUILTINS(NAME) ABX_RUNTIME_HALF(NAME)
#undef NAME
    };
    for (size_t i = 0; i < ABX_ARRAY_SIZE(names); i++)
        if (!strcmp(name, names[i]))
            return true;
    return false;
}

bool abx_is_callable(const char *name)
{
    static const char *const markers[] = {"__abx_builtin", "__abx_buffer", "__abx_threadgroup",
            "__abx_barrier", "__abx_simd_barrier", "__abx_simd", "__abx_matrix_multiply",
            "__abx_matrix_load_f32", "__abx_matrix_load_f16", "__abx_matrix_load_bf16",
            "__abx_matrix_store_f32", "__abx_matrix_store_f16", "__abx_matrix_store_bf16"};
    if (!strncmp(name, "llvm.", 5))
        return true;
    for (size_t i = 0; i < ABX_ARRAY_SIZE(markers); i++)
        if (!strcmp(name, markers[i]))
            return true;
    return abx_is_runtime_function(name);
}
