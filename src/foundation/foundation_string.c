/* foundation: NSString and NSMutableString: storage, creation, encodings. Concrete classes, UTF-8
 * inside; a program's own subclass of NSString must use this storage (override nothing of it).
 * Guest's process; trusts it. */
#include "foundation/foundation_internal.h"

#include <stdio.h>

ABX_OBJC_CLASS(NSString)
ABX_OBJC_CLASS(NSMutableString)

/* The class of literals; the compiler knows its name. */
struct abx_objc_class __CFConstantStringClassReference;
static struct abx_objc_class constant_meta;

static struct ns_string *inner(id object)
{
    return (struct ns_string *)object;
}

bool abx_ns_is_string(id object)
{
    return abx_objc_is_kind_of(object, ABX_CLASS(NSString));
}

static bool is_constant(id object)
{
    return object->isa == (Class)&__CFConstantStringClassReference;
}

/* A literal with other than ASCII characters is UTF-16 until its first use. */
static void convert_literal(struct ns_string *s)
{
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&mutex);
    if (__atomic_load_n(&s->flags, __ATOMIC_RELAXED) & STRING_UTF16) {
        size_t length;
        s->data = abx_ns_utf8_from_utf16((const unichar *)s->data, (size_t)s->length, &length);
        s->length = (long)length;
        int flags = abx_ns_is_ascii(s->data, length) ? 0 : STRING_NOT_ASCII;
        __atomic_store_n(&s->flags, STRING_NORMAL | STRING_INLINE | flags, __ATOMIC_RELEASE);
    }
    pthread_mutex_unlock(&mutex);
}

struct text abx_ns_text(id string)
{
    if (!string)
        return (struct text){"", 0, true};
    struct ns_string *s = inner(string);
    if (!is_constant(string) && !abx_ns_is_string(string))
        abx_ns_raise_argument("%s is not a string", object_getClassName(string));
    int flags = __atomic_load_n(&s->flags, __ATOMIC_ACQUIRE);
    if (flags & STRING_UTF16 && !(flags & STRING_EIGHT_BIT)) {
        convert_literal(s);
        flags = __atomic_load_n(&s->flags, __ATOMIC_ACQUIRE);
    }
    return (struct text){s->data ? s->data : "", (size_t)s->length, !(flags & STRING_NOT_ASCII)};
}

NSUInteger abx_ns_string_units(id string)
{
    struct text t = abx_ns_text(string);
    if (t.ascii)
        return t.length;
    return is_constant(string) ? abx_ns_utf16_count(t.data, t.length) : inner(string)->units;
}

/* Takes over `data`, a malloc of at least length + 1 bytes that is valid UTF-8 but for surrogates.
 */
static void adopt(struct ns_string *s, char *data, size_t length, size_t capacity)
{
    if (!(s->flags & STRING_INLINE))
        free((void *)s->data);
    bool ascii = abx_ns_is_ascii(data, length);
    s->data = data;
    s->length = (long)length;
    s->units = ascii ? length : abx_ns_utf16_count(data, length);
    s->capacity = capacity;
    s->flags = STRING_NORMAL | (ascii ? 0 : STRING_NOT_ASCII);
}

/* A malloc'd copy in which what is not UTF-8 is U+FFFD. */
static char *clean_copy(const char *utf8, size_t length, size_t *ret_length)
{
    char *copy;
    if (abx_ns_is_ascii(utf8, length) || abx_ns_is_utf8(utf8, length)) {
        copy = abx_ns_allocate(length + 1);
        memcpy(copy, utf8, length);
        *ret_length = length;
    } else {
        copy = abx_ns_allocate(length * 3 + 1);
        const char *p = utf8, *end = utf8 + length;
        size_t out = 0;
        while (p < end)
            out += abx_ns_utf8_put(copy + out, abx_ns_utf8_next(&p, end));
        *ret_length = out;
    }
    copy[*ret_length] = '\0';
    return copy;
}

void abx_ns_string_set(id string, const char *utf8, size_t length)
{
    size_t clean;
    char *copy = clean_copy(utf8, length, &clean);
    adopt(inner(string), copy, clean, clean + 1);
}

