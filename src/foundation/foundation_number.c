/* foundation: NSValue and NSNumber. Guest's process; trusts it. */
#include "foundation/foundation_internal.h"

#include <math.h>
#include <stdio.h>

ABX_OBJC_CLASS(NSValue)
ABX_OBJC_CLASS(NSNumber)
ABX_OBJC_CLASS(NSDecimalNumber)

/* ---- NSValue: bytes and their type */

struct ns_value {
    Class isa;
    char *type;
    size_t size;
    void *bytes;
};

static struct ns_value *value_of(id self)
{
    return (struct ns_value *)self;
}

static size_t size_of_type(const char *type)
{

    size_t size, alignment;
    if (!type || abx_objc_type_size(type, &size, &alignment) < 0)
        abx_ns_raise_argument("NSValue: no size for type %s", type ? type : "NULL");
    return size;
}

static id init_bytes(id self, SEL cmd, const void *bytes, const char *type)
{
    struct ns_value *v = value_of(self);
    v->size = size_of_type(type);
    v->type = strdup(type);
    v->bytes = abx_ns_allocate(v->size);
    memcpy(v->bytes, bytes, v->size);
    return self;
}

static id value_with_bytes(id cls, SEL cmd, const void *bytes, const char *type)
{
    return objc_autorelease(
            init_bytes(class_createInstance(ABX_CLASS(NSValue), 0), cmd, bytes, type));
}

static id value_with_pointer(id cls, SEL cmd, const void *pointer)
{
    return value_with_bytes(cls, cmd, &pointer, "^v");
}

static id value_with_object(id cls, SEL cmd, id object)
{
    return value_with_bytes(cls, cmd, &object, "@");
}

static id value_with_range(id cls, SEL cmd, NSRange range)
{
    return value_with_bytes(cls, cmd, &range, RANGE);
}

static void get_value_size(id self, SEL cmd, void *to, NSUInteger size)
{
    if (size != value_of(self)->size)
        abx_ns_raise_argument("-[NSValue getValue:size:]: the value has %zu bytes, not %lu",
                value_of(self)->size, size);
    memcpy(to, value_of(self)->bytes, size);
}

static void get_value(id self, SEL cmd, void *to)
{
    memcpy(to, value_of(self)->bytes, value_of(self)->size);
}

static const char *value_type(id self, SEL cmd)
{
    return value_of(self)->type;
}

static void *pointer_value(id self, SEL cmd)
{
    return value_of(self)->size == sizeof(void *) ? *(void **)value_of(self)->bytes : NULL;
}

static NSRange range_value(id self, SEL cmd)
{
    return value_of(self)->size == sizeof(NSRange) ? *(NSRange *)value_of(self)->bytes
                                                   : (NSRange){0, 0};
}

static abx_objc_bool equal_values(id self, SEL cmd, id other)
{
    if (self == other)
        return 1;
    if (!abx_objc_is_kind_of(other, ABX_CLASS(NSValue)) ||
            abx_objc_is_kind_of(other, ABX_CLASS(NSNumber)))
        return 0;
    struct ns_value *a = value_of(self), *b = value_of(other);
    return a->size == b->size && strcmp(a->type, b->type) == 0 &&
           memcmp(a->bytes, b->bytes, a->size) == 0;
}

static NSUInteger value_hash(id self, SEL cmd)
{
    NSUInteger hash = 5381;
    for (size_t i = 0; i < value_of(self)->size; i++)
        hash = hash * 33 + ((uint8_t *)value_of(self)->bytes)[i];
    return hash;
}

static void value_dealloc(id self, SEL cmd)
{
    free(value_of(self)->type);
    free(value_of(self)->bytes);
    abx_objc_dealloc_super(self, ABX_CLASS(NSValue));
}

/* ---- NSNumber */

struct ns_number {
    Class isa;
    const char *type; /* a one-letter encoding */
    union {
        int64_t i;  /* cCsSiIqB */
        uint64_t u; /* Q */
        double d;   /* fd */
    };
};

static struct ns_number *number_of(id self)
{
    return (struct ns_number *)self;
}

