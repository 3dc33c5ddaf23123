/* metal: MTLResidencySet: allocations a program wants present together. Runs in the guest's
 * process.
 *
 * All memory of a tenant is present as long as it exists, so what a set does here is what keeps it
 * in existence: it holds its allocations. Additions and removals count at once for the questions
 * about the set's contents, and for its size, and for what it holds, at the next commit.
 *
 * Locking: the set's lock covers the table. Nothing is released under it: a dealloc may come back
 * here. */
#include <stdlib.h>
#include <string.h>

#include "metal/metal_internal.h"

#define MAX_ALLOCATIONS                                                                            \
    ABX_MAX_HANDLES /* more objects than the wire has handles for cannot exist */

static struct abx_metal_residency_set *set_of(id self)
{
    return (struct abx_metal_residency_set *)self;
}

/* ---- the table */

static uint32_t slot_of(const struct abx_metal_residency_set *set, id object)
{
    uint64_t h = (uint64_t)(uintptr_t)object * 0x9e3779b97f4a7c15u;
    uint32_t mask = set->capacity - 1, at = (uint32_t)(h >> 32) & mask;
    while (set->entries[at].object && set->entries[at].object != object)
        at = (at + 1) & mask;
    return at;
}

static struct abx_metal_residency *find(const struct abx_metal_residency_set *set, id object)
{
    if (!set->capacity)
        return NULL;
    struct abx_metal_residency *e = &set->entries[slot_of(set, object)];
    return e->object ? e : NULL;
}

static bool resize(struct abx_metal_residency_set *set, uint32_t capacity)
{
    struct abx_metal_residency_set bigger = {
            .entries = calloc(capacity, sizeof *set->entries), .capacity = capacity};
    if (!bigger.entries)
        return false;
    for (uint32_t i = 0; i < set->capacity; i++)
        if (set->entries[i].object)
            bigger.entries[slot_of(&bigger, set->entries[i].object)] = set->entries[i];
    free(set->entries);
    set->entries = bigger.entries;
    set->capacity = capacity;
    return true;
}

static bool reserve(struct abx_metal_residency_set *set, NSUInteger count)
{
    if (count > MAX_ALLOCATIONS)
        return false;
    uint32_t capacity = set->capacity ? set->capacity : 16;
    while (count > capacity / 4 * 3)
        capacity *= 2;
    return capacity == set->capacity || resize(set, capacity);
}

/* Keeps the runs of the entries behind it reachable. */
static void erase(struct abx_metal_residency_set *set, uint32_t at)
{
    uint32_t mask = set->capacity - 1;
    set->entries[at] = (struct abx_metal_residency){0};
    set->used--;
    for (uint32_t i = (at + 1) & mask; set->entries[i].object; i = (i + 1) & mask) {
        struct abx_metal_residency moved = set->entries[i];
        set->entries[i] = (struct abx_metal_residency){0};
        set->entries[slot_of(set, moved.object)] = moved;
    }
}

/* ---- making sets */

id MTLDevice_newResidencySetWithDescriptor_error_(id self, SEL cmd, id object, id *error)
{
    const struct MTLResidencySetDescriptor *descriptor = (struct MTLResidencySetDescriptor *)object;
    struct abx_metal_residency_set *set = abx_metal_new(ABX_METAL_RESIDENCY_SET, self);
    if (set) {
        pthread_mutex_init(&set->lock, NULL);
        if (descriptor && descriptor->label)
            set->base.label = ABX_MSG(id, (id, SEL), descriptor->label, "copy");
        if (!descriptor || !descriptor->initialCapacity ||
                reserve(set, descriptor->initialCapacity))
            return (id)set;
        objc_release((id)set);
    }
    abx_ns_error_set(error, "MTLResidencySetErrorDomain", 1,
            "the residency set was not made: out of memory");
    return NULL;
}

void MTLResidencySet_dealloc(id self, SEL cmd)
{
    struct abx_metal_residency_set *set = set_of(self);
    for (uint32_t i = 0; i < set->capacity; i++)
        objc_release(set->entries[i].object);
    free(set->entries);
    pthread_mutex_destroy(&set->lock);
    abx_metal_dealloc(self, ABX_METAL_RESIDENCY_SET);
}

/* ---- changing them */

static bool has_size(id object)
{
    return object && class_getInstanceMethod(object_getClass(object), ABX_SEL("allocatedSize"));
}

/* Lock held. */
static bool add(struct abx_metal_residency_set *set, id object, uint64_t bytes)
{
    if (!reserve(set, set->used + 1))
        return false;
    struct abx_metal_residency *e = &set->entries[slot_of(set, object)];
    if (!e->object) {
        *e = (struct abx_metal_residency){.object = objc_retain(object), .bytes = bytes};
        set->used++;
        set->present++;
        set->changed = true;
    } else if (e->removed) {
        e->removed = false;
        set->present++;
        set->changed = true;
    }
    return true;
}

