/* The basic Objective-C types, and the registration of this object file's classes.
 * Usable from C, C++, Objective-C and Objective-C++. */
#ifndef _OBJC_OBJC_H_
#define _OBJC_OBJC_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
#define OBJC_EXTERN extern "C"
#else
#define OBJC_EXTERN extern
#endif
#define OBJC_EXPORT OBJC_EXTERN __attribute__((visibility("default")))
#define OBJC_VISIBLE __attribute__((visibility("default")))
#define OBJC_AVAILABLE(...)
#define OBJC_UNAVAILABLE(_msg) __attribute__((unavailable(_msg)))

#ifndef OBJC_OLD_DISPATCH_PROTOTYPES
#define OBJC_OLD_DISPATCH_PROTOTYPES 0
#endif

typedef struct objc_class *Class;
struct objc_object {
    Class isa;
};
typedef struct objc_object *id;
typedef struct objc_selector *SEL;

#if !OBJC_OLD_DISPATCH_PROTOTYPES
typedef void (*IMP)(void);
#else
typedef id (*IMP)(id, SEL, ...);
#endif

/* As on macOS: bool on arm64, signed char on x86-64. */
#define OBJC_BOOL_DEFINED
#if defined(__aarch64__)
#define OBJC_BOOL_IS_BOOL 1
#define OBJC_BOOL_IS_CHAR 0
typedef bool BOOL;
#else
#define OBJC_BOOL_IS_BOOL 0
#define OBJC_BOOL_IS_CHAR 1
typedef signed char BOOL;
#endif

#if defined(__has_feature)
#if __has_feature(objc_bool)
#define YES __objc_yes
#define NO __objc_no
#endif
#if __has_feature(objc_arc)
#define OBJC_ARC_UNAVAILABLE __attribute__((unavailable("not available in ARC mode")))
#define __ABX_OBJC_ARC 1
#endif
#endif
#ifndef YES
#define YES ((BOOL)1)
#define NO ((BOOL)0)
#endif
#ifndef OBJC_ARC_UNAVAILABLE
#define OBJC_ARC_UNAVAILABLE
#endif
#define OBJC_NO_GC
#define OBJC_SWIFT_UNAVAILABLE(...)
#ifdef __OBJC__
#define OBJC_RETURNS_RETAINED __attribute__((ns_returns_retained))
#else
#define OBJC_RETURNS_RETAINED
#endif
#define OBJC_ROOT_CLASS __attribute__((objc_root_class))
#define OBJC_ENUM(type, name)                                                                      \
    enum name : type name;                                                                         \
    enum name : type
#define OBJC_OPTIONS(type, name)                                                                   \
    enum name : type name;                                                                         \
    enum name : type

#ifndef Nil
#if defined(__cplusplus) && __cplusplus >= 201103L
#define Nil nullptr
#define nil nullptr
#else
#define Nil ((void *)0)
#define nil ((void *)0)
#endif
#endif

#ifndef __clang__
#define _Nullable
#define _Nonnull
#define _Null_unspecified
#endif

#ifndef __OBJC__
#define __unsafe_unretained
#define __autoreleasing
#define __strong
#define __weak_objc
#endif
#if !defined(__ABX_OBJC_ARC) && !defined(__OBJC__)
#define __bridge
#define __bridge_retained
#define __bridge_transfer
#endif

OBJC_EXPORT const char *sel_getName(SEL sel);
OBJC_EXPORT SEL sel_registerName(const char *str);
OBJC_EXPORT SEL sel_getUid(const char *str);
OBJC_EXPORT BOOL sel_isMapped(SEL sel);
OBJC_EXPORT const char *object_getClassName(id obj);
OBJC_EXPORT void *object_getIndexedIvars(id obj);

/* ---- registration
 * An ELF object has no loader that knows of Objective-C, so each translation unit that includes
 * this header plants one constructor that hands the runtime the image's metadata sections. It runs
 * before C++ static initialisers, and once per image counts: the calls are idempotent. */
struct _abx_objc_image {
    void *sections[14]; /* begin and end of each, in the order below; NULL where absent */
};
OBJC_EXPORT void _abx_objc_register_image(const struct _abx_objc_image *image);

#ifdef __OBJC__
#define _ABX_OBJC_SECTION(name)                                                                    \
    OBJC_EXTERN char __start_##name[] __attribute__((weak, visibility("hidden")));                 \
    OBJC_EXTERN char __stop_##name[] __attribute__((weak, visibility("hidden")));
_ABX_OBJC_SECTION(objc_classlist)
_ABX_OBJC_SECTION(objc_catlist)
_ABX_OBJC_SECTION(objc_protolist)
_ABX_OBJC_SECTION(objc_protorefs)
_ABX_OBJC_SECTION(objc_selrefs)
_ABX_OBJC_SECTION(objc_nlclslist)
_ABX_OBJC_SECTION(objc_nlcatlist)
#undef _ABX_OBJC_SECTION

static __attribute__((constructor(101), used)) void _abx_objc_image_constructor(void)
{
    struct _abx_objc_image image = {{__start_objc_classlist, __stop_objc_classlist,
            __start_objc_catlist, __stop_objc_catlist, __start_objc_protolist,
            __stop_objc_protolist, __start_objc_protorefs, __stop_objc_protorefs,
            __start_objc_selrefs, __stop_objc_selrefs, __start_objc_nlclslist,
            __stop_objc_nlclslist, __start_objc_nlcatlist, __stop_objc_nlcatlist}};
    _abx_objc_register_image(&image);
}
#endif

#endif
