/* metal: the private classes behind Metal's protocols, and what all their objects share: device and
 * label. Runs in the guest's process, before the program's own constructors. */
#include <stdlib.h>

#include "metal/metal_internal.h"

Class abx_metal_classes[ABX_METAL_CLASSES];

/* ---- making and ending */

void *abx_metal_new(enum abx_metal_class cls, id device)
{
    struct abx_metal_object *object = (struct abx_metal_object *)objc_alloc(abx_metal_classes[cls]);
    if (object && device) {
        object->device = objc_retain(device);
        object->client = ((struct abx_metal_object *)device)->client;
    }
    return object;
}

void abx_metal_dealloc(id self, enum abx_metal_class cls)
{
    struct abx_metal_object *object = (struct abx_metal_object *)self;
    objc_release(object->label);
    objc_release(object->device);
    abx_objc_dealloc_super(self, abx_metal_classes[cls]);
}

/* ---- device and label */

#define DEVICE_OF(name)                                                                            \
    id name##_device(id self, SEL cmd)                                                             \
    {                                                                                              \
        return ((struct abx_metal_object *)self)->device;                                          \
    }
#define LABEL_OF(name)                                                                             \
    id name##_label(id self, SEL cmd)                                                              \
    {                                                                                              \
        return ((struct abx_metal_object *)self)->label;                                           \
    }
#define SET_LABEL_OF(name)                                                                         \
    void name##_setLabel_(id self, SEL cmd, id label)                                              \
    {                                                                                              \
        abx_objc_store_copy(&((struct abx_metal_object *)self)->label, label);                     \
    }
#define COMMON(name) DEVICE_OF(name) LABEL_OF(name) SET_LABEL_OF(name)

COMMON(MTLCommandQueue)
COMMON(MTLCommandBuffer)
COMMON(MTLCommandEncoder)
COMMON(MTLResource)
COMMON(MTLHeap)
COMMON(MTLFence)
COMMON(MTLEvent)
COMMON(MTLLibrary)
COMMON(MTLFunction)
COMMON(MTLArgumentEncoder)
COMMON(MTLCaptureScope)
DEVICE_OF(MTLCounterSampleBuffer)
COMMON(MTLBinaryArchive)
COMMON(MTLDynamicLibrary)
DEVICE_OF(MTLFunctionHandle)
DEVICE_OF(MTLComputePipelineState)
LABEL_OF(MTLComputePipelineState)
DEVICE_OF(MTLResidencySet)
LABEL_OF(MTLResidencySet)

/* ---- the classes. Each protocol is a class of its own that holds the generated table, and each
 * class of objects a subclass that adds dealloc: nothing is copied, or read before the first
 * message. */

static Class protocol_class(const char *name, const struct abx_objc_method *methods, Class parent)
{
    return abx_objc_define_class(&(struct abx_objc_class_spec){
            .name = name, .superclass = parent, .instance_methods = methods});
}
#define PROTOCOL(name, parent) protocol_class("_" #name, name##_methods, parent)

