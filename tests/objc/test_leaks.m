// A program that is built to look for leaks as it ends finds none of the library's, whatever
// classes it used.
#include "../check.h"
#import <Foundation/Foundation.h>
#import <Metal/Metal.h>

@interface Counter : NSObject <NSCopying>
@property int count;
@end

@implementation Counter
- (id)copyWithZone:(NSZone *)zone
{
    Counter *copy = [Counter new];
    copy.count = self.count + 1;
    return copy;
}
@end

int main(void)
{
    @autoreleasepool {
        NSMutableDictionary *all = [NSMutableDictionary dictionary];
        all[@"a"] = [NSString stringWithFormat:@"%d", 3];
        all[@"b"] = @[ @1, @2.5, [NSData dataWithBytes:"x" length:1], [NSDate date] ];
        CHECK([all.description length] > 0);
        CHECK([[Counter new] copy] && [MTLCompileOptions new] && [NSURL fileURLWithPath:@"/"]);
        CHECK([NSProcessInfo.processInfo.arguments count] == 1 && [NSBundle mainBundle]);
        CHECK([[MTLComputePipelineDescriptor new] copy]);
    }
    return 0;
}
