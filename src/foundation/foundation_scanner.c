/* foundation: NSScanner. Guest's process; trusts it. */
#include "foundation/foundation_internal.h"

#include <ctype.h>
#include <limits.h>

ABX_OBJC_CLASS(NSScanner)

struct scanner {
    Class isa;
    id string, skipped; /* skipped: an NSCharacterSet, or nil */
    size_t location;    /* bytes of UTF-8 */
    bool case_sensitive;
};

static struct scanner *scanner_of(id self)
{
    return (struct scanner *)self;
}

/* What is left of the text. */
struct rest {
    const char *at, *end;
};

static struct rest rest_of(const struct scanner *s)
{
    struct text t = abx_ns_text(s->string);
    return (struct rest){t.data + s->location, t.data + t.length};
}

/* Past the characters that are (or are not) in a set. */
static const char *pass(struct rest r, id set, bool in)
{
    while (set && r.at < r.end) {
        const char *next = r.at;
        if (abx_ns_character_set_has(set, abx_ns_utf8_next(&next, r.end)) != in)
            break;
        r.at = next;
    }
    return r.at;
}

static struct rest skip(const struct scanner *s)
{
    struct rest r = rest_of(s);
    r.at = pass(r, s->skipped, true);
    return r;
}

/* The text [from, to) was scanned. */
static bool took(struct scanner *s, const char *from, const char *to, id *ret)
{
    if (from == to)
        return false;
    if (ret)
        *ret = abx_ns_string_bytes(from, (size_t)(to - from));
    s->location = (size_t)(to - abx_ns_text(s->string).data);
    return true;
}

/* The end of `word` if it stands at r.at, else NULL. */
static const char *match(const struct scanner *s, struct rest r, struct text word)
{
    const char *p = word.data, *end = p + word.length;
    while (p < end) {
        if (r.at >= r.end)
            return NULL;
        uint32_t a = abx_ns_utf8_next(&p, end), b = abx_ns_utf8_next(&r.at, r.end);
        if (a != b && (s->case_sensitive || abx_ns_lower(a) != abx_ns_lower(b)))
            return NULL;
    }
    return r.at;
}

/* ---- objects */

static id init_string(id self, SEL cmd, id string)
{
    struct scanner *s = scanner_of(self);
    if (!string)
        abx_ns_raise_argument("-[NSScanner initWithString:]: nil");
    s->string = abx_ns_copy(string);
    s->skipped = objc_retain(abx_ns_blank_characters());
    return self;
}

static id with_string(id cls, SEL cmd, id string)
{
    return objc_autorelease(init_string(class_createInstance((Class)cls, 0), cmd, string));
}

static void dealloc(id self, SEL cmd)
{
    objc_release(scanner_of(self)->string);
    objc_release(scanner_of(self)->skipped);
    abx_objc_dealloc_super(self, ABX_CLASS(NSScanner));
}

static id get_string(id self, SEL cmd)
{
    return scanner_of(self)->string;
}

static NSUInteger get_location(id self, SEL cmd)
{
    return abx_ns_utf16_count(
            abx_ns_text(scanner_of(self)->string).data, scanner_of(self)->location);
}

static void set_location(id self, SEL cmd, NSUInteger location)
{
    struct text t = abx_ns_text(scanner_of(self)->string);
    if (location > abx_ns_string_units(scanner_of(self)->string))
        abx_ns_raise_argument("-[NSScanner setScanLocation:]: %lu is beyond the string's end",
                (unsigned long)location);
    scanner_of(self)->location = abx_ns_utf16_offset(t.data, t.length, location);
}

static id get_skipped(id self, SEL cmd)
{
    return scanner_of(self)->skipped;
}

static void set_skipped(id self, SEL cmd, id set)
{
    id old = scanner_of(self)->skipped;
    scanner_of(self)->skipped = abx_ns_copy(set);
    objc_release(old);
}

static abx_objc_bool get_case_sensitive(id self, SEL cmd)
{
    return scanner_of(self)->case_sensitive;
}

static void set_case_sensitive(id self, SEL cmd, abx_objc_bool sensitive)
{
    scanner_of(self)->case_sensitive = sensitive;
}

static abx_objc_bool is_at_end(id self, SEL cmd)
{
    struct rest r = skip(scanner_of(self));
    return r.at == r.end;
}

/* ---- text */

static abx_objc_bool scan_string(id self, SEL cmd, id word, id *ret)
{
    struct rest r = skip(scanner_of(self));
    const char *end = match(scanner_of(self), r, abx_ns_text(word));
    return end && took(scanner_of(self), r.at, end, ret);
}

static abx_objc_bool scan_up_to_string(id self, SEL cmd, id word, id *ret)
{
    struct scanner *s = scanner_of(self);
    struct rest r = skip(s);
    struct text stop = abx_ns_text(word);
    const char *from = r.at;
    while (r.at < r.end && !(stop.length && match(s, r, stop)))
        abx_ns_utf8_next(&r.at, r.end);
    return took(s, from, r.at, ret);
}

static abx_objc_bool scan_characters(id self, SEL cmd, id set, id *ret)
{
    struct rest r = skip(scanner_of(self));
    return took(scanner_of(self), r.at, pass(r, set, true), ret);
}

static abx_objc_bool scan_up_to_characters(id self, SEL cmd, id set, id *ret)
{
    struct rest r = skip(scanner_of(self));
    return took(scanner_of(self), r.at, pass(r, set, false), ret);
}

/* ---- numbers: without the processor's locale, nearest to what is out of range */

static const char *pass_digits(const char *p, const char *end)
{
    while (p < end && isdigit((unsigned char)*p))
        p++;
    return p;
}

