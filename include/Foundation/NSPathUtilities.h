#import <Foundation/NSString.h>
#import <Foundation/NSFileManager.h>
