// Reference counts by hand.
#import <Foundation/Foundation.h>
#import <objc/runtime.h>
#include "../check.h"

static int deallocs;

@interface Counted : NSObject {
    id child;
}
- (id)initWithChild:(id)object;
@end
@implementation Counted
- (id)initWithChild:(id)object
{
    if ((self = [super init]))
        child = [object retain];
    return self;
}
- (void)dealloc
{
    [[self retain] release]; // must not start a second dealloc
    deallocs++;
    [child release];
    [super dealloc];
}
@end

@interface Custom : NSObject {
    int count;
}
@end
@implementation Custom
- (id)retain
{
    count++;
    return self;
}
- (oneway void)release
{
    count--;
}
- (NSUInteger)retainCount
{
    return (NSUInteger)(count + 1);
}
@end

extern id objc_retain(id);
extern void objc_release(id);

int main(void)
{
    NSAutoreleasePool *pool = [[NSAutoreleasePool alloc] init];
    Counted *inner = [[Counted alloc] init];
    Counted *outer = [[Counted alloc] initWithChild:inner];
    CHECK([inner retainCount] == 2);
    [inner release];
    CHECK(deallocs == 0 && [inner retainCount] == 1);
    [outer release];
    CHECK(deallocs == 2);

    NSAutoreleasePool *nested = [[NSAutoreleasePool alloc] init];
    [[[Counted alloc] init] autorelease];
    [[[[Counted alloc] init] retain] autorelease];
    [nested drain];
    CHECK(deallocs == 3);

    Custom *custom = [[Custom alloc] init];
    objc_retain(custom);
    CHECK([custom retainCount] == 2);
    objc_release(custom);
    CHECK([custom retainCount] == 1);

    CHECK([@"literal" retainCount] == NSUIntegerMax);
    NSMutableArray *array = [NSMutableArray array];
    Counted *element = [[Counted alloc] init];
    [array addObject:element];
    CHECK([element retainCount] == 2);
    [array removeAllObjects];
    CHECK([element retainCount] == 1);
    [element release];

    NSString *same = @"same", *copy = [same copy];
    CHECK(copy == same);
    NSMutableString *text = [[NSMutableString alloc] initWithString:@"a"];
    NSString *frozen = [text copy];
    [text appendString:@"b"];
    CHECK([frozen isEqualToString:@"a"] && [text isEqualToString:@"ab"]);
    [frozen release];
    [text release];
    void (^block)(void) = [^{
        (void)element;
        deallocs += 100;
    } copy];
    CHECK([[block retain] retainCount] == 2);
    [block release];
    block();
    [block release];
    CHECK(deallocs == 104);
    [pool drain];
    printf("ok\n");
    return 0;
}
