// Notifications, run loops and timers, operations, JSON, file handles, caches, date formats.
#import <Foundation/Foundation.h>
#include <stdatomic.h>
#include "../check.h"

static BOOL raises(void (^block)(void))
{
    @try {
        block();
    } @catch (NSException *exception) {
        return YES;
    }
    return NO;
}

@interface Listener : NSObject {
  @public
    int heard;
}
- (void)hear:(NSNotification *)note;
@end
@implementation Listener
- (void)hear:(NSNotification *)note
{
    heard += [note.userInfo[@"by"] intValue];
}
@end

static void notifications(void)
{
    NSNotificationCenter *center = [NSNotificationCenter defaultCenter];
    CHECK(center == [NSNotificationCenter defaultCenter]);
    Listener *listener = [Listener new];
    [center addObserver:listener selector:@selector(hear:) name:@"a" object:nil];
    __block int blocks = 0;
    __block NSOperationQueue *where = nil;
    NSOperationQueue *queue = [NSOperationQueue new];
    id token = [center addObserverForName:@"a" object:listener queue:nil usingBlock:^(NSNotification *n) {
        CHECK([n.name isEqual:@"a"] && n.object == listener);
        blocks++;
    }];
    id other = [center addObserverForName:nil object:nil queue:queue usingBlock:^(NSNotification *n) {
        where = [NSOperationQueue currentQueue];
    }];
    [center postNotificationName:@"a" object:nil userInfo:@{@"by" : @1}];
    CHECK(listener->heard == 1 && blocks == 0 && where == queue);
    [center postNotificationName:@"a" object:listener userInfo:@{@"by" : @2}];
    [center postNotificationName:@"b" object:listener userInfo:@{@"by" : @4}];
    CHECK(listener->heard == 3 && blocks == 1);
    [center removeObserver:token];
    [center removeObserver:other];
    [center postNotificationName:@"a" object:listener userInfo:@{@"by" : @8}];
    CHECK(listener->heard == 11 && blocks == 1);
    listener = nil; /* gone without a word, as may be */
    [center postNotificationName:@"a" object:nil];
}

static void run_loops(void)
{
    NSRunLoop *loop = [NSRunLoop currentRunLoop];
    CHECK(loop == [NSRunLoop mainRunLoop]);
    __block int ticks = 0, once = 0, dispatched = 0;
    NSTimer *timer = [NSTimer scheduledTimerWithTimeInterval:0.002 repeats:YES block:^(NSTimer *t) {
        if (++ticks == 3)
            [t invalidate];
    }];
    [NSTimer scheduledTimerWithTimeInterval:0.001 repeats:NO block:^(NSTimer *t) { once++; }];
    dispatch_async(dispatch_get_main_queue(), ^{ dispatched++; });
    [loop performBlock:^{ dispatched += 10; }];
    Listener *listener = [Listener new];
    NSNotification *note = [NSNotification notificationWithName:@"x" object:nil userInfo:@{@"by" : @5}];
    [listener performSelector:@selector(hear:) withObject:note afterDelay:0.001];
    NSDate *limit = [NSDate dateWithTimeIntervalSinceNow:60];
    while ((ticks < 3 || !once || dispatched != 11 || !listener->heard) && limit.timeIntervalSinceNow > 0)
        [loop runUntilDate:[NSDate dateWithTimeIntervalSinceNow:0.005]];
    CHECK(ticks == 3 && once == 1 && dispatched == 11 && listener->heard == 5 && !timer.valid);
    [loop runUntilDate:[NSDate dateWithTimeIntervalSinceNow:0.005]];
    CHECK(ticks == 3 && once == 1);
    /* From another thread, and a loop that ends with its timers. */
    dispatch_async(dispatch_get_global_queue(0, 0), ^{
        dispatch_async(dispatch_get_main_queue(), ^{ dispatched++; });
    });
    while (dispatched == 11)
        CHECK([loop runMode:NSDefaultRunLoopMode beforeDate:[NSDate distantFuture]]);
    __block int own = 0;
    NSCondition *done = [NSCondition new];
    [NSThread detachNewThreadWithBlock:^{
        NSRunLoop *mine = [NSRunLoop currentRunLoop];
        CHECK(mine != loop && ![mine runMode:NSDefaultRunLoopMode beforeDate:[NSDate distantFuture]]);
        [mine addTimer:[NSTimer timerWithTimeInterval:0.001 repeats:NO block:^(NSTimer *t) { own++; }]
               forMode:NSRunLoopCommonModes];
        while (!own)
            [mine runUntilDate:[NSDate dateWithTimeIntervalSinceNow:10]];
        [done lock];
        own = 2;
        [done signal];
        [done unlock];
    }];
    [done lock];
    while (own != 2)
        [done wait];
    [done unlock];
}

