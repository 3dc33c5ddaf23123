#ifndef _FOUNDATION_NSNULL_H_
#define _FOUNDATION_NSNULL_H_

#import <Foundation/NSObject.h>

#ifdef __OBJC__
@interface NSNull : NSObject <NSCopying>
+ (NSNull *)null;
@end
#endif

#endif
