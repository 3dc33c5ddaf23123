/* torch: the messages that the core sends to Metal's objects, through the Objective-C runtime's C
 * functions. Runs in the user's program, on any thread. */
#include "metal.h"
#include "elementwise.h"

#include <objc/runtime.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern id MTLCreateSystemDefaultDevice(void);
extern void *objc_autoreleasePoolPush(void);
extern void objc_autoreleasePoolPop(void *pool);

#define INT_TYPE 29    /* MTLDataTypeInt */
#define PRIVATE 0x20ul /* MTLResourceStorageModePrivate */

#define SELECTORS(X)                                                                               \
    X(alloc, "alloc")                                                                              \
    X(init, "init")                                                                                \
    X(retain, "retain")                                                                            \
    X(release, "release")                                                                          \
    X(utf8, "UTF8String")                                                                          \
    X(string, "stringWithUTF8String:")                                                             \
    X(description, "localizedDescription")                                                         \
    X(newQueue, "newCommandQueue")                                                                 \
    X(newBuffer, "newBufferWithLength:options:")                                                   \
    X(contents, "contents")                                                                        \
    X(gpuAddress, "gpuAddress")                                                                    \
    X(workingSet, "recommendedMaxWorkingSetSize")                                                  \
    X(unifiedMemory, "hasUnifiedMemory")                                                           \
    X(setFastMath, "setFastMathEnabled:")                                                          \
    X(newLibrary, "newLibraryWithSource:options:error:")                                           \
    X(setConstant, "setConstantValue:type:atIndex:")                                               \
    X(newFunction, "newFunctionWithName:constantValues:error:")                                    \
    X(newPipeline, "newComputePipelineStateWithFunction:error:")                                   \
    X(maxThreads, "maxTotalThreadsPerThreadgroup")                                                 \
    X(commandBuffer, "commandBuffer")                                                              \
    X(encoder, "computeCommandEncoder")                                                            \
    X(setPipeline, "setComputePipelineState:")                                                     \
    X(setBytes, "setBytes:length:atIndex:")                                                        \
    X(setBuffer, "setBuffer:offset:atIndex:")                                                      \
    X(dispatch, "dispatchThreads:threadsPerThreadgroup:")                                          \
    X(matrixDescriptor,                                                                            \
            "matrixDescriptorWithRows:columns:matrices:rowBytes:matrixBytes:dataType:")            \
    X(initMatrix, "initWithBuffer:offset:descriptor:")                                             \
    X(initProduct, "initWithDevice:transposeLeft:transposeRight:resultRows:resultColumns:"         \
                   "interiorColumns:alpha:beta:")                                                  \
    X(encodeProduct, "encodeToCommandBuffer:leftMatrix:rightMatrix:resultMatrix:")                 \
    X(endEncoding, "endEncoding")                                                                  \
    X(commit, "commit")                                                                            \
    X(waitUntilCompleted, "waitUntilCompleted")                                                    \
    X(status, "status")                                                                            \
    X(error, "error")                                                                              \
    X(endTime, "GPUEndTime")                                                                       \
    X(fileUrl, "fileURLWithPath:")                                                                 \
    X(libraryOfUrl, "newLibraryWithURL:error:")                                                    \
    X(functionNames, "functionNames")                                                              \
    X(count, "count")                                                                              \
    X(objectAt, "objectAtIndex:")                                                                  \
    X(simdWidth, "threadExecutionWidth")                                                           \
    X(memory, "staticThreadgroupMemoryLength")
enum {
#define X(name, text) SEL_##name,
    SELECTORS(X)
#undef X
            SEL_COUNT
};
static SEL selectors[SEL_COUNT];

/* As data: gcc takes a call of the function in another type for a mistake, and makes a trap of it.
 */
extern char message_send[] __asm__("objc_msgSend");
#define SEND(returns, types) ((returns(*) types)message_send)
#define S(name) selectors[SEL_##name]

static void register_selectors(void)
{
    static const char *const texts[] = {
#define X(name, text) text,
            SELECTORS(X)
#undef X
    };
    for (unsigned i = 0; i < SEL_COUNT; i++)
        selectors[i] = sel_registerName(texts[i]);
}

static id send(id object, SEL selector)
{
    return SEND(id, (id, SEL))(object, selector);
}

static id make(const char *class_name)
{
    return send(send((id)objc_getClass(class_name), S(alloc)), S(init));
}

static id string(const char *text)
{
    return SEND(id, (id, SEL, const char *))((id)objc_getClass("NSString"), S(string), text);
}

