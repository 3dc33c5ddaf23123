/* foundation: NSString: comparing, searching, cutting, replacing, changing case, reading numbers;
 * and NSCharacterSet. Guest's process; trusts it. */
#include "foundation/foundation_internal.h"

#include <ctype.h>
#include <wctype.h>

ABX_OBJC_CLASS(NSCharacterSet)

static id slice_string(id self, NSRange range, const char *method)
{
    struct text t = abx_ns_string_slice(self, range, method);
    return abx_ns_string_bytes(t.data, t.length);
}

/* ---- NSCharacterSet */

enum set_kind {
    SET_LISTED,
    SET_WHITESPACE,
    SET_WHITESPACE_NEWLINE,
    SET_NEWLINE,
    SET_DIGITS,
    SET_LETTERS,
    SET_ALPHANUMERIC,
    SET_UPPERCASE,
    SET_LOWERCASE,
    SET_PUNCTUATION,
};
struct character_set {
    Class isa;
    enum set_kind kind;
    bool inverted;
    id listed;
};

static bool is_newline(uint32_t c)
{
    return (c >= 0xa && c <= 0xd) || c == 0x85 || c == 0x2028 || c == 0x2029;
}

static bool is_blank(uint32_t c)
{
    return c == ' ' || c == '\t' || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200b) ||
           c == 0x202f || c == 0x205f || c == 0x3000;
}

static bool is_listed(id string, uint32_t c)
{
    struct text t = abx_ns_text(string);
    const char *p = t.data, *end = p + t.length;
    while (p < end)
        if (abx_ns_utf8_next(&p, end) == c)
            return true;
    return false;
}

static bool is_letter(uint32_t c)
{
    return c < 0x80 ? isalpha((int)c)
                    : c >= 0xaa && !is_blank(c) && !is_newline(c) &&
                              !(c >= 0x2010 && c <= 0x2bff) && !(c >= 0x3001 && c <= 0x3004);
}

bool abx_ns_character_set_has(id object, uint32_t c)
{
    const struct character_set *set = (const struct character_set *)object;
    bool in = false;
    switch (set->kind) {
    case SET_LISTED:
        in = is_listed(set->listed, c);
        break;
    case SET_WHITESPACE:
        in = is_blank(c);
        break;
    case SET_WHITESPACE_NEWLINE:
        in = is_blank(c) || is_newline(c);
        break;
    case SET_NEWLINE:
        in = is_newline(c);
        break;
    case SET_DIGITS:
        in = c >= '0' && c <= '9';
        break;
    case SET_LETTERS:
        in = is_letter(c);
        break;
    case SET_ALPHANUMERIC:
        in = is_letter(c) || (c >= '0' && c <= '9');
        break;
    case SET_UPPERCASE:
        in = abx_ns_lower(c) != c;
        break;
    case SET_LOWERCASE:
        in = abx_ns_upper(c) != c;
        break;
    case SET_PUNCTUATION:
        in = c < 0x80 ? ispunct((int)c) && !strchr("$+<=>^`|~", (int)c)
                      : c >= 0x2010 && c <= 0x2027;
        break;
    }
    return in != set->inverted;
}

static id set_new(enum set_kind kind, bool inverted, id listed)
{
    id object = class_createInstance(ABX_CLASS(NSCharacterSet), 0);
    struct character_set *set = (struct character_set *)object;
    set->kind = kind;
    set->inverted = inverted;
    set->listed = abx_ns_copy(listed);
    return objc_autorelease(object);
}

#define STANDARD_SET(name, kind)                                                                   \
    static id name(id cls, SEL cmd)                                                                \
    {                                                                                              \
        return set_new(kind, false, nil);                                                          \
    }
STANDARD_SET(set_whitespace, SET_WHITESPACE)
STANDARD_SET(set_whitespace_newline, SET_WHITESPACE_NEWLINE)
STANDARD_SET(set_newline, SET_NEWLINE)
STANDARD_SET(set_digits, SET_DIGITS)
STANDARD_SET(set_letters, SET_LETTERS)
STANDARD_SET(set_alphanumeric, SET_ALPHANUMERIC)
STANDARD_SET(set_uppercase, SET_UPPERCASE)
STANDARD_SET(set_lowercase, SET_LOWERCASE)
STANDARD_SET(set_punctuation, SET_PUNCTUATION)

