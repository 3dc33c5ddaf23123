/* foundation: NSDictionary and NSMutableDictionary. Guest's process; trusts it. */
#include "foundation/foundation_table.h"

ABX_OBJC_CLASS(NSDictionary)
ABX_OBJC_CLASS(NSMutableDictionary)

/* What the compiler loads for an empty literal. */
ABX_EXPORT extern id __NSDictionary0__;
id __NSDictionary0__;

static void set(id self, id key, id value, bool keep)
{
    if (!key || !value)
        abx_ns_raise_argument("-[%s setObject:forKey:]: %s cannot be nil (key: %s)",
                object_getClassName(self), key ? "object" : "key",
                key ? abx_ns_string_utf8(abx_ns_description(key)) : "(null)");
    id copy = abx_ns_copy(key);
    abx_ns_table_put(abx_ns_table(self), copy, value, true, keep);
    objc_release(copy);
}

/* ---- the C interface */

id abx_ns_mutable_dictionary(void)
{
    return objc_autorelease(class_createInstance(ABX_CLASS(NSMutableDictionary), 0));
}

id abx_ns_dictionary(const id *keys, const id *values, NSUInteger count)
{
    id dictionary = objc_autorelease(class_createInstance(ABX_CLASS(NSDictionary), 0));
    for (NSUInteger i = 0; i < count; i++)
        set(dictionary, keys[i], values[i], false);
    return dictionary;
}

void abx_ns_dictionary_set(id dictionary, id key, id value)
{
    set(dictionary, key, value, false);
}

id abx_ns_dictionary_get(id dictionary, id key)
{
    if (!dictionary || !key)
        return nil;
    struct ns_table *table = abx_ns_table(dictionary);
    ptrdiff_t at = abx_ns_table_find(table, key);
    return at >= 0 && table->keys[at] ? table->values[at] : nil;
}

NSUInteger abx_ns_dictionary_count(id dictionary)
{
    return dictionary ? abx_ns_table(dictionary)->count : 0;
}

void abx_ns_dictionary_each(
        id dictionary, bool (*visit)(void *context, id key, id value), void *context)
{
    if (!dictionary)
        return;
    struct ns_table *table = abx_ns_table(dictionary);
    for (NSUInteger i = 0; i < table->capacity; i++)
        if (table->keys[i] && !visit(context, table->keys[i], table->values[i]))
            return;
}

/* ---- creation */

static id init_objects_keys_count(
        id self, SEL cmd, const id *values, const id *keys, NSUInteger count)
{
    for (NSUInteger i = 0; i < count; i++)
        set(self, keys[i], values[i], true); /* the first of two equal keys wins, as on Apple's */
    return self;
}

static id init_arrays(id self, SEL cmd, id values, id keys)
{
    NSUInteger count = abx_ns_array_count(keys);
    if (count != abx_ns_array_count(values))
        abx_ns_raise_argument("-[NSDictionary initWithObjects:forKeys:]: count of objects (%lu) "
                              "differs from count of keys (%lu)",
                abx_ns_array_count(values), count);
    for (NSUInteger i = 0; i < count; i++)
        set(self, abx_ns_array_at(keys, i), abx_ns_array_at(values, i), true);
    return self;
}

static id fill_variadic(id self, id value, va_list rest)
{
    while (value) {
        set(self, va_arg(rest, id), value, true);
        value = va_arg(rest, id);
    }
    return self;
}

static id init_variadic(id self, SEL cmd, id first, ...)
{
    va_list rest;
    va_start(rest, first);
    self = fill_variadic(self, first, rest);
    va_end(rest);
    return self;
}

static id dictionary_one(id cls, SEL cmd, id value, id key)
{
    return init_objects_keys_count(abx_ns_collection(cls, cmd), cmd, &value, &key, 1);
}

static id dictionary_objects_keys_count(
        id cls, SEL cmd, const id *values, const id *keys, NSUInteger count)
{
    return init_objects_keys_count(abx_ns_collection(cls, cmd), cmd, values, keys, count);
}

static id dictionary_arrays(id cls, SEL cmd, id values, id keys)
{
    return init_arrays(abx_ns_collection(cls, cmd), cmd, values, keys);
}

static id dictionary_variadic(id cls, SEL cmd, id first, ...)
{
    va_list rest;
    va_start(rest, first);
    id dictionary = fill_variadic(abx_ns_collection(cls, cmd), first, rest);
    va_end(rest);
    return dictionary;
}

static id dictionary_dictionary(id cls, SEL cmd, id other)
{
    return abx_ns_hashed_init_from(abx_ns_collection(cls, cmd), cmd, other);
}

static void dictionary_dealloc(id self, SEL cmd)
{
    abx_ns_table_clear(abx_ns_table(self));
    abx_objc_dealloc_super(self, ABX_CLASS(NSDictionary));
}

static id dictionary_copy(id self, SEL cmd, void *zone)
{
    return abx_ns_hashed_copy(self, ABX_CLASS(NSDictionary), ABX_CLASS(NSMutableDictionary));
}

