// NSString and NSMutableString.
#import <Foundation/Foundation.h>
#include "../check.h"

#define TEXT(string, wanted) CHECK_TEXT((string).UTF8String, wanted)

static NSString *raised(void (^block)(void))
{
    @try {
        block();
    } @catch (NSException *exception) {
        return exception.name;
    }
    return nil;
}

static void unicode(void)
{
    NSString *s = @"a😀é";
    CHECK(s.length == 4 && [s characterAtIndex:1] == 0xd83d && [s characterAtIndex:2] == 0xde00);
    CHECK([s characterAtIndex:3] == 0xe9);
    TEXT([s substringFromIndex:3], "é");
    TEXT([s substringWithRange:NSMakeRange(1, 2)], "😀");
    unichar units[4];
    [s getCharacters:units range:NSMakeRange(0, 4)];
    TEXT([NSString stringWithCharacters:units length:4], "a😀é");
    CHECK([s isEqualToString:[NSString stringWithUTF8String:"a😀é"]] &&
            s.hash == [NSString stringWithUTF8String:"a😀é"].hash);
    CHECK([NSString stringWithUTF8String:"\xff"] == nil);
    NSData *data = [s dataUsingEncoding:NSUTF16LittleEndianStringEncoding];
    CHECK(data.length == 8);
    TEXT([[NSString alloc] initWithData:data encoding:NSUTF16LittleEndianStringEncoding], "a😀é");
    CHECK([s dataUsingEncoding:NSASCIIStringEncoding] == nil);
    /* Bytes above 127 that are called ASCII: a string, as Foundation gives. */
    TEXT([NSString stringWithCString:"(c) \xe9" encoding:NSASCIIStringEncoding], "(c) é");
    CHECK([NSString stringWithCString:"\xc2\xa9 x" encoding:NSASCIIStringEncoding].length == 4);
    TEXT([@"éÀ" uppercaseString], "ÉÀ");
    NSRange found = [s rangeOfString:@"é"];
    CHECK(found.location == 3 && found.length == 1);
    CHECK([[NSString alloc] initWithBytes:"\xe9" length:1 encoding:NSISOLatin1StringEncoding].length ==
            1);
}

static void formats(void)
{
    TEXT(([NSString stringWithFormat:@"%@|%5@|%-5@|%@", @"a", @"b", @"c", nil]),
            "a|    b|c    |(null)");
    TEXT(([NSString stringWithFormat:@"%d %u %ld %llu %zu %x %05.1f %g %c %s %%", -1, 2u, 3L, 4ULL,
                 (size_t)5, 255, 2.25, 0.5, 'x', "y"]),
            "-1 2 3 4 5 ff 002.2 0.5 x y %");
    TEXT(([NSString stringWithFormat:@"%2$@ %1$@", @"a", @"b"]), "b a");
    TEXT(([NSString stringWithFormat:@"%*d|%-*d|%.*f", 4, 7, 4, 7, 2, 1.0]), "   7|7   |1.00");
    TEXT(([NSString stringWithFormat:@"%@", @[ @1, @"x" ]]), "(\n    1,\n    x\n)");
    TEXT(([NSString stringWithFormat:@"%C%S", (unichar)0xe9, (const unichar[]){'o', 'k', 0}]), "éok");
}

static void searching(void)
{
    NSString *s = @"one,two,,three";
    NSArray *parts = [s componentsSeparatedByString:@","];
    CHECK([parts isEqual:(@[ @"one", @"two", @"", @"three" ])]);
    TEXT([parts componentsJoinedByString:@"-"], "one-two--three");
    TEXT([s stringByReplacingOccurrencesOfString:@"," withString:@"; "], "one; two; ; three");
    CHECK([s rangeOfString:@"O" options:NSCaseInsensitiveSearch].location == 0);
    CHECK([s rangeOfString:@"o" options:NSBackwardsSearch].location == 6);
    CHECK([s rangeOfString:@"zz"].location == NSNotFound);
    CHECK([s hasPrefix:@"one"] && [s hasSuffix:@"three"] && [s containsString:@"two"]);
    CHECK([@"abc" compare:@"abd"] == NSOrderedAscending);
    CHECK([@"ABC" caseInsensitiveCompare:@"abc"] == NSOrderedSame);
    CHECK([@"a10" compare:@"a9" options:NSNumericSearch] == NSOrderedDescending);
    NSCharacterSet *blank = [NSCharacterSet whitespaceAndNewlineCharacterSet];
    TEXT([@" \n x y \t" stringByTrimmingCharactersInSet:blank], "x y");
    CHECK([@" 42abc" intValue] == 42 && [@"99999999999" intValue] == INT_MAX);
    CHECK([@"-12345678901" longLongValue] == -12345678901LL && [@"2.5e3x" doubleValue] == 2500);
    CHECK([@"YES" boolValue] && ![@"no" boolValue] && [@"007" boolValue]);
    CHECK([raised(^{
        [@"abc" substringFromIndex:4];
    }) isEqual:NSRangeException]);
}

