/* metal: what a pipeline is linked with, and calling it through tables: MTLLinkedFunctions,
 * MTLFunctionHandle, MTLVisibleFunctionTable. Runs in the guest's process.
 *
 * A table is a buffer of numbers (src/shader/shim/visible.h): a handle's number is the function's
 * place among its pipeline's links, plus one. The host's code switches on it. */
#include <stdlib.h>
#include <string.h>

#include "metal/metal_internal.h"

#define PIPELINE_DOMAIN "MTLPipelineErrorDomain"
#define MAX_TABLE (1u << 20) /* entries; 4 MB */

/* ---- collecting links */

static bool same_function(const struct abx_metal_function *a, const struct abx_metal_function *b)
{
    return a == b ||
           (a->library == b->library && a->index == b->index &&
                   a->constant_count == b->constant_count &&
                   (!a->constant_count || !memcmp(a->constants, b->constants,
                                                  a->constant_count * sizeof *a->constants)));
}

static uint32_t find(const struct abx_metal_links *links, const struct abx_metal_function *function)
{
    for (uint32_t i = 0; i < links->count; i++)
        if (links->list[i].kind != ABX_LINK_LIBRARY &&
                same_function((struct abx_metal_function *)links->list[i].object, function))
            return i;
    return UINT32_MAX;
}

static bool add(struct abx_metal_links *links, void *object, uint32_t kind, id *error)
{
    if (links->count == ABX_MAX_LINKS) {
        abx_ns_error_set(error, PIPELINE_DOMAIN, 3,
                "a pipeline can be linked with at most %u functions and libraries", ABX_MAX_LINKS);
        return false;
    }
    if (!abx_grow((void **)&links->list, &links->capacity, links->count, sizeof *links->list,
                ABX_MAX_LINKS)) {
        abx_ns_error_set(error, PIPELINE_DOMAIN, 1, "out of memory");
        return false;
    }
    links->list[links->count++] = (struct abx_metal_link){objc_retain((id)object), kind};
    return true;
}

static bool add_function(struct abx_metal_links *links, id object, uint32_t kind, id *error)
{
    struct abx_metal_function *function = (struct abx_metal_function *)object;
    if (!abx_metal_is(function, ABX_METAL_FUNCTION) ||
            MTLFunction_functionType(object, NULL) != MTLFunctionTypeVisible) {
        abx_ns_error_set(error, PIPELINE_DOMAIN, 3, "linkedFunctions: %s is not a visible function",
                abx_metal_is(function, ABX_METAL_FUNCTION) ? abx_ns_string_utf8(function->name)
                                                           : "an object");
        return false;
    }
    return find(links, function) != UINT32_MAX || add(links, function, kind, error);
}

static bool add_functions(struct abx_metal_links *links, id array, uint32_t kind, id *error)
{
    for (NSUInteger i = 0; i < abx_ns_array_count(array); i++)
        if (!add_function(links, abx_ns_array_at(array, i), kind, error))
            return false;
    return true;
}

struct grouping {
    struct abx_metal_links *links;
    id *error;
};

/* Groups say which of the functions a call site may reach; the type of its table does as well. */
static bool check_group(void *context, id key, id array)
{
    struct grouping *g = context;
    for (NSUInteger i = 0; i < abx_ns_array_count(array); i++) {
        struct abx_metal_function *f = (struct abx_metal_function *)abx_ns_array_at(array, i);
        if (abx_metal_is(f, ABX_METAL_FUNCTION) && find(g->links, f) != UINT32_MAX)
            continue;
        abx_ns_error_set(g->error, PIPELINE_DOMAIN, 3,
                "linkedFunctions: the group \"%s\" has a function that is not among the functions",
                abx_ns_string_utf8(key));
        g->links = NULL;
        return false;
    }
    return true;
}

bool abx_metal_links_copy(
        struct abx_metal_links *links, const struct abx_metal_links *from, id *error)
{
    for (uint32_t i = 0; i < from->count; i++)
        if (!add(links, from->list[i].object, from->list[i].kind, error))
            return false;
    return true;
}

bool abx_metal_links_add(struct abx_metal_links *links, id functions, id *error)
{
    return add_functions(links, functions, ABX_LINK_TABLE, error);
}

bool abx_metal_links_add_library(
        struct abx_metal_links *links, struct abx_metal_library *library, id *error)
{
    for (uint32_t i = 0; i < links->count; i++)
        if (links->list[i].object == library)
            return true;
    return add(links, library, ABX_LINK_LIBRARY, error);
}

