// The runtime seen from ARC code: messages of every shape, classes, protocols, forwarding,
// exceptions, weak references, properties, blocks, introspection.
#import <Foundation/Foundation.h>
#import <objc/message.h>
#import <objc/runtime.h>
#include "../check.h"

struct Big {
    long a, b, c, d;
};
struct Floats {
    float x, y;
};

@protocol Greeting <NSObject>
- (int)greet:(int)x;
@optional
- (void)maybe;
@end

static int deallocs, loads, initializes;

@interface Base : NSObject <Greeting> {
@public
    int number;
}
@property(copy) NSString *text;
@property(weak) id other;
@property(strong, nonatomic) id thing;
@property struct Big big;
- (struct Big)bigFrom:(long)x;
- (struct Floats)floats:(float)x and:(double)y;
- (long double)longDouble:(long double)x;
- (double)sum:(int)n, ...;
- (int)many:(int)a b:(int)b c:(int)c d:(int)d e:(int)e f:(int)f g:(int)g h:(double)h;
@end

@implementation Base
+ (void)load
{
    loads++;
}
+ (void)initialize
{
    initializes++;
}
- (int)greet:(int)x
{
    number = x;
    return x;
}
- (struct Big)bigFrom:(long)x
{
    return (struct Big){x, x + 1, x + 2, x + 3};
}
- (struct Floats)floats:(float)x and:(double)y
{
    return (struct Floats){x, (float)y};
}
- (long double)longDouble:(long double)x
{
    return x * 2;
}
- (double)sum:(int)n, ...
{
    va_list list;
    va_start(list, n);
    double total = 0;
    for (int i = 0; i < n; i++)
        total += va_arg(list, double);
    va_end(list);
    return total;
}
- (int)many:(int)a b:(int)b c:(int)c d:(int)d e:(int)e f:(int)f g:(int)g h:(double)h
{
    return a + 10 * b + 100 * c + 1000 * d + 10000 * e + 100000 * f + 1000000 * g + (int)h;
}
- (void)dealloc
{
    deallocs++;
}
@end

@interface Derived : Base {
    id held;
    char tail;
}
@end
@implementation Derived
- (int)greet:(int)x
{
    return [super greet:x] + 1;
}
- (struct Big)bigFrom:(long)x
{
    struct Big big = [super bigFrom:x];
    big.a = -1;
    return big;
}
+ (NSString *)description
{
    return [@"my " stringByAppendingString:[super description]];
}
@end

@interface Base (Extra)
- (int)extra;
@end
@implementation Base (Extra)
- (int)extra
{
    return 3;
}
@end

static void messages(void)
{
    Base *base = [[Base alloc] init], *derived = [Derived new];
    CHECK(loads == 1);
    CHECK(initializes == 2); // Base's, and Derived's, which inherits it
    CHECK([base greet:3] == 3 && [derived greet:3] == 4 && derived->number == 3);
    struct Big big = [base bigFrom:7];
    CHECK(big.a == 7 && big.d == 10);
    big = [derived bigFrom:7];
    CHECK(big.a == -1 && big.b == 8);
    struct Floats floats = [base floats:1.5f and:2.5];
    CHECK(floats.x == 1.5f && floats.y == 2.5f);
    CHECK([base longDouble:1.25L] == 2.5L);
    CHECK([base sum:3, 1.0, 2.0, 3.5] == 6.5);
    CHECK([base many:1 b:2 c:3 d:4 e:5 f:6 g:7 h:0.0] == 7654321);
    CHECK([base extra] == 3);
    CHECK_TEXT([Derived description].UTF8String, "my Derived");
    Base *nobody = nil;
    big = [nobody bigFrom:1];
    CHECK(!nobody.text && [nobody greet:1] == 0 && [nobody longDouble:1] == 0 && big.a == 0);
    CHECK([nobody floats:1 and:1].x == 0);
}

