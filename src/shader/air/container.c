/* shader: the container of a .metallib file. Compiler process; the file is the guest's, so no
 * offset, size or count of it is used before it was checked. Little endian, nothing aligned.
 *
 *    0  "MTLB"; 4..15 platform, versions, kind; 16 the file's size
 *   24  offset and size of: the list of functions, public metadata, private metadata, bitcode
 *
 * The list is a count, then as many entries: the entry's size (4 bytes, itself included), tags of a
 * name (4), a length (2) and as many bytes, and "ENDT". Of the tags used here, NAME is the name
 * with a NUL, TYPE one byte, MDSZ the module's size, OFFT three offsets, the last that of the
 * module in the bitcode section. Others are skipped. */
#include "shader/air/air.h"

#include <stdlib.h>
#include <string.h>

#define KIND_OFFSET 10u
#define KIND_EXECUTABLE 0u
#define KIND_DYNAMIC 2u

struct reader {
    const uint8_t *data;
    uint64_t at, end;
    bool bad; /* sticky */
};

static const uint8_t *take(struct reader *r, uint64_t bytes)
{
    if (r->bad || !abx_range_ok(r->at, bytes, r->end)) {
        r->bad = true;
        return NULL;
    }
    const uint8_t *p = r->data + r->at;
    r->at += bytes;
    return p;
}

static uint64_t number(const uint8_t *p, unsigned bytes)
{
    uint64_t v = 0;
    for (unsigned i = 0; p && i < bytes; i++)
        v |= (uint64_t)p[i] << (8 * i);
    return v;
}

/* One tag into *f. True at "ENDT". */
static bool read_tag(struct reader *r, struct air_function *f)
{
    const uint8_t *tag = take(r, 4);
    if (!tag || !memcmp(tag, "ENDT", 4))
        return true;
    uint64_t length = number(take(r, 2), 2);
    const uint8_t *value = take(r, length);
    if (!value)
        return true;
    if (!memcmp(tag, "NAME", 4)) {
        r->bad |= length < 2 || memchr(value, 0, length) != value + length - 1;
        f->name = (const char *)value;
    } else if (!memcmp(tag, "TYPE", 4)) {
        r->bad |= length != 1;
        f->type = (uint32_t)number(value, 1);
    } else if (!memcmp(tag, "MDSZ", 4)) {
        r->bad |= length != 8;
        f->bytes = r->bad ? 0 : number(value, 8);
    } else if (!memcmp(tag, "OFFT", 4)) {
        r->bad |= length != 24;
        f->offset = r->bad ? 0 : number(value + 16, 8);
    }
    return r->bad;
}

static void read_function(struct reader *r, uint64_t bitcode_bytes, struct air_function *f)
{
    uint64_t start = r->at, bytes = number(take(r, 4), 4);
    if (r->bad || bytes < 8 || !abx_range_ok(start, bytes, r->end)) {
        r->bad = true;
        return;
    }
    struct reader entry = {r->data, r->at, start + bytes, false};
    while (!read_tag(&entry, f))
        ;
    r->at = start + bytes;
    r->bad |=
            entry.bad || !f->name || !f->bytes || !abx_range_ok(f->offset, f->bytes, bitcode_bytes);
}

static int read_functions(struct air_container *c, struct reader *r, const char **ret_why)
{
    uint64_t count = number(take(r, 4), 4);
    if (count > ABX_REFLECTION_MAX_FUNCTIONS) {
        *ret_why = "it has more functions than are supported";
        return -EINVAL;
    }
    c->functions = calloc(count + 1, sizeof *c->functions);
    if (!c->functions)
        return -ENOMEM;
    for (uint64_t i = 0; i < count && !r->bad; i++)
        read_function(r, c->bitcode_bytes, &c->functions[i]);
    c->function_count = (uint32_t)count;
    if (!r->bad)
        return 0;
    *ret_why = "its list of functions is damaged";
    air_container_close(c);
    return -EINVAL;
}

int air_container_open(
        const void *data, size_t bytes, struct air_container *ret, const char **ret_why)
{
    const uint8_t *p = data;
    *ret = (struct air_container){0};
    *ret_why = NULL;
    if (!abx_is_metallib(data, bytes)) {
        *ret_why = "it is no metallib";
        return -EINVAL;
    }
    if (number(p + 16, 8) != bytes)
        *ret_why = "it is not as long as it says";
    else if (p[KIND_OFFSET] == KIND_DYNAMIC)
        *ret_why = "it is a dynamic library, which cannot be loaded by itself";
    else if (p[KIND_OFFSET] != KIND_EXECUTABLE)
        *ret_why = "it is of a kind that holds no code";
    uint64_t list = number(p + 24, 8), list_bytes = number(p + 32, 8);
    uint64_t code = number(p + 72, 8), code_bytes = number(p + 80, 8);
    /* The list's size leaves out the count in front of it. */
    if (!*ret_why &&
            (!abx_range_ok(list, list_bytes, bytes) || !abx_range_ok(list, list_bytes + 4, bytes) ||
                    !abx_range_ok(code, code_bytes, bytes)))
        *ret_why = "its sections lie outside of it";
    if (*ret_why)
        return -EINVAL;
    ret->bitcode = p + code;
    ret->bitcode_bytes = code_bytes;
    struct reader r = {p, list, list + list_bytes + 4, false};
    return read_functions(ret, &r, ret_why);
}

void air_container_close(struct air_container *c)
{
    free(c->functions);
    *c = (struct air_container){0};
}