id abx_ns_blank_characters(void)
{
    return set_new(SET_WHITESPACE_NEWLINE, false, nil);
}

static id set_with_string(id cls, SEL cmd, id string)
{
    return set_new(SET_LISTED, false, string);
}

static id set_inverted(id self, SEL cmd)
{
    struct character_set *set = (struct character_set *)self;
    return set_new(set->kind, !set->inverted, set->listed);
}

static abx_objc_bool set_is_member(id self, SEL cmd, unichar c)
{
    return abx_ns_character_set_has(self, c);
}

static void set_dealloc(id self, SEL cmd)
{
    objc_release(((struct character_set *)self)->listed);
    abx_objc_dealloc_super(self, ABX_CLASS(NSCharacterSet));
}

/* ---- comparing */

static unsigned long read_number(const char **p, const char *end)
{
    unsigned long value = 0;
    while (*p < end && isdigit((unsigned char)**p))
        value = value * 10 + (unsigned long)(*(*p)++ - '0');
    return value;
}

/* UTF-16 units compare so: what is beyond U+FFFF comes before U+E000. */
static uint32_t utf16_order(uint32_t c)
{
    return c >= 0x10000 ? 0xd800 + c : c >= 0xe000 ? c + 0x200000 : c;
}

static NSInteger compare(struct text a, struct text b, NSUInteger options)
{
    const char *p = a.data, *q = b.data, *p_end = p + a.length, *q_end = q + b.length;
    while (p < p_end && q < q_end) {
        if ((options & NSNumericSearch) && isdigit((unsigned char)*p) &&
                isdigit((unsigned char)*q)) {
            unsigned long m = read_number(&p, p_end), n = read_number(&q, q_end);
            if (m != n)
                return m < n ? -1 : 1;
            continue;
        }
        uint32_t c = abx_ns_utf8_next(&p, p_end), d = abx_ns_utf8_next(&q, q_end);
        if (options & NSCaseInsensitiveSearch) {
            c = abx_ns_lower(c);
            d = abx_ns_lower(d);
        }
        if (c != d)
            return utf16_order(c) < utf16_order(d) ? -1 : 1;
    }
    return p < p_end ? 1 : q < q_end ? -1 : 0;
}

static NSInteger string_compare_options(id self, SEL cmd, id other, NSUInteger options)
{
    if (!other)
        return 1;
    return compare(abx_ns_text(self), abx_ns_text(other), options);
}

static NSInteger string_compare(id self, SEL cmd, id other)
{
    return string_compare_options(self, cmd, other, 0);
}

static NSInteger string_compare_case(id self, SEL cmd, id other)
{
    return string_compare_options(self, cmd, other, NSCaseInsensitiveSearch);
}

static NSInteger string_compare_standard(id self, SEL cmd, id other)
{
    return string_compare_options(self, cmd, other, NSCaseInsensitiveSearch | NSNumericSearch);
}

static abx_objc_bool has_prefix(id self, SEL cmd, id prefix)
{
    struct text t = abx_ns_text(self), p = abx_ns_text(prefix);
    return prefix && p.length <= t.length && memcmp(t.data, p.data, p.length) == 0;
}

static abx_objc_bool has_suffix(id self, SEL cmd, id suffix)
{
    struct text t = abx_ns_text(self), s = abx_ns_text(suffix);
    return suffix && s.length <= t.length &&
           memcmp(t.data + t.length - s.length, s.data, s.length) == 0;
}

/* ---- searching */

/* Length of `what` at the start of [p, end) in bytes of the former, or 0. */
static size_t match_at(const char *p, const char *end, struct text what, NSUInteger options)
{
    const char *start = p, *q = what.data, *q_end = what.data + what.length;
    if (!(options & NSCaseInsensitiveSearch)) {
        bool same = (size_t)(end - p) >= what.length && memcmp(p, q, what.length) == 0;
        return same ? what.length : 0;
    }
    while (q < q_end) {
        if (p >= end || abx_ns_lower(abx_ns_utf8_next(&p, end)) !=
                                abx_ns_lower(abx_ns_utf8_next(&q, q_end)))
            return 0;
    }
    return (size_t)(p - start);
}

