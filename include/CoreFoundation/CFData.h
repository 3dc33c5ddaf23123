#ifndef __COREFOUNDATION_CFDATA__
#define __COREFOUNDATION_CFDATA__
#include <CoreFoundation/CFBase.h>
CF_EXTERN_C_BEGIN
CFTypeID CFDataGetTypeID(void);
CFDataRef CFDataCreate(CFAllocatorRef allocator, const UInt8 *bytes, CFIndex length);
CFIndex CFDataGetLength(CFDataRef data);
const UInt8 *CFDataGetBytePtr(CFDataRef data);
CF_EXTERN_C_END
#endif
