/* Argument buffers: encoders made from a function and from descriptors, pointers to pointers, arrays
 * of pointers, structures in structures, addresses written by hand; and what reflection says. */
#include "program.h"

static NSString *const source = @""
    "#include <metal_stdlib>\n"
    "using namespace metal;\n"
    "struct Range { uint first, count; };\n"
    "struct Inner { device float *data; float scale; };\n"
    "struct Args {\n"
    "    device const float *a [[id(0)]];\n"
    "    array<device const float *, 3> rows [[id(4)]];\n"
    "    float factor [[id(10)]];\n"
    "    Range range [[id(20)]];\n"
    "    Inner inner[2] [[id(30)]];\n"
    "    device Inner *next [[id(40)]];\n"
    "};\n"
    "kernel void everything(constant Args &args [[buffer(1)]], device float *out [[buffer(0)]])\n"
    "{\n"
    "    float s = 0;\n"
    "    for (uint i = args.range.first; i < args.range.first + args.range.count; i++)\n"
    "        s += args.a[i] * args.factor;\n"
    "    out[0] = s;\n"
    "    for (int i = 0; i < 3; i++) out[1 + i] = args.rows[i][i];\n"
    "    for (int i = 0; i < 2; i++) out[4 + i] = args.inner[i].data[0] * args.inner[i].scale;\n"
    "    out[6] = args.next->data[1] * args.next->scale;\n"
    "    args.next->data[2] = 77;\n"
    "}\n"
    "typedef struct { float x; packed_float3 p; half4 h; bool b; ulong n[5]; } Plain;\n"
    "kernel void plain(device Plain *p [[buffer(3)]], constant float2x2 &m [[buffer(5)]],\n"
    "        threadgroup float4 *t [[threadgroup(2)]], uint i [[thread_position_in_grid]])\n"
    "{ t[0] = m[0].x; p[i].x = t[0].x; }\n"
    "kernel void chase(device float *device *table [[buffer(0)]], device float *out [[buffer(1)]],\n"
    "        constant uint &n [[buffer(2)]], uint i [[thread_position_in_grid]])\n"
    "{ out[i] = table[i % n][i]; }\n"
    "struct List { float value; device List *next; };\n"
    "kernel void walk(device List *list [[buffer(0)]], device float *out [[buffer(1)]])\n"
    "{ float s = 0; for (device List *l = list; l; l = l->next) s += l->value; *out = s; }\n"
    "struct Bits { uint low : 4; uint high : 28; };\n"
    "kernel void bits(constant Bits &b [[buffer(0)]], device uint *out [[buffer(1)]])\n"
    "{ *out = b.high; }\n";

static id<MTLLibrary> library;

static void make_library(void)
{
    library = library_from(source, nil);
    CHECK(device.argumentBuffersSupport == MTLArgumentBuffersTier2);
}

static id<MTLBuffer> floats(NSUInteger count, float start, id<MTLHeap> heap)
{
    id<MTLBuffer> b = heap ? [heap newBufferWithLength:4 * count options:0]
                           : [device newBufferWithLength:4 * count options:0];
    CHECK(b);
    for (NSUInteger i = 0; i < count; i++)
        ((float *)b.contents)[i] = start + (float)i;
    return b;
}

