/* foundation: what NSArray, NSDictionary and NSSet have in common. */
#ifndef ABX_FOUNDATION_COLLECTION_H
#define ABX_FOUNDATION_COLLECTION_H

#include "foundation/foundation_internal.h"

/* Methods: an empty collection of the class, autoreleased; the capacity is a hint. */
id abx_ns_collection(id cls, SEL cmd);
id abx_ns_collection_capacity(id cls, SEL cmd, NSUInteger capacity);

/* Calls add(collection, object) for the objects of a list that nil ends. Returns the collection. */
id abx_ns_add_variadic(id collection, void (*add)(id, id), id first, va_list rest);

/* `open`, a line for each object of the array, `close`. */
id abx_ns_list_description(const char *open, id array, const char *close);

#endif
