/* foundation: constructors and accessors of the common Foundation values, for C modules.
 * Runs in the guest's process; trusts it.
 *
 * Unless its comment says otherwise a constructor returns an autoreleased object; none returns NULL
 * (out of memory aborts, as it does on Apple's systems). Accessors accept nil and return 0. All are
 * safe on any thread; mutable collections are the caller's to lock. */
#ifndef ABX_FOUNDATION_H
#define ABX_FOUNDATION_H

#include "objc/objc_internal.h"

/* ---- strings. Text is UTF-8; bytes that are not are replaced by U+FFFD. */
id abx_ns_string(const char *utf8); /* NULL gives nil */
id abx_ns_string_bytes(const char *utf8, size_t length);
id abx_ns_string_printf(const char *format, ...) ABX_PRINTF(1, 2);
/* A string that lives for ever; `utf8` must too. For names of errors, keys and domains. */
id abx_ns_string_constant(const char *utf8);
/* An exported string constant: `ABX_NS_CONSTANT(MTLLibraryErrorDomain, "MTLLibraryErrorDomain")` at
 * file scope defines NSString *const MTLLibraryErrorDomain. ASCII only. */
#define ABX_NS_CONSTANT(symbol, text)                                                              \
    static const struct abx_ns_literal abx_literal_##symbol = {                                    \
            &__CFConstantStringClassReference, 0x7c8, text, sizeof(text) - 1};                     \
    ABX_EXPORT extern const id symbol;                                                             \
    const id symbol = (id)(uintptr_t)&abx_literal_##symbol;
struct abx_ns_literal {
    void *isa;
    int flags;
    const char *data;
    long length;
};
ABX_EXPORT extern struct abx_objc_class __CFConstantStringClassReference;
/* NUL-terminated; lives as long as the string and is not changed. NULL for nil. */
const char *abx_ns_string_utf8(id string);
size_t abx_ns_string_bytes_count(id string); /* of the UTF-8 form */
bool abx_ns_string_equal(id a, id b);

/* What Core Foundation's name of an object, a pointer to const, is the name of. */
static inline id abx_ns_of_cf(const void *object)
{
    return (id)(uintptr_t)object;
}

/* ---- arrays */
id abx_ns_array(const id *objects, NSUInteger count);
id abx_ns_mutable_array(void);
void abx_ns_array_add(id array, id object);
NSUInteger abx_ns_array_count(id array);
id abx_ns_array_at(id array, NSUInteger index); /* nil past the end; not retained */

/* ---- dictionaries: keys are copied, values retained */
id abx_ns_dictionary(const id *keys, const id *values, NSUInteger count);
id abx_ns_mutable_dictionary(void);
void abx_ns_dictionary_set(id dictionary, id key, id value);
id abx_ns_dictionary_get(id dictionary, id key); /* nil when absent; not retained */
NSUInteger abx_ns_dictionary_count(id dictionary);
/* Calls visit(context, key, value) until it returns false. */
void abx_ns_dictionary_each(
        id dictionary, bool (*visit)(void *context, id key, id value), void *context);

/* ---- numbers */
id abx_ns_number_bool(bool value);
id abx_ns_number_int(int64_t value);
id abx_ns_number_uint(uint64_t value);
id abx_ns_number_double(double value);
int64_t abx_ns_number_get_int(id number);
double abx_ns_number_get_double(id number);

/* ---- data (NSData; what dispatch_data_create returns is one too) */
id abx_ns_data(const void *bytes, size_t length);
/* Takes over memory from malloc(). */
id abx_ns_data_adopt(void *bytes, size_t length);
const void *abx_ns_data_bytes(id data);
size_t abx_ns_data_length(id data);

/* ---- errors. `description` becomes NSLocalizedDescriptionKey; user_info may be nil. */
id abx_ns_error(const char *domain, NSInteger code, const char *description);
id abx_ns_error_info(id domain, NSInteger code, const char *description, id user_info);
/* *error = autoreleased error, where error is a caller's NSError ** and may be NULL. */
void abx_ns_error_set(id *error, const char *domain, NSInteger code, const char *format, ...)
        ABX_PRINTF(4, 5);

/* ---- URLs */
id abx_ns_url_file(const char *path);
const char *abx_ns_url_path(id url); /* NULL when it is not a file URL; autoreleased */

/* ---- exceptions */
void abx_ns_raise(const char *name, const char *format, ...) ABX_PRINTF(2, 3)
        __attribute__((noreturn));
void abx_ns_raise_range(const char *format, ...) ABX_PRINTF(1, 2) __attribute__((noreturn));
void abx_ns_raise_argument(const char *format, ...) ABX_PRINTF(1, 2) __attribute__((noreturn));

ABX_OBJC_CLASS_EXTERN(NSString)
ABX_OBJC_CLASS_EXTERN(NSMutableString)
ABX_OBJC_CLASS_EXTERN(NSArray)
ABX_OBJC_CLASS_EXTERN(NSMutableArray)
ABX_OBJC_CLASS_EXTERN(NSDictionary)
ABX_OBJC_CLASS_EXTERN(NSMutableDictionary)
ABX_OBJC_CLASS_EXTERN(NSSet)
ABX_OBJC_CLASS_EXTERN(NSNumber)
ABX_OBJC_CLASS_EXTERN(NSValue)
ABX_OBJC_CLASS_EXTERN(NSData)
ABX_OBJC_CLASS_EXTERN(NSMutableData)
ABX_OBJC_CLASS_EXTERN(NSError)
ABX_OBJC_CLASS_EXTERN(NSException)
ABX_OBJC_CLASS_EXTERN(NSURL)
ABX_OBJC_CLASS_EXTERN(NSBundle)

/* NSCopying for immutable objects: -copyWithZone: that retains. */
id abx_ns_copy_immutable(id self, SEL cmd, void *zone);

#endif