static void test_function(void)
{
    id<MTLArgumentEncoder> e = [[library newFunctionWithName:@"everything"] newArgumentEncoderWithBufferIndex:1];
    CHECK(e && e.encodedLength == 88 && e.alignment >= 8 && e.device == device);
    id<MTLBuffer> args = [device newBufferWithLength:e.encodedLength + 256 options:0];
    id<MTLBuffer> a = floats(8, 1, nil), out = floats(8, 0, nil);
    static id<MTLBuffer> rows[3], inner[2]; /* blocks cannot hold arrays */
    [e setArgumentBuffer:args offset:256];
    [e setBuffer:a offset:4 atIndex:0];
    for (NSUInteger i = 0; i < 3; i++)
        rows[i] = floats(4, 100 * (float)(i + 1), nil);
    [e setBuffers:rows offsets:(NSUInteger[3]){0, 0, 0} withRange:NSMakeRange(4, 3)];
    *(float *)[e constantDataAtIndex:10] = 2;
    *(uint32_t *)[e constantDataAtIndex:20] = 1;
    *(uint32_t *)[e constantDataAtIndex:21] = 3;
    for (NSUInteger i = 0; i < 2; i++) {
        inner[i] = floats(4, (float)(i + 5), nil);
        [e setBuffer:inner[i] offset:0 atIndex:30 + 2 * i];
        *(float *)[e constantDataAtIndex:31 + 2 * i] = 10;
    }
    id<MTLArgumentEncoder> next = [e newArgumentEncoderForBufferAtIndex:40];
    CHECK(next && next.encodedLength == 16);
    id<MTLBuffer> nested = [device newBufferWithLength:next.encodedLength options:0];
    id<MTLBuffer> last = floats(4, 50, nil);
    [next setArgumentBuffer:nested offset:0];
    [next setBuffer:last offset:0 atIndex:0];
    *(float *)[next constantDataAtIndex:1] = 3;
    [e setBuffer:nested offset:0 atIndex:40];
    /* Wrong: they say so and write nothing. */
    NSData *before = [NSData dataWithBytes:args.contents length:args.length];
    CHECK(![e constantDataAtIndex:0] && ![e constantDataAtIndex:11] && ![e constantDataAtIndex:30]);
    [e setBuffer:a offset:0 atIndex:10];
    [e setBuffer:a offset:0 atIndex:7];
    [e setBuffer:a offset:0 atIndex:41];
    [e setBuffer:a offset:1000 atIndex:0];
    CHECK(![e newArgumentEncoderForBufferAtIndex:0] && ![e newArgumentEncoderForBufferAtIndex:10]);
    CHECK([before isEqualToData:[NSData dataWithBytes:args.contents length:args.length]]);
    CHECK_DONE(run(^(id<MTLComputeCommandEncoder> c) {
        [c setComputePipelineState:pipeline_of(library, @"everything")];
        [c setBuffer:out offset:0 atIndex:0];
        [c setBuffer:args offset:256 atIndex:1];
        [c useResource:a usage:MTLResourceUsageRead];
        [c useResource:last usage:MTLResourceUsageRead | MTLResourceUsageWrite];
        [c useResources:rows count:3 usage:MTLResourceUsageRead];
        [c useResources:inner count:2 usage:MTLResourceUsageRead];
        [c useResource:nested usage:MTLResourceUsageRead];
        [c dispatchThreads:MTLSizeMake(1, 1, 1) threadsPerThreadgroup:MTLSizeMake(1, 1, 1)];
    }));
    const float *o = out.contents;
    CHECK(o[0] == 2 * (3 + 4 + 5));
    CHECK(o[1] == 100 && o[2] == 201 && o[3] == 302);
    CHECK(o[4] == 50 && o[5] == 60 && o[6] == 153);
    CHECK(((float *)last.contents)[2] == 77);
}

static void test_descriptors(void)
{
    NSMutableArray *list = [NSMutableArray new];
    for (NSUInteger i = 0; i < 3; i++) {
        MTLArgumentDescriptor *d = [MTLArgumentDescriptor argumentDescriptor];
        d.index = i < 2 ? i : 3;
        d.dataType = i == 1 ? MTLDataTypeFloat3 : MTLDataTypePointer;
        d.access = MTLBindingAccessReadWrite;
        d.arrayLength = i == 2 ? 4 : 0;
        [list addObject:d];
    }
    id<MTLArgumentEncoder> e = [device newArgumentEncoderWithArguments:list];
    CHECK(e && e.encodedLength == 64 && e.alignment == 16);
    id<MTLBuffer> args = [device newBufferWithLength:2 * e.encodedLength options:0];
    id<MTLBuffer> a = floats(4, 0, nil);
    [e setArgumentBuffer:args startOffset:0 arrayElement:1];
    [e setBuffer:a offset:8 atIndex:0];
    [e setBuffer:a offset:4 atIndex:6];
    memcpy([e constantDataAtIndex:1], (float[3]){1, 2, 3}, 12);
    const uint64_t *words = (const uint64_t *)args.contents + 8;
    CHECK(words[0] == a.gpuAddress + 8 && words[7] == a.gpuAddress + 4 && words[4] == 0);
    CHECK(((const float *)words)[6] == 3);
    [e setBuffer:nil offset:0 atIndex:6];
    CHECK(words[7] == 0);
    MTLArgumentDescriptor *same = [MTLArgumentDescriptor argumentDescriptor];
    same.dataType = MTLDataTypeFloat;
    same.index = 5;
    [list addObject:same];
    CHECK(![device newArgumentEncoderWithArguments:list]);
    same.index = 9;
    same.dataType = MTLDataTypeTexture;
    CHECK(![device newArgumentEncoderWithArguments:list]);
    CHECK(![device newArgumentEncoderWithArguments:@[]]);
    [e setArgumentBuffer:args offset:args.length - 4];
    CHECK(![e constantDataAtIndex:1]);
}

