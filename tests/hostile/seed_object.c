/* A seed for fuzz_object.c: what the code generator's objects have, made by a C compiler: an entry,
 * other functions, constants of several alignments, pointers to them, calls to the worker's. */
#include <stdint.h>

#include "shader/abi/kernel.h"

float sinf(float);
float powf(float, float);

void abx_entry(const struct abx_kernel_call *call, uint64_t first, uint64_t count);

static const float table[64] __attribute__((aligned(64))) = {1, 2, 3};
static const char text[] = "text";
static const void *const pointers[] = {table, text, table + 7};

__attribute__((noinline)) static float inner(const float *x, uint64_t i)
{
    const float *t = pointers[i % 3];
    return sinf(x[i]) + powf(x[i + 1], t[i & 63]);
}

void abx_entry(const struct abx_kernel_call *call, uint64_t first, uint64_t count)
{
    float *x = call->buffers[0];
    for (uint64_t i = first; i < first + count; i++)
        switch (x[i] > 0 ? (int)x[i] : 0) {
        case 0:
            x[i] = inner(x, i);
            break;
        case 1:
            x[i] = table[i & 63];
            break;
        case 2:
            x[i] = sinf(x[i + 2]);
            break;
        case 3:
            __builtin_memcpy(x + i, call->buffers[1], count);
            break;
        case 4:
            x[i] = text[i & 3];
            break;
        default:
            x[i] = powf(x[i], 3);
        }
}
