/* foundation: NSString's format language: printf's, and %@ %C %S, positions (%2$@) included. Widths
 * and precisions of %@ count UTF-16 units. Guest's process; trusts it. */
#include "foundation/foundation_internal.h"

#include <ctype.h>
#include <stdio.h>
#include <wchar.h>

enum { MAX_POSITIONS = 32 };
enum argument_kind { KIND_NONE, KIND_INT, KIND_LONG, KIND_DOUBLE, KIND_LONG_DOUBLE, KIND_POINTER };
union argument {
    int i;
    long l;
    double d;
    long double ld;
    void *p;
};
struct directive {
    char flags[8];
    int width, precision;       /* -1: none */
    int width_at, precision_at; /* the argument they come from, from 1; 0: none; -1: the next */
    int position;               /* from 1; 0: the next */
    char length;                /* 'l' for all 64-bit ones, 'L', 'h', 'H' for hh, or 0 */
    char conversion;
    const char *end;
};

static int read_position(const char **p, const char *end)
{
    const char *q = *p;
    int value = 0;
    while (q < end && isdigit((unsigned char)*q) && value < 10000)
        value = value * 10 + (*q++ - '0');
    if (q == *p || q >= end || *q != '$')
        return 0;
    *p = q + 1;
    return value;
}

static int read_count(const char **p, const char *end, int *at)
{
    int value = 0;
    if (*p < end && **p == '*') {
        ++*p;
        int position = read_position(p, end);
        *at = position ? position : -1;
        return -1;
    }
    while (*p < end && isdigit((unsigned char)**p) && value < 1000000)
        value = value * 10 + (*(*p)++ - '0');
    return value;
}

/* p is past the '%'. */
static struct directive parse(const char *p, const char *end)
{
    struct directive d = {.width = -1, .precision = -1};
    d.position = read_position(&p, end);
    for (size_t n = 0; p < end && strchr("-+ #0'", *p); p++)
        if (n + 1 < sizeof(d.flags))
            d.flags[n++] = *p;
    if (p < end && (isdigit((unsigned char)*p) || *p == '*'))
        d.width = read_count(&p, end, &d.width_at);
    if (p < end && *p == '.') {
        p++;
        d.precision = read_count(&p, end, &d.precision_at);
    }
    for (; p < end && strchr("hlLqjzt", *p); p++)
        d.length = *p == 'h' ? (d.length == 'h' ? 'H' : 'h') : *p == 'L' ? 'L' : 'l';
    d.conversion = p < end ? *p++ : '\0';
    d.end = p;
    return d;
}

static enum argument_kind kind_of(const struct directive *d)
{
    switch (d->conversion) {
    case 'd':
    case 'i':
    case 'o':
    case 'u':
    case 'x':
    case 'X':
        return d->length == 'l' || d->length == 'L' ? KIND_LONG : KIND_INT;
    case 'D':
    case 'U':
    case 'O':
        return KIND_LONG;
    case 'c':
    case 'C':
        return KIND_INT;
    case 'f':
    case 'F':
    case 'e':
    case 'E':
    case 'g':
    case 'G':
    case 'a':
    case 'A':
        return d->length == 'L' ? KIND_LONG_DOUBLE : KIND_DOUBLE;
    case 's':
    case 'S':
    case 'p':
    case '@':
    case 'n':
        return KIND_POINTER;
    default:
        return KIND_NONE;
    }
}

struct arguments {
    va_list list;
    bool positional;
    enum argument_kind kinds[MAX_POSITIONS + 1];
    union argument values[MAX_POSITIONS + 1];
};

static union argument take(struct arguments *a, enum argument_kind kind)
{
    union argument value = {.p = NULL};
    switch (kind) {
    case KIND_NONE:
        break;
    case KIND_INT:
        value.i = va_arg(a->list, int);
        break;
    case KIND_LONG:
        value.l = va_arg(a->list, long);
        break;
    case KIND_DOUBLE:
        value.d = va_arg(a->list, double);
        break;
    case KIND_LONG_DOUBLE:
        value.ld = va_arg(a->list, long double);
        break;
    case KIND_POINTER:
        value.p = va_arg(a->list, void *);
        break;
    }
    return value;
}

static void note_position(struct arguments *a, int position, enum argument_kind kind)
{
    if (position > 0 && position <= MAX_POSITIONS) {
        a->kinds[position] = kind;
        a->positional = true;
    }
}

/* A format with positions is read twice: the first time for the arguments' types. */
static void collect_positions(struct arguments *a, struct text format)
{
    const char *end = format.data + format.length;
    for (const char *p = format.data; p < end;) {
        if (*p++ != '%')
            continue;
        struct directive d = parse(p, end);
        note_position(a, d.position, kind_of(&d));
        note_position(a, d.width_at, KIND_INT);
        note_position(a, d.precision_at, KIND_INT);
        p = d.end;
    }
    if (a->positional)
        for (int i = 1; i <= MAX_POSITIONS && a->kinds[i] != KIND_NONE; i++)
            a->values[i] = take(a, a->kinds[i]);
}

static union argument argument(struct arguments *a, int position, enum argument_kind kind)
{
    if (position > 0 && position <= MAX_POSITIONS)
        return a->values[position];
    return take(a, kind);
}

static void pad(struct abx_string *out, NSUInteger count)
{
    for (; count; count--)
        abx_string_add(out, " ", 1);
}

