/* backend/cpu: matrix products through OpenBLAS. Worker process.
 *
 * A product is a job as a dispatch is: its tiles are the threadgroups, which the pool's threads
 * share, so that it is interrupted, watched and charged as kernels are. OpenBLAS itself runs on one
 * thread. It works on the guest's memory in place where that is float, else on copies of a tile.
 *
 * While it runs only a fault leaves it (the guest's pages may be missing), by a jump out of its
 * middle: what it had allocated is lost then, a buffer of a fixed number, so that the device is
 * given up after some of them. */
#include "backend/cpu/cpu_internal.h"

#include <dlfcn.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIBRARY "libopenblas.so.0"
#define TILE 512u         /* rows and columns of a tile; half or a quarter where there are few */
#define DEPTH 4096u       /* of the sums made in one call: 40 ms at most for a tile */
#define COPIED_DEPTH 512u /* the same where operands are copied: a tile's fit a core's cache */

/* cblas.h's */
enum { ROW_MAJOR = 101, NO_TRANSPOSE = 111, TRANSPOSE = 112 };
typedef void sgemm_function(int order, int transpose_a, int transpose_b, int m, int n, int k,
        float alpha, const float *a, int row_a, const float *b, int row_b, float beta, float *c,
        int row_c);
static sgemm_function *sgemm;

/* OpenBLAS has two buffers for each processor that it was built for, at least 64, and ends the
 * process when they are used up. */
#define MAX_LEFT 16u
static _Atomic unsigned left_in_use;

void abx_cpu_matrix_left(void)
{
    atomic_fetch_add(&left_in_use, 1);
}

int abx_cpu_matrix_prepare(char *ret_why, size_t capacity)
{
    setenv("OPENBLAS_NUM_THREADS", "1", 1); /* also: it starts no thread now */
    void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (library)
        *(void **)&sgemm = dlsym(library, "cblas_sgemm");
    return 0; /* kernels do it, then */
}

uint32_t abx_cpu_matrix_operations(void)
{
    return sgemm ? ABX_OPERATION_MATRIX_MULTIPLY | ABX_OPERATION_MATRIX_MIXED : 0;
}

/* ---- one product */

struct product {
    const struct abx_exec_matrix_multiply *c;
    uint32_t tile_rows, tile_columns, down, across; /* tiles of a matrix */
};

/* Rows [row, row + rows) and columns [column, ...) of op(matrix): where they lie. */
struct part {
    char *first;
    uint32_t row_bytes, element;
    bool transposed;
    uint32_t rows, columns; /* of op() */
};

static struct part part_of(const struct abx_exec_matrices *m, uint32_t batch, bool transposed,
        uint32_t row, uint32_t column, uint32_t rows, uint32_t columns)
{
    uint64_t down = transposed ? column : row, right = transposed ? row : column;
    uint64_t bytes = m->element == ABX_ELEMENT_FLOAT32 ? 4 : 2;
    char *at = m->memory->address + m->offset + batch * m->matrix_bytes + down * m->row_bytes +
               right * bytes;
    return (struct part){at, m->row_bytes, m->element, transposed, rows, columns};
}

static bool in_place(const struct part *p)
{
    return p->element == ABX_ELEMENT_FLOAT32;
}

/* A copy as floats, its rows in memory after each other; what is transposed stays so. */
static void gather(float *to, struct part *p)
{
    uint32_t rows = p->transposed ? p->columns : p->rows,
             row = p->transposed ? p->rows : p->columns;
    for (uint32_t i = 0; i < rows; i++)
        abx_cpu_to_floats(
                to + (size_t)i * row, p->first + (size_t)i * p->row_bytes, p->element, row);
    p->first = (char *)to;
    p->row_bytes = row * 4;
    p->element = ABX_ELEMENT_FLOAT32;
}

static bool copies_operands(const struct abx_exec_matrix_multiply *c)
{
    return c->left.element != ABX_ELEMENT_FLOAT32 || c->right.element != ABX_ELEMENT_FLOAT32;
}

/* Where there are copies of a tile's left, right and result: memory of the thread's own. */
static bool make_room(struct abx_cpu_executor *e, const struct abx_exec_matrix_multiply *c)
{
    const uint64_t bytes = 4ull * (2 * TILE * COPIED_DEPTH + TILE * TILE);
    return (!copies_operands(c) && c->result.element == ABX_ELEMENT_FLOAT32) ||
           abx_cpu_grow_frames(&e->frames, &e->frame_bytes, bytes);
}

/* Inside, the thread is left for faults alone. */
static void call_library(struct abx_cpu_executor *e, const struct part *left,
        const struct part *right, const struct part *result, float alpha, float beta)
{
    e->guard.faults_only = true;
    atomic_signal_fence(memory_order_seq_cst);
    sgemm(ROW_MAJOR, left->transposed ? TRANSPOSE : NO_TRANSPOSE,
            right->transposed ? TRANSPOSE : NO_TRANSPOSE, (int)result->rows, (int)result->columns,
            (int)left->columns, alpha, (const float *)(const void *)left->first,
            (int)(left->row_bytes / 4), (const float *)(const void *)right->first,
            (int)(right->row_bytes / 4), beta, (float *)(void *)result->first,
            (int)(result->row_bytes / 4));
    atomic_signal_fence(memory_order_seq_cst);
    e->guard.faults_only = false;
}

