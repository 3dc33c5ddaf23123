/* foundation: Core Foundation's arrays, dictionaries, numbers and data, which are Foundation's
 * objects; no others can be made, so callbacks are those of objects. Guest's process; trusts it. */
#include "foundation/foundation_internal.h"
#include "CoreFoundation/CFArray.h"
#include "CoreFoundation/CFData.h"
#include "CoreFoundation/CFDictionary.h"
#include "CoreFoundation/CFNumber.h"
#include "CoreFoundation/CFString.h"

#include <stdio.h>

static const void *as_cf(id object)
{
    return object;
}

enum type_id { /* as a Mac's */
    TYPE_NOTHING = 1,
    TYPE_STRING = 7,
    TYPE_DICTIONARY = 18,
    TYPE_ARRAY = 19,
    TYPE_DATA = 20,
    TYPE_BOOLEAN = 21,
    TYPE_NUMBER = 22,
};

/* ---- arrays */

ABX_EXPORT const CFArrayCallBacks kCFTypeArrayCallBacks = {0};

static bool refuse(const char *function)
{
    fprintf(stderr, "arcbox: %s: callbacks other than kCFType...CallBacks are not supported\n",
            function);
    return false;
}

static bool right_array(const CFArrayCallBacks *callbacks, const char *function)
{
    return callbacks == &kCFTypeArrayCallBacks || refuse(function);
}

ABX_EXPORT CFTypeID CFArrayGetTypeID(void)
{
    return TYPE_ARRAY;
}

ABX_EXPORT CFArrayRef CFArrayCreate(CFAllocatorRef allocator, const void **values, CFIndex count,
        const CFArrayCallBacks *callbacks)
{
    if (!right_array(callbacks, "CFArrayCreate"))
        return NULL;
    return as_cf(abx_ns_array_new(ABX_CLASS(NSArray), (const id *)values, (NSUInteger)count));
}

ABX_EXPORT CFArrayRef CFArrayCreateCopy(CFAllocatorRef allocator, CFArrayRef array)
{
    return as_cf(abx_ns_copy(abx_ns_of_cf(array)));
}

ABX_EXPORT CFMutableArrayRef CFArrayCreateMutable(
        CFAllocatorRef allocator, CFIndex capacity, const CFArrayCallBacks *callbacks)
{
    if (!right_array(callbacks, "CFArrayCreateMutable"))
        return NULL;
    return (CFMutableArrayRef)abx_ns_array_new(ABX_CLASS(NSMutableArray), NULL, 0);
}

ABX_EXPORT CFIndex CFArrayGetCount(CFArrayRef array)
{
    return (CFIndex)ABX_MSG(NSUInteger, (id, SEL), abx_ns_of_cf(array), "count");
}

ABX_EXPORT const void *CFArrayGetValueAtIndex(CFArrayRef array, CFIndex index)
{
    return as_cf(ABX_MSG(
            id, (id, SEL, NSUInteger), abx_ns_of_cf(array), "objectAtIndex:", (NSUInteger)index));
}

ABX_EXPORT Boolean CFArrayContainsValue(CFArrayRef array, CFRange range, const void *value)
{
    for (CFIndex i = range.location; i < range.location + range.length; i++)
        if (abx_ns_is_equal(abx_ns_of_cf(CFArrayGetValueAtIndex(array, i)), abx_ns_of_cf(value)))
            return true;
    return false;
}

ABX_EXPORT void CFArrayAppendValue(CFMutableArrayRef array, const void *value)
{
    ABX_MSG(void, (id, SEL, id), abx_ns_of_cf(array), "addObject:", abx_ns_of_cf(value));
}

ABX_EXPORT void CFArrayRemoveValueAtIndex(CFMutableArrayRef array, CFIndex index)
{
    ABX_MSG(void, (id, SEL, NSUInteger), abx_ns_of_cf(array),
            "removeObjectAtIndex:", (NSUInteger)index);
}

ABX_EXPORT void CFArrayRemoveAllValues(CFMutableArrayRef array)
{
    ABX_MSG(void, (id, SEL), abx_ns_of_cf(array), "removeAllObjects");
}

/* ---- dictionaries */

