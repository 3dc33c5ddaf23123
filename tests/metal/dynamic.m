/* Dynamic libraries: called by name from kernels and from each other, chosen when the library is
 * compiled or when the pipeline is made, kept in files; and files that are none, damaged, or miss what
 * they need. */
#include "program.h"
#include <unistd.h>

static NSString *folder;

static NSString *const kernel_source = @""
    "#include <metal_stdlib>\n"
    "extern float shade(float x);\n"
    "kernel void run(device float *x [[buffer(0)]], uint i [[thread_position_in_grid]])\n"
    "{ x[i] = shade(x[i]); }\n";

static id<MTLLibrary> dynamic_from(
        NSString *source, NSString *name, NSArray<id<MTLDynamicLibrary>> *libraries)
{
    MTLCompileOptions *o = [MTLCompileOptions new];
    o.libraryType = MTLLibraryTypeDynamic;
    o.installName = name;
    o.libraries = libraries;
    id<MTLLibrary> library = library_from(source, o);
    CHECK(library.type == MTLLibraryTypeDynamic && [library.installName isEqualToString:name]);
    return library;
}

static id<MTLDynamicLibrary> dynamic(
        NSString *source, NSString *name, NSArray<id<MTLDynamicLibrary>> *libraries)
{
    NSError *error = nil;
    id<MTLDynamicLibrary> d = [device newDynamicLibrary:dynamic_from(source, name, libraries)
                                                  error:&error];
    CHECK(d && !error && d.device == device && [d.installName isEqualToString:name]);
    return d;
}

static NSString *shade(int plus)
{
    return [NSString stringWithFormat:@"static float helper(float x) { return x + %d; }\n"
                                       "float shade(float x) { return helper(x); }\n"
                                       "float unused(float x) { return x; }\n",
            plus];
}

static float result(id<MTLComputePipelineState> state)
{
    id<MTLBuffer> x = [device newBufferWithBytes:(float[1]){5} length:4 options:0];
    CHECK_DONE(run(^(id<MTLComputeCommandEncoder> e) {
        [e setComputePipelineState:state];
        [e setBuffer:x offset:0 atIndex:0];
        [e dispatchThreads:MTLSizeMake(1, 1, 1) threadsPerThreadgroup:MTLSizeMake(1, 1, 1)];
    }));
    return ((float *)x.contents)[0];
}

static id<MTLLibrary> against(id<MTLDynamicLibrary> d)
{
    MTLCompileOptions *o = [MTLCompileOptions new];
    o.libraries = d ? @[ d ] : nil;
    id<MTLLibrary> library = library_from(kernel_source, o);
    CHECK(library.type == MTLLibraryTypeExecutable && !library.installName);
    return library;
}

static id<MTLComputePipelineState> preloading(NSArray<id<MTLDynamicLibrary>> *list, NSError **error)
{
    MTLComputePipelineDescriptor *d = [MTLComputePipelineDescriptor new];
    d.computeFunction = [against(nil) newFunctionWithName:@"run"];
    d.preloadedLibraries = list;
    return [device newComputePipelineStateWithDescriptor:d options:0 reflection:nil error:error];
}

static void test_linking(void)
{
    CHECK(device.supportsDynamicLibraries);
    id<MTLDynamicLibrary> one = dynamic(shade(1), @"/one", nil), two = dynamic(shade(2), @"/two", nil);
    CHECK(result(pipeline_of(against(one), @"run")) == 6);
    CHECK(result(pipeline_of(against(two), @"run")) == 7);
    NSError *error = nil;
    CHECK(result(preloading(@[ two ], &error)) == 7 && !error);
    CHECK(result(preloading(@[ one, two ], &error)) == 6 && !error); /* the first that has it */
    CHECK(!preloading(@[ dynamic(@"float other(float x) { return x; }", @"/other", nil) ], &error));
    CHECK([error.localizedDescription containsString:@"shade"]);
    error = nil;
    /* A library that needs a library. */
    NSString *outer = @"extern float inner(float x);\nfloat shade(float x) { return inner(x) * 2; }\n";
    id<MTLDynamicLibrary> inner = dynamic(@"float inner(float x) { return x + 10; }", @"/inner", nil);
    id<MTLDynamicLibrary> both = dynamic(outer, @"/outer", @[ inner ]);
    CHECK(result(pipeline_of(against(both), @"run")) == 30);
    CHECK(!preloading(@[ dynamic(outer, @"/alone", nil) ], &error));
    CHECK([error.localizedDescription containsString:@"inner"]);
}

static NSURL *at(NSString *name)
{
    return [NSURL fileURLWithPath:[folder stringByAppendingPathComponent:name]];
}

