/* The classes gen/ writes, through messages: defaults, copies, ownership, arrays, bit fields. */
#include "../check.h"
#include "classes_gen.h"

#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include "foundation/foundation.h"

/* ---- what the classes need of Foundation */
static jmp_buf raised;

void abx_ns_raise_range(const char *format, ...)
{
    longjmp(raised, 1);
}

id abx_ns_string_constant(const char *utf8)
{
    return (id)(uintptr_t)utf8;
}

/* Written by hand in src/metal. */
#define NO_METHODS(table)                                                                          \
    extern const struct abx_objc_method table[];                                                   \
    const struct abx_objc_method table[] = {{NULL}}
NO_METHODS(MTLStructType_methods);
NO_METHODS(MPSKernel_methods);
NO_METHODS(MPSMatrixDescriptor_class_methods);
NO_METHODS(MPSVectorDescriptor_class_methods);
NO_METHODS(MPSMatrix_methods);
NO_METHODS(MPSVector_methods);
NO_METHODS(MPSMatrixMultiplication_methods);
NO_METHODS(MPSMatrixVectorMultiplication_methods);

/* ---- a value that counts its copies and its ends */
static unsigned copies, ends;

static id value_copy(id self, SEL cmd, void *zone)
{
    copies++;
    return ABX_MSG(id, (Class, SEL), object_getClass(self), "new");
}

static Class value_class;

static void value_dealloc(id self, SEL cmd)
{
    ends++;
    abx_objc_dealloc_super(self, value_class);
}

static const struct abx_objc_method value_methods[] = {
        {"copyWithZone:", "@@:^v", value_copy},
        {"dealloc", "v@:", value_dealloc},
        {NULL},
};

#define NEW(cls) ABX_MSG(id, (Class, SEL), ABX_CLASS(cls), "new")
#define GET(type, o, selector) ABX_MSG(type, (id, SEL), o, selector)
#define SET(type, o, selector, value) ABX_MSG(void, (id, SEL, type), o, selector, value)
#define AT(o, i) ABX_MSG(id, (id, SEL, NSUInteger), o, "objectAtIndexedSubscript:", i)

static void defaults_and_bits(void)
{
    id heap = NEW(MTLHeapDescriptor), icb = NEW(MTLIndirectCommandBufferDescriptor);

    CHECK(GET(NSUInteger, heap, "storageMode") == MTLStorageModePrivate);
    SET(NSUInteger, heap, "setCpuCacheMode:", 1);
    SET(NSUInteger, heap, "setHazardTrackingMode:", MTLHazardTrackingModeTracked);
    SET(NSUInteger, heap, "setStorageMode:", MTLStorageModeManaged);
    CHECK(GET(NSUInteger, heap, "resourceOptions") == (1 | 1 << 4 | 2 << 8));
    SET(NSUInteger, heap, "setResourceOptions:", 0);
    CHECK(GET(NSUInteger, heap, "hazardTrackingMode") == 0);
    CHECK(GET(abx_objc_bool, icb, "inheritBuffers") == 1);
    SET(int, icb, "setInheritBuffers:", 0);
    CHECK(GET(abx_objc_bool, icb, "inheritBuffers") == 0);
    objc_release(heap);
    objc_release(icb);
}

static void math_mode(void)
{
    id options = NEW(MTLCompileOptions), copy;

    CHECK(GET(NSInteger, options, "mathMode") == MTLMathModeFast);
    CHECK(GET(abx_objc_bool, options, "fastMathEnabled") == 1);
    SET(int, options, "setFastMathEnabled:", 0);
    CHECK(GET(NSInteger, options, "mathMode") == MTLMathModeSafe);
    copy = GET(id, options, "copy");
    CHECK(copy != options && GET(NSInteger, copy, "mathMode") == MTLMathModeSafe);
    objc_release(options);
    objc_release(copy);
}

