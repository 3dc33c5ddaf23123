/* foundation: NSArray, NSMutableArray, NSEnumerator. Guest's process; trusts it. */
#include "foundation/foundation_collection.h"

ABX_OBJC_CLASS(NSArray)
ABX_OBJC_CLASS(NSMutableArray)
ABX_OBJC_CLASS(NSEnumerator)

/* What the compiler loads for an empty literal. */
ABX_EXPORT extern id __NSArray0__;
id __NSArray0__;

struct ns_array {
    Class isa;
    id *items;
    NSUInteger count, capacity;
    unsigned long mutations;
};
struct enumerator {
    Class isa;
    id array;
    NSUInteger next;
    bool reverse;
};

static struct ns_array *inner(id array)
{
    return (struct ns_array *)array;
}

static void check_index(id self, NSUInteger index, const char *method)
{
    NSUInteger count = inner(self)->count;
    if (index < count)
        return;
    if (count)
        abx_ns_raise_range("-[%s %s]: index %lu beyond bounds [0 .. %lu]",
                object_getClassName(self), method, index, count - 1);
    abx_ns_raise_range("-[%s %s]: index %lu beyond bounds for empty array",
            object_getClassName(self), method, index);
}

static void reserve(struct ns_array *a, NSUInteger count)
{
    if (count <= a->capacity)
        return;
    NSUInteger capacity = a->capacity + a->capacity / 2;
    a->capacity = capacity < count ? (count < 4 ? 4 : count) : capacity;
    a->items = abx_ns_reallocate(a->items, a->capacity * sizeof(id));
}

static void fill(id self, const id *objects, NSUInteger count, const char *method)
{
    struct ns_array *a = inner(self);
    reserve(a, a->count + count);
    for (NSUInteger i = 0; i < count; i++) {
        if (!objects[i])
            abx_ns_raise_argument("-[%s %s]: attempt to insert nil object from objects[%lu]",
                    object_getClassName(self), method, i);
        a->items[a->count++] = objc_retain(objects[i]);
    }
}

id abx_ns_array_new(Class cls, const id *objects, NSUInteger count)
{
    id array = class_createInstance(cls, 0);
    fill(array, objects, count, "initWithObjects:count:");
    return array;
}

/* ---- the C interface */

id abx_ns_array(const id *objects, NSUInteger count)
{
    return objc_autorelease(abx_ns_array_new(ABX_CLASS(NSArray), objects, count));
}

id abx_ns_mutable_array(void)
{
    return objc_autorelease(abx_ns_array_new(ABX_CLASS(NSMutableArray), NULL, 0));
}

void abx_ns_array_add(id array, id object)
{
    fill(array, &object, 1, "addObject:");
    inner(array)->mutations++;
}

NSUInteger abx_ns_array_count(id array)
{
    return array ? inner(array)->count : 0;
}

id abx_ns_array_at(id array, NSUInteger index)
{
    return array && index < inner(array)->count ? inner(array)->items[index] : nil;
}

/* ---- creation */

static id init_objects_count(id self, SEL cmd, const id *objects, NSUInteger count)
{
    fill(self, objects, count, "initWithObjects:count:");
    return self;
}

static void append(id self, id object)
{
    fill(self, &object, 1, "initWithObjects:");
}

static id init_objects(id self, SEL cmd, id first, ...)
{
    va_list rest;
    va_start(rest, first);
    self = abx_ns_add_variadic(self, append, first, rest);
    va_end(rest);
    return self;
}

static id init_array(id self, SEL cmd, id other)
{
    if (other)
        fill(self, inner(other)->items, inner(other)->count, "initWithArray:");
    return self;
}

static id init_array_copy(id self, SEL cmd, id other, BOOL copy_items)
{
    init_array(self, cmd, other);
    for (NSUInteger i = 0; copy_items && i < inner(self)->count; i++) {
        id old = inner(self)->items[i];
        inner(self)->items[i] = abx_ns_copy(old);
        objc_release(old);
    }
    return self;
}

