/* arcbox-kernel-check: a Metal program in plain C, as `arcbox doctor` runs it in a container. Finds
 * the libraries as any program would, runs one kernel, compares every result, prints the device.
 * Runs inside the container. */
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define COUNT 4096u

typedef void *id;
typedef struct {
    unsigned long width, height, depth;
} size3;

static void *message; /* objc_msgSend, cast at each use to the called method's type */
static id (*get_class)(const char *);
static void *(*get_selector)(const char *);

#define SEND(type, ...) ((type(*)(id, void *, ##__VA_ARGS__))message)
#define SEL(name) get_selector(name)

static const char source[] = "#include <metal_stdlib>\n"
                             "using namespace metal;\n"
                             "kernel void add(device const uint *a [[buffer(0)]],\n"
                             "                device const uint *b [[buffer(1)]],\n"
                             "                device uint *sum [[buffer(2)]],\n"
                             "                uint i [[thread_position_in_grid]])\n"
                             "{\n"
                             "    sum[i] = a[i] + b[i];\n"
                             "}\n";

static int fail(const char *what, id error)
{
    id text = error ? SEND(id)(error, SEL("localizedDescription")) : NULL;
    printf("%s%s%s\n", what, text ? ": " : "",
            text ? SEND(const char *)(text, SEL("UTF8String")) : "");
    return 1;
}

static id string(const char *text)
{
    return SEND(id, const char *)(get_class("NSString"), SEL("stringWithUTF8String:"), text);
}

static id make_pipeline(id device, id *error)
{
    id library = SEND(id, id, id, id *)(
            device, SEL("newLibraryWithSource:options:error:"), string(source), NULL, error);
    id function =
            library ? SEND(id, id)(library, SEL("newFunctionWithName:"), string("add")) : NULL;
    return function ? SEND(id, id, id *)(device, SEL("newComputePipelineStateWithFunction:error:"),
                              function, error)
                    : NULL;
}

static int run(id device)
{
    id error = NULL, pipeline = make_pipeline(device, &error), buffers[3];
    if (!pipeline)
        return fail("the kernel does not compile", error);
    for (int i = 0; i < 3; i++) {
        buffers[i] = SEND(id, unsigned long, unsigned long)(
                device, SEL("newBufferWithLength:options:"), COUNT * sizeof(uint32_t), 0);
        if (!buffers[i])
            return fail("no memory for a buffer", NULL);
    }
    uint32_t *a = SEND(void *)(buffers[0], SEL("contents")),
             *b = SEND(void *)(buffers[1], SEL("contents")),
             *sum = SEND(void *)(buffers[2], SEL("contents"));
    for (uint32_t i = 0; i < COUNT; i++) {
        a[i] = i * 2654435761u;
        b[i] = ~i;
    }
    id queue = SEND(id)(device, SEL("newCommandQueue"));
    id commands = SEND(id)(queue, SEL("commandBuffer"));
    id encoder = SEND(id)(commands, SEL("computeCommandEncoder"));
    SEND(void, id)(encoder, SEL("setComputePipelineState:"), pipeline);
    for (unsigned long i = 0; i < 3; i++)
        SEND(void, id, unsigned long, unsigned long)(
                encoder, SEL("setBuffer:offset:atIndex:"), buffers[i], 0, i);
    SEND(void, size3, size3)(encoder, SEL("dispatchThreads:threadsPerThreadgroup:"),
            (size3){COUNT, 1, 1}, (size3){64, 1, 1});
    SEND(void)(encoder, SEL("endEncoding"));
    SEND(void)(commands, SEL("commit"));
    SEND(void)(commands, SEL("waitUntilCompleted"));
    error = SEND(id)(commands, SEL("error"));
    if (error)
        return fail("the command buffer failed", error);
    for (uint32_t i = 0; i < COUNT; i++)
        if (sum[i] != a[i] + b[i]) {
            printf("wrong result at %u: %u instead of %u\n", i, sum[i], a[i] + b[i]);
            return 1;
        }
    printf("%u sums right on %s\n", COUNT,
            SEND(const char *)(SEND(id)(device, SEL("name")), SEL("UTF8String")));
    return 0;
}

int main(void)
{
    void *objc = dlopen("libobjc.so.228", RTLD_NOW | RTLD_GLOBAL);
    void *metal = objc ? dlopen("libMetal.so", RTLD_NOW | RTLD_GLOBAL) : NULL;
    if (!metal) {
        printf("%s\n", dlerror());
        return 1;
    }
    message = dlsym(objc, "objc_msgSend");
    *(void **)&get_class = dlsym(objc, "objc_getClass");
    *(void **)&get_selector = dlsym(objc, "sel_registerName");
    id (*create)(void);
    *(void **)&create = dlsym(metal, "MTLCreateSystemDefaultDevice");
    if (!message || !get_class || !get_selector || !create) {
        printf("%s\n", dlerror());
        return 1;
    }
    id pool = SEND(id)(get_class("NSAutoreleasePool"), SEL("new"));
    id device = create();
    if (!device)
        return fail("there is no Metal device", NULL);
    int code = run(device);
    SEND(void)(pool, SEL("drain"));
    return code;
}
