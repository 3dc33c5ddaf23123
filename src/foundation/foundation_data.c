/* foundation: NSData and NSMutableData. Guest's process; trusts it. */
#include "dispatch/data.h"
#include "foundation/foundation_internal.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

ABX_OBJC_CLASS(NSData)
ABX_OBJC_CLASS(NSMutableData)

static struct abx_data *inner(id data)
{
    return (struct abx_data *)data;
}

static void release_bytes(struct abx_data *d)
{
    if (d->deallocator) {
        ABX_BLOCK_CALL(void, (void *, void *, NSUInteger), d->deallocator, d->bytes, d->length);
        _Block_release(d->deallocator);
    } else if (d->owns) {
        free(d->bytes);
    }
    d->bytes = NULL;
    d->deallocator = NULL;
}

static void adopt(struct abx_data *d, void *bytes, size_t length)
{
    release_bytes(d);
    d->bytes = bytes;
    d->length = d->capacity = length;
    d->owns = true;
}

static id fill(id self, const void *bytes, size_t length)
{
    void *copy = abx_ns_allocate(length);
    if (length)
        memcpy(copy, bytes, length);
    adopt(inner(self), copy, length);
    return self;
}

id abx_ns_data_new(Class cls, const void *bytes, size_t length)
{
    return fill(class_createInstance(cls, 0), bytes, length);
}

/* ---- the C interface */

id abx_ns_data(const void *bytes, size_t length)
{
    return objc_autorelease(abx_ns_data_new(ABX_CLASS(NSData), bytes, length));
}

id abx_ns_data_adopt(void *bytes, size_t length)
{
    id data = class_createInstance(ABX_CLASS(NSData), 0);
    adopt(inner(data), bytes, length);
    return objc_autorelease(data);
}

const void *abx_ns_data_bytes(id data)
{
    return data ? inner(data)->bytes : NULL;
}

size_t abx_ns_data_length(id data)
{
    return data ? inner(data)->length : 0;
}

/* ---- creation */

static id init_bytes(id self, SEL cmd, const void *bytes, NSUInteger length)
{
    return fill(self, bytes, length);
}

static id init_no_copy_free(id self, SEL cmd, void *bytes, NSUInteger length, BOOL free_when_done)
{
    adopt(inner(self), bytes, length);
    inner(self)->owns = free_when_done;
    return self;
}

static id init_no_copy(id self, SEL cmd, void *bytes, NSUInteger length)
{
    return init_no_copy_free(self, cmd, bytes, length, YES);
}

static id init_no_copy_deallocator(
        id self, SEL cmd, void *bytes, NSUInteger length, void *deallocator)
{
    init_no_copy_free(self, cmd, bytes, length, NO);
    inner(self)->deallocator = _Block_copy(deallocator);
    return self;
}

static id init_data(id self, SEL cmd, id other)
{
    return fill(self, abx_ns_data_bytes(other), abx_ns_data_length(other));
}

static id init_file_options(id self, SEL cmd, id path, NSUInteger options, id *error)
{
    void *bytes;
    size_t length;
    const char *file = abx_ns_string_utf8(path);
    int r = file ? abx_read_file(file, SIZE_MAX / 4, &bytes, &length) : -ENOENT;
    if (r < 0) {
        if (error)
            *error = abx_ns_errno_error(-r, file);
        objc_release(self);
        return nil;
    }
    adopt(inner(self), bytes, length);
    return self;
}

static id init_file(id self, SEL cmd, id path)
{
    return init_file_options(self, cmd, path, 0, NULL);
}

static id path_of(id url)
{
    return url ? ABX_MSG(id, (id, SEL), url, "path") : nil;
}

static id init_url_options(id self, SEL cmd, id url, NSUInteger options, id *error)
{
    return init_file_options(self, cmd, path_of(url), options, error);
}

static id init_url(id self, SEL cmd, id url)
{
    return init_file_options(self, cmd, path_of(url), 0, NULL);
}

static id make(id cls)
{
    return class_createInstance((Class)cls, 0);
}

static id data_empty(id cls, SEL cmd)
{
    return objc_autorelease(make(cls));
}

static id data_bytes_length(id cls, SEL cmd, const void *bytes, NSUInteger length)
{
    return objc_autorelease(fill(make(cls), bytes, length));
}

static id data_no_copy(id cls, SEL cmd, void *bytes, NSUInteger length)
{
    return objc_autorelease(init_no_copy(make(cls), cmd, bytes, length));
}

