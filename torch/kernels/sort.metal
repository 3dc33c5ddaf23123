// Sorted along a dimension, equal elements in the order they had: blocks of a few by insertion, then runs two and
// two, until one is left. Where the first `keep` are wanted, runs are no longer than that. NaN is the largest.
// c_type0: the elements' type. Keys and the places that they had lie in rows without gaps.
#define c_dims c_constant1
#define c_descending c_constant2
#define c_results c_constant3 // bits: 1 values, 2 places
#define c_index_type c_constant4

constant uint BLOCK = 16; // as core/sort.c has them
constant uint CHUNK = 64;

struct parameters {
    uint size[8];
    long from[8], to[8], index[8]; // of the other dimensions, and then of the sorted one
    long line_from, line_to, line_index;
    uint count, width, keep, chunks;
};

struct place {
    long from, to, index;
};

static inline place place_of(constant parameters &p, uint row)
{
    place o = {0, 0, 0};
    for (int d = 0; d < c_dims; d++) {
        uint n = d == c_dims - 1 ? row : row % p.size[d];
        o.from += n * p.from[d];
        o.to += n * p.to[d];
        o.index += n * p.index[d];
        row /= p.size[d];
    }
    return o;
}

static inline bool less(float a, float b) { return a < b || (isnan(b) && !isnan(a)); }
static inline bool less(long a, long b) { return a < b; }
template <typename A> static inline bool before(A a, A b) { return c_descending ? less(b, a) : less(a, b); }

template <typename A> static inline void block(constant parameters &p, device A *keys, device uint *places,
        device const uchar *from, uint2 at)
{
    long start = place_of(p, at.y).from;
    uint begin = at.x * BLOCK, end = min(begin + BLOCK, p.count);
    keys += ulong(at.y) * p.count;
    places += ulong(at.y) * p.count;
    for (uint n = begin; n < end; n++) {
        A v = load<A>(from + (start + n * p.line_from) * size_of(c_type0), c_type0);
        uint to = n;
        for (; to > begin && before(v, keys[to - 1]); to--) {
            keys[to] = keys[to - 1];
            places[to] = places[to - 1];
        }
        keys[to] = v;
        places[to] = n;
    }
}

// How many of the first `n` of both runs are of the left one.
template <typename A> static inline uint split(device const A *left, uint left_count, device const A *right,
        uint right_count, uint n)
{
    uint low = n > right_count ? n - right_count : 0, high = min(n, left_count);
    while (low < high) {
        uint mid = (low + high) / 2;
        if (before(right[n - 1 - mid], left[mid]))
            high = mid;
        else
            low = mid + 1;
    }
    return low;
}

template <typename A> static inline void merge(constant parameters &p, device A *keys, device uint *places,
        device const A *old_keys, device const uint *old_places, uint2 at)
{
    uint pair = at.x / p.chunks, begin = at.x % p.chunks * CHUNK, run = pair * 2 * p.width;
    uint most = min(p.width, p.keep), left_count = min(most, p.count - run);
    uint right_count = p.count > run + p.width ? min(most, p.count - run - p.width) : 0;
    uint end = min(min(left_count + right_count, p.keep), begin + CHUNK);
    ulong row = ulong(at.y) * p.count + run;
    if (begin >= end)
        return;
    device const A *left = old_keys + row, *right = left + p.width;
    uint l = split(left, left_count, right, right_count, begin), r = begin - l;
    for (uint n = begin; n < end; n++) {
        bool is_right = l == left_count || (r < right_count && before(right[r], left[l]));
        ulong taken = is_right ? p.width + r : l;
        keys[row + n] = left[taken];
        places[row + n] = old_places[row + taken];
        r += is_right;
        l += !is_right;
    }
}

template <typename A> static inline void finish(constant parameters &p, device uchar *to, device uchar *index,
        device const A *keys, device const uint *places, uint2 at)
{
    place o = place_of(p, at.y);
    ulong here = ulong(at.y) * p.count + at.x;
    if (c_results & 1)
        store(to + (o.to + at.x * p.line_to) * size_of(c_type0), c_type0, keys[here]);
    if (c_results & 2)
        ((device long *)index)[o.index + at.x * p.line_index] = places[here];
}

// Where each value would go into a sorted row: before what equals it, or (c_descending) behind.
template <typename A> static inline void search(constant parameters &p, device uchar *to, device const uchar *row,
        device const uchar *values, device const uchar *order, uint2 at)
{
    ulong here = ulong(at.y) * p.width + at.x, start = p.keep ? 0 : ulong(at.y) * p.count;
    A v = load<A>(values + here * size_of(c_dims), c_dims);
    uint low = 0, high = p.count;
    while (low < high) {
        uint mid = (low + high) / 2;
        ulong n = start + mid;
        if (c_results)
            n = start + ulong(clamp(((device const long *)order)[n], 0L, long(p.count) - 1));
        A w = load<A>(row + n * size_of(c_type0), c_type0);
        if (c_descending ? less(v, w) : !less(w, v))
            high = mid;
        else
            low = mid + 1;
    }
    store(to + here * size_of(c_index_type), c_index_type, long(low));
}

#define KERNELS(A)                                                                                            \
    kernel void block_##A(constant parameters &p [[buffer(0)]], device A *keys [[buffer(1)]],                 \
            device uint *places [[buffer(2)]], device const uchar *from [[buffer(3)]],                        \
            uint2 at [[thread_position_in_grid]])                                                             \
    {                                                                                                         \
        block<A>(p, keys, places, from, at);                                                                  \
    }                                                                                                         \
    kernel void merge_##A(constant parameters &p [[buffer(0)]], device A *keys [[buffer(1)]],                 \
            device uint *places [[buffer(2)]], device const A *old_keys [[buffer(3)]],                        \
            device const uint *old_places [[buffer(4)]], uint2 at [[thread_position_in_grid]])                \
    {                                                                                                         \
        merge<A>(p, keys, places, old_keys, old_places, at);                                                  \
    }                                                                                                         \
    kernel void finish_##A(constant parameters &p [[buffer(0)]], device uchar *to [[buffer(1)]],              \
            device uchar *index [[buffer(2)]], device const A *keys [[buffer(3)]],                            \
            device const uint *places [[buffer(4)]], uint2 at [[thread_position_in_grid]])                    \
    {                                                                                                         \
        finish<A>(p, to, index, keys, places, at);                                                            \
    }                                                                                                         \
    kernel void search_##A(constant parameters &p [[buffer(0)]], device uchar *to [[buffer(1)]],              \
            device const uchar *row [[buffer(2)]], device const uchar *values [[buffer(3)]],                  \
            device const uchar *order [[buffer(4)]], uint2 at [[thread_position_in_grid]])                    \
    {                                                                                                         \
        search<A>(p, to, row, values, order, at);                                                             \
    }
KERNELS(float)
KERNELS(long)