id abx_ns_string_new(Class cls, const char *utf8, size_t length)
{
    bool immutable = cls == ABX_CLASS(NSString), ascii = abx_ns_is_ascii(utf8, length);
    if (!immutable || !ascii) {
        id string = class_createInstance(cls, 0);
        abx_ns_string_set(string, utf8, length);
        return string;
    }
    /* one allocation for the most common kind */
    id string = class_createInstance(cls, length + 1);
    struct ns_string *s = inner(string);
    char *data = (char *)(s + 1);
    memcpy(data, utf8, length);
    s->data = data;
    s->length = (long)length;
    s->units = length;
    s->flags = STRING_NORMAL | STRING_INLINE;
    return string;
}

/* ---- the C interface */

id abx_ns_string_bytes(const char *utf8, size_t length)
{
    return objc_autorelease(abx_ns_string_new(ABX_CLASS(NSString), utf8, length));
}

id abx_ns_string(const char *utf8)
{
    return utf8 ? abx_ns_string_bytes(utf8, strlen(utf8)) : nil;
}

id abx_ns_string_constant(const char *utf8)
{
    struct ns_string *s = abx_ns_allocate(sizeof(*s));
    size_t length = strlen(utf8);
    *s = (struct ns_string){.isa = (Class)&__CFConstantStringClassReference,
            .flags = STRING_NORMAL | (abx_ns_is_ascii(utf8, length) ? 0 : STRING_NOT_ASCII),
            .data = utf8,
            .length = (long)length};
    return (id)s;
}

id abx_ns_string_printf(const char *format, ...)
{
    va_list arguments;
    char *text = NULL;
    va_start(arguments, format);
    int length = vasprintf(&text, format, arguments);
    va_end(arguments);
    if (length < 0)
        abort();
    id string = abx_ns_string_bytes(text, (size_t)length);
    free(text);
    return string;
}

const char *abx_ns_string_utf8(id string)
{
    return string ? abx_ns_text(string).data : NULL;
}

size_t abx_ns_string_bytes_count(id string)
{
    return abx_ns_text(string).length;
}

bool abx_ns_string_equal(id a, id b)
{
    if (a == b)
        return true;
    if (!a || !b)
        return false;
    struct text x = abx_ns_text(a), y = abx_ns_text(b);
    return x.length == y.length && memcmp(x.data, y.data, x.length) == 0;
}

struct text abx_ns_string_slice(id string, NSRange range, const char *method)
{
    NSUInteger units = abx_ns_string_units(string);
    if (!abx_range_ok(range.location, range.length, units))
        abx_ns_raise_range("-[%s %s]: Range {%lu, %lu} out of bounds; string length %lu",
                object_getClassName(string), method, range.location, range.length, units);
    struct text t = abx_ns_text(string);
    if (t.ascii)
        return (struct text){t.data + range.location, range.length, true};
    size_t from = abx_ns_utf16_offset(t.data, t.length, range.location);
    size_t to = from + abx_ns_utf16_offset(t.data + from, t.length - from, range.length);
    return (struct text){t.data + from, to - from, false};
}

/* ---- encodings */

static char *latin1_to_utf8(const uint8_t *bytes, size_t length, size_t *ret_length)
{
    char *out = abx_ns_allocate(length * 2 + 1);
    size_t n = 0;
    for (size_t i = 0; i < length; i++)
        n += abx_ns_utf8_put(out + n, bytes[i]);
    out[n] = '\0';
    *ret_length = n;
    return out;
}

static char *utf16_to_utf8(const uint8_t *bytes, size_t length, bool big, size_t *ret_length)
{
    size_t count = length / 2;
    unichar *units = abx_ns_allocate(count * 2);
    for (size_t i = 0; i < count; i++)
        units[i] = (unichar)(big ? bytes[2 * i] << 8 | bytes[2 * i + 1]
                                 : bytes[2 * i + 1] << 8 | bytes[2 * i]);
    char *out = abx_ns_utf8_from_utf16(units, count, ret_length);
    free(units);
    return out;
}