/* A class of objects: its name is ABX and the protocol's. */
#define OBJECTS(index, protocol, type, parent, dealloc_function)                                   \
    do {                                                                                           \
        static const struct abx_objc_method dealloc_table[] = {                                    \
                {"dealloc", "v@:", dealloc_function}, {NULL}};                                     \
        static const char *const protocols[] = {#protocol, NULL};                                  \
        abx_metal_classes[index] =                                                                 \
                abx_objc_define_class(&(struct abx_objc_class_spec){.name = "ABX" #protocol,       \
                        .superclass = (parent),                                                    \
                        .instance_size = sizeof(type),                                             \
                        .instance_methods = dealloc_table,                                         \
                        .protocols = protocols});                                                  \
    } while (0)
#define SIMPLE(index, protocol, type, dealloc_function)                                            \
    OBJECTS(index, protocol, type, PROTOCOL(protocol, ABX_CLASS(NSObject)), dealloc_function)

/* The device is never given up, nor are its counters. */
static void keep(id self, SEL cmd) {}

static void define_resources(void)
{
    Class allocation = PROTOCOL(MTLAllocation, ABX_CLASS(NSObject));
    Class resource = PROTOCOL(MTLResource, allocation);
    OBJECTS(ABX_METAL_BUFFER, MTLBuffer, struct abx_metal_buffer, PROTOCOL(MTLBuffer, resource),
            MTLBuffer_dealloc);
    OBJECTS(ABX_METAL_ICB, MTLIndirectCommandBuffer, struct abx_metal_icb,
            PROTOCOL(MTLIndirectCommandBuffer, resource), MTLIndirectCommandBuffer_dealloc);
    OBJECTS(ABX_METAL_TABLE, MTLVisibleFunctionTable, struct abx_metal_table,
            PROTOCOL(MTLVisibleFunctionTable, resource), MTLVisibleFunctionTable_dealloc);
    OBJECTS(ABX_METAL_HEAP, MTLHeap, struct abx_metal_heap, PROTOCOL(MTLHeap, allocation),
            MTLHeap_dealloc);
    SIMPLE(ABX_METAL_ICB_COMMAND, MTLIndirectComputeCommand, struct abx_metal_icb_command,
            MTLIndirectComputeCommand_dealloc);
    SIMPLE(ABX_METAL_RESIDENCY_SET, MTLResidencySet, struct abx_metal_residency_set,
            MTLResidencySet_dealloc);
    SIMPLE(ABX_METAL_ARGUMENT_ENCODER, MTLArgumentEncoder, struct abx_metal_argument_encoder,
            abx_metal_argument_encoder_dealloc);
}

static void define_commands(void)
{
    SIMPLE(ABX_METAL_QUEUE, MTLCommandQueue, struct abx_metal_queue, MTLCommandQueue_dealloc);
    SIMPLE(ABX_METAL_COMMAND_BUFFER, MTLCommandBuffer, struct abx_metal_command_buffer,
            MTLCommandBuffer_dealloc);
    Class encoder = PROTOCOL(MTLCommandEncoder, ABX_CLASS(NSObject));
    OBJECTS(ABX_METAL_COMPUTE_ENCODER, MTLComputeCommandEncoder, struct abx_metal_encoder,
            PROTOCOL(MTLComputeCommandEncoder, encoder), MTLComputeCommandEncoder_dealloc);
    OBJECTS(ABX_METAL_BLIT_ENCODER, MTLBlitCommandEncoder, struct abx_metal_encoder,
            PROTOCOL(MTLBlitCommandEncoder, encoder), MTLBlitCommandEncoder_dealloc);
    SIMPLE(ABX_METAL_FENCE, MTLFence, struct abx_metal_fence, MTLFence_dealloc);
    Class event = PROTOCOL(MTLEvent, ABX_CLASS(NSObject));
    OBJECTS(ABX_METAL_EVENT, MTLEvent, struct abx_metal_event, event, abx_metal_event_dealloc);
    OBJECTS(ABX_METAL_SHARED_EVENT, MTLSharedEvent, struct abx_metal_event,
            PROTOCOL(MTLSharedEvent, event), abx_metal_event_dealloc);
    SIMPLE(ABX_METAL_CAPTURE_SCOPE, MTLCaptureScope, struct abx_metal_capture_scope,
            MTLCaptureScope_dealloc);
    SIMPLE(ABX_METAL_COUNTER, MTLCounter, struct abx_metal_object, keep);
    SIMPLE(ABX_METAL_COUNTER_SET, MTLCounterSet, struct abx_metal_object, keep);
    SIMPLE(ABX_METAL_SAMPLE_BUFFER, MTLCounterSampleBuffer, struct abx_metal_sample_buffer,
            MTLCounterSampleBuffer_dealloc);
}

static void define_libraries(void)
{
    SIMPLE(ABX_METAL_LIBRARY, MTLLibrary, struct abx_metal_library, MTLLibrary_dealloc);
    SIMPLE(ABX_METAL_FUNCTION, MTLFunction, struct abx_metal_function, MTLFunction_dealloc);
    SIMPLE(ABX_METAL_PIPELINE, MTLComputePipelineState, struct abx_metal_pipeline,
            MTLComputePipelineState_dealloc);
    SIMPLE(ABX_METAL_LOG_STATE, MTLLogState, struct abx_metal_log_state, MTLLogState_dealloc);
    SIMPLE(ABX_METAL_DYNAMIC, MTLDynamicLibrary, struct abx_metal_dynamic,
            MTLDynamicLibrary_dealloc);
    SIMPLE(ABX_METAL_FUNCTION_HANDLE, MTLFunctionHandle, struct abx_metal_function_handle,
            MTLFunctionHandle_dealloc);
    SIMPLE(ABX_METAL_ARCHIVE, MTLBinaryArchive, struct abx_metal_archive, MTLBinaryArchive_dealloc);
    Class binding = PROTOCOL(MTLBinding, ABX_CLASS(NSObject));
    OBJECTS(ABX_METAL_BUFFER_BINDING, MTLBufferBinding, struct abx_metal_binding,
            PROTOCOL(MTLBufferBinding, binding), abx_metal_binding_dealloc);
    OBJECTS(ABX_METAL_THREADGROUP_BINDING, MTLThreadgroupBinding, struct abx_metal_binding,
            PROTOCOL(MTLThreadgroupBinding, binding), abx_metal_binding_dealloc);
}

/* After the runtime (101), Foundation (102) and the generated classes (103). */
__attribute__((constructor(104))) static void define_classes(void)
{
    SIMPLE(ABX_METAL_DEVICE, MTLDevice, struct abx_metal_device, keep);
    define_resources();
    define_commands();
    define_libraries();
    abx_metal_define_listener();
    abx_metal_define_absent();
    abx_metal_define_constant_values();
    abx_metal_define_capture_manager();
}