/* Tables of addresses the program writes itself, over buffers of a heap and a residency set. */
static void test_addresses(void)
{
    enum { N = 5, I = 40 };
    MTLHeapDescriptor *d = [MTLHeapDescriptor new];
    d.size = 1 << 20;
    d.storageMode = MTLStorageModeShared;
    id<MTLHeap> heap = [device newHeapWithDescriptor:d];
    NSError *error = nil;
    id<MTLResidencySet> set = [device newResidencySetWithDescriptor:[MTLResidencySetDescriptor new]
                                                              error:&error];
    id<MTLBuffer> rows[N], table = [device newBufferWithLength:8 * N options:0], out = floats(I, 0, nil);
    for (int i = 0; i < N; i++) {
        rows[i] = floats(I, 1000 * (float)i, i % 2 ? heap : nil);
        ((uint64_t *)table.contents)[i] = rows[i].gpuAddress;
        if (i % 2 == 0)
            [set addAllocation:rows[i]];
    }
    [set commit];
    [queue addResidencySet:set];
    CHECK_DONE(run(^(id<MTLComputeCommandEncoder> c) {
        [c useHeap:heap];
        [c setComputePipelineState:pipeline_of(library, @"chase")];
        [c setBuffer:table offset:0 atIndex:0];
        [c setBuffer:out offset:0 atIndex:1];
        [c setBytes:&(uint32_t){N} length:4 atIndex:2];
        [c dispatchThreads:MTLSizeMake(I, 1, 1) threadsPerThreadgroup:MTLSizeMake(I, 1, 1)];
    }));
    [queue removeResidencySet:set];
    for (int i = 0; i < I; i++)
        CHECK(((float *)out.contents)[i] == (float)(1000 * (i % N) + i));
    /* A list through three buffers. */
    struct node {
        float value;
        uint64_t next;
    };
    static id<MTLBuffer> nodes[3];
    uint64_t next = 0;
    for (int i = 0; i < 3; i++) {
        struct node n = {(float)(i + 1), next};
        nodes[i] = [device newBufferWithBytes:&n length:sizeof n options:0];
        next = nodes[i].gpuAddress;
    }
    CHECK_DONE(run(^(id<MTLComputeCommandEncoder> c) {
        [c useResources:nodes count:3 usage:MTLResourceUsageRead];
        [c setComputePipelineState:pipeline_of(library, @"walk")];
        [c setBuffer:nodes[2] offset:0 atIndex:0];
        [c setBuffer:out offset:0 atIndex:1];
        [c dispatchThreads:MTLSizeMake(1, 1, 1) threadsPerThreadgroup:MTLSizeMake(1, 1, 1)];
    }));
    CHECK(((float *)out.contents)[0] == 6);
}

static id<MTLBufferBinding> binding_of(NSString *function, NSUInteger index, MTLBindingType type)
{
    for (id<MTLBinding> b in pipeline_of(library, function).reflection.bindings)
        if (b.index == index && b.type == type)
            return (id<MTLBufferBinding>)b;
    CHECK(!"no such binding");
    return nil;
}

