#ifndef __COREFOUNDATION_CFURL__
#define __COREFOUNDATION_CFURL__
#include <CoreFoundation/CFBase.h>
CF_EXTERN_C_BEGIN
/* Other styles than POSIX's give NULL. */
typedef enum {
    kCFURLPOSIXPathStyle = 0,
    kCFURLHFSPathStyle = 1,
    kCFURLWindowsPathStyle = 2
} CFURLPathStyle;
CFURLRef CFURLCreateWithFileSystemPath(
        CFAllocatorRef allocator, CFStringRef path, CFURLPathStyle style, Boolean is_folder);
CFStringRef CFURLCopyFileSystemPath(CFURLRef url, CFURLPathStyle style);
Boolean CFURLGetFileSystemRepresentation(
        CFURLRef url, Boolean absolute, UInt8 *buffer, CFIndex capacity);
CF_EXTERN_C_END
#endif
