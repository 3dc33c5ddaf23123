/* MPSGraph's names, for headers that mention them, as PyTorch's for extensions do: there are no graphs here, and
 * a program that makes one does not link. PyTorch's command buffer, an MPSCommandBuffer there, is an
 * MTLCommandBuffer. */
#ifndef METALPERFORMANCESHADERSGRAPH_H_
#define METALPERFORMANCESHADERSGRAPH_H_
#import <MetalPerformanceShaders/MetalPerformanceShaders.h>

@class MPSGraphOperation, MPSGraphDevice, MPSGraphExecutable, MPSNDArrayDescriptor;
typedef NSArray<NSNumber *> MPSShape;

@interface MPSGraph : NSObject
@end
@interface MPSGraphTensor : NSObject <NSCopying>
@end
@interface MPSGraphTensorData : NSObject
@end
@interface MPSGraphExecutionDescriptor : NSObject
@end
@interface MPSGraphCompilationDescriptor : NSObject <NSCopying>
@end
@interface MPSNDArray : NSObject
@end
@interface MPSCommandBuffer : NSObject <MTLCommandBuffer>
@end
#endif