static void weak_and_properties(void)
{
    __weak Base *weak;
    deallocs = 0;
    @autoreleasepool {
        Base *base = [Base new];
        weak = base;
        CHECK(weak == base);
        Base *holder = [Base new];
        holder.other = base;
        holder.thing = base;
        holder.text = [NSMutableString stringWithString:@"x"];
        CHECK(![holder.text isKindOfClass:[NSMutableString class]]);
        holder.big = (struct Big){1, 2, 3, 4};
        CHECK(holder.big.c == 3);
        holder.thing = nil;
        base = nil;
        CHECK(holder);
    }
    CHECK(!weak && deallocs == 2);
    void (^__weak weak_block)(void);
    @autoreleasepool {
        id captured = [NSObject new];
        void (^block)(void) = ^{
            (void)captured;
        };
        weak_block = block;
        CHECK(weak_block == block);
    }
    CHECK(!weak_block);
}

static void blocks(void)
{
    __block int count = 0;
    __block id object = [Base new];
    void (^block)(void) = ^{
        count++;
        object = nil;
    };
    void (^copy)(void) = [block copy];
    copy();
    block();
    CHECK(count == 2 && !object);
    int (^add)(int) = ^(int x) {
        return x + count;
    };
    IMP imp = imp_implementationWithBlock(^int(id self, int x) {
        return add(x) + ((Base *)self)->number;
    });
    CHECK(class_addMethod([Base class], sel_registerName("plus:"), imp, "i@:i"));
    Base *base = [Base new];
    base->number = 100;
    CHECK(((int (*)(id, SEL, int))objc_msgSend)(base, sel_registerName("plus:"), 5) == 107);
    struct Big (^made)(id, long) = ^(id self, long x) {
        return (struct Big){x, x, x, x};
    };
    imp = imp_implementationWithBlock(made);
    class_replaceMethod([Derived class], @selector(bigFrom:), imp, "{Big=qqqq}@:q");
    CHECK([[Derived new] bigFrom:9].d == 9);
}

@interface Forwarder : NSObject
@property(strong) id target;
@end
@implementation Forwarder
- (id)forwardingTargetForSelector:(SEL)selector
{
    return self.target;
}
+ (BOOL)resolveInstanceMethod:(SEL)selector
{
    if (selector != sel_registerName("resolved"))
        return NO;
    return class_addMethod(self, selector, imp_implementationWithBlock(^int(id me) {
        return 77;
    }),
            "i@:");
}
@end

static void forwarding(void)
{
    Forwarder *forwarder = [Forwarder new];
    forwarder.target = [Base new];
    Base *as_base = (Base *)(id)forwarder;
    CHECK([as_base greet:9] == 9 && [as_base bigFrom:4].d == 7);
    CHECK([as_base many:1 b:1 c:1 d:1 e:1 f:1 g:1 h:2] == 1111113);
    CHECK(((int (*)(id, SEL))objc_msgSend)(forwarder, sel_registerName("resolved")) == 77);
    BOOL caught = NO;
    @try {
        [(id)[Base new] length];
    } @catch (NSException *exception) {
        caught = YES;
        CHECK_TEXT(exception.name.UTF8String, "NSInvalidArgumentException");
        CHECK([exception.reason hasPrefix:@"-[Base length]: unrecognized selector sent to "
                                          @"instance 0x"]);
    }
    CHECK(caught);
    @try {
        ((void (*)(id, SEL))objc_msgSend)([Base class], sel_registerName("nothing"));
        CHECK(0);
    } @catch (NSException *exception) {
        CHECK([exception.reason hasPrefix:@"+[Base nothing]: unrecognized selector sent to class"]);
    }
}

@interface Special : NSException
@end
@implementation Special
@end

static int thrower(id what)
{
    @try {
        @throw what;
    } @catch (Special *special) {
        return 1;
    } @catch (NSException *exception) {
        return 2;
    } @catch (id anything) {
        return 3;
    }
    return 0;
}

