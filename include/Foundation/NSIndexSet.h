#ifndef _FOUNDATION_NSINDEXSET_H_
#define _FOUNDATION_NSINDEXSET_H_

#import <Foundation/NSObject.h>
#import <Foundation/NSRange.h>

#ifdef __OBJC__
@interface NSIndexSet : NSObject <NSCopying, NSMutableCopying>
+ (instancetype)indexSet;
+ (instancetype)indexSetWithIndex:(NSUInteger)index;
+ (instancetype)indexSetWithIndexesInRange:(NSRange)range;
- (instancetype)initWithIndex:(NSUInteger)index;
- (instancetype)initWithIndexesInRange:(NSRange)range;
@property(readonly) NSUInteger count;
@property(readonly) NSUInteger firstIndex;
@property(readonly) NSUInteger lastIndex;
- (NSUInteger)indexGreaterThanIndex:(NSUInteger)index;
- (BOOL)containsIndex:(NSUInteger)index;
- (BOOL)isEqualToIndexSet:(NSIndexSet *)other;
#ifdef __BLOCKS__
- (void)enumerateIndexesUsingBlock:(void (^)(NSUInteger idx, BOOL *stop))block;
#endif
@end

@interface NSMutableIndexSet : NSIndexSet
- (void)addIndex:(NSUInteger)index;
- (void)addIndexesInRange:(NSRange)range;
- (void)removeIndex:(NSUInteger)index;
- (void)removeAllIndexes;
@end
#endif

#endif
