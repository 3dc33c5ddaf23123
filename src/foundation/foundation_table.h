/* foundation: the hash table under NSDictionary and NSSet: object keys compared with isEqual:, open
 * addressing, linear probing. Keys and values are owned. Not locked: the collection's user does. */
#ifndef ABX_FOUNDATION_TABLE_H
#define ABX_FOUNDATION_TABLE_H

#include "foundation/foundation_internal.h"

struct ns_table {
    id *keys;   /* capacity of them; nil is an empty slot */
    id *values; /* as many; NULL in a set */
    NSUInteger count, capacity;
    unsigned long mutations;
};

/* Slot of an equal key, or the empty one where it would go; -1 when there is no table yet. */
ptrdiff_t abx_ns_table_find(const struct ns_table *table, id key);
/* `key` is retained (a dictionary passes its copy and releases it); so is value. With `keep`, an
 * equal key's entry is left as it is. */
void abx_ns_table_put(struct ns_table *table, id key, id value, bool has_values, bool keep);
void abx_ns_table_remove(struct ns_table *table, id key);
void abx_ns_table_clear(struct ns_table *table);
NSUInteger abx_ns_table_enumerate(
        struct ns_table *table, NSFastEnumerationState *state, id *buffer, NSUInteger count);
id abx_ns_table_array(
        const struct ns_table *table, const id *from); /* keys or values; autoreleased */

#endif
