/* Fuzzes the checks of library blobs and reflections. What passes them is walked as guests and
 * hosts walk it: no index or offset in it may lead outside. Seeds: blobs of shader-tool -o. */
#include "fuzz.h"

#include "shader/shader.h"

static volatile size_t sink;

static void walk(const struct abx_reflection *r)
{
    for (uint32_t i = 0; i < r->function_count; i++) {
        const struct abx_reflection_function *f = &abx_reflection_functions(r)[i];
        sink += strlen(abx_reflection_string(r, f->name)) +
                strlen(abx_reflection_string(r, f->entry));
        for (uint32_t k = 0; k < f->argument_count; k++) {
            const struct abx_reflection_argument *a =
                    &abx_reflection_arguments(r)[f->first_argument + k];
            sink += strlen(abx_reflection_string(r, a->name)) +
                    strlen(abx_reflection_string(r, a->type_name)) + a->index;
        }
    }
    for (uint32_t i = 0; i < r->constant_count; i++) {
        const struct abx_reflection_constant *c = &abx_reflection_constants(r)[i];
        sink += strlen(abx_reflection_string(r, c->name)) +
                strlen(abx_reflection_string(r, c->symbol)) +
                strlen(abx_reflection_string(r, c->defined_symbol));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (abx_shader_library_check(data, size) == 0) {
        const struct abx_shader_library *h = (const void *)data;
        walk((const void *)(data + h->reflection_offset));
        for (uint64_t i = 0; i < h->code_bytes; i += 4096)
            sink += data[h->code_offset + i];
        const char *entry = (const char *)data + h->entries_offset;
        for (const char *end = entry + h->entries_bytes;
                h->form == ABX_LIBRARY_HEADER && entry < end; entry += strlen(entry) + 1)
            sink++;
        fuzz_accepted++;
    }
    if (size % 8 == 0 && abx_reflection_check((const void *)data, size) == 0)
        walk((const void *)data);
    return 0;
}
