/* foundation: NSSet and NSMutableSet. Guest's process; trusts it. */
#include "foundation/foundation_table.h"

ABX_OBJC_CLASS(NSSet)
ABX_OBJC_CLASS(NSMutableSet)

struct ns_set {
    Class isa;
    struct ns_table table;
};

static struct ns_table *table_of(id self)
{
    return &((struct ns_set *)self)->table;
}

static void add(id self, id object)
{
    if (!object)
        abx_ns_raise_argument("-[%s addObject:]: object cannot be nil", object_getClassName(self));
    abx_ns_table_put(table_of(self), object, nil, false, true);
}

static bool has(id self, id object)
{
    ptrdiff_t at = object ? abx_ns_table_find(table_of(self), object) : -1;
    return at >= 0 && table_of(self)->keys[at];
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

static id fill_variadic(id self, id first, va_list rest)
{
    for (id object = first; object; object = va_arg(rest, id))
        add(self, object);
    return self;
}

static id init_objects(id self, SEL cmd, id first, ...)
{
    va_list rest;
    va_start(rest, first);
    self = fill_variadic(self, first, rest);
    va_end(rest);
    return self;
}

static id init_array(id self, SEL cmd, id array)
{
    for (NSUInteger i = 0; i < abx_ns_array_count(array); i++)
        add(self, abx_ns_array_at(array, i));
    return self;
}

static id init_set(id self, SEL cmd, id other)
{
    struct ns_table *from = other ? table_of(other) : NULL;
    for (NSUInteger i = 0; from && i < from->capacity; i++)
        if (from->keys[i])
            add(self, from->keys[i]);
    return self;
}

static id init_capacity(id self, SEL cmd, NSUInteger capacity)
{
    return self;
}

static id make(id cls)
{
    return objc_autorelease(class_createInstance((Class)cls, 0));
}

static id set_empty(id cls, SEL cmd)
{
    return make(cls);
}

static id set_capacity(id cls, SEL cmd, NSUInteger capacity)
{
    return make(cls);
}

static id set_object(id cls, SEL cmd, id object)
{
    return init_objects_count(make(cls), cmd, &object, 1);
}

static id set_objects_count(id cls, SEL cmd, const id *objects, NSUInteger count)
{
    return init_objects_count(make(cls), cmd, objects, count);
}

static id set_objects(id cls, SEL cmd, id first, ...)
{
    va_list rest;
    va_start(rest, first);
    id set = fill_variadic(make(cls), first, rest);
    va_end(rest);
    return set;
}

static id set_array(id cls, SEL cmd, id array)
{
    return init_array(make(cls), cmd, array);
}

static id set_set(id cls, SEL cmd, id other)
{
    return init_set(make(cls), cmd, other);
}

static void set_dealloc(id self, SEL cmd)
{
    abx_ns_table_clear(table_of(self));
    abx_objc_dealloc_super(self, ABX_CLASS(NSSet));
}

static id set_copy(id self, SEL cmd, void *zone)
{
    if (!abx_objc_is_kind_of(self, ABX_CLASS(NSMutableSet)))
        return objc_retain(self);
    return init_set(class_createInstance(ABX_CLASS(NSSet), 0), cmd, self);
}

static id set_mutable_copy(id self, SEL cmd, void *zone)
{
    return init_set(class_createInstance(ABX_CLASS(NSMutableSet), 0), cmd, self);
}

static NSUInteger set_count(id self, SEL cmd)
{
    return table_of(self)->count;
}

static abx_objc_bool contains_object(id self, SEL cmd, id object)
{
    return has(self, object);
}

static id member(id self, SEL cmd, id object)
{
    ptrdiff_t at = object ? abx_ns_table_find(table_of(self), object) : -1;
    return at >= 0 ? table_of(self)->keys[at] : nil;
}

static id all_objects(id self, SEL cmd)
{
    return abx_ns_table_array(table_of(self), table_of(self)->keys);
}

static id any_object(id self, SEL cmd)
{
    return abx_ns_array_at(all_objects(self, cmd), 0);
}

static id object_enumerator(id self, SEL cmd)
{
    return abx_ns_enumerator(all_objects(self, cmd));
}

static NSUInteger enumerate_fast(
        id self, SEL cmd, NSFastEnumerationState *state, id *buffer, NSUInteger count)
{
    return abx_ns_table_enumerate(table_of(self), state, buffer, count);
}

static void enumerate_block(id self, SEL cmd, void *block)
{
    struct ns_table *table = table_of(self);
    BOOL stop = NO;
    for (NSUInteger i = 0; i < table->capacity && !stop; i++)
        if (table->keys[i])
            ABX_BLOCK_CALL(void, (void *, id, BOOL *), block, table->keys[i], &stop);
}

static abx_objc_bool is_subset(id self, SEL cmd, id other)
{
    struct ns_table *table = table_of(self);
    for (NSUInteger i = 0; i < table->capacity; i++)
        if (table->keys[i] && (!other || !has(other, table->keys[i])))
            return 0;
    return 1;
}

static abx_objc_bool intersects(id self, SEL cmd, id other)
{
    struct ns_table *table = table_of(self);
    for (NSUInteger i = 0; i < table->capacity; i++)
        if (table->keys[i] && other && has(other, table->keys[i]))
            return 1;
    return 0;
}

static abx_objc_bool equal_sets(id self, SEL cmd, id other)
{
    return self == other ||
           (abx_objc_is_kind_of(other, ABX_CLASS(NSSet)) &&
                   table_of(self)->count == table_of(other)->count && is_subset(self, cmd, other));
}

static id adding_object(id self, SEL cmd, id object)
{
    id result = init_set(make((id)ABX_CLASS(NSSet)), cmd, self);
    add(result, object);
    return result;
}

static id adding_set(id self, SEL cmd, id other)
{
    return init_set(init_set(make((id)ABX_CLASS(NSSet)), cmd, self), cmd, other);
}

static id adding_array(id self, SEL cmd, id other)
{
    return init_array(init_set(make((id)ABX_CLASS(NSSet)), cmd, self), cmd, other);
}

static id set_description(id self, SEL cmd)
{
    struct abx_string out = {0};
    id objects = all_objects(self, cmd);
    abx_string_add(&out, "{(", 2);
    for (NSUInteger i = 0; i < abx_ns_array_count(objects); i++)
        abx_string_printf(&out, "%s\n    %s", i ? "," : "",
                abx_ns_string_utf8(abx_ns_description(abx_ns_array_at(objects, i))));
    abx_string_add(&out, "\n)}", 3);
    id result = abx_ns_string_bytes(out.data, out.length);
    abx_string_finish(&out);
    return result;
}

/* ---- NSMutableSet */

static void add_object(id self, SEL cmd, id object)
{
    add(self, object);
}

static void remove_object(id self, SEL cmd, id object)
{
    if (object)
        abx_ns_table_remove(table_of(self), object);
}

static void remove_all(id self, SEL cmd)
{
    abx_ns_table_clear(table_of(self));
}

static void add_array(id self, SEL cmd, id array)
{
    init_array(self, cmd, array);
}

static void union_set(id self, SEL cmd, id other)
{
    if (self != other)
        init_set(self, cmd, other);
}

static void keep_if(id self, id other, bool in)
{
    id objects = all_objects(self, NULL);
    for (NSUInteger i = 0; i < abx_ns_array_count(objects); i++)
        if ((other && has(other, abx_ns_array_at(objects, i))) != in)
            abx_ns_table_remove(table_of(self), abx_ns_array_at(objects, i));
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
        METHOD("initWithSet:", "@@:@", init_set),
        METHOD("dealloc", "v@:", set_dealloc),
        METHOD("copyWithZone:", "@@:" ZONE, set_copy),
        METHOD("mutableCopyWithZone:", "@@:" ZONE, set_mutable_copy),
        METHOD("count", "Q@:", set_count),
        METHOD("containsObject:", "B@:@", contains_object),
        METHOD("member:", "@@:@", member),
        METHOD("allObjects", "@@:", all_objects),
        METHOD("anyObject", "@@:", any_object),
        METHOD("objectEnumerator", "@@:", object_enumerator),
        METHOD("countByEnumeratingWithState:objects:count:", "Q@:" ENUMERATION "^@Q",
                enumerate_fast),
        METHOD("enumerateObjectsUsingBlock:", "v@:@?", enumerate_block),
        METHOD("isSubsetOfSet:", "B@:@", is_subset),
        METHOD("intersectsSet:", "B@:@", intersects),
        METHOD("isEqual:", "B@:@", equal_sets),
        METHOD("isEqualToSet:", "B@:@", equal_sets),
        METHOD("setByAddingObject:", "@@:@", adding_object),
        METHOD("setByAddingObjectsFromSet:", "@@:@", adding_set),
        METHOD("setByAddingObjectsFromArray:", "@@:@", adding_array),
        METHOD("hash", "Q@:", set_count),
        METHOD("description", "@@:", set_description),
        {NULL},
};
static const struct abx_objc_method set_class_methods[] = {
        METHOD("set", "@@:", set_empty),
        METHOD("setWithObject:", "@@:@", set_object),
        METHOD("setWithObjects:count:", "@@:r^@Q", set_objects_count),
        METHOD("setWithObjects:", "@@:@", set_objects),
        METHOD("setWithArray:", "@@:@", set_array),
        METHOD("setWithSet:", "@@:@", set_set),
        {NULL},
};
static const struct abx_objc_method mutable_methods[] = {
        METHOD("initWithCapacity:", "@@:Q", init_capacity),
        METHOD("addObject:", "v@:@", add_object),
        METHOD("removeObject:", "v@:@", remove_object),
        METHOD("removeAllObjects", "v@:", remove_all),
        METHOD("addObjectsFromArray:", "v@:@", add_array),
        METHOD("unionSet:", "v@:@", union_set),
        METHOD("minusSet:", "v@:@", minus_set),
        METHOD("intersectSet:", "v@:@", intersect_set),
        {NULL},
};
static const struct abx_objc_method mutable_class_methods[] = {
        METHOD("setWithCapacity:", "@@:Q", set_capacity),
        {NULL},
};

__attribute__((constructor(102))) static void define(void)
{
    DEFINE(NSSet, NSObject, struct ns_set, set_methods, set_class_methods, "NSCopying",
            "NSMutableCopying", "NSSecureCoding", "NSFastEnumeration");
    DEFINE(NSMutableSet, NSSet, struct ns_set, mutable_methods, mutable_class_methods);
}
