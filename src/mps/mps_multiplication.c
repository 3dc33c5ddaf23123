/* mps: MPSMatrixMultiplication and MPSMatrixVectorMultiplication. Runs in the guest's process. */
#include "mps/mps.h"

#include "methods_gen.h"

/* ---- MPSMatrixMultiplication */

id MPSMatrixMultiplication_initWithDevice_transposeLeft_transposeRight_resultRows_resultColumns_interiorColumns_alpha_beta_(
        id self, SEL cmd, id device, BOOL transpose_left, BOOL transpose_right, NSUInteger rows,
        NSUInteger columns, NSUInteger inner, double alpha, double beta)
{
    self = MPSKernel_initWithDevice_(self, cmd, device);
    struct MPSMatrixMultiplication *m = (struct MPSMatrixMultiplication *)self;
    if (!m)
        return NULL;
    m->transposeLeft = transpose_left;
    m->transposeRight = transpose_right;
    m->resultRows = rows;
    m->resultColumns = columns;
    m->interiorColumns = inner;
    m->alpha = alpha;
    m->beta = beta;
    return self;
}

id MPSMatrixMultiplication_initWithDevice_resultRows_resultColumns_interiorColumns_(
        id self, SEL cmd, id device, NSUInteger rows, NSUInteger columns, NSUInteger inner)
{
    return MPSMatrixMultiplication_initWithDevice_transposeLeft_transposeRight_resultRows_resultColumns_interiorColumns_alpha_beta_(
            self, cmd, device, 0, 0, rows, columns, inner, 1, 0);
}

static bool is_origin(MTLOrigin o)
{
    return !o.x && !o.y && !o.z;
}

/* How many of the batch: all that the result has from `start` on, at most `size`. */
static uint64_t batch_of(NSUInteger start, NSUInteger size, NSUInteger all)
{
    return start >= all ? 0 : size < all - start ? size : all - start;
}

static struct abx_mps_matrices operand(const struct MPSMatrix *m, NSUInteger start)
{
    return (struct abx_mps_matrices){(struct abx_metal_buffer *)m->data,
            m->offset + start * m->matrixBytes, m->matrixBytes, m->rowBytes, m->dataType};
}

/* NULL, or the operand that is smaller than what is asked of it. */
static const char *too_small(const struct MPSMatrixMultiplication *m, const struct MPSMatrix *left,
        const struct MPSMatrix *right, const struct MPSMatrix *result, uint64_t batch)
{
    NSUInteger left_rows = m->transposeLeft ? m->interiorColumns : m->resultRows,
               left_columns = m->transposeLeft ? m->resultRows : m->interiorColumns,
               right_rows = m->transposeRight ? m->resultColumns : m->interiorColumns,
               right_columns = m->transposeRight ? m->interiorColumns : m->resultColumns;
    NSUInteger end = m->batchStart + batch;
    if (left->rows < left_rows || left->columns < left_columns || left->matrices < end)
        return "leftMatrix";
    if (right->rows < right_rows || right->columns < right_columns || right->matrices < end)
        return "rightMatrix";
    if (result->rows < m->resultRows || result->columns < m->resultColumns)
        return "resultMatrix";
    return NULL;
}

void MPSMatrixMultiplication_encodeToCommandBuffer_leftMatrix_rightMatrix_resultMatrix_(
        id self, SEL cmd, id command_buffer, id left, id right, id result)
{
    static const char what[] = "-[MPSMatrixMultiplication "
                               "encodeToCommandBuffer:leftMatrix:rightMatrix:resultMatrix:]";
    struct MPSMatrixMultiplication *m = (struct MPSMatrixMultiplication *)self;
    const struct MPSMatrix *a = (struct MPSMatrix *)left, *b = (struct MPSMatrix *)right,
                           *c = (struct MPSMatrix *)result;
    struct abx_metal_command_buffer *commands = (struct abx_metal_command_buffer *)command_buffer;
    if (!abx_metal_is(commands, ABX_METAL_COMMAND_BUFFER)) {
        abx_metal_say("%s: not a command buffer", what);
        return;
    }
    if (!a || !b || !c) {
        abx_metal_fail(commands, "%s: a matrix is nil", what);
        return;
    }
    if (!is_origin(m->leftMatrixOrigin) || !is_origin(m->rightMatrixOrigin) ||
            !is_origin(m->resultMatrixOrigin)) {
        abx_metal_fail(commands, "%s: an origin that is not 0, 0 is not supported yet", what);
        return;
    }
    uint64_t batch = batch_of(m->batchStart, m->batchSize, c->matrices);
    const char *small = too_small(m, a, b, c, batch);
    if (small) {
        abx_metal_fail(commands, "%s: %s is smaller than the product asks for", what, small);
        return;
    }
    const struct abx_mps_product product = {.left = operand(a, m->batchStart),
            .right = operand(b, m->batchStart),
            .result = operand(c, m->batchStart),
            .rows = m->resultRows,
            .columns = m->resultColumns,
            .inner = m->interiorColumns,
            .batch = batch,
            .transpose_left = m->transposeLeft,
            .transpose_right = m->transposeRight,
            .alpha = m->alpha,
            .beta = m->beta};
    abx_mps_multiply(command_buffer, &product, what);
}

