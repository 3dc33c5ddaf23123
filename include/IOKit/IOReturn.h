#ifndef _IOKIT_IORETURN_H
#define _IOKIT_IORETURN_H
#include <mach/mach.h>
typedef kern_return_t IOReturn;
#define kIOReturnSuccess KERN_SUCCESS
#define kIOReturnError ((IOReturn)0xe00002bc)
#define kIOReturnNoDevice ((IOReturn)0xe00002c0)
#define kIOReturnBadArgument ((IOReturn)0xe00002c2)
#define kIOReturnUnsupported ((IOReturn)0xe00002c7)
#define kIOReturnNotOpen ((IOReturn)0xe00002cd)
#define kIOReturnNotFound ((IOReturn)0xe00002f0)
#endif
