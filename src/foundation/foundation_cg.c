/* foundation: Core Graphics' colour spaces, which programs name and never look into. Guest's
 * process; trusts it. */
#include "foundation/foundation_internal.h"

struct color_space {
    Class isa;
    id name;
};
ABX_OBJC_CLASS(CGColorSpace)

#define FOR_SPACES(X)                                                                              \
    X(SRGB)                                                                                        \
    X(LinearSRGB)                                                                                  \
    X(ExtendedSRGB)                                                                                \
    X(ExtendedLinearSRGB)                                                                          \
    X(DisplayP3)                                                                                   \
    X(ExtendedDisplayP3)                                                                           \
    X(ExtendedLinearDisplayP3)                                                                     \
    X(LinearDisplayP3)                                                                             \
    X(AdobeRGB1998)                                                                                \
    X(GenericRGBLinear)                                                                            \
    X(GenericGrayGamma2_2)                                                                         \
    X(LinearGray)                                                                                  \
    X(ITUR_709)                                                                                    \
    X(ITUR_2020)                                                                                   \
    X(ExtendedLinearITUR_2020)                                                                     \
    X(ITUR_2100_PQ)                                                                                \
    X(ITUR_2100_HLG)
#define CONSTANT(name) ABX_NS_CONSTANT(kCGColorSpace##name, "kCGColorSpace" #name)
FOR_SPACES(CONSTANT)

OBJC_EXPORT id CGColorSpaceCreateWithName(id name);
OBJC_EXPORT id CGColorSpaceCreateDeviceRGB(void);
OBJC_EXPORT id CGColorSpaceGetName(id space);
OBJC_EXPORT id CGColorSpaceRetain(id space);
OBJC_EXPORT void CGColorSpaceRelease(id space);

id CGColorSpaceCreateWithName(id name)
{
#define LOOK(known)                                                                                \
    if (name && abx_ns_is_equal(name, kCGColorSpace##known))                                       \
        goto found;
    FOR_SPACES(LOOK)
    return nil;
found:;
    id space = class_createInstance(ABX_CLASS(CGColorSpace), 0);
    ((struct color_space *)space)->name = abx_ns_copy(name);
    return space;
}

id CGColorSpaceCreateDeviceRGB(void)
{
    return CGColorSpaceCreateWithName(kCGColorSpaceSRGB);
}

id CGColorSpaceGetName(id space)
{
    return space ? ((struct color_space *)space)->name : nil;
}

id CGColorSpaceRetain(id space)
{
    return objc_retain(space);
}

void CGColorSpaceRelease(id space)
{
    objc_release(space);
}

static void space_dealloc(id self, SEL cmd)
{
    objc_release(((struct color_space *)self)->name);
    abx_objc_dealloc_super(self, ABX_CLASS(CGColorSpace));
}

static const struct abx_objc_method methods[] = {
        METHOD("dealloc", "v@:", space_dealloc),
        {NULL},
};
static const struct abx_objc_method class_methods[] = {{NULL}};

__attribute__((constructor(102))) static void define(void)
{
    DEFINE(CGColorSpace, NSObject, struct color_space, methods, class_methods);
}
