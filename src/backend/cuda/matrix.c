/* backend/cuda: products of matrices by NVIDIA's cuBLASLt, where it is installed: kernels do it,
 * else. Worker process. Sizes and strides are the guest's, and checked: all of the matrices lie in
 * their memory.
 *
 * The library's matrices lie in columns and ours in rows: it is asked for the transposed product,
 * with left and right exchanged. What it knows no way for (operands of two types) is not among the
 * operations that the device offers. */
#include "backend/cuda/queue.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

typedef struct lt_handle *lt_handle;
typedef struct lt_desc *lt_desc;
typedef struct lt_layout *lt_layout;
typedef struct lt_preference *lt_preference;

/* cublasLtMatmulHeuristicResult_t */
struct lt_choice {
    uint64_t algorithm[8];
    size_t workspace;
    int state;
    float waves;
    int reserved[4];
};

/* Numbers of cublasLt.h, cublas_api.h and library_types.h. */
enum { R_32F = 0, R_16F = 2, R_16BF = 14, COMPUTE_32F = 68, OPERATION_T = 1 };
enum { DESC_TRANSPOSE_A = 3, DESC_TRANSPOSE_B = 4, LAYOUT_BATCH = 5, LAYOUT_STRIDE = 6 };
enum { PREFER_WORKSPACE = 1, PREFER_ALIGNMENT_A = 5 };

/* clang-format off */
#define LT_FUNCTIONS(X) \
    X(create, cublasLtCreate, (lt_handle *)) \
    X(destroy, cublasLtDestroy, (lt_handle)) \
    X(desc_create, cublasLtMatmulDescCreate, (lt_desc *, int, int)) \
    X(desc_set, cublasLtMatmulDescSetAttribute, (lt_desc, int, const void *, size_t)) \
    X(desc_destroy, cublasLtMatmulDescDestroy, (lt_desc)) \
    X(layout_create, cublasLtMatrixLayoutCreate, (lt_layout *, int, uint64_t, uint64_t, int64_t)) \
    X(layout_set, cublasLtMatrixLayoutSetAttribute, (lt_layout, int, const void *, size_t)) \
    X(layout_destroy, cublasLtMatrixLayoutDestroy, (lt_layout)) \
    X(preference_create, cublasLtMatmulPreferenceCreate, (lt_preference *)) \
    X(preference_set, cublasLtMatmulPreferenceSetAttribute, \
        (lt_preference, int, const void *, size_t)) \
    X(preference_destroy, cublasLtMatmulPreferenceDestroy, (lt_preference)) \
    X(choose, cublasLtMatmulAlgoGetHeuristic, (lt_handle, lt_desc, lt_layout, lt_layout, \
        lt_layout, lt_layout, lt_preference, int, struct lt_choice *, int *)) \
    X(multiply, cublasLtMatmul, (lt_handle, lt_desc, const void *, const void *, lt_layout, \
        const void *, lt_layout, const void *, const void *, lt_layout, void *, lt_layout, \
        const uint64_t *, void *, size_t, abx_cu_stream))
/* clang-format on */

static struct {
#define LT_MEMBER(name, symbol, parameters) int(*name) parameters;
    LT_FUNCTIONS(LT_MEMBER)
#undef LT_MEMBER
} lt;
static bool found, looked;

void abx_cuda_matrix_prepare(void)
{
    looked = true;
    static const char *const symbols[] = {
#define SYMBOL(name, symbol, parameters) #symbol,
            LT_FUNCTIONS(SYMBOL)
#undef SYMBOL
    };
    void *library = abx_open_cuda_library(abx_cuda_matrix_libraries), **entries = (void **)&lt;
    found = library != NULL;
    for (size_t i = 0; i < ABX_ARRAY_SIZE(symbols) && found; i++)
        found = (entries[i] = dlsym(library, symbols[i])) != NULL;
}

/* ---- one product, as the library has it */

struct abx_cuda_product {
    /* what an algorithm is chosen by */
    struct key {
        uint64_t rows, columns, inner, batch; /* of the transposed product */
        int64_t a_row, b_row, c_row, a_matrix, b_matrix, c_matrix;
        int operand, result;
        uint32_t transpose_a, transpose_b, alignment[4];
        uint32_t adds; /* what was there */
    } key;
    lt_desc desc;
    lt_layout a, b, c;
    struct lt_choice choice;
    uint64_t used;
};

