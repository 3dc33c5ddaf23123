/* metal: compile requests. Runs in the guest's process. */
#include "metal/metal_request.h"

#include <string.h>

/* ---- building */

static bool add_macro(void *context, id key, id value)
{
    struct abx_string *macros = context;
    id text = ABX_MSG(id, (id, SEL), value, "description");
    abx_string_printf(macros, "%s=%s", abx_ns_string_utf8(key), abx_ns_string_utf8(text));
    abx_string_add(macros, "", 1);
    return true;
}

void abx_metal_request_build(
        struct abx_string *request, const char *source, size_t bytes, id object)
{
    struct abx_shader_options options = {.math_mode = ABX_MATH_FAST};
    struct abx_string macros = {0};
    const struct MTLCompileOptions *o = (const struct MTLCompileOptions *)object;
    if (o) {
        options.math_mode = (uint32_t)o->mathMode;
        options.language_version = (uint32_t)o->languageVersion;
        options.optimize_for_size = o->optimizationLevel == 1;
        options.preserve_invariance = o->preserveInvariance ? 1 : 0;
        if (o->preprocessorMacros)
            abx_ns_dictionary_each(o->preprocessorMacros, add_macro, &macros);
    }
    options.macro_bytes = (uint32_t)macros.length;
    abx_string_add(request, &options, sizeof options);
    abx_string_add(request, macros.data ? macros.data : "", macros.length);
    abx_string_add(request, source, bytes);
    request->failed |= macros.failed;
    abx_string_finish(&macros);
}
