#ifndef _FOUNDATION_NSCACHE_H_
#define _FOUNDATION_NSCACHE_H_

#import <Foundation/NSObject.h>

#ifdef __OBJC__
@class NSString, NSCache;

@protocol NSCacheDelegate <NSObject>
@optional
- (void)cache:(NSCache *)cache willEvictObject:(id)object;
@end

@interface NSCache<KeyType, ObjectType> : NSObject
@property(copy) NSString *name;
@property(assign) id<NSCacheDelegate> delegate;
- (ObjectType)objectForKey:(KeyType)key;
- (void)setObject:(ObjectType)object forKey:(KeyType)key;
- (void)setObject:(ObjectType)object forKey:(KeyType)key cost:(NSUInteger)cost;
- (void)removeObjectForKey:(KeyType)key;
- (void)removeAllObjects;
@property NSUInteger totalCostLimit;
@property NSUInteger countLimit;
@end
#endif

#endif