static id dictionary_mutable_copy(id self, SEL cmd, void *zone)
{
    return abx_ns_hashed_init_from(
            class_createInstance(ABX_CLASS(NSMutableDictionary), 0), cmd, self);
}

/* ---- reading */

static id object_for_key(id self, SEL cmd, id key)
{
    return abx_ns_dictionary_get(self, key);
}

static id all_keys(id self, SEL cmd)
{
    return abx_ns_table_array(abx_ns_table(self), abx_ns_table(self)->keys);
}

static id all_values(id self, SEL cmd)
{
    return abx_ns_table_array(abx_ns_table(self), abx_ns_table(self)->values);
}

static id all_keys_for(id self, SEL cmd, id value)
{
    id result = abx_ns_mutable_array();
    struct ns_table *table = abx_ns_table(self);
    for (NSUInteger i = 0; i < table->capacity; i++)
        if (table->keys[i] && abx_ns_is_equal(table->values[i], value))
            abx_ns_array_add(result, table->keys[i]);
    return result;
}

static id objects_for_keys(id self, SEL cmd, id keys, id marker)
{
    id result = abx_ns_mutable_array();
    for (NSUInteger i = 0; i < abx_ns_array_count(keys); i++) {
        id value = abx_ns_dictionary_get(self, abx_ns_array_at(keys, i));
        abx_ns_array_add(result, value ? value : marker);
    }
    return result;
}

static id keys_sorted_selector(id self, SEL cmd, SEL selector)
{
    id pairs = all_values(self, cmd), result = abx_ns_mutable_array();
    id sorted = ABX_MSG(id, (id, SEL, SEL), pairs, "sortedArrayUsingSelector:", selector);
    id left = objc_autorelease(dictionary_mutable_copy(self, cmd, NULL));
    for (NSUInteger i = 0; i < abx_ns_array_count(sorted); i++) {
        id key = abx_ns_array_at(all_keys_for(left, cmd, abx_ns_array_at(sorted, i)), 0);
        abx_ns_array_add(result, key);
        abx_ns_table_remove(abx_ns_table(left), key);
    }
    return result;
}

static id key_enumerator(id self, SEL cmd)
{
    return abx_ns_enumerator(all_keys(self, cmd));
}

static id object_enumerator(id self, SEL cmd)
{
    return abx_ns_enumerator(all_values(self, cmd));
}

static void enumerate_block(id self, SEL cmd, void *block)
{
    struct ns_table *table = abx_ns_table(self);
    BOOL stop = NO;
    for (NSUInteger i = 0; i < table->capacity && !stop; i++)
        if (table->keys[i])
            ABX_BLOCK_CALL(
                    void, (void *, id, id, BOOL *), block, table->keys[i], table->values[i], &stop);
}

static void enumerate_options(id self, SEL cmd, NSUInteger options, void *block)
{
    enumerate_block(self, cmd, block);
}

static abx_objc_bool equal_dictionaries(id self, SEL cmd, id other)
{
    if (self == other)
        return 1;
    if (!abx_objc_is_kind_of(other, ABX_CLASS(NSDictionary)) ||
            abx_ns_table(self)->count != abx_ns_table(other)->count)
        return 0;
    struct ns_table *table = abx_ns_table(self);
    for (NSUInteger i = 0; i < table->capacity; i++) {
        if (!table->keys[i])
            continue;
        id theirs = abx_ns_dictionary_get(other, table->keys[i]);
        if (!theirs || !abx_ns_is_equal(table->values[i], theirs))
            return 0;
    }
    return 1;
}

static id dictionary_description(id self, SEL cmd)
{
    struct abx_string out = {0};
    struct ns_table *table = abx_ns_table(self);
    abx_string_add(&out, "{", 1);
    id keys = all_keys(self, cmd);
    bool strings = true;
    for (NSUInteger i = 0; i < abx_ns_array_count(keys); i++)
        strings = strings && abx_ns_is_string(abx_ns_array_at(keys, i));
    if (strings)
        keys = ABX_MSG(id, (id, SEL, SEL), keys,
                "sortedArrayUsingSelector:", sel_registerName("compare:"));
    for (NSUInteger i = 0; i < table->count; i++) {
        id key = abx_ns_array_at(keys, i);
        abx_string_printf(&out, "\n    %s = %s;", abx_ns_string_utf8(abx_ns_description(key)),
                abx_ns_string_utf8(abx_ns_description(abx_ns_dictionary_get(self, key))));
    }
    abx_string_add(&out, "\n}", 2);
    id result = abx_ns_string_bytes(out.data, out.length);
    abx_string_finish(&out);
    return result;
}

/* ---- NSMutableDictionary */

static void set_object(id self, SEL cmd, id value, id key)
{
    set(self, key, value, false);
}

static void remove_key(id self, SEL cmd, id key)
{
    if (!key)
        abx_ns_raise_argument("-[NSMutableDictionary removeObjectForKey:]: key cannot be nil");
    abx_ns_table_remove(abx_ns_table(self), key);
}