static bool is_real(const struct ns_number *n)
{
    return *n->type == 'd' || *n->type == 'f';
}

static id number_new(const char *type)
{
    id object = class_createInstance(ABX_CLASS(NSNumber), 0);
    number_of(object)->type = type;
    return object;
}

static id set_integer(id self, const char *type, int64_t value)
{
    number_of(self)->type = type;
    number_of(self)->i = value;
    return self;
}

static id set_real(id self, const char *type, double value)
{
    number_of(self)->type = type;
    number_of(self)->d = value;
    return self;
}

static int64_t as_int64(const struct ns_number *n)
{
    if (!is_real(n))
        return n->i;
    if (isnan(n->d))
        return 0;
    return n->d >= 0x1p63 ? INT64_MAX : n->d < -0x1p63 ? INT64_MIN : (int64_t)n->d;
}

static uint64_t as_uint64(const struct ns_number *n)
{
    if (!is_real(n))
        return n->u;
    return n->d >= 0x1p63 ? (n->d >= 0x1p64 ? UINT64_MAX : (uint64_t)n->d) : (uint64_t)as_int64(n);
}

static double as_double(const struct ns_number *n)
{
    return is_real(n) ? n->d : *n->type == 'Q' ? (double)n->u : (double)n->i;
}

#define BOOL_TYPE (OBJC_BOOL_IS_BOOL ? "B" : "c")

/* One object for each: programs compare with kCFBooleanTrue, and with @YES, by address. */
static id booleans[2];

id abx_ns_number_bool(bool value)
{
    return booleans[value];
}

id abx_ns_number_int(int64_t value)
{
    return objc_autorelease(set_integer(number_new("q"), "q", value));
}

id abx_ns_number_uint(uint64_t value)
{
    return objc_autorelease(set_integer(number_new("Q"), "Q", (int64_t)value));
}

id abx_ns_number_double(double value)
{
    return objc_autorelease(set_real(number_new("d"), "d", value));
}

/* Accepts strings too, for setValue:forKey:. */
int64_t abx_ns_number_get_int(id number)
{
    if (!number)
        return 0;
    if (!abx_objc_is_kind_of(number, ABX_CLASS(NSNumber)))
        return ABX_MSG(long long, (id, SEL), number, "longLongValue");
    return as_int64(number_of(number));
}

double abx_ns_number_get_double(id number)
{
    if (!number)
        return 0;
    if (!abx_objc_is_kind_of(number, ABX_CLASS(NSNumber)))
        return ABX_MSG(double, (id, SEL), number, "doubleValue");
    return as_double(number_of(number));
}

/* One pair of creators and one reader for each C type. */
#define NUMBER(name, c_type, argument_type, type, set, storage)                                    \
    static id number_with_##name(id cls, SEL cmd, argument_type value)                             \
    {                                                                                              \
        return objc_autorelease(set(number_new(type), type, (storage)(c_type)value));              \
    }                                                                                              \
    static id init_##name(id self, SEL cmd, argument_type value)                                   \
    {                                                                                              \
        return set(self, type, (storage)(c_type)value);                                            \
    }
static id number_with_bool(id cls, SEL cmd, BOOL value)
{
    return abx_ns_number_bool(value != 0);
}

static id init_bool(id self, SEL cmd, BOOL value)
{
    objc_release(self);
    return objc_retain(abx_ns_number_bool(value != 0));
}

NUMBER(char, signed char, char, "c", set_integer, int64_t)
NUMBER(uchar, unsigned char, unsigned char, "C", set_integer, int64_t)
NUMBER(short, short, short, "s", set_integer, int64_t)
NUMBER(ushort, unsigned short, unsigned short, "S", set_integer, int64_t)
NUMBER(int, int, int, "i", set_integer, int64_t)
NUMBER(uint, unsigned, unsigned, "I", set_integer, int64_t)
NUMBER(long, long, long, "q", set_integer, int64_t)
NUMBER(ulong, unsigned long, unsigned long, "Q", set_integer, int64_t)
NUMBER(float, float, float, "f", set_real, double)
NUMBER(double, double, double, "d", set_real, double)