static id init_capacity(id self, SEL cmd, NSUInteger capacity)
{
    reserve(inner(self), capacity > 4096 ? 4096 : capacity);
    return self;
}

static id array_object(id cls, SEL cmd, id object)
{
    return init_objects_count(abx_ns_collection(cls, cmd), cmd, &object, 1);
}

static id array_objects_count(id cls, SEL cmd, const id *objects, NSUInteger count)
{
    return init_objects_count(abx_ns_collection(cls, cmd), cmd, objects, count);
}

static id array_objects(id cls, SEL cmd, id first, ...)
{
    va_list rest;
    va_start(rest, first);
    id array = abx_ns_add_variadic(abx_ns_collection(cls, cmd), append, first, rest);
    va_end(rest);
    return array;
}

static id array_array(id cls, SEL cmd, id other)
{
    return init_array(abx_ns_collection(cls, cmd), cmd, other);
}

static void array_dealloc(id self, SEL cmd)
{
    struct ns_array *a = inner(self);
    for (NSUInteger i = 0; i < a->count; i++)
        objc_release(a->items[i]);
    free(a->items);
    abx_objc_dealloc_super(self, ABX_CLASS(NSArray));
}

static id array_copy(id self, SEL cmd, void *zone)
{
    if (!abx_objc_is_kind_of(self, ABX_CLASS(NSMutableArray)))
        return objc_retain(self);
    return abx_ns_array_new(ABX_CLASS(NSArray), inner(self)->items, inner(self)->count);
}

static id array_mutable_copy(id self, SEL cmd, void *zone)
{
    return abx_ns_array_new(ABX_CLASS(NSMutableArray), inner(self)->items, inner(self)->count);
}

/* ---- reading */

static NSUInteger array_count(id self, SEL cmd)
{
    return inner(self)->count;
}

static id object_at(id self, SEL cmd, NSUInteger index)
{
    check_index(self, index, "objectAtIndex:");
    return inner(self)->items[index];
}

static id first_object(id self, SEL cmd)
{
    return abx_ns_array_at(self, 0);
}

static id last_object(id self, SEL cmd)
{
    return abx_ns_array_at(self, inner(self)->count - 1);
}

static void check_range(id self, NSRange range, const char *method)
{
    if (!abx_range_ok(range.location, range.length, inner(self)->count))
        abx_ns_raise_range("-[%s %s]: range {%lu, %lu} extends beyond bounds [0 .. %ld]",
                object_getClassName(self), method, range.location, range.length,
                (long)inner(self)->count - 1);
}

static void get_objects(id self, SEL cmd, id *to, NSRange range)
{
    check_range(self, range, "getObjects:range:");
    memcpy(to, inner(self)->items + range.location, range.length * sizeof(id));
}

static void get_all_objects(id self, SEL cmd, id *to)
{
    memcpy(to, inner(self)->items, inner(self)->count * sizeof(id));
}

static id objects_at(id self, SEL cmd, id indexes)
{
    id result = abx_ns_mutable_array();
    NSUInteger i = ABX_MSG(NSUInteger, (id, SEL), indexes, "firstIndex");
    for (; i != NOT_FOUND;
            i = ABX_MSG(NSUInteger, (id, SEL, NSUInteger), indexes, "indexGreaterThanIndex:", i)) {
        check_index(self, i, "objectsAtIndexes:");
        abx_ns_array_add(result, inner(self)->items[i]);
    }
    return result;
}

static id first_in_common(id self, SEL cmd, id other)
{
    struct ns_array *a = inner(self);
    for (NSUInteger i = 0; i < a->count; i++)
        for (NSUInteger k = 0; k < abx_ns_array_count(other); k++)
            if (abx_ns_is_equal(a->items[i], inner(other)->items[k]))
                return a->items[i];
    return nil;
}

