#import <Foundation/Foundation.h>
#import <Metal/Metal.h>

NS_ASSUME_NONNULL_BEGIN

/* Adds two arrays on the GPU, as a first Metal program does. */
@interface Adder : NSObject
@property (nonatomic, readonly) id<MTLDevice> device;
@property (nonatomic, copy, nullable) void (^finished)(double seconds);
- (nullable instancetype)initWithDevice:(id<MTLDevice>)device error:(NSError **)error;
- (void)prepareData;
- (void)sendComputeCommand;
- (BOOL)resultsAreRight;
@end

NS_ASSUME_NONNULL_END
