/* foundation: NSMapTable and NSHashTable: hash tables that may hold their objects weakly or not at
 * all, and compare them by address. Guest's process; trusts it. Not locked: the table's user does.
 */
#include "foundation/foundation_collection.h"

ABX_OBJC_CLASS(NSMapTable)
ABX_OBJC_CLASS(NSHashTable)

enum { /* NSPointerFunctionsOptions */
    MEMORY_STRONG = 0,
    MEMORY_OPAQUE = 2,
    MEMORY_WEAK = 5,
    MEMORY = 0xff,
    PERSONALITY_OBJECT = 0 << 8,
    PERSONALITY_OPAQUE = 1 << 8,
    PERSONALITY_POINTER = 2 << 8,
    PERSONALITY_INTEGER = 5 << 8,
    PERSONALITY = 0xff << 8,
    COPY_IN = 1 << 16,
};

/* Allocated one by one: weak references know the place that holds them. */
struct entry {
    struct entry *next;
    NSUInteger hash;
    id key, value; /* value: nil in an NSHashTable */
};

struct map {
    Class isa;
    NSUInteger key_options, value_options;
    struct entry **buckets;
    NSUInteger bucket_count; /* 0 or a power of two */
    NSUInteger count;        /* with entries whose weak key or value has gone, until they are met */
    unsigned long mutations;
};

static struct map *inner(id self)
{
    return (struct map *)self;
}

/* ---- what a place holds */

static void hold(id *place, NSUInteger options, id object)
{
    if ((options & MEMORY) == MEMORY_WEAK)
        objc_initWeak(place, object);
    else if ((options & MEMORY) == MEMORY_OPAQUE)
        *place = object;
    else
        *place = options & COPY_IN ? abx_ns_copy(object) : objc_retain(object);
}

static void let_go(id *place, NSUInteger options)
{
    if ((options & MEMORY) == MEMORY_WEAK)
        objc_destroyWeak(place);
    else if ((options & MEMORY) == MEMORY_STRONG)
        objc_release(*place);
}

/* Nil where it was weak and has gone. */
static id held(id *place, NSUInteger options)
{
    if ((options & MEMORY) == MEMORY_WEAK)
        return objc_autorelease(objc_loadWeakRetained(place));
    if ((options & MEMORY) == MEMORY_STRONG)
        return objc_autorelease(objc_retain(*place));
    return *place;
}

static NSUInteger hash_of(const struct map *map, id key)
{
    NSUInteger hash = (map->key_options & PERSONALITY) == PERSONALITY_OBJECT ? abx_ns_hash(key)
                                                                             : (NSUInteger)key;
    hash *= 0x9e3779b97f4a7c15ul;
    return hash >> 32 ^ hash;
}

static bool equal(const struct map *map, id a, id b)
{
    return a == b || ((map->key_options & PERSONALITY) == PERSONALITY_OBJECT && a && b &&
                             abx_ns_is_equal(a, b));
}

/* ---- the table */

static bool gone(struct map *map, struct entry *entry)
{
    return ((map->key_options & MEMORY) == MEMORY_WEAK && !held(&entry->key, map->key_options)) ||
           ((map->value_options & MEMORY) == MEMORY_WEAK &&
                   !held(&entry->value, map->value_options));
}

static void take_out(struct map *map, struct entry **link)
{
    struct entry *entry = *link;
    *link = entry->next;
    map->count--;
    map->mutations++;
    let_go(&entry->key, map->key_options);
    let_go(&entry->value, map->value_options);
    free(entry);
}

/* The link to the entry of an equal key, or NULL. Entries that have gone are taken out on the way.
 */
static struct entry **find(struct map *map, id key)
{
    if (!map->bucket_count || (!key && (map->key_options & PERSONALITY) == PERSONALITY_OBJECT))
        return NULL;
    NSUInteger hash = hash_of(map, key);
    struct entry **link = &map->buckets[hash & (map->bucket_count - 1)];
    while (*link) {
        if (gone(map, *link)) {
            take_out(map, link);
            continue;
        }
        if ((*link)->hash == hash && equal(map, held(&(*link)->key, map->key_options), key))
            return link;
        link = &(*link)->next;
    }
    return NULL;
}