static void operations(void)
{
    NSOperationQueue *queue = [NSOperationQueue new], *second = [NSOperationQueue new];
    __block _Atomic int sum = 0;
    for (int i = 0; i < 100; i++)
        [queue addOperationWithBlock:^{ atomic_fetch_add(&sum, i); }];
    [queue waitUntilAllOperationsAreFinished];
    CHECK(sum == 4950 && queue.operationCount == 0);
    NSMutableString *order = [NSMutableString string];
    NSBlockOperation *a = [NSBlockOperation blockOperationWithBlock:^{ [order appendString:@"a"]; }];
    NSBlockOperation *b = [NSBlockOperation blockOperationWithBlock:^{ [order appendString:@"b"]; }];
    NSBlockOperation *c = [NSBlockOperation blockOperationWithBlock:^{ [order appendString:@"c"]; }];
    [b addDependency:a];
    [c addDependency:b];
    CHECK(!c.ready && a.ready);
    __block BOOL completed = NO;
    c.completionBlock = ^{ completed = YES; };
    [queue addOperation:c];
    [second addOperation:b];
    [queue addOperations:@[ a ] waitUntilFinished:NO];
    [c waitUntilFinished];
    [queue waitUntilAllOperationsAreFinished];
    CHECK([order isEqual:@"abc"] && c.finished && completed);
    queue.maxConcurrentOperationCount = 1;
    queue.suspended = YES;
    [order setString:@""];
    NSBlockOperation *low = [NSBlockOperation blockOperationWithBlock:^{ [order appendString:@"l"]; }];
    NSBlockOperation *high = [NSBlockOperation blockOperationWithBlock:^{ [order appendString:@"h"]; }];
    NSBlockOperation *not = [NSBlockOperation blockOperationWithBlock:^{ [order appendString:@"n"]; }];
    high.queuePriority = NSOperationQueuePriorityHigh;
    [queue addOperations:@[ low, not, high ] waitUntilFinished:NO];
    [not cancel];
    CHECK(queue.operationCount == 3 && not.cancelled);
    queue.suspended = NO;
    [queue waitUntilAllOperationsAreFinished];
    CHECK([order isEqual:@"hl"] && not.finished);
}

static NSString *json(id object, NSJSONWritingOptions options)
{
    NSData *data = [NSJSONSerialization dataWithJSONObject:object options:options error:nil];
    return [[NSString alloc] initWithData:data encoding:NSUTF8StringEncoding];
}

static id parse(const char *text, NSJSONReadingOptions options)
{
    NSError *error = nil;
    NSData *data = [NSData dataWithBytes:text length:strlen(text)];
    id value = [NSJSONSerialization JSONObjectWithData:data options:options error:&error];
    CHECK(value ? !error : error.code == 3840);
    return value;
}

