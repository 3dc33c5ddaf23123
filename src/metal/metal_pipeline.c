/* metal: MTLComputePipelineState and its reflection. Runs in the guest's process.
 *
 * Making one sends a record and returns: the host compiles meanwhile, and a command buffer that
 * uses the pipeline waits there. Only where a failure must be told now is it waited for. */
#include <stdlib.h>
#include <string.h>

#include "metal/metal_internal.h"
#include "metal/metal_types.h"

#define PIPELINE_DOMAIN "MTLPipelineErrorDomain"

/* ---- reflection */

static id binding_new(struct abx_metal_library *library, const struct abx_reflection_argument *a)
{
    const struct abx_reflection *r = library->reflection;
    struct abx_metal_binding *binding =
            abx_metal_new(a->kind == ABX_ARGUMENT_THREADGROUP ? ABX_METAL_THREADGROUP_BINDING
                                                              : ABX_METAL_BUFFER_BINDING,
                    library->base.device);
    if (!binding)
        return NULL;
    binding->name = objc_retain(abx_ns_string(abx_reflection_string(r, a->name)));
    binding->kind = a->kind;
    binding->index = a->index;
    binding->access = a->access;
    binding->alignment = a->data_alignment;
    binding->size = a->data_size;
    binding->data_type = a->data_type;
    binding->library = (struct abx_metal_library *)objc_retain((id)library);
    binding->type = a->type;
    return (id)binding;
}

id abx_metal_bindings(struct abx_metal_function *function)
{
    const struct abx_reflection *r = function->library->reflection;
    const struct abx_reflection_function *f = &abx_reflection_functions(r)[function->index];
    const struct abx_reflection_argument *a = abx_reflection_arguments(r) + f->first_argument;
    id bindings = abx_ns_mutable_array();
    for (uint32_t i = 0; i < f->argument_count; i++) {
        if (a[i].kind != ABX_ARGUMENT_BUFFER && a[i].kind != ABX_ARGUMENT_THREADGROUP)
            continue;
        id binding = binding_new(function->library, &a[i]);
        if (binding)
            abx_ns_array_add(bindings, binding);
        objc_release(binding);
    }
    return bindings;
}

id abx_metal_reflection_new(struct abx_metal_function *function)
{
    struct MTLComputePipelineReflection *reflection =
            (struct MTLComputePipelineReflection *)objc_alloc_init(
                    ABX_CLASS(MTLComputePipelineReflection));
    reflection->bindings = objc_retain(abx_metal_bindings(function));
    return objc_autorelease((id)reflection);
}

static struct abx_metal_binding *binding_of(id self)
{
    return (struct abx_metal_binding *)self;
}

void abx_metal_binding_dealloc(id self, SEL cmd)
{
    struct abx_metal_binding *binding = binding_of(self);
    objc_release(binding->name);
    objc_release((id)binding->library);
    abx_metal_dealloc(self, binding->kind == ABX_ARGUMENT_THREADGROUP
                                    ? ABX_METAL_THREADGROUP_BINDING
                                    : ABX_METAL_BUFFER_BINDING);
}

id MTLBinding_name(id self, SEL cmd)
{
    return binding_of(self)->name;
}

MTLBindingType MTLBinding_type(id self, SEL cmd)
{
    const struct abx_metal_binding *binding = binding_of(self);
    return binding->kind == ABX_ARGUMENT_THREADGROUP ? MTLBindingTypeThreadgroupMemory
           : binding->data_type == MTLDataTypeVisibleFunctionTable
                   ? MTLBindingTypeVisibleFunctionTable
                   : MTLBindingTypeBuffer;
}

MTLBindingAccess MTLBinding_access(id self, SEL cmd)
{
    return binding_of(self)->access;
}

NSUInteger MTLBinding_index(id self, SEL cmd)
{
    return binding_of(self)->index;
}

abx_objc_bool MTLBinding_isUsed(id self, SEL cmd)
{
    return 1;
}

abx_objc_bool MTLBinding_isArgument(id self, SEL cmd)
{
    return 1;
}

NSUInteger MTLBufferBinding_bufferAlignment(id self, SEL cmd)
{
    return binding_of(self)->alignment;
}

NSUInteger MTLBufferBinding_bufferDataSize(id self, SEL cmd)
{
    return binding_of(self)->size;
}

MTLDataType MTLBufferBinding_bufferDataType(id self, SEL cmd)
{
    return binding_of(self)->data_type;
}

id MTLBufferBinding_bufferStructType(id self, SEL cmd)
{
    struct abx_metal_binding *binding = binding_of(self);
    return objc_autorelease(abx_metal_struct_type_new(binding->library->reflection, binding->type));
}