/* Byte offset of `what` in `in`, or -1; *ret_length bytes match. */
static ptrdiff_t find(struct text in, struct text what, NSUInteger options, size_t *ret_length)
{
    if (!what.length)
        return -1;
    const char *end = in.data + in.length;
    if (!(options & (NSCaseInsensitiveSearch | NSBackwardsSearch | NSAnchoredSearch))) {
        const char *at = memmem(in.data, in.length, what.data, what.length);
        *ret_length = what.length;
        return at ? at - in.data : -1;
    }
    ptrdiff_t last = -1;
    for (const char *p = in.data; p < end; p++) {
        if (((uint8_t)*p & 0xc0) == 0x80)
            continue;
        size_t length = match_at(p, end, what, options);
        if (length && (options & NSAnchoredSearch) && (options & NSBackwardsSearch) &&
                p + length != end)
            length = 0;
        if (length) {
            last = p - in.data;
            *ret_length = length;
            if (!(options & NSBackwardsSearch))
                return last;
        }
        if ((options & NSAnchoredSearch) && !(options & NSBackwardsSearch))
            return -1;
    }
    return last;
}

static NSRange range_of_bytes(
        id self, NSRange within, struct text slice, ptrdiff_t at, size_t length)
{
    if (at < 0)
        return (NSRange){NOT_FOUND, 0};
    if (slice.ascii)
        return (NSRange){within.location + (size_t)at, length};
    return (NSRange){within.location + abx_ns_utf16_count(slice.data, (size_t)at),
            abx_ns_utf16_count(slice.data + at, length)};
}

static NSRange range_of_in(id self, SEL cmd, id what, NSUInteger options, NSRange within)
{
    if (!what)
        abx_ns_raise_argument("-[NSString rangeOfString:options:range:]: nil argument");
    struct text slice = abx_ns_string_slice(self, within, "rangeOfString:options:range:");
    size_t length = 0;
    ptrdiff_t at = find(slice, abx_ns_text(what), options, &length);
    return range_of_bytes(self, within, slice, at, length);
}

static NSRange range_of_options(id self, SEL cmd, id what, NSUInteger options)
{
    return range_of_in(self, cmd, what, options, (NSRange){0, abx_ns_string_units(self)});
}

static NSRange range_of(id self, SEL cmd, id what)
{
    return range_of_options(self, cmd, what, 0);
}

static abx_objc_bool contains(id self, SEL cmd, id what)
{
    size_t length;
    return what && find(abx_ns_text(self), abx_ns_text(what), 0, &length) >= 0;
}

static abx_objc_bool contains_case(id self, SEL cmd, id what)
{
    size_t length;
    return what &&
           find(abx_ns_text(self), abx_ns_text(what), NSCaseInsensitiveSearch, &length) >= 0;
}

static NSRange range_of_set_in(id self, SEL cmd, id set, NSUInteger options, NSRange within)
{
    struct text slice = abx_ns_string_slice(self, within, "rangeOfCharacterFromSet:options:range:");
    const char *p = slice.data, *end = p + slice.length;
    ptrdiff_t at = -1;
    size_t length = 0;
    while (p < end) {
        const char *start = p;
        if (!abx_ns_character_set_has(set, abx_ns_utf8_next(&p, end)))
            continue;
        at = start - slice.data;
        length = (size_t)(p - start);
        if (!(options & NSBackwardsSearch))
            break;
    }
    return range_of_bytes(self, within, slice, at, length);
}

static NSRange range_of_set_options(id self, SEL cmd, id set, NSUInteger options)
{
    return range_of_set_in(self, cmd, set, options, (NSRange){0, abx_ns_string_units(self)});
}

static NSRange range_of_set(id self, SEL cmd, id set)
{
    return range_of_set_options(self, cmd, set, 0);
}

/* ---- cutting */

static id substring_range(id self, SEL cmd, NSRange range)
{
    return slice_string(self, range, "substringWithRange:");
}

static id substring_from(id self, SEL cmd, NSUInteger index)
{
    NSUInteger units = abx_ns_string_units(self);
    if (index > units)
        abx_ns_raise_range("-[NSString substringFromIndex:]: Index %lu out of bounds; "
                           "string length %lu",
                index, units);
    return slice_string(self, (NSRange){index, units - index}, "substringFromIndex:");
}

