/* shader: the library blob's envelope. Checked in every process that is handed one: the compiler
 * (from the cache), the worker and the guest's side (whose other end may lie). */
#include "shader/shader.h"

int abx_shader_library_envelope_check(const void *blob, size_t length)
{
    const struct abx_shader_library *h = blob;
    if (length < sizeof(*h) || h->magic != ABX_LIBRARY_MAGIC || h->version != ABX_LIBRARY_VERSION ||
            length > ABX_SHADER_MAX_LIBRARY_BYTES ||
            (h->form != ABX_LIBRARY_BITCODE && h->form != ABX_LIBRARY_HEADER &&
                    h->form != ABX_LIBRARY_AIR) ||
            h->reflection_offset % 8 || h->reflection_offset < sizeof(*h) ||
            !abx_range_ok(h->reflection_offset, h->reflection_bytes, length) ||
            !abx_range_ok(h->code_offset, h->code_bytes, length) ||
            !abx_range_ok(h->entries_offset, h->entries_bytes, length))
        return -EBADMSG;
    const char *entries_end = (const char *)blob + h->entries_offset + h->entries_bytes;
    return h->form == ABX_LIBRARY_HEADER && (!h->entries_bytes || entries_end[-1]) ? -EBADMSG : 0;
}

int abx_shader_library_check(const void *blob, size_t length)
{
    const struct abx_shader_library *h = blob;
    int r = abx_shader_library_envelope_check(blob, length);
    return r < 0 ? r
                 : abx_reflection_check((const void *)((const char *)blob + h->reflection_offset),
                           h->reflection_bytes);
}
