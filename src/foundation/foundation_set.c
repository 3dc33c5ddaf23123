/* foundation: NSSet and NSMutableSet. Guest's process; trusts it. */
#include "foundation/foundation_table.h"

ABX_OBJC_CLASS(NSSet)
ABX_OBJC_CLASS(NSMutableSet)

static void add(id self, id object)
{
    if (!object)
        abx_ns_raise_argument("-[%s addObject:]: object cannot be nil", object_getClassName(self));
    abx_ns_table_put(abx_ns_table(self), object, nil, false, true);
}

static bool has(id self, id object)
{
    ptrdiff_t at = object ? abx_ns_table_find(abx_ns_table(self), object) : -1;
    return at >= 0 && abx_ns_table(self)->keys[at];
}

static id init_objects_count(id self, SEL cmd, const id *objects, NSUInteger count)
{
    for (NSUInteger i = 0; i < count; i++)
        add(self, objects[i]);
    return self;
}

id abx_ns_set_new(Class cls, const id *objects, NSUInteger count)
{
    return init_objects_count(class_createInstance(cls, 0), NULL, objects, count);
}

static id init_objects(id self, SEL cmd, id first, ...)
{
    va_list rest;
    va_start(rest, first);
    self = abx_ns_add_variadic(self, add, first, rest);
    va_end(rest);
    return self;
}

static id init_array(id self, SEL cmd, id array)
{
    for (NSUInteger i = 0; i < abx_ns_array_count(array); i++)
        add(self, abx_ns_array_at(array, i));
    return self;
}

static id set_object(id cls, SEL cmd, id object)
{
    return init_objects_count(abx_ns_collection(cls, cmd), cmd, &object, 1);
}

static id set_objects_count(id cls, SEL cmd, const id *objects, NSUInteger count)
{
    return init_objects_count(abx_ns_collection(cls, cmd), cmd, objects, count);
}

static id set_objects(id cls, SEL cmd, id first, ...)
{
    va_list rest;
    va_start(rest, first);
    id set = abx_ns_add_variadic(abx_ns_collection(cls, cmd), add, first, rest);
    va_end(rest);
    return set;
}

static id set_array(id cls, SEL cmd, id array)
{
    return init_array(abx_ns_collection(cls, cmd), cmd, array);
}

static id set_set(id cls, SEL cmd, id other)
{
    return abx_ns_hashed_init_from(abx_ns_collection(cls, cmd), cmd, other);
}

static void set_dealloc(id self, SEL cmd)
{
    abx_ns_table_clear(abx_ns_table(self));
    abx_objc_dealloc_super(self, ABX_CLASS(NSSet));
}

static id set_copy(id self, SEL cmd, void *zone)
{
    return abx_ns_hashed_copy(self, ABX_CLASS(NSSet), ABX_CLASS(NSMutableSet));
}

static id set_mutable_copy(id self, SEL cmd, void *zone)
{
    return abx_ns_hashed_init_from(class_createInstance(ABX_CLASS(NSMutableSet), 0), cmd, self);
}

static abx_objc_bool contains_object(id self, SEL cmd, id object)
{
    return has(self, object);
}

static id member(id self, SEL cmd, id object)
{
    ptrdiff_t at = object ? abx_ns_table_find(abx_ns_table(self), object) : -1;
    return at >= 0 ? abx_ns_table(self)->keys[at] : nil;
}

static id all_objects(id self, SEL cmd)
{
    return abx_ns_table_array(abx_ns_table(self), abx_ns_table(self)->keys);
}

static id any_object(id self, SEL cmd)
{
    return abx_ns_array_at(all_objects(self, cmd), 0);
}

static id object_enumerator(id self, SEL cmd)
{
    return abx_ns_enumerator(all_objects(self, cmd));
}

static void enumerate_block(id self, SEL cmd, void *block)
{
    struct ns_table *table = abx_ns_table(self);
    BOOL stop = NO;
    for (NSUInteger i = 0; i < table->capacity && !stop; i++)
        if (table->keys[i])
            ABX_BLOCK_CALL(void, (void *, id, BOOL *), block, table->keys[i], &stop);
}

static abx_objc_bool is_subset(id self, SEL cmd, id other)
{
    struct ns_table *table = abx_ns_table(self);
    for (NSUInteger i = 0; i < table->capacity; i++)
        if (table->keys[i] && (!other || !has(other, table->keys[i])))
            return 0;
    return 1;
}

static abx_objc_bool intersects(id self, SEL cmd, id other)
{
    struct ns_table *table = abx_ns_table(self);
    for (NSUInteger i = 0; i < table->capacity; i++)
        if (table->keys[i] && other && has(other, table->keys[i]))
            return 1;
    return 0;
}

static abx_objc_bool equal_sets(id self, SEL cmd, id other)
{
    return self == other || (abx_objc_is_kind_of(other, ABX_CLASS(NSSet)) &&
                                    abx_ns_table(self)->count == abx_ns_table(other)->count &&
                                    is_subset(self, cmd, other));
}

