// Attention in one pass over the keys (FlashAttention, Dao and others, 2022): no row of scores is ever whole. A
// threadgroup has ROWS queries of one head, each of its SIMD-groups 16 of them; KEYS keys and values at a time go
// through threadgroup memory, which has the queries first.
//
// c_type0: half or bfloat. A row's elements lie side by side.
#define c_masked c_constant1
#define c_causal c_constant2 // nothing behind the row's own place
#define c_plain c_constant3  // the mask's rows lie without gaps
#define c_width c_constant4  // elements of a query and a key: a multiple of 8, at most WIDEST
#define c_values c_constant5 // of a value: likewise
#define WIDEST 128
#define ROWS 64
#define KEYS 32
#define THREADS 128
#define ALL _Pragma("clang loop unroll(full)")
#define PITCH (WIDEST + 8) // of a row in threadgroup memory
struct parameters {
    uint rows, count, heads, batch;
    float scale;
    long query[3], key[3], value[3], to[3]; // strides: batch, head, row
    long mask[4];
};

template <typename T> using tile = simdgroup_matrix<T, 8, 8>;

// Rows from `first` on; behind the last one are zeros.
template <typename T> static inline void fetch(threadgroup T *to, device const T *from, long stride, uint first, uint count,
        uint rows, uint width, uint index)
{
    uint pieces = width / 8;
    for (uint i = index; i < rows * pieces; i += THREADS) {
        uint row = i / pieces, column = i % pieces * 8;
        vec<T, 4> a = vec<T, 4>(T(0)), b = a;
        if (first + row < count) {
            device const T *p = from + (first + row) * stride + column;
            a = *(device const vec<T, 4> *)p;
            b = *(device const vec<T, 4> *)(p + 4);
        }
        threadgroup T *q = to + row * PITCH + column;
        *(threadgroup vec<T, 4> *)q = a;
        *(threadgroup vec<T, 4> *)(q + 4) = b;
    }
}

// Over the four lanes that have a row of a matrix.
static inline float sum_of_row(float v)
{
    v += simd_shuffle_xor(v, 1);
    return v + simd_shuffle_xor(v, 8);
}

static inline float max_of_row(float v)
{
    v = max(v, simd_shuffle_xor(v, 1));
    return max(v, simd_shuffle_xor(v, 8));
}