/* Of the kernel's library, the linked functions', and the descriptor. */
static bool add_libraries(struct abx_metal_links *links, struct abx_metal_function *kernel,
        const struct MTLComputePipelineDescriptor *d, id *error)
{
    uint32_t functions = links->count;
    if (!abx_metal_dynamic_link(links, d ? d->insertLibraries : NULL, error) ||
            !abx_metal_dynamic_link(links, d ? d->preloadedLibraries : NULL, error) ||
            !abx_metal_dynamic_link(links, kernel->library->libraries, error))
        return false;
    for (uint32_t i = 0; i < functions; i++) {
        const struct abx_metal_function *f = links->list[i].object;
        if (!abx_metal_dynamic_link(links, f->library->libraries, error))
            return false;
    }
    return true;
}

static bool collect_functions(struct abx_metal_links *links, id object, id *error)
{
    const struct MTLComputePipelineDescriptor *d = (void *)object;
    const struct MTLLinkedFunctions *l = d ? (void *)d->linkedFunctions : NULL;
    if (!l)
        return true;
    struct grouping g = {links, error};
    if (!add_functions(links, l->functions, ABX_LINK_TABLE, error) ||
            !add_functions(links, l->binaryFunctions, ABX_LINK_TABLE, error) ||
            !add_functions(links, l->privateFunctions, ABX_LINK_PRIVATE, error))
        return false;
    if (l->groups)
        abx_ns_dictionary_each(l->groups, check_group, &g);
    return g.links != NULL;
}

bool abx_metal_links_collect(
        struct abx_metal_links *links, struct abx_metal_function *kernel, id descriptor, id *error)
{
    return collect_functions(links, descriptor, error) &&
           add_libraries(links, kernel, (void *)descriptor, error);
}

void abx_metal_links_finish(struct abx_metal_links *links)
{
    for (uint32_t i = 0; i < links->count; i++)
        objc_release((id)links->list[i].object);
    free(links->list);
    *links = (struct abx_metal_links){0};
}

/* ---- telling the host */

static pthread_mutex_t function_lock = PTHREAD_MUTEX_INITIALIZER;

/* The host's object of a function, made when first linked. */
static int function_handle(struct abx_metal_function *function, abx_handle *ret)
{
    uint64_t space[ABX_MAX_RECORD_BYTES / 8];
    struct abx_wire_constant constants[256];
    struct abx_client *client = function->base.client;
    int r = 0;
    pthread_mutex_lock(&function_lock);
    if (!function->handle) {
        abx_metal_constants_write(function, constants);
        abx_handle handle = abx_client_handle_new(client);
        struct abx_encoder e = {.at = (uint8_t *)space, .end = (uint8_t *)space + sizeof space};
        abx_encode_function_create(&e, handle, function->library->handle, function->index,
                function->constant_count, constants);
        r = handle ? abx_client_push(client, space, 0) : -EMFILE;
        if (r == 0)
            function->handle = handle;
        else if (handle)
            abx_client_handle_free(client, handle);
    }
    *ret = function->handle;
    pthread_mutex_unlock(&function_lock);
    return r;
}

int abx_metal_links_send(
        const struct abx_metal_links *links, struct abx_metal_function *kernel, abx_handle pipeline)
{
    uint64_t space[ABX_MAX_RECORD_BYTES / 8];
    struct abx_wire_link list[ABX_MAX_LINKS];
    abx_handle kernel_handle;
    int r = function_handle(kernel, &kernel_handle);
    for (uint32_t i = 0; i < links->count && r == 0; i++) {
        list[i] = (struct abx_wire_link){.kind = links->list[i].kind};
        if (list[i].kind == ABX_LINK_LIBRARY)
            list[i].object = ((struct abx_metal_library *)links->list[i].object)->handle;
        else
            r = function_handle(
                    (struct abx_metal_function *)links->list[i].object, &list[i].object);
    }
    if (r < 0)
        return r;
    struct abx_encoder e = {.at = (uint8_t *)space, .end = (uint8_t *)space + sizeof space};
    abx_encode_pipeline_create_linked(&e, pipeline, kernel_handle, links->count, list);
    return abx_client_push(kernel->base.client, space, ABX_PUSH_WAKE);
}

/* ---- MTLFunctionHandle */