/* UTF-8 (malloc) of bytes in an encoding; NULL when they are not text in it. */
static char *decode(const void *bytes, size_t length, NSUInteger encoding, size_t *ret_length)
{
    const uint8_t *b = bytes;
    switch (encoding) {
    case NSUTF8StringEncoding:
        return abx_ns_is_utf8(bytes, length) ? clean_copy(bytes, length, ret_length) : NULL;
    case NSASCIIStringEncoding: /* not only to 127: as Apple's, which never gives nil here */
        return latin1_to_utf8(bytes, length, ret_length);
    case NSMacOSRomanStringEncoding:
        return abx_ns_is_ascii(bytes, length) ? clean_copy(bytes, length, ret_length) : NULL;
    case NSISOLatin1StringEncoding:
        return latin1_to_utf8(bytes, length, ret_length);
    case NSUnicodeStringEncoding:
        if (length >= 2 && b[0] == 0xfe && b[1] == 0xff)
            return utf16_to_utf8(b + 2, length - 2, true, ret_length);
        if (length >= 2 && b[0] == 0xff && b[1] == 0xfe)
            return utf16_to_utf8(b + 2, length - 2, false, ret_length);
        return utf16_to_utf8(b, length, false, ret_length);
    case NSUTF16LittleEndianStringEncoding:
        return utf16_to_utf8(b, length, false, ret_length);
    case NSUTF16BigEndianStringEncoding:
        return utf16_to_utf8(b, length, true, ret_length);
    default:
        return NULL;
    }
}

static size_t put_utf16(char *to, uint32_t c, bool big)
{
    unichar units[2] = {(unichar)c, 0};
    size_t count = 1;
    if (c >= 0x10000) {
        units[0] = (unichar)(0xd800 + ((c - 0x10000) >> 10));
        units[1] = (unichar)(0xdc00 + ((c - 0x10000) & 0x3ff));
        count = 2;
    }
    for (size_t i = 0; i < count; i++) {
        to[2 * i] = (char)(big ? units[i] >> 8 : units[i]);
        to[2 * i + 1] = (char)(big ? units[i] : units[i] >> 8);
    }
    return count * 2;
}

/* Bytes of a string in an encoding (malloc, NUL-terminated); -EILSEQ when it cannot be expressed.
 */
int abx_ns_data_from_string(
        id string, NSUInteger encoding, bool lossy, char **ret_data, size_t *ret_length)
{
    struct text t = abx_ns_text(string);
    if (encoding == NSUTF8StringEncoding || t.ascii) {
        if (encoding == NSUTF8StringEncoding || encoding == NSASCIIStringEncoding ||
                encoding == NSISOLatin1StringEncoding || encoding == NSMacOSRomanStringEncoding) {
            *ret_data = clean_copy(t.data, t.length, ret_length);
            return 0;
        }
    }
    char *out = abx_ns_allocate(t.length * 4 + 8);
    size_t n = 0;
    const char *p = t.data, *end = t.data + t.length;
    if (encoding == NSUnicodeStringEncoding) /* with a byte order mark, as Apple's */
        n += put_utf16(out, 0xfeff, false);
    while (p < end) {
        uint32_t c = abx_ns_utf8_next(&p, end);
        uint32_t limit = encoding == NSISOLatin1StringEncoding ? 0x100 : 0x80;
        switch (encoding) {
        case NSUnicodeStringEncoding:
        case NSUTF16LittleEndianStringEncoding:
            n += put_utf16(out + n, c, false);
            break;
        case NSUTF16BigEndianStringEncoding:
            n += put_utf16(out + n, c, true);
            break;
        case NSUTF32StringEncoding:
        case NSUTF32LittleEndianStringEncoding:
            memcpy(out + n, &c, 4);
            n += 4;
            break;
        case NSASCIIStringEncoding:
        case NSISOLatin1StringEncoding:
        case NSMacOSRomanStringEncoding:
            if (c >= limit && !lossy)
                goto unfit;
            out[n++] = c >= limit ? '?' : (char)c;
            break;
        default:
            goto unfit;
        }
    }
    memset(out + n, 0, 4);
    *ret_data = out;
    *ret_length = n;
    return 0;
unfit:
    free(out);
    return -EILSEQ;
}

/* ---- creation */

