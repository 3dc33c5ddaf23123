#ifndef CGGEOMETRY_H_
#define CGGEOMETRY_H_
#include <CoreGraphics/CGBase.h>
typedef struct CGPoint {
    CGFloat x;
    CGFloat y;
} CGPoint;
typedef struct CGSize {
    CGFloat width;
    CGFloat height;
} CGSize;
typedef struct CGRect {
    CGPoint origin;
    CGSize size;
} CGRect;
static inline CGPoint CGPointMake(CGFloat x, CGFloat y)
{
    CGPoint p = {x, y};
    return p;
}
static inline CGSize CGSizeMake(CGFloat width, CGFloat height)
{
    CGSize s = {width, height};
    return s;
}
static inline CGRect CGRectMake(CGFloat x, CGFloat y, CGFloat width, CGFloat height)
{
    CGRect r = {{x, y}, {width, height}};
    return r;
}
#endif
