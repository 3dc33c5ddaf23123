/* mps: matrices and vectors, and how they lie in memory. Runs in the guest's process. */
#include "mps/mps.h"

#include "methods_gen.h"

ABX_EXPORT BOOL MPSSupportsMTLDevice(id device);
ABX_EXPORT BOOL MPSSupportsMTLDevice(id device)
{
    return device != NULL;
}

ABX_EXPORT NSUInteger MPSSizeofMPSDataType(MPSDataType data_type);
ABX_EXPORT NSUInteger MPSSizeofMPSDataType(MPSDataType data_type)
{
    return abx_mps_bytes(data_type);
}

/* ---- MPSKernel */

id MPSKernel_initWithDevice_(id self, SEL cmd, id device)
{
    if (!device) {
        abx_metal_say("-[MPSKernel initWithDevice:]: no device");
        objc_release(self);
        return NULL;
    }
    self = ABX_MSG(id, (id, SEL), self, "init"); /* its properties' defaults */
    if (self)
        ((struct MPSKernel *)self)->device = objc_retain(device);
    return self;
}

/* ---- MPSMatrixDescriptor */

id MPSMatrixDescriptor_matrixDescriptorWithRows_columns_matrices_rowBytes_matrixBytes_dataType_(
        id self, SEL cmd, NSUInteger rows, NSUInteger columns, NSUInteger matrices,
        NSUInteger row_bytes, NSUInteger matrix_bytes, MPSDataType data_type)
{
    struct MPSMatrixDescriptor *d =
            (struct MPSMatrixDescriptor *)objc_alloc_init((Class)(void *)self);
    if (!d)
        return NULL;
    d->rows = rows;
    d->columns = columns;
    d->matrices = matrices;
    d->rowBytes = row_bytes;
    d->matrixBytes = matrix_bytes;
    d->dataType = data_type;
    return objc_autorelease((id)d);
}

id MPSMatrixDescriptor_matrixDescriptorWithRows_columns_rowBytes_dataType_(id self, SEL cmd,
        NSUInteger rows, NSUInteger columns, NSUInteger row_bytes, MPSDataType data_type)
{
    return MPSMatrixDescriptor_matrixDescriptorWithRows_columns_matrices_rowBytes_matrixBytes_dataType_(
            self, cmd, rows, columns, 1, row_bytes, rows * row_bytes, data_type);
}

id MPSMatrixDescriptor_matrixDescriptorWithDimensions_columns_rowBytes_dataType_(id self, SEL cmd,
        NSUInteger rows, NSUInteger columns, NSUInteger row_bytes, MPSDataType data_type)
{
    return MPSMatrixDescriptor_matrixDescriptorWithRows_columns_rowBytes_dataType_(
            self, cmd, rows, columns, row_bytes, data_type);
}

NSUInteger MPSMatrixDescriptor_rowBytesForColumns_dataType_(
        id self, SEL cmd, NSUInteger columns, MPSDataType data_type)
{
    return abx_align_up(columns * abx_mps_bytes(data_type), 16);
}

NSUInteger MPSMatrixDescriptor_rowBytesFromColumns_dataType_(
        id self, SEL cmd, NSUInteger columns, MPSDataType data_type)
{
    return MPSMatrixDescriptor_rowBytesForColumns_dataType_(self, cmd, columns, data_type);
}

/* ---- MPSVectorDescriptor */

NSUInteger MPSVectorDescriptor_vectorBytesForLength_dataType_(
        id self, SEL cmd, NSUInteger length, MPSDataType data_type)
{
    return abx_align_up(length * abx_mps_bytes(data_type), 16);
}

id MPSVectorDescriptor_vectorDescriptorWithLength_vectors_vectorBytes_dataType_(id self, SEL cmd,
        NSUInteger length, NSUInteger vectors, NSUInteger vector_bytes, MPSDataType data_type)
{
    struct MPSVectorDescriptor *d =
            (struct MPSVectorDescriptor *)objc_alloc_init((Class)(void *)self);
    if (!d)
        return NULL;
    d->length = length;
    d->vectors = vectors;
    d->vectorBytes = vector_bytes;
    d->dataType = data_type;
    return objc_autorelease((id)d);
}

id MPSVectorDescriptor_vectorDescriptorWithLength_dataType_(
        id self, SEL cmd, NSUInteger length, MPSDataType data_type)
{
    NSUInteger bytes =
            MPSVectorDescriptor_vectorBytesForLength_dataType_(self, cmd, length, data_type);
    return MPSVectorDescriptor_vectorDescriptorWithLength_vectors_vectorBytes_dataType_(
            self, cmd, length, 1, bytes, data_type);
}

/* ---- MPSMatrix */

static id refuse(id self, const char *what, const char *why)
{
    abx_metal_say("-[%s %s]: %s", class_getName(object_getClass(self)), what, why);
    objc_release(self);
    return NULL;
}

/* NULL, or what is wrong with rows of `row` bytes, `rows` of each of `count` that begin `step`
 * apart.
 */
