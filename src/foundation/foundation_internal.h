/* foundation: what its files share. Nothing outside src/foundation includes this. */
#ifndef ABX_FOUNDATION_INTERNAL_H
#define ABX_FOUNDATION_INTERNAL_H

#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "foundation/foundation.h"

typedef uint16_t unichar;
typedef struct _NSRange {
    NSUInteger location, length;
} NSRange;
enum { NSNotFound = INT64_MAX };
#define NOT_FOUND ((NSUInteger)INT64_MAX)
#define RANGE "{_NSRange=QQ}"
#define ZONE "^{_NSZone=}"

typedef struct {
    unsigned long state;
    id *items;
    unsigned long *mutations;
    unsigned long extra[5];
} NSFastEnumerationState;
#define ENUMERATION "^{?=Q^@^Q[5Q]}"

/* Out of memory: aborts, as Apple's Foundation does. */
void *abx_ns_allocate(size_t size);
void *abx_ns_reallocate(void *memory, size_t size);

/* ---- text */
/* Code point at *p (end is past the text), and *p past it. Bytes that are not UTF-8 give U+FFFD one
 * at a time. A surrogate in three bytes is decoded as itself: an unpaired one is stored so. */
uint32_t abx_ns_utf8_next(const char **p, const char *end);
size_t abx_ns_utf8_put(char *to, uint32_t code_point); /* 1 to 4 bytes */
/* UTF-8 of UTF-16, NUL-terminated, from malloc. */
char *abx_ns_utf8_from_utf16(const unichar *text, size_t count, size_t *ret_length);
bool abx_ns_is_ascii(const char *text, size_t length);
bool abx_ns_is_utf8(const char *text, size_t length);
size_t abx_ns_utf16_count(const char *text, size_t length);
/* Bytes before UTF-16 index `index`, at most `length`. */
size_t abx_ns_utf16_offset(const char *text, size_t length, size_t index);
uint32_t abx_ns_lower(uint32_t code_point);
uint32_t abx_ns_upper(uint32_t code_point);

/* ---- strings. The first 32 bytes are what the compiler emits for @"literals". */
struct ns_string {
    Class isa;
    int flags; /* enum string_flag */
    const char *data;
    long length;      /* bytes; in a literal that is still UTF-16: units */
    NSUInteger units; /* UTF-16 units; not in literals */
    size_t capacity;  /* of a mutable string */
};
enum string_flag {
    STRING_NOT_ASCII = 1,
    STRING_INLINE = 2, /* data is not a malloc of its own */
    STRING_EIGHT_BIT = 8,
    STRING_UTF16 = 16, /* a literal that nobody has read yet */
    STRING_NORMAL = 0x7c8,
};
struct text {
    const char *data;
    size_t length;
    bool ascii;
};
struct text abx_ns_text(id string); /* {"", 0} for nil; raises for what is not a string */
bool abx_ns_is_string(id object);
NSUInteger abx_ns_string_units(id string);
/* A string object of class cls (retained, not autoreleased) with a copy of the bytes. */
id abx_ns_string_new(Class cls, const char *utf8, size_t length);
id abx_ns_string_vprintf(id format, va_list arguments); /* NSString's format language */
/* Bytes for a range in UTF-16 units; raises NSRangeException. */
struct text abx_ns_string_slice(id string, NSRange range, const char *method);
uint32_t abx_ns_string_encoding_ok(NSUInteger encoding);
void abx_ns_string_set(id string, const char *utf8, size_t length); /* a mutable one */
int abx_ns_data_from_string(id string, NSUInteger encoding, bool lossy, char **ret, size_t *ret_n);

extern const struct abx_objc_method abx_ns_string_search_methods[];
extern const struct abx_objc_method abx_ns_string_path_methods[];
extern const struct abx_objc_method abx_ns_string_path_class_methods[];

enum {
    NSASCIIStringEncoding = 1,
    NSUTF8StringEncoding = 4,
    NSISOLatin1StringEncoding = 5,
    NSUnicodeStringEncoding = 10,
    NSMacOSRomanStringEncoding = 30,
};
#define NSUTF16LittleEndianStringEncoding 0x94000100ul
#define NSUTF16BigEndianStringEncoding 0x90000100ul
#define NSUTF32StringEncoding 0x8c000100ul
#define NSUTF32LittleEndianStringEncoding 0x9c000100ul
enum {
    NSCaseInsensitiveSearch = 1,
    NSLiteralSearch = 2,
    NSBackwardsSearch = 4,
    NSAnchoredSearch = 8,
    NSNumericSearch = 64
};

/* ---- what others need of one another's classes */
id abx_ns_description(id object); /* nil-safe; a string */
NSUInteger abx_ns_hash(id object);
bool abx_ns_is_equal(id a, id b);
id abx_ns_copy(id object);                        /* retained */
const char *abx_ns_signature_types(id signature); /* an NSMethodSignature's encoding */
bool abx_ns_character_set_has(id set, uint32_t code_point);
id abx_ns_blank_characters(void); /* whitespaceAndNewlineCharacterSet */
id abx_ns_array_new(Class cls, const id *objects, NSUInteger count); /* retained */
id abx_ns_set_new(Class cls, const id *objects, NSUInteger count);
id abx_ns_data_new(Class cls, const void *bytes, size_t length); /* retained */
id abx_ns_errno_error(int error, const char *path); /* NSCocoaErrorDomain or NSPOSIXErrorDomain */
id abx_ns_enumerator(id array);                     /* NSEnumerator over it */
id abx_ns_null(void);
double abx_ns_date_since_now(id date);         /* seconds */
struct timespec abx_ns_date_realtime(id date); /* by CLOCK_REALTIME; nothing before 1970 */
void abx_ns_not_implemented(const char *what) __attribute__((noreturn));

#define DEFINE(class_name, parent, type, instance, class_side, ...)                                \
    abx_objc_define_class(&(struct abx_objc_class_spec){ABX_OBJC_CLASS_STORAGE(class_name),        \
            .superclass = ABX_CLASS(parent), .instance_size = sizeof(type),                        \
            .instance_methods = (instance), .class_methods = (class_side),                         \
            .protocols = (const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL}})

#endif
