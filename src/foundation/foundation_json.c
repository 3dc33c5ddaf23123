/* foundation: NSJSONSerialization. Guest's process; trusts it, and not the text that it reads:
 * depth is bounded, and numbers and escapes are checked. */
#include "foundation/foundation_internal.h"

#include <math.h>
#include <stdio.h>

ABX_OBJC_CLASS(NSJSONSerialization)

enum { MUTABLE_CONTAINERS = 1, MUTABLE_LEAVES = 2, FRAGMENTS = 4 };
enum { PRETTY = 1, SORTED = 2, NO_SLASH_ESCAPES = 8 };
#define DEPTH 512

/* ---- reading */

struct reader {
    const char *start, *at, *end;
    NSUInteger options;
    const char *wrong; /* the first thing that is */
    unsigned depth;
};

static id read_value(struct reader *r);

static id fail(struct reader *r, const char *what)
{
    if (!r->wrong)
        r->wrong = what;
    return nil;
}

static void skip_blanks(struct reader *r)
{
    while (r->at < r->end && strchr(" \t\n\r", *r->at) && *r->at)
        r->at++;
}

static bool take(struct reader *r, char c)
{
    skip_blanks(r);
    if (r->at == r->end || *r->at != c)
        return false;
    r->at++;
    return true;
}

static int hex4(struct reader *r)
{
    int value = 0;
    if (r->end - r->at < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        char c = *r->at++;
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0)
            return -1;
        value = value << 4 | digit;
    }
    return value;
}

/* Behind the backslash. */
static bool read_escape(struct reader *r, struct abx_string *to)
{
    static const char from[] = "\"\\/bfnrt", into[] = "\"\\/\b\f\n\r\t";
    char c = r->at < r->end ? *r->at++ : 0;
    const char *known = c ? strchr(from, c) : NULL;
    if (known) {
        abx_string_add(to, &into[known - from], 1);
        return true;
    }
    int unit = c == 'u' ? hex4(r) : -1;
    if (unit < 0)
        return false;
    uint32_t code = (uint32_t)unit;
    if (unit >= 0xd800 && unit < 0xdc00) {
        int low = r->end - r->at >= 6 && r->at[0] == '\\' && r->at[1] == 'u' ? (r->at += 2, hex4(r))
                                                                             : -1;
        if (low < 0xdc00 || low > 0xdfff)
            return false;
        code = 0x10000 + ((uint32_t)(unit - 0xd800) << 10) + (uint32_t)(low - 0xdc00);
    } else if (unit >= 0xdc00 && unit < 0xe000) {
        return false;
    }
    char utf8[4];
    abx_string_add(to, utf8, abx_ns_utf8_put(utf8, code));
    return true;
}

/* Behind the quote. */
static id read_string(struct reader *r)
{
    struct abx_string text = {0};
    id result = nil;
    while (r->at < r->end && *r->at != '"') {
        const char *from = r->at;
        while (r->at < r->end && *r->at != '"' && *r->at != '\\' && (uint8_t)*r->at >= 0x20)
            r->at++;
        abx_string_add(&text, from, (size_t)(r->at - from));
        if (r->at == r->end || *r->at == '"')
            break;
        if (*r->at++ != '\\' || !read_escape(r, &text)) {
            fail(r, "Invalid character or escape in a string");
            break;
        }
    }
    if (!r->wrong && r->at == r->end)
        fail(r, "Unterminated string");
    if (!r->wrong) {
        r->at++;
        Class cls = r->options & MUTABLE_LEAVES ? ABX_CLASS(NSMutableString) : ABX_CLASS(NSString);
        result = objc_autorelease(abx_ns_string_new(cls, text.data ? text.data : "", text.length));
    }
    abx_string_finish(&text);
    return result;
}

static size_t digits(struct reader *r)
{
    const char *from = r->at;
    while (r->at < r->end && *r->at >= '0' && *r->at <= '9')
        r->at++;
    return (size_t)(r->at - from);
}

static id read_number(struct reader *r)
{
    const char *from = r->at;
    bool real = false;
    if (*r->at == '-')
        r->at++;
    const char *first = r->at;
    size_t whole = digits(r);
    if (!whole || (whole > 1 && *first == '0'))
        return fail(r, "Number with a leading zero or no digits");
    if (r->at < r->end && *r->at == '.') {
        r->at++;
        real = true;
        if (!digits(r))
            return fail(r, "Number without digits after its point");
    }
    if (r->at < r->end && (*r->at | 32) == 'e') {
        r->at++;
        real = true;
        if (r->at < r->end && (*r->at == '+' || *r->at == '-'))
            r->at++;
        if (!digits(r))
            return fail(r, "Number without an exponent's digits");
    }
    char text[400];
    size_t length = (size_t)(r->at - from);
    if (length >= sizeof text)
        return fail(r, "Number of too many digits");
    memcpy(text, from, length);
    text[length] = '\0';
    if (!real) {
        errno = 0;
        long long value = strtoll(text, NULL, 10);
        if (!errno)
            return abx_ns_number_int(value);
        errno = 0;
        unsigned long long big = *text == '-' ? 0 : strtoull(text, NULL, 10);
        if (*text != '-' && !errno)
            return abx_ns_number_uint(big);
    }
    double value = strtod(text, NULL);
    return isfinite(value) ? abx_ns_number_double(value) : fail(r, "Number too large");
}

