/* metal: MTLDevice. Runs in the guest's process. Every answer comes from what the host said at
 * connect, or from the shared page: no question here costs a round trip. */
#include <string.h>

#include "metal/metal_internal.h"

ABX_EXPORT id MTLCreateSystemDefaultDevice(void);
ABX_EXPORT id MTLCopyAllDevices(void);
ABX_EXPORT id MTLCopyAllDevicesWithObserver(id *observer, id handler);
ABX_EXPORT void MTLRemoveDeviceObserver(id observer);

static struct abx_metal_device *device_of(id self)
{
    return (struct abx_metal_device *)self;
}

static const struct abx_message_welcome *welcome(id self)
{
    return abx_client_welcome(device_of(self)->base.client);
}

/* ---- making: one object a connection, which is never given up */

static id architecture_new(const struct abx_message_welcome *w)
{
    struct MTLArchitecture *a =
            (struct MTLArchitecture *)objc_alloc_init(ABX_CLASS(MTLArchitecture));
    /* The form clients take apart ("applegpu_g13s"): a generation (family 7 is g13) and a size. */
    a->name = objc_retain(abx_ns_string_printf(
            "arcbox_%.15s_g%us", w->backend, w->apple_family >= 7 ? w->apple_family + 6 : 13));
    return (id)a;
}

id MTLCreateSystemDefaultDevice(void)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static struct abx_metal_device *shared; /* of the newest connection */
    struct abx_client *client = abx_client_get();
    if (!client)
        return NULL;
    pthread_mutex_lock(&lock);
    if (!shared || shared->base.client != client) {
        void *pool = objc_autoreleasePoolPush();
        struct abx_metal_device *device = abx_metal_new(ABX_METAL_DEVICE, NULL);
        device->base.client = client;
        const struct abx_message_welcome *w = abx_client_welcome(client);
        device->name = objc_retain(abx_ns_string_printf("%.63s", w->device_name));
        device->architecture = architecture_new(w);
        shared = device;
        objc_autoreleasePoolPop(pool);
    }
    id device = objc_retain((id)shared);
    pthread_mutex_unlock(&lock);
    return device;
}

id MTLCopyAllDevices(void)
{
    id device = MTLCreateSystemDefaultDevice();
    id devices = objc_retain(abx_ns_array(&device, device ? 1 : 0));
    objc_release(device);
    return devices;
}

/* A connection's device stays until the end: there is nothing to observe. The caller owns
 * *observer. */
id MTLCopyAllDevicesWithObserver(id *observer, id handler)
{
    if (observer)
        *observer = objc_alloc_init(ABX_CLASS(NSObject));
    return MTLCopyAllDevices();
}

void MTLRemoveDeviceObserver(id observer) {}

/* ---- what it is */

id MTLDevice_name(id self, SEL cmd)
{
    return device_of(self)->name;
}

uint64_t MTLDevice_registryID(id self, SEL cmd)
{
    return welcome(self)->registry_id;
}

id MTLDevice_architecture(id self, SEL cmd)
{
    return device_of(self)->architecture;
}

MTLDeviceLocation MTLDevice_location(id self, SEL cmd)
{
    return welcome(self)->unified_memory ? MTLDeviceLocationBuiltIn : MTLDeviceLocationSlot;
}

NSUInteger MTLDevice_locationNumber(id self, SEL cmd)
{
    return 0;
}

uint64_t MTLDevice_maxTransferRate(id self, SEL cmd)
{
    return 0; /* not known, as for built-in GPUs */
}

abx_objc_bool MTLDevice_hasUnifiedMemory(id self, SEL cmd)
{
    return welcome(self)->unified_memory != 0;
}

abx_objc_bool MTLDevice_isHeadless(id self, SEL cmd)
{
    return 1;
}

uint64_t MTLDevice_peerGroupID(id self, SEL cmd)
{
    return 0;
}

uint32_t MTLDevice_peerIndex(id self, SEL cmd)
{
    return 0;
}

uint32_t MTLDevice_peerCount(id self, SEL cmd)
{
    return 0;
}

/* ---- what it can do: the compute promises of the families it names all hold (docs/families.md);
 * what families promise of textures and rendering is asked for by properties of its own, which say
 * no. */

abx_objc_bool MTLDevice_supportsFamily_(id self, SEL cmd, MTLGPUFamily family)
{
    const struct abx_message_welcome *w = welcome(self);
    if (family >= MTLGPUFamilyApple1 && family <= MTLGPUFamilyApple10)
        return (uint32_t)(family - MTLGPUFamilyApple1 + 1) <= w->apple_family;
    if (family >= MTLGPUFamilyCommon1 && family <= MTLGPUFamilyCommon3)
        return 1;
    if (family == MTLGPUFamilyMac1 || family == MTLGPUFamilyMac2)
        return 1;
    return family == MTLGPUFamilyMetal3 && w->metal3;
}

