/* metal: MTLResidencySet. Everything is resident here; a set counts and keeps its allocations. Runs
 * in the guest's process. */
#include <stdlib.h>

#include "metal/metal_internal.h"

static struct abx_metal_residency_set *set_of(id self)
{
    return (struct abx_metal_residency_set *)self;
}

id MTLDevice_newResidencySetWithDescriptor_error_(id self, SEL cmd, id object, id *error)
{
    struct MTLResidencySetDescriptor *descriptor = (struct MTLResidencySetDescriptor *)object;
    struct abx_metal_residency_set *set = abx_metal_new(ABX_METAL_RESIDENCY_SET, self);
    if (!set)
        return NULL;
    pthread_mutex_init(&set->lock, NULL);
    if (descriptor)
        abx_objc_store_copy(&set->base.label, descriptor->label);
    return (id)set;
}

void MTLResidencySet_removeAllAllocations(id self, SEL cmd)
{
    struct abx_metal_residency_set *set = set_of(self);
    pthread_mutex_lock(&set->lock);
    id *items = set->items;
    NSUInteger count = set->count;
    set->items = NULL;
    set->count = set->capacity = 0;
    pthread_mutex_unlock(&set->lock);
    for (NSUInteger i = 0; i < count; i++)
        objc_release(items[i]);
    free(items);
}

void MTLResidencySet_dealloc(id self, SEL cmd)
{
    MTLResidencySet_removeAllAllocations(self, cmd);
    pthread_mutex_destroy(&set_of(self)->lock);
    abx_metal_dealloc(self, ABX_METAL_RESIDENCY_SET);
}

static NSUInteger find(struct abx_metal_residency_set *set, id allocation)
{
    NSUInteger i = 0;
    while (i < set->count && set->items[i] != allocation)
        i++;
    return i;
}

void MTLResidencySet_addAllocation_(id self, SEL cmd, id allocation)
{
    struct abx_metal_residency_set *set = set_of(self);
    pthread_mutex_lock(&set->lock);
    if (allocation && find(set, allocation) == set->count) {
        if (set->count == set->capacity) {
            NSUInteger capacity = set->capacity ? set->capacity * 2 : 16;
            id *items = realloc(set->items, capacity * sizeof *items);
            if (items) {
                set->items = items;
                set->capacity = capacity;
            }
        }
        if (set->count < set->capacity)
            set->items[set->count++] = objc_retain(allocation);
    }
    pthread_mutex_unlock(&set->lock);
}

void MTLResidencySet_addAllocations_count_(
        id self, SEL cmd, const id *allocations, NSUInteger count)
{
    for (NSUInteger i = 0; i < count; i++)
        MTLResidencySet_addAllocation_(self, cmd, allocations[i]);
}

void MTLResidencySet_removeAllocation_(id self, SEL cmd, id allocation)
{
    struct abx_metal_residency_set *set = set_of(self);
    pthread_mutex_lock(&set->lock);
    NSUInteger at = find(set, allocation);
    id gone = at < set->count ? set->items[at] : NULL;
    if (gone)
        set->items[at] = set->items[--set->count];
    pthread_mutex_unlock(&set->lock);
    objc_release(gone);
}

void MTLResidencySet_removeAllocations_count_(
        id self, SEL cmd, const id *allocations, NSUInteger count)
{
    for (NSUInteger i = 0; i < count; i++)
        MTLResidencySet_removeAllocation_(self, cmd, allocations[i]);
}

abx_objc_bool MTLResidencySet_containsAllocation_(id self, SEL cmd, id allocation)
{
    struct abx_metal_residency_set *set = set_of(self);
    pthread_mutex_lock(&set->lock);
    bool found = find(set, allocation) < set->count;
    pthread_mutex_unlock(&set->lock);
    return found;
}

id MTLResidencySet_allAllocations(id self, SEL cmd)
{
    struct abx_metal_residency_set *set = set_of(self);
    pthread_mutex_lock(&set->lock);
    id all = abx_ns_array(set->items, set->count);
    pthread_mutex_unlock(&set->lock);
    return all;
}

NSUInteger MTLResidencySet_allocationCount(id self, SEL cmd)
{
    return set_of(self)->count;
}

uint64_t MTLResidencySet_allocatedSize(id self, SEL cmd)
{
    struct abx_metal_residency_set *set = set_of(self);
    uint64_t bytes = 0;
    pthread_mutex_lock(&set->lock);
    for (NSUInteger i = 0; i < set->count; i++)
        bytes += ABX_MSG(NSUInteger, (id, SEL), set->items[i], "allocatedSize");
    pthread_mutex_unlock(&set->lock);
    return bytes;
}

void MTLResidencySet_requestResidency(id self, SEL cmd) {}

void MTLResidencySet_endResidency(id self, SEL cmd) {}

void MTLResidencySet_commit(id self, SEL cmd) {}