static NSUInteger index_in_range(id self, id object, NSRange range, bool identical)
{
    struct ns_array *a = inner(self);
    for (NSUInteger i = range.location; i < range.location + range.length && i < a->count; i++)
        if (a->items[i] == object || (!identical && abx_ns_is_equal(a->items[i], object)))
            return i;
    return NOT_FOUND;
}

static NSUInteger index_of(id self, SEL cmd, id object)
{
    return index_in_range(self, object, (NSRange){0, inner(self)->count}, false);
}

static NSUInteger index_of_identical(id self, SEL cmd, id object)
{
    return index_in_range(self, object, (NSRange){0, inner(self)->count}, true);
}

static NSUInteger index_of_in_range(id self, SEL cmd, id object, NSRange range)
{
    check_range(self, range, "indexOfObject:inRange:");
    return index_in_range(self, object, range, false);
}

static abx_objc_bool contains_object(id self, SEL cmd, id object)
{
    return index_of(self, cmd, object) != NOT_FOUND;
}

static id subarray(id self, SEL cmd, NSRange range)
{
    check_range(self, range, "subarrayWithRange:");
    return abx_ns_array(inner(self)->items + range.location, range.length);
}

static id adding_array(id self, SEL cmd, id other)
{
    id result = abx_ns_array(inner(self)->items, inner(self)->count);
    return other ? init_array(result, cmd, other) : result;
}

static id adding_object(id self, SEL cmd, id object)
{
    id result = abx_ns_array(inner(self)->items, inner(self)->count);
    return init_objects_count(result, cmd, &object, 1);
}

static id joined(id self, SEL cmd, id separator)
{
    struct text s = abx_ns_text(separator);
    struct abx_string out = {0};
    for (NSUInteger i = 0; i < inner(self)->count; i++) {
        struct text t = abx_ns_text(abx_ns_description(inner(self)->items[i]));
        if (i)
            abx_string_add(&out, s.data, s.length);
        abx_string_add(&out, t.data, t.length);
    }
    id result = abx_ns_string_bytes(out.data ? out.data : "", out.length);
    abx_string_finish(&out);
    return result;
}

static abx_objc_bool equal_arrays(id self, SEL cmd, id other)
{
    if (self == other)
        return 1;
    if (!abx_objc_is_kind_of(other, ABX_CLASS(NSArray)) ||
            inner(self)->count != inner(other)->count)
        return 0;
    for (NSUInteger i = 0; i < inner(self)->count; i++)
        if (!abx_ns_is_equal(inner(self)->items[i], inner(other)->items[i]))
            return 0;
    return 1;
}

static id array_description(id self, SEL cmd)
{
    return abx_ns_list_description("(", self, ")");
}

/* ---- visiting */

static NSUInteger enumerate_fast(
        id self, SEL cmd, NSFastEnumerationState *state, id *buffer, NSUInteger count)
{
    if (state->state)
        return 0;
    state->state = 1;
    state->items = inner(self)->items;
    state->mutations = &inner(self)->mutations;
    return inner(self)->count;
}

enum { ENUMERATE_REVERSE = 2 };

static void enumerate_options(id self, SEL cmd, NSUInteger options, void *block)
{
    BOOL stop = NO;
    NSUInteger count = inner(self)->count;
    for (NSUInteger i = 0; i < count && i < inner(self)->count && !stop; i++) {
        NSUInteger at = options & ENUMERATE_REVERSE ? count - 1 - i : i;
        ABX_BLOCK_CALL(
                void, (void *, id, NSUInteger, BOOL *), block, inner(self)->items[at], at, &stop);
    }
}

static void enumerate_block(id self, SEL cmd, void *block)
{
    enumerate_options(self, cmd, 0, block);
}

