/* foundation: NSUUID. Guest's process; trusts it. */
#include "foundation/foundation_internal.h"

#include <stdio.h>
#include <sys/random.h>

ABX_OBJC_CLASS(NSUUID)

struct ns_uuid {
    Class isa;
    uint8_t bytes[16];
};

static uint8_t *uuid_bytes(id self)
{
    return ((struct ns_uuid *)self)->bytes;
}

static id uuid_init(id self, SEL cmd)
{
    uint8_t *b = uuid_bytes(self);
    if (getrandom(b, 16, 0) != 16)
        abort();
    b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
    b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
    return self;
}

static id uuid_make(id cls, SEL cmd)
{
    return objc_autorelease(uuid_init(class_createInstance((Class)cls, 0), cmd));
}

static id uuid_init_bytes(id self, SEL cmd, const uint8_t *bytes)
{
    memcpy(uuid_bytes(self), bytes, 16);
    return self;
}

static id uuid_init_string(id self, SEL cmd, id string)
{
    const char *p = abx_ns_string_utf8(string);
    unsigned count = 0;
    for (; p && *p && count < 16; p++) {
        unsigned value;
        if (*p == '-')
            continue;
        if (sscanf(p, "%2x", &value) != 1 || !p[1])
            break;
        uuid_bytes(self)[count++] = (uint8_t)value;
        p++;
    }
    if (count == 16 && !*p && abx_ns_string_bytes_count(string) == 36)
        return self;
    objc_release(self);
    return nil;
}

static id uuid_string(id self, SEL cmd)
{
    const uint8_t *b = uuid_bytes(self);
    return abx_ns_string_printf(
            "%02X%02X%02X%02X-%02X%02X-%02X%02X-%02X%02X-%02X%02X%02X%02X%02X%02X", b[0], b[1],
            b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14],
            b[15]);
}

static void uuid_get(id self, SEL cmd, uint8_t *bytes)
{
    memcpy(bytes, uuid_bytes(self), 16);
}

static abx_objc_bool uuid_equal(id self, SEL cmd, id other)
{
    return abx_objc_is_kind_of(other, ABX_CLASS(NSUUID)) &&
           memcmp(uuid_bytes(self), uuid_bytes(other), 16) == 0;
}

static NSUInteger uuid_hash(id self, SEL cmd)
{
    NSUInteger hash;
    memcpy(&hash, uuid_bytes(self), sizeof(hash));
    return hash;
}

static const struct abx_objc_method uuid_methods[] = {
        METHOD("init", "@@:", uuid_init),
        METHOD("initWithUUIDString:", "@@:@", uuid_init_string),
        METHOD("initWithUUIDBytes:", "@@:r*", uuid_init_bytes),
        METHOD("getUUIDBytes:", "v@:*", uuid_get),
        METHOD("UUIDString", "@@:", uuid_string),
        METHOD("description", "@@:", uuid_string),
        METHOD("isEqual:", "B@:@", uuid_equal),
        METHOD("hash", "Q@:", uuid_hash),
        METHOD("copyWithZone:", "@@:" ZONE, abx_ns_copy_immutable),
        {NULL},
};
static const struct abx_objc_method uuid_class_methods[] = {
        METHOD("UUID", "@@:", uuid_make),
        {NULL},
};

__attribute__((constructor(102))) static void define(void)
{
    DEFINE(NSUUID, NSObject, struct ns_uuid, uuid_methods, uuid_class_methods, "NSCopying");
}
