/* objc: type encodings: walking them, sizes, and the frame offsets clang adds to a method's.
 * Runs in the guest's process; trusts it. */
#include "objc/objc_private.h"

#include <ctype.h>
#include <stdio.h>

static const char *skip_qualifiers(const char *type)
{
    while (*type && strchr("rnNoORVAj+", *type))
        type++;
    return type;
}

static const char *skip_bracketed(const char *type, char open, char close)
{
    int depth = 0;
    for (; *type; type++) {
        if (*type == '"') {
            const char *end = strchr(type + 1, '"');
            if (!end)
                return type + strlen(type);
            type = end;
        } else if (*type == open) {
            depth++;
        } else if (*type == close && --depth == 0) {
            return type + 1;
        }
    }
    return type;
}

const char *abx_objc_type_end(const char *type)
{
    type = skip_qualifiers(type);
    switch (*type) {
    case '\0':
        return type;
    case '{':
        return skip_bracketed(type, '{', '}');
    case '(':
        return skip_bracketed(type, '(', ')');
    case '[':
        return skip_bracketed(type, '[', ']');
    case '^':
        return abx_objc_type_end(type + 1);
    case 'b':
        for (type++; isdigit((unsigned char)*type); type++)
            ;
        return type;
    case '@':
        type++;
        if (*type == '?') {
            type++;
            if (*type == '<')
                type = skip_bracketed(type, '<', '>');
        } else if (*type == '"') {
            const char *end = strchr(type + 1, '"');
            type = end ? end + 1 : type + strlen(type);
        }
        return type;
    default:
        return type + 1;
    }
}

const char *abx_objc_type_next(const char *type)
{
    type = abx_objc_type_end(type);
    if (*type == '+' || *type == '-')
        type++;
    while (isdigit((unsigned char)*type))
        type++;
    return type;
}

static int struct_size(const char *type, size_t *ret_size, size_t *ret_alignment)
{
    bool is_union = *type == '(';
    char close = is_union ? ')' : '}';
    size_t size = 0, alignment = 1;
    type++;
    while (*type && *type != '=' && *type != close)
        type++;
    if (*type != '=')
        return -EINVAL; /* only declared */
    for (type++; *type && *type != close; type = abx_objc_type_end(type)) {
        if (*type == '"') { /* a field's name */
            type = strchr(type + 1, '"');
            if (!type)
                return -EINVAL;
            type++;
        }
        size_t field, field_alignment;
        int r = abx_objc_type_size(type, &field, &field_alignment);
        if (r < 0)
            return r;
        if (field_alignment > alignment)
            alignment = field_alignment;
        if (is_union)
            size = field > size ? field : size;
        else
            size = abx_align_up(size, field_alignment) + field;
    }
    *ret_size = abx_align_up(size, alignment);
    *ret_alignment = alignment;
    return 0;
}

int abx_objc_type_size(const char *type, size_t *ret_size, size_t *ret_alignment)
{
    size_t size;
    type = skip_qualifiers(type);
    switch (*type) {
    case 'v':
        *ret_size = 0;
        *ret_alignment = 1;
        return 0;
    case 'c':
    case 'C':
    case 'B':
        size = 1;
        break;
    case 's':
    case 'S':
        size = 2;
        break;
    case 'i':
    case 'I':
    case 'f':
        size = 4;
        break;
    case 'l': /* clang writes long as q on 64-bit systems; l is a 32-bit type */
    case 'L':
        size = 4;
        break;
    case 'D':
    case 't':
    case 'T':
        size = 16;
        break;
    case '[': {
        char *element;
        unsigned long count = strtoul(type + 1, &element, 10);
        int r = abx_objc_type_size(element, ret_size, ret_alignment);
        if (r < 0)
            return r;
        *ret_size *= count;
        return 0;
    }
    case '{':
    case '(':
        return struct_size(type, ret_size, ret_alignment);
    case '\0':
        return -EINVAL;
    default: /* pointers of all kinds, q, Q, d */
        size = 8;
    }
    *ret_size = *ret_alignment = size;
    return 0;
}

/* What an argument takes in the frame clang describes: integers are at least an int, arrays are
 * pointers. */
static size_t frame_size(const char *type)
{
    size_t size, alignment;
    type = skip_qualifiers(type);
    if (*type == '[')
        return 8;
    if (abx_objc_type_size(type, &size, &alignment) < 0)
        return 8;
    if (*type && strchr("cCsSB", *type) && size < 4)
        return 4;
    return size;
}

/* One type, with B written as this processor's BOOL, outside names. */
static void copy_type(FILE *out, const char *from, const char *end)
{
    bool in_name = false, quoted = false;
    for (; from < end; from++) {
        if (*from == '"')
            quoted = !quoted;
        else if (!quoted && (*from == '{' || *from == '('))
            in_name = true;
        else if (in_name && (*from == '=' || *from == '}' || *from == ')'))
            in_name = false;
        if (*from == 'B' && !in_name && !quoted)
            fputs(OBJC_BOOL_IS_BOOL ? "B" : "c", out);
        else
            fputc(*from, out);
    }
}

const char *abx_objc_types_with_offsets(const char *types)
{
    if (!types)
        return NULL;
    const char *after = abx_objc_type_end(types);
    if (isdigit((unsigned char)*after) || *types == '\0')
        return types;
    char *text = NULL;
    size_t length = 0, total = 0;
    FILE *out = open_memstream(&text, &length);
    if (!out)
        return types;
    for (const char *p = after; *p; p = abx_objc_type_end(p))
        total += frame_size(p);
    copy_type(out, types, after);
    fprintf(out, "%zu", total);
    size_t offset = 0;
    for (const char *p = after; *p;) {
        const char *end = abx_objc_type_end(p);
        copy_type(out, p, end);
        fprintf(out, "%zu", offset);
        offset += frame_size(p);
        p = end;
    }
    if (fclose(out) != 0)
        return types;
    return text;
}
