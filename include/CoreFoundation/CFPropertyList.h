#ifndef __COREFOUNDATION_CFPROPERTYLIST__
#define __COREFOUNDATION_CFPROPERTYLIST__
#include <CoreFoundation/CFData.h>
#include <CoreFoundation/CFStream.h>
CF_EXTERN_C_BEGIN
typedef CFTypeRef CFPropertyListRef;
typedef enum {
    kCFPropertyListImmutable = 0,
    kCFPropertyListMutableContainers = 1,
    kCFPropertyListMutableContainersAndLeaves = 2
} CFPropertyListMutabilityOptions;
typedef enum {
    kCFPropertyListOpenStepFormat = 1,
    kCFPropertyListXMLFormat_v1_0 = 100,
    kCFPropertyListBinaryFormat_v1_0 = 200
} CFPropertyListFormat;
/* Of XML's form; NULL and *error, to be released, for others. Containers are mutable in any case. */
CFPropertyListRef CFPropertyListCreateWithData(CFAllocatorRef allocator, CFDataRef data,
        CFOptionFlags options, CFPropertyListFormat *format, CFErrorRef *error);
/* length 0: to its end. */
CFPropertyListRef CFPropertyListCreateWithStream(CFAllocatorRef allocator, CFReadStreamRef stream,
        CFIndex length, CFOptionFlags options, CFPropertyListFormat *format, CFErrorRef *error);
CF_EXTERN_C_END
#endif
