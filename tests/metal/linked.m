/* Visible functions: linked from other libraries, called by name and through tables, with constants
 * of their own, in argument buffers; numbers in a table that are no function's; wrong uses. */
#include "program.h"
#define ONE MTLSizeMake(1, 1, 1)

static NSString *const kernels = @""
    "#include <metal_stdlib>\n"
    "using namespace metal;\n"
    "using shade = float(float);\n"
    "struct Pair { float4 v; int n; };\n"
    "extern float adjust(float x);\n"
    "[[visible]] float local(float x) { return -x; }\n"
    "kernel void apply(device float *x [[buffer(0)]], visible_function_table<shade> t [[buffer(1)]],\n"
    "        uint i [[thread_position_in_grid]])\n"
    "{ x[i] = t[i % t.size()](x[i]); }\n"
    "kernel void by_name(device float *x [[buffer(0)]], uint i [[thread_position_in_grid]])\n"
    "{ x[i] = adjust(x[i]); }\n"
    "kernel void pairs(device Pair *p [[buffer(0)]],\n"
    "        visible_function_table<Pair(Pair, device int *)> t [[buffer(1)]],\n"
    "        device int *n [[buffer(2)]], uint i [[thread_position_in_grid]])\n"
    "{ p[i] = t[i](p[i], n); }\n"
    "struct Args { device float *x; visible_function_table<shade> t; };\n"
    "kernel void in_args(constant Args &a [[buffer(0)]], uint i [[thread_position_in_grid]])\n"
    "{ auto f = a.t[i]; if (f) a.x[i] = f(a.x[i]); else a.x[i] = -1; }\n"
    "struct Forge { device uint *words; };\n"
    "kernel void forge(constant Forge &f [[buffer(0)]], constant uint &n [[buffer(1)]])\n"
    "{ for (uint i = 0; i < n; i++) f.words[2 + i] = i * 0x10001 + 3; f.words[0] = 0xffffffff; }\n"
    "kernel void reduce(device float *x [[buffer(0)]], visible_function_table<shade> t [[buffer(1)]],\n"
    "        uint i [[thread_position_in_threadgroup]])\n"
    "{ threadgroup float s[64]; s[i] = t[0](x[i]); threadgroup_barrier(mem_flags::mem_threadgroup);\n"
    "  x[i] = simd_sum(t[1](s[63 - i])); }\n";
static NSString *const functions = @""
    "#include <metal_stdlib>\n"
    "using namespace metal;\n"
    "constant float power [[function_constant(0)]];\n"
    "constant float half_power = power / 2;\n"
    "struct Pair { float4 v; int n; };\n"
    "static float helper(float x) { return x + 0.5f; }\n"
    "[[visible]] float twice(float x) { return 2 * x; }\n"
    "[[visible]] float square(float x) { return x * x; }\n"
    "[[visible]] float next(float x) { return helper(x) + 0.5f; }\n"
    "[[visible]] float scaled(float x) { return 2 * x * half_power; }\n"
    "[[visible]] float adjust(float x) { return helper(x) * 10; }\n"
    "[[visible]] int integer(int x) { return x; }\n"
    "[[visible]] Pair swap(Pair p, device int *n) { n[p.n] = 7; p.v = p.v.wzyx; p.n = -p.n; return p; }\n"
    "[[visible]] Pair same(Pair p, device int *n) { return p; }\n";

static id<MTLLibrary> library, other;

static void make_libraries(void)
{
    library = library_from(kernels, nil);
    other = library_from(functions, nil);
    CHECK(device.supportsFunctionPointers);
    CHECK([other newFunctionWithName:@"twice"].functionType == MTLFunctionTypeVisible);
    CHECK([library newFunctionWithName:@"apply"].functionType == MTLFunctionTypeKernel);
}

static NSArray<id<MTLFunction>> *named(NSArray<NSString *> *names)
{
    NSMutableArray *result = [NSMutableArray new];
    for (NSString *name in names) {
        id<MTLFunction> f = [other newFunctionWithName:name];
        CHECK(f);
        [result addObject:f];
    }
    return result;
}