id MTLBufferBinding_bufferPointerType(id self, SEL cmd)
{
    struct abx_metal_binding *binding = binding_of(self);
    return objc_autorelease(abx_metal_pointer_type_new(
            binding->library->reflection, binding->type, binding->access));
}

NSUInteger MTLThreadgroupBinding_threadgroupMemoryAlignment(id self, SEL cmd)
{
    return binding_of(self)->alignment;
}

NSUInteger MTLThreadgroupBinding_threadgroupMemoryDataSize(id self, SEL cmd)
{
    return binding_of(self)->size;
}

/* ---- making pipelines */

/* A pipeline may yet fail, and only the host can say so: its code comes from another compiler; it
 * may call what nobody defines, or have too much threadgroup memory; or no constants were given and
 * the kernel cannot do without, perhaps: the reflection knows which it may reach, not which it does
 * use. (Of several, those not given count as 0.) */
static bool may_fail(const struct abx_metal_function *function)
{
    const struct abx_reflection *r = function->library->reflection;
    const struct abx_reflection_function *f = &abx_reflection_functions(r)[function->index];
    const struct abx_reflection_constant *c = abx_reflection_constants(r) + f->first_needed;
    bool needs = r->precompiled || f->unsure;
    for (uint32_t i = 0; i < f->needed_count && !function->constant_count; i++)
        needs |= c[i].required;
    return needs;
}

void abx_metal_constants_write(
        const struct abx_metal_function *function, struct abx_wire_constant *to)
{
    for (uint32_t i = 0; i < function->constant_count; i++)
        to[i] = (struct abx_wire_constant){.index = function->constants[i].index,
                .type = function->constants[i].type,
                .value_low = function->constants[i].value[0],
                .value_high = function->constants[i].value[1]};
}

/* Rung: the host should start compiling now. */
static int send_alone(struct abx_metal_pipeline *pipeline)
{
    struct abx_metal_function *function = pipeline->function;
    uint64_t space[ABX_MAX_RECORD_BYTES / 8];
    struct abx_wire_constant constants[256];
    abx_metal_constants_write(function, constants);
    struct abx_encoder e = {.at = (uint8_t *)space, .end = (uint8_t *)space + sizeof space};
    abx_encode_pipeline_create(&e, pipeline->handle, function->library->handle, function->index,
            function->constant_count, constants);
    return abx_client_push(pipeline->base.client, space, ABX_PUSH_WAKE);
}

static int send(struct abx_metal_pipeline *pipeline)
{
    struct abx_client *client = pipeline->base.client;
    pipeline->handle = abx_client_handle_new(client);
    if (!pipeline->handle)
        return -EMFILE;
    int r = pipeline->links.count
                    ? abx_metal_links_send(&pipeline->links, pipeline->function, pipeline->handle)
                    : send_alone(pipeline);
    if (r < 0) {
        abx_client_handle_free(client, pipeline->handle);
        pipeline->handle = 0;
    }
    return r;
}

static void limits(struct abx_metal_pipeline *pipeline, struct MTLComputePipelineDescriptor *d)
{
    const struct abx_metal_function *function = pipeline->function;
    const struct abx_reflection_function *f =
            &abx_reflection_functions(function->library->reflection)[function->index];
    uint32_t limit = abx_client_welcome(pipeline->base.client)->max_threads_per_threadgroup;
    if (f->max_threads && f->max_threads < limit)
        limit = f->max_threads;
    if (d && d->maxTotalThreadsPerThreadgroup && d->maxTotalThreadsPerThreadgroup < limit)
        limit = (uint32_t)d->maxTotalThreadsPerThreadgroup;
    pipeline->max_threads = limit;
    pipeline->indirect = d && d->supportIndirectCommandBuffers;
    if (d)
        abx_objc_store_copy(&pipeline->base.label, d->label);
}

/* True, with an error, when only archives may serve the pipeline and none has it. */
static bool archive_miss(const struct abx_metal_pipeline *pipeline, id descriptor,
        MTLPipelineOption options, id *error)
{
    const struct abx_metal_function *function = pipeline->function;
    const struct MTLComputePipelineDescriptor *d = (void *)descriptor;
    if (!(options & MTLPipelineOptionFailOnBinaryArchiveMiss) ||
            abx_metal_archives_have(d ? d->binaryArchives : NULL, function, &pipeline->links))
        return false;
    abx_ns_error_set(error, "MTLBinaryArchiveDomain", MTLBinaryArchiveErrorCompilationFailure,
            "%s: no binary archive has the function, and MTLPipelineOptionFailOnBinaryArchiveMiss "
            "is set",
            abx_ns_string_utf8(function->name));
    return true;
}

