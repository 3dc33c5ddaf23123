/* I/O Kit's registry, as far as programs ask it about the GPU. It has one entry, of the classes IOAccelerator,
 * AGXAccelerator and IOGPU: the default Metal device. Nothing can be opened. */
#ifndef _IOKIT_IOKITLIB_H
#define _IOKIT_IOKITLIB_H
#include <CoreFoundation/CoreFoundation.h>
#include <IOKit/IOReturn.h>
#include <IOKit/IOTypes.h>
#include <mach/mach.h>
#include <netinet/in.h> /* ntohs(), which a Mac has in <sys/types.h> */
CF_EXTERN_C_BEGIN
extern const mach_port_t kIOMasterPortDefault, kIOMainPortDefault;
#define kIOProviderClassKey "IOProviderClass"
#define kIONameMatchKey "IONameMatch"
#define kIOServicePlane "IOService"
enum { kIORegistryIterateRecursively = 1, kIORegistryIterateParents = 2 };

CFMutableDictionaryRef IOServiceMatching(const char *name);
CFMutableDictionaryRef IOServiceNameMatching(const char *name);
/* The first that matches, to be released; IO_OBJECT_NULL where none does. Takes over `matching`. */
io_service_t IOServiceGetMatchingService(mach_port_t port, CFDictionaryRef matching);
/* Takes over `matching`; *iterator, to be released, may be empty. */
kern_return_t IOServiceGetMatchingServices(
        mach_port_t port, CFDictionaryRef matching, io_iterator_t *iterator);
io_object_t IOIteratorNext(io_iterator_t iterator); /* to be released; IO_OBJECT_NULL at the end */
kern_return_t IOObjectRetain(io_object_t object);
kern_return_t IOObjectRelease(io_object_t object);
boolean_t IOObjectConformsTo(io_object_t object, const io_name_t name);
kern_return_t IOObjectGetClass(io_object_t object, io_name_t name);
kern_return_t IORegistryEntryGetName(io_registry_entry_t entry, io_name_t name);
kern_return_t IORegistryEntryGetRegistryEntryID(io_registry_entry_t entry, uint64_t *id);
/* "IOClass", "model" and "gpu-core-count"; NULL for other keys. To be released. */
CFTypeRef IORegistryEntryCreateCFProperty(
        io_registry_entry_t entry, CFStringRef key, CFAllocatorRef allocator, IOOptionBits options);
CFTypeRef IORegistryEntrySearchCFProperty(io_registry_entry_t entry, const io_name_t plane,
        CFStringRef key, CFAllocatorRef allocator, IOOptionBits options);
kern_return_t IORegistryEntryCreateCFProperties(io_registry_entry_t entry,
        CFMutableDictionaryRef *properties, CFAllocatorRef allocator, IOOptionBits options);

/* Opening is kIOReturnUnsupported, so that what follows has no connection. */
kern_return_t IOServiceOpen(
        io_service_t service, task_port_t owner, uint32_t type, io_connect_t *connect);
kern_return_t IOServiceClose(io_connect_t connect);
kern_return_t IOConnectCallStructMethod(mach_port_t connect, uint32_t selector, const void *input,
        size_t input_size, void *output, size_t *output_size);
kern_return_t IOConnectCallScalarMethod(mach_port_t connect, uint32_t selector, const uint64_t *input,
        uint32_t input_count, uint64_t *output, uint32_t *output_count);
CF_EXTERN_C_END
#endif
