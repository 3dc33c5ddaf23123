#ifndef _IOKIT_IOTYPES_H
#define _IOKIT_IOTYPES_H
#include <mach/mach.h>
typedef mach_port_t io_object_t;
typedef io_object_t io_connect_t, io_enumerator_t, io_iterator_t, io_registry_entry_t, io_service_t;
typedef char io_name_t[128];
typedef char io_string_t[512];
typedef unsigned int IOOptionBits;
#define IO_OBJECT_NULL ((io_object_t)0)
#endif