static void ownership(void)
{
    id pipeline = NEW(MTLComputePipelineDescriptor);
    id label = ABX_MSG(id, (Class, SEL), value_class, "new");
    id function = ABX_MSG(id, (Class, SEL), value_class, "new"), copy;

    copies = ends = 0;
    SET(id, pipeline, "setLabel:", label);              /* copied */
    SET(id, pipeline, "setComputeFunction:", function); /* retained */
    CHECK(copies == 1 && GET(id, pipeline, "label") != label);
    CHECK(GET(id, pipeline, "computeFunction") == function);
    objc_release(label);
    objc_release(function);
    CHECK(ends == 1); /* the label the caller had */
    copy = GET(id, pipeline, "copy");
    CHECK(copies == 2 && GET(id, copy, "computeFunction") == function);
    objc_release(pipeline);
    CHECK(ends == 2);
    ABX_MSG(void, (id, SEL), copy, "reset");
    CHECK(ends == 4 && GET(id, copy, "label") == NULL);
    objc_release(copy);
    CHECK(ends == 4);
}

static void arrays(void)
{
    id pipeline = NEW(MTLComputePipelineDescriptor), buffers = GET(id, pipeline, "buffers"), copy;

    CHECK(buffers && AT(buffers, 3) && AT(buffers, 3) == AT(buffers, 3));
    SET(NSUInteger, AT(buffers, 3), "setMutability:", MTLMutabilityImmutable);
    copy = GET(id, pipeline, "copy");
    SET(NSUInteger, AT(buffers, 3), "setMutability:", MTLMutabilityMutable);
    CHECK(GET(NSUInteger, AT(GET(id, copy, "buffers"), 3), "mutability") == MTLMutabilityImmutable);
    ABX_MSG(void, (id, SEL, id, NSUInteger), buffers, "setObject:atIndexedSubscript:", NULL, 3);
    CHECK(GET(NSUInteger, AT(buffers, 3), "mutability") == MTLMutabilityDefault);
    if (!setjmp(raised)) {
        AT(buffers, 31);
        CHECK(!"an index past the end must raise");
    }
    objc_release(pipeline);
    objc_release(copy);
}

/* A subclass keeps its superclass's values, and copies them. */
static void inheritance(void)
{
    id color = NEW(MTLRenderPassColorAttachmentDescriptor), copy;
    MTLClearColor red = {1, 0, 0, 1};

    SET(NSUInteger, color, "setLevel:", 3);
    SET(MTLClearColor, color, "setClearColor:", red);
    copy = GET(id, color, "copy");
    CHECK(object_getClass(copy) == ABX_CLASS(MTLRenderPassColorAttachmentDescriptor));
    CHECK(GET(NSUInteger, copy, "level") == 3);
    CHECK(ABX_MSG_STRET(MTLClearColor, (id, SEL), copy, "clearColor").red == 1);
    objc_release(color);
    objc_release(copy);
}

static void metadata(void)
{
    Method m = class_getInstanceMethod(
            ABX_CLASS(MTLComputePipelineDescriptor), sel_registerName("setLabel:"));

    CHECK(m && !strcmp(method_getTypeEncoding(m), "v24@0:8@16"));
    CHECK(objc_getProtocol("MTLComputeCommandEncoder") != NULL);
    CHECK(objc_getClass("MTLVisibleFunctionTableDescriptor") != NULL);
    CHECK(MTLLibraryErrorDomain &&
            !strcmp((const char *)MTLLibraryErrorDomain, "MTLLibraryErrorDomain"));
}

int main(int argc, char **argv)
{
    value_class = abx_objc_define_class(&(struct abx_objc_class_spec){.name = "GenTestValue",
            .superclass = ABX_CLASS(NSObject),
            .instance_methods = value_methods});
    const struct check_case cases[] = {
            CASE(defaults_and_bits),
            CASE(math_mode),
            CASE(ownership),
            CASE(arrays),
            CASE(inheritance),
            CASE(metadata),
    };
    return check_run(argc, argv, CHECK_SUITE(cases, .seconds = 20));
}
