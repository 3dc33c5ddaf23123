#ifndef ARCBOX_NSPROPERTYLIST_H
#define ARCBOX_NSPROPERTYLIST_H
#include <Foundation/NSObject.h>

#ifdef __OBJC__
@class NSData, NSError;
typedef NS_ENUM(NSUInteger, NSPropertyListFormat) {
    NSPropertyListOpenStepFormat = 1,
    NSPropertyListXMLFormat_v1_0 = 100,
    NSPropertyListBinaryFormat_v1_0 = 200
};
typedef NS_OPTIONS(NSUInteger, NSPropertyListMutabilityOptions) {
    NSPropertyListImmutable = 0,
    NSPropertyListMutableContainers = 1,
    NSPropertyListMutableContainersAndLeaves = 2
};
/* Reads XML's form; the others give an error. */
@interface NSPropertyListSerialization : NSObject
+ (id)propertyListWithData:(NSData *)data
                   options:(NSPropertyListMutabilityOptions)options
                    format:(NSPropertyListFormat *)format
                     error:(NSError **)error;
@end
#endif

#endif
