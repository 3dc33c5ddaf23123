// Products of matrices with any strides. Tiles of a column of the result come one after the other: they
// share what they read of the right factor.
// c_type0: the elements' type.
#define c_adds c_constant1  // beta * added
#define c_to_type c_constant2
#define c_each c_constant3 // elements of a thread
struct parameters {
    uint rows, columns, inner, reserved;
    long to[3], left[3], right[3], added[3];
    float alpha, beta;
    long alpha_i, beta_i;
};

#define TILE 32
#define DEPTH 32

static inline int width() { return size_of(c_type0); }

// A SIMD-group computes 32 x 32 elements of the result: 4 x 4 matrices of 8 x 8, of which the factors
// go through threadgroup memory as floats, with 0 where there is nothing.
static inline void fetch(threadgroup float *tile, device const uchar *data, uint rows, uint columns, long row_stride,
        long column_stride, uint first_row, uint first_column, uint lane)
{
    for (uint i = lane; i < TILE * DEPTH; i += 32) {
        // Along the side that lies close in memory.
        uint r = abs(column_stride) <= abs(row_stride) ? i / DEPTH : i % TILE;
        uint c = abs(column_stride) <= abs(row_stride) ? i % DEPTH : i / TILE;
        uint row = first_row + r, column = first_column + c;
        bool inside = row < rows && column < columns;
        long at = inside ? row * row_stride + column * column_stride : 0;
        float v = load<float>(data + at * width(), c_type0);
        tile[r * DEPTH + c] = inside ? v : 0.0f;
    }
}

kernel void multiply(constant parameters &p [[buffer(0)]], device uchar *to [[buffer(1)]],
        device const uchar *left [[buffer(2)]], device const uchar *right [[buffer(3)]],
        device const uchar *added [[buffer(4)]], uint3 group [[threadgroup_position_in_grid]],
        uint lane [[thread_index_in_simdgroup]])
{
    threadgroup float a[TILE * DEPTH], b[DEPTH * TILE];
    simdgroup_float8x8 sums[4][4];
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++)
            sums[i][j] = simdgroup_float8x8(0);
    uint first_row = group.x * TILE, first_column = group.y * TILE;
    left += long(group.z) * p.left[0] * width();
    right += long(group.z) * p.right[0] * width();
    for (uint k = 0; k < p.inner; k += DEPTH) {
        fetch(a, left, p.rows, p.inner, p.left[1], p.left[2], first_row, k, lane);
        fetch(b, right, p.inner, p.columns, p.right[1], p.right[2], k, first_column, lane);
        threadgroup_barrier(mem_flags::mem_threadgroup);
        for (int d = 0; d < DEPTH; d += 8) {
            simdgroup_float8x8 x[4], y[4];
            for (int i = 0; i < 4; i++)
                simdgroup_load(x[i], a + i * 8 * DEPTH + d, DEPTH);
            for (int j = 0; j < 4; j++)
                simdgroup_load(y[j], b + d * TILE + j * 8, TILE);
            for (int i = 0; i < 4; i++)
                for (int j = 0; j < 4; j++)
                    simdgroup_multiply_accumulate(sums[i][j], x[i], y[j], sums[i][j]);
        }
        threadgroup_barrier(mem_flags::mem_threadgroup);
    }
    threadgroup float result[TILE * TILE];
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++)
            simdgroup_store(sums[i][j], result + i * 8 * TILE + j * 8, TILE);
    threadgroup_barrier(mem_flags::mem_threadgroup);
    to += long(group.z) * p.to[0] * size_of(c_to_type);
    added += long(group.z) * p.added[0] * width();
    for (uint i = lane; i < TILE * TILE; i += 32) {
        uint row = first_row + i / TILE, column = first_column + i % TILE;
        if (row >= p.rows || column >= p.columns)
            continue;
        float v = p.alpha * result[i];
        if (c_adds)
            v += p.beta * load<float>(added + (row * p.added[1] + column * p.added[2]) * width(), c_type0);
        store(to + (row * p.to[1] + column * p.to[2]) * size_of(c_to_type), c_to_type, v);
    }
}

// What a product is added to, before the device's library multiplies.
kernel void spread(constant parameters &p [[buffer(0)]], device uchar *to [[buffer(1)]],
        device const uchar *added [[buffer(4)]], uint3 at [[thread_position_in_grid]])
{
    uint step = p.columns / uint(c_each);
    float v[4];
    added += (at.z * p.added[0] + at.y * p.added[1]) * width();
    to += (at.z * p.to[0] + at.y * p.to[1]) * size_of(c_to_type);
    for (uint k = 0; k < uint(c_each); k++)
        v[k] = load<float>(added + (at.x + k * step) * p.added[2] * width(), c_type0);
    for (uint k = 0; k < uint(c_each); k++)
        store(to + (at.x + k * step) * p.to[2] * size_of(c_to_type), c_to_type, v[k]);
}

kernel void multiply_integers(constant parameters &p [[buffer(0)]], device uchar *to [[buffer(1)]],
        device const uchar *left [[buffer(2)]], device const uchar *right [[buffer(3)]],
        device const uchar *added [[buffer(4)]], uint3 at [[thread_position_in_grid]])
{
    left += (long(at.z) * p.left[0] + at.y * p.left[1]) * width();
    right += (long(at.z) * p.right[0] + at.x * p.right[2]) * width();
    long sum = 0;
    for (uint k = 0; k < p.inner; k++)
        sum += load<long>(left + k * p.left[2] * width(), c_type0) * load<long>(right + k * p.right[1] * width(), c_type0);
    sum *= p.alpha_i;
    if (c_adds)
        sum += p.beta_i * load<long>(added + (at.z * p.added[0] + at.y * p.added[1] + at.x * p.added[2]) * width(), c_type0);
    store(to + (at.z * p.to[0] + at.y * p.to[1] + at.x * p.to[2]) * width(), c_type0, sum);
}
