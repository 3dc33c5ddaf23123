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
#define WIDEST 80
#define SIMDS 8 // SIMD-groups of a threadgroup
#define ROWS (16 * SIMDS)
#define KEYS 32
#define THREADS (32 * SIMDS)
#define ALL _Pragma("clang loop unroll(full)")
#define PITCH (WIDEST + 8) // of a row in threadgroup memory
#define PIECES ((KEYS * WIDEST / 8 + THREADS - 1) / THREADS) // eight elements each, of a thread
struct parameters {
    uint rows, count;
    float scale, reserved;
    long query[3], key[3], value[3], to[3]; // strides: batch, head, row
    long mask[4];
};

template <typename T> using tile = simdgroup_matrix<T, 8, 8>;

// A thread's part of KEYS rows from `first` on, all of which is under way together; behind the last row are zeros.
template <typename T> struct part {
    vec<T, 4> low[PIECES], high[PIECES];

    inline void take(device const T *from, long stride, uint first, uint count, uint width, uint index)
    {
        uint pieces = width / 8;
        ALL for (uint n = 0; n < PIECES; n++) {
            uint i = n * THREADS + index, row = first + i / pieces;
            low[n] = high[n] = vec<T, 4>(T(0));
            if (i < KEYS * pieces && row < count) {
                device const T *p = from + row * stride + i % pieces * 8;
                low[n] = *(device const vec<T, 4> *)p;
                high[n] = *(device const vec<T, 4> *)(p + 4);
            }
        }
    }

    inline void put(threadgroup T *to, uint width, uint index) thread const
    {
        uint pieces = width / 8;
        ALL for (uint n = 0; n < PIECES; n++) {
            uint i = n * THREADS + index;
            if (i < KEYS * pieces) {
                threadgroup T *p = to + i / pieces * PITCH + i % pieces * 8;
                *(threadgroup vec<T, 4> *)p = low[n];
                *(threadgroup vec<T, 4> *)(p + 4) = high[n];
            }
        }
    }
};

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

template <typename T> static inline float added(device const uchar *mask, long at)
{
    return float(*(device const T *)(mask + at * long(sizeof(T))));
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
    part<T> keys_part, values_part;
    threadgroup T *keys = room, *values = room + KEYS * PITCH;
    ALL for (uint first = 0; first < ROWS; first += 2 * KEYS) { // as many rows as there is room for
        keys_part.take(query, p.query[2], group.x * ROWS + first, p.rows, c_width, index);
        values_part.take(query, p.query[2], group.x * ROWS + first + KEYS, p.rows, c_width, index);
        keys_part.put(keys, c_width, index);
        values_part.put(values, c_width, index);
        threadgroup_barrier(mem_flags::mem_threadgroup);
        if (16 * simd / (2 * KEYS) == first / (2 * KEYS))
            ALL for (uint i = 0; i < 2; i++)
                ALL for (uint d = 0; d < columns; d++)
                    simdgroup_load(queries[i][d], room + (16 * simd + 8 * i - first) * PITCH + 8 * d, PITCH);
        threadgroup_barrier(mem_flags::mem_threadgroup);
    }

    // Where a lane's two elements of a matrix are.
    uint own_row = group.x * ROWS + 16 * simd + lane / 16 * 4 + lane / 2 % 4, own_column = lane / 8 % 2 * 4 + lane % 2 * 2;
    tile<float> sums[2][WIDEST / 8];
    ALL for (uint i = 0; i < 2; i++)
        ALL for (uint d = 0; d < value_columns; d++)
            sums[i][d] = tile<float>(0);
    float top[2] = {-INFINITY, -INFINITY}, total[2] = {0, 0};
    uint end = c_causal ? min(p.count, (group.x + 1) * ROWS) : p.count;
    for (uint first = 0; first < end; first += KEYS) {
        keys_part.take(key, p.key[2], first, p.count, c_width, index);
        values_part.take(value, p.value[2], first, p.count, c_values, index);
        keys_part.put(keys, c_width, index);
        values_part.put(values, c_values, index);
        threadgroup_barrier(mem_flags::mem_threadgroup);
        tile<float> scores[2][KEYS / 8];
        ALL for (uint i = 0; i < 2; i++)
            ALL for (uint j = 0; j < KEYS / 8; j++)
                scores[i][j] = tile<float>(0);
        ALL for (uint d = 0; d < columns; d++)
            ALL for (uint j = 0; j < KEYS / 8; j++) {
                tile<T> k;
                simdgroup_load(k, keys + 8 * j * PITCH + 8 * d, PITCH, ulong2(0), true);
                ALL for (uint i = 0; i < 2; i++)
                    simdgroup_multiply_accumulate(scores[i][j], queries[i][d], k, scores[i][j]);
            }
        // Whether all of it counts, which is so but at ends.
        bool whole = first + KEYS <= (c_causal ? min(p.count, group.x * ROWS + 16 * simd) : p.count);
        tile<T> parts[2][KEYS / 8];
        ALL for (uint i = 0; i < 2; i++) {
            uint row = own_row + 8 * i;
            float most = top[i];
            ALL for (uint j = 0; j < KEYS / 8; j++) {
                uint column = first + 8 * j + own_column;
                float2 e = scores[i][j].thread_elements() * (p.scale * log2e);
                if (c_masked)
                    ALL for (uint n = 0; n < 2; n++)
                        if (column + n < p.count && row < p.rows)
                            e[n] += added<T>(mask, row * p.mask[2] + (column + n) * (c_plain ? 1 : p.mask[3])) * log2e;
                if (!whole)
                    ALL for (uint n = 0; n < 2; n++)
                        e[n] = column + n < p.count && !(c_causal && column + n > row) ? e[n] : -INFINITY;
                scores[i][j].thread_elements() = e;
                most = max(most, max(e[0], e[1]));
            }
            most = max_of_row(most);
            float base = most == -INFINITY ? 0.0f : most, factor = exp2(top[i] - base);
            top[i] = most;
            total[i] *= factor;
            ALL for (uint j = 0; j < KEYS / 8; j++) {
                float2 e = exp2(scores[i][j].thread_elements() - base);
                total[i] += e[0] + e[1];
                parts[i][j].thread_elements() = vec<T, 2>(T(e[0]), T(e[1]));
            }
            ALL for (uint d = 0; d < value_columns; d++)
                sums[i][d].thread_elements() *= factor;
        }
        ALL for (uint j = 0; j < KEYS / 8; j++)
            ALL for (uint d = 0; d < value_columns; d++) {
                tile<T> v;
                simdgroup_load(v, values + 8 * j * PITCH + 8 * d, PITCH);
                ALL for (uint i = 0; i < 2; i++)
                    simdgroup_multiply_accumulate(sums[i][d], parts[i][j], v, sums[i][d]);
            }
        threadgroup_barrier(mem_flags::mem_threadgroup);
    }
        ALL for (uint i = 0; i < 2; i++) {
        uint row = own_row + 8 * i;
        float all = sum_of_row(total[i]), scale = all > 0 ? 1 / all : 0.0f; // 0: nothing of the row was left
        if (row < p.rows)
            ALL for (uint d = 0; d < value_columns; d++) {
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