/* ---- MPSMatrixVectorMultiplication: a product with matrices of one column */

id MPSMatrixVectorMultiplication_initWithDevice_transpose_rows_columns_alpha_beta_(id self, SEL cmd,
        id device, BOOL transpose, NSUInteger rows, NSUInteger columns, double alpha, double beta)
{
    self = MPSKernel_initWithDevice_(self, cmd, device);
    struct MPSMatrixVectorMultiplication *m = (struct MPSMatrixVectorMultiplication *)self;
    if (!m)
        return NULL;
    m->transpose = transpose;
    m->rows = rows;
    m->columns = columns;
    m->alpha = alpha;
    m->beta = beta;
    return self;
}

id MPSMatrixVectorMultiplication_initWithDevice_rows_columns_(
        id self, SEL cmd, id device, NSUInteger rows, NSUInteger columns)
{
    return MPSMatrixVectorMultiplication_initWithDevice_transpose_rows_columns_alpha_beta_(
            self, cmd, device, 0, rows, columns, 1, 0);
}

static struct abx_mps_matrices column_of(const struct MPSVector *v, NSUInteger start)
{
    return (struct abx_mps_matrices){(struct abx_metal_buffer *)v->data,
            v->offset + start * v->vectorBytes, v->vectorBytes, abx_mps_bytes(v->dataType),
            v->dataType};
}

void MPSMatrixVectorMultiplication_encodeToCommandBuffer_inputMatrix_inputVector_resultVector_(
        id self, SEL cmd, id command_buffer, id matrix, id vector, id result)
{
    static const char what[] = "-[MPSMatrixVectorMultiplication "
                               "encodeToCommandBuffer:inputMatrix:inputVector:resultVector:]";
    struct MPSMatrixVectorMultiplication *m = (struct MPSMatrixVectorMultiplication *)self;
    const struct MPSMatrix *a = (struct MPSMatrix *)matrix;
    const struct MPSVector *x = (struct MPSVector *)vector, *y = (struct MPSVector *)result;
    struct abx_metal_command_buffer *commands = (struct abx_metal_command_buffer *)command_buffer;
    if (!abx_metal_is(commands, ABX_METAL_COMMAND_BUFFER)) {
        abx_metal_say("%s: not a command buffer", what);
        return;
    }
    if (!a || !x || !y) {
        abx_metal_fail(commands, "%s: a matrix or vector is nil", what);
        return;
    }
    NSUInteger rows = m->transpose ? m->columns : m->rows,
               columns = m->transpose ? m->rows : m->columns;
    uint64_t batch = batch_of(m->batchStart, m->batchSize, y->vectors);
    NSUInteger end = m->batchStart + batch;
    if (a->rows < rows || a->columns < columns || a->matrices < end || x->length < m->columns ||
            x->vectors < end || y->length < m->rows) {
        abx_metal_fail(commands, "%s: an operand is smaller than the product asks for", what);
        return;
    }
    const struct abx_mps_product product = {.left = operand(a, m->batchStart),
            .right = column_of(x, m->batchStart),
            .result = column_of(y, m->batchStart),
            .rows = m->rows,
            .columns = 1,
            .inner = m->columns,
            .batch = batch,
            .transpose_left = m->transpose,
            .alpha = m->alpha,
            .beta = m->beta};
    abx_mps_multiply(command_buffer, &product, what);
}
