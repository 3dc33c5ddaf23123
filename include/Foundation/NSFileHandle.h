#ifndef _FOUNDATION_NSFILEHANDLE_H_
#define _FOUNDATION_NSFILEHANDLE_H_

#import <Foundation/NSData.h>

#ifdef __OBJC__
@class NSError, NSString, NSURL;

@interface NSFileHandle : NSObject
+ (instancetype)fileHandleForReadingAtPath:(NSString *)path;
+ (instancetype)fileHandleForWritingAtPath:(NSString *)path;
+ (instancetype)fileHandleForUpdatingAtPath:(NSString *)path;
+ (instancetype)fileHandleForReadingFromURL:(NSURL *)url error:(NSError **)error;
+ (instancetype)fileHandleForWritingToURL:(NSURL *)url error:(NSError **)error;
+ (instancetype)fileHandleForUpdatingURL:(NSURL *)url error:(NSError **)error;
@property(class, readonly, strong) NSFileHandle *fileHandleWithStandardInput;
@property(class, readonly, strong) NSFileHandle *fileHandleWithStandardOutput;
@property(class, readonly, strong) NSFileHandle *fileHandleWithStandardError;
@property(class, readonly, strong) NSFileHandle *fileHandleWithNullDevice;
- (instancetype)initWithFileDescriptor:(int)fd;
- (instancetype)initWithFileDescriptor:(int)fd closeOnDealloc:(BOOL)closeOnDealloc;
@property(readonly) int fileDescriptor;
@property(readonly, copy) NSData *availableData;
- (NSData *)readDataToEndOfFile;
- (NSData *)readDataOfLength:(NSUInteger)length;
- (NSData *)readDataToEndOfFileAndReturnError:(NSError **)error;
- (NSData *)readDataUpToLength:(NSUInteger)length error:(NSError **)error;
- (void)writeData:(NSData *)data;
- (BOOL)writeData:(NSData *)data error:(NSError **)error;
@property(readonly) unsigned long long offsetInFile;
- (unsigned long long)seekToEndOfFile;
- (void)seekToFileOffset:(unsigned long long)offset;
- (BOOL)seekToOffset:(unsigned long long)offset error:(NSError **)error;
- (BOOL)seekToEndReturningOffset:(unsigned long long *)offset error:(NSError **)error;
- (void)truncateFileAtOffset:(unsigned long long)offset;
- (BOOL)truncateAtOffset:(unsigned long long)offset error:(NSError **)error;
- (void)synchronizeFile;
- (BOOL)synchronizeAndReturnError:(NSError **)error;
- (void)closeFile;
- (BOOL)closeAndReturnError:(NSError **)error;
@end

@interface NSPipe : NSObject
+ (NSPipe *)pipe;
@property(readonly, retain) NSFileHandle *fileHandleForReading;
@property(readonly, retain) NSFileHandle *fileHandleForWriting;
@end
#endif

#endif