ABX_EXPORT const CFDictionaryKeyCallBacks kCFTypeDictionaryKeyCallBacks = {0};
ABX_EXPORT const CFDictionaryKeyCallBacks kCFCopyStringDictionaryKeyCallBacks = {0};
ABX_EXPORT const CFDictionaryValueCallBacks kCFTypeDictionaryValueCallBacks = {0};

static bool right_dictionary(const CFDictionaryKeyCallBacks *keys,
        const CFDictionaryValueCallBacks *values, const char *function)
{
    bool right =
            keys == &kCFTypeDictionaryKeyCallBacks || keys == &kCFCopyStringDictionaryKeyCallBacks;
    return (right && values == &kCFTypeDictionaryValueCallBacks) || refuse(function);
}

ABX_EXPORT CFTypeID CFDictionaryGetTypeID(void)
{
    return TYPE_DICTIONARY;
}

ABX_EXPORT CFDictionaryRef CFDictionaryCreate(CFAllocatorRef allocator, const void **keys,
        const void **values, CFIndex count, const CFDictionaryKeyCallBacks *key_callbacks,
        const CFDictionaryValueCallBacks *value_callbacks)
{
    if (!right_dictionary(key_callbacks, value_callbacks, "CFDictionaryCreate"))
        return NULL;
    return as_cf(objc_retain(
            abx_ns_dictionary((const id *)keys, (const id *)values, (NSUInteger)count)));
}

ABX_EXPORT CFMutableDictionaryRef CFDictionaryCreateMutable(CFAllocatorRef allocator,
        CFIndex capacity, const CFDictionaryKeyCallBacks *key_callbacks,
        const CFDictionaryValueCallBacks *value_callbacks)
{
    if (!right_dictionary(key_callbacks, value_callbacks, "CFDictionaryCreateMutable"))
        return NULL;
    return (CFMutableDictionaryRef)objc_retain(abx_ns_mutable_dictionary());
}

ABX_EXPORT CFIndex CFDictionaryGetCount(CFDictionaryRef dictionary)
{
    return (CFIndex)abx_ns_dictionary_count(abx_ns_of_cf(dictionary));
}

ABX_EXPORT const void *CFDictionaryGetValue(CFDictionaryRef dictionary, const void *key)
{
    return as_cf(abx_ns_dictionary_get(abx_ns_of_cf(dictionary), abx_ns_of_cf(key)));
}

ABX_EXPORT Boolean CFDictionaryContainsKey(CFDictionaryRef dictionary, const void *key)
{
    return CFDictionaryGetValue(dictionary, key) != NULL;
}

ABX_EXPORT Boolean CFDictionaryGetValueIfPresent(
        CFDictionaryRef dictionary, const void *key, const void **value)
{
    const void *found = CFDictionaryGetValue(dictionary, key);
    if (found && value)
        *value = found;
    return found != NULL;
}

ABX_EXPORT void CFDictionarySetValue(
        CFMutableDictionaryRef dictionary, const void *key, const void *value)
{
    abx_ns_dictionary_set(abx_ns_of_cf(dictionary), abx_ns_of_cf(key), abx_ns_of_cf(value));
}

ABX_EXPORT void CFDictionaryAddValue(
        CFMutableDictionaryRef dictionary, const void *key, const void *value)
{
    if (!CFDictionaryContainsKey(dictionary, key))
        CFDictionarySetValue(dictionary, key, value);
}

ABX_EXPORT void CFDictionaryRemoveValue(CFMutableDictionaryRef dictionary, const void *key)
{
    ABX_MSG(void, (id, SEL, id), abx_ns_of_cf(dictionary),
            "removeObjectForKey:", abx_ns_of_cf(key));
}

/* ---- numbers */

ABX_EXPORT CFTypeID CFNumberGetTypeID(void)
{
    return TYPE_NUMBER;
}

ABX_EXPORT CFTypeID CFBooleanGetTypeID(void)
{
    return TYPE_BOOLEAN;
}

/* The one object of each, which +numberWithBool: gives too. */
ABX_EXPORT CFBooleanRef kCFBooleanTrue, kCFBooleanFalse;

__attribute__((constructor(103))) static void define(void)
{
    kCFBooleanTrue = as_cf(abx_ns_number_bool(true));
    kCFBooleanFalse = as_cf(abx_ns_number_bool(false));
}

