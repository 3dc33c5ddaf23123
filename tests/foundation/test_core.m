// Core Foundation's collections and numbers, property lists, invocations, the machine's memory.
#import <Foundation/Foundation.h>
#include <mach/mach.h>
#include <pthread.h>
#include <sys/sysctl.h>
#include "../check.h"

static void collections(void)
{
    int seven = 7;
    CFNumberRef number = CFNumberCreate(NULL, kCFNumberIntType, &seven);
    const void *keys[] = {CFSTR("a"), CFSTR("b")}, *values[] = {number, CFSTR("text")};
    CFDictionaryRef fixed = CFDictionaryCreate(NULL, keys, values, 2,
            &kCFTypeDictionaryKeyCallBacks, &kCFTypeDictionaryValueCallBacks);
    CHECK(CFDictionaryGetCount(fixed) == 2 && CFDictionaryGetValue(fixed, CFSTR("b")) == values[1]);
    CHECK([((__bridge NSDictionary *)fixed)[@"a"] isEqual:@7]);
    const void *found = NULL;
    CHECK(CFDictionaryGetValueIfPresent(fixed, CFSTR("a"), &found) && CFEqual(found, number));
    CHECK(!CFDictionaryGetValueIfPresent(fixed, CFSTR("c"), &found));
    CFMutableDictionaryRef changing = CFDictionaryCreateMutable(
            NULL, 0, &kCFTypeDictionaryKeyCallBacks, &kCFTypeDictionaryValueCallBacks);
    CFDictionarySetValue(changing, CFSTR("x"), number);
    CFDictionaryAddValue(changing, CFSTR("x"), kCFBooleanTrue);
    CHECK(CFDictionaryGetValue(changing, CFSTR("x")) == number);
    CFDictionaryRemoveValue(changing, CFSTR("x"));
    CHECK(!CFDictionaryContainsKey(changing, CFSTR("x")));

    CFArrayRef array = CFArrayCreate(NULL, values, 2, &kCFTypeArrayCallBacks);
    CHECK(CFArrayGetCount(array) == 2 && CFArrayGetValueAtIndex(array, 1) == values[1]);
    CHECK(CFArrayContainsValue(array, CFRangeMake(0, 1), number));
    CHECK(!CFArrayContainsValue(array, CFRangeMake(1, 1), number));
    CHECK(!CFArrayCreateMutable(NULL, 0, NULL)); /* of anything but objects: said, and none */
    CFDataRef data = CFDataCreate(NULL, (const UInt8 *)"abc", 3);
    CHECK(CFDataGetLength(data) == 3 && CFDataGetBytePtr(data)[2] == 'c');

    CHECK(CFGetTypeID(array) == CFArrayGetTypeID() && CFGetTypeID(number) == CFNumberGetTypeID());
    CHECK(CFGetTypeID(fixed) == CFDictionaryGetTypeID() && CFGetTypeID(data) == CFDataGetTypeID());
    CHECK(CFGetTypeID((__bridge CFTypeRef) @YES) == CFBooleanGetTypeID());
    CHECK(CFGetTypeID((__bridge CFTypeRef) @"s") == CFStringGetTypeID());
    CFRelease(data), CFRelease(array), CFRelease(changing), CFRelease(fixed), CFRelease(number);
}