static void sweep(struct map *map)
{
    for (NSUInteger i = 0; i < map->bucket_count; i++)
        for (struct entry **link = &map->buckets[i]; *link;) {
            if (gone(map, *link))
                take_out(map, link);
            else
                link = &(*link)->next;
        }
}

static void grow(struct map *map)
{
    sweep(map);
    if (map->count < map->bucket_count)
        return;
    NSUInteger bucket_count = map->bucket_count ? map->bucket_count * 2 : 8;
    struct entry **buckets = abx_ns_allocate(bucket_count * sizeof(struct entry *));
    memset(buckets, 0, bucket_count * sizeof(struct entry *));
    for (NSUInteger i = 0; i < map->bucket_count; i++)
        for (struct entry *entry = map->buckets[i], *next; entry; entry = next) {
            next = entry->next;
            struct entry **bucket = &buckets[entry->hash & (bucket_count - 1)];
            entry->next = *bucket;
            *bucket = entry;
        }
    free(map->buckets);
    map->buckets = buckets;
    map->bucket_count = bucket_count;
}

static void put(struct map *map, id key, id value)
{
    struct entry **link = find(map, key);
    if (link) { /* the new value is held before the old one may go */
        id old = (*link)->value;
        if ((map->value_options & MEMORY) == MEMORY_WEAK) {
            objc_storeWeak(&(*link)->value, value);
            return;
        }
        hold(&(*link)->value, map->value_options, value);
        let_go(&old, map->value_options);
        return;
    }
    if (map->count >= map->bucket_count)
        grow(map);
    struct entry *entry = abx_ns_allocate(sizeof(*entry));
    *entry = (struct entry){.hash = hash_of(map, key)};
    hold(&entry->key, map->key_options, key);
    hold(&entry->value, map->value_options, value);
    struct entry **bucket = &map->buckets[entry->hash & (map->bucket_count - 1)];
    entry->next = *bucket;
    *bucket = entry;
    map->count++;
    map->mutations++;
}

/* Keys or values, for enumeration: what is in the array stays while it is read. */
static id listed(struct map *map, bool values)
{
    sweep(map);
    id list = abx_ns_mutable_array();
    for (NSUInteger i = 0; i < map->bucket_count; i++)
        for (struct entry *entry = map->buckets[i]; entry; entry = entry->next) {
            id object = values ? held(&entry->value, map->value_options)
                               : held(&entry->key, map->key_options);
            if (object)
                abx_ns_array_add(list, object);
        }
    return list;
}

/* ---- methods of both */

static NSUInteger accepted(id cls, NSUInteger options)
{
    NSUInteger memory = options & MEMORY, personality = options & PERSONALITY;
    if ((memory != MEMORY_STRONG && memory != MEMORY_OPAQUE && memory != MEMORY_WEAK) ||
            (personality > PERSONALITY_POINTER && personality != PERSONALITY_INTEGER))
        abx_ns_raise_argument("%s: pointer functions of options 0x%lx are not supported",
                object_isClass(cls) ? class_getName((Class)cls) : object_getClassName(cls),
                options);
    return options;
}

static void remove_all(id self, SEL cmd)
{
    struct map *map = inner(self);
    for (NSUInteger i = 0; i < map->bucket_count; i++)
        while (map->buckets[i])
            take_out(map, &map->buckets[i]);
}

static void map_dealloc(id self, SEL cmd)
{
    remove_all(self, cmd);
    free(inner(self)->buckets);
    abx_objc_dealloc_super(self, object_getClass(self));
}

static NSUInteger count(id self, SEL cmd)
{
    sweep(inner(self));
    return inner(self)->count;
}

static id all_keys(id self, SEL cmd)
{
    return listed(inner(self), false);
}

static id key_enumerator(id self, SEL cmd)
{
    return abx_ns_enumerator(listed(inner(self), false));
}