id MTLComputePipelineState_functionHandleWithFunction_(id self, SEL cmd, id function)
{
    struct abx_metal_pipeline *pipeline = (struct abx_metal_pipeline *)self;
    uint32_t at = abx_metal_is(function, ABX_METAL_FUNCTION)
                          ? find(&pipeline->links, (struct abx_metal_function *)function)
                          : UINT32_MAX;
    if (at == UINT32_MAX || pipeline->links.list[at].kind != ABX_LINK_TABLE)
        return NULL;
    struct abx_metal_function_handle *handle =
            abx_metal_new(ABX_METAL_FUNCTION_HANDLE, pipeline->base.device);
    if (!handle)
        return NULL;
    handle->function = (struct abx_metal_function *)objc_retain(function);
    handle->pipeline = (struct abx_metal_pipeline *)objc_retain(self);
    handle->number = at + 1;
    return objc_autorelease((id)handle);
}

void MTLFunctionHandle_dealloc(id self, SEL cmd)
{
    struct abx_metal_function_handle *handle = (struct abx_metal_function_handle *)self;
    objc_release((id)handle->function);
    objc_release((id)handle->pipeline);
    abx_metal_dealloc(self, ABX_METAL_FUNCTION_HANDLE);
}

MTLFunctionType MTLFunctionHandle_functionType(id self, SEL cmd)
{
    return MTLFunctionTypeVisible;
}

id MTLFunctionHandle_name(id self, SEL cmd)
{
    return ((struct abx_metal_function_handle *)self)->function->name;
}

/* ---- MTLVisibleFunctionTable */

struct entries {
    uint32_t count, reserved;
    uint32_t numbers[];
};

id MTLComputePipelineState_newVisibleFunctionTableWithDescriptor_(id self, SEL cmd, id object)
{
    const struct MTLVisibleFunctionTableDescriptor *d = (void *)object;
    struct abx_metal_pipeline *pipeline = (struct abx_metal_pipeline *)self;
    NSUInteger count = d ? d->functionCount : 0;
    if (!count || count > MAX_TABLE) {
        abx_metal_say("-[MTLComputePipelineState newVisibleFunctionTableWithDescriptor:]: %lu "
                      "functions: 1 to %u are possible",
                (unsigned long)count, MAX_TABLE);
        return NULL;
    }
    id buffer = abx_metal_buffer_new(pipeline->base.device, sizeof(struct entries) + 4 * count, 0);
    struct abx_metal_table *table =
            buffer ? abx_metal_new(ABX_METAL_TABLE, pipeline->base.device) : NULL;
    if (!table) {
        objc_release(buffer);
        return NULL;
    }
    table->buffer = (struct abx_metal_buffer *)buffer;
    table->pipeline = (struct abx_metal_pipeline *)objc_retain(self);
    table->count = (uint32_t)count;
    table->resource.purgeable = 2;
    table->resource.memory.bytes = table->buffer->resource.memory.bytes;
    ((struct entries *)MTLBuffer_contents((id)table->buffer, NULL))->count = table->count;
    return (id)table;
}

void MTLVisibleFunctionTable_dealloc(id self, SEL cmd)
{
    struct abx_metal_table *table = (struct abx_metal_table *)self;
    objc_release((id)table->buffer);
    objc_release((id)table->pipeline);
    abx_metal_dealloc(self, ABX_METAL_TABLE);
}

MTLResourceID MTLVisibleFunctionTable_gpuResourceID(id self, SEL cmd)
{
    struct abx_metal_table *table = (struct abx_metal_table *)self;
    return (MTLResourceID){MTLBuffer_gpuAddress((id)table->buffer, NULL)};
}

void MTLVisibleFunctionTable_setFunction_atIndex_(id self, SEL cmd, id object, NSUInteger index)
{
    struct abx_metal_table *table = (struct abx_metal_table *)self;
    const struct abx_metal_function_handle *handle = (struct abx_metal_function_handle *)object;
    const char *wrong = NULL;
    if (index >= table->count)
        wrong = "the index is past the last function";
    else if (handle && !abx_metal_is(handle, ABX_METAL_FUNCTION_HANDLE))
        wrong = "not a function handle";
    else if (handle && handle->pipeline != table->pipeline)
        wrong = "the handle is of another pipeline state than the table";
    if (wrong)
        abx_metal_say("-[MTLVisibleFunctionTable setFunction:atIndex:]: index %lu: %s",
                (unsigned long)index, wrong);
    else
        ((struct entries *)MTLBuffer_contents((id)table->buffer, NULL))->numbers[index] =
                handle ? handle->number : 0;
}

void MTLVisibleFunctionTable_setFunctions_withRange_(
        id self, SEL cmd, const id *functions, NSRange range)
{
    for (NSUInteger i = 0; i < range.length && i <= MAX_TABLE; i++)
        MTLVisibleFunctionTable_setFunction_atIndex_(self, cmd, functions[i], range.location + i);
}