void MTLResidencySet_addAllocations_count_(
        id self, SEL cmd, const id *allocations, NSUInteger count)
{
    struct abx_metal_residency_set *set = set_of(self);
    for (NSUInteger i = 0; i < count; i++) {
        if (!has_size(allocations[i])) {
            abx_metal_say("-[MTLResidencySet addAllocation:]: %s",
                    allocations[i] ? "not a buffer or a heap" : "the allocation is nil");
            continue;
        }
        uint64_t bytes = ABX_MSG(NSUInteger, (id, SEL), allocations[i], "allocatedSize");
        pthread_mutex_lock(&set->lock);
        bool added = add(set, allocations[i], bytes);
        pthread_mutex_unlock(&set->lock);
        if (!added)
            abx_metal_say("-[MTLResidencySet addAllocation:]: no memory, or more than %u "
                          "allocations",
                    MAX_ALLOCATIONS);
    }
}

void MTLResidencySet_addAllocation_(id self, SEL cmd, id allocation)
{
    MTLResidencySet_addAllocations_count_(self, cmd, &allocation, 1);
}

void MTLResidencySet_removeAllocations_count_(
        id self, SEL cmd, const id *allocations, NSUInteger count)
{
    struct abx_metal_residency_set *set = set_of(self);
    pthread_mutex_lock(&set->lock);
    for (NSUInteger i = 0; i < count; i++) {
        struct abx_metal_residency *e = allocations[i] ? find(set, allocations[i]) : NULL;
        if (!e || e->removed)
            continue;
        e->removed = set->changed = true;
        set->present--;
    }
    pthread_mutex_unlock(&set->lock);
}

void MTLResidencySet_removeAllocation_(id self, SEL cmd, id allocation)
{
    MTLResidencySet_removeAllocations_count_(self, cmd, &allocation, 1);
}

void MTLResidencySet_removeAllAllocations(id self, SEL cmd)
{
    struct abx_metal_residency_set *set = set_of(self);
    pthread_mutex_lock(&set->lock);
    for (uint32_t i = 0; i < set->capacity; i++)
        if (set->entries[i].object)
            set->entries[i].removed = true;
    set->present = 0;
    set->changed = true;
    pthread_mutex_unlock(&set->lock);
}

/* Lock held. Takes out what was removed; the caller releases it. */
static id *take_removed(struct abx_metal_residency_set *set, uint32_t *ret_count)
{
    uint32_t count = 0, removed = set->used - (uint32_t)set->present;
    id *gone = malloc((removed ? removed : 1) * sizeof *gone);
    if (!gone)
        return NULL; /* they stay until the next commit */
    for (uint32_t i = 0; i < set->capacity && count < removed; i++)
        if (set->entries[i].object && set->entries[i].removed)
            gone[count++] = set->entries[i].object;
    for (uint32_t i = 0; i < count; i++)
        erase(set, slot_of(set, gone[i]));
    *ret_count = count;
    return gone;
}

void MTLResidencySet_commit(id self, SEL cmd)
{
    struct abx_metal_residency_set *set = set_of(self);
    id *gone = NULL;
    uint32_t gone_count = 0;
    pthread_mutex_lock(&set->lock);
    if (set->changed) {
        gone = take_removed(set, &gone_count);
        set->changed = gone == NULL;
        set->committed = 0;
        for (uint32_t i = 0; i < set->capacity; i++)
            if (set->entries[i].object && !set->entries[i].removed)
                set->committed += set->entries[i].bytes;
    }
    pthread_mutex_unlock(&set->lock);
    for (uint32_t i = 0; i < gone_count; i++)
        objc_release(gone[i]);
    free(gone);
}

/* Everything is present already. */
void MTLResidencySet_requestResidency(id self, SEL cmd) {}

void MTLResidencySet_endResidency(id self, SEL cmd) {}

/* ---- asking */

abx_objc_bool MTLResidencySet_containsAllocation_(id self, SEL cmd, id allocation)
{
    struct abx_metal_residency_set *set = set_of(self);
    pthread_mutex_lock(&set->lock);
    const struct abx_metal_residency *e = allocation ? find(set, allocation) : NULL;
    bool contained = e && !e->removed;
    pthread_mutex_unlock(&set->lock);
    return contained;
}

id MTLResidencySet_allAllocations(id self, SEL cmd)
{
    struct abx_metal_residency_set *set = set_of(self);
    id all = abx_ns_mutable_array();
    pthread_mutex_lock(&set->lock);
    for (uint32_t i = 0; i < set->capacity; i++)
        if (set->entries[i].object && !set->entries[i].removed)
            abx_ns_array_add(all, set->entries[i].object);
    pthread_mutex_unlock(&set->lock);
    return all;
}

NSUInteger MTLResidencySet_allocationCount(id self, SEL cmd)
{
    struct abx_metal_residency_set *set = set_of(self);
    pthread_mutex_lock(&set->lock);
    NSUInteger count = set->present;
    pthread_mutex_unlock(&set->lock);
    return count;
}

uint64_t MTLResidencySet_allocatedSize(id self, SEL cmd)
{
    struct abx_metal_residency_set *set = set_of(self);
    pthread_mutex_lock(&set->lock);
    uint64_t bytes = set->committed;
    pthread_mutex_unlock(&set->lock);
    return bytes;
}
