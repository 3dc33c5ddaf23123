/* foundation: NSError and NSException. Guest's process; trusts it. */
#include "foundation/foundation_internal.h"
#include "objc/objc-exception.h"

#include <stdio.h>

ABX_OBJC_CLASS(NSError)
ABX_OBJC_CLASS(NSException)

ABX_NS_CONSTANT(NSLocalizedDescriptionKey, "NSLocalizedDescription")
ABX_NS_CONSTANT(NSLocalizedFailureReasonErrorKey, "NSLocalizedFailureReason")
ABX_NS_CONSTANT(NSLocalizedRecoverySuggestionErrorKey, "NSLocalizedRecoverySuggestion")
ABX_NS_CONSTANT(NSUnderlyingErrorKey, "NSUnderlyingError")
ABX_NS_CONSTANT(NSDebugDescriptionErrorKey, "NSDebugDescription")
ABX_NS_CONSTANT(NSFilePathErrorKey, "NSFilePath")
ABX_NS_CONSTANT(NSURLErrorKey, "NSURL")
ABX_NS_CONSTANT(NSCocoaErrorDomain, "NSCocoaErrorDomain")
ABX_NS_CONSTANT(NSPOSIXErrorDomain, "NSPOSIXErrorDomain")
ABX_NS_CONSTANT(NSOSStatusErrorDomain, "NSOSStatusErrorDomain")
ABX_NS_CONSTANT(NSMachErrorDomain, "NSMachErrorDomain")
ABX_NS_CONSTANT(NSGenericException, "NSGenericException")
ABX_NS_CONSTANT(NSRangeException, "NSRangeException")
ABX_NS_CONSTANT(NSInvalidArgumentException, "NSInvalidArgumentException")
ABX_NS_CONSTANT(NSInternalInconsistencyException, "NSInternalInconsistencyException")
ABX_NS_CONSTANT(NSMallocException, "NSMallocException")
ABX_NS_CONSTANT(NSObjectNotAvailableException, "NSObjectNotAvailableException")
ABX_NS_CONSTANT(NSUndefinedKeyException, "NSUnknownKeyException")

/* ---- NSError */

struct ns_error {
    Class isa;
    id domain, user_info;
    NSInteger code;
};

static struct ns_error *error_of(id self)
{
    return (struct ns_error *)self;
}

static id error_init(id self, SEL cmd, id domain, NSInteger code, id user_info)
{
    error_of(self)->domain = abx_ns_copy(domain);
    error_of(self)->user_info = abx_ns_copy(user_info);
    error_of(self)->code = code;
    return self;
}

static id error_with(id cls, SEL cmd, id domain, NSInteger code, id user_info)
{
    return objc_autorelease(
            error_init(class_createInstance((Class)cls, 0), cmd, domain, code, user_info));
}

id abx_ns_error_info(id domain, NSInteger code, const char *description, id user_info)
{
    id info = user_info ? ABX_MSG(id, (id, SEL), user_info, "mutableCopy")
                        : objc_retain(abx_ns_mutable_dictionary());
    if (description)
        abx_ns_dictionary_set(info, NSLocalizedDescriptionKey, abx_ns_string(description));
    id error = error_with((id)ABX_CLASS(NSError), NULL, domain, code, info);
    objc_release(info);
    return error;
}

id abx_ns_error(const char *domain, NSInteger code, const char *description)
{
    return abx_ns_error_info(abx_ns_string(domain), code, description, nil);
}

void abx_ns_error_set(id *error, const char *domain, NSInteger code, const char *format, ...)
{
    va_list arguments;
    char *text = NULL;
    if (!error)
        return;
    va_start(arguments, format);
    if (vasprintf(&text, format, arguments) < 0)
        abort();
    va_end(arguments);
    *error = abx_ns_error(domain, code, text);
    free(text);
}

/* The Cocoa code Apple gives for file errors, with the POSIX error underneath. */
id abx_ns_errno_error(int error, const char *path)
{
    enum {
        NO_SUCH_FILE = 260,
        READ_NO_PERMISSION = 257,
        READ_UNKNOWN = 256,
        OUT_OF_SPACE = 640,
        FILE_EXISTS = 516
    };
    NSInteger code = error == ENOENT                     ? NO_SUCH_FILE
                     : error == EACCES || error == EPERM ? READ_NO_PERMISSION
                     : error == ENOSPC                   ? OUT_OF_SPACE
                     : error == EEXIST                   ? FILE_EXISTS
                                                         : READ_UNKNOWN;
    id info = abx_ns_mutable_dictionary();
    char text[512];
    snprintf(text, sizeof(text), "The file \"%s\" could not be used: %s.", path ? path : "(null)",
            strerror(error));
    if (path)
        abx_ns_dictionary_set(info, NSFilePathErrorKey, abx_ns_string(path));
    abx_ns_dictionary_set(info, NSUnderlyingErrorKey,
            abx_ns_error_info(NSPOSIXErrorDomain, error, strerror(error), nil));
    return abx_ns_error_info(NSCocoaErrorDomain, code, text, info);
}

