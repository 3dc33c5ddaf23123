#ifndef _FOUNDATION_NSURL_H_
#define _FOUNDATION_NSURL_H_

#import <Foundation/NSString.h>

#ifdef __OBJC__
@class NSError;

@interface NSURL : NSObject <NSCopying, NSSecureCoding>
- (instancetype)initFileURLWithPath:(NSString *)path;
- (instancetype)initFileURLWithPath:(NSString *)path isDirectory:(BOOL)isDirectory;
- (instancetype)initWithString:(NSString *)string;
+ (NSURL *)fileURLWithPath:(NSString *)path;
+ (NSURL *)fileURLWithPath:(NSString *)path isDirectory:(BOOL)isDirectory;
+ (instancetype)URLWithString:(NSString *)string;
@property(readonly, copy) NSString *absoluteString;
@property(readonly, copy) NSString *relativeString;
@property(readonly, copy) NSURL *absoluteURL;
@property(readonly, copy) NSString *scheme;
@property(readonly, copy) NSString *host;
@property(readonly, copy) NSString *path;
@property(readonly, copy) NSString *relativePath;
@property(readonly) BOOL hasDirectoryPath;
@property(readonly) const char *fileSystemRepresentation NS_RETURNS_INNER_POINTER;
@property(readonly, getter=isFileURL) BOOL fileURL;
@property(readonly, copy) NSURL *filePathURL;
@property(readonly, copy) NSArray<NSString *> *pathComponents;
@property(readonly, copy) NSString *lastPathComponent;
@property(readonly, copy) NSString *pathExtension;
- (NSURL *)URLByAppendingPathComponent:(NSString *)component;
- (NSURL *)URLByAppendingPathComponent:(NSString *)component isDirectory:(BOOL)isDirectory;
@property(readonly, copy) NSURL *URLByDeletingLastPathComponent;
- (NSURL *)URLByAppendingPathExtension:(NSString *)extension;
@property(readonly, copy) NSURL *URLByDeletingPathExtension;
@property(readonly, copy) NSURL *URLByStandardizingPath;
@property(readonly, copy) NSURL *URLByResolvingSymlinksInPath;
- (BOOL)checkResourceIsReachableAndReturnError:(NSError **)error;
@end
#endif

#endif