static void test_files(void)
{
    NSError *error = nil;
    NSString *outer = @"extern float inner(float x);\nfloat shade(float x) { return inner(x) * 3; }\n";
    id<MTLDynamicLibrary> inner =
            dynamic(@"float inner(float x) { return x + 1; }", @"@loader_path/inner.lib", nil);
    id<MTLDynamicLibrary> both = dynamic(outer, at(@"outer.lib").path, @[ inner ]);
    CHECK([inner serializeToURL:at(@"inner.lib") error:&error] && !error);
    CHECK([both serializeToURL:at(@"outer.lib") error:&error] && !error);
    id<MTLDynamicLibrary> loaded = [device newDynamicLibraryWithURL:at(@"outer.lib") error:&error];
    CHECK(loaded && !error && [loaded.installName isEqualToString:at(@"outer.lib").path]);
    CHECK(result(pipeline_of(against(loaded), @"run")) == 18);
    CHECK([loaded serializeToURL:at(@"again.lib") error:&error]);
    CHECK([[NSData dataWithContentsOfURL:at(@"again.lib")]
            isEqualToData:[NSData dataWithContentsOfURL:at(@"outer.lib")]]);
    CHECK([[NSFileManager defaultManager] removeItemAtPath:at(@"inner.lib").path error:nil]);
    CHECK(![device newDynamicLibraryWithURL:at(@"outer.lib") error:&error]);
    CHECK_ERROR(error, MTLDynamicLibraryDomain, MTLDynamicLibraryErrorDependencyLoadFailure, @"inner.lib");
    id<MTLDynamicLibrary> lost = dynamic(outer, @"/lost", @[ dynamic(@"float inner(float x) { return x; }", @"somewhere", nil) ]);
    CHECK([lost serializeToURL:at(@"lost.lib") error:&error]);
    CHECK(![device newDynamicLibraryWithURL:at(@"lost.lib") error:&error]);
    CHECK_ERROR(error, MTLDynamicLibraryDomain, MTLDynamicLibraryErrorUnresolvedInstallName, @"somewhere");
    /* One that needs itself ends. */
    id<MTLDynamicLibrary> self_ = dynamic(outer, @"/self", @[ dynamic(@"float inner(float x) { return x; }", @"@loader_path/self.lib", nil) ]);
    CHECK([self_ serializeToURL:at(@"self.lib") error:&error]);
    CHECK(![device newDynamicLibraryWithURL:at(@"self.lib") error:&error] && error);
}

static void test_damage(void)
{
    NSData *good = [NSData dataWithContentsOfURL:at(@"outer.lib")];
    CHECK(good.length > 100);
    for (NSUInteger i = 0; i < good.length; i++) {
        NSError *error = nil;
        NSMutableData *data = [good mutableCopy];
        ((uint8_t *)data.mutableBytes)[i] ^= 0x41;
        [data writeToURL:at(@"bad.lib") atomically:NO];
        CHECK(![device newDynamicLibraryWithURL:at(@"bad.lib") error:&error]);
        CHECK_ERROR(error, MTLDynamicLibraryDomain, MTLDynamicLibraryErrorInvalidFile, @"is invalid");
        data.length = i;
        [data writeToURL:at(@"bad.lib") atomically:NO];
        CHECK(![device newDynamicLibraryWithURL:at(@"bad.lib") error:NULL]);
    }
    NSError *error = nil;
    CHECK(![device newDynamicLibraryWithURL:at(@"absent") error:&error]);
    CHECK_ERROR(error, MTLDynamicLibraryDomain, MTLDynamicLibraryErrorInvalidFile, @"absent");
}

static void test_wrong(void)
{
    NSError *error = nil;
    MTLCompileOptions *o = [MTLCompileOptions new];
    o.libraryType = MTLLibraryTypeDynamic;
    CHECK(![device newLibraryWithSource:shade(1) options:o error:&error]);
    CHECK_ERROR(error, MTLLibraryErrorDomain, MTLLibraryErrorCompileFailure, @"installName");
    CHECK(![device newDynamicLibrary:against(nil) error:&error]);
    CHECK_ERROR(error, MTLDynamicLibraryDomain, MTLDynamicLibraryErrorUnsupported, @"MTLLibraryTypeDynamic");
    CHECK(!preloading(@[ (id) @"text" ], &error));
    CHECK_ERROR(error, MTLDynamicLibraryDomain, MTLDynamicLibraryErrorDependencyLoadFailure, @"no MTLDynamicLibrary");
    CHECK(![dynamic(shade(1), @"/one", nil) serializeToURL:[NSURL fileURLWithPath:@"/nowhere/lib"] error:&error]);
    CHECK_ERROR(error, MTLDynamicLibraryDomain, MTLDynamicLibraryErrorInvalidFile, @"/nowhere");
    /* Its errors are its own file's and line's. */
    o.installName = @"/bad";
    CHECK(![device newLibraryWithSource:@"float shade(float x)\n{ return y; }\n" options:o error:&error]);
    CHECK_ERROR(error, MTLLibraryErrorDomain, MTLLibraryErrorCompileFailure, @":2:10: error: use of undeclared identifier 'y'");
}

static void make_folder(void)
{
    char name[] = "/tmp/arcbox-dynamic.XXXXXX";
    CHECK(mkdtemp(name));
    folder = [NSString stringWithUTF8String:name];
}

static void tidy(void)
{
    [[NSFileManager defaultManager] removeItemAtPath:folder error:nil];
}

int main(void)
{
    static const struct test tests[] = {{"folder", make_folder}, {"linking", test_linking},
            {"files", test_files}, {"damage", test_damage}, {"wrong", test_wrong}, {"tidy", tidy}};
    return run_tests(tests, sizeof tests / sizeof *tests);
}
