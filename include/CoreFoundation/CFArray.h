#ifndef __COREFOUNDATION_CFARRAY__
#define __COREFOUNDATION_CFARRAY__
#include <CoreFoundation/CFBase.h>
CF_EXTERN_C_BEGIN
typedef struct CF_BRIDGED_TYPE(NSMutableArray) __CFArray *CFMutableArrayRef;
typedef struct {
    CFIndex version;
    const void *(*retain)(CFAllocatorRef allocator, const void *value);
    void (*release)(CFAllocatorRef allocator, const void *value);
    CFStringRef (*copyDescription)(const void *value);
    Boolean (*equal)(const void *a, const void *b);
} CFArrayCallBacks;
extern const CFArrayCallBacks kCFTypeArrayCallBacks;
/* Arrays are NSArrays: `callbacks` must be &kCFTypeArrayCallBacks; with others, NULL and a line that says so. */
CFTypeID CFArrayGetTypeID(void);
CFArrayRef CFArrayCreate(
        CFAllocatorRef allocator, const void **values, CFIndex count, const CFArrayCallBacks *callbacks);
CFArrayRef CFArrayCreateCopy(CFAllocatorRef allocator, CFArrayRef array);
CFMutableArrayRef CFArrayCreateMutable(
        CFAllocatorRef allocator, CFIndex capacity, const CFArrayCallBacks *callbacks);
CFIndex CFArrayGetCount(CFArrayRef array);
const void *CFArrayGetValueAtIndex(CFArrayRef array, CFIndex index);
Boolean CFArrayContainsValue(CFArrayRef array, CFRange range, const void *value);
void CFArrayAppendValue(CFMutableArrayRef array, const void *value);
void CFArrayRemoveValueAtIndex(CFMutableArrayRef array, CFIndex index);
void CFArrayRemoveAllValues(CFMutableArrayRef array);
CF_EXTERN_C_END
#endif
