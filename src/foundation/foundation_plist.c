/* foundation: property lists in XML's form: NSPropertyListSerialization and Core Foundation's ways
 * to read one. <data>, <date>, binary ones and the old text form are refused by name. Guest's
 * process; trusts it, and not the text that it reads: depth is bounded, every end is checked. */
#include "foundation/foundation_internal.h"
#include "CoreFoundation/CFPropertyList.h"
#include "CoreFoundation/CFStream.h"
#include "CoreFoundation/CFURL.h"

#include <stdio.h>

ABX_OBJC_CLASS(NSPropertyListSerialization)

#define DEPTH 128

struct reader {
    const char *at, *end;
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

static bool starts(const struct reader *r, const char *text)
{
    size_t n = strlen(text);
    return (size_t)(r->end - r->at) >= n && !memcmp(r->at, text, n);
}

static bool take(struct reader *r, const char *text)
{
    if (!starts(r, text))
        return false;
    r->at += strlen(text);
    return true;
}

/* Past the next `text`; false at the end. */
static bool skip_past(struct reader *r, const char *text)
{
    const char *found = memmem(r->at, (size_t)(r->end - r->at), text, strlen(text));
    r->at = found ? found + strlen(text) : r->end;
    return found != NULL;
}

/* Blanks, comments, <?...?> and <!DOCTYPE ...>. */
static void skip_between(struct reader *r)
{
    for (;;) {
        while (r->at < r->end && *r->at && strchr(" \t\r\n", *r->at))
            r->at++;
        if (starts(r, "<!--"))
            skip_past(r, "-->");
        else if (starts(r, "<?"))
            skip_past(r, "?>");
        else if (starts(r, "<!"))
            skip_past(r, ">");
        else
            return;
    }
}

/* <name>, <name ...> and <name/>. */
static bool open_tag(struct reader *r, const char *name, bool *ret_empty)
{
    size_t n = strlen(name);
    skip_between(r);
    if ((size_t)(r->end - r->at) < n + 2 || *r->at != '<' || memcmp(r->at + 1, name, n) ||
            !strchr(" \t\r\n>/", r->at[n + 1]))
        return false;
    if (!skip_past(r, ">"))
        return false;
    *ret_empty = r->at[-2] == '/';
    return true;
}

static bool close_tag(struct reader *r, const char *name)
{
    skip_between(r);
    return take(r, "</") && take(r, name) && take(r, ">");
}

/* ---- text */

static void add_entity(struct reader *r, struct abx_string *to)
{
    static const char *const names[][2] = {
            {"lt;", "<"}, {"gt;", ">"}, {"amp;", "&"}, {"quot;", "\""}, {"apos;", "'"}};
    char utf8[4], *end;
    for (size_t i = 0; i < ABX_ARRAY_SIZE(names); i++)
        if (take(r, names[i][0])) {
            abx_string_add(to, names[i][1], 1);
            return;
        }
    char number[12] = {0};
    memcpy(number, r->at, (size_t)(r->end - r->at) < 11 ? (size_t)(r->end - r->at) : 11);
    bool hex = number[0] == '#' && number[1] == 'x';
    unsigned long code = number[0] == '#' ? strtoul(number + 1 + hex, &end, hex ? 16 : 10) : 0;
    if (!code || code > 0x10ffff || *end != ';') {
        fail(r, "an entity that XML does not have");
        return;
    }
    r->at += end - number + 1;
    abx_string_add(to, utf8, abx_ns_utf8_put(utf8, (uint32_t)code));
}

/* What stands before </name>, without it. */
static id read_text(struct reader *r, const char *name)
{
    struct abx_string text = {0};
    while (r->at < r->end && !starts(r, "</") && !r->wrong) {
        const char *from = r->at;
        if (take(r, "&")) {
            add_entity(r, &text);
        } else if (take(r, "<![CDATA[")) {
            from = r->at;
            if (skip_past(r, "]]>"))
                abx_string_add(&text, from, (size_t)(r->at - 3 - from));
        } else if (*r->at == '<') {
            fail(r, "an element within text");
        } else {
            while (r->at < r->end && *r->at != '&' && *r->at != '<')
                r->at++;
            abx_string_add(&text, from, (size_t)(r->at - from));
        }
    }
    if (!r->wrong && (!take(r, "</") || !take(r, name) || !take(r, ">")))
        fail(r, "an element that does not end");
    id result = abx_ns_string_bytes(text.data ? text.data : "", text.length);
    abx_string_finish(&text);
    return r->wrong ? nil : result;
}

/* ---- values */

static id read_dictionary(struct reader *r)
{
    bool empty;
    id result = abx_ns_mutable_dictionary();
    while (!r->wrong && open_tag(r, "key", &empty)) {
        id key = empty ? abx_ns_string("") : read_text(r, "key");
        id value = key ? read_value(r) : nil;
        if (value)
            abx_ns_dictionary_set(result, key, value);
    }
    if (!r->wrong && !close_tag(r, "dict"))
        fail(r, "a <dict> with something other than <key> and a value");
    return result;
}

static id read_array(struct reader *r)
{
    id result = abx_ns_mutable_array();
    while (!r->wrong && !close_tag(r, "array")) {
        id value = read_value(r);
        if (value)
            abx_ns_array_add(result, value);
    }
    return result;
}

static id read_scalar(struct reader *r)
{
    bool empty;
    if (open_tag(r, "string", &empty))
        return empty ? abx_ns_string("") : read_text(r, "string");
    if (open_tag(r, "true", &empty))
        return empty || close_tag(r, "true") ? abx_ns_number_bool(true)
                                             : fail(r, "a <true> that does not end");
    if (open_tag(r, "false", &empty))
        return empty || close_tag(r, "false") ? abx_ns_number_bool(false)
                                              : fail(r, "a <false> that does not end");
    if (open_tag(r, "integer", &empty) && !empty) {
        id text = read_text(r, "integer");
        return text ? abx_ns_number_int(strtoll(abx_ns_string_utf8(text), NULL, 0)) : nil;
    }
    if (open_tag(r, "real", &empty) && !empty) {
        id text = read_text(r, "real");
        return text ? abx_ns_number_double(strtod(abx_ns_string_utf8(text), NULL)) : nil;
    }
    return fail(r, "an element that is not supported here, or none");
}

static id read_value(struct reader *r)
{
    bool empty;
    id value;
    if (++r->depth > DEPTH)
        return fail(r, "more than 128 levels");
    if (open_tag(r, "dict", &empty))
        value = empty ? abx_ns_mutable_dictionary() : read_dictionary(r);
    else if (open_tag(r, "array", &empty))
        value = empty ? abx_ns_mutable_array() : read_array(r);
    else
        value = read_scalar(r);
    r->depth--;
    return r->wrong ? nil : value;
}

/* Autoreleased; containers are mutable. nil: *ret_wrong says why. */
static id read_list(id data, const char **ret_wrong)
{
    struct reader r = {.at = abx_ns_data_bytes(data)};
    r.end = r.at + abx_ns_data_length(data);
    bool empty;
    id value = nil;
    if (starts(&r, "bplist"))
        fail(&r, "binary property lists are not supported");
    else if (!open_tag(&r, "plist", &empty) || empty)
        fail(&r, "no <plist> with something in it");
    else
        value = read_value(&r);
    if (!r.wrong && !close_tag(&r, "plist"))
        fail(&r, "no </plist> behind the value");
    *ret_wrong = r.wrong;
    return r.wrong ? nil : value;
}

static id list_with_data(
        id cls, SEL cmd, id data, NSUInteger options, NSUInteger *ret_format, id *error)
{
    const char *wrong = "no data";
    id value = data ? read_list(data, &wrong) : nil;
    if (value && ret_format)
        *ret_format = 100; /* NSPropertyListXMLFormat_v1_0 */
    if (!value)
        abx_ns_error_set(error, "NSCocoaErrorDomain", 3840, "arcbox: a property list: %s", wrong);
    return value;
}

static id contents_of_file(id cls, SEL cmd, id path)
{
    const char *wrong;
    id data = ABX_MSG(id, (id, SEL, id), (id)ABX_CLASS(NSData), "dataWithContentsOfFile:", path);
    id value = data ? read_list(data, &wrong) : nil;
    return value && abx_objc_is_kind_of(value, (Class)cls) ? value : nil;
}

static id contents_of_url(id cls, SEL cmd, id url)
{
    const char *path = abx_ns_url_path(url);
    return path ? contents_of_file(cls, cmd, abx_ns_string(path)) : nil;
}

/* ---- Core Foundation */

ABX_EXPORT CFPropertyListRef CFPropertyListCreateWithData(CFAllocatorRef allocator, CFDataRef data,
        CFOptionFlags options, CFPropertyListFormat *format, CFErrorRef *error)
{
    void *pool = objc_autoreleasePoolPush();
    id wrong = nil;
    NSUInteger found = 0;
    id value = objc_retain(list_with_data(nil, NULL, abx_ns_of_cf(data), options, &found, &wrong));
    objc_retain(wrong);
    objc_autoreleasePoolPop(pool);
    if (value && format)
        *format = (CFPropertyListFormat)found;
    if (!value && error)
        *error = (CFErrorRef)wrong;
    else
        objc_release(wrong);
    return value;
}

ABX_EXPORT CFURLRef CFURLCreateWithFileSystemPath(
        CFAllocatorRef allocator, CFStringRef path, CFURLPathStyle style, Boolean is_folder)
{
    if (style != kCFURLPOSIXPathStyle)
        return NULL;
    void *pool = objc_autoreleasePoolPush();
    id url = objc_retain(abx_ns_url_file(abx_ns_string_utf8(abx_ns_of_cf(path))));
    objc_autoreleasePoolPop(pool);
    return (CFURLRef)url;
}

ABX_EXPORT CFStringRef CFURLCopyFileSystemPath(CFURLRef url, CFURLPathStyle style)
{
    void *pool = objc_autoreleasePoolPush();
    id path =
            style == kCFURLPOSIXPathStyle ? abx_ns_string(abx_ns_url_path(abx_ns_of_cf(url))) : nil;
    objc_retain(path);
    objc_autoreleasePoolPop(pool);
    return (CFStringRef)path;
}

ABX_EXPORT Boolean CFURLGetFileSystemRepresentation(
        CFURLRef url, Boolean absolute, UInt8 *buffer, CFIndex capacity)
{
    void *pool = objc_autoreleasePoolPush();
    const char *path = abx_ns_url_path(abx_ns_of_cf(url));
    bool fits = path && capacity > 0 && strlen(path) < (size_t)capacity;
    if (fits)
        strcpy((char *)buffer, path);
    objc_autoreleasePoolPop(pool);
    return fits;
}

/* ---- streams: a file read whole when it is opened */

ABX_OBJC_CLASS(CFReadStream)

struct read_stream {
    Class isa;
    id url, data;
    size_t at;
};

static struct read_stream *stream_of(CFReadStreamRef stream)
{
    return (struct read_stream *)stream;
}

ABX_EXPORT CFReadStreamRef CFReadStreamCreateWithFile(CFAllocatorRef allocator, CFURLRef url)
{
    if (!url)
        return NULL;
    CFReadStreamRef stream = (CFReadStreamRef)class_createInstance(ABX_CLASS(CFReadStream), 0);
    stream_of(stream)->url = objc_retain(abx_ns_of_cf(url));
    return stream;
}

ABX_EXPORT Boolean CFReadStreamOpen(CFReadStreamRef stream)
{
    struct read_stream *s = stream_of(stream);
    void *pool = objc_autoreleasePoolPush();
    s->data = objc_retain(
            ABX_MSG(id, (id, SEL, id), (id)ABX_CLASS(NSData), "dataWithContentsOfURL:", s->url));
    objc_autoreleasePoolPop(pool);
    return s->data != nil;
}

ABX_EXPORT CFIndex CFReadStreamRead(CFReadStreamRef stream, UInt8 *buffer, CFIndex length)
{
    struct read_stream *s = stream_of(stream);
    if (!s->data || length < 0)
        return -1;
    size_t left = abx_ns_data_length(s->data) - s->at,
           n = left < (size_t)length ? left : (size_t)length;
    memcpy(buffer, (const char *)abx_ns_data_bytes(s->data) + s->at, n);
    s->at += n;
    return (CFIndex)n;
}

ABX_EXPORT void CFReadStreamClose(CFReadStreamRef stream)
{
    objc_release(stream_of(stream)->data);
    stream_of(stream)->data = nil;
}

static void stream_dealloc(id self, SEL cmd)
{
    struct read_stream *s = (struct read_stream *)self;
    objc_release(s->url);
    objc_release(s->data);
    abx_objc_dealloc_super(self, ABX_CLASS(CFReadStream));
}

ABX_EXPORT CFPropertyListRef CFPropertyListCreateWithStream(CFAllocatorRef allocator,
        CFReadStreamRef stream, CFIndex length, CFOptionFlags options, CFPropertyListFormat *format,
        CFErrorRef *error)
{
    struct read_stream *s = stream_of(stream);
    void *pool = objc_autoreleasePoolPush();
    size_t left = abx_ns_data_length(s->data) - s->at;
    size_t n = length > 0 && (size_t)length < left ? (size_t)length : left;
    id part = abx_ns_data((const char *)abx_ns_data_bytes(s->data) + s->at, n);
    s->at += n;
    CFPropertyListRef value =
            CFPropertyListCreateWithData(allocator, (CFDataRef)part, options, format, error);
    objc_autoreleasePoolPop(pool);
    return value;
}

static const struct abx_objc_method class_methods[] = {
        METHOD("propertyListWithData:options:format:error:", "@@:@Q^Q^@", list_with_data),
        {NULL},
};
static const struct abx_objc_method of_dictionaries[] = {
        METHOD("dictionaryWithContentsOfFile:", "@@:@", contents_of_file),
        METHOD("dictionaryWithContentsOfURL:", "@@:@", contents_of_url),
        {NULL},
};
static const struct abx_objc_method of_arrays[] = {
        METHOD("arrayWithContentsOfFile:", "@@:@", contents_of_file),
        METHOD("arrayWithContentsOfURL:", "@@:@", contents_of_url),
        {NULL},
};
static const struct abx_objc_method stream_methods[] = {
        METHOD("dealloc", "v@:", stream_dealloc),
        {NULL},
};

__attribute__((constructor(103))) static void define(void)
{
    static const struct abx_objc_method none[] = {{NULL}};
    DEFINE(NSPropertyListSerialization, NSObject, struct { Class isa; }, none, class_methods);
    DEFINE(CFReadStream, NSObject, struct read_stream, stream_methods, none);
    abx_objc_add_methods(ABX_CLASS(NSDictionary), none, of_dictionaries);
    abx_objc_add_methods(ABX_CLASS(NSArray), none, of_arrays);
}