static id substring_to(id self, SEL cmd, NSUInteger index)
{
    return slice_string(self, (NSRange){0, index}, "substringToIndex:");
}

static id components_by_string(id self, SEL cmd, id separator)
{
    struct text t = abx_ns_text(self), s = abx_ns_text(separator);
    id result = abx_ns_mutable_array();
    for (;;) {
        size_t length = 0;
        ptrdiff_t at = find(t, s, 0, &length);
        abx_ns_array_add(result, abx_ns_string_bytes(t.data, at < 0 ? t.length : (size_t)at));
        if (at < 0)
            return result;
        t.data += (size_t)at + length;
        t.length -= (size_t)at + length;
    }
}

static id components_by_set(id self, SEL cmd, id set)
{
    struct text t = abx_ns_text(self);
    id result = abx_ns_mutable_array();
    const char *p = t.data, *end = p + t.length, *start = p;
    while (p < end) {
        const char *at = p;
        if (!abx_ns_character_set_has(set, abx_ns_utf8_next(&p, end)))
            continue;
        abx_ns_array_add(result, abx_ns_string_bytes(start, (size_t)(at - start)));
        start = p;
    }
    abx_ns_array_add(result, abx_ns_string_bytes(start, (size_t)(end - start)));
    return result;
}

static id trimmed(id self, SEL cmd, id set)
{
    struct text t = abx_ns_text(self);
    const char *p = t.data, *end = p + t.length, *first = NULL, *last = p;
    while (p < end) {
        const char *start = p;
        if (abx_ns_character_set_has(set, abx_ns_utf8_next(&p, end)))
            continue;
        if (!first)
            first = start;
        last = p;
    }
    return abx_ns_string_bytes(first ? first : "", first ? (size_t)(last - first) : 0);
}

static void enumerate_lines(id self, SEL cmd, void *block)
{
    struct text t = abx_ns_text(self);
    const char *p = t.data, *end = p + t.length;
    BOOL stop = NO;
    while (p < end && !stop) {
        size_t length = strcspn(p, "\r\n");
        if (length > (size_t)(end - p))
            length = (size_t)(end - p);
        id line = abx_ns_string_bytes(p, length);
        ABX_BLOCK_CALL(void, (void *, id, BOOL *), block, line, &stop);
        p += length;
        if (p + 1 < end && p[0] == '\r' && p[1] == '\n')
            p++;
        if (p < end)
            p++;
    }
}

/* ---- building */

static id appending(id self, SEL cmd, id other)
{
    struct text a = abx_ns_text(self), b = abx_ns_text(other);
    if (!other)
        abx_ns_raise_argument("-[NSString stringByAppendingString:]: nil argument");
    struct abx_string out = {0};
    abx_string_add(&out, a.data, a.length);
    abx_string_add(&out, b.data, b.length);
    id result = abx_ns_string_bytes(out.data ? out.data : "", out.length);
    abx_string_finish(&out);
    return result;
}

static id appending_format(id self, SEL cmd, id format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    id tail = objc_autorelease(abx_ns_string_vprintf(format, arguments));
    va_end(arguments);
    return appending(self, cmd, tail);
}

static id replacing_in(id self, SEL cmd, id target, id with, NSUInteger options, NSRange range)
{
    struct text whole = abx_ns_text(self), what = abx_ns_text(target), by = abx_ns_text(with);
    struct text t = abx_ns_string_slice(self, range, "stringByReplacingOccurrencesOfString:");
    const char *tail = t.data + t.length;
    struct abx_string out = {0};
    abx_string_add(&out, whole.data, (size_t)(t.data - whole.data));
    for (;;) {
        size_t length = 0;
        ptrdiff_t at = find(t, what, options & ~(NSUInteger)NSBackwardsSearch, &length);
        if (at < 0)
            break;
        abx_string_add(&out, t.data, (size_t)at);
        abx_string_add(&out, by.data, by.length);
        t.data += (size_t)at + length;
        t.length -= (size_t)at + length;
        if (options & NSAnchoredSearch)
            break;
    }
    abx_string_add(&out, t.data, t.length);
    abx_string_add(&out, tail, (size_t)(whole.data + whole.length - tail));
    id result = abx_ns_string_bytes(out.data ? out.data : "", out.length);
    abx_string_finish(&out);
    return result;
}