static void numbers(void)
{
    CHECK((__bridge CFBooleanRef) @YES == kCFBooleanTrue && CFBooleanGetValue(kCFBooleanTrue));
    CHECK((__bridge CFBooleanRef) @NO == kCFBooleanFalse && !CFBooleanGetValue(kCFBooleanFalse));
    CHECK((__bridge CFBooleanRef)[[NSNumber alloc] initWithBool:YES] == kCFBooleanTrue &&
            [@YES intValue] == 1);
    CHECK_TEXT(
            [NSDecimalNumber decimalNumberWithString:@"-00.1250"].stringValue.UTF8String, "-0.125");
    CHECK_TEXT([NSDecimalNumber decimalNumberWithString:@"12345678901234567890.5"]
                       .description.UTF8String,
            "12345678901234567890.5");
    CHECK([NSDecimalNumber decimalNumberWithString:@"1e3"].intValue == 1000);
    CHECK(isnan([NSDecimalNumber decimalNumberWithString:@"none"].doubleValue));
    int64_t wide = 0x123456789a;
    CFNumberRef number = CFNumberCreate(NULL, kCFNumberSInt64Type, &wide);
    int narrow = 0;
    double real = 0;
    CHECK(!CFNumberGetValue(number, kCFNumberIntType, &narrow) && narrow == 0x3456789a);
    CHECK(CFNumberGetValue(number, kCFNumberDoubleType, &real) && real == (double)wide);
    CHECK(!CFNumberIsFloatType(number));
    CFRelease(number);
    real = 2.5;
    number = CFNumberCreate(NULL, kCFNumberDoubleType, &real);
    CHECK(CFNumberIsFloatType(number) && !CFNumberGetValue(number, kCFNumberIntType, &narrow) &&
            narrow == 2);
    CFRelease(number);
}

static const char list[] =
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE plist PUBLIC \"-//Apple//DTD\" "
        "\"x.dtd\">\n"
        "<!-- of our own --><plist version=\"1.0\"><dict>\n"
        "<key>text</key><string>a &lt;b&gt; &#x263a; <![CDATA[<raw>]]></string>\n"
        "<key>list</key><array><integer>-3</integer><real>0.5</real><true/><false/><string/></"
        "array>\n"
        "<key>none</key><dict/></dict></plist>";

static void property_lists(void)
{
    NSData *data = [NSData dataWithBytes:list length:strlen(list)];
    NSError *error = nil;
    NSPropertyListFormat format = 0;
    NSDictionary *read = [NSPropertyListSerialization propertyListWithData:data
                                                                   options:0
                                                                    format:&format
                                                                     error:&error];
    CHECK(read.count == 3 && format == NSPropertyListXMLFormat_v1_0 && !error);
    CHECK_TEXT([read[@"text"] UTF8String], "a <b> \xe2\x98\xba <raw>");
    NSArray *all = @[ @-3, @0.5, @YES, @NO, @"" ];
    CHECK([read[@"list"] isEqual:all] && [read[@"none"] count] == 0);
    static const char *const wrong[] = {"", "<plist><dict><key>a</key></dict>",
            "<plist><string>a</plist>", "<plist><string>&nothing;</string></plist>", "bplist00",
            "<plist><array><date/></array></plist>", "<plist><string>a&#x110000;</string></plist>",
            "<plist><array>"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        error = nil;
        data = [NSData dataWithBytes:wrong[i] length:strlen(wrong[i])];
        CHECK(![NSPropertyListSerialization propertyListWithData:data
                                                         options:0
                                                          format:NULL
                                                           error:&error]);
        CHECK(error.code == 3840 && error.localizedDescription.length > 0);
    }

    char path[] = "/tmp/arcbox-plist-XXXXXX";
    int fd = mkstemp(path);
    CHECK(fd >= 0 && write(fd, list, strlen(list)) == (ssize_t)strlen(list));
    NSString *name = [NSString stringWithUTF8String:path];
    CHECK([NSDictionary dictionaryWithContentsOfFile:name].count == 3);
    CHECK(![NSArray arrayWithContentsOfFile:name] &&
            ![NSDictionary dictionaryWithContentsOfFile:@"/none"]);
    CFURLRef url = CFURLCreateWithFileSystemPath(
            NULL, (__bridge CFStringRef)name, kCFURLPOSIXPathStyle, false);
    CFReadStreamRef stream = CFReadStreamCreateWithFile(NULL, url);
    CHECK(CFReadStreamOpen(stream));
    CFPropertyListRef streamed =
            CFPropertyListCreateWithStream(NULL, stream, 0, kCFPropertyListImmutable, NULL, NULL);
    CHECK(streamed && [(__bridge id)streamed isEqual:read]);
    CFReadStreamClose(stream);
    UInt8 small[4];
    CHECK(!CFURLGetFileSystemRepresentation(url, true, small, sizeof small));
    CFRelease(streamed), CFRelease(stream), CFRelease(url);
    close(fd);
    unlink(path);
}