/* Waits until its code is ready. */
static int prepare(struct abx_metal_pipeline *pipeline, char text[static 512])
{
    uint32_t bytes = 0;
    int r = abx_client_prepare(pipeline->base.client, pipeline->handle, &bytes, text);
    if (r == 0)
        atomic_store(&pipeline->static_bytes, (uint64_t)bytes + 1);
    return r;
}

/* A pipeline of which nobody was told yet. */
static struct abx_metal_pipeline *pipeline_alloc(
        id device, struct abx_metal_function *function, id *error)
{
    if (!abx_metal_is(function, ABX_METAL_FUNCTION) ||
            MTLFunction_functionType((id)function, NULL) != MTLFunctionTypeKernel) {
        abx_ns_error_set(error, PIPELINE_DOMAIN, 3, "%s",
                function ? "the function is not a kernel" : "no function was given");
        return NULL;
    }
    struct abx_metal_pipeline *pipeline = abx_metal_new(ABX_METAL_PIPELINE, device);
    if (pipeline)
        pipeline->function = (struct abx_metal_function *)objc_retain((id)function);
    return pipeline;
}

/* Released, and false with an error, when the host could not make it. */
static bool start(struct abx_metal_pipeline *pipeline, bool wait, id *error)
{
    char text[512] = "";
    int r = send(pipeline);
    if (r == 0 && (wait || pipeline->links.count || may_fail(pipeline->function)))
        r = prepare(pipeline, text);
    if (r == 0)
        return true;
    abx_ns_error_set(error, PIPELINE_DOMAIN, r == -EINVAL ? 3 : 1, "%s: %s",
            abx_ns_string_utf8(pipeline->function->name),
            text[0]        ? text
            : r == -ENODEV ? abx_client_lost_text(pipeline->base.client)
                           : strerror(-r));
    objc_release((id)pipeline);
    return false;
}

id abx_metal_pipeline_new(id device, struct abx_metal_function *function, id descriptor,
        MTLPipelineOption options, bool wait, id *reflection, id *error)
{
    struct abx_metal_pipeline *pipeline = pipeline_alloc(device, function, error);
    if (!pipeline)
        return NULL;
    limits(pipeline, (struct MTLComputePipelineDescriptor *)descriptor);
    if (!abx_metal_links_collect(&pipeline->links, function, descriptor, error) ||
            archive_miss(pipeline, descriptor, options, error)) {
        objc_release((id)pipeline);
        return NULL;
    }
    if (!start(pipeline, wait, error))
        return NULL;
    if (reflection && options & (MTLPipelineOptionBindingInfo | MTLPipelineOptionBufferTypeInfo))
        *reflection = abx_metal_reflection_new(function);
    return (id)pipeline;
}

id MTLDevice_newComputePipelineStateWithFunction_error_(id self, SEL cmd, id function, id *error)
{
    return abx_metal_pipeline_new(self, (struct abx_metal_function *)function, NULL,
            MTLPipelineOptionNone, false, NULL, error);
}

id MTLDevice_newComputePipelineStateWithFunction_options_reflection_error_(
        id self, SEL cmd, id function, MTLPipelineOption options, id *reflection, id *error)
{
    return abx_metal_pipeline_new(
            self, (struct abx_metal_function *)function, NULL, options, false, reflection, error);
}

static struct abx_metal_function *function_of(id descriptor)
{
    return descriptor ? (struct abx_metal_function *)((struct MTLComputePipelineDescriptor *)
                                                              descriptor)
                                ->computeFunction
                      : NULL;
}

id MTLDevice_newComputePipelineStateWithDescriptor_options_reflection_error_(
        id self, SEL cmd, id descriptor, MTLPipelineOption options, id *reflection, id *error)
{
    return abx_metal_pipeline_new(
            self, function_of(descriptor), descriptor, options, false, reflection, error);
}

id MTLDevice_newComputePipelineStateWithDescriptor_error_(
        id self, SEL cmd, id descriptor, id *error)
{
    return abx_metal_pipeline_new(self, function_of(descriptor), descriptor, 0, false, NULL, error);
}

/* What it was linked with keeps its numbers, so its tables and handles go on being right. */
id MTLComputePipelineState_newComputePipelineStateWithAdditionalBinaryFunctions_error_(
        id self, SEL cmd, id functions, id *error)
{
    const struct abx_metal_pipeline *old = (struct abx_metal_pipeline *)self;
    struct abx_metal_pipeline *pipeline = pipeline_alloc(old->base.device, old->function, error);
    if (!pipeline)
        return NULL;
    pipeline->max_threads = old->max_threads;
    pipeline->indirect = old->indirect;
    abx_objc_store_copy(&pipeline->base.label, old->base.label);
    if (!abx_metal_links_copy(&pipeline->links, &old->links, error) ||
            !abx_metal_links_add(&pipeline->links, functions, error)) {
        objc_release((id)pipeline);
        return NULL;
    }
    return start(pipeline, false, error) ? (id)pipeline : NULL;
}