static const char *wrong_place(uint64_t available, uint64_t offset, uint64_t count, uint64_t step,
        uint64_t rows, uint64_t row_step, uint64_t row)
{
    uint64_t all, last, end;
    if (!count || !rows || !row)
        return "rows, columns and matrices must not be 0";
    /* Matrices may lie between each other's rows, as the heads of attention do, or be one. */
    if (row_step < row)
        return "rows overlap: rowBytes is too small";
    if (__builtin_mul_overflow(count - 1, step, &all) ||
            __builtin_mul_overflow(rows - 1, row_step, &last) ||
            __builtin_add_overflow(all, last, &end) || __builtin_add_overflow(end, row, &end) ||
            __builtin_add_overflow(end, offset, &end) || end > available)
        return "the buffer is too small";
    return NULL;
}

id MPSMatrix_initWithBuffer_offset_descriptor_(
        id self, SEL cmd, id buffer, NSUInteger offset, id descriptor)
{
    static const char what[] = "initWithBuffer:offset:descriptor:";
    struct MPSMatrix *m = (struct MPSMatrix *)self;
    const struct MPSMatrixDescriptor *d = (const struct MPSMatrixDescriptor *)descriptor;
    if (!abx_metal_is(buffer, ABX_METAL_BUFFER) || !d)
        return refuse(self, what, d ? "not a buffer" : "no descriptor");
    const struct abx_metal_buffer *b = (const struct abx_metal_buffer *)buffer;
    const char *wrong = wrong_place(b->length, offset, d->matrices, d->matrixBytes, d->rows,
            d->rowBytes, d->columns * abx_mps_bytes(d->dataType));
    if (wrong)
        return refuse(self, what, wrong);
    m->device = objc_retain(b->resource.base.device);
    m->data = objc_retain(buffer);
    m->rows = d->rows;
    m->columns = d->columns;
    m->matrices = d->matrices;
    m->dataType = d->dataType;
    m->rowBytes = d->rowBytes;
    m->matrixBytes = d->matrixBytes;
    m->offset = offset;
    return self;
}

id MPSMatrix_initWithBuffer_descriptor_(id self, SEL cmd, id buffer, id descriptor)
{
    return MPSMatrix_initWithBuffer_offset_descriptor_(self, cmd, buffer, 0, descriptor);
}

id MPSMatrix_initWithDevice_descriptor_(id self, SEL cmd, id device, id descriptor)
{
    const struct MPSMatrixDescriptor *d = (const struct MPSMatrixDescriptor *)descriptor;
    uint64_t bytes;
    if (!d || __builtin_mul_overflow(d->matrices, d->matrixBytes, &bytes) || !bytes)
        return refuse(self, "initWithDevice:descriptor:", d ? "its size" : "no descriptor");
    id buffer = abx_metal_buffer_new(device, bytes, MTLResourceStorageModePrivate);
    self = MPSMatrix_initWithBuffer_descriptor_(self, cmd, buffer, descriptor);
    objc_release(buffer);
    return self;
}

void MPSMatrix_synchronizeOnCommandBuffer_(id self, SEL cmd, id command_buffer) {}

NSUInteger MPSMatrix_resourceSize(id self, SEL cmd)
{
    return ((const struct abx_metal_buffer *)((struct MPSMatrix *)self)->data)->length;
}

/* ---- MPSVector */

id MPSVector_initWithBuffer_offset_descriptor_(
        id self, SEL cmd, id buffer, NSUInteger offset, id descriptor)
{
    static const char what[] = "initWithBuffer:offset:descriptor:";
    struct MPSVector *v = (struct MPSVector *)self;
    const struct MPSVectorDescriptor *d = (const struct MPSVectorDescriptor *)descriptor;
    if (!abx_metal_is(buffer, ABX_METAL_BUFFER) || !d)
        return refuse(self, what, d ? "not a buffer" : "no descriptor");
    const struct abx_metal_buffer *b = (const struct abx_metal_buffer *)buffer;
    uint64_t bytes = d->length * abx_mps_bytes(d->dataType);
    const char *wrong = wrong_place(b->length, offset, d->vectors, d->vectorBytes, 1, bytes, bytes);
    if (wrong)
        return refuse(self, what, wrong);
    v->device = objc_retain(b->resource.base.device);
    v->data = objc_retain(buffer);
    v->length = d->length;
    v->vectors = d->vectors;
    v->dataType = d->dataType;
    v->vectorBytes = d->vectorBytes;
    v->offset = offset;
    return self;
}

id MPSVector_initWithBuffer_descriptor_(id self, SEL cmd, id buffer, id descriptor)
{
    return MPSVector_initWithBuffer_offset_descriptor_(self, cmd, buffer, 0, descriptor);
}

id MPSVector_initWithDevice_descriptor_(id self, SEL cmd, id device, id descriptor)
{
    const struct MPSVectorDescriptor *d = (const struct MPSVectorDescriptor *)descriptor;
    uint64_t bytes;
    if (!d || __builtin_mul_overflow(d->vectors, d->vectorBytes, &bytes) || !bytes)
        return refuse(self, "initWithDevice:descriptor:", d ? "its size" : "no descriptor");
    id buffer = abx_metal_buffer_new(device, bytes, MTLResourceStorageModePrivate);
    self = MPSVector_initWithBuffer_descriptor_(self, cmd, buffer, descriptor);
    objc_release(buffer);
    return self;
}

void MPSVector_synchronizeOnCommandBuffer_(id self, SEL cmd, id command_buffer) {}

NSUInteger MPSVector_resourceSize(id self, SEL cmd)
{
    return ((const struct abx_metal_buffer *)((struct MPSVector *)self)->data)->length;
}