static id init_decoded(id self, const void *bytes, size_t length, NSUInteger encoding)
{
    size_t clean;
    char *data = bytes || !length ? decode(bytes ? bytes : "", length, encoding, &clean) : NULL;
    if (!data) {
        objc_release(self);
        return nil;
    }
    adopt(inner(self), data, clean, clean + 1);
    return self;
}

static id init_text(id self, const char *utf8, size_t length)
{
    abx_ns_string_set(self, utf8, length);
    return self;
}

static id init_empty(id self, SEL cmd)
{
    return init_text(self, "", 0);
}

static id init_with_string(id self, SEL cmd, id other)
{
    struct text t = abx_ns_text(other);
    return init_text(self, t.data, t.length);
}

static id init_with_utf8(id self, SEL cmd, const char *utf8)
{
    if (!utf8)
        abx_ns_raise_argument("-[NSString initWithUTF8String:]: NULL");
    return init_decoded(self, utf8, strlen(utf8), NSUTF8StringEncoding);
}

static id init_with_cstring(id self, SEL cmd, const char *text, NSUInteger encoding)
{
    if (!text)
        abx_ns_raise_argument("-[NSString initWithCString:encoding:]: NULL");
    return init_decoded(self, text, strlen(text), encoding);
}

static id init_with_bytes(
        id self, SEL cmd, const void *bytes, NSUInteger length, NSUInteger encoding)
{
    return init_decoded(self, bytes, length, encoding);
}

static id init_with_bytes_no_copy(
        id self, SEL cmd, void *bytes, NSUInteger length, NSUInteger encoding, BOOL free_when_done)
{
    id string = init_decoded(self, bytes, length, encoding);
    if (string && free_when_done)
        free(bytes);
    return string;
}

static id init_with_data(id self, SEL cmd, id data, NSUInteger encoding)
{
    return init_decoded(self, abx_ns_data_bytes(data), abx_ns_data_length(data), encoding);
}

static id init_with_characters(id self, SEL cmd, const unichar *characters, NSUInteger count)
{
    size_t length;
    char *data = abx_ns_utf8_from_utf16(characters, count, &length);
    adopt(inner(self), data, length, length + 1);
    return self;
}

static id init_formatted(id self, id format, va_list arguments)
{
    id made = abx_ns_string_vprintf(format, arguments);
    struct text t = abx_ns_text(made);
    id string = init_text(self, t.data, t.length);
    objc_release(made);
    return string;
}

static id init_with_format(id self, SEL cmd, id format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    self = init_formatted(self, format, arguments);
    va_end(arguments);
    return self;
}

static id init_with_format_arguments(id self, SEL cmd, id format, va_list arguments)
{
    return init_formatted(self, format, arguments);
}

static id init_with_contents(id self, SEL cmd, id path, NSUInteger encoding, id *error)
{
    void *data;
    size_t length;
    const char *file = abx_ns_string_utf8(path);
    int r = file ? abx_read_file(file, SIZE_MAX / 4, &data, &length) : -ENOENT;
    if (r < 0) {
        if (error)
            *error = abx_ns_errno_error(-r, file);
        objc_release(self);
        return nil;
    }
    id string = init_decoded(self, data, length, encoding);
    free(data);
    if (!string && error)
        abx_ns_error_set(error, "NSCocoaErrorDomain", 261,
                "The file \"%s\" couldn't be opened using that text encoding.", file);
    return string;
}

static id init_with_capacity(id self, SEL cmd, NSUInteger capacity)
{
    return init_text(self, "", 0);
}

static id make(id cls)
{
    return class_createInstance((Class)cls, 0);
}

static id string_empty(id cls, SEL cmd)
{
    return objc_autorelease(init_text(make(cls), "", 0));
}

static id string_with_string(id cls, SEL cmd, id other)
{
    struct text t = abx_ns_text(other);
    return objc_autorelease(abx_ns_string_new((Class)cls, t.data, t.length));
}

static id string_with_utf8(id cls, SEL cmd, const char *utf8)
{
    if (!utf8)
        abx_ns_raise_argument("+[NSString stringWithUTF8String:]: NULL cString");
    size_t length = strlen(utf8);
    if (!abx_ns_is_utf8(utf8, length))
        return nil;
    return objc_autorelease(abx_ns_string_new((Class)cls, utf8, length));
}