ABX_EXPORT Boolean CFBooleanGetValue(CFBooleanRef boolean)
{
    return abx_ns_number_get_int(abx_ns_of_cf(boolean)) != 0;
}

/* The letter of a CFNumberType's encoding: integers as long as it, single, double. */
static char letter_of(CFNumberType type)
{
    static const char letters[] = "?csiqfdcsiqqfdqqd";
    return type >= kCFNumberSInt8Type && type <= kCFNumberCGFloatType ? letters[type] : '?';
}

static id number_of(CFNumberType type, const void *value)
{
    switch (letter_of(type)) {
    case 'c':
        return abx_ns_number_int(*(const int8_t *)value);
    case 's':
        return abx_ns_number_int(*(const int16_t *)value);
    case 'i':
        return abx_ns_number_int(*(const int32_t *)value);
    case 'q':
        return abx_ns_number_int(*(const int64_t *)value);
    case 'f':
        return abx_ns_number_double(*(const float *)value);
    case 'd':
        return abx_ns_number_double(*(const double *)value);
    default:
        abx_ns_raise_argument("CFNumber: %d is no CFNumberType", (int)type);
    }
}

ABX_EXPORT CFNumberRef CFNumberCreate(
        CFAllocatorRef allocator, CFNumberType type, const void *value)
{
    return as_cf(objc_retain(number_of(type, value)));
}

ABX_EXPORT Boolean CFNumberIsFloatType(CFNumberRef number)
{
    const char *type = ABX_MSG(const char *, (id, SEL), abx_ns_of_cf(number), "objCType");
    return *type == 'f' || *type == 'd';
}

/* An object of the asked type is made, and compared with what it was made of. */
ABX_EXPORT Boolean CFNumberGetValue(CFNumberRef number, CFNumberType type, void *value)
{
    int64_t i = abx_ns_number_get_int(abx_ns_of_cf(number));
    double d = abx_ns_number_get_double(abx_ns_of_cf(number));
    switch (letter_of(type)) {
    case 'c':
        *(int8_t *)value = (int8_t)i;
        break;
    case 's':
        *(int16_t *)value = (int16_t)i;
        break;
    case 'i':
        *(int32_t *)value = (int32_t)i;
        break;
    case 'q':
        *(int64_t *)value = i;
        break;
    case 'f':
        *(float *)value = (float)d;
        break;
    case 'd':
        *(double *)value = d;
        break;
    }
    void *pool = objc_autoreleasePoolPush();
    bool same = abx_ns_is_equal(number_of(type, value), abx_ns_of_cf(number));
    objc_autoreleasePoolPop(pool);
    return same;
}

/* ---- data */

ABX_EXPORT CFTypeID CFDataGetTypeID(void)
{
    return TYPE_DATA;
}

ABX_EXPORT CFDataRef CFDataCreate(CFAllocatorRef allocator, const UInt8 *bytes, CFIndex length)
{
    return as_cf(abx_ns_data_new(ABX_CLASS(NSData), bytes, (size_t)length));
}

ABX_EXPORT CFIndex CFDataGetLength(CFDataRef data)
{
    return (CFIndex)abx_ns_data_length(abx_ns_of_cf(data));
}

ABX_EXPORT const UInt8 *CFDataGetBytePtr(CFDataRef data)
{
    return abx_ns_data_bytes(abx_ns_of_cf(data));
}

/* ---- of any */

ABX_EXPORT CFTypeID CFGetTypeID(CFTypeRef object)
{
    id o = abx_ns_of_cf(object);
    if (object == kCFBooleanTrue || object == kCFBooleanFalse)
        return TYPE_BOOLEAN;
    const struct {
        Class class;
        CFTypeID type;
    } types[] = {{ABX_CLASS(NSString), TYPE_STRING}, {ABX_CLASS(NSDictionary), TYPE_DICTIONARY},
            {ABX_CLASS(NSArray), TYPE_ARRAY}, {ABX_CLASS(NSData), TYPE_DATA},
            {ABX_CLASS(NSNumber), TYPE_NUMBER}};
    for (size_t i = 0; i < ABX_ARRAY_SIZE(types); i++)
        if (abx_objc_is_kind_of(o, types[i].class))
            return types[i].type;
    return TYPE_NOTHING;
}