static void describe(id error, char *message, size_t size)
{
    const char *text = NULL;
    if (error)
        text = SEND(const char *, (id, SEL))(send(error, S(description)), S(utf8));
    snprintf(message, size, "%s", text ? text : "no reason is given");
}

id metal_new_device(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, register_selectors);
    return MTLCreateSystemDefaultDevice();
}

id metal_new_queue(id device)
{
    return send(device, S(newQueue));
}

id metal_new_buffer(id device, size_t length, bool is_private)
{
    return SEND(id, (id, SEL, unsigned long, unsigned long))(
            device, S(newBuffer), length, is_private ? PRIVATE : 0);
}

void *metal_buffer_contents(id buffer)
{
    return SEND(void *, (id, SEL))(buffer, S(contents));
}

uint64_t metal_buffer_address(id buffer)
{
    return SEND(uint64_t, (id, SEL))(buffer, S(gpuAddress));
}

bool metal_has_unified_memory(id device)
{
    return SEND(BOOL, (id, SEL))(device, S(unifiedMemory));
}

uint64_t metal_working_set(id device)
{
    return SEND(uint64_t, (id, SEL))(device, S(workingSet));
}

id metal_new_library(id device, const char *source, char *message, size_t size)
{
    void *pool = objc_autoreleasePoolPush();
    id error = NULL, options = make("MTLCompileOptions");
    /* NaN and infinity are numbers here. */
    SEND(void, (id, SEL, BOOL))(options, S(setFastMath), 0);
    id library = SEND(id, (id, SEL, id, id, id *))(
            device, S(newLibrary), string(source), options, &error);
    if (!library)
        describe(error, message, size);
    metal_release(options);
    objc_autoreleasePoolPop(pool);
    return library;
}

id metal_new_pipeline(id device, id library, const char *function, const int32_t *constants,
        unsigned count, char *message, size_t size)
{
    void *pool = objc_autoreleasePoolPush();
    id error = NULL, values = make("MTLFunctionConstantValues"), pipeline = NULL;
    for (unsigned i = 0; i < count; i++)
        SEND(void, (id, SEL, const void *, unsigned long, unsigned long))(
                values, S(setConstant), &constants[i], INT_TYPE, i);
    id made = SEND(id, (id, SEL, id, id, id *))(
            library, S(newFunction), string(function), values, &error);
    if (made)
        pipeline = SEND(id, (id, SEL, id, id *))(device, S(newPipeline), made, &error);
    if (!pipeline)
        describe(error, message, size);
    metal_release(made);
    metal_release(values);
    objc_autoreleasePoolPop(pool);
    return pipeline;
}

id metal_new_library_of_file(id device, const char *path, char *message, size_t size)
{
    void *pool = objc_autoreleasePoolPush();
    id error = NULL;
    id url = SEND(id, (id, SEL, id))((id)objc_getClass("NSURL"), S(fileUrl), string(path));
    id library = SEND(id, (id, SEL, id, id *))(device, S(libraryOfUrl), url, &error);
    if (!library)
        describe(error, message, size);
    objc_autoreleasePoolPop(pool);
    return library;
}

char *metal_function_names(id library)
{
    void *pool = objc_autoreleasePoolPush();
    char *text = strdup("");
    id names = send(library, S(functionNames));
    unsigned long count = SEND(unsigned long, (id, SEL))(names, S(count));
    for (unsigned long i = 0; text && i < count; i++) {
        id name = SEND(id, (id, SEL, unsigned long))(names, S(objectAt), i);
        char *longer = NULL;
        if (asprintf(&longer, "%s%s\n", text, SEND(const char *, (id, SEL))(name, S(utf8))) < 0)
            longer = NULL;
        free(text);
        text = longer;
    }
    objc_autoreleasePoolPop(pool);
    return text;
}

unsigned long metal_pipeline_width(id pipeline)
{
    return SEND(unsigned long, (id, SEL))(pipeline, S(maxThreads));
}

unsigned long metal_pipeline_simd_width(id pipeline)
{
    return SEND(unsigned long, (id, SEL))(pipeline, S(simdWidth));
}

unsigned long metal_pipeline_memory(id pipeline)
{
    return SEND(unsigned long, (id, SEL))(pipeline, S(memory));
}

static id retained(id object, SEL selector)
{
    void *pool = objc_autoreleasePoolPush();
    id made = send(send(object, selector), S(retain));
    objc_autoreleasePoolPop(pool);
    return made;
}