typedef struct {
    NSUInteger a, b, c;
} MTL_LIKE_SIZE;

@interface Adder : NSObject
@end
@implementation Adder
- (double)add:(signed char)a
           to:(float)b
          and:(double)c
            i:(long)i
            j:(long)j
            k:(long)k
            l:(short)l
            m:(int)m
{
    return a + b + c + i * 10 + j * 100 + k * 1000 + l * 10000 + m * 100000;
}
- (float)half:(float)x
{
    return x / 2;
}
- (MTL_LIKE_SIZE)size
{
    return (MTL_LIKE_SIZE){1, 2, 3};
}
@end

static NSInvocation *invocation(id target, SEL selector)
{
    NSInvocation *made = [NSInvocation
            invocationWithMethodSignature:[target methodSignatureForSelector:selector]];
    made.target = target;
    made.selector = selector;
    return made;
}

static void invocations(void)
{
    Adder *adder = [Adder new]; /* which an invocation does not keep */
    NSInvocation *add = invocation(adder, @selector(add:to:and:i:j:k:l:m:));
    [add retainArguments];
    signed char a = -1;
    float b = 0.5f;
    double c = 0.25, sum = 0;
    long i = 1, j = 2, k = 3;
    short l = -4; /* on the stack, with x86-64 */
    int m = 5;
    void *all[] = {&a, &b, &c, &i, &j, &k, &l, &m};
    for (int n = 0; n < 8; n++)
        [add setArgument:all[n] atIndex:n + 2];
    [add invoke];
    [add getReturnValue:&sum];
    CHECK(sum == -0.25 + 10 + 200 + 3000 - 40000 + 500000);
    short back = 0;
    [add getArgument:&back atIndex:8];
    CHECK(back == -4 && add.argumentsRetained);

    NSInvocation *half = invocation(adder, @selector(half:));
    float x = 3, y = 0;
    [half setArgument:&x atIndex:2];
    [half invoke];
    [half getReturnValue:&y];
    CHECK(y == 1.5f);
    NSInvocation *length = invocation(@"four", @selector(length));
    NSUInteger four = 0;
    [length invoke];
    [length getReturnValue:&four];
    CHECK(four == 4);
    @try {
        [invocation(adder, @selector(size)) invoke];
        CHECK(false);
    } @catch (NSException *exception) {
        CHECK([exception.reason containsString:@"structure"]);
    }
}

@interface Taker : NSObject {
  @public
    double sum;
    NSString *said;
}
@end
@implementation Taker
- (void)grid:(MTL_LIKE_SIZE)grid group:(MTL_LIKE_SIZE)group range:(NSRange)range scale:(float)scale
{
    sum = (grid.a + 10 * grid.b + 100 * grid.c) + 1000 * (group.a + 10 * group.b + 100 * group.c) +
          scale + range.location * 1e6 + range.length * 1e7;
}
- (NSRange)twice:(NSRange)range
{
    return NSMakeRange(range.location * 2, range.length * 2);
}
- (double)halved:(float)x
{
    return x / 2;
}
- (NSString *)say:(NSString *)text
{
    return said = [text stringByAppendingString:@"!"];
}
@end

@interface Passing : NSProxy {
  @public
    id to;
    int passed;
}
@end
@implementation Passing
- (NSMethodSignature *)methodSignatureForSelector:(SEL)selector
{
    return [(NSObject *)to methodSignatureForSelector:selector];
}
- (void)forwardInvocation:(NSInvocation *)invocation
{
    passed++;
    [invocation invokeWithTarget:to];
}
@end