static id<MTLFunction> scaled(float by)
{
    MTLFunctionConstantValues *values = [MTLFunctionConstantValues new];
    [values setConstantValue:&by type:MTLDataTypeFloat atIndex:0];
    MTLFunctionDescriptor *d = [MTLFunctionDescriptor functionDescriptor];
    d.name = @"scaled";
    d.specializedName = [NSString stringWithFormat:@"scaled by %g", by];
    d.constantValues = values;
    d.options = MTLFunctionOptionCompileToBinary;
    NSError *error = nil;
    id<MTLFunction> f = [other newFunctionWithDescriptor:d error:&error];
    CHECK(f && !error);
    return f;
}

static id<MTLComputePipelineState> link_kernel(NSString *kernel, MTLLinkedFunctions *linked, NSError **error)
{
    MTLComputePipelineDescriptor *d = [MTLComputePipelineDescriptor new];
    d.computeFunction = [library newFunctionWithName:kernel];
    d.linkedFunctions = linked;
    d.supportAddingBinaryFunctions = YES;
    return [device newComputePipelineStateWithDescriptor:d options:0 reflection:nil error:error];
}

static id<MTLComputePipelineState> linked_with(NSString *kernel, NSArray<id<MTLFunction>> *list)
{
    MTLLinkedFunctions *l = [MTLLinkedFunctions linkedFunctions];
    l.functions = list;
    NSError *error = nil;
    id<MTLComputePipelineState> state = link_kernel(kernel, l, &error);
    if (!state)
        fprintf(stderr, "%s\n", error.localizedDescription.UTF8String);
    CHECK(state && !error);
    return state;
}

static id<MTLVisibleFunctionTable> table_of(
        id<MTLComputePipelineState> state, NSArray<id<MTLFunction>> *list)
{
    MTLVisibleFunctionTableDescriptor *d =
            [MTLVisibleFunctionTableDescriptor visibleFunctionTableDescriptor];
    d.functionCount = list.count;
    id<MTLVisibleFunctionTable> table = [state newVisibleFunctionTableWithDescriptor:d];
    CHECK(table && table.device == device && table.gpuResourceID._impl);
    for (NSUInteger i = 0; i < list.count; i++) {
        id<MTLFunctionHandle> handle = [state functionHandleWithFunction:list[i]];
        CHECK(handle && [handle.name isEqualToString:list[i].name] && handle.device == device);
        CHECK(handle.functionType == MTLFunctionTypeVisible);
        [table setFunction:handle atIndex:i];
    }
    return table;
}

static id<MTLBuffer> numbers(NSUInteger count)
{
    id<MTLBuffer> b = [device newBufferWithLength:4 * count options:0];
    for (NSUInteger i = 0; i < count; i++)
        ((float *)b.contents)[i] = (float)i;
    return b;
}

static id<MTLBuffer> apply(id<MTLComputePipelineState> state, id<MTLVisibleFunctionTable> table, NSUInteger n)
{
    id<MTLBuffer> x = numbers(n);
    CHECK_DONE(run(^(id<MTLComputeCommandEncoder> e) {
        [e setComputePipelineState:state];
        [e setBuffer:x offset:0 atIndex:0];
        [e setVisibleFunctionTable:table atBufferIndex:1];
        [e dispatchThreads:MTLSizeMake(n, 1, 1) threadsPerThreadgroup:MTLSizeMake(n, 1, 1)];
    }));
    return x;
}

static void test_tables(void)
{
    NSArray<id<MTLFunction>> *list = [named(@[ @"twice", @"square", @"next" ])
            arrayByAddingObjectsFromArray:@[
                scaled(5), scaled(7), [library newFunctionWithName:@"local"]
            ]];
    id<MTLComputePipelineState> state = linked_with(@"apply", list);
    id<MTLBuffer> x = apply(state, table_of(state, list), 12);
    const float *r = x.contents;
    for (int i = 0; i < 12; i++) {
        float v = (float)i;
        const float expected[] = {2 * v, v * v, v + 1, 5 * v, 7 * v, -v};
        CHECK(r[i] == expected[i % 6]);
    }
    /* The order of a table is its own; an entry never set, or set to nil, gives zeros. */
    id<MTLVisibleFunctionTable> turned = table_of(state, @[ list[3], list[1], list[0] ]);
    [turned setFunction:nil atIndex:1];
    r = (x = apply(state, turned, 3)).contents;
    CHECK(r[0] == 0 && r[1] == 0 && r[2] == 4);
    /* More, later. */
    NSError *error = nil;
    id<MTLComputePipelineState> more =
            [state newComputePipelineStateWithAdditionalBinaryFunctions:@[ scaled(9) ] error:&error];
    CHECK(more && !error);
    r = (x = apply(more, table_of(more, @[ list[0], scaled(9) ]), 4)).contents;
    CHECK(r[0] == 0 && r[1] == 9 && r[2] == 4 && r[3] == 27);
    /* Where threads meet, the functions are called in other code. */
    id<MTLComputePipelineState> meets = linked_with(@"reduce", list);
    x = apply(meets, table_of(meets, @[ list[0], list[2] ]), 64);
    CHECK(((float *)x.contents)[0] == 32 + 2 * (32 + 63) * 16);
    CHECK(((float *)x.contents)[63] == 32 + 2 * 31 * 16);
}

