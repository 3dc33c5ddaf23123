/* Filters a picture on the GPU. */
#import <Foundation/Foundation.h>
#import <Metal/Metal.h>

#include "Picture.h"

@interface PhotoFilter : NSObject

- (instancetype)initWithDevice:(id<MTLDevice>)device source:(NSString *)source error:(NSError **)error;

/* Blurs the grain away, sharpens, and sets the tone; `pixels` is replaced. NO with an error when the
 * GPU did not do it. */
- (BOOL)filterPixels:(Pixel *)pixels width:(uint32_t)width height:(uint32_t)height error:(NSError **)error;

@property(nonatomic, readonly) NSString *summary;

@end
