/* metal: I/O Kit's registry, as far as programs ask it about the GPU: one entry, the default Metal
 * device. Objects are numbers, as Mach's ports are: an iterator is counted down by being another
 * number. Runs in the guest's process. */
#include "metal/metal_internal.h"
#include "IOKit/IOKitLib.h"

#include <stdio.h>
#include <string.h>

ABX_EXPORT id MTLCreateSystemDefaultDevice(void);

enum {
    ENTRY = 0x4701,    /* the device */
    ITERATOR = 0x4800, /* and above: iterators, by a number */
    MAX_ITERATORS = 256,
};

ABX_EXPORT const mach_port_t kIOMasterPortDefault, kIOMainPortDefault;

static const char *const classes[] = {
        "IOAccelerator", "AGXAccelerator", "IOGPU", "IOService", "IORegistryEntry", "IOObject"};

static bool is_class(const char *name)
{
    for (size_t i = 0; name && i < ABX_ARRAY_SIZE(classes); i++)
        if (!strcmp(name, classes[i]))
            return true;
    return false;
}

/* ---- matching */

static CFMutableDictionaryRef matching(const char *key, const char *name)
{
    if (!name)
        return NULL;
    void *pool = objc_autoreleasePoolPush();
    id dictionary = objc_retain(abx_ns_mutable_dictionary());
    abx_ns_dictionary_set(dictionary, abx_ns_string(key), abx_ns_string(name));
    objc_autoreleasePoolPop(pool);
    return (CFMutableDictionaryRef)dictionary;
}

ABX_EXPORT CFMutableDictionaryRef IOServiceMatching(const char *name)
{
    return matching(kIOProviderClassKey, name);
}

ABX_EXPORT CFMutableDictionaryRef IOServiceNameMatching(const char *name)
{
    return matching(kIONameMatchKey, name);
}

ABX_EXPORT io_service_t IOServiceGetMatchingService(mach_port_t port, CFDictionaryRef wanted)
{
    id dictionary = abx_ns_of_cf(wanted), device = NULL;
    if (!dictionary)
        return IO_OBJECT_NULL;
    void *pool = objc_autoreleasePoolPush();
    id name = abx_ns_dictionary_get(dictionary, abx_ns_string(kIOProviderClassKey));
    /* What asks for more than a class wants what is not here. */
    if (abx_ns_dictionary_count(dictionary) == 1 && is_class(abx_ns_string_utf8(name)))
        device = MTLCreateSystemDefaultDevice();
    bool found = device != NULL;
    objc_release(device);
    objc_autoreleasePoolPop(pool);
    objc_release(dictionary);
    return found ? ENTRY : IO_OBJECT_NULL;
}

/* ---- iterators */

static _Atomic bool waiting[MAX_ITERATORS]; /* its entry has not been taken */
static _Atomic unsigned iterators;

ABX_EXPORT kern_return_t IOServiceGetMatchingServices(
        mach_port_t port, CFDictionaryRef wanted, io_iterator_t *iterator)
{
    bool found = IOServiceGetMatchingService(port, wanted) != IO_OBJECT_NULL;
    if (!iterator)
        return kIOReturnBadArgument;
    unsigned number = atomic_fetch_add(&iterators, 1) % MAX_ITERATORS;
    atomic_store(&waiting[number], found);
    *iterator = ITERATOR + number;
    return kIOReturnSuccess;
}

ABX_EXPORT io_object_t IOIteratorNext(io_iterator_t iterator)
{
    unsigned number = iterator - ITERATOR;
    bool there = number < MAX_ITERATORS && atomic_exchange(&waiting[number], false);
    return there ? ENTRY : IO_OBJECT_NULL;
}

ABX_EXPORT kern_return_t IOObjectRetain(io_object_t object)
{
    return object ? kIOReturnSuccess : kIOReturnBadArgument;
}

ABX_EXPORT kern_return_t IOObjectRelease(io_object_t object)
{
    return object ? kIOReturnSuccess : kIOReturnBadArgument;
}

/* ---- the entry */

ABX_EXPORT boolean_t IOObjectConformsTo(io_object_t object, const io_name_t name)
{
    return object == ENTRY && is_class(name);
}