static void put_padded(struct abx_string *out, const struct directive *d, struct text t)
{
    NSUInteger units = t.ascii ? t.length : abx_ns_utf16_count(t.data, t.length);
    if (d->precision >= 0 && (NSUInteger)d->precision < units) {
        units = (NSUInteger)d->precision;
        t.length = t.ascii ? units : abx_ns_utf16_offset(t.data, t.length, units);
    }
    NSUInteger fill =
            d->width > 0 && (NSUInteger)d->width > units ? (NSUInteger)d->width - units : 0;
    bool left = strchr(d->flags, '-');
    if (!left)
        pad(out, fill);
    abx_string_add(out, t.data, t.length);
    if (left)
        pad(out, fill);
}

static void put_object(struct abx_string *out, const struct directive *d, id object)
{
    if (!object) {
        put_padded(out, d, (struct text){"(null)", 6, true});
        return;
    }
    put_padded(out, d, abx_ns_text(abx_ns_description(object)));
}

static void put_utf16(struct abx_string *out, const struct directive *d, const unichar *units)
{
    size_t count = 0, length;
    while (units && units[count] && (d->precision < 0 || count < (size_t)d->precision))
        count++;
    char *text = abx_ns_utf8_from_utf16(units, count, &length);
    put_padded(out, d, (struct text){text, length, abx_ns_is_ascii(text, length)});
    free(text);
}

/* Rebuilds a printf directive for one value. */
static void specification(const struct directive *d, const char *length, char spec[64])
{
    int n = snprintf(spec, 64, "%%%s", d->flags);
    if (d->width >= 0)
        n += snprintf(spec + n, 64 - (size_t)n, "%d", d->width);
    if (d->precision >= 0)
        n += snprintf(spec + n, 64 - (size_t)n, ".%d", d->precision);
    snprintf(spec + n, 64 - (size_t)n, "%s%c", length, d->conversion);
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
static void put_printf(struct abx_string *out, struct directive *d, union argument v)
{
    char spec[64];
    switch (kind_of(d)) {
    case KIND_INT:
        specification(d, d->length == 'h' ? "h" : d->length == 'H' ? "hh" : "", spec);
        abx_string_printf(out, spec, v.i);
        break;
    case KIND_LONG:
        d->conversion = (char)tolower((unsigned char)d->conversion) == 'x'
                                ? d->conversion
                                : (char)tolower((unsigned char)d->conversion);
        specification(d, "l", spec);
        abx_string_printf(out, spec, v.l);
        break;
    case KIND_DOUBLE:
        specification(d, "", spec);
        abx_string_printf(out, spec, v.d);
        break;
    case KIND_LONG_DOUBLE:
        specification(d, "L", spec);
        abx_string_printf(out, spec, v.ld);
        break;
    case KIND_POINTER:
        specification(d, "", spec);
        if (v.p)
            abx_string_printf(out, spec, v.p);
        else
            put_padded(out, d, (struct text){"0x0", 3, true});
        break;
    case KIND_NONE:
        break;
    }
}
#pragma GCC diagnostic pop

static void put(struct abx_string *out, struct directive *d, union argument v)
{
    char text[8];
    switch (d->conversion) {
    case '@':
        put_object(out, d, v.p);
        break;
    case 's': {
        const char *s = v.p ? v.p : "(null)";
        size_t length = d->precision >= 0 ? strnlen(s, (size_t)d->precision) : strlen(s);
        struct directive plain = *d;
        plain.precision = -1;
        put_padded(out, &plain, (struct text){s, length, abx_ns_is_ascii(s, length)});
        break;
    }
    case 'S':
        put_utf16(out, d, v.p);
        break;
    case 'C': {
        size_t length = abx_ns_utf8_put(text, (uint32_t)v.i & 0xffff);
        abx_string_add(out, text, length);
        break;
    }
    case 'n':
        break; /* not written: a format is not a place to store from */
    default:
        put_printf(out, d, v);
    }
}

id abx_ns_string_vprintf(id format_string, va_list given)
{
    struct text format = abx_ns_text(format_string);
    struct arguments a = {.positional = false};
    struct abx_string out = {0};
    va_copy(a.list, given);
    if (memchr(format.data, '$', format.length))
        collect_positions(&a, format);
    const char *end = format.data + format.length;
    for (const char *p = format.data; p < end;) {
        const char *percent = memchr(p, '%', (size_t)(end - p));
        abx_string_add(&out, p, (size_t)((percent ? percent : end) - p));
        if (!percent)
            break;
        struct directive d = parse(percent + 1, end);
        p = d.end;
        if (d.conversion == '%') {
            abx_string_add(&out, "%", 1);
            continue;
        }
        if (d.width_at)
            d.width = argument(&a, d.width_at, KIND_INT).i;
        if (d.precision_at)
            d.precision = argument(&a, d.precision_at, KIND_INT).i;
        if (d.width < -1) { /* a negative width from an argument means left-aligned */
            d.width = -d.width;
            memmove(d.flags + 1, d.flags, sizeof(d.flags) - 2);
            d.flags[0] = '-';
        }
        put(&out, &d, argument(&a, d.position, kind_of(&d)));
    }
    va_end(a.list);
    if (out.failed)
        abort();
    id result = abx_ns_string_new(ABX_CLASS(NSString), out.data ? out.data : "", out.length);
    abx_string_finish(&out);
    return result;
}