static void paths(void)
{
    TEXT([@"/a/b/" stringByAppendingPathComponent:@"c.txt"], "/a/b/c.txt");
    TEXT([@"/a/b/c.txt" lastPathComponent], "c.txt");
    TEXT([@"/a/b/c.txt" stringByDeletingLastPathComponent], "/a/b");
    TEXT([@"/a" stringByDeletingLastPathComponent], "/");
    TEXT([@"a" stringByDeletingLastPathComponent], "");
    TEXT([@"/a/c.tar.gz" pathExtension], "gz");
    TEXT([@"/a/.hidden" pathExtension], "");
    TEXT([@"/a/c.tar.gz" stringByDeletingPathExtension], "/a/c.tar");
    TEXT(([NSString pathWithComponents:@[ @"/", @"a", @"b" ]]), "/a/b");
    CHECK([[@"/a/b" pathComponents] isEqual:(@[ @"/", @"a", @"b" ])]);
    TEXT([@"/a/./b/../c" stringByStandardizingPath], "/a/c");
    NSURL *url = [NSURL fileURLWithPath:@"/tmp/a b"];
    TEXT(url.absoluteString, "file:///tmp/a%20b");
    TEXT(url.path, "/tmp/a b");
    TEXT([url URLByAppendingPathComponent:@"c"].path, "/tmp/a b/c");
    TEXT([NSURL URLWithString:@"https://host/a%20b?q#f"].path, "/a b");
    url = [NSURL fileURLWithFileSystemRepresentation:"/tmp/x y" isDirectory:NO relativeToURL:nil];
    TEXT(url.absoluteString, "file:///tmp/x%20y");
    NSURL *folder = [NSURL fileURLWithPath:@"/tmp/f" isDirectory:YES];
    TEXT([NSURL fileURLWithFileSystemRepresentation:"a/b" isDirectory:YES relativeToURL:folder].path,
            "/tmp/f/a/b");
    TEXT([NSURL fileURLWithPath:@"b" relativeToURL:url].path, "/tmp/b");
    char text[9];
    CHECK([url getFileSystemRepresentation:text maxLength:9] && !strcmp(text, "/tmp/x y"));
    CHECK(![url getFileSystemRepresentation:text maxLength:8]);
    url = [NSURL URLWithString:@"https://host:81/a/b?q=1#f"];
    TEXT(url.query, "q=1");
    TEXT(url.fragment, "f");
    CHECK(url.port.intValue == 81);
    TEXT([NSURL URLWithString:@"c" relativeToURL:url].absoluteString, "https://host:81/a/c");
    TEXT([NSURL URLWithString:@"/c" relativeToURL:url].absoluteString, "https://host:81/c");
    TEXT([NSURL URLWithString:@"file:///c" relativeToURL:url].path, "/c");
}

static void mutable_strings(void)
{
    NSMutableString *s = [NSMutableString string];
    for (int i = 0; i < 100; i++)
        [s appendFormat:@"%d,", i];
    CHECK(s.length == 290);
    [s setString:@"héllo"];
    [s insertString:@"😀" atIndex:2];
    TEXT(s, "hé😀llo");
    [s deleteCharactersInRange:NSMakeRange(2, 2)];
    [s replaceCharactersInRange:NSMakeRange(0, 1) withString:@"J"];
    TEXT(s, "Jéllo");
    CHECK([s replaceOccurrencesOfString:@"l" withString:@"LL" options:0 range:NSMakeRange(0, 5)] == 2);
    TEXT(s, "JéLLLLo");
}

static void scanning(void)
{
    NSScanner *s = [NSScanner scannerWithString:@"  # Include \"é/a.h\" 12 -7 0x1F 99999999999 2.5e1x"];
    NSString *name = nil;
    int n = 0;
    unsigned hex = 0;
    double d = 0;
    CHECK(![s scanString:@"include" intoString:NULL] && s.scanLocation == 0);
    CHECK([s scanString:@"#" intoString:NULL] && [s scanString:@"include" intoString:&name]);
    CHECK([name isEqualToString:@"Include"] && [s scanString:@"\"" intoString:NULL]);
    CHECK([s scanUpToString:@"\"" intoString:&name] && [name isEqualToString:@"é/a.h"]);
    CHECK(s.scanLocation == 18 && ![s scanUpToString:@"\"" intoString:NULL]);
    s.scanLocation = 19;
    CHECK([s scanInt:&n] && n == 12 && [s scanInt:&n] && n == -7);
    CHECK([s scanHexInt:&hex] && hex == 31 && [s scanInt:&n] && n == INT_MAX);
    CHECK([s scanDouble:&d] && d == 25 && !s.atEnd);
    CHECK([s scanCharactersFromSet:NSCharacterSet.letterCharacterSet intoString:&name]);
    CHECK([name isEqualToString:@"x"] && s.atEnd && ![s scanInt:NULL]);
    s = [[NSScanner alloc] initWithString:@"a b"];
    s.charactersToBeSkipped = nil;
    s.caseSensitive = YES;
    CHECK(![s scanString:@"A" intoString:NULL] && [s scanString:@"a" intoString:NULL]);
    CHECK(![s scanString:@"b" intoString:NULL]);
    CHECK([s scanUpToCharactersFromSet:NSCharacterSet.letterCharacterSet intoString:&name]);
    CHECK([name isEqualToString:@" "]);
}

int main(void)
{
    @autoreleasepool {
        unicode();
        formats();
        searching();
        paths();
        mutable_strings();
        scanning();
    }
    printf("ok\n");
    return 0;
}