static void test_structures(void)
{
    struct pair {
        float v[4];
        int n;
    } __attribute__((aligned(16)));
    NSArray<id<MTLFunction>> *list = named(@[ @"swap", @"same" ]);
    id<MTLComputePipelineState> state = linked_with(@"pairs", list);
    id<MTLVisibleFunctionTable> table = table_of(state, list);
    struct pair in[2] = {{{1, 2, 3, 4}, 3}, {{5, 6, 7, 8}, 2}};
    id<MTLBuffer> p = [device newBufferWithBytes:in length:sizeof in options:0];
    id<MTLBuffer> n = [device newBufferWithLength:16 options:0];
    CHECK_DONE(run(^(id<MTLComputeCommandEncoder> e) {
        [e setComputePipelineState:state];
        [e setBuffer:p offset:0 atIndex:0];
        const id<MTLVisibleFunctionTable> tables[] = {table};
        [e setVisibleFunctionTables:tables withBufferRange:NSMakeRange(1, 1)];
        [e setBuffer:n offset:0 atIndex:2];
        [e dispatchThreads:MTLSizeMake(2, 1, 1) threadsPerThreadgroup:ONE];
    }));
    const struct pair *out = p.contents;
    CHECK(out[0].v[0] == 4 && out[0].v[3] == 1 && out[0].n == -3 && ((int *)n.contents)[3] == 7);
    CHECK(out[1].v[0] == 5 && out[1].n == 2);
    MTLComputePipelineReflection *r = state.reflection;
    CHECK(r.bindings[1].type == MTLBindingTypeVisibleFunctionTable && r.bindings[1].index == 1);
}

static void test_names(void)
{
    NSError *error = nil;
    id<MTLComputePipelineState> lacks = link_kernel(@"by_name", nil, &error);
    CHECK(!lacks && [error.localizedDescription containsString:@"undefined function"]);
    error = nil;
    MTLLinkedFunctions *l = [MTLLinkedFunctions linkedFunctions];
    l.privateFunctions = named(@[ @"adjust" ]);
    l.binaryFunctions = named(@[ @"twice" ]);
    id<MTLComputePipelineState> state = link_kernel(@"by_name", l, &error);
    CHECK(state);
    id<MTLBuffer> x = apply(state, nil, 4);
    CHECK(((float *)x.contents)[3] == 35);
    CHECK(![state functionHandleWithFunction:l.privateFunctions[0]]);
    CHECK([state functionHandleWithFunction:l.binaryFunctions[0]]);
    CHECK(![state functionHandleWithFunction:[other newFunctionWithName:@"square"]]);
    l.privateFunctions = nil;
    error = nil;
    CHECK(!link_kernel(@"by_name", l, &error));
    CHECK([error.localizedDescription containsString:@"adjust"]);
}

