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
/* `@` stays in front of what this gives: the first character of an encoding, or the 0 behind it. */
#define available(...) encode(char)[!abx_is_available(#__VA_ARGS__)]
#endif
#endif
#endif