static bool scan_whole(id self, long long least, long long most, long long *ret)
{
    struct rest r = skip(scanner_of(self));
    const char *p = r.at, *first = p + (p < r.end && (*p == '-' || *p == '+'));
    const char *end = pass_digits(first, r.end);
    bool negative = first > p && *p == '-';
    long long value = 0;
    if (first == end)
        return false;
    for (; first < end; first++)
        if (__builtin_mul_overflow(value, 10, &value) ||
                __builtin_sub_overflow(value, *first - '0', &value))
            value = LLONG_MIN; /* stays there: the sum is kept negative */
    if (!negative)
        value = value == LLONG_MIN ? LLONG_MAX : -value;
    *ret = value < least ? least : value > most ? most : value;
    return took(scanner_of(self), p, end, NULL);
}

static abx_objc_bool scan_int(id self, SEL cmd, int *ret)
{
    long long value;
    bool is = scan_whole(self, INT_MIN, INT_MAX, &value);
    if (is && ret)
        *ret = (int)value;
    return is;
}

static abx_objc_bool scan_long_long(id self, SEL cmd, long long *ret)
{
    long long value;
    bool is = scan_whole(self, LLONG_MIN, LLONG_MAX, &value);
    if (is && ret)
        *ret = value;
    return is;
}

static bool scan_hexadecimal(id self, unsigned long long most, unsigned long long *ret)
{
    struct rest r = skip(scanner_of(self));
    const char *p = r.at;
    unsigned long long value = 0;
    if (r.end - p > 2 && p[0] == '0' && (p[1] | 32) == 'x' && isxdigit((unsigned char)p[2]))
        p += 2;
    if (p == r.end || !isxdigit((unsigned char)*p))
        return false;
    bool over = false;
    for (; p < r.end && isxdigit((unsigned char)*p); p++) {
        unsigned digit = isdigit((unsigned char)*p) ? (unsigned)(*p - '0')
                                                    : (unsigned)((*p | 32) - 'a' + 10);
        over = over || value > (most - digit) / 16;
        value = value * 16 + digit;
    }
    *ret = over ? most : value;
    return took(scanner_of(self), r.at, p, NULL);
}

static abx_objc_bool scan_hex_int(id self, SEL cmd, unsigned *ret)
{
    unsigned long long value;
    bool is = scan_hexadecimal(self, UINT_MAX, &value);
    if (is && ret)
        *ret = (unsigned)value;
    return is;
}

static abx_objc_bool scan_hex_long_long(id self, SEL cmd, unsigned long long *ret)
{
    unsigned long long value;
    bool is = scan_hexadecimal(self, ULLONG_MAX, &value);
    if (is && ret)
        *ret = value;
    return is;
}

static abx_objc_bool scan_double(id self, SEL cmd, double *ret)
{
    struct rest r = skip(scanner_of(self));
    const char *p = r.at + (r.at < r.end && (*r.at == '-' || *r.at == '+'));
    const char *whole = p, *end = pass_digits(p, r.end);
    bool digits = end > whole;
    if (end < r.end && *end == '.') {
        p = pass_digits(end + 1, r.end);
        digits = digits || p > end + 1;
        end = p;
    }
    if (!digits)
        return false;
    if (end < r.end && (*end | 32) == 'e') {
        p = end + 1 + (end + 1 < r.end && (end[1] == '-' || end[1] == '+'));
        if (pass_digits(p, r.end) > p)
            end = pass_digits(p, r.end);
    }
    id text = abx_ns_string_bytes(r.at, (size_t)(end - r.at));
    if (ret)
        *ret = strtod(abx_ns_text(text).data, NULL);
    return took(scanner_of(self), r.at, end, NULL);
}

static abx_objc_bool scan_float(id self, SEL cmd, float *ret)
{
    double value;
    bool is = scan_double(self, cmd, &value);
    if (is && ret)
        *ret = (float)value;
    return is;
}

static const struct abx_objc_method methods[] = {
        METHOD("initWithString:", "@@:@", init_string),
        METHOD("dealloc", "v@:", dealloc),
        METHOD("string", "@@:", get_string),
        METHOD("scanLocation", "Q@:", get_location),
        METHOD("setScanLocation:", "v@:Q", set_location),
        METHOD("charactersToBeSkipped", "@@:", get_skipped),
        METHOD("setCharactersToBeSkipped:", "v@:@", set_skipped),
        METHOD("caseSensitive", "B@:", get_case_sensitive),
        METHOD("setCaseSensitive:", "v@:B", set_case_sensitive),
        METHOD("isAtEnd", "B@:", is_at_end),
        METHOD("scanString:intoString:", "B@:@^@", scan_string),
        METHOD("scanUpToString:intoString:", "B@:@^@", scan_up_to_string),
        METHOD("scanCharactersFromSet:intoString:", "B@:@^@", scan_characters),
        METHOD("scanUpToCharactersFromSet:intoString:", "B@:@^@", scan_up_to_characters),
        METHOD("scanInt:", "B@:^i", scan_int),
        METHOD("scanInteger:", "B@:^q", scan_long_long),
        METHOD("scanLongLong:", "B@:^q", scan_long_long),
        METHOD("scanHexInt:", "B@:^I", scan_hex_int),
        METHOD("scanHexLongLong:", "B@:^Q", scan_hex_long_long),
        METHOD("scanFloat:", "B@:^f", scan_float),
        METHOD("scanDouble:", "B@:^d", scan_double),
        {NULL},
};
static const struct abx_objc_method class_methods[] = {
        METHOD("scannerWithString:", "@@:@", with_string),
        {NULL},
};

__attribute__((constructor(102))) static void define(void)
{
    DEFINE(NSScanner, NSObject, struct scanner, methods, class_methods);
}
