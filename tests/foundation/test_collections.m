// Arrays, dictionaries, sets, numbers, data, errors, key-value coding.
#import <Foundation/Foundation.h>
#include "../check.h"

static NSString *raised(void (^block)(void))
{
    @try {
        block();
    } @catch (NSException *exception) {
        return exception.name;
    }
    return nil;
}

static void arrays(void)
{
    NSMutableArray<NSNumber *> *a = [NSMutableArray arrayWithCapacity:4];
    for (int i = 0; i < 1000; i++)
        [a addObject:@((i * 7919) % 1000)];
    [a sortUsingComparator:^(NSNumber *x, NSNumber *y) {
        return [x compare:y];
    }];
    for (int i = 0; i < 1000; i++)
        CHECK(a[i].intValue == i);
    [a removeObjectAtIndex:0];
    [a insertObject:@-1 atIndex:0];
    [a removeObject:@500];
    CHECK(a.count == 999 && [a indexOfObject:@501] == 500 && ![a containsObject:@500]);
    a[0] = @5;
    NSNumber *__unsafe_unretained objects[999];
    [a getObjects:objects];
    CHECK(objects[0] == a[0] && objects[998] == a[998]);
    [a getObjects:objects range:NSMakeRange(10, 2)];
    CHECK(objects[0] == a[10] && objects[1] == a[11] && objects[2] == a[2]);
    NSMutableIndexSet *indexes = [NSMutableIndexSet indexSetWithIndex:3];
    [indexes addIndex:900];
    CHECK([[a objectsAtIndexes:indexes] isEqual:(@[ a[3], a[900] ])]);
    CHECK([[(@[ @-7, @9, @8 ]) firstObjectCommonWithArray:a] isEqual:@9]);
    int sum = 0;
    for (NSNumber *n in [a subarrayWithRange:NSMakeRange(0, 3)])
        sum += n.intValue;
    CHECK(sum == 8);
    CHECK([raised(^{
        (void)a[999];
    }) isEqual:NSRangeException]);
    CHECK([raised(^{
        id nothing = nil;
        [a addObject:nothing];
    }) isEqual:NSInvalidArgumentException]);
    CHECK([raised(^{
        for (id x in a)
            [a addObject:x];
    }) isEqual:NSGenericException]);
    __block NSUInteger visited = 0;
    [@[ @1, @2, @3 ] enumerateObjectsUsingBlock:^(id object, NSUInteger index, BOOL *stop) {
        visited++;
        *stop = index == 1;
    }];
    CHECK(visited == 2);
    CHECK([[(@[ @"a", @"bb" ]) valueForKey:@"length"] isEqual:(@[ @1, @2 ])]);
    CHECK([[(@[ @3, @1 ]) reverseObjectEnumerator].allObjects isEqual:(@[ @1, @3 ])]);
}

static void dictionaries(void)
{
    NSMutableDictionary *d = [NSMutableDictionary dictionary];
    for (int i = 0; i < 2000; i++)
        d[[NSString stringWithFormat:@"key %d", i]] = @(i);
    for (int i = 0; i < 2000; i += 2)
        [d removeObjectForKey:[NSString stringWithFormat:@"key %d", i]];
    CHECK(d.count == 1000 && !d[@"key 0"] && [d[@"key 1999"] intValue] == 1999);
    NSUInteger seen = 0;
    for (NSString *key in d) {
        CHECK([key hasPrefix:@"key"]);
        seen++;
    }
    CHECK(seen == 1000 && d.allKeys.count == 1000);
    NSMutableString *key = [NSMutableString stringWithString:@"k"];
    NSMutableDictionary *copied = [NSMutableDictionary dictionaryWithObject:@1 forKey:key];
    [key appendString:@"x"];
    CHECK(copied[@"k"] && !copied[@"kx"]);
    copied[@"k"] = nil;
    CHECK(copied.count == 0);
    CHECK(@{}.count == 0 && @[].count == 0);
    CHECK([(@{@1 : @"a", @2.0 : @[ @"b" ]}) isEqual:(@{@2 : @[ @"b" ], @1.0 : @"a"})]);
    NSSet *set = [NSSet setWithObjects:@"a", @"b", @"a", nil];
    CHECK(set.count == 2 && [set containsObject:@"b"]);
    NSMutableSet *more = [set mutableCopy];
    [more minusSet:[NSSet setWithObject:@"a"]];
    CHECK([more isEqual:[NSSet setWithObject:@"b"]]);
}

static void numbers(void)
{
    CHECK(strcmp(@YES.objCType, @encode(BOOL)) == 0 && strcmp(@(1.5f).objCType, "f") == 0);
    CHECK(@(UINT64_MAX).unsignedLongLongValue == UINT64_MAX && @(-1).longLongValue == -1);
    CHECK([@(UINT64_MAX) compare:@(-1)] == NSOrderedDescending && [@1 isEqual:@1.0]);
    CHECK_TEXT(@(0.1).stringValue.UTF8String, "0.1");
    CHECK_TEXT(@(0.1f).stringValue.UTF8String, "0.1");
    CHECK_TEXT(@(UINT64_MAX).description.UTF8String, "18446744073709551615");
    NSRange range = [NSValue valueWithRange:NSMakeRange(3, 4)].rangeValue;
    CHECK(range.location == 3 && range.length == 4);
    struct {
        int x;
        double y;
    } in = {1, 2}, out;
    NSValue *value = [NSValue valueWithBytes:&in objCType:@encode(__typeof__(in))];
    [value getValue:&out];
    CHECK(out.x == 1 && out.y == 2);
}

