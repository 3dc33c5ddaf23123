#ifndef _FOUNDATION_NSUUID_H_
#define _FOUNDATION_NSUUID_H_

#import <Foundation/NSObject.h>

#ifdef __OBJC__
@class NSString;

@interface NSUUID : NSObject <NSCopying>
+ (instancetype)UUID;
- (instancetype)initWithUUIDString:(NSString *)string;
- (instancetype)initWithUUIDBytes:(const unsigned char[16])bytes;
- (void)getUUIDBytes:(unsigned char[16])bytes;
@property(readonly, copy) NSString *UUIDString;
@end
#endif

#endif
