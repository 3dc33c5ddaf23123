#ifndef QUARTZCORE_CAMETALLAYER_H_
#define QUARTZCORE_CAMETALLAYER_H_
#import <Metal/MTLDrawable.h>
#ifdef __OBJC__
@class CAMetalLayer;
@protocol CAMetalDrawable;
#endif
#endif
