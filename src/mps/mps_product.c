/* mps: a product of matrices, encoded: one command where the device has a library for it, else a
 * dispatch of a kernel of ours. Runs in the guest's process. */
#include <string.h>

#include "mps/mps.h"

/* ---- elements */

static uint32_t element_of(uint32_t data_type)
{
    switch (data_type) {
    case MPSDataTypeFloat32:
        return ABX_ELEMENT_FLOAT32;
    case MPSDataTypeFloat16:
        return ABX_ELEMENT_FLOAT16;
    case MPSDataTypeBFloat16:
        return ABX_ELEMENT_BFLOAT16;
    default:
        return 0;
    }
}

static uint64_t bits_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* ---- as one command */

static void encode_command(
        struct abx_metal_command_buffer *commands, const struct abx_mps_product *p)
{
    abx_encode_compute_begin(&commands->arena.encoder, 0);
    abx_encode_matrix_multiply(&commands->arena.encoder, p->left.buffer->resource.handle,
            p->right.buffer->resource.handle, p->result.buffer->resource.handle, p->left.offset,
            p->right.offset, p->result.offset, p->left.matrix_bytes, p->right.matrix_bytes,
            p->result.matrix_bytes, bits_of(p->alpha), bits_of(p->beta),
            (uint32_t)p->left.row_bytes, (uint32_t)p->right.row_bytes,
            (uint32_t)p->result.row_bytes, (uint32_t)p->rows, (uint32_t)p->columns,
            (uint32_t)p->inner, (uint32_t)p->batch, element_of(p->left.data_type),
            element_of(p->right.data_type), element_of(p->result.data_type),
            (uint32_t)p->transpose_left | (uint32_t)p->transpose_right << 1);
    abx_encode_encoder_end(&commands->arena.encoder);
    abx_metal_hold(commands, p->left.buffer);
    abx_metal_hold(commands, p->right.buffer);
    abx_metal_hold(commands, p->result.buffer);
}

/* ---- as a kernel: a tile of 16 x 16 sums a threadgroup, from tiles of the operands */

/* As the kernel has it; strides in elements. */
struct kernel_product {
    uint32_t rows, columns, inner, transposed;
    uint64_t left_matrix, right_matrix, result_matrix;
    uint32_t left_row, right_row, result_row;
    float alpha, beta;
    uint32_t reserved;
};

#define TILE 16u

static const char source[] =
        "#include <metal_stdlib>\n"
        "using namespace metal;\n"
        "struct product {\n"
        "    uint rows, columns, inner, transposed;\n"
        "    ulong left_matrix, right_matrix, result_matrix;\n"
        "    uint left_row, right_row, result_row;\n"
        "    float alpha, beta;\n"
        "    uint reserved;\n"
        "};\n"
        "constant uint tile = 16;\n"
        "template <typename T>\n"
        "static float element(device const T *m, uint row, bool transposed, uint r, uint c, uint "
        "rows, uint columns)\n"
        "{\n"
        "    if (r >= rows || c >= columns)\n"
        "        return 0;\n"
        "    return float(transposed ? m[ulong(c) * row + r] : m[ulong(r) * row + c]);\n"
        "}\n"
        "kernel void multiply(device const LEFT *left [[buffer(0)]], device const RIGHT *right "
        "[[buffer(1)]],\n"
        "        device RESULT *result [[buffer(2)]], constant product &p [[buffer(3)]],\n"
        "        uint3 group [[threadgroup_position_in_grid]], uint3 at "
        "[[thread_position_in_threadgroup]])\n"
        "{\n"
        "    threadgroup float l[tile][tile + 1], r[tile][tile + 1];\n"
        "    left += p.left_matrix * group.z;\n"
        "    right += p.right_matrix * group.z;\n"
        "    result += p.result_matrix * group.z;\n"
        "    uint row = group.y * tile + at.y, column = group.x * tile + at.x;\n"
        "    float sum = 0;\n"
        "    for (uint k = 0; k < p.inner; k += tile) {\n"
        "        l[at.y][at.x] = element(left, p.left_row, p.transposed & 1, row, k + at.x, "
        "p.rows, p.inner);\n"
        "        r[at.y][at.x] = element(right, p.right_row, p.transposed & 2, k + at.y, column, "
        "p.inner, p.columns);\n"
        "        threadgroup_barrier(mem_flags::mem_threadgroup);\n"
        "        for (uint i = 0; i < tile; i++)\n"
        "            sum += l[at.y][i] * r[i][at.x];\n"
        "        threadgroup_barrier(mem_flags::mem_threadgroup);\n"
        "    }\n"
        "    if (row >= p.rows || column >= p.columns)\n"
        "        return;\n"
        "    device RESULT &to = result[ulong(row) * p.result_row + column];\n"
        "    to = RESULT(p.beta == 0 ? p.alpha * sum : p.alpha * sum + p.beta * float(to));\n"
        "}\n";

static id make_pipeline(id device, const uint32_t elements[3], id *error)
{
    static const char *const types[] = {NULL, "float", "half", "bfloat"};
    static const char *const names[] = {"LEFT", "RIGHT", "RESULT"};
    id keys[3], values[3];
    for (unsigned i = 0; i < 3; i++) {
        keys[i] = abx_ns_string(names[i]);
        values[i] = abx_ns_string(types[elements[i]]);
    }
    id options = objc_alloc_init(ABX_CLASS(MTLCompileOptions));
    ABX_MSG(void, (id, SEL, id), options,
            "setPreprocessorMacros:", abx_ns_dictionary(keys, values, 3));
    id library = abx_metal_library_from_source(device, source, sizeof source - 1, options, error);
    objc_release(options);
    id function = library ? ABX_MSG(id, (id, SEL, id), library,
                                    "newFunctionWithName:", abx_ns_string("multiply"))
                          : NULL;
    id pipeline = function ? ABX_MSG(id, (id, SEL, id, id *), device,
                                     "newComputePipelineStateWithFunction:error:", function, error)
                           : NULL;
    objc_release(function);
    objc_release(library);
    return pipeline;
}

