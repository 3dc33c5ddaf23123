/* foundation: see foundation_table.h. Guest's process; trusts it. */
#include "foundation/foundation_table.h"

static NSUInteger slot_of(const struct ns_table *table, id key)
{
    NSUInteger hash = abx_ns_hash(key) * 0x9e3779b97f4a7c15ul;
    return (hash >> 32 ^ hash) & (table->capacity - 1);
}

ptrdiff_t abx_ns_table_find(const struct ns_table *table, id key)
{
    if (!table->capacity)
        return -1;
    NSUInteger at = slot_of(table, key);
    while (table->keys[at] && table->keys[at] != key && !abx_ns_is_equal(table->keys[at], key))
        at = (at + 1) & (table->capacity - 1);
    return (ptrdiff_t)at;
}

static void grow(struct ns_table *table, bool has_values)
{
    struct ns_table old = *table;
    table->capacity = old.capacity ? old.capacity * 2 : 8;
    table->keys = calloc(table->capacity, sizeof(id));
    table->values = has_values ? calloc(table->capacity, sizeof(id)) : NULL;
    if (!table->keys || (has_values && !table->values))
        abort();
    for (NSUInteger i = 0; i < old.capacity; i++) {
        if (!old.keys[i])
            continue;
        NSUInteger at = slot_of(table, old.keys[i]);
        while (table->keys[at])
            at = (at + 1) & (table->capacity - 1);
        table->keys[at] = old.keys[i];
        if (has_values)
            table->values[at] = old.values[i];
    }
    free(old.keys);
    free(old.values);
}

void abx_ns_table_put(struct ns_table *table, id key, id value, bool has_values, bool keep)
{
    if (table->count * 4 >= table->capacity * 3)
        grow(table, has_values);
    ptrdiff_t at = abx_ns_table_find(table, key);
    if (!table->keys[at]) {
        table->keys[at] = objc_retain(key);
        if (has_values)
            table->values[at] = objc_retain(value);
        table->count++;
        table->mutations++;
    } else if (has_values && !keep) {
        objc_storeStrong(&table->values[at], value);
        table->mutations++;
    }
}

void abx_ns_table_put_all(struct ns_table *table, const struct ns_table *from)
{
    for (NSUInteger i = 0; i < from->capacity; i++)
        if (from->keys[i])
            abx_ns_table_put(table, from->keys[i], from->values ? from->values[i] : nil,
                    from->values, false);
}

void abx_ns_table_remove(struct ns_table *table, id key)
{
    ptrdiff_t found = abx_ns_table_find(table, key);
    if (found < 0 || !table->keys[found])
        return;
    NSUInteger hole = (NSUInteger)found, mask = table->capacity - 1;
    id old_key = table->keys[hole], old_value = table->values ? table->values[hole] : nil;
    /* entries that were pushed past the hole move back into it */
    for (NSUInteger at = (hole + 1) & mask; table->keys[at]; at = (at + 1) & mask) {
        NSUInteger home = slot_of(table, table->keys[at]);
        if (((at - home) & mask) < ((at - hole) & mask))
            continue;
        table->keys[hole] = table->keys[at];
        if (table->values)
            table->values[hole] = table->values[at];
        hole = at;
    }
    table->keys[hole] = nil;
    if (table->values)
        table->values[hole] = nil;
    table->count--;
    table->mutations++;
    objc_release(old_key);
    objc_release(old_value);
}

void abx_ns_table_clear(struct ns_table *table)
{
    struct ns_table old = *table;
    *table = (struct ns_table){.mutations = old.mutations + 1};
    for (NSUInteger i = 0; i < old.capacity; i++) {
        if (!old.keys[i])
            continue;
        objc_release(old.keys[i]);
        if (old.values)
            objc_release(old.values[i]);
    }
    free(old.keys);
    free(old.values);
}

id abx_ns_table_array(const struct ns_table *table, const id *from)
{
    id result = abx_ns_mutable_array();
    for (NSUInteger i = 0; i < table->capacity; i++)
        if (table->keys[i])
            abx_ns_array_add(result, from[i]);
    return result;
}

/* ---- methods of sets and dictionaries */

id abx_ns_hashed_init_capacity(id self, SEL cmd, NSUInteger capacity)
{
    return self;
}

id abx_ns_hashed_init_from(id self, SEL cmd, id other)
{
    if (other)
        abx_ns_table_put_all(abx_ns_table(self), abx_ns_table(other));
    return self;
}

id abx_ns_hashed_copy(id self, Class immutable, Class mutable)
{
    if (!abx_objc_is_kind_of(self, mutable))
        return objc_retain(self);
    return abx_ns_hashed_init_from(class_createInstance(immutable, 0), NULL, self);
}

NSUInteger abx_ns_hashed_count(id self, SEL cmd)
{
    return abx_ns_table(self)->count;
}

NSUInteger abx_ns_hashed_enumerate(
        id self, SEL cmd, NSFastEnumerationState *state, id *buffer, NSUInteger count)
{
    struct ns_table *table = abx_ns_table(self);
    NSUInteger n = 0, at = state->state;
    for (; at < table->capacity && n < count; at++)
        if (table->keys[at])
            buffer[n++] = table->keys[at];
    state->state = at;
    state->items = buffer;
    state->mutations = &table->mutations;
    return n;
}

void abx_ns_hashed_remove_all(id self, SEL cmd)
{
    abx_ns_table_clear(abx_ns_table(self));
}
