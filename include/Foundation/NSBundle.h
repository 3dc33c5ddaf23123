#ifndef _FOUNDATION_NSBUNDLE_H_
#define _FOUNDATION_NSBUNDLE_H_

#import <Foundation/NSString.h>
#import <Foundation/NSDictionary.h>

#ifdef __OBJC__
@class NSURL, NSError;

@interface NSBundle : NSObject
@property(class, readonly, strong) NSBundle *mainBundle;
+ (NSBundle *)bundleForClass:(Class)cls;
+ (instancetype)bundleWithPath:(NSString *)path;
+ (instancetype)bundleWithURL:(NSURL *)url;
+ (NSBundle *)bundleWithIdentifier:(NSString *)identifier;
@property(class, readonly, copy) NSArray<NSBundle *> *allBundles;
@property(class, readonly, copy) NSArray<NSBundle *> *allFrameworks;
- (instancetype)initWithPath:(NSString *)path;
- (BOOL)load;
- (BOOL)loadAndReturnError:(NSError **)error;
- (NSString *)localizedStringForKey:(NSString *)key value:(NSString *)value table:(NSString *)table;
@property(readonly, copy) NSString *bundlePath;
@property(readonly, copy) NSURL *bundleURL;
@property(readonly, copy) NSString *resourcePath;
@property(readonly, copy) NSURL *resourceURL;
@property(readonly, copy) NSString *executablePath;
@property(readonly, copy) NSURL *executableURL;
@property(readonly, copy) NSString *bundleIdentifier;
@property(readonly, copy) NSDictionary<NSString *, id> *infoDictionary;
- (id)objectForInfoDictionaryKey:(NSString *)key;
- (NSString *)pathForResource:(NSString *)name ofType:(NSString *)extension;
- (NSString *)pathForResource:(NSString *)name ofType:(NSString *)extension inDirectory:(NSString *)folder;
- (NSURL *)URLForResource:(NSString *)name withExtension:(NSString *)extension;
- (NSURL *)URLForResource:(NSString *)name withExtension:(NSString *)extension subdirectory:(NSString *)folder;
@end
#endif

#endif