static id read_array(struct reader *r)
{
    id array = abx_ns_mutable_array();
    if (take(r, ']'))
        return array;
    do {
        id value = read_value(r);
        if (!value)
            return nil;
        abx_ns_array_add(array, value);
    } while (take(r, ','));
    return take(r, ']') ? array : fail(r, "Badly formed array");
}

static id read_object(struct reader *r)
{
    id object = abx_ns_mutable_dictionary();
    if (take(r, '}'))
        return object;
    do {
        if (!take(r, '"'))
            return fail(r, "No string key for value in object");
        id name = read_string(r);
        if (!name)
            return nil;
        if (!take(r, ':'))
            return fail(r, "No value for key in object");
        id value = read_value(r);
        if (!value)
            return nil;
        abx_ns_dictionary_set(object, name, value);
    } while (take(r, ','));
    return take(r, '}') ? object : fail(r, "Badly formed object");
}

static bool word(struct reader *r, const char *text)
{
    size_t length = strlen(text);
    if ((size_t)(r->end - r->at) < length || memcmp(r->at, text, length) != 0)
        return false;
    r->at += length;
    return true;
}

static id read_value(struct reader *r)
{
    skip_blanks(r);
    if (r->at == r->end)
        return fail(r, "Unexpected end of file");
    if (r->depth == DEPTH)
        return fail(r, "Too many nested arrays or dictionaries");
    r->depth++;
    id value = take(r, '{')                                        ? read_object(r)
               : take(r, '[')                                      ? read_array(r)
               : take(r, '"')                                      ? read_string(r)
               : *r->at == '-' || (*r->at >= '0' && *r->at <= '9') ? read_number(r)
               : word(r, "true")                                   ? abx_ns_number_bool(true)
               : word(r, "false")                                  ? abx_ns_number_bool(false)
               : word(r, "null")                                   ? abx_ns_null()
                                                                   : fail(r, "Invalid value");
    r->depth--;
    return value;
}

static void set_error(id *error, const char *what, size_t at)
{
    abx_ns_error_set(error, "NSCocoaErrorDomain", 3840,
            "The data couldn't be read because it isn't in the correct format: %s around byte %zu.",
            what, at);
}

