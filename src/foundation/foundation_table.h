/* foundation: the hash table under NSDictionary and NSSet: object keys compared with isEqual:, open
 * addressing, linear probing. Keys and values are owned. Not locked: the collection's user does. */
#ifndef ABX_FOUNDATION_TABLE_H
#define ABX_FOUNDATION_TABLE_H

#include "foundation/foundation_collection.h"

struct ns_table {
    id *keys;   /* capacity of them; nil is an empty slot */
    id *values; /* as many; NULL in a set */
    NSUInteger count, capacity;
    unsigned long mutations;
};

/* A set or dictionary. */
struct ns_hashed {
    Class isa;
    struct ns_table table;
};
static inline struct ns_table *abx_ns_table(id collection)
{
    return &((struct ns_hashed *)collection)->table;
}

/* Slot of an equal key, or the empty one where it would go; -1 when there is no table yet. */
ptrdiff_t abx_ns_table_find(const struct ns_table *table, id key);
/* `key` is retained (a dictionary passes its copy and releases it); so is value. With `keep`, an
 * equal key's entry is left as it is. */
void abx_ns_table_put(struct ns_table *table, id key, id value, bool has_values, bool keep);
/* What another table of the kind has, in the place of equal keys here. */
void abx_ns_table_put_all(struct ns_table *table, const struct ns_table *from);
void abx_ns_table_remove(struct ns_table *table, id key);
void abx_ns_table_clear(struct ns_table *table);
id abx_ns_table_array(
        const struct ns_table *table, const id *from); /* keys or values; autoreleased */

/* Methods of both. copy: of class `mutable`, one of class `immutable` (retained); else itself. */
id abx_ns_hashed_init_capacity(id self, SEL cmd, NSUInteger capacity);
id abx_ns_hashed_init_from(id self, SEL cmd, id other);
id abx_ns_hashed_copy(id self, Class immutable, Class mutable);
NSUInteger abx_ns_hashed_count(id self, SEL cmd);
NSUInteger abx_ns_hashed_enumerate(
        id self, SEL cmd, NSFastEnumerationState *state, id *buffer, NSUInteger count);
void abx_ns_hashed_remove_all(id self, SEL cmd);

#endif