static NSUInteger index_passing(id self, SEL cmd, void *block)
{
    BOOL stop = NO;
    for (NSUInteger i = 0; i < inner(self)->count && !stop; i++)
        if (ABX_BLOCK_CALL(
                    BOOL, (void *, id, NSUInteger, BOOL *), block, inner(self)->items[i], i, &stop))
            return i;
    return NOT_FOUND;
}

static void make_perform(id self, SEL cmd, SEL selector)
{
    for (NSUInteger i = 0; i < inner(self)->count; i++)
        ((void (*)(id, SEL))(uintptr_t)abx_objc_msg_send)(inner(self)->items[i], selector);
}

static void make_perform_with(id self, SEL cmd, SEL selector, id argument)
{
    for (NSUInteger i = 0; i < inner(self)->count; i++)
        ((void (*)(id, SEL, id))(uintptr_t)abx_objc_msg_send)(
                inner(self)->items[i], selector, argument);
}

static id value_for_key(id self, SEL cmd, id key)
{
    id result = abx_ns_mutable_array();
    for (NSUInteger i = 0; i < inner(self)->count; i++) {
        id value = ABX_MSG(id, (id, SEL, id), inner(self)->items[i], "valueForKey:", key);
        abx_ns_array_add(result, value ? value : abx_ns_null());
    }
    return result;
}

/* ---- sorting: stable */

struct order {
    SEL selector;
    void *block;
    NSInteger (*function)(id, id, void *);
    void *context;
};

static NSInteger compare(id a, id b, const struct order *order)
{
    if (order->block)
        return ABX_BLOCK_CALL(NSInteger, (void *, id, id), order->block, a, b);
    if (order->function)
        return order->function(a, b, order->context);
    return ((NSInteger(*)(id, SEL, id))(uintptr_t)abx_objc_msg_send)(a, order->selector, b);
}

static void merge_sort(id *items, id *spare, NSUInteger count, const struct order *order)
{
    if (count < 2)
        return;
    NSUInteger half = count / 2, i = 0, j = half;
    merge_sort(items, spare, half, order);
    merge_sort(items + half, spare, count - half, order);
    memcpy(spare, items, count * sizeof(id));
    for (NSUInteger k = 0; k < count; k++) {
        if (i < half && (j >= count || compare(spare[i], spare[j], order) <= 0))
            items[k] = spare[i++];
        else
            items[k] = spare[j++];
    }
}

static void sort(id self, const struct order *order)
{
    struct ns_array *a = inner(self);
    id *spare = abx_ns_allocate(a->count * sizeof(id));
    merge_sort(a->items, spare, a->count, order);
    free(spare);
    a->mutations++;
}

static void sort_selector(id self, SEL cmd, SEL selector)
{
    sort(self, &(struct order){.selector = selector});
}

static void sort_comparator(id self, SEL cmd, void *block)
{
    sort(self, &(struct order){.block = block});
}

static void sort_function(id self, SEL cmd, NSInteger (*function)(id, id, void *), void *context)
{
    sort(self, &(struct order){.function = function, .context = context});
}

static id sorted(id self, const struct order *order)
{
    id result = abx_ns_array(inner(self)->items, inner(self)->count);
    sort(result, order);
    return result;
}

static id sorted_selector(id self, SEL cmd, SEL selector)
{
    return sorted(self, &(struct order){.selector = selector});
}

static id sorted_comparator(id self, SEL cmd, void *block)
{
    return sorted(self, &(struct order){.block = block});
}

static id sorted_function(id self, SEL cmd, NSInteger (*function)(id, id, void *), void *context)
{
    return sorted(self, &(struct order){.function = function, .context = context});
}

/* ---- NSMutableArray */

static void add_object(id self, SEL cmd, id object)
{
    if (!object)
        abx_ns_raise_argument("-[%s addObject:]: object cannot be nil", object_getClassName(self));
    abx_ns_array_add(self, object);
}