static id string_with_cstring(id cls, SEL cmd, const char *text, NSUInteger encoding)
{
    return objc_autorelease(init_with_cstring(make(cls), cmd, text, encoding));
}

static id string_with_characters(id cls, SEL cmd, const unichar *characters, NSUInteger count)
{
    return objc_autorelease(init_with_characters(make(cls), cmd, characters, count));
}

static id string_with_format(id cls, SEL cmd, id format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    id string = init_formatted(make(cls), format, arguments);
    va_end(arguments);
    return objc_autorelease(string);
}

static id string_with_contents(id cls, SEL cmd, id path, NSUInteger encoding, id *error)
{
    return objc_autorelease(init_with_contents(make(cls), cmd, path, encoding, error));
}

static id string_with_contents_url(id cls, SEL cmd, id url, NSUInteger encoding, id *error)
{
    id path = url ? ABX_MSG(id, (id, SEL), url, "path") : nil;
    return objc_autorelease(init_with_contents(make(cls), cmd, path, encoding, error));
}

static id string_with_capacity(id cls, SEL cmd, NSUInteger capacity)
{
    return string_empty(cls, cmd);
}

static void string_dealloc(id self, SEL cmd)
{
    struct ns_string *s = inner(self);
    if (!(s->flags & STRING_INLINE))
        free((void *)s->data);
    abx_objc_dealloc_super(self, ABX_CLASS(NSString));
}

static id string_copy(id self, SEL cmd, void *zone)
{
    if (!abx_objc_is_kind_of(self, ABX_CLASS(NSMutableString)))
        return objc_retain(self);
    struct text t = abx_ns_text(self);
    return abx_ns_string_new(ABX_CLASS(NSString), t.data, t.length);
}

static id string_mutable_copy(id self, SEL cmd, void *zone)
{
    struct text t = abx_ns_text(self);
    return abx_ns_string_new(ABX_CLASS(NSMutableString), t.data, t.length);
}

/* ---- reading */

static NSUInteger string_length(id self, SEL cmd)
{
    return abx_ns_string_units(self);
}

static unichar character_at(id self, SEL cmd, NSUInteger index)
{
    NSUInteger units = abx_ns_string_units(self);
    if (index >= units)
        abx_ns_raise_range("-[NSString characterAtIndex:]: Range or index %lu out of bounds; "
                           "string length %lu",
                index, units);
    struct text t = abx_ns_text(self);
    if (t.ascii)
        return (unichar)t.data[index];
    const char *p = t.data + abx_ns_utf16_offset(t.data, t.length, index);
    NSUInteger before = abx_ns_utf16_count(t.data, (size_t)(p - t.data));
    uint32_t c = abx_ns_utf8_next(&p, t.data + t.length);
    if (c < 0x10000)
        return (unichar)c;
    c -= 0x10000;
    return (unichar)(before == index ? 0xd800 + (c >> 10) : 0xdc00 + (c & 0x3ff));
}

static void get_characters(id self, SEL cmd, unichar *to, NSRange range)
{
    abx_ns_string_slice(self, range, "getCharacters:range:");
    for (NSUInteger i = 0; i < range.length; i++)
        to[i] = character_at(self, cmd, range.location + i);
}

static void get_all_characters(id self, SEL cmd, unichar *to)
{
    get_characters(self, cmd, to, (NSRange){0, abx_ns_string_units(self)});
}

static const char *string_utf8(id self, SEL cmd)
{
    return abx_ns_text(self).data;
}

/* Bytes that live until the pool is drained. */
static const char *autoreleased_bytes(char *data, size_t length)
{
    return abx_ns_data_bytes(abx_ns_data_adopt(data, length + 1));
}

static const char *cstring_using(id self, SEL cmd, NSUInteger encoding)
{
    char *data;
    size_t length;
    if (encoding == NSUTF8StringEncoding ||
            (encoding == NSASCIIStringEncoding && abx_ns_text(self).ascii))
        return abx_ns_text(self).data;
    if (abx_ns_data_from_string(self, encoding, false, &data, &length) < 0)
        return NULL;
    return autoreleased_bytes(data, length);
}