static id copied(id self)
{
    id set = abx_ns_collection((id)ABX_CLASS(NSSet), NULL);
    return abx_ns_hashed_init_from(set, NULL, self);
}

static id adding_object(id self, SEL cmd, id object)
{
    id result = copied(self);
    add(result, object);
    return result;
}

static id adding_set(id self, SEL cmd, id other)
{
    return abx_ns_hashed_init_from(copied(self), cmd, other);
}

static id adding_array(id self, SEL cmd, id other)
{
    return init_array(copied(self), cmd, other);
}

static id set_description(id self, SEL cmd)
{
    return abx_ns_list_description("{(", all_objects(self, cmd), ")}");
}

/* ---- NSMutableSet */

static void add_object(id self, SEL cmd, id object)
{
    add(self, object);
}

static void remove_object(id self, SEL cmd, id object)
{
    if (object)
        abx_ns_table_remove(abx_ns_table(self), object);
}

static void add_array(id self, SEL cmd, id array)
{
    init_array(self, cmd, array);
}

static void union_set(id self, SEL cmd, id other)
{
    if (self != other)
        abx_ns_hashed_init_from(self, cmd, other);
}

static void keep_if(id self, id other, bool in)
{
    id objects = all_objects(self, NULL);
    for (NSUInteger i = 0; i < abx_ns_array_count(objects); i++)
        if ((other && has(other, abx_ns_array_at(objects, i))) != in)
            abx_ns_table_remove(abx_ns_table(self), abx_ns_array_at(objects, i));
}

static void minus_set(id self, SEL cmd, id other)
{
    keep_if(self, other, false);
}

static void intersect_set(id self, SEL cmd, id other)
{
    keep_if(self, other, true);
}

static const struct abx_objc_method set_methods[] = {
        METHOD("initWithObjects:count:", "@@:r^@Q", init_objects_count),
        METHOD("initWithObjects:", "@@:@", init_objects),
        METHOD("initWithArray:", "@@:@", init_array),
        METHOD("initWithSet:", "@@:@", abx_ns_hashed_init_from),
        METHOD("dealloc", "v@:", set_dealloc),
        METHOD("copyWithZone:", "@@:" ZONE, set_copy),
        METHOD("mutableCopyWithZone:", "@@:" ZONE, set_mutable_copy),
        METHOD("count", "Q@:", abx_ns_hashed_count),
        METHOD("containsObject:", "B@:@", contains_object),
        METHOD("member:", "@@:@", member),
        METHOD("allObjects", "@@:", all_objects),
        METHOD("anyObject", "@@:", any_object),
        METHOD("objectEnumerator", "@@:", object_enumerator),
        METHOD("countByEnumeratingWithState:objects:count:", "Q@:" ENUMERATION "^@Q",
                abx_ns_hashed_enumerate),
        METHOD("enumerateObjectsUsingBlock:", "v@:@?", enumerate_block),
        METHOD("isSubsetOfSet:", "B@:@", is_subset),
        METHOD("intersectsSet:", "B@:@", intersects),
        METHOD("isEqual:", "B@:@", equal_sets),
        METHOD("isEqualToSet:", "B@:@", equal_sets),
        METHOD("setByAddingObject:", "@@:@", adding_object),
        METHOD("setByAddingObjectsFromSet:", "@@:@", adding_set),
        METHOD("setByAddingObjectsFromArray:", "@@:@", adding_array),
        METHOD("hash", "Q@:", abx_ns_hashed_count),
        METHOD("description", "@@:", set_description),
        {NULL},
};
static const struct abx_objc_method set_class_methods[] = {
        METHOD("set", "@@:", abx_ns_collection),
        METHOD("setWithObject:", "@@:@", set_object),
        METHOD("setWithObjects:count:", "@@:r^@Q", set_objects_count),
        METHOD("setWithObjects:", "@@:@", set_objects),
        METHOD("setWithArray:", "@@:@", set_array),
        METHOD("setWithSet:", "@@:@", set_set),
        {NULL},
};
static const struct abx_objc_method mutable_methods[] = {
        METHOD("initWithCapacity:", "@@:Q", abx_ns_hashed_init_capacity),
        METHOD("addObject:", "v@:@", add_object),
        METHOD("removeObject:", "v@:@", remove_object),
        METHOD("removeAllObjects", "v@:", abx_ns_hashed_remove_all),
        METHOD("addObjectsFromArray:", "v@:@", add_array),
        METHOD("unionSet:", "v@:@", union_set),
        METHOD("minusSet:", "v@:@", minus_set),
        METHOD("intersectSet:", "v@:@", intersect_set),
        {NULL},
};
static const struct abx_objc_method mutable_class_methods[] = {
        METHOD("setWithCapacity:", "@@:Q", abx_ns_collection_capacity),
        {NULL},
};

__attribute__((constructor(102))) static void define(void)
{
    DEFINE(NSSet, NSObject, struct ns_hashed, set_methods, set_class_methods, "NSCopying",
            "NSMutableCopying", "NSSecureCoding", "NSFastEnumeration");
    DEFINE(NSMutableSet, NSSet, struct ns_hashed, mutable_methods, mutable_class_methods);
}
