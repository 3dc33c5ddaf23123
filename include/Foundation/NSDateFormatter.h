#ifndef _FOUNDATION_NSDATEFORMATTER_H_
#define _FOUNDATION_NSDATEFORMATTER_H_

#import <Foundation/NSDate.h>
#import <Foundation/NSString.h>

#ifdef __OBJC__
@class NSLocale;
typedef NS_ENUM(NSUInteger, NSDateFormatterStyle) {
    NSDateFormatterNoStyle,
    NSDateFormatterShortStyle,
    NSDateFormatterMediumStyle,
    NSDateFormatterLongStyle,
    NSDateFormatterFullStyle
};

/* The machine's own zone, and fixed offsets. */
@interface NSTimeZone : NSObject
@property(class, readonly, copy) NSTimeZone *localTimeZone;
@property(class, readonly, copy) NSTimeZone *systemTimeZone;
@property(class, readonly, copy) NSTimeZone *defaultTimeZone;
+ (instancetype)timeZoneForSecondsFromGMT:(NSInteger)seconds;
+ (instancetype)timeZoneWithName:(NSString *)name;
+ (instancetype)timeZoneWithAbbreviation:(NSString *)name;
@property(readonly) NSInteger secondsFromGMT;
@property(readonly, copy) NSString *name;
@end

/* Names of months and days are English. */
@interface NSDateFormatter : NSObject
- (NSString *)stringFromDate:(NSDate *)date;
- (NSDate *)dateFromString:(NSString *)string;
+ (NSString *)localizedStringFromDate:(NSDate *)date dateStyle:(NSDateFormatterStyle)dateStyle timeStyle:(NSDateFormatterStyle)timeStyle;
@property(copy) NSString *dateFormat;
@property NSDateFormatterStyle dateStyle;
@property NSDateFormatterStyle timeStyle;
@property(copy) NSTimeZone *timeZone;
@property(copy) NSLocale *locale;
@end
#endif

#endif
