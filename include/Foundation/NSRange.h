#ifndef _FOUNDATION_NSRANGE_H_
#define _FOUNDATION_NSRANGE_H_

#import <Foundation/NSObjCRuntime.h>

typedef struct _NSRange {
    NSUInteger location;
    NSUInteger length;
} NSRange;
typedef NSRange *NSRangePointer;

NS_INLINE NSRange NSMakeRange(NSUInteger location, NSUInteger length)
{
    NSRange range = {location, length};
    return range;
}
NS_INLINE NSUInteger NSMaxRange(NSRange range)
{
    return range.location + range.length;
}
NS_INLINE BOOL NSLocationInRange(NSUInteger location, NSRange range)
{
    return location >= range.location && location - range.location < range.length;
}
NS_INLINE BOOL NSEqualRanges(NSRange a, NSRange b)
{
    return a.location == b.location && a.length == b.length;
}
FOUNDATION_EXPORT NSRange NSUnionRange(NSRange a, NSRange b);
FOUNDATION_EXPORT NSRange NSIntersectionRange(NSRange a, NSRange b);

#ifdef __OBJC__
@class NSString;
FOUNDATION_EXPORT NSString *NSStringFromRange(NSRange range);
#endif

#endif
