/* metal: compile requests. Runs in the guest's process. */
#include "metal/metal_request.h"

#include <string.h>

#define KEPT 64u /* libraries waiting to be asked for; each holds memory on the host */

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

/* ---- libraries made by a build request */

static pthread_mutex_t kept_lock = PTHREAD_MUTEX_INITIALIZER;
static struct kept {
    uint8_t key[32];
    id library;
} kept[KEPT];
static unsigned kept_next;

static void key_of(const void *request, size_t bytes, uint8_t key[32])
{
    struct abx_sha256 h;
    abx_sha256_init(&h);
    abx_sha256_add(&h, request, bytes);
    abx_sha256_finish(&h, key);
}

void abx_metal_request_keep(const void *request, size_t bytes, id library)
{
    struct kept k = {.library = library};
    key_of(request, bytes, k.key);
    pthread_mutex_lock(&kept_lock);
    id old = kept[kept_next].library;
    kept[kept_next] = k;
    kept_next = (kept_next + 1) % KEPT;
    pthread_mutex_unlock(&kept_lock);
    objc_release(old);
}

id abx_metal_request_take(id device, const void *request, size_t bytes)
{
    uint8_t key[32];
    key_of(request, bytes, key);
    id found = NULL;
    pthread_mutex_lock(&kept_lock);
    for (unsigned i = 0; i < KEPT && !found; i++)
        if (kept[i].library && !memcmp(kept[i].key, key, sizeof key)) {
            found = kept[i].library;
            kept[i].library = NULL;
        }
    pthread_mutex_unlock(&kept_lock);
    if (found && (((struct abx_metal_object *)found)->device != device ||
                         abx_client_known_lost(((struct abx_metal_object *)found)->client))) {
        objc_release(found); /* another connection's, before a fork or a lost worker */
        found = NULL;
    }
    return found;
}