static void insert_object(id self, SEL cmd, id object, NSUInteger index)
{
    struct ns_array *a = inner(self);
    if (!object)
        abx_ns_raise_argument(
                "-[%s insertObject:atIndex:]: object cannot be nil", object_getClassName(self));
    if (index > a->count)
        check_index(self, index, "insertObject:atIndex:");
    reserve(a, a->count + 1);
    memmove(a->items + index + 1, a->items + index, (a->count - index) * sizeof(id));
    a->items[index] = objc_retain(object);
    a->count++;
    a->mutations++;
}

static void remove_at(id self, SEL cmd, NSUInteger index)
{
    struct ns_array *a = inner(self);
    check_index(self, index, "removeObjectAtIndex:");
    id old = a->items[index];
    a->count--;
    memmove(a->items + index, a->items + index + 1, (a->count - index) * sizeof(id));
    a->mutations++;
    objc_release(old);
}

static void remove_last(id self, SEL cmd)
{
    if (inner(self)->count)
        remove_at(self, cmd, inner(self)->count - 1);
}

static void remove_matching(id self, id object, bool identical)
{
    objc_retain(object);
    for (NSUInteger i = inner(self)->count; i-- > 0;)
        if (inner(self)->items[i] == object ||
                (!identical && abx_ns_is_equal(inner(self)->items[i], object)))
            remove_at(self, NULL, i);
    objc_release(object);
}

static void remove_object(id self, SEL cmd, id object)
{
    remove_matching(self, object, false);
}

static void remove_identical(id self, SEL cmd, id object)
{
    remove_matching(self, object, true);
}

static void remove_range(id self, SEL cmd, NSRange range)
{
    check_range(self, range, "removeObjectsInRange:");
    for (NSUInteger i = range.length; i-- > 0;)
        remove_at(self, cmd, range.location + i);
}

static void remove_all(id self, SEL cmd)
{
    struct ns_array *a = inner(self);
    id *items = a->items;
    NSUInteger count = a->count;
    a->items = NULL;
    a->count = a->capacity = 0;
    a->mutations++;
    for (NSUInteger i = 0; i < count; i++)
        objc_release(items[i]);
    free(items);
}

static void remove_in_array(id self, SEL cmd, id other)
{
    for (NSUInteger i = 0; i < abx_ns_array_count(other); i++)
        remove_object(self, cmd, abx_ns_array_at(other, i));
}

static void replace_at(id self, SEL cmd, NSUInteger index, id object)
{
    if (!object)
        abx_ns_raise_argument("-[%s replaceObjectAtIndex:withObject:]: object cannot be nil",
                object_getClassName(self));
    check_index(self, index, "replaceObjectAtIndex:withObject:");
    objc_storeStrong(&inner(self)->items[index], object);
    inner(self)->mutations++;
}

static void set_subscript(id self, SEL cmd, id object, NSUInteger index)
{
    if (index == inner(self)->count)
        add_object(self, cmd, object);
    else
        replace_at(self, cmd, index, object);
}

static void exchange(id self, SEL cmd, NSUInteger i, NSUInteger j)
{
    check_index(self, i, "exchangeObjectAtIndex:withObjectAtIndex:");
    check_index(self, j, "exchangeObjectAtIndex:withObjectAtIndex:");
    id swap = inner(self)->items[i];
    inner(self)->items[i] = inner(self)->items[j];
    inner(self)->items[j] = swap;
    inner(self)->mutations++;
}

static void add_objects(id self, SEL cmd, id other)
{
    if (!other)
        return;
    if (self == other)
        other = abx_ns_array(inner(other)->items, inner(other)->count);
    fill(self, inner(other)->items, inner(other)->count, "addObjectsFromArray:");
    inner(self)->mutations++;
}

static void set_array(id self, SEL cmd, id other)
{
    if (self == other)
        return;
    remove_all(self, cmd);
    add_objects(self, cmd, other);
}

/* ---- NSEnumerator */

