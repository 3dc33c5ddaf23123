/* foundation: work on an NSOperationQueue from C. */
#ifndef ABX_FOUNDATION_OPERATION_H
#define ABX_FOUNDATION_OPERATION_H

#include "foundation/foundation_internal.h"

/* function(user) on the queue, after what has to come before it; wait: until it was called. */
void abx_ns_operation_queue_add(id queue, void (*function)(void *user), void *user, bool wait);

#endif
