/* What a program says of geometry for rays before it asks whether the device has any: all of it is
 * declared, descriptors keep what they are told, structures have the layout that buffers have, and
 * what would be built is not there. */
#import <Foundation/Foundation.h>
#import <Metal/Metal.h>

#include "../check.h"

/* Only compiled: what a program with rays calls beside its kernels. */
static void build(id<MTLAccelerationStructureCommandEncoder> encoder,
        id<MTLAccelerationStructure> into, MTLAccelerationStructureDescriptor *what,
        id<MTLBuffer> scratch, id<MTLIntersectionFunctionTable> table, id<MTLFunctionHandle> handle)
{
    [encoder buildAccelerationStructure:into
                             descriptor:what
                          scratchBuffer:scratch
                    scratchBufferOffset:0];
    [encoder writeCompactedAccelerationStructureSize:into toBuffer:scratch offset:0];
    [encoder useResource:scratch usage:MTLResourceUsageRead];
    [encoder endEncoding];
    [table setFunction:handle atIndex:0];
    [table setOpaqueTriangleIntersectionFunctionWithSignature:
                    MTLIntersectionFunctionSignatureTriangleData
                                                      atIndex:1];
    [table setBuffer:scratch offset:0 atIndex:0];
}

static void test_descriptors(id<MTLDevice> device)
{
    id<MTLBuffer> corners = [device newBufferWithLength:36 options:0];
    MTLAccelerationStructureTriangleGeometryDescriptor *triangles =
            [MTLAccelerationStructureTriangleGeometryDescriptor descriptor];
    CHECK(triangles.vertexFormat == MTLAttributeFormatFloat3);
    triangles.vertexBuffer = corners;
    triangles.vertexStride = sizeof(MTLPackedFloat3);
    triangles.triangleCount = 1;
    triangles.opaque = YES;
    MTLPrimitiveAccelerationStructureDescriptor *primitive =
            [MTLPrimitiveAccelerationStructureDescriptor descriptor];
    primitive.geometryDescriptors = @[ triangles ];
    primitive.usage = MTLAccelerationStructureUsageRefit;
    MTLInstanceAccelerationStructureDescriptor *instances =
            [MTLInstanceAccelerationStructureDescriptor descriptor];
    instances.instanceCount = 3;
    instances.instanceDescriptorBuffer = corners;

    MTLPrimitiveAccelerationStructureDescriptor *copy = [primitive copy];
    MTLAccelerationStructureTriangleGeometryDescriptor *first = (id)copy.geometryDescriptors[0];
    CHECK(copy.usage == MTLAccelerationStructureUsageRefit && first.vertexBuffer == corners &&
            first.triangleCount == 1);
    CHECK(first.opaque && first.vertexStride == 12 && instances.instanceCount == 3);
    CHECK(![device supportsRaytracing] && ![device newAccelerationStructureWithSize:1024]);
    CHECK([device accelerationStructureSizesWithDescriptor:primitive].accelerationStructureSize ==
            0);
}

int main(void)
{
    CHECK(sizeof(MTLPackedFloat4x3) == 48 && sizeof(MTLAxisAlignedBoundingBox) == 24);
    CHECK(sizeof(MTLAccelerationStructureInstanceDescriptor) == 64);
    CHECK(sizeof(MTLAccelerationStructureUserIDInstanceDescriptor) == 68);
    CHECK(sizeof(MTLAccelerationStructureMotionInstanceDescriptor) == 44);
    CHECK(sizeof(MTLIndirectAccelerationStructureInstanceDescriptor) == 72);
    @autoreleasepool {
        id<MTLDevice> device = MTLCreateSystemDefaultDevice();
        CHECK(device);
        test_descriptors(device);
        if (device.supportsRaytracing)
            build(nil, nil, nil, nil, nil, nil);
    }
    return 0;
}