static void test_arguments(void)
{
    NSArray<id<MTLFunction>> *list = named(@[ @"twice", @"square" ]);
    id<MTLComputePipelineState> state = linked_with(@"in_args", list);
    MTLVisibleFunctionTableDescriptor *d = [MTLVisibleFunctionTableDescriptor new];
    d.functionCount = 4;
    id<MTLVisibleFunctionTable> table = [state newVisibleFunctionTableWithDescriptor:d];
    const id<MTLFunctionHandle> handles[] = {[state functionHandleWithFunction:list[0]],
            [state functionHandleWithFunction:list[1]]};
    [table setFunctions:handles withRange:NSMakeRange(1, 2)];
    id<MTLBuffer> x = numbers(5);
    id<MTLArgumentEncoder> encoder =
            [[library newFunctionWithName:@"in_args"] newArgumentEncoderWithBufferIndex:0];
    id<MTLBuffer> args = [device newBufferWithLength:encoder.encodedLength options:0];
    [encoder setArgumentBuffer:args offset:0];
    [encoder setBuffer:x offset:0 atIndex:0];
    [encoder setVisibleFunctionTable:table atIndex:1];
    CHECK(((uint64_t *)args.contents)[1] == table.gpuResourceID._impl);
    CHECK_DONE(run(^(id<MTLComputeCommandEncoder> e) {
        [e setComputePipelineState:state];
        [e setBuffer:args offset:0 atIndex:0];
        [e useResource:x usage:MTLResourceUsageRead | MTLResourceUsageWrite];
        [e useResource:table usage:MTLResourceUsageRead];
        [e dispatchThreads:MTLSizeMake(5, 1, 1) threadsPerThreadgroup:MTLSizeMake(5, 1, 1)];
    }));
    const float *r = x.contents;
    CHECK(r[0] == -1 && r[1] == 2 && r[2] == 4 && r[3] == -1 && r[4] == -1);
}

/* Whatever numbers stand in a table's memory: no function, zeros. */
static void test_forged(void)
{
    enum { N = 40 };
    NSArray<id<MTLFunction>> *list = [named(@[ @"twice", @"integer" ])
            arrayByAddingObject:[library newFunctionWithName:@"local"]];
    id<MTLComputePipelineState> state = linked_with(@"apply", list);
    MTLVisibleFunctionTableDescriptor *d = [MTLVisibleFunctionTableDescriptor new];
    d.functionCount = N;
    id<MTLVisibleFunctionTable> table = [state newVisibleFunctionTableWithDescriptor:d];
    /* A function of another type than the table's, by its own handle. */
    [table setFunction:[state functionHandleWithFunction:list[1]] atIndex:0];
    id<MTLBuffer> x = apply(state, table, N);
    for (int i = 0; i < N; i++)
        CHECK(((float *)x.contents)[i] == 0);
    CHECK_DONE(run(^(id<MTLComputeCommandEncoder> e) {
        uint64_t at = table.gpuResourceID._impl;
        [e setComputePipelineState:pipeline_of(library, @"forge")];
        [e setBytes:&at length:8 atIndex:0];
        [e setBytes:&(uint32_t){N} length:4 atIndex:1];
        [e useResource:table usage:MTLResourceUsageWrite];
        [e dispatchThreads:ONE threadsPerThreadgroup:ONE];
    }));
    x = apply(state, table, N);
    for (int i = 0; i < N; i++) /* number 3, that of local(), is in the first place */
        CHECK(((float *)x.contents)[i] == 0);
    /* No table at all. */
    x = apply(state, nil, 4);
    for (int i = 0; i < 4; i++)
        CHECK(((float *)x.contents)[i] == 0);
}