static abx_objc_bool get_cstring(
        id self, SEL cmd, char *buffer, NSUInteger capacity, NSUInteger encoding)
{
    char *data;
    size_t length;
    if (abx_ns_data_from_string(self, encoding, false, &data, &length) < 0)
        return 0;
    bool fits = length < capacity;
    if (fits)
        memcpy(buffer, data, length + 1);
    else if (capacity)
        buffer[0] = '\0';
    free(data);
    return fits;
}

static id data_using_lossy(id self, SEL cmd, NSUInteger encoding, BOOL lossy)
{
    char *data;
    size_t length;
    if (abx_ns_data_from_string(self, encoding, lossy, &data, &length) < 0)
        return nil;
    return abx_ns_data_adopt(data, length);
}

static id data_using(id self, SEL cmd, NSUInteger encoding)
{
    return data_using_lossy(self, cmd, encoding, NO);
}

static NSUInteger length_of_bytes(id self, SEL cmd, NSUInteger encoding)
{
    char *data;
    size_t length;
    if (encoding == NSUTF8StringEncoding)
        return abx_ns_text(self).length;
    if (abx_ns_data_from_string(self, encoding, false, &data, &length) < 0)
        return 0;
    free(data);
    return encoding == NSUnicodeStringEncoding ? length - 2 : length;
}

static NSUInteger maximum_bytes(id self, SEL cmd, NSUInteger encoding)
{
    NSUInteger units = abx_ns_string_units(self);
    return encoding == NSUTF8StringEncoding                                             ? units * 3
           : encoding == NSASCIIStringEncoding || encoding == NSISOLatin1StringEncoding ? units
                                                                                        : units * 4;
}

static abx_objc_bool can_convert(id self, SEL cmd, NSUInteger encoding)
{
    char *data;
    size_t length;
    if (abx_ns_data_from_string(self, encoding, false, &data, &length) < 0)
        return 0;
    free(data);
    return 1;
}

static NSUInteger fastest_encoding(id self, SEL cmd)
{
    return abx_ns_text(self).ascii ? NSASCIIStringEncoding : NSUnicodeStringEncoding;
}

static abx_objc_bool string_is_equal(id self, SEL cmd, id other)
{
    return other &&
           (self == other || (abx_ns_is_string(other) && abx_ns_string_equal(self, other)));
}

static NSUInteger string_hash(id self, SEL cmd)
{
    struct text t = abx_ns_text(self);
    NSUInteger hash = 14695981039346656037ul;
    for (size_t i = 0; i < t.length; i++)
        hash = (hash ^ (uint8_t)t.data[i]) * 1099511628211ul;
    return hash ^ hash >> 32;
}

static id return_self(id self, SEL cmd)
{
    return self;
}

static abx_objc_bool write_to_file(
        id self, SEL cmd, id path, BOOL atomically, NSUInteger encoding, id *error)
{
    id data = data_using(self, cmd, encoding);
    if (!data) {
        abx_ns_error_set(error, "NSCocoaErrorDomain", 517,
                "The file couldn't be saved using that text encoding.");
        return 0;
    }
    return ABX_MSG(BOOL, (id, SEL, id, NSUInteger, id *), data, "writeToFile:options:error:", path,
            (NSUInteger)(atomically != 0), error);
}

/* ---- NSMutableString */

static struct ns_string *check_mutable(id self)
{
    return inner(self);
}

/* Puts text in place of `count` bytes at `at`. */
static void splice(id self, size_t at, size_t count, struct text with)
{
    struct ns_string *s = check_mutable(self);
    size_t length = (size_t)s->length, result = length - count + with.length;
    if (at == length && s->capacity > result && !(s->flags & STRING_INLINE) &&
            (with.data < s->data || with.data > s->data + length)) {
        char *data = (char *)s->data; /* appending, with room */
        memcpy(data + at, with.data, with.length);
        data[result] = '\0';
        s->length = (long)result;
        s->units += with.ascii ? with.length : abx_ns_utf16_count(with.data, with.length);
        s->flags |= with.ascii ? 0 : STRING_NOT_ASCII;
        return;
    }
    size_t capacity = result + result / 2 + 16;
    char *data = abx_ns_allocate(capacity);
    memcpy(data, s->data ? s->data : "", at);
    memcpy(data + at, with.data, with.length);
    memcpy(data + at + with.length, (s->data ? s->data : "") + at + count, length - at - count);
    data[result] = '\0';
    adopt(s, data, result, capacity);
}