static id replacing(id self, SEL cmd, id target, id with)
{
    return replacing_in(self, cmd, target, with, 0, (NSRange){0, abx_ns_string_units(self)});
}

static id replacing_range(id self, SEL cmd, NSRange range, id with)
{
    struct text whole = abx_ns_text(self), by = abx_ns_text(with);
    struct text t = abx_ns_string_slice(self, range, "stringByReplacingCharactersInRange:");
    struct abx_string out = {0};
    abx_string_add(&out, whole.data, (size_t)(t.data - whole.data));
    abx_string_add(&out, by.data, by.length);
    const char *tail = t.data + t.length;
    abx_string_add(&out, tail, (size_t)(whole.data + whole.length - tail));
    id result = abx_ns_string_bytes(out.data ? out.data : "", out.length);
    abx_string_finish(&out);
    return result;
}

static id padding(id self, SEL cmd, NSUInteger length, id pad, NSUInteger index)
{
    NSUInteger units = abx_ns_string_units(self), pad_units = abx_ns_string_units(pad);
    if (length <= units)
        return slice_string(self, (NSRange){0, length}, "stringByPaddingToLength:");
    id result = ABX_MSG(id, (id, SEL), self, "mutableCopy");
    for (; units < length && pad_units; units++, index++)
        ABX_MSG(void, (id, SEL, id), result, "appendString:",
                slice_string(pad, (NSRange){index % pad_units, 1}, "stringByPaddingToLength:"));
    return objc_autorelease(result);
}

static id change_case(id self, uint32_t (*first)(uint32_t), uint32_t (*rest)(uint32_t))
{
    struct text t = abx_ns_text(self);
    const char *p = t.data, *end = p + t.length;
    char *out = abx_ns_allocate(t.length * 4 + 1);
    size_t length = 0;
    bool in_word = false;
    while (p < end) {
        uint32_t c = abx_ns_utf8_next(&p, end);
        length += abx_ns_utf8_put(out + length, (in_word ? rest : first)(c));
        in_word = is_letter(c) || c == '\'' || (c >= '0' && c <= '9');
    }
    id result = abx_ns_string_bytes(out, length);
    free(out);
    return result;
}

static id uppercase(id self, SEL cmd)
{
    return change_case(self, abx_ns_upper, abx_ns_upper);
}

static id lowercase(id self, SEL cmd)
{
    return change_case(self, abx_ns_lower, abx_ns_lower);
}

static id capitalized(id self, SEL cmd)
{
    return change_case(self, abx_ns_upper, abx_ns_lower);
}

/* ---- reading numbers: what cannot be read is 0, what is too large is the limit */

static const char *number_text(id self)
{
    const char *p = abx_ns_text(self).data;
    while (isspace((unsigned char)*p))
        p++;
    return p;
}

static long long long_long_value(id self, SEL cmd)
{
    return strtoll(number_text(self), NULL, 10);
}

static int int_value(id self, SEL cmd)
{
    long long value = long_long_value(self, cmd);
    return value > INT32_MAX ? INT32_MAX : value < INT32_MIN ? INT32_MIN : (int)value;
}