#define READER(name, type, how)                                                                    \
    static type name(id self, SEL cmd)                                                             \
    {                                                                                              \
        return (type)how(number_of(self));                                                         \
    }
READER(int_value, int, as_int64)
READER(uint_value, unsigned, as_int64)
READER(long_value, long, as_int64)
READER(ulong_value, unsigned long, as_uint64)
READER(float_value, float, as_double)
READER(double_value, double, as_double)

static int char_value(id self, SEL cmd)
{
    return (signed char)as_int64(number_of(self));
}

static int uchar_value(id self, SEL cmd)
{
    return (unsigned char)as_int64(number_of(self));
}

static int short_value(id self, SEL cmd)
{
    return (short)as_int64(number_of(self));
}

static int ushort_value(id self, SEL cmd)
{
    return (unsigned short)as_int64(number_of(self));
}

static abx_objc_bool bool_value(id self, SEL cmd)
{
    return as_double(number_of(self)) != 0;
}

static const char *number_type(id self, SEL cmd)
{
    return number_of(self)->type;
}

static void number_get_value(id self, SEL cmd, void *to)
{
    struct ns_number *n = number_of(self);
    float real = (float)n->d;
    if (*n->type == 'f')
        memcpy(to, &real, sizeof(real));
    else
        memcpy(to, &n->u, size_of_type(n->type));
}

static void number_get_value_size(id self, SEL cmd, void *to, NSUInteger size)
{
    if (size != size_of_type(number_of(self)->type))
        abx_ns_raise_argument("-[NSNumber getValue:size:]: wrong size %lu", size);
    number_get_value(self, cmd, to);
}

static NSInteger compare_numbers(id self, SEL cmd, id other)
{
    struct ns_number *a = number_of(self), *b = number_of(other);
    if (!other)
        abx_ns_raise_argument("-[NSNumber compare:]: nil argument");
    if (is_real(a) || is_real(b)) {
        double x = as_double(a), y = as_double(b);
        return x < y ? -1 : x > y;
    }
    bool a_big = *a->type == 'Q' && a->i < 0, b_big = *b->type == 'Q' && b->i < 0;
    if (a_big != b_big)
        return a_big ? 1 : -1;
    return a_big ? (a->u < b->u ? -1 : a->u > b->u) : a->i < b->i ? -1 : a->i > b->i;
}

static abx_objc_bool equal_numbers(id self, SEL cmd, id other)
{
    return self == other || (abx_objc_is_kind_of(other, ABX_CLASS(NSNumber)) &&
                                    compare_numbers(self, cmd, other) == 0);
}

static NSUInteger number_hash(id self, SEL cmd)
{
    return (NSUInteger)as_int64(number_of(self)) * 2654435761u;
}

static id number_description(id self, SEL cmd)
{
    struct ns_number *n = number_of(self);
    if (!is_real(n))
        return *n->type == 'Q' ? abx_ns_string_printf("%lu", n->u)
                               : abx_ns_string_printf("%ld", n->i);
    if (isnan(n->d))
        return abx_ns_string("nan");
    if (isinf(n->d))
        return abx_ns_string(n->d < 0 ? "-inf" : "inf");
    /* the shortest form that reads back the same, as Apple prints */
    char text[40];
    for (int digits = *n->type == 'f' ? 6 : 15; digits <= 17; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, n->d);
        double back = strtod(text, NULL);
        if (*n->type == 'f' ? (float)back == (float)n->d : back == n->d)
            break;
    }
    return abx_ns_string(text);
}

static id number_description_locale(id self, SEL cmd, id locale)
{
    return number_description(self, cmd);
}

static void number_dealloc(id self, SEL cmd)
{
    object_dispose(self); /* NSValue's storage is not there */
}