static kern_return_t give_name(io_object_t object, char *name, const char *value)
{
    if (object != ENTRY)
        return kIOReturnBadArgument;
    snprintf(name, sizeof(io_name_t), "%s", value);
    return kIOReturnSuccess;
}

ABX_EXPORT kern_return_t IOObjectGetClass(io_object_t object, io_name_t name)
{
    return give_name(object, name, classes[0]);
}

ABX_EXPORT kern_return_t IORegistryEntryGetName(io_registry_entry_t entry, io_name_t name)
{
    return give_name(entry, name, classes[0]);
}

ABX_EXPORT kern_return_t IORegistryEntryGetRegistryEntryID(io_registry_entry_t entry, uint64_t *ret)
{
    id device = entry == ENTRY ? MTLCreateSystemDefaultDevice() : NULL;
    if (!device)
        return kIOReturnBadArgument;
    *ret = ABX_MSG(uint64_t, (id, SEL), device, "registryID");
    objc_release(device);
    return kIOReturnSuccess;
}

/* Autoreleased. */
static id properties_of(io_registry_entry_t entry)
{
    id device = entry == ENTRY ? MTLCreateSystemDefaultDevice() : NULL;
    if (!device)
        return NULL;
    struct abx_metal_device *d = (struct abx_metal_device *)device;
    const struct abx_message_welcome *w = abx_client_welcome(d->base.client);
    id properties = abx_ns_mutable_dictionary();
    abx_ns_dictionary_set(properties, abx_ns_string("IOClass"), abx_ns_string(classes[0]));
    abx_ns_dictionary_set(properties, abx_ns_string("model"), d->name);
    if (w->compute_units)
        abx_ns_dictionary_set(
                properties, abx_ns_string("gpu-core-count"), abx_ns_number_int(w->compute_units));
    objc_release(device);
    return properties;
}

ABX_EXPORT CFTypeRef IORegistryEntryCreateCFProperty(
        io_registry_entry_t entry, CFStringRef key, CFAllocatorRef allocator, IOOptionBits options)
{
    void *pool = objc_autoreleasePoolPush();
    id properties = properties_of(entry);
    id value = properties && key ? objc_retain(abx_ns_dictionary_get(properties, abx_ns_of_cf(key)))
                                 : NULL;
    objc_autoreleasePoolPop(pool);
    return value;
}

ABX_EXPORT CFTypeRef IORegistryEntrySearchCFProperty(io_registry_entry_t entry,
        const io_name_t plane, CFStringRef key, CFAllocatorRef allocator, IOOptionBits options)
{
    return IORegistryEntryCreateCFProperty(entry, key, allocator, options);
}

ABX_EXPORT kern_return_t IORegistryEntryCreateCFProperties(io_registry_entry_t entry,
        CFMutableDictionaryRef *properties, CFAllocatorRef allocator, IOOptionBits options)
{
    void *pool = objc_autoreleasePoolPush();
    id found = objc_retain(properties_of(entry));
    objc_autoreleasePoolPop(pool);
    if (!found)
        return kIOReturnBadArgument;
    *properties = (CFMutableDictionaryRef)found;
    return kIOReturnSuccess;
}

/* ---- connections: there are none */

ABX_EXPORT kern_return_t IOServiceOpen(
        io_service_t service, task_port_t owner, uint32_t type, io_connect_t *connect)
{
    return service == ENTRY ? kIOReturnUnsupported : kIOReturnBadArgument;
}

ABX_EXPORT kern_return_t IOServiceClose(io_connect_t connect)
{
    return kIOReturnNotOpen;
}

ABX_EXPORT kern_return_t IOConnectCallStructMethod(mach_port_t connect, uint32_t selector_number,
        const void *input, size_t input_size, void *output, size_t *output_size)
{
    return kIOReturnNotOpen;
}

ABX_EXPORT kern_return_t IOConnectCallScalarMethod(mach_port_t connect, uint32_t selector_number,
        const uint64_t *input, uint32_t input_count, uint64_t *output, uint32_t *output_count)
{
    return kIOReturnNotOpen;
}
