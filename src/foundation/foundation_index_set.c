/* foundation: NSIndexSet and NSMutableIndexSet: a sorted list of indexes. Guest's process; trusts
 * it. */
#include "foundation/foundation_collection.h"

ABX_OBJC_CLASS(NSIndexSet)
ABX_OBJC_CLASS(NSMutableIndexSet)

struct index_set {
    Class isa;
    NSUInteger *items;
    NSUInteger count, capacity;
};

static struct index_set *inner(id self)
{
    return (struct index_set *)self;
}

/* How many are below `index`. */
static NSUInteger position(const struct index_set *s, NSUInteger index)
{
    NSUInteger low = 0, high = s->count;
    while (low < high) {
        NSUInteger middle = (low + high) / 2;
        if (s->items[middle] < index)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool has(const struct index_set *s, NSUInteger index)
{
    NSUInteger at = position(s, index);
    return at < s->count && s->items[at] == index;
}

static void add(id self, SEL cmd, NSUInteger index)
{
    struct index_set *s = inner(self);
    NSUInteger at = position(s, index);
    if (at < s->count && s->items[at] == index)
        return;
    if (s->count == s->capacity) {
        s->capacity = s->capacity ? s->capacity * 2 : 4;
        s->items = abx_ns_reallocate(s->items, s->capacity * sizeof(*s->items));
    }
    memmove(s->items + at + 1, s->items + at, (s->count - at) * sizeof(*s->items));
    s->items[at] = index;
    s->count++;
}

static void add_range(id self, SEL cmd, NSRange range)
{
    for (NSUInteger i = 0; i < range.length; i++)
        add(self, cmd, range.location + i);
}

static void remove_index(id self, SEL cmd, NSUInteger index)
{
    struct index_set *s = inner(self);
    NSUInteger at = position(s, index);
    if (at >= s->count || s->items[at] != index)
        return;
    s->count--;
    memmove(s->items + at, s->items + at + 1, (s->count - at) * sizeof(*s->items));
}

static void remove_all(id self, SEL cmd)
{
    inner(self)->count = 0;
}

static id init_index(id self, SEL cmd, NSUInteger index)
{
    add(self, cmd, index);
    return self;
}

static id init_range(id self, SEL cmd, NSRange range)
{
    add_range(self, cmd, range);
    return self;
}

static id with_index(id cls, SEL cmd, NSUInteger index)
{
    return init_index(abx_ns_collection(cls, cmd), cmd, index);
}

static id with_range(id cls, SEL cmd, NSRange range)
{
    return init_range(abx_ns_collection(cls, cmd), cmd, range);
}

static id copy_as(id self, Class cls)
{
    id copy = class_createInstance(cls, 0);
    for (NSUInteger i = 0; i < inner(self)->count; i++)
        add(copy, NULL, inner(self)->items[i]);
    return copy;
}

static id copy(id self, SEL cmd, void *zone)
{
    return copy_as(self, ABX_CLASS(NSIndexSet));
}

static id mutable_copy(id self, SEL cmd, void *zone)
{
    return copy_as(self, ABX_CLASS(NSMutableIndexSet));
}

static NSUInteger count(id self, SEL cmd)
{
    return inner(self)->count;
}

static NSUInteger first(id self, SEL cmd)
{
    return inner(self)->count ? inner(self)->items[0] : NOT_FOUND;
}

static NSUInteger last(id self, SEL cmd)
{
    return inner(self)->count ? inner(self)->items[inner(self)->count - 1] : NOT_FOUND;
}

static NSUInteger greater(id self, SEL cmd, NSUInteger index)
{
    NSUInteger at = position(inner(self), index + 1);
    return at < inner(self)->count ? inner(self)->items[at] : NOT_FOUND;
}

static abx_objc_bool contains(id self, SEL cmd, NSUInteger index)
{
    return has(inner(self), index);
}

static abx_objc_bool equal(id self, SEL cmd, id other)
{
    return abx_objc_is_kind_of(other, ABX_CLASS(NSIndexSet)) &&
           inner(self)->count == inner(other)->count &&
           memcmp(inner(self)->items, inner(other)->items,
                   inner(self)->count * sizeof(NSUInteger)) == 0;
}

static void enumerate(id self, SEL cmd, void *block)
{
    BOOL stop = NO;
    for (NSUInteger i = 0; i < inner(self)->count && !stop; i++)
        ABX_BLOCK_CALL(void, (void *, NSUInteger, BOOL *), block, inner(self)->items[i], &stop);
}

static void dealloc(id self, SEL cmd)
{
    free(inner(self)->items);
    abx_objc_dealloc_super(self, ABX_CLASS(NSIndexSet));
}

static const struct abx_objc_method methods[] = {
        METHOD("initWithIndex:", "@@:Q", init_index),
        METHOD("initWithIndexesInRange:", "@@:" RANGE, init_range),
        METHOD("copyWithZone:", "@@:" ZONE, copy),
        METHOD("mutableCopyWithZone:", "@@:" ZONE, mutable_copy),
        METHOD("count", "Q@:", count),
        METHOD("hash", "Q@:", count),
        METHOD("firstIndex", "Q@:", first),
        METHOD("lastIndex", "Q@:", last),
        METHOD("indexGreaterThanIndex:", "Q@:Q", greater),
        METHOD("containsIndex:", "B@:Q", contains),
        METHOD("isEqual:", "B@:@", equal),
        METHOD("isEqualToIndexSet:", "B@:@", equal),
        METHOD("enumerateIndexesUsingBlock:", "v@:@?", enumerate),
        METHOD("dealloc", "v@:", dealloc),
        {NULL},
};
static const struct abx_objc_method class_methods[] = {
        METHOD("indexSet", "@@:", abx_ns_collection),
        METHOD("indexSetWithIndex:", "@@:Q", with_index),
        METHOD("indexSetWithIndexesInRange:", "@@:" RANGE, with_range),
        {NULL},
};
static const struct abx_objc_method mutable_methods[] = {
        METHOD("addIndex:", "v@:Q", add),
        METHOD("addIndexesInRange:", "v@:" RANGE, add_range),
        METHOD("removeIndex:", "v@:Q", remove_index),
        METHOD("removeAllIndexes", "v@:", remove_all),
        {NULL},
};

__attribute__((constructor(102))) static void define(void)
{
    DEFINE(NSIndexSet, NSObject, struct index_set, methods, class_methods, "NSCopying",
            "NSMutableCopying");
    DEFINE(NSMutableIndexSet, NSIndexSet, struct index_set, mutable_methods, NULL);
}
