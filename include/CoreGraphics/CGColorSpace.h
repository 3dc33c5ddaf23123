#ifndef CGCOLORSPACE_H_
#define CGCOLORSPACE_H_

#include <CoreFoundation/CoreFoundation.h>

/* Colour spaces can be named and made; nothing draws with them. */
typedef struct CGColorSpace *CGColorSpaceRef;

#ifdef __cplusplus
extern "C" {
#endif
extern const CFStringRef kCGColorSpaceSRGB, kCGColorSpaceLinearSRGB, kCGColorSpaceExtendedSRGB,
        kCGColorSpaceExtendedLinearSRGB, kCGColorSpaceDisplayP3, kCGColorSpaceExtendedDisplayP3,
        kCGColorSpaceExtendedLinearDisplayP3, kCGColorSpaceLinearDisplayP3, kCGColorSpaceAdobeRGB1998,
        kCGColorSpaceGenericRGBLinear, kCGColorSpaceGenericGrayGamma2_2, kCGColorSpaceLinearGray,
        kCGColorSpaceITUR_709, kCGColorSpaceITUR_2020, kCGColorSpaceExtendedLinearITUR_2020,
        kCGColorSpaceITUR_2100_PQ, kCGColorSpaceITUR_2100_HLG;
extern CGColorSpaceRef CGColorSpaceCreateWithName(CFStringRef name);
extern CGColorSpaceRef CGColorSpaceCreateDeviceRGB(void);
extern CFStringRef CGColorSpaceGetName(CGColorSpaceRef space);
extern CGColorSpaceRef CGColorSpaceRetain(CGColorSpaceRef space);
extern void CGColorSpaceRelease(CGColorSpaceRef space);
#ifdef __cplusplus
}
#endif

#endif
