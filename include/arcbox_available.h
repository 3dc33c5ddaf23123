/* @available and __builtin_available. On Linux the compiler takes either for true whatever the version
 * is, and programs then use what no system of the version that they are told of has. arcbox-cc includes
 * this before all else, <Availability.h> for those who use clang as it is. */
#ifndef ARCBOX_AVAILABLE_H
#define ARCBOX_AVAILABLE_H
#if defined(__clang__) && !defined(__ASSEMBLER__) && !defined(ARCBOX_NO_AVAILABLE)
#ifdef __cplusplus
extern "C" bool abx_is_available(const char *list);
#else
extern _Bool abx_is_available(const char *list);
#endif
#define __builtin_available(...) abx_is_available(#__VA_ARGS__)
#ifdef __OBJC__
/* `@` stays in front of what this gives: the first character of an encoding, or the 0 behind it. A program's
 * own `available` is left alone, unless its first argument of several is no name: nothing can be pasted to that. */
#define available(...) ABX_AVAILABLE_WHICH(__VA_ARGS__, )(#__VA_ARGS__, __VA_ARGS__)
#define ABX_AVAILABLE_WHICH(first, ...) ABX_AVAILABLE_SECOND(__VA_OPT__(ABX_PLATFORM_##first), ABX_AVAILABLE_OWN, ~)
#define ABX_AVAILABLE_SECOND(...) ABX_AVAILABLE_SECOND_OF(__VA_ARGS__)
#define ABX_AVAILABLE_SECOND_OF(first, second, ...) second
#define ABX_AVAILABLE_OWN(text, ...) available(__VA_ARGS__)
#define ABX_AVAILABLE_CHECK(text, ...) encode(char)[!abx_is_available(text)]
#define ABX_PLATFORM_macOS ~, ABX_AVAILABLE_CHECK,
#define ABX_PLATFORM_macos ~, ABX_AVAILABLE_CHECK,
#define ABX_PLATFORM_macosx ~, ABX_AVAILABLE_CHECK,
#define ABX_PLATFORM_macOSApplicationExtension ~, ABX_AVAILABLE_CHECK,
#define ABX_PLATFORM_iOS ~, ABX_AVAILABLE_CHECK,
#define ABX_PLATFORM_ios ~, ABX_AVAILABLE_CHECK,
#define ABX_PLATFORM_iOSApplicationExtension ~, ABX_AVAILABLE_CHECK,
#define ABX_PLATFORM_tvOS ~, ABX_AVAILABLE_CHECK,
#define ABX_PLATFORM_tvos ~, ABX_AVAILABLE_CHECK,
#define ABX_PLATFORM_tvOSApplicationExtension ~, ABX_AVAILABLE_CHECK,
#define ABX_PLATFORM_watchOS ~, ABX_AVAILABLE_CHECK,
#define ABX_PLATFORM_watchos ~, ABX_AVAILABLE_CHECK,
#define ABX_PLATFORM_watchOSApplicationExtension ~, ABX_AVAILABLE_CHECK,
#define ABX_PLATFORM_visionOS ~, ABX_AVAILABLE_CHECK,
#define ABX_PLATFORM_visionos ~, ABX_AVAILABLE_CHECK,
#define ABX_PLATFORM_visionOSApplicationExtension ~, ABX_AVAILABLE_CHECK,
#define ABX_PLATFORM_xros ~, ABX_AVAILABLE_CHECK,
#define ABX_PLATFORM_xrOS ~, ABX_AVAILABLE_CHECK,
#define ABX_PLATFORM_macCatalyst ~, ABX_AVAILABLE_CHECK,
#define ABX_PLATFORM_maccatalyst ~, ABX_AVAILABLE_CHECK,
#define ABX_PLATFORM_macCatalystApplicationExtension ~, ABX_AVAILABLE_CHECK,
#define ABX_PLATFORM_driverkit ~, ABX_AVAILABLE_CHECK,
#define ABX_PLATFORM_DriverKit ~, ABX_AVAILABLE_CHECK,
#endif
#endif
#endif