static int type_of(uint32_t element)
{
    return element == ABX_ELEMENT_FLOAT32 ? R_32F : element == ABX_ELEMENT_FLOAT16 ? R_16F : R_16BF;
}

static int64_t element_bytes(int type)
{
    return type == R_32F ? 4 : 2;
}

static uint32_t alignment_of(const struct abx_exec_matrices *m)
{
    uint64_t bits = (m->memory->address + m->offset) | m->matrix_bytes | m->row_bytes | 256;
    return 1u << __builtin_ctzll(bits);
}

static bool is_supported(const struct abx_exec_matrix_multiply *c)
{
    return c->left.element == c->right.element &&
           (c->result.element == c->left.element || c->result.element == ABX_ELEMENT_FLOAT32);
}

static struct key key_of(const struct abx_exec_matrix_multiply *c)
{
    struct key k;
    memset(&k, 0, sizeof k); /* it is compared whole */
    k.operand = type_of(c->left.element);
    k.result = type_of(c->result.element);
    int64_t in = element_bytes(k.operand), out = element_bytes(k.result);
    k.rows = c->columns;
    k.columns = c->rows;
    k.inner = c->inner;
    k.batch = c->batch;
    k.a_row = c->right.row_bytes / in;
    k.b_row = c->left.row_bytes / in;
    k.c_row = c->result.row_bytes / out;
    k.a_matrix = (int64_t)c->right.matrix_bytes / in;
    k.b_matrix = (int64_t)c->left.matrix_bytes / in;
    k.c_matrix = (int64_t)c->result.matrix_bytes / out;
    k.transpose_a = c->transpose_right;
    k.transpose_b = c->transpose_left;
    k.alignment[0] = alignment_of(&c->right);
    k.alignment[1] = alignment_of(&c->left);
    k.alignment[2] = k.alignment[3] = alignment_of(&c->result);
    k.adds = c->beta != 0;
    return k;
}

static int make_layout(lt_layout *ret, const struct key *k, int type, uint64_t rows,
        uint64_t columns, int64_t row, int64_t matrix)
{
    int32_t batch = (int32_t)k->batch;
    int r = lt.layout_create(ret, type, rows, columns, row);
    if (!r)
        r = lt.layout_set(*ret, LAYOUT_BATCH, &batch, sizeof batch);
    return r ? r : lt.layout_set(*ret, LAYOUT_STRIDE, &matrix, sizeof matrix);
}

static void forget(struct abx_cuda_product *p)
{
    if (p->desc)
        (void)lt.desc_destroy(p->desc);
    const lt_layout layouts[] = {p->a, p->b, p->c};
    for (size_t i = 0; i < ABX_ARRAY_SIZE(layouts); i++)
        if (layouts[i])
            (void)lt.layout_destroy(layouts[i]);
    *p = (struct abx_cuda_product){0};
}

static int describe(struct abx_cuda_product *p)
{
    const struct key *k = &p->key;
    int32_t t = OPERATION_T;
    int r = lt.desc_create(&p->desc, COMPUTE_32F, R_32F);
    if (!r && k->transpose_a)
        r = lt.desc_set(p->desc, DESC_TRANSPOSE_A, &t, sizeof t);
    if (!r && k->transpose_b)
        r = lt.desc_set(p->desc, DESC_TRANSPOSE_B, &t, sizeof t);
    if (!r)
        r = make_layout(&p->a, k, k->operand, k->transpose_a ? k->inner : k->rows,
                k->transpose_a ? k->rows : k->inner, k->a_row, k->a_matrix);
    if (!r)
        r = make_layout(&p->b, k, k->operand, k->transpose_b ? k->columns : k->inner,
                k->transpose_b ? k->inner : k->columns, k->b_row, k->b_matrix);
    return r ? r : make_layout(&p->c, k, k->result, k->rows, k->columns, k->c_row, k->c_matrix);
}

