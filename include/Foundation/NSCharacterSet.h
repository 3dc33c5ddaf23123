#import <Foundation/NSString.h>