static void set_subscript(id self, SEL cmd, id value, id key)
{
    if (value)
        set(self, key, value, false);
    else
        remove_key(self, cmd, key);
}

static void remove_keys(id self, SEL cmd, id keys)
{
    for (NSUInteger i = 0; i < abx_ns_array_count(keys); i++)
        abx_ns_table_remove(abx_ns_table(self), abx_ns_array_at(keys, i));
}

static void add_entries(id self, SEL cmd, id other)
{
    if (self != other)
        abx_ns_hashed_init_from(self, cmd, other);
}

static void set_dictionary(id self, SEL cmd, id other)
{
    if (self == other)
        return;
    abx_ns_hashed_remove_all(self, cmd);
    abx_ns_hashed_init_from(self, cmd, other);
}

static const struct abx_objc_method dictionary_methods[] = {
        METHOD("initWithObjects:forKeys:count:", "@@:r^@r^@Q", init_objects_keys_count),
        METHOD("initWithObjects:forKeys:", "@@:@@", init_arrays),
        METHOD("initWithObjectsAndKeys:", "@@:@", init_variadic),
        METHOD("initWithDictionary:", "@@:@", abx_ns_hashed_init_from),
        METHOD("dealloc", "v@:", dictionary_dealloc),
        METHOD("copyWithZone:", "@@:" ZONE, dictionary_copy),
        METHOD("mutableCopyWithZone:", "@@:" ZONE, dictionary_mutable_copy),
        METHOD("count", "Q@:", abx_ns_hashed_count),
        METHOD("objectForKey:", "@@:@", object_for_key),
        METHOD("objectForKeyedSubscript:", "@@:@", object_for_key),
        METHOD("valueForKey:", "@@:@", object_for_key),
        METHOD("objectsForKeys:notFoundMarker:", "@@:@@", objects_for_keys),
        METHOD("allKeys", "@@:", all_keys),
        METHOD("allValues", "@@:", all_values),
        METHOD("allKeysForObject:", "@@:@", all_keys_for),
        METHOD("keysSortedByValueUsingSelector:", "@@::", keys_sorted_selector),
        METHOD("keyEnumerator", "@@:", key_enumerator),
        METHOD("objectEnumerator", "@@:", object_enumerator),
        METHOD("countByEnumeratingWithState:objects:count:", "Q@:" ENUMERATION "^@Q",
                abx_ns_hashed_enumerate),
        METHOD("enumerateKeysAndObjectsUsingBlock:", "v@:@?", enumerate_block),
        METHOD("enumerateKeysAndObjectsWithOptions:usingBlock:", "v@:Q@?", enumerate_options),
        METHOD("isEqual:", "B@:@", equal_dictionaries),
        METHOD("isEqualToDictionary:", "B@:@", equal_dictionaries),
        METHOD("hash", "Q@:", abx_ns_hashed_count),
        METHOD("description", "@@:", dictionary_description),
        {NULL},
};
static const struct abx_objc_method dictionary_class_methods[] = {
        METHOD("dictionary", "@@:", abx_ns_collection),
        METHOD("dictionaryWithObject:forKey:", "@@:@@", dictionary_one),
        METHOD("dictionaryWithObjects:forKeys:count:", "@@:r^@r^@Q", dictionary_objects_keys_count),
        METHOD("dictionaryWithObjects:forKeys:", "@@:@@", dictionary_arrays),
        METHOD("dictionaryWithObjectsAndKeys:", "@@:@", dictionary_variadic),
        METHOD("dictionaryWithDictionary:", "@@:@", dictionary_dictionary),
        {NULL},
};
static const struct abx_objc_method mutable_methods[] = {
        METHOD("initWithCapacity:", "@@:Q", abx_ns_hashed_init_capacity),
        METHOD("setObject:forKey:", "v@:@@", set_object),
        METHOD("setObject:forKeyedSubscript:", "v@:@@", set_subscript),
        METHOD("setValue:forKey:", "v@:@@", set_subscript),
        METHOD("removeObjectForKey:", "v@:@", remove_key),
        METHOD("removeAllObjects", "v@:", abx_ns_hashed_remove_all),
        METHOD("removeObjectsForKeys:", "v@:@", remove_keys),
        METHOD("addEntriesFromDictionary:", "v@:@", add_entries),
        METHOD("setDictionary:", "v@:@", set_dictionary),
        {NULL},
};
static const struct abx_objc_method mutable_class_methods[] = {
        METHOD("dictionaryWithCapacity:", "@@:Q", abx_ns_collection_capacity),
        {NULL},
};

__attribute__((constructor(102))) static void define(void)
{
    DEFINE(NSDictionary, NSObject, struct ns_hashed, dictionary_methods, dictionary_class_methods,
            "NSCopying", "NSMutableCopying", "NSSecureCoding", "NSFastEnumeration");
    DEFINE(NSMutableDictionary, NSDictionary, struct ns_hashed, mutable_methods,
            mutable_class_methods);
    __NSDictionary0__ = class_createInstance(ABX_CLASS(NSDictionary), 0);
}