template <typename T> static inline void attend(constant parameters &p, device T *to, device const T *query, device const T *key,
        device const T *value, device const uchar *mask, threadgroup T *room, uint3 group, uint lane, uint simd, uint index)
{
    const float log2e = 1.44269504f;
    uint head = group.y, batch = group.z, columns = c_width / 8, value_columns = c_values / 8;
    to += batch * p.to[0] + head * p.to[1];
    query += batch * p.query[0] + head * p.query[1];
    key += batch * p.key[0] + head * p.key[1];
    value += batch * p.value[0] + head * p.value[1];
    mask += (batch * p.mask[0] + head * p.mask[1]) * long(sizeof(T));

    tile<T> queries[2][WIDEST / 8];
    fetch(room, query, p.query[2], group.x * ROWS, p.rows, ROWS, c_width, index);
    threadgroup_barrier(mem_flags::mem_threadgroup);
    ALL
    for (uint i = 0; i < 2; i++)
        ALL
        for (uint d = 0; d < columns; d++)
            simdgroup_load(queries[i][d], room + (16 * simd + 8 * i) * PITCH + 8 * d, PITCH);
    threadgroup_barrier(mem_flags::mem_threadgroup);

    // Where a lane's two elements of a matrix are.
    uint own_row = group.x * ROWS + 16 * simd + lane / 16 * 4 + lane / 2 % 4, own_column = lane / 8 % 2 * 4 + lane % 2 * 2;
    tile<float> sums[2][WIDEST / 8];
    ALL
    for (uint i = 0; i < 2; i++)
        ALL
        for (uint d = 0; d < value_columns; d++)
            sums[i][d] = tile<float>(0);
    float top[2] = {-INFINITY, -INFINITY}, total[2] = {0, 0};
    uint end = c_causal ? min(p.count, (group.x + 1) * ROWS) : p.count;
    threadgroup T *keys = room, *values = room + KEYS * PITCH;
    for (uint first = 0; first < end; first += KEYS) {
        fetch(keys, key, p.key[2], first, p.count, KEYS, c_width, index);
        fetch(values, value, p.value[2], first, p.count, KEYS, c_values, index);
        threadgroup_barrier(mem_flags::mem_threadgroup);
        tile<float> scores[2][KEYS / 8];
        ALL
        for (uint i = 0; i < 2; i++)
            ALL
            for (uint j = 0; j < KEYS / 8; j++)
                scores[i][j] = tile<float>(0);
        ALL
        for (uint d = 0; d < columns; d++)
            ALL
            for (uint j = 0; j < KEYS / 8; j++) {
                tile<T> k;
                simdgroup_load(k, keys + 8 * j * PITCH + 8 * d, PITCH, ulong2(0), true);
                ALL
                for (uint i = 0; i < 2; i++)
                    simdgroup_multiply_accumulate(scores[i][j], queries[i][d], k, scores[i][j]);
            }
        tile<T> parts[2][KEYS / 8];
        ALL
        for (uint i = 0; i < 2; i++) {
            uint row = own_row + 8 * i;
            float most = top[i];
            ALL
            for (uint j = 0; j < KEYS / 8; j++) {
                float2 e = scores[i][j].thread_elements() * (p.scale * log2e);
                ALL
                for (uint n = 0; n < 2; n++) {
                    uint column = first + 8 * j + own_column + n;
                    bool inside = column < p.count && !(c_causal && column > row);
                    if (c_masked && inside && row < p.rows)
                        e[n] += load<float>(mask + (row * p.mask[2] + (c_plain ? column : column * p.mask[3])) * sizeof(T),
                                        c_type0) * log2e;
                    e[n] = inside ? e[n] : -INFINITY;
                    most = max(most, e[n]);
                }
                scores[i][j].thread_elements() = e;
            }
            most = max_of_row(most);
            float base = most == -INFINITY ? 0.0f : most, factor = exp2(top[i] - base);
            top[i] = most;
            total[i] *= factor;
            ALL
            for (uint j = 0; j < KEYS / 8; j++) {
                float2 e = exp2(scores[i][j].thread_elements() - base);
                total[i] += e[0] + e[1];
                parts[i][j].thread_elements() = vec<T, 2>(T(e[0]), T(e[1]));
            }
            ALL
            for (uint d = 0; d < value_columns; d++)
                sums[i][d].thread_elements() *= factor;
        }
        ALL
        for (uint j = 0; j < KEYS / 8; j++)
            ALL
            for (uint d = 0; d < value_columns; d++) {
                tile<T> v;
                simdgroup_load(v, values + 8 * j * PITCH + 8 * d, PITCH);
                ALL
                for (uint i = 0; i < 2; i++)
                    simdgroup_multiply_accumulate(sums[i][d], parts[i][j], v, sums[i][d]);
            }
        threadgroup_barrier(mem_flags::mem_threadgroup);
    }
    ALL
    for (uint i = 0; i < 2; i++) {
        uint row = own_row + 8 * i;
        float all = sum_of_row(total[i]), scale = all > 0 ? 1 / all : 0.0f; // 0: nothing of the row was left
        if (row < p.rows)
            ALL
            for (uint d = 0; d < value_columns; d++) {
                float2 e = sums[i][d].thread_elements() * scale;
                *(device vec<T, 2> *)(to + row * p.to[2] + 8 * d + own_column) = vec<T, 2>(T(e[0]), T(e[1]));
            }
    }
}

#define ATTEND(T)                                                                                                            \
    kernel void attend_##T(constant parameters &p [[buffer(0)]], device T *to [[buffer(1)]],                                 \
            device const T *query [[buffer(2)]], device const T *key [[buffer(3)]], device const T *value [[buffer(4)]],     \
            device const uchar *mask [[buffer(5)]], uint3 group [[threadgroup_position_in_grid]],                            \
            uint lane [[thread_index_in_simdgroup]], uint simd [[simdgroup_index_in_threadgroup]],                           \
            uint index [[thread_index_in_threadgroup]])                                                                      \
    {                                                                                                                        \
        threadgroup T room[2 * KEYS * PITCH];                                                                                \
        attend(p, to, query, key, value, mask, room, group, lane, simd, index);                                              \
    }
ATTEND(half)
ATTEND(bfloat)
