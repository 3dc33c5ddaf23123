/* foundation: NSData's layout, which dispatch data shares. */
#ifndef ABX_FOUNDATION_DATA_H
#define ABX_FOUNDATION_DATA_H

#include "foundation/foundation_internal.h"

struct ns_data {
    Class isa;
    void *bytes;
    size_t length, capacity;
    void *deallocator; /* a block (void *, NSUInteger) that frees the bytes, or NULL */
    bool owns;         /* the bytes are a malloc of ours */
};
void abx_ns_define_dispatch_data(void);

#endif
