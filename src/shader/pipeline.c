/* shader: a pipeline's machine code: one function of a library, its constants set, linked with
 * others, for a target. The steps are in folders of their own, which do not know of
 * each other but as tests/layout/check_includes.py says; this file calls them one after the other.
 *
 * Runs in the compiler process, which is sandboxed: the bitcode comes from guest source by way of
 * clang, or from a cache the guest cannot write, and LLVM is not hardened against it. Its verifier
 * runs on what comes in and on what goes out. */
#include "shader/air/air.h"
#include "shader/codegen/target.h"
#include "shader/cpu/cpu.h"
#include "shader/frontend/frontend.h"
#include "shader/nvptx/nvptx.h"

#include <string.h>

struct pipeline {
    const struct abx_shader_tools *tools;
    const struct abx_shader_library *library;
    const struct abx_reflection *reflection;
    uint32_t function; /* of the reflection */
    const struct abx_shader_constant *constants;
    uint32_t constant_count;
    /* the module that the function is in */
    const char *bitcode;
    size_t bytes;
    struct abx_string compiled; /* holds it when the library has no code */
};

/* The library's code; of one that is a precompiled header, what clang makes of it now. */
static int get_bitcode(struct codegen *g, struct pipeline *p)
{
    p->bitcode = (const char *)p->library + p->library->code_offset;
    p->bytes = p->library->code_bytes;
    if (p->library->form != ABX_LIBRARY_HEADER)
        return 0;
    int r = frontend_kernel(p->tools, p->library, &p->function, 1, &p->compiled, &g->message);
    p->bitcode = p->compiled.data;
    p->bytes = p->compiled.length;
    return r;
}

/* The bitcode as g->module, its entry as g->kernel. */
static int read_kernel(struct codegen *g, const struct pipeline *p)
{
    if (p->function >= p->reflection->function_count)
        return codegen_fail(g, -EINVAL, "no such function in this library");
    const char *name = abx_reflection_string(
            p->reflection, abx_reflection_functions(p->reflection)[p->function].entry);
    if (p->library->form == ABX_LIBRARY_AIR)
        return air_load(g, (const void *)p->bitcode, p->bytes, p->function, name, p->constants,
                p->constant_count);
    int r = codegen_read(g, p->bitcode, p->bytes, name);
    return r == 0 && air_wanted(g) ? air_lower(g, false) : r;
}

static int generate(
        struct codegen *g, const struct pipeline *p, struct abx_shader_result *ret_result)
{
    if (g->target->id == ABX_TARGET_NVPTX)
        return nvptx_generate(g, p->reflection, p->function, ret_result);
    return cpu_generate(g, ret_result);
}

int abx_shader_link(const struct abx_shader_tools *tools, uint32_t target, const void *library,
        size_t library_bytes, uint32_t function, const struct abx_shader_constant *constants,
        uint32_t constant_count, const struct abx_shader_link *links, uint32_t link_count,
        struct abx_shader_result *result)
{
    memset(result, 0, sizeof *result);
    if (constant_count > ABX_SHADER_MAX_CONSTANTS)
        return -EINVAL;
    struct codegen g = {0};
    const struct abx_shader_library *head = library;
    const struct codegen_entries entries = {.make = frontend_kernel, .tools = tools};
    struct pipeline p = {.tools = tools,
            .library = head,
            .reflection = (const void *)((const char *)library + head->reflection_offset),
            .function = function,
            .constants = constants,
            .constant_count = constant_count};
    int r = get_bitcode(&g, &p);
    if (r == 0)
        r = codegen_begin(&g, target);
    if (r == 0)
        r = read_kernel(&g, &p);
    if (r == 0)
        r = codegen_link(&g, &entries, links, link_count);
    if (r == 0)
        r = codegen_load(&g, head, constants, constant_count);
    if (r == 0)
        r = generate(&g, &p, result);
    if (g.context)
        codegen_end(&g);
    abx_string_finish(&p.compiled);
    if (g.message.failed)
        abx_string_finish(&g.message);
    result->message = g.message.data;
    return r;
}

int abx_shader_specialize(const struct abx_shader_tools *tools, uint32_t target,
        const void *library, size_t library_bytes, uint32_t function,
        const struct abx_shader_constant *constants, uint32_t constant_count,
        struct abx_shader_result *result)
{
    return abx_shader_link(tools, target, library, library_bytes, function, constants,
            constant_count, NULL, 0, result);
}