static void exceptions(void)
{
    int finals = 0;
    CHECK(thrower([[Special alloc] initWithName:@"s" reason:nil userInfo:nil]) == 1);
    CHECK(thrower([NSException exceptionWithName:@"n" reason:@"r" userInfo:nil]) == 2);
    CHECK(thrower(@"text") == 3);
    @try {
        @try {
            [@[] objectAtIndex:1];
        } @finally {
            finals++;
        }
    } @catch (NSException *exception) {
        CHECK_TEXT(exception.name.UTF8String, "NSRangeException");
        finals++;
    }
    CHECK(finals == 2);
    @try {
        @synchronized(@"lock") {
            @throw @"out";
        }
    } @catch (id thrown) {
        finals++;
    }
    @synchronized(@"lock") {
        CHECK(finals == 3);
    }
}

static void introspection(void)
{
    CHECK([Base conformsToProtocol:@protocol(Greeting)] &&
            [Base conformsToProtocol:@protocol(NSObject)]);
    CHECK(![NSString conformsToProtocol:@protocol(Greeting)]);
    Method method = class_getInstanceMethod([Base class], @selector(greet:));
    CHECK_TEXT(method_getTypeEncoding(method), "i20@0:8i16");
    CHECK(method_getNumberOfArguments(method) == 3);
    char *type = method_copyArgumentType(method, 2);
    CHECK_TEXT(type, "i");
    free(type);
    unsigned count;
    Method *methods = class_copyMethodList([Derived class], &count);
    CHECK(count >= 2 && methods);
    free(methods);
    // Encodings of classes written in C are what the compiler would say.
    NSString *equal = [NSString stringWithFormat:@"%s24@0:8@16", @encode(BOOL)];
    CHECK_TEXT(method_getTypeEncoding(class_getInstanceMethod([NSObject class], @selector(isEqual:))),
            equal.UTF8String);
    CHECK_TEXT(method_getTypeEncoding(class_getInstanceMethod([NSString class], @selector(length))),
            "Q16@0:8");
    CHECK_TEXT(method_getTypeEncoding(
                       class_getInstanceMethod([NSString class], @selector(substringWithRange:))),
            "@32@0:8{_NSRange=QQ}16");
    CHECK_TEXT(method_getTypeEncoding(
                       class_getClassMethod([NSNumber class], @selector(numberWithFloat:))),
            "@20@0:8f16");
    Ivar ivar = class_getInstanceVariable([Derived class], "held");
    CHECK(ivar && ivar_getOffset(ivar) >= (ptrdiff_t)class_getInstanceSize([Base class]) - 8);
    CHECK_TEXT(property_getAttributes(class_getProperty([Base class], "text")),
            "T@\"NSString\",C,V_text");
    struct objc_method_description d =
            protocol_getMethodDescription(@protocol(Greeting), @selector(maybe), NO, YES);
    CHECK(d.name == @selector(maybe));
    CHECK(objc_getProtocol("Greeting") == @protocol(Greeting));
    CHECK(objc_lookUpClass("NoSuchClass") == Nil && NSClassFromString(@"Base") == [Base class]);
    CHECK(objc_msg_lookup([Base new], @selector(extra)) ==
            class_getMethodImplementation([Base class], @selector(extra)));
}

static int first_answer(id self, SEL cmd)
{
    return 1;
}
static int second_answer(id self, SEL cmd)
{
    return 2;
}