static const struct abx_objc_method value_methods[] = {
        METHOD("initWithBytes:objCType:", "@@:r^vr*", init_bytes),
        METHOD("getValue:", "v@:^v", get_value),
        METHOD("getValue:size:", "v@:^vQ", get_value_size),
        METHOD("objCType", "r*@:", value_type),
        METHOD("pointerValue", "^v@:", pointer_value),
        METHOD("nonretainedObjectValue", "@@:", pointer_value),
        METHOD("rangeValue", RANGE "@:", range_value),
        METHOD("isEqual:", "B@:@", equal_values),
        METHOD("isEqualToValue:", "B@:@", equal_values),
        METHOD("hash", "Q@:", value_hash),
        METHOD("copyWithZone:", "@@:" ZONE, abx_ns_copy_immutable),
        METHOD("dealloc", "v@:", value_dealloc),
        {NULL},
};
static const struct abx_objc_method value_class_methods[] = {
        METHOD("valueWithBytes:objCType:", "@@:r^vr*", value_with_bytes),
        METHOD("value:withObjCType:", "@@:r^vr*", value_with_bytes),
        METHOD("valueWithPointer:", "@@:r^v", value_with_pointer),
        METHOD("valueWithNonretainedObject:", "@@:@", value_with_object),
        METHOD("valueWithRange:", "@@:" RANGE, value_with_range),
        {NULL},
};
static const struct abx_objc_method number_methods[] = {
        METHOD("initWithBool:", "@@:B", init_bool),
        METHOD("initWithChar:", "@@:c", init_char),
        METHOD("initWithUnsignedChar:", "@@:C", init_uchar),
        METHOD("initWithShort:", "@@:s", init_short),
        METHOD("initWithUnsignedShort:", "@@:S", init_ushort),
        METHOD("initWithInt:", "@@:i", init_int),
        METHOD("initWithUnsignedInt:", "@@:I", init_uint),
        METHOD("initWithLong:", "@@:q", init_long),
        METHOD("initWithUnsignedLong:", "@@:Q", init_ulong),
        METHOD("initWithLongLong:", "@@:q", init_long),
        METHOD("initWithUnsignedLongLong:", "@@:Q", init_ulong),
        METHOD("initWithInteger:", "@@:q", init_long),
        METHOD("initWithUnsignedInteger:", "@@:Q", init_ulong),
        METHOD("initWithFloat:", "@@:f", init_float),
        METHOD("initWithDouble:", "@@:d", init_double),
        METHOD("boolValue", "B@:", bool_value),
        METHOD("charValue", "c@:", char_value),
        METHOD("unsignedCharValue", "C@:", uchar_value),
        METHOD("shortValue", "s@:", short_value),
        METHOD("unsignedShortValue", "S@:", ushort_value),
        METHOD("intValue", "i@:", int_value),
        METHOD("unsignedIntValue", "I@:", uint_value),
        METHOD("longValue", "q@:", long_value),
        METHOD("unsignedLongValue", "Q@:", ulong_value),
        METHOD("longLongValue", "q@:", long_value),
        METHOD("unsignedLongLongValue", "Q@:", ulong_value),
        METHOD("integerValue", "q@:", long_value),
        METHOD("unsignedIntegerValue", "Q@:", ulong_value),
        METHOD("floatValue", "f@:", float_value),
        METHOD("doubleValue", "d@:", double_value),
        METHOD("stringValue", "@@:", number_description),
        METHOD("description", "@@:", number_description),
        METHOD("descriptionWithLocale:", "@@:@", number_description_locale),
        METHOD("objCType", "r*@:", number_type),
        METHOD("getValue:", "v@:^v", number_get_value),
        METHOD("getValue:size:", "v@:^vQ", number_get_value_size),
        METHOD("compare:", "q@:@", compare_numbers),
        METHOD("isEqual:", "B@:@", equal_numbers),
        METHOD("isEqualToNumber:", "B@:@", equal_numbers),
        METHOD("isEqualToValue:", "B@:@", equal_numbers),
        METHOD("hash", "Q@:", number_hash),
        METHOD("dealloc", "v@:", number_dealloc),
        {NULL},
};
static const struct abx_objc_method number_class_methods[] = {
        METHOD("numberWithBool:", "@@:B", number_with_bool),
        METHOD("numberWithChar:", "@@:c", number_with_char),
        METHOD("numberWithUnsignedChar:", "@@:C", number_with_uchar),
        METHOD("numberWithShort:", "@@:s", number_with_short),
        METHOD("numberWithUnsignedShort:", "@@:S", number_with_ushort),
        METHOD("numberWithInt:", "@@:i", number_with_int),
        METHOD("numberWithUnsignedInt:", "@@:I", number_with_uint),
        METHOD("numberWithLong:", "@@:q", number_with_long),
        METHOD("numberWithUnsignedLong:", "@@:Q", number_with_ulong),
        METHOD("numberWithLongLong:", "@@:q", number_with_long),
        METHOD("numberWithUnsignedLongLong:", "@@:Q", number_with_ulong),
        METHOD("numberWithInteger:", "@@:q", number_with_long),
        METHOD("numberWithUnsignedInteger:", "@@:Q", number_with_ulong),
        METHOD("numberWithFloat:", "@@:f", number_with_float),
        METHOD("numberWithDouble:", "@@:d", number_with_double),
        {NULL},
};

