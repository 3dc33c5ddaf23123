/* dispatch: data: NSData under another name. Guest's process; trusts it.
 *
 * A destructor block runs on the thread that drops the last reference, not on the queue given. */
#include "dispatch/data.h"
#include "dispatch/dispatch.h"

#include <sys/mman.h>

static Class dispatch_data_class;

/* Blocks whose address is their meaning; calling them does what their name says. */
extern struct abx_objc_class _NSConcreteGlobalBlock;
static const struct {
    unsigned long reserved, size;
} block_descriptor = {0, sizeof(struct abx_block)};

static void free_bytes(void *block, void *bytes, NSUInteger length)
{
    free(bytes);
}

static void unmap_bytes(void *block, void *bytes, NSUInteger length)
{
    munmap(bytes, length);
}

static const struct abx_block free_block = {
        &_NSConcreteGlobalBlock, 1 << 28, 0, (void (*)(void))free_bytes, (void *)&block_descriptor};
static const struct abx_block unmap_block = {&_NSConcreteGlobalBlock, 1 << 28, 0,
        (void (*)(void))unmap_bytes, (void *)&block_descriptor};
ABX_EXPORT extern const void *const _dispatch_data_destructor_free;
ABX_EXPORT extern const void *const _dispatch_data_destructor_munmap;
const void *const _dispatch_data_destructor_free = &free_block;
const void *const _dispatch_data_destructor_munmap = &unmap_block;
ABX_EXPORT extern struct abx_data _dispatch_data_empty;
struct abx_data _dispatch_data_empty;

static struct abx_data *inner(id data)
{
    return (struct abx_data *)data;
}

static const void *bytes_of(id data)
{
    return data ? inner(data)->bytes : NULL;
}

static id data_new(const void *bytes, size_t length)
{
    id data = class_createInstance(dispatch_data_class, 0);
    struct abx_data *d = inner(data);
    d->bytes = abx_dispatch_allocate(length);
    d->length = d->capacity = length;
    d->owns = true;
    if (length)
        memcpy(d->bytes, bytes, length);
    return data;
}

OBJC_EXPORT id dispatch_data_create(
        const void *bytes, size_t length, id queue, const void *destructor);
id dispatch_data_create(const void *bytes, size_t length, id queue, const void *destructor)
{
    if (!destructor)
        return data_new(bytes, length);
    id data = class_createInstance(dispatch_data_class, 0);
    struct abx_data *d = inner(data);
    d->bytes = (void *)bytes;
    d->length = d->capacity = length;
    d->deallocator = _Block_copy(destructor);
    return data;
}

OBJC_EXPORT size_t dispatch_data_get_size(id data);
size_t dispatch_data_get_size(id data)
{
    return data ? inner(data)->length : 0;
}

OBJC_EXPORT id dispatch_data_create_map(id data, const void **ret_bytes, size_t *ret_length);
id dispatch_data_create_map(id data, const void **ret_bytes, size_t *ret_length)
{
    if (ret_bytes)
        *ret_bytes = bytes_of(data);
    if (ret_length)
        *ret_length = dispatch_data_get_size(data);
    return objc_retain(data);
}

OBJC_EXPORT id dispatch_data_create_concat(id a, id b);
id dispatch_data_create_concat(id a, id b)
{
    size_t first = dispatch_data_get_size(a), second = dispatch_data_get_size(b);
    char *bytes = abx_dispatch_allocate(first + second);
    memcpy(bytes, bytes_of(a), first);
    memcpy(bytes + first, bytes_of(b), second);
    return dispatch_data_create(bytes, first + second, nil, _dispatch_data_destructor_free);
}

OBJC_EXPORT id dispatch_data_create_subrange(id data, size_t offset, size_t length);
id dispatch_data_create_subrange(id data, size_t offset, size_t length)
{
    size_t have = dispatch_data_get_size(data);
    offset = offset < have ? offset : have;
    length = length < have - offset ? length : have - offset;
    return data_new((const char *)bytes_of(data) + offset, length);
}

OBJC_EXPORT bool dispatch_data_apply(id data, const void *applier);
bool dispatch_data_apply(id data, const void *applier)
{
    size_t length = dispatch_data_get_size(data);
    return !length || ABX_BLOCK_CALL(bool, (void *, id, size_t, const void *, size_t), applier,
                              data, (size_t)0, bytes_of(data), length);
}

void abx_dispatch_define_data(Class ns_data)
{
    dispatch_data_class =
            abx_objc_define_class(&(struct abx_objc_class_spec){.name = "OS_dispatch_data",
                    .superclass = ns_data,
                    .instance_size = sizeof(struct abx_data),
                    .protocols = (const char *const[]){"OS_dispatch_data", NULL}});
    /* DISPATCH_DATA_EMPTY lives for ever */
    Class empty =
            abx_objc_define_class(&(struct abx_objc_class_spec){.name = "OS_dispatch_data_empty",
                    .superclass = dispatch_data_class,
                    .instance_size = sizeof(struct abx_data),
                    .options = ABX_OBJC_IMMORTAL});
    _dispatch_data_empty.isa = empty;
}
