/* A program in the style of Apple's samples, built with ARC by arcbox-cc: classes, properties,
 * literals, blocks, weak references, fast enumeration, errors, exceptions, and a kernel. */
#import "Adder.h"

#include <stdio.h>

static int calls, deallocations;

@interface Witness : NSObject
@end

@implementation Witness
- (void)dealloc
{
    deallocations++;
}
@end

#define CHECK(x)                                                                                   \
    do {                                                                                           \
        if (!(x)) {                                                                                \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x);                                \
            return 1;                                                                              \
        }                                                                                          \
    } while (0)

static int CheckErrors(id<MTLDevice> device)
{
    NSError *error = nil;
    NSString *source = @"kernel void broken(device float *x) { x[0] = missing; }";
    id<MTLLibrary> library = [device newLibraryWithSource:source options:nil error:&error];
    CHECK(!library && error && [error.domain isEqualToString:MTLLibraryErrorDomain]);
    CHECK([error.localizedDescription rangeOfString:@"missing"].location != NSNotFound);
    @try {
        NSArray *one = @[@1];
        (void)one[1];
        CHECK(!"an exception was expected");
    } @catch (NSException *exception) {
        CHECK([exception.name isEqualToString:NSRangeException]);
    }
    return 0;
}

static int CheckLanguage(id<MTLDevice> device)
{
    NSDictionary<NSString *, NSNumber *> *sizes = @{@"small" : @16, @"large" : @4096};
    NSUInteger total = 0;
    for (NSString *name in sizes) {
        id<MTLBuffer> buffer = [device newBufferWithLength:sizes[name].unsignedIntegerValue options:0];
        buffer.label = name;
        CHECK([buffer.label isEqualToString:name] && [buffer conformsToProtocol:@protocol(MTLBuffer)]);
        total += buffer.length;
    }
    CHECK(total == 4112);
    __weak Witness *weak;
    @autoreleasepool {
        Witness *witness = [Witness new];
        weak = witness;
        void (^block)(void) = ^{
            (void)witness;
            calls++;
        };
        block();
        CHECK(weak == witness);
    }
    CHECK(calls == 1 && deallocations == 1 && weak == nil);
    return 0;
}

int main(void)
{
    @autoreleasepool {
        id<MTLDevice> device = MTLCreateSystemDefaultDevice();
        if (!device) {
            fprintf(stderr, "no device\n");
            return 1;
        }
        NSError *error = nil;
        Adder *adder = [[Adder alloc] initWithDevice:device error:&error];
        if (!adder) {
            NSLog(@"no adder: %@", error);
            return 1;
        }
        __block double seconds = -1;
        adder.finished = ^(double took) { seconds = took; };
        [adder prepareData];
        [adder sendComputeCommand];
        CHECK([adder resultsAreRight]);
        CHECK(seconds > 0);
        if (CheckErrors(device) || CheckLanguage(device))
            return 1;
        printf("sample: ok on %s\n", device.name.UTF8String);
    }
    return 0;
}