id metal_command_buffer(id queue)
{
    return retained(queue, S(commandBuffer));
}

id metal_encoder(id command_buffer)
{
    return retained(command_buffer, S(encoder));
}

void metal_set_pipeline(id encoder, id pipeline)
{
    SEND(void, (id, SEL, id))(encoder, S(setPipeline), pipeline);
}

void metal_set_bytes(id encoder, const void *bytes, size_t length, unsigned index)
{
    SEND(void, (id, SEL, const void *, unsigned long, unsigned long))(
            encoder, S(setBytes), bytes, length, index);
}

void metal_set_buffer(id encoder, id buffer, size_t offset, unsigned index)
{
    SEND(void, (id, SEL, id, unsigned long, unsigned long))(
            encoder, S(setBuffer), buffer, offset, index);
}

void metal_dispatch(id encoder, struct metal_size grid, struct metal_size group)
{
    SEND(void, (id, SEL, struct metal_size, struct metal_size))(encoder, S(dispatch), grid, group);
}

void metal_end(id encoder)
{
    send(encoder, S(endEncoding));
}

void metal_commit(id command_buffer)
{
    send(command_buffer, S(commit));
}

/* MTLCommandBufferStatusCommitted is 2. */
bool metal_is_committed(id command_buffer)
{
    return SEND(unsigned long, (id, SEL))(command_buffer, S(status)) >= 2;
}

/* MPSDataType */
static uint32_t mps_type(int type)
{
    return type == ABX_TORCH_F32 ? 0x10000020 : type == ABX_TORCH_F16 ? 0x10000010 : 0x90000010;
}

/* Rows and columns are as they lie in memory. */
static id new_matrix(const struct metal_matrices *m, unsigned long rows, unsigned long columns,
        unsigned long batch)
{
    id descriptor = SEND(id, (id, SEL, unsigned long, unsigned long, unsigned long, unsigned long,
                                     unsigned long, uint32_t))(
            (id)objc_getClass("MPSMatrixDescriptor"), S(matrixDescriptor), rows, columns, batch,
            m->row_bytes, m->matrix_bytes, mps_type(m->type));
    id matrix = send((id)objc_getClass("MPSMatrix"), S(alloc));
    return SEND(id, (id, SEL, id, unsigned long, id))(
            matrix, S(initMatrix), m->buffer, m->offset, descriptor);
}

void metal_multiply(id device, id command_buffer, const struct metal_product *p)
{
    void *pool = objc_autoreleasePoolPush();
    bool tl = p->transpose_left, tr = p->transpose_right;
    id left = new_matrix(&p->left, tl ? p->inner : p->rows, tl ? p->rows : p->inner, p->batch);
    id right =
            new_matrix(&p->right, tr ? p->columns : p->inner, tr ? p->inner : p->columns, p->batch);
    id result = new_matrix(&p->result, p->rows, p->columns, p->batch);
    id kernel = send((id)objc_getClass("MPSMatrixMultiplication"), S(alloc));
    kernel = SEND(id, (id, SEL, id, BOOL, BOOL, unsigned long, unsigned long, unsigned long, double,
                              double))(kernel, S(initProduct), device, tl, tr, p->rows, p->columns,
            p->inner, p->alpha, p->beta);
    SEND(void, (id, SEL, id, id, id, id))(
            kernel, S(encodeProduct), command_buffer, left, right, result);
    metal_release(kernel);
    metal_release(result);
    metal_release(right);
    metal_release(left);
    objc_autoreleasePoolPop(pool);
}

void metal_wait(id command_buffer)
{
    send(command_buffer, S(waitUntilCompleted));
}

/* MTLCommandBufferStatusCompleted is 4, Error 5. */
bool metal_has_ended(id command_buffer)
{
    return SEND(unsigned long, (id, SEL))(command_buffer, S(status)) >= 4;
}

bool metal_succeeded(id command_buffer, char *message, size_t size)
{
    if (SEND(unsigned long, (id, SEL))(command_buffer, S(status)) == 4)
        return true;
    void *pool = objc_autoreleasePoolPush();
    describe(send(command_buffer, S(error)), message, size);
    objc_autoreleasePoolPop(pool);
    return false;
}

double metal_end_time(id command_buffer)
{
    return SEND(double, (id, SEL))(command_buffer, S(endTime));
}

id metal_retain(id object)
{
    return send(object, S(retain));
}

void metal_release(id object)
{
    if (object)
        send(object, S(release));
}