static void append_string(id self, SEL cmd, id other)
{
    if (!other)
        abx_ns_raise_argument("-[NSMutableString appendString:]: nil argument");
    splice(self, (size_t)inner(self)->length, 0, abx_ns_text(other));
}

static void append_format(id self, SEL cmd, id format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    id made = abx_ns_string_vprintf(format, arguments);
    va_end(arguments);
    append_string(self, cmd, made);
    objc_release(made);
}

static void replace_range(id self, SEL cmd, NSRange range, id with)
{
    struct text old = abx_ns_string_slice(self, range, "replaceCharactersInRange:withString:");
    splice(self, (size_t)(old.data - abx_ns_text(self).data), old.length, abx_ns_text(with));
}

static void insert_string(id self, SEL cmd, id other, NSUInteger index)
{
    replace_range(self, cmd, (NSRange){index, 0}, other);
}

static void delete_range(id self, SEL cmd, NSRange range)
{
    replace_range(self, cmd, range, nil);
}

static void set_string(id self, SEL cmd, id other)
{
    struct text t = abx_ns_text(other);
    abx_ns_string_set(self, t.data, t.length);
}

static NSUInteger replace_occurrences(
        id self, SEL cmd, id target, id with, NSUInteger options, NSRange range)
{
    id part = ABX_MSG(id, (id, SEL, NSRange), self, "substringWithRange:", range);
    NSUInteger before = abx_ns_string_units(part), count = 0;
    for (NSRange at = {0, before};;) {
        NSRange found = ABX_MSG(NSRange, (id, SEL, id, NSUInteger, NSRange), part,
                "rangeOfString:options:range:", target, options & ~(NSUInteger)NSBackwardsSearch,
                at);
        if (found.location == NOT_FOUND || !found.length)
            break;
        count++;
        at.location = found.location + found.length;
        at.length = before - at.location;
    }
    if (count)
        replace_range(self, cmd, range,
                ABX_MSG(id, (id, SEL, id, id, NSUInteger, NSRange), part,
                        "stringByReplacingOccurrencesOfString:withString:options:range:", target,
                        with, options, ((NSRange){0, before})));
    return count;
}

static const struct abx_objc_method string_methods[] = {
        METHOD("init", "@@:", init_empty),
        METHOD("initWithString:", "@@:@", init_with_string),
        METHOD("initWithUTF8String:", "@@:r*", init_with_utf8),
        METHOD("initWithCString:encoding:", "@@:r*Q", init_with_cstring),
        METHOD("initWithBytes:length:encoding:", "@@:r^vQQ", init_with_bytes),
        METHOD("initWithBytesNoCopy:length:encoding:freeWhenDone:", "@@:^vQQB",
                init_with_bytes_no_copy),
        METHOD("initWithData:encoding:", "@@:@Q", init_with_data),
        METHOD("initWithCharacters:length:", "@@:r^SQ", init_with_characters),
        METHOD("initWithFormat:", "@@:@", init_with_format),
        METHOD("initWithFormat:arguments:", "@@:@^{__va_list_tag=II^v^v}",
                init_with_format_arguments),
        METHOD("initWithContentsOfFile:encoding:error:", "@@:@Q^@", init_with_contents),
        METHOD("dealloc", "v@:", string_dealloc),
        METHOD("copyWithZone:", "@@:" ZONE, string_copy),
        METHOD("mutableCopyWithZone:", "@@:" ZONE, string_mutable_copy),
        METHOD("length", "Q@:", string_length),
        METHOD("characterAtIndex:", "S@:Q", character_at),
        METHOD("getCharacters:range:", "v@:^S" RANGE, get_characters),
        METHOD("getCharacters:", "v@:^S", get_all_characters),
        METHOD("UTF8String", "r*@:", string_utf8),
        METHOD("fileSystemRepresentation", "r*@:", string_utf8),
        METHOD("cStringUsingEncoding:", "r*@:Q", cstring_using),
        METHOD("getCString:maxLength:encoding:", "B@:*QQ", get_cstring),
        METHOD("dataUsingEncoding:", "@@:Q", data_using),
        METHOD("dataUsingEncoding:allowLossyConversion:", "@@:QB", data_using_lossy),
        METHOD("lengthOfBytesUsingEncoding:", "Q@:Q", length_of_bytes),
        METHOD("maximumLengthOfBytesUsingEncoding:", "Q@:Q", maximum_bytes),
        METHOD("canBeConvertedToEncoding:", "B@:Q", can_convert),
        METHOD("fastestEncoding", "Q@:", fastest_encoding),
        METHOD("smallestEncoding", "Q@:", fastest_encoding),
        METHOD("isEqual:", "B@:@", string_is_equal),
        METHOD("isEqualToString:", "B@:@", string_is_equal),
        METHOD("hash", "Q@:", string_hash),
        METHOD("description", "@@:", return_self),
        METHOD("writeToFile:atomically:encoding:error:", "B@:@BQ^@", write_to_file),
        {NULL},
};
static NSUInteger default_encoding(id cls, SEL cmd)
{
    return NSUTF8StringEncoding;
}

