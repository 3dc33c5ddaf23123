/* Which loops wait for other threads (cpu/spin.c): those of kernels named waits_... yield,
 * those of runs_... are compiled as ever. That waiting kernels end is tests/metal/waiting.m's. */
#include "shader/abi/kernel.h"
#include "shader/shader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEAD                                                                                       \
    "(device atomic_uint *a [[buffer(0)]], device uint *x [[buffer(1)]], "                         \
    "device volatile uint *v [[buffer(2)]], uint i [[thread_position_in_grid]])"

static const char source[] =
        "#include <metal_stdlib>\n"
        "using namespace metal;\n"
        "struct lock { atomic_uint word; };\n"
        "kernel void waits_flag" HEAD
        "{ while (atomic_load_explicit(a + i, memory_order_relaxed) == 0) {} }\n"
        "kernel void waits_volatile" HEAD "{ while (v[x[i]] != x[1]) {} x[i] = 1; }\n"
        "kernel void waits_count" HEAD "{ uint n = x[0];\n"
        "  for (uint k = 0; atomic_load_explicit(a, memory_order_relaxed) < n; k++) x[i] = k; }\n"
        "kernel void waits_exchange" HEAD
        "{ while (atomic_exchange_explicit(a, 1, memory_order_relaxed)) {}\n"
        "  x[0]++; atomic_store_explicit(a, 0, memory_order_relaxed); }\n"
        "kernel void waits_compare" HEAD "{ uint free = 0;\n"
        "  while (!atomic_compare_exchange_weak_explicit(a, &free, 1, memory_order_relaxed, "
        "memory_order_relaxed))\n"
        "    free = 0;\n"
        "  x[0]++; atomic_store_explicit(a, 0, memory_order_relaxed); }\n"
        "kernel void waits_read_by_or" HEAD
        "{ while ((atomic_fetch_or_explicit(a, 0, memory_order_relaxed) & 4) == 0) {} }\n"
        "kernel void waits_read_by_add" HEAD
        "{ while (atomic_fetch_add_explicit(a, 0, memory_order_relaxed) < 4) {} }\n"
        "kernel void waits_inside" HEAD "{ for (uint k = x[0]; k > 0; k--) {\n"
        "  uint s; do s = atomic_load_explicit(a + k, memory_order_relaxed); while (s == 0); x[i] "
        "+= s; } }\n"
        "kernel void runs_compare_new" HEAD
        "{ uint old = atomic_load_explicit(a, memory_order_relaxed);\n"
        "  while (!atomic_compare_exchange_weak_explicit(a, &old, old * 3 + i, "
        "memory_order_relaxed,\n"
        "      memory_order_relaxed)) {} }\n"
        "kernel void runs_compare_loaded" HEAD "{ uint old, next;\n"
        "  do { old = atomic_load_explicit(a, memory_order_relaxed);\n"
        "       next = as_type<uint>(as_type<float>(old) + 1.0f);\n"
        "  } while (!atomic_compare_exchange_weak_explicit(a, &old, next, memory_order_relaxed,\n"
        "      memory_order_relaxed)); }\n"
        "kernel void runs_tickets" HEAD "{ uint t, n = x[0];\n"
        "  while ((t = atomic_fetch_add_explicit(a, 1, memory_order_relaxed)) < n) x[t] = i; }\n"
        "kernel void runs_table" HEAD "{ uint k = i & 63;\n"
        "  while (atomic_load_explicit(a + k, memory_order_relaxed) != i) k = (k + 1) & 63; x[i] = "
        "k; }\n"
        "kernel void runs_counts" HEAD "{ for (uint k = 0; k < x[0]; k++)\n"
        "  atomic_fetch_add_explicit(a, k, memory_order_relaxed); }\n"
        "kernel void runs_once" HEAD
        "{ if (atomic_load_explicit(a, memory_order_relaxed)) x[i] = v[i]; }\n";

static int check(const struct abx_shader_tools *tools, const struct abx_shader_result *library,
        const char *name, uint32_t function)
{
    struct abx_shader_result object = {0};
    int r = abx_shader_specialize(
            tools, ABX_TARGET_HOST, library->blob, library->blob_bytes, function, NULL, 0, &object);
    bool waits = strncmp(name, "waits_", 6) == 0, yields = false;
    if (r == 0)
        yields = ((const struct abx_cpu_code *)abx_code_body(object.blob))->yields;
    if (r < 0 || yields != waits)
        fprintf(stderr, "%s: %s\n", name, r < 0 ? object.message : yields ? "yields" : "does not");
    free(object.blob);
    free(object.message);
    return r < 0 || yields != waits;
}

int main(void)
{
    struct abx_shader_tools tools;
    struct abx_shader_options options = {0};
    struct abx_shader_result library = {0};
    char *why = NULL;
    int failed = 0;
    if (abx_shader_locate(&tools, &why) < 0 ||
            abx_shader_compile(&tools, source, sizeof source - 1, &options, "", &library) < 0) {
        fprintf(stderr, "%s\n", why ? why : library.message);
        return 1;
    }
    const struct abx_shader_library *head = library.blob;
    const struct abx_reflection *r =
            (const void *)((const char *)library.blob + head->reflection_offset);
    for (uint32_t i = 0; i < r->function_count; i++)
        failed += check(
                &tools, &library, abx_reflection_string(r, abx_reflection_functions(r)[i].name), i);
    bool all = r->function_count == 14;
    printf("%u kernels, %d wrong\n", r->function_count, failed);
    free(library.blob);
    free(library.message);
    return failed || !all;
}
