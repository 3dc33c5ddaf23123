#ifndef __COREFOUNDATION_CFSTREAM__
#define __COREFOUNDATION_CFSTREAM__
#include <CoreFoundation/CFBase.h>
CF_EXTERN_C_BEGIN
typedef struct __CFReadStream *CFReadStreamRef;
CFReadStreamRef CFReadStreamCreateWithFile(CFAllocatorRef allocator, CFURLRef url);
Boolean CFReadStreamOpen(CFReadStreamRef stream);
/* Bytes read; 0 at the end, -1 where it is not open. */
CFIndex CFReadStreamRead(CFReadStreamRef stream, UInt8 *buffer, CFIndex length);
void CFReadStreamClose(CFReadStreamRef stream);
CF_EXTERN_C_END
#endif