static id error_domain(id self, SEL cmd)
{
    return error_of(self)->domain;
}

static NSInteger error_code(id self, SEL cmd)
{
    return error_of(self)->code;
}

static id error_user_info(id self, SEL cmd)
{
    id info = error_of(self)->user_info;
    return info ? info : abx_ns_dictionary(NULL, NULL, 0);
}

static id error_localized(id self, SEL cmd)
{
    struct ns_error *e = error_of(self);
    id text = abx_ns_dictionary_get(e->user_info, NSLocalizedDescriptionKey);
    if (text)
        return text;
    id reason = abx_ns_dictionary_get(e->user_info, NSLocalizedFailureReasonErrorKey);
    if (reason)
        return abx_ns_string_printf(
                "The operation couldn\u2019t be completed. %s", abx_ns_string_utf8(reason));
    return abx_ns_string_printf("The operation couldn\u2019t be completed. (%s error %ld.)",
            abx_ns_string_utf8(e->domain), e->code);
}

static id error_reason(id self, SEL cmd)
{
    return abx_ns_dictionary_get(error_of(self)->user_info, NSLocalizedFailureReasonErrorKey);
}

static id error_suggestion(id self, SEL cmd)
{
    return abx_ns_dictionary_get(error_of(self)->user_info, NSLocalizedRecoverySuggestionErrorKey);
}

static id error_underlying(id self, SEL cmd)
{
    id one = abx_ns_dictionary_get(error_of(self)->user_info, NSUnderlyingErrorKey);
    return abx_ns_array(&one, one ? 1 : 0);
}

static id error_description(id self, SEL cmd)
{
    struct ns_error *e = error_of(self);
    return abx_ns_string_printf("Error Domain=%s Code=%ld \"%s\" UserInfo=%s",
            abx_ns_string_utf8(e->domain), e->code, abx_ns_string_utf8(error_localized(self, cmd)),
            abx_ns_string_utf8(abx_ns_description(error_user_info(self, cmd))));
}

static abx_objc_bool error_equal(id self, SEL cmd, id other)
{
    return self == other ||
           (abx_objc_is_kind_of(other, ABX_CLASS(NSError)) &&
                   error_of(self)->code == error_of(other)->code &&
                   abx_ns_string_equal(error_of(self)->domain, error_of(other)->domain) &&
                   abx_ns_is_equal(error_user_info(self, cmd), error_user_info(other, cmd)));
}

static NSUInteger error_hash(id self, SEL cmd)
{
    return (NSUInteger)error_of(self)->code;
}

static void error_dealloc(id self, SEL cmd)
{
    objc_release(error_of(self)->domain);
    objc_release(error_of(self)->user_info);
    abx_objc_dealloc_super(self, ABX_CLASS(NSError));
}

/* ---- NSException */

/* The type a handler for NSException asks for; the header declares the class objc_exception. */
extern const void *const objc_ehtype_vtable[];
ABX_EXPORT extern const struct exception_type exception_type __asm__("OBJC_EHTYPE_$_NSException");
const struct exception_type {
    const void *const *vtable;
    const char *name;
    void *cls;
} exception_type = {objc_ehtype_vtable + 2, "NSException", &abx_class_NSException};

struct ns_exception {
    Class isa;
    id name, reason, user_info, addresses;
};

static struct ns_exception *exception_of(id self)
{
    return (struct ns_exception *)self;
}

static id exception_init(id self, SEL cmd, id name, id reason, id user_info)
{
    exception_of(self)->name = abx_ns_copy(name);
    exception_of(self)->reason = abx_ns_copy(reason);
    exception_of(self)->user_info = abx_ns_copy(user_info);
    return self;
}

static id exception_with(id cls, SEL cmd, id name, id reason, id user_info)
{
    return objc_autorelease(
            exception_init(class_createInstance((Class)cls, 0), cmd, name, reason, user_info));
}

static void exception_raise(id self, SEL cmd)
{
    objc_exception_throw(self);
}

static void raise_text(id cls, id name, id reason)
{
    objc_exception_throw(exception_with(cls, NULL, name, reason, nil));
}

static void exception_raise_arguments(id cls, SEL cmd, id name, id format, va_list arguments)
{
    raise_text(cls, name, objc_autorelease(abx_ns_string_vprintf(format, arguments)));
}

static void exception_raise_format(id cls, SEL cmd, id name, id format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    id reason = objc_autorelease(abx_ns_string_vprintf(format, arguments));
    va_end(arguments);
    raise_text(cls, name, reason);
}

static void raise_printf(const char *name, const char *format, va_list arguments)
{
    char *text = NULL;
    if (vasprintf(&text, format, arguments) < 0)
        abort();
    id reason = abx_ns_string(text);
    free(text);
    raise_text((id)ABX_CLASS(NSException), abx_ns_string(name), reason);
}

#define RAISE(name)                                                                                \
    va_list arguments;                                                                             \
    va_start(arguments, format);                                                                   \
    raise_printf(name, format, arguments);                                                         \
    va_end(arguments);                                                                             \
    abort();

