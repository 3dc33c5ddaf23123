/* dispatch: dispatch data's layout, which is NSData's: each can be passed for the other. */
#ifndef ABX_DISPATCH_DATA_H
#define ABX_DISPATCH_DATA_H

#include "objc/objc_internal.h"

struct abx_data {
    Class isa;
    void *bytes;
    size_t length, capacity;
    void *deallocator; /* a block (void *, NSUInteger) that frees the bytes, or NULL */
    bool owns;         /* the bytes are a malloc of ours */
};
/* Foundation calls it when NSData, the superclass, is there. */
void abx_dispatch_define_data(Class ns_data);

#endif