@interface Collecting : NSObject
@end
@implementation Collecting
- (NSMethodSignature *)methodSignatureForSelector:(SEL)selector
{
    return [super methodSignatureForSelector:selector]
                   ?: [NSMethodSignature signatureWithObjCTypes:"q@:q"];
}
- (void)forwardInvocation:(NSInvocation *)invocation
{
    int64_t value = 0;
    if (invocation.selector != @selector(plusOne:))
        return [super forwardInvocation:invocation];
    [invocation getArgument:&value atIndex:2];
    value++;
    [invocation setReturnValue:&value];
}
@end
@interface Collecting (Made)
- (int64_t)plusOne:(int64_t)value;
- (int64_t)plusTwo:(int64_t)value;
@end

static void forwarding(void)
{
    Taker *taker = [Taker new];
    Passing *passing = [Passing alloc];
    passing->to = taker;
    id proxy = passing;
    [proxy grid:(MTL_LIKE_SIZE){1, 2, 3}
            group:(MTL_LIKE_SIZE){4, 5, 6}
            range:NSMakeRange(7, 8)
            scale:0.5f];
    CHECK(taker->sum == 321 + 654000 + 7e6 + 8e7 + 0.5);
    NSRange twice = [proxy twice:NSMakeRange(3, 4)];
    CHECK(twice.location == 6 && twice.length == 8);
    CHECK([proxy halved:3] == 1.5);
    CHECK_TEXT([proxy say:@"word"].UTF8String, "word!");
    CHECK([proxy isProxy] && [proxy isKindOfClass:[Taker class]] &&
            ![proxy isKindOfClass:[NSArray class]]);
    CHECK([proxy respondsToSelector:@selector(twice:)] && passing->passed == 7);
    CHECK([[Collecting new] plusOne:41] == 42);
    @try {
        [[Collecting new] plusTwo:41];
        CHECK(false);
    } @catch (NSException *exception) {
        CHECK([exception.reason containsString:@"plusTwo:"]);
    }
}

static void machine(void)
{
    vm_statistics64_data_t s;
    mach_msg_type_number_t count = HOST_VM_INFO64_COUNT;
    uint64_t bytes = 0;
    size_t size = sizeof bytes;
    vm_size_t page = 0;
    CHECK(host_page_size(mach_host_self(), &page) == KERN_SUCCESS && page == vm_page_size);
    CHECK(host_statistics64(mach_host_self(), HOST_VM_INFO64, (host_info64_t)&s, &count) ==
            KERN_SUCCESS);
    CHECK(sysctlbyname("hw.memsize", &bytes, &size, NULL, 0) == 0);
    CHECK(s.free_count > 0 && s.active_count > 0 &&
            (s.free_count + (uint64_t)s.active_count) * page <= bytes);
    count = 3;
    CHECK(host_statistics64(mach_host_self(), HOST_VM_INFO64, (host_info64_t)&s, &count) !=
            KERN_SUCCESS);
    vm_statistics_data_t old;
    count = HOST_VM_INFO_COUNT;
    CHECK(host_statistics(mach_host_self(), HOST_VM_INFO, (host_info_t)&old, &count) ==
                    KERN_SUCCESS &&
            old.free_count);
    cpu_type_t type = 0;
    size = sizeof type;
    CHECK(sysctlbyname("hw.cputype", &type, &size, NULL, 0) == 0);
    CHECK((type & ~CPU_ARCH_ABI64) == CPU_TYPE_X86 || type == CPU_TYPE_ARM64);
    CHECK(pthread_mach_thread_np(pthread_self()) == mach_thread_self() && mach_thread_self() > 0);
}

int main(void)
{
    @autoreleasepool {
        collections();
        numbers();
        property_lists();
        invocations();
        forwarding();
        machine();
    }
    printf("ok\n");
    return 0;
}
