/* #include in a library's source: files by their whole path, as Apple's compiler reads them, whose
 * names macros may make; and what such files include beside themselves. I/O Kit's entry of the
 * device. */
#include "program.h"

#include <IOKit/IOKitLib.h>

static char folder[] = "/tmp/arcbox-include-XXXXXX";

static NSString *put(const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    CHECK(file && fputs(text, file) >= 0 && fclose(file) == 0);
    return [NSString stringWithUTF8String:path];
}

static int value_of(id<MTLLibrary> library)
{
    id<MTLComputePipelineState> state = pipeline_of(library, @"value");
    id<MTLBuffer> out = [device newBufferWithLength:4 options:MTLResourceStorageModeShared];
    CHECK_DONE(run(^(id<MTLComputeCommandEncoder> e) {
      [e setComputePipelineState:state];
      [e setBuffer:out offset:0 atIndex:0];
      [e dispatchThreads:MTLSizeMake(1, 1, 1) threadsPerThreadgroup:MTLSizeMake(1, 1, 1)];
    }));
    return *(int *)out.contents;
}

#define KERNEL @"\nkernel void value(device int *out [[buffer(0)]]) { *out = VALUE; }\n"

/* A guarded file that is included twice, one that says once, one beside the file that names it, and
 * an end without a newline. */
static void files(void)
{
    put("guarded.h",
            "#ifndef GUARDED\n#define GUARDED\n#include \"beside.h\"\n#define ONE 1\n#endif");
    put("beside.h", "#pragma once\nconstant int beside = 40;\n");
    MTLCompileOptions *options = [MTLCompileOptions new];
    options.preprocessorMacros = @{
        @"XM2S(x)" : @"#x",
        @"M2S(x)" : @"XM2S(x)",
        @"FOLDER" : [NSString stringWithUTF8String:folder]
    };
    NSString *source = [@"#include <metal_stdlib>\n#include M2S(FOLDER/guarded.h)\n"
                        @"#include M2S(FOLDER/guarded.h)\n#include M2S(FOLDER/beside.h)\n"
                        @"#define VALUE (beside + ONE + 1)" stringByAppendingString:KERNEL];
    CHECK(value_of(library_from(source, options)) == 42);
    /* A file of another text is another library. */
    put("beside.h", "#pragma once\nconstant int beside = 50;\n");
    CHECK(value_of(library_from(source, options)) == 52);
}

/* What conditions leave out is not looked for, and a place that they leave out does not stand in
 * the way of one that they do not. */
static void conditions(void)
{
    put("nested.h", "#define NESTED 7\n");
    NSString *twice = put("twice.h", "#ifdef SECOND\n#include \"nested.h\"\n#endif\n");
    NSString *source = [NSString
            stringWithFormat:@"#if 0\n#include \"/nowhere/none.h\"\n#endif\n#include \"%@\"\n"
                             @"#define SECOND\n#include \\\n  \"%@\"\n#define VALUE NESTED%@",
            twice, twice, KERNEL];
    CHECK(value_of(library_from(source, nil)) == 7);
}

/* Complaints name the file and its line, and, behind it, the program's. */
static void complaints(void)
{
    NSError *error = nil;
    NSString *wrong = put("wrong.h", "int f()\n{ return undeclared; }\n");
    NSString *source = [NSString stringWithFormat:@"#include \"%@\"\n%@", wrong, KERNEL];
    CHECK(![device newLibraryWithSource:source options:nil error:&error]);
    NSString *place = [wrong stringByAppendingString:@":2:"];
    CHECK_ERROR(error, MTLLibraryErrorDomain, MTLLibraryErrorCompileFailure, place);
    NSString *empty = put("empty.h", "");
    source =
            [NSString stringWithFormat:@"#include \"%@\"\nint g() { return undeclared; }\n", empty];
    CHECK(![device newLibraryWithSource:source options:nil error:&error]);
    CHECK_ERROR(error, MTLLibraryErrorDomain, MTLLibraryErrorCompileFailure, @"program_source:2:");
}

/* Files that are not there, are no files, or have no whole path are not found; one that includes
 * itself ends. */
static void refused(void)
{
    NSError *error = nil;
    put("relative.h", "#define VALUE 1\n");
    NSArray *names = @[
        @"\"/nowhere/none.h\"", @"\"/dev/zero\"", @"\"/tmp\"", @"\"relative.h\"", @"<relative.h>"
    ];
    CHECK(chdir(folder) == 0);
    for (NSString *name in names) {
        NSString *source = [NSString stringWithFormat:@"#include %@%@", name, KERNEL];
        CHECK(![device newLibraryWithSource:source options:nil error:&error]);
        CHECK_ERROR(error, MTLLibraryErrorDomain, MTLLibraryErrorCompileFailure, @"file not found");
    }
}

static void registry(void)
{
    io_service_t service =
            IOServiceGetMatchingService(kIOMainPortDefault, IOServiceMatching("IOAccelerator"));
    CHECK(service && IOObjectConformsTo(service, "AGXAccelerator"));
    CFNumberRef cores = IORegistryEntryCreateCFProperty(
            service, CFSTR("gpu-core-count"), kCFAllocatorDefault, 0);
    int count = 0;
    CHECK(cores && CFNumberGetValue(cores, kCFNumberIntType, &count) && count > 0);
    CFRelease(cores);
    CHECK(!IORegistryEntryCreateCFProperty(service, CFSTR("none"), kCFAllocatorDefault, 0));
    io_connect_t connect = 0;
    CHECK(IOServiceOpen(service, mach_task_self(), 0, &connect) == kIOReturnUnsupported);
    io_iterator_t all = 0, none = 0;
    CHECK(IOServiceGetMatchingServices(0, IOServiceMatching("AGXAccelerator"), &all) ==
            kIOReturnSuccess);
    CHECK(IOServiceGetMatchingServices(0, IOServiceMatching("AppleSMC"), &none) ==
            kIOReturnSuccess);
    CHECK(IOIteratorNext(all) == service && !IOIteratorNext(all) && !IOIteratorNext(none));
    IOObjectRelease(all), IOObjectRelease(none), IOObjectRelease(service);
}

int main(void)
{
    @autoreleasepool {
        device = MTLCreateSystemDefaultDevice();
        queue = [device newCommandQueue];
        CHECK(mkdtemp(folder));
        files();
        conditions();
        complaints();
        refused();
        registry();
        NSString *made = [NSString stringWithUTF8String:folder];
        CHECK([[NSFileManager defaultManager] removeItemAtPath:made error:NULL]);
    }
    printf("ok\n");
    return 0;
}