static id data_no_copy_free(id cls, SEL cmd, void *bytes, NSUInteger length, BOOL free_when_done)
{
    return objc_autorelease(init_no_copy_free(make(cls), cmd, bytes, length, free_when_done));
}

static id data_data(id cls, SEL cmd, id other)
{
    return objc_autorelease(init_data(make(cls), cmd, other));
}

static id data_file(id cls, SEL cmd, id path)
{
    return objc_autorelease(init_file(make(cls), cmd, path));
}

static id data_file_options(id cls, SEL cmd, id path, NSUInteger options, id *error)
{
    return objc_autorelease(init_file_options(make(cls), cmd, path, options, error));
}

static id data_url(id cls, SEL cmd, id url)
{
    return objc_autorelease(init_url(make(cls), cmd, url));
}

static id data_url_options(id cls, SEL cmd, id url, NSUInteger options, id *error)
{
    return objc_autorelease(init_url_options(make(cls), cmd, url, options, error));
}

static void data_dealloc(id self, SEL cmd)
{
    release_bytes(inner(self));
    abx_objc_dealloc_super(self, ABX_CLASS(NSData));
}

static id data_copy(id self, SEL cmd, void *zone)
{
    if (!abx_objc_is_kind_of(self, ABX_CLASS(NSMutableData)))
        return objc_retain(self);
    return abx_ns_data_new(ABX_CLASS(NSData), inner(self)->bytes, inner(self)->length);
}

static id data_mutable_copy(id self, SEL cmd, void *zone)
{
    return abx_ns_data_new(ABX_CLASS(NSMutableData), inner(self)->bytes, inner(self)->length);
}

/* ---- reading */

static const void *data_bytes(id self, SEL cmd)
{
    return inner(self)->bytes;
}

static NSUInteger data_length(id self, SEL cmd)
{
    return inner(self)->length;
}

static void check_range(id self, NSRange range, const char *method)
{
    if (!abx_range_ok(range.location, range.length, inner(self)->length))
        abx_ns_raise_range("-[%s %s]: range {%lu, %lu} exceeds data length %zu",
                object_getClassName(self), method, range.location, range.length,
                inner(self)->length);
}

static void get_bytes_range(id self, SEL cmd, void *to, NSRange range)
{
    check_range(self, range, "getBytes:range:");
    memcpy(to, (char *)inner(self)->bytes + range.location, range.length);
}

static void get_bytes_length(id self, SEL cmd, void *to, NSUInteger length)
{
    size_t have = inner(self)->length;
    memcpy(to, inner(self)->bytes, length < have ? length : have);
}

static id subdata(id self, SEL cmd, NSRange range)
{
    check_range(self, range, "subdataWithRange:");
    return abx_ns_data((char *)inner(self)->bytes + range.location, range.length);
}

static abx_objc_bool equal_data(id self, SEL cmd, id other)
{
    return self == other ||
           (abx_objc_is_kind_of(other, ABX_CLASS(NSData)) &&
                   inner(self)->length == inner(other)->length &&
                   memcmp(inner(self)->bytes, inner(other)->bytes, inner(self)->length) == 0);
}

static NSUInteger data_hash(id self, SEL cmd)
{
    NSUInteger hash = 5381;
    for (size_t i = 0; i < inner(self)->length && i < 80; i++)
        hash = hash * 33 + ((uint8_t *)inner(self)->bytes)[i];
    return hash;
}

static id data_description(id self, SEL cmd)
{
    struct abx_string out = {0};
    enum { SHOWN = 24 };
    abx_string_printf(&out, "{length = %zu, bytes = 0x", inner(self)->length);
    for (size_t i = 0; i < inner(self)->length && i < SHOWN; i++)
        abx_string_printf(&out, "%02x", ((uint8_t *)inner(self)->bytes)[i]);
    abx_string_printf(&out, inner(self)->length > SHOWN ? " ... }" : "}");
    id result = abx_ns_string_bytes(out.data, out.length);
    abx_string_finish(&out);
    return result;
}

enum { WRITE_ATOMICALLY = 1 };