static void dynamic_classes(void)
{
    SEL answer = sel_registerName("answer");
    Class pair = objc_allocateClassPair([Base class], "MadeAtRunTime", 0);
    CHECK(class_addIvar(pair, "extra", sizeof(long), 3, "q"));
    class_addMethod(pair, answer, (IMP)first_answer, "i@:");
    objc_registerClassPair(pair);
    CHECK(!objc_allocateClassPair([NSObject class], "MadeAtRunTime", 0));
    id object = [pair new];
    Ivar ivar = class_getInstanceVariable(pair, "extra");
    *(long *)((char *)(__bridge void *)object + ivar_getOffset(ivar)) = 42;
    int (*send)(id, SEL) = (int (*)(id, SEL))objc_msgSend;
    CHECK(send(object, answer) == 1 && [object extra] == 3);
    Method method = class_getInstanceMethod(pair, answer);
    CHECK(method_setImplementation(method, (IMP)second_answer) == (IMP)first_answer);
    CHECK(send(object, answer) == 2);
    // a method added below one that is cached takes its place
    Class sub = objc_allocateClassPair(pair, "MadeBelow", 0);
    objc_registerClassPair(sub);
    id below = [sub new];
    CHECK(send(below, answer) == 2);
    class_addMethod(sub, answer, (IMP)first_answer, "i@:");
    CHECK(send(below, answer) == 1 && send(object, answer) == 2);
    method_exchangeImplementations(method, class_getInstanceMethod(sub, answer));
    CHECK(send(below, answer) == 2 && send(object, answer) == 1);
}

static void made_properties(void)
{
    unsigned count = 0;
    objc_property_attribute_t *list =
            property_copyAttributeList(class_getProperty([Base class], "text"), &count);
    CHECK(list && count == 3 && !list[3].name);
    CHECK_TEXT(list[0].name, "T");
    CHECK_TEXT(list[0].value, "@\"NSString\"");
    CHECK_TEXT(list[1].name, "C");
    CHECK_TEXT(list[1].value, "");
    CHECK_TEXT(list[2].value, "_text");
    free(list);
    CHECK(!property_copyAttributeList(NULL, &count) && count == 0);

    objc_property_attribute_t integer[] = {{"T", "i"}}, wide[] = {{"T", "q"}, {"R", ""}};
    Class pair = objc_allocateClassPair([NSObject class], "WithProperties", 0);
    static const uint8_t layout[] = {0x11, 0};
    class_setIvarLayout(pair, layout);
    CHECK(class_getIvarLayout(pair)[0] == 0x11 && !class_getWeakIvarLayout(pair));
    objc_registerClassPair(pair);
    class_setIvarLayout(pair, NULL); /* too late */
    CHECK(class_getIvarLayout(pair));
    class_replaceProperty(pair, "size", integer, 1);
    CHECK_TEXT(property_getAttributes(class_getProperty(pair, "size")), "Ti");
    class_replaceProperty(pair, "size", wide, 2);
    CHECK_TEXT(property_getAttributes(class_getProperty(pair, "size")), "Tq,R");

    Protocol *protocol = objc_allocateProtocol("Sized");
    protocol_addProperty(protocol, "size", wide, 2, YES, YES);
    protocol_addProperty(protocol, "other", integer, 1, YES, YES);
    objc_registerProtocol(protocol);
    CHECK_TEXT(property_getAttributes(protocol_getProperty(protocol, "size", YES, YES)), "Tq,R");
    CHECK(!protocol_getProperty(protocol, "size", YES, NO));
    objc_property_t *all = protocol_copyPropertyList(protocol, &count);
    CHECK(count == 2);
    free(all);
}

static void associations(void)
{
    static char key;
    __weak id value;
    @autoreleasepool {
        id owner = [NSObject new], made = [NSObject new];
        value = made;
        objc_setAssociatedObject(owner, &key, made, OBJC_ASSOCIATION_RETAIN);
        made = nil;
        CHECK(objc_getAssociatedObject(owner, &key) == value && value);
    }
    CHECK(!value);
}

int main(void)
{
    @autoreleasepool {
        messages();
        weak_and_properties();
        blocks();
        forwarding();
        exceptions();
        introspection();
        dynamic_classes();
        made_properties();
        associations();
    }
    printf("ok\n");
    return 0;
}