/* The sums of a tile, which is in memory of ours, into the guest's. */
static void scatter(const struct part *to, const float *from, float beta)
{
    float line[TILE];
    for (uint32_t i = 0; i < to->rows; i++, from += to->columns) {
        void *row = to->first + (size_t)i * to->row_bytes;
        if (beta == 0) {
            abx_cpu_from_floats(row, from, to->element, to->columns);
            continue;
        }
        abx_cpu_to_floats(line, row, to->element, to->columns);
        for (uint32_t k = 0; k < to->columns; k++)
            line[k] = from[k] + beta * line[k];
        abx_cpu_from_floats(row, line, to->element, to->columns);
    }
}

static bool is_over(struct abx_cpu_executor *e)
{
    /* What others want, and could not have while the library ran. */
    abx_cpu_disarm(e);
    return !abx_cpu_arm_job(e, e->guard.job);
}

static void run_tile(struct abx_cpu_executor *e, const struct product *p, uint64_t number)
{
    const struct abx_exec_matrix_multiply *c = p->c;
    uint32_t column = (uint32_t)(number % p->across) * p->tile_columns;
    uint32_t row = (uint32_t)(number / p->across % p->down) * p->tile_rows;
    uint32_t batch = (uint32_t)(number / p->across / p->down);
    uint32_t rows = c->rows - row < p->tile_rows ? c->rows - row : p->tile_rows;
    uint32_t columns =
            c->columns - column < p->tile_columns ? c->columns - column : p->tile_columns;
    struct part result = part_of(&c->result, batch, false, row, column, rows, columns),
                sums = result;
    float *memory = (float *)(void *)e->frames, beta = (float)c->beta;
    if (!in_place(&result)) {
        sums.first = (char *)(memory + 2 * TILE * COPIED_DEPTH);
        sums.row_bytes = columns * 4;
        beta = 0;
    }
    uint32_t step = copies_operands(c) ? COPIED_DEPTH : DEPTH;
    for (uint32_t k = 0; k < c->inner; k += step, beta = 1) {
        uint32_t depth = c->inner - k < step ? c->inner - k : step;
        struct part left = part_of(&c->left, batch, c->transpose_left, row, k, rows, depth);
        struct part right =
                part_of(&c->right, batch, c->transpose_right, k, column, depth, columns);
        if (!in_place(&left))
            gather(memory, &left);
        if (!in_place(&right))
            gather(memory + TILE * COPIED_DEPTH, &right);
        call_library(e, &left, &right, &sums, (float)c->alpha, beta);
        if (is_over(e))
            return;
    }
    if (!in_place(&result))
        scatter(&result, (float *)(void *)sums.first, (float)c->beta);
}

/* As a kernel's code: armed, on any thread of the pool. */
static void run_tiles(struct abx_kernel_call *call, uint64_t first, uint64_t count)
{
    struct abx_cpu_executor *e =
            (struct abx_cpu_executor *)((char *)call - offsetof(struct abx_cpu_executor, call));
    const struct product *p = call->buffers[0];
    abx_cpu_disarm(e);
    bool room = make_room(e, p->c);
    if (!abx_cpu_arm_job(e, e->guard.job))
        return;
    if (!room) {
        atomic_store(&e->guard.job->failed, ABX_EXEC_OUT_OF_MEMORY);
        return;
    }
    for (uint64_t i = first; i < first + count && e->guard.armed; i++)
        run_tile(e, p, i);
}

static uint32_t pieces(uint32_t of, uint32_t each)
{
    return (of + each - 1) / each;
}

/* Tiles for all threads where the product has them, none smaller than an eighth of the largest. The
 * first runs alone (pool.c), and with few of them a thread that comes late has none left. */
static void cut(struct product *p, unsigned threads)
{
    const struct abx_exec_matrix_multiply *c = p->c;
    p->tile_rows = p->tile_columns = TILE;
    for (int i = 0; i < 4; i++) {
        p->down = pieces(c->rows, p->tile_rows);
        p->across = pieces(c->columns, p->tile_columns);
        if ((uint64_t)p->down * p->across * c->batch >= 8 * threads)
            break;
        uint32_t *larger =
                c->rows / p->down > c->columns / p->across ? &p->tile_rows : &p->tile_columns;
        if (i < 3 && *larger > TILE / 8)
            *larger /= 2;
    }
    p->down = pieces(c->rows, p->tile_rows);
    p->across = pieces(c->columns, p->tile_columns);
}

int abx_cpu_matrix_multiply(struct abx_device *device, struct abx_cpu_executor *e,
        struct abx_cpu_job *job, const struct abx_exec_matrix_multiply *c)
{
    struct abx_pipeline code = {.info.form = ABX_FORM_GROUPS, .info.lanes = 1};
    struct product p = {.c = c};
    code.object.entry = (void *)run_tiles;
    cut(&p, device->pool.count + 1);
    uint64_t all = (uint64_t)p.down * p.across * c->batch;
    job->pipeline = &code;
    memset(&job->call, 0, sizeof job->call);
    memset(job->group_offset, 0xff, sizeof job->group_offset);
    job->call.buffers[0] = &p;
    for (int i = 0; i < 3; i++)
        job->call.grid[i] = job->call.group_size[i] = job->call.groups[i] = 1;
    job->groups = all;
    atomic_store(&job->next, 0);
    int error = abx_cpu_prepare(e, job);
    if (error == ABX_EXEC_OK)
        error = abx_cpu_pool_run(device, e, job);
    if (error != ABX_EXEC_OK && atomic_load(&left_in_use) >= MAX_LEFT && device->config.lost)
        device->config.lost(device->config.user, "memory of matrices was gone too often");
    return error;
}