/* Atomically: beside the target, then renamed over it, so that readers see the old or the new. */
static int write_file(const char *path, const void *bytes, size_t length, bool atomically)
{
    char *temporary = NULL;
    if (asprintf(&temporary, "%s.XXXXXX", path) < 0)
        return -ENOMEM;
    int fd = atomically ? mkstemp(temporary)
                        : open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    int r = fd < 0 ? -errno : abx_write_all(fd, bytes, length);
    if (fd >= 0 && atomically && r == 0) {
        mode_t mask = umask(0);
        umask(mask);
        r = fchmod(fd, 0666 & ~mask) < 0 ? -errno : 0;
    }
    if (fd >= 0 && close(fd) < 0 && r == 0)
        r = -errno;
    if (atomically && r == 0 && rename(temporary, path) < 0)
        r = -errno;
    if (atomically && fd >= 0 && r < 0)
        unlink(temporary);
    free(temporary);
    return r;
}

static abx_objc_bool write_options(id self, SEL cmd, id path, NSUInteger options, id *error)
{
    const char *file = abx_ns_string_utf8(path);
    int r = file ? write_file(file, inner(self)->bytes, inner(self)->length,
                           options & WRITE_ATOMICALLY)
                 : -ENOENT;
    if (r < 0 && error)
        *error = abx_ns_errno_error(-r, file);
    return r == 0;
}

static abx_objc_bool write_atomically(id self, SEL cmd, id path, BOOL atomically)
{
    return write_options(self, cmd, path, atomically ? WRITE_ATOMICALLY : 0, NULL);
}

static abx_objc_bool write_url(id self, SEL cmd, id url, BOOL atomically)
{
    return write_atomically(self, cmd, path_of(url), atomically);
}

static abx_objc_bool write_url_options(id self, SEL cmd, id url, NSUInteger options, id *error)
{
    return write_options(self, cmd, path_of(url), options, error);
}

/* ---- NSMutableData */

static void reserve(struct abx_data *d, size_t length)
{
    if (length <= d->capacity && d->owns)
        return;
    size_t capacity = d->capacity + d->capacity / 2;
    d->capacity = capacity < length ? length : capacity;
    void *bytes = d->owns || !d->bytes ? abx_ns_reallocate(d->bytes, d->capacity)
                                       : abx_ns_allocate(d->capacity);
    if (!d->owns && d->bytes) {
        memcpy(bytes, d->bytes, d->length);
        release_bytes(d);
    }
    d->bytes = bytes;
    d->owns = true;
}

static void set_length(id self, SEL cmd, NSUInteger length)
{
    struct abx_data *d = inner(self);
    reserve(d, length);
    if (length > d->length)
        memset((char *)d->bytes + d->length, 0, length - d->length);
    d->length = length;
}

static void increase_length(id self, SEL cmd, NSUInteger by)
{
    set_length(self, cmd, inner(self)->length + by);
}

static void append_bytes(id self, SEL cmd, const void *bytes, NSUInteger length)
{
    struct abx_data *d = inner(self);
    reserve(d, d->length + length);
    if (length)
        memcpy((char *)d->bytes + d->length, bytes, length);
    d->length += length;
}

static void append_data(id self, SEL cmd, id other)
{
    if (self == other)
        other = abx_ns_data(inner(other)->bytes, inner(other)->length);
    append_bytes(self, cmd, abx_ns_data_bytes(other), abx_ns_data_length(other));
}

static void replace_range_length(
        id self, SEL cmd, NSRange range, const void *bytes, NSUInteger length)
{
    struct abx_data *d = inner(self);
    check_range(self, range, "replaceBytesInRange:withBytes:length:");
    size_t tail = d->length - range.location - range.length;
    reserve(d, range.location + length + tail);
    char *at = (char *)d->bytes + range.location;
    memmove(at + length, at + range.length, tail);
    if (bytes)
        memcpy(at, bytes, length);
    else
        memset(at, 0, length);
    d->length = range.location + length + tail;
}

static void replace_range(id self, SEL cmd, NSRange range, const void *bytes)
{
    replace_range_length(self, cmd, range, bytes, range.length);
}

static void reset_range(id self, SEL cmd, NSRange range)
{
    replace_range_length(self, cmd, range, NULL, range.length);
}

static void set_data(id self, SEL cmd, id other)
{
    fill(self, abx_ns_data_bytes(other), abx_ns_data_length(other));
}

static id init_capacity(id self, SEL cmd, NSUInteger capacity)
{
    return self;
}

static id init_length(id self, SEL cmd, NSUInteger length)
{
    set_length(self, cmd, length);
    return self;
}

static id data_with_length(id cls, SEL cmd, NSUInteger length)
{
    return objc_autorelease(init_length(make(cls), cmd, length));
}

static id data_with_capacity(id cls, SEL cmd, NSUInteger capacity)
{
    return data_empty(cls, cmd);
}