static void test_reflection(void)
{
    /* Also without a pipeline. */
    NSArray<id<MTLBinding>> *all = [library reflectionForFunctionWithName:@"everything"].bindings;
    CHECK(all.count == pipeline_of(library, @"everything").reflection.bindings.count && all.count > 1);
    CHECK([all[1].name isEqualToString:pipeline_of(library, @"everything").reflection.bindings[1].name]);
    CHECK(![library reflectionForFunctionWithName:@"nobody"]);
    id<MTLBufferBinding> b = binding_of(@"everything", 1, MTLBindingTypeBuffer);
    MTLStructType *s = b.bufferStructType;
    CHECK(s && s.dataType == MTLDataTypeStruct && s.members.count == 6);
    CHECK(b.bufferDataType == MTLDataTypeStruct && b.bufferDataSize == 88 && b.access == MTLBindingAccessReadOnly);
    CHECK([s memberByName:@"a"].dataType == MTLDataTypePointer && ![s memberByName:@"none"]);
    CHECK([s memberByName:@"a"].pointerType.elementType == MTLDataTypeFloat);
    CHECK([s memberByName:@"a"].pointerType.access == MTLBindingAccessReadOnly);
    MTLStructMember *rows = [s memberByName:@"rows"];
    CHECK(rows.arrayType.arrayLength == 3 && rows.arrayType.elementType == MTLDataTypePointer);
    CHECK(rows.argumentIndex == 4 && rows.offset == 8 && rows.arrayType.argumentIndexStride == 1);
    MTLStructMember *inner = [s memberByName:@"inner"];
    CHECK(inner.argumentIndex == 30 && inner.arrayType.elementType == MTLDataTypeStruct);
    CHECK(inner.arrayType.stride == 16 && inner.arrayType.argumentIndexStride == 2);
    CHECK([inner.arrayType.elementStructType memberByName:@"scale"].offset == 8);
    MTLPointerType *next = [s memberByName:@"next"].pointerType;
    CHECK(next.elementType == MTLDataTypeStruct && next.elementIsArgumentBuffer && next.dataSize == 16);
    CHECK(next.access == MTLBindingAccessReadWrite && next.elementStructType.members.count == 2);
    CHECK(b.bufferPointerType.elementIsArgumentBuffer);

    s = binding_of(@"plain", 3, MTLBindingTypeBuffer).bufferStructType;
    static const struct {
        const char *name;
        NSUInteger offset, type;
    } members[] = {{"x", 0, MTLDataTypeFloat}, {"p", 4, MTLDataTypeFloat3}, {"h", 16, MTLDataTypeHalf4},
            {"b", 24, MTLDataTypeBool}, {"n", 32, MTLDataTypeArray}};
    CHECK(s.members.count == 5);
    for (NSUInteger i = 0; i < 5; i++) {
        CHECK([s.members[i].name isEqualToString:[NSString stringWithUTF8String:members[i].name]]);
        CHECK(s.members[i].offset == members[i].offset && s.members[i].dataType == members[i].type);
        CHECK(s.members[i].argumentIndex == i);
    }
    CHECK(s.members[4].arrayType.elementType == MTLDataTypeULong && s.members[4].arrayType.arrayLength == 5);
    b = binding_of(@"plain", 5, MTLBindingTypeBuffer);
    CHECK(b.bufferDataType == MTLDataTypeFloat2x2 && !b.bufferStructType);
    CHECK(b.bufferPointerType.elementType == MTLDataTypeFloat2x2 && b.bufferPointerType.alignment == 8);
    id<MTLThreadgroupBinding> t = (id)binding_of(@"plain", 2, MTLBindingTypeThreadgroupMemory);
    CHECK(t.threadgroupMemoryDataSize == 16 && t.threadgroupMemoryAlignment == 16);
    /* It has no end; what is told of it has. */
    s = binding_of(@"walk", 0, MTLBindingTypeBuffer).bufferStructType;
    NSUInteger depth = 0;
    for (; s; depth++)
        s = [s memberByName:@"next"].pointerType.elementStructType;
    CHECK(depth >= 2 && depth < 10);
    CHECK(binding_of(@"bits", 0, MTLBindingTypeBuffer).bufferStructType.members.count == 0);
    id<MTLComputePipelineState> state = pipeline_of(library, @"plain");
    CHECK(state.threadExecutionWidth == 32 && state.maxTotalThreadsPerThreadgroup == 1024);
}

/* An encoder from a binding is the function's. */
static void test_binding(void)
{
    id<MTLBufferBinding> b = binding_of(@"everything", 1, MTLBindingTypeBuffer);
    id<MTLArgumentEncoder> e = [device newArgumentEncoderWithBufferBinding:b];
    id<MTLBuffer> args = [device newBufferWithLength:e.encodedLength options:0];
    [e setArgumentBuffer:args offset:0];
    CHECK(e.encodedLength == 88);
    CHECK((char *)[e constantDataAtIndex:10] - (char *)args.contents == 32);
    CHECK(![device newArgumentEncoderWithBufferBinding:(id)@"no binding"]);
    CHECK(![[library newFunctionWithName:@"everything"] newArgumentEncoderWithBufferIndex:2]);
}

int main(void)
{
    static const struct test tests[] = {{"library", make_library}, {"function", test_function},
            {"descriptors", test_descriptors}, {"addresses", test_addresses},
            {"reflection", test_reflection}, {"binding", test_binding}};
    return run_tests(tests, sizeof tests / sizeof *tests);
}