/* Made when first needed, kept as long as the process: there is one device. */
static id pipeline_for(id device, const uint32_t elements[3], id *error)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static id made[4][4][4], made_for;
    pthread_mutex_lock(&lock);
    if (made_for != device) { /* another: the one before was lost */
        memset(made, 0, sizeof made);
        made_for = device;
    }
    id *pipeline = &made[elements[0]][elements[1]][elements[2]];
    if (!*pipeline)
        *pipeline = make_pipeline(device, elements, error);
    pthread_mutex_unlock(&lock);
    return *pipeline;
}

static void encode_kernel(struct abx_metal_command_buffer *commands,
        const struct abx_mps_product *p, const uint32_t elements[3], const char *what)
{
    id error = NULL, pipeline = pipeline_for(commands->base.device, elements, &error);
    if (!pipeline) {
        abx_metal_fail(commands, "%s: %s", what,
                error ? abx_ns_string_utf8(ABX_MSG(id, (id, SEL), error, "localizedDescription"))
                      : "no memory for its kernel");
        return;
    }
    const uint64_t bytes[3] = {abx_mps_bytes(p->left.data_type), abx_mps_bytes(p->right.data_type),
            abx_mps_bytes(p->result.data_type)};
    const struct kernel_product k = {.rows = (uint32_t)p->rows,
            .columns = (uint32_t)p->columns,
            .inner = (uint32_t)p->inner,
            .transposed = (uint32_t)p->transpose_left | (uint32_t)p->transpose_right << 1,
            .left_matrix = p->left.matrix_bytes / bytes[0],
            .right_matrix = p->right.matrix_bytes / bytes[1],
            .result_matrix = p->result.matrix_bytes / bytes[2],
            .left_row = (uint32_t)(p->left.row_bytes / bytes[0]),
            .right_row = (uint32_t)(p->right.row_bytes / bytes[1]),
            .result_row = (uint32_t)(p->result.row_bytes / bytes[2]),
            .alpha = (float)p->alpha,
            .beta = (float)p->beta};
    id encoder = ABX_MSG(id, (id, SEL), (id)commands, "computeCommandEncoder");
    const struct abx_mps_matrices *operands[3] = {&p->left, &p->right, &p->result};
    ABX_MSG(void, (id, SEL, id), encoder, "setComputePipelineState:", pipeline);
    for (NSUInteger i = 0; i < 3; i++)
        ABX_MSG(void, (id, SEL, id, NSUInteger, NSUInteger), encoder,
                "setBuffer:offset:atIndex:", (id)operands[i]->buffer, operands[i]->offset, i);
    ABX_MSG(void, (id, SEL, const void *, NSUInteger, NSUInteger), encoder,
            "setBytes:length:atIndex:", &k, sizeof k, 3);
    ABX_MSG(void, (id, SEL, MTLSize, MTLSize), encoder,
            "dispatchThreadgroups:threadsPerThreadgroup:",
            ((MTLSize){(p->columns + TILE - 1) / TILE, (p->rows + TILE - 1) / TILE, p->batch}),
            ((MTLSize){TILE, TILE, 1}));
    ABX_MSG(void, (id, SEL), encoder, "endEncoding");
}

/* ---- which */

static bool is_placed(const struct abx_mps_matrices *m)
{
    uint64_t bytes = abx_mps_bytes(m->data_type);
    return (m->offset | m->matrix_bytes | m->row_bytes) % bytes == 0 && m->row_bytes <= UINT32_MAX;
}

void abx_mps_multiply(id command_buffer, const struct abx_mps_product *p, const char *what)
{
    struct abx_metal_command_buffer *commands = (struct abx_metal_command_buffer *)command_buffer;
    const uint32_t elements[3] = {element_of(p->left.data_type), element_of(p->right.data_type),
            element_of(p->result.data_type)};
    if (!elements[0] || !elements[1] || !elements[2]) {
        abx_metal_fail(commands,
                "%s: data types %#x, %#x and %#x: float, half and bfloat are supported", what,
                p->left.data_type, p->right.data_type, p->result.data_type);
        return;
    }
    if (!is_placed(&p->left) || !is_placed(&p->right) || !is_placed(&p->result)) {
        abx_metal_fail(commands, "%s: an offset or a stride is not a multiple of an element", what);
        return;
    }
    if (!p->rows || !p->columns || !p->inner || !p->batch || p->rows > UINT32_MAX / 2 ||
            p->columns > UINT32_MAX / 2 || p->inner > UINT32_MAX / 2 || p->batch > UINT32_MAX / 2) {
        abx_metal_fail(
                commands, "%s: rows, columns, interior columns or the batch: 0, or too many", what);
        return;
    }
    uint32_t operations = abx_client_welcome(commands->base.client)->operations;
    bool alike = elements[0] == elements[1] &&
                 (elements[2] == elements[0] || elements[2] == ABX_ELEMENT_FLOAT32);
    uint32_t needed = ABX_OPERATION_MATRIX_MULTIPLY | (alike ? 0 : ABX_OPERATION_MATRIX_MIXED);
    if ((operations & needed) != needed)
        encode_kernel(commands, p, elements, what);
    else if (abx_metal_open_encoder(commands, "computeCommandEncoder"))
        encode_command(commands, p);
}