void abx_ns_raise(const char *name, const char *format, ...)
{
    RAISE(name)
}

void abx_ns_raise_range(const char *format, ...)
{
    RAISE("NSRangeException")
}

void abx_ns_raise_argument(const char *format, ...)
{
    RAISE("NSInvalidArgumentException")
}

static id exception_name(id self, SEL cmd)
{
    return exception_of(self)->name;
}

static id exception_reason(id self, SEL cmd)
{
    return exception_of(self)->reason;
}

static id exception_user_info(id self, SEL cmd)
{
    return exception_of(self)->user_info;
}

static id exception_description(id self, SEL cmd)
{
    id reason = exception_of(self)->reason;
    return reason ? reason : exception_of(self)->name;
}

static id exception_no_stack(id self, SEL cmd)
{
    return abx_ns_array(NULL, 0);
}

static void exception_dealloc(id self, SEL cmd)
{
    struct ns_exception *e = exception_of(self);
    objc_release(e->name);
    objc_release(e->reason);
    objc_release(e->user_info);
    abx_objc_dealloc_super(self, ABX_CLASS(NSException));
}

typedef void NSUncaughtExceptionHandler(id exception);
static NSUncaughtExceptionHandler *handler;

OBJC_EXPORT NSUncaughtExceptionHandler *NSGetUncaughtExceptionHandler(void);
NSUncaughtExceptionHandler *NSGetUncaughtExceptionHandler(void)
{
    return handler;
}

OBJC_EXPORT void NSSetUncaughtExceptionHandler(NSUncaughtExceptionHandler *function);
void NSSetUncaughtExceptionHandler(NSUncaughtExceptionHandler *function)
{
    handler = function;
}

static void uncaught(id exception)
{
    bool ours = abx_objc_is_kind_of(exception, ABX_CLASS(NSException));
    if (handler)
        handler(exception);
    fprintf(stderr, "*** Terminating app due to uncaught exception '%s', reason: '%s'\n",
            ours ? abx_ns_string_utf8(exception_of(exception)->name)
                 : object_getClassName(exception),
            abx_ns_string_utf8(abx_ns_description(exception)));
}

static void mutated(id collection)
{
    abx_ns_raise("NSGenericException",
            "*** Collection <%s: %p> was mutated while being enumerated.",
            object_getClassName(collection), (void *)collection);
}

static const struct abx_objc_method error_methods[] = {
        METHOD("initWithDomain:code:userInfo:", "@@:@q@", error_init),
        METHOD("domain", "@@:", error_domain),
        METHOD("code", "q@:", error_code),
        METHOD("userInfo", "@@:", error_user_info),
        METHOD("localizedDescription", "@@:", error_localized),
        METHOD("localizedFailureReason", "@@:", error_reason),
        METHOD("localizedRecoverySuggestion", "@@:", error_suggestion),
        METHOD("underlyingErrors", "@@:", error_underlying),
        METHOD("description", "@@:", error_description),
        METHOD("isEqual:", "B@:@", error_equal),
        METHOD("hash", "Q@:", error_hash),
        METHOD("copyWithZone:", "@@:" ZONE, abx_ns_copy_immutable),
        METHOD("dealloc", "v@:", error_dealloc),
        {NULL},
};
static const struct abx_objc_method error_class_methods[] = {
        METHOD("errorWithDomain:code:userInfo:", "@@:@q@", error_with),
        {NULL},
};
static const struct abx_objc_method exception_methods[] = {
        METHOD("initWithName:reason:userInfo:", "@@:@@@", exception_init),
        METHOD("raise", "v@:", exception_raise),
        METHOD("name", "@@:", exception_name),
        METHOD("reason", "@@:", exception_reason),
        METHOD("userInfo", "@@:", exception_user_info),
        METHOD("callStackSymbols", "@@:", exception_no_stack),
        METHOD("callStackReturnAddresses", "@@:", exception_no_stack),
        METHOD("description", "@@:", exception_description),
        METHOD("copyWithZone:", "@@:" ZONE, abx_ns_copy_immutable),
        METHOD("dealloc", "v@:", exception_dealloc),
        {NULL},
};
static const struct abx_objc_method exception_class_methods[] = {
        METHOD("exceptionWithName:reason:userInfo:", "@@:@@@", exception_with),
        METHOD("raise:format:", "v@:@@", exception_raise_format),
        METHOD("raise:format:arguments:", "v@:@@^{__va_list_tag=II^v^v}",
                exception_raise_arguments),
        {NULL},
};

__attribute__((constructor(102))) static void define(void)
{
    DEFINE(NSError, NSObject, struct ns_error, error_methods, error_class_methods, "NSCopying",
            "NSSecureCoding");
    DEFINE(NSException, NSObject, struct ns_exception, exception_methods, exception_class_methods,
            "NSCopying", "NSSecureCoding");
    objc_setUncaughtExceptionHandler(uncaught);
    objc_setEnumerationMutationHandler(mutated);
}