id abx_ns_enumerator(id array)
{
    id object = class_createInstance(ABX_CLASS(NSEnumerator), 0);
    ((struct enumerator *)object)->array = objc_retain(array);
    return objc_autorelease(object);
}

static id reverse_enumerator(id self, SEL cmd)
{
    id object = abx_ns_enumerator(self);
    ((struct enumerator *)object)->reverse = true;
    return object;
}

static id object_enumerator(id self, SEL cmd)
{
    return abx_ns_enumerator(self);
}

static id next_object(id self, SEL cmd)
{
    struct enumerator *e = (struct enumerator *)self;
    NSUInteger count = abx_ns_array_count(e->array);
    if (e->next >= count)
        return nil;
    NSUInteger at = e->next++;
    return abx_ns_array_at(e->array, e->reverse ? count - 1 - at : at);
}

static id all_objects(id self, SEL cmd)
{
    id result = abx_ns_mutable_array(), object;
    while ((object = next_object(self, cmd)))
        abx_ns_array_add(result, object);
    return result;
}

static NSUInteger enumerator_fast(
        id self, SEL cmd, NSFastEnumerationState *state, id *buffer, NSUInteger count)
{
    NSUInteger n = 0;
    for (id object; n < count && (object = next_object(self, cmd)); n++)
        buffer[n] = object;
    state->state = 1;
    state->items = buffer;
    state->mutations = &state->extra[0];
    return n;
}

static void enumerator_dealloc(id self, SEL cmd)
{
    objc_release(((struct enumerator *)self)->array);
    abx_objc_dealloc_super(self, ABX_CLASS(NSEnumerator));
}