/* ---- NSDecimalNumber: a number that keeps the digits it was made of. It has no arithmetic. */

struct ns_decimal {
    struct ns_number number;
    id text; /* nil: as the double is written */
};

/* Digits with a point, without what is zero at both ends; nil for anything else. */
static id decimal_text(const char *from)
{
    const char *sign = *from == '-' ? "-" : "";
    from += *from == '-' || *from == '+';
    from += strspn(from, "0");
    size_t whole = strspn(from, "0123456789"), part = 0;
    if (from[whole] == '.')
        part = strspn(from + whole + 1, "0123456789") + 1;
    if (from[whole + part])
        return nil;
    while (part && (from[whole + part - 1] == '0' || from[whole + part - 1] == '.'))
        part--;
    if (!whole && !part)
        return abx_ns_string("0");
    return abx_ns_string_printf("%s%s%.*s", sign, whole ? "" : "0", (int)(whole + part), from);
}

static id decimal_from_string(id self, SEL cmd, id string)
{
    const char *text = string ? abx_ns_string_utf8(string) : "";
    char *end;
    double value = strtod(text, &end);
    set_real(self, "d", end > text && !*end ? value : NAN);
    ((struct ns_decimal *)self)->text = end > text && !*end ? objc_retain(decimal_text(text)) : nil;
    return self;
}

static id decimal_with_string(id cls, SEL cmd, id string)
{
    return objc_autorelease(decimal_from_string(class_createInstance((Class)cls, 0), cmd, string));
}

static id decimal_description(id self, SEL cmd)
{
    id text = ((struct ns_decimal *)self)->text;
    return text ? text : number_description(self, cmd);
}

static id decimal_description_locale(id self, SEL cmd, id locale)
{
    return decimal_description(self, cmd);
}

static void decimal_dealloc(id self, SEL cmd)
{
    objc_release(((struct ns_decimal *)self)->text);
    abx_objc_dealloc_super(self, ABX_CLASS(NSDecimalNumber));
}

static const struct abx_objc_method decimal_methods[] = {
        METHOD("initWithString:", "@@:@", decimal_from_string),
        METHOD("description", "@@:", decimal_description),
        METHOD("stringValue", "@@:", decimal_description),
        METHOD("descriptionWithLocale:", "@@:@", decimal_description_locale),
        METHOD("dealloc", "v@:", decimal_dealloc),
        {NULL},
};
static const struct abx_objc_method decimal_class_methods[] = {
        METHOD("decimalNumberWithString:", "@@:@", decimal_with_string),
        {NULL},
};

__attribute__((constructor(102))) static void define(void)
{
    DEFINE(NSValue, NSObject, struct ns_value, value_methods, value_class_methods, "NSCopying",
            "NSSecureCoding");
    DEFINE(NSNumber, NSValue, struct ns_number, number_methods, number_class_methods);
    DEFINE(NSDecimalNumber, NSNumber, struct ns_decimal, decimal_methods, decimal_class_methods);
    for (int i = 0; i < 2; i++)
        booleans[i] = set_integer(number_new("c"), BOOL_TYPE, i);
}