static void remove_key(id self, SEL cmd, id key)
{
    struct entry **link = find(inner(self), key);
    if (link)
        take_out(inner(self), link);
}

static id copy(id self, SEL cmd, void *zone)
{
    struct map *from = inner(self);
    id result = class_createInstance(object_getClass(self), 0);
    inner(result)->key_options = from->key_options;
    inner(result)->value_options = from->value_options;
    sweep(from);
    for (NSUInteger i = 0; i < from->bucket_count; i++)
        for (struct entry *entry = from->buckets[i]; entry; entry = entry->next)
            put(inner(result), held(&entry->key, from->key_options),
                    held(&entry->value, from->value_options));
    return result;
}

/* The keys are in an array of the pool, so that weak ones stay until the loop has had them. */
static NSUInteger enumerate(
        id self, SEL cmd, NSFastEnumerationState *state, id *buffer, NSUInteger capacity)
{
    struct map *map = inner(self);
    if (state->state == 0) {
        state->state = 1;
        state->extra[0] = (unsigned long)listed(map, false);
        state->extra[1] = 0;
    }
    state->mutations = &map->mutations;
    state->items = buffer;
    NSUInteger filled = 0;
    for (id list = (id)state->extra[0];
            filled < capacity && state->extra[1] < abx_ns_array_count(list); filled++)
        buffer[filled] = abx_ns_array_at(list, state->extra[1]++);
    return filled;
}

/* ---- NSMapTable */

static id init_options(id self, SEL cmd, NSUInteger keys, NSUInteger values, NSUInteger capacity)
{
    inner(self)->key_options = accepted(self, keys);
    inner(self)->value_options = accepted(self, values);
    return self;
}

static id with_options(id cls, SEL cmd, NSUInteger keys, NSUInteger values)
{
    accepted(cls, keys);
    accepted(cls, values);
    return init_options(abx_ns_collection(cls, cmd), cmd, keys, values, 0);
}

static id strong_to_strong(id cls, SEL cmd)
{
    return with_options(cls, cmd, MEMORY_STRONG, MEMORY_STRONG);
}

static id weak_to_strong(id cls, SEL cmd)
{
    return with_options(cls, cmd, MEMORY_WEAK, MEMORY_STRONG);
}

static id strong_to_weak(id cls, SEL cmd)
{
    return with_options(cls, cmd, MEMORY_STRONG, MEMORY_WEAK);
}

static id weak_to_weak(id cls, SEL cmd)
{
    return with_options(cls, cmd, MEMORY_WEAK, MEMORY_WEAK);
}

static id object_for_key(id self, SEL cmd, id key)
{
    struct entry **link = find(inner(self), key);
    return link ? held(&(*link)->value, inner(self)->value_options) : nil;
}

static void set_object(id self, SEL cmd, id object, id key)
{
    struct map *map = inner(self);
    if (!key && (map->key_options & PERSONALITY) == PERSONALITY_OBJECT)
        abx_ns_raise_argument("-[NSMapTable setObject:forKey:]: key cannot be nil");
    if (!object && (map->value_options & PERSONALITY) == PERSONALITY_OBJECT)
        abx_ns_raise_argument("-[NSMapTable setObject:forKey:]: object cannot be nil");
    put(map, key, object);
}

static id object_enumerator(id self, SEL cmd)
{
    return abx_ns_enumerator(listed(inner(self), true));
}

static id dictionary(id self, SEL cmd)
{
    id result = abx_ns_mutable_dictionary(), keys = listed(inner(self), false);
    for (NSUInteger i = 0; i < abx_ns_array_count(keys); i++) {
        id key = abx_ns_array_at(keys, i), object = object_for_key(self, cmd, key);
        if (object)
            abx_ns_dictionary_set(result, key, object);
    }
    return result;
}

/* ---- NSHashTable */

static id init_hash_options(id self, SEL cmd, NSUInteger options, NSUInteger capacity)
{
    inner(self)->key_options = accepted(self, options);
    inner(self)->value_options = MEMORY_OPAQUE;
    return self;
}

