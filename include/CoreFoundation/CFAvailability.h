#ifndef __COREFOUNDATION_CFAVAILABILITY__
#define __COREFOUNDATION_CFAVAILABILITY__
#include <Availability.h>
#include <TargetConditionals.h>

#if defined(__clang__)
#define __CF_ENUM_ATTRIBUTES __attribute__((enum_extensibility(open)))
#else
#define __CF_ENUM_ATTRIBUTES
#endif
#define __CF_ENUM_PICK(_1, _2, NAME, ...) NAME
#define __CF_NAMED_ENUM(type, name)                                                                \
    enum __CF_ENUM_ATTRIBUTES name : type name;                                                    \
    enum name : type
#define __CF_ANON_ENUM(type) enum __CF_ENUM_ATTRIBUTES : type
#define CF_ENUM(...) __CF_ENUM_PICK(__VA_ARGS__, __CF_NAMED_ENUM, __CF_ANON_ENUM, )(__VA_ARGS__)
#define CF_CLOSED_ENUM(type, name) __CF_NAMED_ENUM(type, name)
#if defined(__cplusplus)
#define CF_OPTIONS(type, name)                                                                     \
    type name;                                                                                     \
    enum : type
#else
#define CF_OPTIONS(type, name)                                                                     \
    enum name : type name;                                                                         \
    enum name : type
#endif
#define CF_AVAILABLE(...)
#define CF_AVAILABLE_MAC(...)
#define CF_ENUM_AVAILABLE(...)
#define CF_SWIFT_NAME(...)
#endif