static const struct abx_objc_method string_class_methods[] = {
        METHOD("string", "@@:", string_empty),
        METHOD("stringWithString:", "@@:@", string_with_string),
        METHOD("stringWithUTF8String:", "@@:r*", string_with_utf8),
        METHOD("stringWithCString:encoding:", "@@:r*Q", string_with_cstring),
        METHOD("stringWithCharacters:length:", "@@:r^SQ", string_with_characters),
        METHOD("stringWithFormat:", "@@:@", string_with_format),
        METHOD("localizedStringWithFormat:", "@@:@", string_with_format),
        METHOD("defaultCStringEncoding", "Q@:", default_encoding),
        METHOD("stringWithContentsOfFile:encoding:error:", "@@:@Q^@", string_with_contents),
        METHOD("stringWithContentsOfURL:encoding:error:", "@@:@Q^@", string_with_contents_url),
        {NULL},
};
static const struct abx_objc_method mutable_methods[] = {
        METHOD("initWithCapacity:", "@@:Q", init_with_capacity),
        METHOD("appendString:", "v@:@", append_string),
        METHOD("appendFormat:", "v@:@", append_format),
        METHOD("insertString:atIndex:", "v@:@Q", insert_string),
        METHOD("deleteCharactersInRange:", "v@:" RANGE, delete_range),
        METHOD("replaceCharactersInRange:withString:", "v@:" RANGE "@", replace_range),
        METHOD("replaceOccurrencesOfString:withString:options:range:", "Q@:@@Q" RANGE,
                replace_occurrences),
        METHOD("setString:", "v@:@", set_string),
        {NULL},
};
static const struct abx_objc_method mutable_class_methods[] = {
        METHOD("stringWithCapacity:", "@@:Q", string_with_capacity),
        {NULL},
};

__attribute__((constructor(102))) static void define(void)
{
    DEFINE(NSString, NSObject, struct ns_string, string_methods, string_class_methods, "NSCopying",
            "NSMutableCopying", "NSSecureCoding");
    DEFINE(NSMutableString, NSString, struct ns_string, mutable_methods, mutable_class_methods);
    abx_objc_define_class(&(struct abx_objc_class_spec){.name = "__NSCFConstantString",
            .storage = &__CFConstantStringClassReference,
            .meta_storage = &constant_meta,
            .superclass = ABX_CLASS(NSString),
            .instance_size = 32,
            .options = ABX_OBJC_IMMORTAL});
    abx_objc_add_methods(ABX_CLASS(NSString), abx_ns_string_search_methods, NULL);
    abx_objc_add_methods(
            ABX_CLASS(NSString), abx_ns_string_path_methods, abx_ns_string_path_class_methods);
}