static void test_wrong(void)
{
    NSError *error = nil;
    MTLLinkedFunctions *l = [MTLLinkedFunctions linkedFunctions];
    l.functions = @[ [library newFunctionWithName:@"by_name"] ];
    CHECK(!link_kernel(@"apply", l, &error));
    CHECK([error.localizedDescription containsString:@"by_name is not a visible function"]);
    error = nil;
    l.functions = @[ (id) @"text" ];
    CHECK(!link_kernel(@"apply", l, &error) && error);
    error = nil;
    l.functions = named(@[ @"twice" ]);
    l.groups = @{@"g" : named(@[ @"square" ])};
    CHECK(!link_kernel(@"apply", l, &error));
    CHECK([error.localizedDescription containsString:@"the group \"g\""]);
    error = nil;
    l.groups = @{@"g" : l.functions};
    CHECK(link_kernel(@"apply", l, &error) && !error);
    CHECK(![device newComputePipelineStateWithFunction:l.functions[0] error:&error] && error);
    error = nil;
    l.functions = @[ [other newFunctionWithName:@"scaled"] ]; /* without its constant */
    l.groups = nil;
    CHECK(!link_kernel(@"apply", l, &error) && [error.localizedDescription containsString:@"power"]);
    NSMutableArray *many = [NSMutableArray new];
    for (int i = 0; i < 129; i++)
        [many addObject:scaled((float)i)];
    l.functions = many;
    error = nil;
    CHECK(!link_kernel(@"apply", l, &error) && [error.localizedDescription containsString:@"at most 128"]);

    NSArray<id<MTLFunction>> *list = named(@[ @"twice" ]);
    id<MTLComputePipelineState> state = linked_with(@"apply", list), second = linked_with(@"apply", list);
    MTLVisibleFunctionTableDescriptor *d = [MTLVisibleFunctionTableDescriptor new];
    CHECK(![state newVisibleFunctionTableWithDescriptor:d]);
    d.functionCount = 2;
    id<MTLVisibleFunctionTable> table = [state newVisibleFunctionTableWithDescriptor:d];
    [table setFunction:[state functionHandleWithFunction:list[0]] atIndex:2];
    [table setFunction:[second functionHandleWithFunction:list[0]] atIndex:0];
    [table setFunction:(id)@"text" atIndex:0];
    CHECK(((float *)apply(state, table, 2).contents)[1] == 0);
    id<MTLCommandBuffer> commands = run(^(id<MTLComputeCommandEncoder> e) {
        [e setComputePipelineState:state];
        [e setVisibleFunctionTable:(id)list[0] atBufferIndex:1];
    });
    CHECK([commands.error.localizedDescription containsString:@"not a function table"]);
    commands = run(^(id<MTLComputeCommandEncoder> e) {
        [e setComputePipelineState:state];
        [e setVisibleFunctionTable:table atBufferIndex:31];
    });
    CHECK([commands.error.localizedDescription containsString:@"index 31"]);
    /* Templates cannot be visible; ray tracing and stitching are refused by name. */
    NSString *const refused[][2] = {{@"template <class T> [[visible]] T f(T x) { return x; }", @"must not be a template"},
            {@"[[stitchable]] float f(float x) { return x; }", @"stitchable"},
            {@"[[intersection(triangle)]] bool f(float x [[distance]]) { return true; }", @"ray tracing"}};
    for (int i = 0; i < 3; i++) {
        error = nil;
        CHECK(![device newLibraryWithSource:refused[i][0] options:nil error:&error]);
        CHECK([error.localizedDescription containsString:refused[i][1]]);
    }
}

/* An archive knows what a pipeline was linked with. */
static void test_archive(void)
{
    NSError *error = nil;
    id<MTLBinaryArchive> archive =
            [device newBinaryArchiveWithDescriptor:[MTLBinaryArchiveDescriptor new] error:&error];
    MTLComputePipelineDescriptor *d = [MTLComputePipelineDescriptor new];
    d.computeFunction = [library newFunctionWithName:@"apply"];
    d.linkedFunctions = [MTLLinkedFunctions linkedFunctions];
    d.linkedFunctions.functions = @[ scaled(2) ];
    CHECK([archive addComputePipelineFunctionsWithDescriptor:d error:&error] && !error);
    d.binaryArchives = @[ archive ];
    CHECK([device newComputePipelineStateWithDescriptor:d options:MTLPipelineOptionFailOnBinaryArchiveMiss
                                             reflection:nil error:&error] && !error);
    d.linkedFunctions.functions = @[ scaled(3) ];
    CHECK(![device newComputePipelineStateWithDescriptor:d options:MTLPipelineOptionFailOnBinaryArchiveMiss
                                              reflection:nil error:&error]);
    CHECK_ERROR(error, MTLBinaryArchiveDomain, MTLBinaryArchiveErrorCompilationFailure, @"apply");
    MTLFunctionDescriptor *f = [MTLFunctionDescriptor functionDescriptor];
    f.name = @"twice";
    CHECK([archive addFunctionWithDescriptor:f library:other error:&error] && !error);
    f.options = MTLFunctionOptionFailOnBinaryArchiveMiss;
    f.binaryArchives = @[ archive ];
    CHECK([other newFunctionWithDescriptor:f error:&error] && !error);
    f.name = @"square";
    CHECK(![other newFunctionWithDescriptor:f error:&error] && error);
}

int main(void)
{
    static const struct test tests[] = {{"libraries", make_libraries}, {"tables", test_tables},
            {"structures", test_structures}, {"names", test_names}, {"arguments", test_arguments},
            {"forged", test_forged}, {"wrong", test_wrong}, {"archive", test_archive}};
    return run_tests(tests, sizeof tests / sizeof *tests);
}
