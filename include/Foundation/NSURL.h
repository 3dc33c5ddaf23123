#ifndef _FOUNDATION_NSURL_H_
#define _FOUNDATION_NSURL_H_

#import <Foundation/NSString.h>

#ifdef __OBJC__
@class NSError, NSNumber;

@interface NSURL : NSObject <NSCopying, NSSecureCoding>
- (instancetype)initFileURLWithPath:(NSString *)path;
- (instancetype)initFileURLWithPath:(NSString *)path isDirectory:(BOOL)isDirectory;
- (instancetype)initFileURLWithPath:(NSString *)path isDirectory:(BOOL)isDirectory relativeToURL:(NSURL *)base;
- (instancetype)initFileURLWithFileSystemRepresentation:(const char *)path isDirectory:(BOOL)isDirectory relativeToURL:(NSURL *)base;
- (instancetype)initWithString:(NSString *)string;
- (instancetype)initWithString:(NSString *)string relativeToURL:(NSURL *)base;
+ (NSURL *)fileURLWithPath:(NSString *)path;
+ (NSURL *)fileURLWithPath:(NSString *)path isDirectory:(BOOL)isDirectory;
+ (NSURL *)fileURLWithPath:(NSString *)path relativeToURL:(NSURL *)base;
+ (NSURL *)fileURLWithPath:(NSString *)path isDirectory:(BOOL)isDirectory relativeToURL:(NSURL *)base;
+ (NSURL *)fileURLWithFileSystemRepresentation:(const char *)path isDirectory:(BOOL)isDirectory relativeToURL:(NSURL *)base;
+ (instancetype)URLWithString:(NSString *)string;
+ (instancetype)URLWithString:(NSString *)string relativeToURL:(NSURL *)base;
@property(readonly, copy) NSString *absoluteString;
@property(readonly, copy) NSString *relativeString;
@property(readonly, copy) NSURL *absoluteURL;
@property(readonly, copy) NSString *scheme;
@property(readonly, copy) NSString *host;
@property(readonly, copy) NSURL *baseURL;
@property(readonly, copy) NSString *query;
@property(readonly, copy) NSString *fragment;
@property(readonly, copy) NSNumber *port;
- (BOOL)getFileSystemRepresentation:(char *)buffer maxLength:(NSUInteger)capacity;
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