/* ---- with a completion handler: waited for on another thread */

struct async_pipeline {
    id device, function, descriptor;
    void *handler;
    MTLPipelineOption options;
    bool reflects;
};

static void make_async(void *user)
{
    struct async_pipeline *a = user;
    id error = NULL, reflection = NULL;
    id pipeline = abx_metal_pipeline_new(a->device, (struct abx_metal_function *)a->function,
            a->descriptor, a->options, true, a->reflects ? &reflection : NULL, &error);
    error = pipeline ? NULL : error;
    if (a->reflects)
        ABX_BLOCK_CALL(void, (void *, id, id, id), a->handler, pipeline, reflection, error);
    else
        ABX_BLOCK_CALL(void, (void *, id, id), a->handler, pipeline, error);
    objc_release(pipeline);
    objc_release(a->device);
    objc_release(a->function);
    objc_release(a->descriptor);
    _Block_release(a->handler);
    free(a);
}

static void start_async(
        id device, id function, id descriptor, MTLPipelineOption options, id handler, bool reflects)
{
    struct async_pipeline *a = handler ? malloc(sizeof *a) : NULL;
    if (!a)
        return;
    *a = (struct async_pipeline){objc_retain(device), objc_retain(function),
            ABX_MSG(id, (id, SEL), descriptor, "copy"), _Block_copy(handler), options, reflects};
    abx_metal_detach(make_async, a);
}

void MTLDevice_newComputePipelineStateWithFunction_completionHandler_(
        id self, SEL cmd, id function, id handler)
{
    start_async(self, function, NULL, MTLPipelineOptionNone, handler, false);
}

void MTLDevice_newComputePipelineStateWithFunction_options_completionHandler_(
        id self, SEL cmd, id function, MTLPipelineOption options, id handler)
{
    start_async(self, function, NULL, options, handler, true);
}

void MTLDevice_newComputePipelineStateWithDescriptor_options_completionHandler_(
        id self, SEL cmd, id descriptor, MTLPipelineOption options, id handler)
{
    start_async(self, (id)function_of(descriptor), descriptor, options, handler, true);
}

/* ---- the class */

static struct abx_metal_pipeline *pipeline_of(id self)
{
    return (struct abx_metal_pipeline *)self;
}

void MTLComputePipelineState_dealloc(id self, SEL cmd)
{
    struct abx_metal_pipeline *pipeline = pipeline_of(self);
    abx_client_destroy(pipeline->base.client, pipeline->handle);
    abx_metal_links_finish(&pipeline->links);
    objc_release((id)pipeline->function);
    abx_metal_dealloc(self, ABX_METAL_PIPELINE);
}

id MTLComputePipelineState_reflection(id self, SEL cmd)
{
    return abx_metal_reflection_new(pipeline_of(self)->function);
}

NSUInteger MTLComputePipelineState_maxTotalThreadsPerThreadgroup(id self, SEL cmd)
{
    return pipeline_of(self)->max_threads;
}

NSUInteger MTLComputePipelineState_threadExecutionWidth(id self, SEL cmd)
{
    return abx_client_welcome(pipeline_of(self)->base.client)->simd_width;
}

/* What the kernel's attribute asks for; zeros: nothing. */
MTLSize MTLComputePipelineState_requiredThreadsPerThreadgroup(id self, SEL cmd)
{
    const struct abx_metal_function *function = pipeline_of(self)->function;
    const uint32_t *required =
            abx_reflection_functions(function->library->reflection)[function->index]
                    .required_threads;
    return (MTLSize){required[0], required[1], required[2]};
}

MTLShaderValidation MTLComputePipelineState_shaderValidation(id self, SEL cmd)
{
    return MTLShaderValidationDisabled;
}

NSUInteger MTLComputePipelineState_staticThreadgroupMemoryLength(id self, SEL cmd)
{
    struct abx_metal_pipeline *pipeline = pipeline_of(self);
    char text[512];
    /* The finished code alone tells, so the one who asks waits for it; 0 when it has failed. */
    if (!atomic_load(&pipeline->static_bytes))
        prepare(pipeline, text);
    uint64_t known = atomic_load(&pipeline->static_bytes);
    return known ? known - 1 : 0;
}

abx_objc_bool MTLComputePipelineState_supportIndirectCommandBuffers(id self, SEL cmd)
{
    return pipeline_of(self)->indirect;
}