static double double_value(id self, SEL cmd)
{
    const char *p = number_text(self);
    const char *digits = *p == '+' || *p == '-' ? p + 1 : p;
    /* strtod would also read inf, nan and hexadecimal */
    if (!isdigit((unsigned char)*digits) && *digits != '.')
        return 0;
    if (digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X'))
        return 0;
    return strtod(p, NULL);
}

static float float_value(id self, SEL cmd)
{
    return (float)double_value(self, cmd);
}

static abx_objc_bool bool_value(id self, SEL cmd)
{
    const char *p = number_text(self);
    if (*p == '+' || *p == '-')
        p++;
    while (*p == '0')
        p++;
    return strchr("YyTt123456789", *p) && *p;
}

const struct abx_objc_method abx_ns_string_search_methods[] = {
        METHOD("compare:", "q@:@", string_compare),
        METHOD("compare:options:", "q@:@Q", string_compare_options),
        METHOD("caseInsensitiveCompare:", "q@:@", string_compare_case),
        METHOD("localizedCompare:", "q@:@", string_compare),
        METHOD("localizedCaseInsensitiveCompare:", "q@:@", string_compare_case),
        METHOD("localizedStandardCompare:", "q@:@", string_compare_standard),
        METHOD("hasPrefix:", "B@:@", has_prefix),
        METHOD("hasSuffix:", "B@:@", has_suffix),
        METHOD("containsString:", "B@:@", contains),
        METHOD("localizedCaseInsensitiveContainsString:", "B@:@", contains_case),
        METHOD("localizedStandardContainsString:", "B@:@", contains_case),
        METHOD("rangeOfString:", RANGE "@:@", range_of),
        METHOD("rangeOfString:options:", RANGE "@:@Q", range_of_options),
        METHOD("rangeOfString:options:range:", RANGE "@:@Q" RANGE, range_of_in),
        METHOD("rangeOfCharacterFromSet:", RANGE "@:@", range_of_set),
        METHOD("rangeOfCharacterFromSet:options:", RANGE "@:@Q", range_of_set_options),
        METHOD("rangeOfCharacterFromSet:options:range:", RANGE "@:@Q" RANGE, range_of_set_in),
        METHOD("substringFromIndex:", "@@:Q", substring_from),
        METHOD("substringToIndex:", "@@:Q", substring_to),
        METHOD("substringWithRange:", "@@:" RANGE, substring_range),
        METHOD("componentsSeparatedByString:", "@@:@", components_by_string),
        METHOD("componentsSeparatedByCharactersInSet:", "@@:@", components_by_set),
        METHOD("stringByTrimmingCharactersInSet:", "@@:@", trimmed),
        METHOD("enumerateLinesUsingBlock:", "v@:@?", enumerate_lines),
        METHOD("stringByAppendingString:", "@@:@", appending),
        METHOD("stringByAppendingFormat:", "@@:@", appending_format),
        METHOD("stringByReplacingOccurrencesOfString:withString:", "@@:@@", replacing),
        METHOD("stringByReplacingOccurrencesOfString:withString:options:range:", "@@:@@Q" RANGE,
                replacing_in),
        METHOD("stringByReplacingCharactersInRange:withString:", "@@:" RANGE "@", replacing_range),
        METHOD("stringByPaddingToLength:withString:startingAtIndex:", "@@:Q@Q", padding),
        METHOD("uppercaseString", "@@:", uppercase),
        METHOD("lowercaseString", "@@:", lowercase),
        METHOD("capitalizedString", "@@:", capitalized),
        METHOD("localizedUppercaseString", "@@:", uppercase),
        METHOD("localizedLowercaseString", "@@:", lowercase),
        METHOD("intValue", "i@:", int_value),
        METHOD("integerValue", "q@:", long_long_value),
        METHOD("longLongValue", "q@:", long_long_value),
        METHOD("doubleValue", "d@:", double_value),
        METHOD("floatValue", "f@:", float_value),
        METHOD("boolValue", "B@:", bool_value),
        {NULL},
};

static const struct abx_objc_method set_methods[] = {
        METHOD("characterIsMember:", "B@:S", set_is_member),
        METHOD("invertedSet", "@@:", set_inverted),
        METHOD("copyWithZone:", "@@:" ZONE, abx_ns_copy_immutable),
        METHOD("dealloc", "v@:", set_dealloc),
        {NULL},
};
static const struct abx_objc_method set_class_methods[] = {
        METHOD("characterSetWithCharactersInString:", "@@:@", set_with_string),
        METHOD("whitespaceCharacterSet", "@@:", set_whitespace),
        METHOD("whitespaceAndNewlineCharacterSet", "@@:", set_whitespace_newline),
        METHOD("newlineCharacterSet", "@@:", set_newline),
        METHOD("decimalDigitCharacterSet", "@@:", set_digits),
        METHOD("letterCharacterSet", "@@:", set_letters),
        METHOD("alphanumericCharacterSet", "@@:", set_alphanumeric),
        METHOD("uppercaseLetterCharacterSet", "@@:", set_uppercase),
        METHOD("lowercaseLetterCharacterSet", "@@:", set_lowercase),
        METHOD("punctuationCharacterSet", "@@:", set_punctuation),
        {NULL},
};

__attribute__((constructor(102))) static void define(void)
{
    DEFINE(NSCharacterSet, NSObject, struct character_set, set_methods, set_class_methods,
            "NSCopying");
}