static void json_texts(void)
{
    id value = @{@"b" : @[ @1, @-2.5, @YES, [NSNull null], @"q\"\\/\n\u00e9" ], @"a" : @{}, @"c" : @[]};
    NSString *text = json(value, NSJSONWritingSortedKeys);
    CHECK_TEXT(text.UTF8String, "{\"a\":{},\"b\":[1,-2.5,true,null,\"q\\\"\\\\\\/\\n\u00e9\"],\"c\":[]}");
    CHECK([parse(text.UTF8String, 0) isEqual:value]);
    CHECK([parse(json(value, NSJSONWritingPrettyPrinted).UTF8String, 0) isEqual:value]);
    CHECK_TEXT(json(@[ @{@"k" : @1} ], NSJSONWritingPrettyPrinted).UTF8String,
            "[\n  {\n    \"k\" : 1\n  }\n]");
    CHECK_TEXT(json(@[ @"/" ], NSJSONWritingWithoutEscapingSlashes).UTF8String, "[\"/\"]");
    NSArray *numbers = parse(" [0, -0.0, 1e3, 9223372036854775807, 18446744073709551615, 1E-2] ", 0);
    CHECK([numbers[2] doubleValue] == 1000 && [numbers[3] longLongValue] == INT64_MAX);
    CHECK([numbers[4] unsignedLongLongValue] == UINT64_MAX && [numbers[5] doubleValue] == 0.01);
    CHECK_TEXT([parse("[\"\\u00e9\\ud83d\\ude00\"]", 0)[0] UTF8String], "\u00e9😀");
    NSMutableArray *open = parse("[[1]]", NSJSONReadingMutableContainers);
    [open[0] addObject:@2];
    CHECK([open[0] count] == 2);
    CHECK(!parse("5", 0) && [parse("5", NSJSONReadingFragmentsAllowed) isEqual:@5]);
    const char *const bad[] = {"", "[", "[1,]", "{\"a\"}", "{a:1}", "[01]", "[1.]", "[1e]", "[\"\\x\"]",
            "[\"\\ud800\"]", "[\"a", "[1] 2", "[tru]", "[\"\t\"]", "{\"a\":1,}", "[-]", "[\xff]"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK(!parse(bad[i], 0));
    NSMutableString *deep = [NSMutableString string];
    for (int i = 0; i < 100000; i++)
        [deep appendString:@"["];
    CHECK(!parse(deep.UTF8String, 0));
    CHECK(![NSJSONSerialization isValidJSONObject:@[ [NSDate date] ]] &&
            ![NSJSONSerialization isValidJSONObject:@{@1 : @1}] &&
            ![NSJSONSerialization isValidJSONObject:@"x"] &&
            [NSJSONSerialization isValidJSONObject:@[ @1 ]]);
    CHECK(raises(^{ (void)json(@[ @(NAN) ], 0); }));
}

static void file_handles(void)
{
    NSString *path = [NSString stringWithFormat:@"%@/arcbox-test-%d",
            [NSFileManager defaultManager].temporaryDirectory.path, getpid()];
    CHECK(![NSFileHandle fileHandleForReadingAtPath:path]);
    NSError *error = nil;
    CHECK(![NSFileHandle fileHandleForReadingFromURL:[NSURL fileURLWithPath:path] error:&error] &&
            error.code == 260);
    [[NSFileManager defaultManager] createFileAtPath:path contents:[NSData data] attributes:nil];
    NSFileHandle *handle = [NSFileHandle fileHandleForUpdatingAtPath:path];
    [handle writeData:[@"hello world" dataUsingEncoding:NSUTF8StringEncoding]];
    CHECK(handle.offsetInFile == 11);
    [handle seekToFileOffset:6];
    CHECK([[handle readDataOfLength:3] isEqual:[@"wor" dataUsingEncoding:NSUTF8StringEncoding]]);
    CHECK([handle readDataToEndOfFile].length == 2 && [handle readDataToEndOfFile].length == 0);
    [handle truncateFileAtOffset:5];
    CHECK([handle seekToEndOfFile] == 5 && [handle synchronizeAndReturnError:nil]);
    [handle closeFile];
    CHECK(raises(^{ (void)[handle readDataToEndOfFile]; }));
    [[NSFileManager defaultManager] removeItemAtPath:path error:nil];
    NSPipe *pipe = [NSPipe pipe];
    [pipe.fileHandleForWriting writeData:[NSData dataWithBytes:"ab" length:2]];
    CHECK(pipe.fileHandleForReading.availableData.length == 2);
    CHECK([NSFileHandle fileHandleWithStandardError].fileDescriptor == 2);
}

@interface Evicted : NSObject <NSCacheDelegate> {
  @public
    NSMutableArray *objects;
}
@end
@implementation Evicted
- (void)cache:(NSCache *)cache willEvictObject:(id)object
{
    [objects addObject:object];
}
@end

static void caches(void)
{
    NSCache<NSString *, NSNumber *> *cache = [NSCache new];
    Evicted *evicted = [Evicted new];
    evicted->objects = [NSMutableArray array];
    cache.delegate = evicted;
    for (int i = 0; i < 10; i++)
        [cache setObject:@(i) forKey:[NSString stringWithFormat:@"%d", i]];
    CHECK([cache objectForKey:@"7"].intValue == 7 && ![cache objectForKey:@"x"]);
    cache.countLimit = 3;
    CHECK(![cache objectForKey:@"6"] && [cache objectForKey:@"7"] && evicted->objects.count == 7);
    [cache setObject:@70 forKey:@"7" cost:5]; /* the youngest now */
    [cache setObject:@10 forKey:@"10"];
    CHECK(![cache objectForKey:@"8"] && [cache objectForKey:@"7"].intValue == 70);
    cache.totalCostLimit = 4;
    CHECK(![cache objectForKey:@"7"]);
    [cache removeAllObjects];
    CHECK(![cache objectForKey:@"10"]);
}

static void date_formats(void)
{
    NSDateFormatter *format = [NSDateFormatter new];
    format.timeZone = [NSTimeZone timeZoneForSecondsFromGMT:0];
    NSDate *date = [NSDate dateWithTimeIntervalSince1970:1709211845.25]; /* a leap day */
    const struct {
        const char *pattern, *text;
    } rows[] = {{"yyyy-MM-dd'T'HH:mm:ssXXX", "2024-02-29T13:04:05Z"},
            {"EEE, d MMM yyyy h:mm a", "Thu, 29 Feb 2024 1:04 PM"}, {"yyyyMMdd_HHmmss", "20240229_130405"},
            {"EEEE MMMM dd yy 'o''clock' HH.mm.ss.SSS", "Thursday February 29 24 o'clock 13.04.05.250"},
            {"HH:mm Z", "13:04 +0000"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        format.dateFormat = [NSString stringWithUTF8String:rows[i].pattern];
        CHECK_TEXT([format stringFromDate:date].UTF8String, rows[i].text);
        NSDate *back = [format dateFromString:[NSString stringWithUTF8String:rows[i].text]];
        CHECK(back && ![format dateFromString:@"nonsense"]);
        if (strchr(rows[i].pattern, 's'))
            CHECK(fabs([back timeIntervalSinceDate:date]) <= 0.25);
    }
    format.dateFormat = @"yyyy-MM-dd HH:mm xxx";
    format.timeZone = [NSTimeZone timeZoneForSecondsFromGMT:-5400];
    CHECK_TEXT([format stringFromDate:date].UTF8String, "2024-02-29 11:34 -01:30");
    CHECK([format dateFromString:@"2024-02-29 13:04 +00:00"].timeIntervalSince1970 == 1709211840);
    format.dateFormat = nil;
    format.dateStyle = NSDateFormatterShortStyle;
    CHECK_TEXT([format stringFromDate:date].UTF8String, "2/29/24");
}

int main(void)
{
    @autoreleasepool {
        notifications();
        run_loops();
        operations();
        json_texts();
        file_handles();
        caches();
        date_formats();
    }
    printf("ok\n");
    return 0;
}
