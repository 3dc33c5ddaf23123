/* MetalPerformanceShaders' products of matrices against sums in double: every type, transposes,
 * strides, offsets, batches, alpha and beta, vectors; and what wrong calls give. */
#import <MetalPerformanceShaders/MetalPerformanceShaders.h>

#import "program.h"

#include <math.h>

struct operand {
    NSUInteger rows, columns, matrices, rowBytes, matrixBytes, offset;
    MPSDataType type;
    id<MTLBuffer> buffer;
    MPSMatrix *matrix;
};

static uint32_t state = 1;

static float random_float(void)
{
    state = state * 1664525 + 1013904223;
    return (float)(state >> 8) / (1 << 23) - 1;
}

static double element(const struct operand *o, NSUInteger m, NSUInteger r, NSUInteger c)
{
    const char *at = (char *)o->buffer.contents + o->offset + m * o->matrixBytes + r * o->rowBytes;
    if (o->type == MPSDataTypeFloat32)
        return ((const float *)at)[c];
    if (o->type == MPSDataTypeFloat16)
        return ((const __fp16 *)at)[c];
    uint32_t bits = (uint32_t)((const uint16_t *)at)[c] << 16;
    float f;
    memcpy(&f, &bits, 4);
    return f;
}

static void set(const struct operand *o, NSUInteger m, NSUInteger r, NSUInteger c, float value)
{
    char *at = (char *)o->buffer.contents + o->offset + m * o->matrixBytes + r * o->rowBytes;
    uint32_t bits;
    memcpy(&bits, &value, 4);
    if (o->type == MPSDataTypeFloat32)
        ((float *)at)[c] = value;
    else if (o->type == MPSDataTypeFloat16)
        ((__fp16 *)at)[c] = (__fp16)value;
    else
        ((uint16_t *)at)[c] = (uint16_t)(bits >> 16);
}

/* With room between rows, matrices, and before the first; what is in between is 7. */
static struct operand make(NSUInteger rows, NSUInteger columns, NSUInteger matrices, MPSDataType type)
{
    NSUInteger bytes = MPSSizeofMPSDataType(type);
    struct operand o = {rows, columns, matrices, (columns + 3) * bytes, 0, 5 * bytes, type, nil, nil};
    o.matrixBytes = rows * o.rowBytes + 2 * bytes;
    o.buffer = [device newBufferWithLength:o.offset + matrices * o.matrixBytes options:0];
    for (NSUInteger i = 0; i < o.buffer.length / bytes; i++) {
        struct operand flat = {1, 1, 1, 0, 0, i * bytes, type, o.buffer, nil};
        set(&flat, 0, 0, 0, 7);
    }
    for (NSUInteger m = 0; m < matrices; m++)
        for (NSUInteger r = 0; r < rows; r++)
            for (NSUInteger c = 0; c < columns; c++)
                set(&o, m, r, c, random_float());
    MPSMatrixDescriptor *d = [MPSMatrixDescriptor matrixDescriptorWithRows:rows
                                                                   columns:columns
                                                                  matrices:matrices
                                                                  rowBytes:o.rowBytes
                                                               matrixBytes:o.matrixBytes
                                                                  dataType:type];
    o.matrix = [[MPSMatrix alloc] initWithBuffer:o.buffer offset:o.offset descriptor:d];
    CHECK(o.matrix && o.matrix.rows == rows && o.matrix.columns == columns && o.matrix.data == o.buffer);
    return o;
}

static double tolerance(MPSDataType type, NSUInteger k)
{
    double sums = 1e-6 * sqrt((double)k) * 4;
    return type == MPSDataTypeFloat32 ? sums : sums + (type == MPSDataTypeFloat16 ? 0x1p-10 : 0x1p-7);
}

static void product(NSUInteger m, NSUInteger n, NSUInteger k, NSUInteger batch, BOOL tl, BOOL tr,
        double alpha, double beta, const MPSDataType types[3])
{
    struct operand a = make(tl ? k : m, tl ? m : k, batch, types[0]),
                   b = make(tr ? n : k, tr ? k : n, batch, types[1]), c = make(m, n, batch, types[2]);
    NSData *before = [NSData dataWithBytes:c.buffer.contents length:c.buffer.length];
    struct operand old = c;
    old.buffer = [device newBufferWithBytes:before.bytes length:before.length options:0];
    if (beta == 0) /* not read: what was there does not matter */
        set(&c, 0, 0, 0, NAN);
    MPSMatrixMultiplication *x = [[MPSMatrixMultiplication alloc] initWithDevice:device
                                                                   transposeLeft:tl
                                                                  transposeRight:tr
                                                                      resultRows:m
                                                                   resultColumns:n
                                                                 interiorColumns:k
                                                                           alpha:alpha
                                                                            beta:beta];
    id<MTLCommandBuffer> commands = [queue commandBuffer];
    [x encodeToCommandBuffer:commands leftMatrix:a.matrix rightMatrix:b.matrix resultMatrix:c.matrix];
    [commands commit];
    CHECK_DONE(commands);
    for (NSUInteger z = 0; z < batch; z++)
        for (NSUInteger i = 0; i < m; i++)
            for (NSUInteger j = 0; j < n + 3; j++) {
                if (j >= n && (i == m - 1 || j >= n + 3))
                    continue;
                double got = element(&c, z, i, j), sum = 0;
                for (NSUInteger q = 0; j < n && q < k; q++)
                    sum += element(&a, z, tl ? q : i, tl ? i : q) * element(&b, z, tr ? j : q, tr ? q : j);
                double want = j >= n ? 7 : alpha * sum + (beta == 0 ? 0 : beta * element(&old, z, i, j));
                double bound = tolerance(types[2], k) * (1 + fabs(want) + (j < n ? sqrt((double)k) * fabs(alpha) : 0));
                if (!(fabs(got - want) <= bound)) {
                    fprintf(stderr, "%lux%lux%lu batch %lu, %d%d, types %x %x %x: [%lu][%lu][%lu] is %g, not %g\n",
                            m, n, k, batch, tl, tr, types[0], types[1], types[2], z, i, j, got, want);
                    exit(1);
                }
            }
}

