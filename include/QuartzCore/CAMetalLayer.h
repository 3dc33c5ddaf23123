#ifndef QUARTZCORE_CAMETALLAYER_H_
#define QUARTZCORE_CAMETALLAYER_H_
#ifdef __OBJC__ /* C++ programs include QuartzCore for CACurrentMediaTime() */
#import <Metal/MTLDrawable.h>
@class CAMetalLayer;
@protocol CAMetalDrawable;
#endif
#endif