@interface Person : NSObject
@property(copy) NSString *name;
@property int age;
@property double height;
@property BOOL tall;
@end
@implementation Person
@end

static void data_and_errors(void)
{
    NSMutableData *data = [NSMutableData dataWithLength:2];
    [data appendBytes:"abc" length:3];
    CHECK(data.length == 5 && memcmp(data.bytes, "\0\0abc", 5) == 0);
    NSString *path = [NSTemporaryDirectory()
            stringByAppendingPathComponent:[[NSUUID UUID] UUIDString]];
    NSError *error = nil;
    CHECK([data writeToFile:path options:NSDataWritingAtomic error:&error] && !error);
    CHECK([[NSData dataWithContentsOfFile:path] isEqual:data]);
    NSFileManager *files = [NSFileManager defaultManager];
    CHECK([[files attributesOfItemAtPath:path error:nil][NSFileSize] intValue] == 5);
    CHECK([files removeItemAtPath:path error:&error] && ![files fileExistsAtPath:path]);
    CHECK(![files removeItemAtPath:path error:&error] && error.code == 260 &&
            [error.domain isEqual:NSCocoaErrorDomain]);
    CHECK([error.userInfo[NSUnderlyingErrorKey] code] == ENOENT);
    __block int freed = 0;
    @autoreleasepool {
        char *bytes = strdup("hello");
        NSData *owner = [[NSData alloc] initWithBytesNoCopy:bytes
                                                     length:5
                                                deallocator:^(void *p, NSUInteger n) {
                                                    freed += (int)n;
                                                    free(p);
                                                }];
        CHECK(owner.bytes == bytes);
        owner = nil;
    }
    CHECK(freed == 5);
    error = [NSError errorWithDomain:@"D" code:3 userInfo:@{NSLocalizedDescriptionKey : @"why"}];
    CHECK_TEXT(error.localizedDescription.UTF8String, "why");
    Person *person = [Person new];
    [person setValue:@"Ann" forKey:@"name"];
    [person setValue:@33 forKey:@"age"];
    [person setValue:@1.5 forKey:@"height"];
    CHECK_TEXT(person.name.UTF8String, "Ann");
    CHECK(person.age == 33 && [[person valueForKey:@"height"] doubleValue] == 1.5);
    CHECK([[person valueForKeyPath:@"name.length"] isEqual:@3]);
    CHECK([raised(^{
        [person valueForKey:@"nothing"];
    }) isEqual:NSUndefinedKeyException]);
    CHECK([NSNull null] == [NSNull null] && [[NSNull null] copy] == [NSNull null]);
    NSMutableIndexSet *indexes = [NSMutableIndexSet indexSetWithIndexesInRange:NSMakeRange(3, 3)];
    [indexes addIndex:1];
    CHECK(indexes.count == 4 && indexes.firstIndex == 1 && [indexes indexGreaterThanIndex:1] == 3);
}

static void map_tables(void)
{
    NSMapTable<NSObject *, NSString *> *t =
            [NSMapTable mapTableWithKeyOptions:NSPointerFunctionsWeakMemory |
                                               NSPointerFunctionsObjectPointerPersonality
                                  valueOptions:NSPointerFunctionsStrongMemory];
    NSObject *kept = [NSObject new];
    @autoreleasepool {
        for (int i = 0; i < 100; i++)
            [t setObject:@"gone" forKey:[NSObject new]];
        [t setObject:@"old" forKey:kept];
        [t setObject:@"stays" forKey:kept];
        CHECK_TEXT([t objectForKey:kept].UTF8String, "stays");
    }
    CHECK(t.count == 1);
    for (NSObject *key in t)
        CHECK(key == kept && [[t objectForKey:key] isEqual:@"stays"]);
    NSMutableString *a = [@"k" mutableCopy], *b = [@"k" mutableCopy];
    [(id)t setObject:@"by address" forKey:a];
    CHECK(![(id)t objectForKey:b] && [(id)t objectForKey:a]);
    NSMapTable *strong = [NSMapTable strongToStrongObjectsMapTable];
    for (int i = 0; i < 200; i++)
        [strong setObject:@(i * i) forKey:[NSString stringWithFormat:@"%d", i]];
    CHECK(strong.count == 200 && [[strong objectForKey:@"14"] isEqual:@196]);
    [strong removeObjectForKey:@"14"];
    CHECK(strong.count == 199 && ![strong objectForKey:@"14"]);
    CHECK([strong.dictionaryRepresentation isEqual:[[strong copy] dictionaryRepresentation]]);
    CHECK([strong objectEnumerator].allObjects.count == 199);
    NSMapTable *values = [NSMapTable strongToWeakObjectsMapTable];
    @autoreleasepool {
        [values setObject:[NSObject new] forKey:@"x"];
    }
    CHECK(![values objectForKey:@"x"] && values.count == 0);
    NSHashTable *set = [NSHashTable weakObjectsHashTable];
    @autoreleasepool {
        NSObject *other __attribute__((objc_precise_lifetime)) = [NSObject new];
        [set addObject:other];
        [set addObject:kept];
        [set addObject:kept];
        CHECK(set.count == 2 && [set containsObject:kept]);
    }
    CHECK(set.allObjects.count == 1 && set.anyObject == kept);
    [set removeObject:kept];
    CHECK(set.count == 0);
    CHECK([raised(^{
        id nothing = nil;
        [strong setObject:@1 forKey:nothing];
    }) isEqual:NSInvalidArgumentException]);
}

int main(void)
{
    @autoreleasepool {
        arrays();
        dictionaries();
        numbers();
        data_and_errors();
        map_tables();
    }
    printf("ok\n");
    return 0;
}