static int choose(struct abx_cuda_product *p, lt_handle handle)
{
    lt_preference preference;
    uint64_t workspace = ABX_CUDA_WORKSPACE_BYTES;
    int count = 0;
    int r = lt.preference_create(&preference);
    if (r)
        return r;
    r = lt.preference_set(preference, PREFER_WORKSPACE, &workspace, sizeof workspace);
    for (int i = 0; i < 4 && !r; i++)
        r = lt.preference_set(
                preference, PREFER_ALIGNMENT_A + i, &p->key.alignment[i], sizeof(uint32_t));
    if (!r)
        r = lt.choose(handle, p->desc, p->a, p->b, p->c, p->c, preference, 1, &p->choice, &count);
    (void)lt.preference_destroy(preference);
    return r || count < 1 ? -1 : 0;
}

/* NULL: the library knows no way. */
static struct abx_cuda_product *find(struct abx_queue *q, const struct key *key)
{
    struct abx_cuda_product *oldest = q->products;
    for (unsigned i = 0; i < ABX_CUDA_PRODUCTS; i++) {
        struct abx_cuda_product *p = &q->products[i];
        if (p->desc && memcmp(&p->key, key, sizeof *key) == 0)
            return p;
        if (p->used < oldest->used)
            oldest = p;
    }
    forget(oldest);
    oldest->key = *key;
    if (!describe(oldest) && !choose(oldest, q->device->matrices))
        return oldest;
    forget(oldest);
    return NULL;
}

static int make_room(struct abx_queue *q)
{
    if (!q->products)
        q->products = calloc(ABX_CUDA_PRODUCTS, sizeof *q->products);
    if (!q->products)
        return ABX_CU_OUT_OF_MEMORY;
    return q->workspace ? ABX_CU_OK : abx_cu.alloc(&q->workspace, ABX_CUDA_WORKSPACE_BYTES);
}

static void *place_of(const struct abx_exec_matrices *m)
{
    return (void *)(uintptr_t)(m->memory->address + m->offset);
}

enum abx_cuda_step abx_cuda_multiply(struct abx_queue *q, const struct abx_exec_matrix_multiply *c)
{
    struct key key = key_of(c);
    bool supported = q->device->matrices && is_supported(c);
    int result = supported ? make_room(q) : ABX_CU_OK;
    if (result)
        return abx_cuda_issued(q, result);
    struct abx_cuda_product *p = supported ? find(q, &key) : NULL;
    if (!p) {
        q->error = ABX_EXEC_NOT_PERMITTED;
        return ABX_CUDA_STEP_FAILED;
    }
    p->used = q->current_number + 1;
    float alpha = (float)c->alpha, beta = (float)c->beta;
    result = lt.multiply(q->device->matrices, p->desc, &alpha, place_of(&c->right), p->a,
            place_of(&c->left), p->b, &beta, place_of(&c->result), p->c, place_of(&c->result), p->c,
            p->choice.algorithm, (void *)(uintptr_t)q->workspace, ABX_CUDA_WORKSPACE_BYTES,
            q->stream);
    q->kernels++;
    q->current->result.kernels++;
    if (!result)
        return abx_cuda_issued(q, ABX_CU_OK);
    /* It does not say what the driver said. */
    int driver = abx_cu.stream_query(q->stream);
    return abx_cuda_issued(q, abx_cuda_is_fatal(driver) ? driver : ABX_CU_OUT_OF_RESOURCES);
}

void abx_cuda_matrix_queue_close(struct abx_queue *q)
{
    for (unsigned i = 0; q->products && i < ABX_CUDA_PRODUCTS; i++)
        forget(&q->products[i]);
    free(q->products);
    if (q->workspace)
        (void)abx_cu.free(q->workspace);
}

/* ---- with the device */

/* A library that was found may still not work here: then kernels do it. */
void abx_cuda_matrix_open(struct abx_device *device)
{
    if (!looked) /* in the program itself, which nobody prepared */
        abx_cuda_matrix_prepare();
    if (found && lt.create(&device->matrices))
        device->matrices = NULL;
}

void abx_cuda_matrix_close(struct abx_device *device)
{
    if (device->matrices)
        (void)lt.destroy(device->matrices);
}