/* The older question, asked of Macs: the same answer as for their first families. */
abx_objc_bool MTLDevice_supportsFeatureSet_(id self, SEL cmd, MTLFeatureSet set)
{
    return set == MTLFeatureSet_macOS_GPUFamily1_v1 || set == MTLFeatureSet_macOS_GPUFamily1_v2 ||
           set == MTLFeatureSet_macOS_GPUFamily1_v3 || set == MTLFeatureSet_macOS_GPUFamily1_v4 ||
           set == MTLFeatureSet_macOS_GPUFamily2_v1;
}

abx_objc_bool MTLDevice_supportsTextureSampleCount_(id self, SEL cmd, NSUInteger count)
{
    return count == 1;
}

abx_objc_bool MTLDevice_supportsVertexAmplificationCount_(id self, SEL cmd, NSUInteger count)
{
    return 0;
}

#define ANSWERS_NO(selector)                                                                       \
    abx_objc_bool MTLDevice_##selector(id self, SEL cmd)                                           \
    {                                                                                              \
        return 0;                                                                                  \
    }
ANSWERS_NO(isLowPower)
ANSWERS_NO(isRemovable)
ANSWERS_NO(isDepth24Stencil8PixelFormatSupported)
ANSWERS_NO(areRasterOrderGroupsSupported)
ANSWERS_NO(supports32BitFloatFiltering)
ANSWERS_NO(supports32BitMSAA)
ANSWERS_NO(supportsQueryTextureLOD)
ANSWERS_NO(supportsBCTextureCompression)
ANSWERS_NO(supportsPullModelInterpolation)
ANSWERS_NO(areBarycentricCoordsSupported)
ANSWERS_NO(supportsShaderBarycentricCoordinates)
ANSWERS_NO(supportsRaytracing)
ANSWERS_NO(supportsFunctionPointersFromRender)
ANSWERS_NO(supportsRaytracingFromRender)
ANSWERS_NO(supportsPrimitiveMotionBlur)
ANSWERS_NO(supportsRenderDynamicLibraries)
ANSWERS_NO(areProgrammableSamplePositionsSupported)

/* Visible functions and their tables, of kernels. */
abx_objc_bool MTLDevice_supportsFunctionPointers(id self, SEL cmd)
{
    return 1;
}

abx_objc_bool MTLDevice_supportsDynamicLibraries(id self, SEL cmd)
{
    return 1;
}

MTLReadWriteTextureTier MTLDevice_readWriteTextureSupport(id self, SEL cmd)
{
    return MTLReadWriteTextureTierNone;
}

/* Kernels follow gpuAddress pointers they find in memory, which is what tier 2 gives. */
MTLArgumentBuffersTier MTLDevice_argumentBuffersSupport(id self, SEL cmd)
{
    return MTLArgumentBuffersTier2;
}

NSUInteger MTLDevice_maxArgumentBufferSamplerCount(id self, SEL cmd)
{
    return 0;
}

/* ---- limits */

MTLSize MTLDevice_maxThreadsPerThreadgroup(id self, SEL cmd)
{
    NSUInteger n = welcome(self)->max_threads_per_threadgroup;
    return (MTLSize){n, n, n};
}

NSUInteger MTLDevice_maxThreadgroupMemoryLength(id self, SEL cmd)
{
    return welcome(self)->max_threadgroup_bytes;
}

NSUInteger MTLDevice_maxBufferLength(id self, SEL cmd)
{
    return welcome(self)->max_buffer_length;
}

uint64_t MTLDevice_recommendedMaxWorkingSetSize(id self, SEL cmd)
{
    return welcome(self)->recommended_working_set;
}

NSUInteger MTLDevice_currentAllocatedSize(id self, SEL cmd)
{
    abx_metal_queue_reap_all(device_of(self)->base.client);
    return abx_client_allocated(device_of(self)->base.client);
}

abx_objc_bool MTLDevice_shouldMaximizeConcurrentCompilation(id self, SEL cmd)
{
    return device_of(self)->maximize_compilation;
}

void MTLDevice_setShouldMaximizeConcurrentCompilation_(id self, SEL cmd, BOOL on)
{
    device_of(self)->maximize_compilation = on;
}

NSUInteger MTLDevice_maximumConcurrentCompilationTaskCount(id self, SEL cmd)
{
    return 2;
}

/* ---- queues */

id MTLDevice_newCommandQueue(id self, SEL cmd)
{
    return (id)abx_metal_queue_new(self, 64);
}

id MTLDevice_newCommandQueueWithMaxCommandBufferCount_(id self, SEL cmd, NSUInteger count)
{
    return (id)abx_metal_queue_new(self, count);
}

id MTLDevice_newCommandQueueWithDescriptor_(id self, SEL cmd, id object)
{
    struct MTLCommandQueueDescriptor *descriptor = (struct MTLCommandQueueDescriptor *)object;
    struct abx_metal_queue *queue =
            abx_metal_queue_new(self, descriptor ? descriptor->maxCommandBufferCount : 64);
    if (queue && descriptor)
        queue->log_state = objc_retain(descriptor->logState);
    return (id)queue;
}
