#ifndef _FOUNDATION_NSGEOMETRY_H_
#define _FOUNDATION_NSGEOMETRY_H_

#import <CoreGraphics/CGGeometry.h>

typedef CGPoint NSPoint;
typedef CGSize NSSize;
typedef CGRect NSRect;
#define NSMakeSize CGSizeMake
#define NSMakePoint CGPointMake
#define NSMakeRect CGRectMake

#ifdef __OBJC__

#endif

#endif