static const struct abx_objc_method array_methods[] = {
        METHOD("initWithObjects:count:", "@@:r^@Q", init_objects_count),
        METHOD("initWithObjects:", "@@:@", init_objects),
        METHOD("initWithArray:", "@@:@", init_array),
        METHOD("initWithArray:copyItems:", "@@:@B", init_array_copy),
        METHOD("dealloc", "v@:", array_dealloc),
        METHOD("copyWithZone:", "@@:" ZONE, array_copy),
        METHOD("mutableCopyWithZone:", "@@:" ZONE, array_mutable_copy),
        METHOD("count", "Q@:", array_count),
        METHOD("objectAtIndex:", "@@:Q", object_at),
        METHOD("objectAtIndexedSubscript:", "@@:Q", object_at),
        METHOD("firstObject", "@@:", first_object),
        METHOD("lastObject", "@@:", last_object),
        METHOD("getObjects:", "v@:^@", get_all_objects),
        METHOD("objectsAtIndexes:", "@@:@", objects_at),
        METHOD("firstObjectCommonWithArray:", "@@:@", first_in_common),
        METHOD("getObjects:range:", "v@:^@" RANGE, get_objects),
        METHOD("indexOfObject:", "Q@:@", index_of),
        METHOD("indexOfObject:inRange:", "Q@:@" RANGE, index_of_in_range),
        METHOD("indexOfObjectIdenticalTo:", "Q@:@", index_of_identical),
        METHOD("containsObject:", "B@:@", contains_object),
        METHOD("subarrayWithRange:", "@@:" RANGE, subarray),
        METHOD("arrayByAddingObject:", "@@:@", adding_object),
        METHOD("arrayByAddingObjectsFromArray:", "@@:@", adding_array),
        METHOD("componentsJoinedByString:", "@@:@", joined),
        METHOD("isEqual:", "B@:@", equal_arrays),
        METHOD("isEqualToArray:", "B@:@", equal_arrays),
        METHOD("hash", "Q@:", array_count),
        METHOD("description", "@@:", array_description),
        METHOD("countByEnumeratingWithState:objects:count:", "Q@:" ENUMERATION "^@Q",
                enumerate_fast),
        METHOD("enumerateObjectsUsingBlock:", "v@:@?", enumerate_block),
        METHOD("enumerateObjectsWithOptions:usingBlock:", "v@:Q@?", enumerate_options),
        METHOD("indexOfObjectPassingTest:", "Q@:@?", index_passing),
        METHOD("makeObjectsPerformSelector:", "v@::", make_perform),
        METHOD("makeObjectsPerformSelector:withObject:", "v@::@", make_perform_with),
        METHOD("valueForKey:", "@@:@", value_for_key),
        METHOD("sortedArrayUsingSelector:", "@@::", sorted_selector),
        METHOD("sortedArrayUsingComparator:", "@@:@?", sorted_comparator),
        METHOD("sortedArrayUsingFunction:context:", "@@:^?^v", sorted_function),
        METHOD("objectEnumerator", "@@:", object_enumerator),
        METHOD("reverseObjectEnumerator", "@@:", reverse_enumerator),
        {NULL},
};
static const struct abx_objc_method array_class_methods[] = {
        METHOD("array", "@@:", abx_ns_collection),
        METHOD("arrayWithObject:", "@@:@", array_object),
        METHOD("arrayWithObjects:count:", "@@:r^@Q", array_objects_count),
        METHOD("arrayWithObjects:", "@@:@", array_objects),
        METHOD("arrayWithArray:", "@@:@", array_array),
        {NULL},
};
static const struct abx_objc_method mutable_methods[] = {
        METHOD("initWithCapacity:", "@@:Q", init_capacity),
        METHOD("addObject:", "v@:@", add_object),
        METHOD("addObjectsFromArray:", "v@:@", add_objects),
        METHOD("insertObject:atIndex:", "v@:@Q", insert_object),
        METHOD("removeObjectAtIndex:", "v@:Q", remove_at),
        METHOD("removeLastObject", "v@:", remove_last),
        METHOD("removeObject:", "v@:@", remove_object),
        METHOD("removeObjectIdenticalTo:", "v@:@", remove_identical),
        METHOD("removeObjectsInRange:", "v@:" RANGE, remove_range),
        METHOD("removeObjectsInArray:", "v@:@", remove_in_array),
        METHOD("removeAllObjects", "v@:", remove_all),
        METHOD("replaceObjectAtIndex:withObject:", "v@:Q@", replace_at),
        METHOD("setObject:atIndexedSubscript:", "v@:@Q", set_subscript),
        METHOD("exchangeObjectAtIndex:withObjectAtIndex:", "v@:QQ", exchange),
        METHOD("setArray:", "v@:@", set_array),
        METHOD("sortUsingSelector:", "v@::", sort_selector),
        METHOD("sortUsingComparator:", "v@:@?", sort_comparator),
        METHOD("sortUsingFunction:context:", "v@:^?^v", sort_function),
        {NULL},
};
static const struct abx_objc_method mutable_class_methods[] = {
        METHOD("arrayWithCapacity:", "@@:Q", abx_ns_collection_capacity),
        {NULL},
};
static const struct abx_objc_method enumerator_methods[] = {
        METHOD("nextObject", "@@:", next_object),
        METHOD("allObjects", "@@:", all_objects),
        METHOD("countByEnumeratingWithState:objects:count:", "Q@:" ENUMERATION "^@Q",
                enumerator_fast),
        METHOD("dealloc", "v@:", enumerator_dealloc),
        {NULL},
};

__attribute__((constructor(102))) static void define(void)
{
    DEFINE(NSArray, NSObject, struct ns_array, array_methods, array_class_methods, "NSCopying",
            "NSMutableCopying", "NSSecureCoding", "NSFastEnumeration");
    DEFINE(NSMutableArray, NSArray, struct ns_array, mutable_methods, mutable_class_methods);
    __NSArray0__ = class_createInstance(ABX_CLASS(NSArray), 0);
    DEFINE(NSEnumerator, NSObject, struct enumerator, enumerator_methods, NULL,
            "NSFastEnumeration");
}
