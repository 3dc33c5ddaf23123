#ifndef __COREFOUNDATION_CFSTRING__
#define __COREFOUNDATION_CFSTRING__
#include <CoreFoundation/CFBase.h>
#include <stdarg.h>
CF_EXTERN_C_BEGIN
typedef UInt32 CFStringEncoding;
enum {
    kCFStringEncodingMacRoman = 0,
    kCFStringEncodingASCII = 0x0600,
    kCFStringEncodingISOLatin1 = 0x0201,
    kCFStringEncodingUTF8 = 0x08000100,
    kCFStringEncodingUTF16 = 0x0100
};
CFStringRef __CFStringMakeConstantString(const char *text);
#if defined(__clang__)
#define CFSTR(text) ((CFStringRef)__builtin___CFStringMakeConstantString("" text ""))
#else
#define CFSTR(text) __CFStringMakeConstantString("" text "")
#endif
CFTypeID CFStringGetTypeID(void);
CFStringRef CFStringCreateWithCString(
        CFAllocatorRef allocator, const char *text, CFStringEncoding encoding);
CFStringRef CFStringCreateWithBytes(CFAllocatorRef allocator, const UInt8 *bytes, CFIndex length,
        CFStringEncoding encoding, Boolean external);
CFStringRef CFStringCreateCopy(CFAllocatorRef allocator, CFStringRef string);
CFStringRef CFStringCreateWithFormat(
        CFAllocatorRef allocator, CFDictionaryRef options, CFStringRef format, ...);
CFIndex CFStringGetLength(CFStringRef string);
const char *CFStringGetCStringPtr(CFStringRef string, CFStringEncoding encoding);
Boolean CFStringGetCString(
        CFStringRef string, char *buffer, CFIndex capacity, CFStringEncoding encoding);
CFIndex CFStringGetMaximumSizeForEncoding(CFIndex length, CFStringEncoding encoding);
CFComparisonResult CFStringCompare(CFStringRef a, CFStringRef b, CFOptionFlags options);
CF_EXTERN_C_END
#endif