static void test_products(void)
{
    static const MPSDataType all[] = {MPSDataTypeFloat32, MPSDataTypeFloat16, MPSDataTypeBFloat16};
    static const NSUInteger sizes[][4] = {{1, 1, 1, 1}, {3, 5, 7, 2}, {33, 17, 65, 3}, {1, 70, 40, 1},
            {70, 1, 40, 1}, {130, 150, 20, 1}};
    for (unsigned s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (unsigned t = 0; t < 4; t++)
            @autoreleasepool {
                const NSUInteger *z = sizes[s];
                product(z[0], z[1], z[2], z[3], t & 1, t >> 1, 1, 0, (MPSDataType[]){all[0], all[0], all[0]});
                product(z[0], z[1], z[2], z[3], t & 1, t >> 1, 0.5, -2, (MPSDataType[]){all[0], all[0], all[0]});
            }
    for (unsigned t = 0; t < 27; t++)
        @autoreleasepool {
            product(20, 30, 40, 2, t % 2, t / 2 % 2, 1.5, t % 3 ? 0 : 1,
                    (MPSDataType[]){all[t % 3], all[t / 3 % 3], all[t / 9]});
        }
    /* Several tiles, deeper than one step of copied operands. */
    product(600, 550, 600, 1, NO, YES, 1, 1, (MPSDataType[]){all[1], all[1], all[0]});
}

static void test_vectors(void)
{
    for (unsigned transpose = 0; transpose < 2; transpose++) {
        enum { Rows = 50, Columns = 30 };
        struct operand a = make(transpose ? Columns : Rows, transpose ? Rows : Columns, 1, MPSDataTypeFloat32);
        id<MTLBuffer> x = [device newBufferWithLength:4 * Columns options:0],
                      y = [device newBufferWithLength:4 * Rows options:0];
        for (int i = 0; i < Columns; i++)
            ((float *)x.contents)[i] = random_float();
        for (int i = 0; i < Rows; i++)
            ((float *)y.contents)[i] = (float)i;
        MPSVectorDescriptor *in = [MPSVectorDescriptor vectorDescriptorWithLength:Columns dataType:MPSDataTypeFloat32],
                            *out = [MPSVectorDescriptor vectorDescriptorWithLength:Rows dataType:MPSDataTypeFloat32];
        out = [MPSVectorDescriptor vectorDescriptorWithLength:Rows vectors:1 vectorBytes:4 * Rows dataType:MPSDataTypeFloat32];
        in = [MPSVectorDescriptor vectorDescriptorWithLength:Columns vectors:1 vectorBytes:4 * Columns dataType:MPSDataTypeFloat32];
        MPSMatrixVectorMultiplication *v = [[MPSMatrixVectorMultiplication alloc] initWithDevice:device
                                                                                       transpose:(BOOL)transpose
                                                                                            rows:Rows
                                                                                         columns:Columns
                                                                                           alpha:2
                                                                                            beta:1];
        id<MTLCommandBuffer> commands = [queue commandBuffer];
        [v encodeToCommandBuffer:commands
                     inputMatrix:a.matrix
                     inputVector:[[MPSVector alloc] initWithBuffer:x descriptor:in]
                    resultVector:[[MPSVector alloc] initWithBuffer:y descriptor:out]];
        [commands commit];
        CHECK_DONE(commands);
        for (NSUInteger i = 0; i < Rows; i++) {
            double want = (double)i;
            for (NSUInteger k = 0; k < Columns; k++)
                want += 2 * element(&a, 0, transpose ? k : i, transpose ? i : k) * ((float *)x.contents)[k];
            CHECK(fabs(((float *)y.contents)[i] - want) < 1e-4);
        }
    }
}

/* One after the other in a command buffer, of private memory, beside kernels and copies. */
static void test_in_order(void)
{
    enum { N = 64 };
    MPSMatrixDescriptor *d = [MPSMatrixDescriptor matrixDescriptorWithRows:N columns:N rowBytes:4 * N dataType:MPSDataTypeFloat32];
    id<MTLBuffer> start = [device newBufferWithLength:4 * N * N options:0], end = [device newBufferWithLength:4 * N * N options:0];
    for (int i = 0; i < N; i++)
        ((float *)start.contents)[i * N + (i + 1) % N] = 1; /* turns by one */
    MPSMatrix *one = [[MPSMatrix alloc] initWithBuffer:start descriptor:d];
    MPSMatrix *x = [[MPSMatrix alloc] initWithDevice:device descriptor:d], *y = [[MPSMatrix alloc] initWithDevice:device descriptor:d];
    CHECK(x && y && x.resourceSize == 4 * N * N && x.data.storageMode == MTLStorageModePrivate);
    MPSMatrixMultiplication *m = [[MPSMatrixMultiplication alloc] initWithDevice:device resultRows:N resultColumns:N interiorColumns:N];
    id<MTLCommandBuffer> commands = [queue commandBuffer];
    [m encodeToCommandBuffer:commands leftMatrix:one rightMatrix:one resultMatrix:x];
    for (int i = 0; i < 5; i++) {
        [m encodeToCommandBuffer:commands leftMatrix:x rightMatrix:one resultMatrix:y];
        [m encodeToCommandBuffer:commands leftMatrix:y rightMatrix:one resultMatrix:x];
    }
    id<MTLBlitCommandEncoder> blit = [commands blitCommandEncoder];
    [blit copyFromBuffer:x.data sourceOffset:0 toBuffer:end destinationOffset:0 size:4 * N * N];
    [blit endEncoding];
    [commands commit];
    CHECK_DONE(commands);
    for (int i = 0; i < N; i++)
        for (int k = 0; k < N; k++)
            CHECK(((float *)end.contents)[i * N + k] == (k == (i + 12) % N));
}

static void fails(void (^encode)(id<MTLCommandBuffer>), NSString *words)
{
    id<MTLCommandBuffer> commands = [queue commandBuffer];
    encode(commands);
    [commands commit];
    [commands waitUntilCompleted];
    CHECK(commands.status == MTLCommandBufferStatusError);
    if (![commands.error.localizedDescription containsString:words])
        fprintf(stderr, "%s\n", commands.error.localizedDescription.UTF8String);
    CHECK([commands.error.localizedDescription containsString:words]);
}

static void test_wrong(void)
{
    struct operand a = make(4, 4, 1, MPSDataTypeFloat32), i = make(4, 4, 1, MPSDataTypeFloat32);
    MPSMatrixMultiplication *m = [[MPSMatrixMultiplication alloc] initWithDevice:device resultRows:4 resultColumns:4 interiorColumns:5];
    fails(^(id<MTLCommandBuffer> c) {
        [m encodeToCommandBuffer:c leftMatrix:a.matrix rightMatrix:a.matrix resultMatrix:i.matrix];
    }, @"leftMatrix is smaller");
    MPSMatrixMultiplication *good = [[MPSMatrixMultiplication alloc] initWithDevice:device resultRows:4 resultColumns:4 interiorColumns:4];
    fails(^(id<MTLCommandBuffer> c) {
        [c computeCommandEncoder];
        [good encodeToCommandBuffer:c leftMatrix:a.matrix rightMatrix:a.matrix resultMatrix:i.matrix];
    }, @"was not ended");
    MPSMatrixDescriptor *ints = [MPSMatrixDescriptor matrixDescriptorWithRows:4 columns:4 rowBytes:16 dataType:MPSDataTypeInt32];
    MPSMatrix *whole = [[MPSMatrix alloc] initWithBuffer:a.buffer descriptor:ints];
    fails(^(id<MTLCommandBuffer> c) {
        [good encodeToCommandBuffer:c leftMatrix:whole rightMatrix:a.matrix resultMatrix:i.matrix];
    }, @"float, half and bfloat are supported");
    good.leftMatrixOrigin = MTLOriginMake(1, 0, 0);
    fails(^(id<MTLCommandBuffer> c) {
        [good encodeToCommandBuffer:c leftMatrix:a.matrix rightMatrix:a.matrix resultMatrix:i.matrix];
    }, @"not supported yet");
    MPSMatrixDescriptor *large = [MPSMatrixDescriptor matrixDescriptorWithRows:1 << 20 columns:1 << 20 rowBytes:4 << 20 dataType:MPSDataTypeFloat32];
    CHECK(![[MPSMatrix alloc] initWithBuffer:a.buffer descriptor:large]);
    MPSMatrixDescriptor *narrow = [MPSMatrixDescriptor matrixDescriptorWithRows:2 columns:4 rowBytes:8 dataType:MPSDataTypeFloat32];
    CHECK(![[MPSMatrix alloc] initWithBuffer:a.buffer descriptor:narrow]);
}

int main(void)
{
    void (*const tests[])(void) = {test_products, test_vectors, test_in_order, test_wrong};
    @autoreleasepool {
        device = MTLCreateSystemDefaultDevice();
        CHECK(device && MPSSupportsMTLDevice(device));
        queue = [device newCommandQueue];
    }
    for (unsigned i = 0; i < sizeof tests / sizeof *tests; i++)
        @autoreleasepool {
            tests[i]();
        }
    puts("mps: ok");
    return 0;
}