static const struct abx_objc_method data_methods[] = {
        METHOD("initWithBytes:length:", "@@:r^vQ", init_bytes),
        METHOD("initWithBytesNoCopy:length:", "@@:^vQ", init_no_copy),
        METHOD("initWithBytesNoCopy:length:freeWhenDone:", "@@:^vQB", init_no_copy_free),
        METHOD("initWithBytesNoCopy:length:deallocator:", "@@:^vQ@?", init_no_copy_deallocator),
        METHOD("initWithData:", "@@:@", init_data),
        METHOD("initWithContentsOfFile:", "@@:@", init_file),
        METHOD("initWithContentsOfFile:options:error:", "@@:@Q^@", init_file_options),
        METHOD("initWithContentsOfURL:", "@@:@", init_url),
        METHOD("initWithContentsOfURL:options:error:", "@@:@Q^@", init_url_options),
        METHOD("dealloc", "v@:", data_dealloc),
        METHOD("copyWithZone:", "@@:" ZONE, data_copy),
        METHOD("mutableCopyWithZone:", "@@:" ZONE, data_mutable_copy),
        METHOD("bytes", "r^v@:", data_bytes),
        METHOD("length", "Q@:", data_length),
        METHOD("getBytes:length:", "v@:^vQ", get_bytes_length),
        METHOD("getBytes:range:", "v@:^v" RANGE, get_bytes_range),
        METHOD("subdataWithRange:", "@@:" RANGE, subdata),
        METHOD("isEqual:", "B@:@", equal_data),
        METHOD("isEqualToData:", "B@:@", equal_data),
        METHOD("hash", "Q@:", data_hash),
        METHOD("description", "@@:", data_description),
        METHOD("writeToFile:atomically:", "B@:@B", write_atomically),
        METHOD("writeToFile:options:error:", "B@:@Q^@", write_options),
        METHOD("writeToURL:atomically:", "B@:@B", write_url),
        METHOD("writeToURL:options:error:", "B@:@Q^@", write_url_options),
        {NULL},
};
static const struct abx_objc_method data_class_methods[] = {
        METHOD("data", "@@:", data_empty),
        METHOD("dataWithBytes:length:", "@@:r^vQ", data_bytes_length),
        METHOD("dataWithBytesNoCopy:length:", "@@:^vQ", data_no_copy),
        METHOD("dataWithBytesNoCopy:length:freeWhenDone:", "@@:^vQB", data_no_copy_free),
        METHOD("dataWithData:", "@@:@", data_data),
        METHOD("dataWithContentsOfFile:", "@@:@", data_file),
        METHOD("dataWithContentsOfFile:options:error:", "@@:@Q^@", data_file_options),
        METHOD("dataWithContentsOfURL:", "@@:@", data_url),
        METHOD("dataWithContentsOfURL:options:error:", "@@:@Q^@", data_url_options),
        {NULL},
};
static const struct abx_objc_method mutable_methods[] = {
        METHOD("initWithCapacity:", "@@:Q", init_capacity),
        METHOD("initWithLength:", "@@:Q", init_length),
        METHOD("mutableBytes", "^v@:", data_bytes),
        METHOD("setLength:", "v@:Q", set_length),
        METHOD("increaseLengthBy:", "v@:Q", increase_length),
        METHOD("appendBytes:length:", "v@:r^vQ", append_bytes),
        METHOD("appendData:", "v@:@", append_data),
        METHOD("replaceBytesInRange:withBytes:", "v@:" RANGE "r^v", replace_range),
        METHOD("replaceBytesInRange:withBytes:length:", "v@:" RANGE "r^vQ", replace_range_length),
        METHOD("resetBytesInRange:", "v@:" RANGE, reset_range),
        METHOD("setData:", "v@:@", set_data),
        {NULL},
};
static const struct abx_objc_method mutable_class_methods[] = {
        METHOD("dataWithCapacity:", "@@:Q", data_with_capacity),
        METHOD("dataWithLength:", "@@:Q", data_with_length),
        {NULL},
};

void abx_ns_define_dispatch_data(void);

__attribute__((constructor(102))) static void define(void)
{
    DEFINE(NSData, NSObject, struct abx_data, data_methods, data_class_methods, "NSCopying",
            "NSMutableCopying", "NSSecureCoding");
    DEFINE(NSMutableData, NSData, struct abx_data, mutable_methods, mutable_class_methods);
    abx_dispatch_define_data(ABX_CLASS(NSData));
}