static id read_json(id cls, SEL cmd, id data, NSUInteger options, id *error)
{
    if (!data)
        abx_ns_raise_argument(
                "+[NSJSONSerialization JSONObjectWithData:options:error:]: data is nil");
    const char *text = abx_ns_data_bytes(data);
    size_t length = abx_ns_data_length(data);
    if (length >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
        text += 3, length -= 3;
    struct reader r = {text, text, text + length, options, NULL, 0};
    if (!abx_ns_is_utf8(text, length))
        fail(&r, "Text that is not UTF-8");
    id value = r.wrong ? nil : read_value(&r);
    skip_blanks(&r);
    if (value && r.at != r.end)
        value = fail(&r, "Garbage at end");
    bool top = value && (abx_objc_is_kind_of(value, ABX_CLASS(NSDictionary)) ||
                                abx_objc_is_kind_of(value, ABX_CLASS(NSArray)));
    if (value && !top && !(options & FRAGMENTS))
        value = fail(&r, "A top level that is neither array nor object");
    if (!value)
        set_error(error, r.wrong, (size_t)(r.at - r.start));
    return value;
}

/* ---- writing */

struct writer {
    struct abx_string text;
    NSUInteger options;
    const char *wrong;
    unsigned depth;
};

static void write_value(struct writer *w, id value);

static void new_line(struct writer *w)
{
    if (w->options & PRETTY)
        abx_string_printf(&w->text, "\n%*s", (int)(2 * w->depth), "");
}

static void write_string(struct writer *w, id string)
{
    static const char plain[] = "\"\\\b\f\n\r\t/", escaped[] = "\"\\bfnrt/";
    struct text t = abx_ns_text(string);
    abx_string_add(&w->text, "\"", 1);
    for (size_t i = 0; i < t.length; i++) {
        char c = t.data[i];
        const char *known = c ? strchr(plain, c) : NULL;
        if (known && (c != '/' || !(w->options & NO_SLASH_ESCAPES)))
            abx_string_printf(&w->text, "\\%c", escaped[known - plain]);
        else if ((uint8_t)c < 0x20)
            abx_string_printf(&w->text, "\\u%04x", c);
        else
            abx_string_add(&w->text, &c, 1);
    }
    abx_string_add(&w->text, "\"", 1);
}

static void write_number(struct writer *w, id number)
{
    const char *type = ABX_MSG(const char *, (id, SEL), number, "objCType");
    double value = abx_ns_number_get_double(number);
    if (*type == 'B' || *type == 'c')
        abx_string_printf(&w->text, "%s", value != 0 ? "true" : "false");
    else if ((*type == 'd' || *type == 'f') && !isfinite(value))
        w->wrong = "Invalid number value (NaN or infinite) in JSON write";
    else
        abx_string_printf(&w->text, "%s", abx_ns_string_utf8(abx_ns_description(number)));
}

static void write_array(struct writer *w, id array)
{
    NSUInteger count = abx_ns_array_count(array);
    abx_string_add(&w->text, "[", 1);
    w->depth++;
    for (NSUInteger i = 0; i < count; i++) {
        if (i)
            abx_string_add(&w->text, ",", 1);
        new_line(w);
        write_value(w, abx_ns_array_at(array, i));
    }
    w->depth--;
    if (count)
        new_line(w);
    abx_string_add(&w->text, "]", 1);
}

static void write_object(struct writer *w, id object)
{
    id keys = ABX_MSG(id, (id, SEL), object, "allKeys");
    NSUInteger count = abx_ns_array_count(keys);
    for (NSUInteger i = 0; i < count; i++)
        if (!abx_ns_is_string(abx_ns_array_at(keys, i)))
            w->wrong = "Invalid (non-string) key in JSON dictionary";
    if (w->wrong)
        return;
    if (w->options & SORTED)
        keys = ABX_MSG(id, (id, SEL, SEL), keys,
                "sortedArrayUsingSelector:", sel_registerName("compare:"));
    abx_string_add(&w->text, "{", 1);
    w->depth++;
    for (NSUInteger i = 0; i < count; i++) {
        id name = abx_ns_array_at(keys, i);
        if (i)
            abx_string_add(&w->text, ",", 1);
        new_line(w);
        write_string(w, name);
        abx_string_printf(&w->text, w->options & PRETTY ? " : " : ":");
        write_value(w, abx_ns_dictionary_get(object, name));
    }
    w->depth--;
    if (count)
        new_line(w);
    abx_string_add(&w->text, "}", 1);
}

static void write_value(struct writer *w, id value)
{
    if (w->depth == DEPTH)
        w->wrong = "Too many nested arrays or dictionaries";
    if (w->wrong)
        return;
    if (abx_ns_is_string(value))
        write_string(w, value);
    else if (abx_objc_is_kind_of(value, ABX_CLASS(NSNumber)))
        write_number(w, value);
    else if (value == abx_ns_null())
        abx_string_printf(&w->text, "null");
    else if (abx_objc_is_kind_of(value, ABX_CLASS(NSArray)))
        write_array(w, value);
    else if (abx_objc_is_kind_of(value, ABX_CLASS(NSDictionary)))
        write_object(w, value);
    else
        w->wrong = "Invalid type in JSON write";
}

static bool is_container(id object)
{
    return abx_objc_is_kind_of(object, ABX_CLASS(NSArray)) ||
           abx_objc_is_kind_of(object, ABX_CLASS(NSDictionary));
}

static abx_objc_bool is_valid(id cls, SEL cmd, id object)
{
    struct writer w = {0};
    if (!is_container(object))
        return 0;
    write_value(&w, object);
    abx_string_finish(&w.text);
    return !w.wrong;
}

static id write_json(id cls, SEL cmd, id object, NSUInteger options, id *error)
{
    struct writer w = {.options = options};
    if (!is_container(object) && !(options & FRAGMENTS))
        w.wrong = "Invalid top-level type in JSON write";
    write_value(&w, object);
    if (w.wrong) { /* a mistake of the program's, as Apple sees it */
        abx_string_finish(&w.text);
        abx_ns_raise_argument(
                "+[NSJSONSerialization dataWithJSONObject:options:error:]: %s", w.wrong);
    }
    id data = abx_ns_data(w.text.data, w.text.length);
    abx_string_finish(&w.text);
    return data;
}

static const struct abx_objc_method class_methods[] = {
        METHOD("JSONObjectWithData:options:error:", "@@:@Q^@", read_json),
        METHOD("dataWithJSONObject:options:error:", "@@:@Q^@", write_json),
        METHOD("isValidJSONObject:", "B@:@", is_valid),
        {NULL},
};

__attribute__((constructor(102))) static void define(void)
{
    DEFINE(NSJSONSerialization, NSObject, struct { Class isa; }, NULL, class_methods);
}