static id hash_with_options(id cls, SEL cmd, NSUInteger options)
{
    accepted(cls, options);
    return init_hash_options(abx_ns_collection(cls, cmd), cmd, options, 0);
}

static id weak_objects(id cls, SEL cmd)
{
    return hash_with_options(cls, cmd, MEMORY_WEAK);
}

static void add_object(id self, SEL cmd, id object)
{
    if (!object && (inner(self)->key_options & PERSONALITY) == PERSONALITY_OBJECT)
        abx_ns_raise_argument("-[NSHashTable addObject:]: object cannot be nil");
    if (!find(inner(self), object))
        put(inner(self), object, nil);
}

static id member(id self, SEL cmd, id object)
{
    struct entry **link = find(inner(self), object);
    return link ? held(&(*link)->key, inner(self)->key_options) : nil;
}

static abx_objc_bool contains(id self, SEL cmd, id object)
{
    return find(inner(self), object) != NULL;
}

static id any_object(id self, SEL cmd)
{
    return abx_ns_array_at(all_keys(self, cmd), 0);
}

static const struct abx_objc_method map_methods[] = {
        METHOD("initWithKeyOptions:valueOptions:capacity:", "@@:QQQ", init_options),
        METHOD("dealloc", "v@:", map_dealloc),
        METHOD("copyWithZone:", "@@:" ZONE, copy),
        METHOD("count", "Q@:", count),
        METHOD("objectForKey:", "@@:@", object_for_key),
        METHOD("setObject:forKey:", "v@:@@", set_object),
        METHOD("removeObjectForKey:", "v@:@", remove_key),
        METHOD("removeAllObjects", "v@:", remove_all),
        METHOD("keyEnumerator", "@@:", key_enumerator),
        METHOD("objectEnumerator", "@@:", object_enumerator),
        METHOD("dictionaryRepresentation", "@@:", dictionary),
        METHOD("countByEnumeratingWithState:objects:count:", "Q@:" ENUMERATION "^@Q", enumerate),
        {NULL},
};
static const struct abx_objc_method map_class_methods[] = {
        METHOD("mapTableWithKeyOptions:valueOptions:", "@@:QQ", with_options),
        METHOD("strongToStrongObjectsMapTable", "@@:", strong_to_strong),
        METHOD("weakToStrongObjectsMapTable", "@@:", weak_to_strong),
        METHOD("strongToWeakObjectsMapTable", "@@:", strong_to_weak),
        METHOD("weakToWeakObjectsMapTable", "@@:", weak_to_weak),
        {NULL},
};
static const struct abx_objc_method hash_methods[] = {
        METHOD("initWithOptions:capacity:", "@@:QQ", init_hash_options),
        METHOD("dealloc", "v@:", map_dealloc),
        METHOD("copyWithZone:", "@@:" ZONE, copy),
        METHOD("count", "Q@:", count),
        METHOD("addObject:", "v@:@", add_object),
        METHOD("removeObject:", "v@:@", remove_key),
        METHOD("removeAllObjects", "v@:", remove_all),
        METHOD("containsObject:", "B@:@", contains),
        METHOD("member:", "@@:@", member),
        METHOD("anyObject", "@@:", any_object),
        METHOD("allObjects", "@@:", all_keys),
        METHOD("objectEnumerator", "@@:", key_enumerator),
        METHOD("countByEnumeratingWithState:objects:count:", "Q@:" ENUMERATION "^@Q", enumerate),
        {NULL},
};
static const struct abx_objc_method hash_class_methods[] = {
        METHOD("hashTableWithOptions:", "@@:Q", hash_with_options),
        METHOD("weakObjectsHashTable", "@@:", weak_objects),
        {NULL},
};

__attribute__((constructor(102))) static void define(void)
{
    DEFINE(NSMapTable, NSObject, struct map, map_methods, map_class_methods, "NSCopying",
            "NSFastEnumeration");
    DEFINE(NSHashTable, NSObject, struct map, hash_methods, hash_class_methods, "NSCopying",
            "NSFastEnumeration");
}
