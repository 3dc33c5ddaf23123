#ifndef _FOUNDATION_NSPOINTERFUNCTIONS_H_
#define _FOUNDATION_NSPOINTERFUNCTIONS_H_

#import <Foundation/NSObject.h>

typedef NS_OPTIONS(NSUInteger, NSPointerFunctionsOptions) {
    NSPointerFunctionsStrongMemory = 0,
    NSPointerFunctionsOpaqueMemory = 2,
    NSPointerFunctionsWeakMemory = 5,
    NSPointerFunctionsObjectPersonality = 0 << 8,
    NSPointerFunctionsOpaquePersonality = 1 << 8,
    NSPointerFunctionsObjectPointerPersonality = 2 << 8,
    NSPointerFunctionsIntegerPersonality = 5 << 8,
    NSPointerFunctionsCopyIn = 1 << 16,
};

#endif
