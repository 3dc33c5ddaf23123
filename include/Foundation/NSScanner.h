#ifndef _FOUNDATION_NSSCANNER_H_
#define _FOUNDATION_NSSCANNER_H_

#import <Foundation/NSString.h>

#ifdef __OBJC__
@class NSCharacterSet;

NS_ASSUME_NONNULL_BEGIN
/* Locations are in UTF-16 units. Each scan first passes charactersToBeSkipped (white space and new
 * lines at first), gives NO and stays where it was when what is asked for is not there, and takes
 * NULL for results. */
@interface NSScanner : NSObject
@property (readonly, copy) NSString *string;
@property NSUInteger scanLocation;
@property (nullable, copy) NSCharacterSet *charactersToBeSkipped;
@property BOOL caseSensitive; /* at first NO */
@property (getter=isAtEnd, readonly) BOOL atEnd;
+ (instancetype)scannerWithString:(NSString *)string;
- (instancetype)initWithString:(NSString *)string;
- (BOOL)scanString:(NSString *)string
        intoString:(NSString *_Nullable __autoreleasing *_Nullable)result;
- (BOOL)scanUpToString:(NSString *)string
            intoString:(NSString *_Nullable __autoreleasing *_Nullable)result;
- (BOOL)scanCharactersFromSet:(NSCharacterSet *)set
                   intoString:(NSString *_Nullable __autoreleasing *_Nullable)result;
- (BOOL)scanUpToCharactersFromSet:(NSCharacterSet *)set
                       intoString:(NSString *_Nullable __autoreleasing *_Nullable)result;
/* Numbers out of range give the nearest in range. */
- (BOOL)scanInt:(nullable int *)result;
- (BOOL)scanInteger:(nullable NSInteger *)result;
- (BOOL)scanLongLong:(nullable long long *)result;
- (BOOL)scanHexInt:(nullable unsigned *)result;
- (BOOL)scanHexLongLong:(nullable unsigned long long *)result;
- (BOOL)scanFloat:(nullable float *)result;
- (BOOL)scanDouble:(nullable double *)result;
@end
NS_ASSUME_NONNULL_END
#endif

#endif
