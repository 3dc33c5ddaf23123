// Sorted along a dimension, equal elements in the order they had: blocks of a few by insertion, then runs two and
// two, until one is left. Where the first `keep` are wanted, runs are no longer than that; few of many are chosen
// before they are sorted. NaN is the largest.
// c_type0: the elements' type. Keys and the places that they had lie in rows without gaps.
#define c_dims c_constant1
#define c_descending c_constant2
#define c_results c_constant3 // bits: 1 values, 2 places
#define c_index_type c_constant4
#define c_chosen c_constant4 // of what is sorted the places are given

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
        device const uchar *from, device const uint *chosen, uint2 at)
{
    long start = place_of(p, at.y).from;
    uint begin = at.x * BLOCK, end = min(begin + BLOCK, p.count);
    keys += ulong(at.y) * p.count;
    places += ulong(at.y) * p.count;
    for (uint n = begin; n < end; n++) {
        uint place = c_chosen ? chosen[ulong(at.y) * p.count + n] : n, to = n;
        A v = load<A>(from + (start + place * p.line_from) * size_of(c_type0), c_type0);
        for (; to > begin && before(v, keys[to - 1]); to--) {
            keys[to] = keys[to - 1];
            places[to] = places[to - 1];
        }
        keys[to] = v;
        places[to] = place;
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

// ---- the first `keep` without sorting: what is first is found two bits at a time

// Numbers whose order is that of the elements; -0 is 0, and every NaN the same.
static inline uint ordered(float v)
{
    uint bits = as_type<uint>(v), rest = bits & 0x7fffffff;
    uint key = rest == 0 ? 0x80000000 : bits >> 31 ? ~bits : bits | 0x80000000;
    return rest > 0x7f800000 ? 0xffffffff : key;
}
static inline ulong ordered(long v) { return ulong(v) ^ (1UL << 63); }

template <typename A, typename K> static inline void keys_of(constant parameters &p, device K *keys, device const uchar *from,
        uint2 at)
{
    K key = ordered(load<A>(from + (place_of(p, at.y).from + at.x * p.line_from) * size_of(c_type0), c_type0));
    keys[ulong(at.y) * p.count + at.x] = c_descending ? ~key : key;
}

static inline uint total_of(uint v, threadgroup uint *room, uint worker)
{
    v = simd_sum(v);
    if (c_threads <= 32)
        return v;
    threadgroup_barrier(mem_flags::mem_threadgroup);
    if (worker % 32 == 0)
        room[worker / 32] = v;
    threadgroup_barrier(mem_flags::mem_threadgroup);
    return simd_sum(worker % 32 < uint(c_threads) / 32 ? room[worker % 32] : 0u);
}

// The key that has `rank` before it, or of those that equal it the first would; the smaller ones are counted.
template <typename K> static inline K key_at(device const K *keys, uint count, uint rank, thread uint &smaller,
        threadgroup uint *room, uint worker)
{
    K found = 0;
    smaller = 0;
    for (int bit = sizeof(K) * 8 - 2; bit >= 0; bit -= 2) {
        K one = found | K(1) << bit, two = found | K(2) << bit, three = found | K(3) << bit;
        uint below_one = 0, below_two = 0, below_three = 0;
        for (int n = worker; n < int(count); n += c_threads) {
            K key = keys[n];
            below_one += key < one;
            below_two += key < two;
            below_three += key < three;
        }
        below_one = total_of(below_one, room, worker);
        below_two = total_of(below_two, room, worker);
        below_three = total_of(below_three, room, worker);
        if (below_one <= rank) {
            found = below_three <= rank ? three : below_two <= rank ? two : one;
            smaller = below_three <= rank ? below_three : below_two <= rank ? below_two : below_one;
        }
    }
    return found;
}

// The places of the first `keep`, in their own order.
template <typename K> static inline void choose(constant parameters &p, device uint *chosen, device const K *keys, uint row,
        uint worker, threadgroup uint *room)
{
    keys += ulong(row) * p.count;
    chosen += ulong(row) * p.keep;
    uint smaller, written = 0, equal = 0;
    K last = key_at(keys, p.count, p.keep - 1, smaller, room, worker);
    for (int begin = 0; begin < int(p.count) && worker < 32; begin += 32) {
        int n = begin + worker;
        bool inside = n < int(p.count);
        K key = inside ? keys[n] : 0;
        if (!simd_any(inside && key <= last))
            continue;
        bool same = inside && key == last;
        uint rank = equal + simd_prefix_exclusive_sum(uint(same));
        bool taken = (inside && key < last) || (same && rank < p.keep - smaller);
        uint to = written + simd_prefix_exclusive_sum(uint(taken));
        if (taken)
            chosen[to] = n;
        written += simd_sum(uint(taken));
        equal += simd_sum(uint(same));
    }
}

// The one that sorting would put at `keep`; (c_results & 4) in the middle, or where a NaN is the first of those,
// (c_results & 8) in the middle of what is none.
template <typename K> static inline void pick(constant parameters &p, device uchar *to, device long *index,
        device const uchar *from, device const K *keys, uint row, uint worker, threadgroup uint *room)
{
    keys += ulong(row) * p.count;
    uint rank = p.keep, smaller;
    if (c_results & 12) {
        uint numbers = 0;
        for (int n = worker; n < int(p.count); n += c_threads)
            numbers += keys[n] != ~K(0);
        numbers = total_of(numbers, room, worker);
        uint all = c_results & 8 ? numbers : p.count;
        rank = c_results & 4 && numbers < p.count ? numbers : all ? (all - 1) / 2 : 0;
    }
    K wanted = key_at(keys, p.count, rank, smaller, room, worker);
    place o = place_of(p, row);
    uint equal = smaller;
    for (int begin = 0; begin < int(p.count) && worker < 32 && equal <= rank; begin += 32) {
        int n = begin + worker;
        bool same = n < int(p.count) && keys[n < int(p.count) ? n : 0] == wanted;
        if (!simd_any(same))
            continue;
        if (same && equal + simd_prefix_exclusive_sum(uint(same)) == rank) {
            index[o.index] = n;
            int size = size_of(c_type0);
            for (int i = 0; i < size; i++)
                to[o.to * size + i] = from[(o.from + n * p.line_from) * size + i];
        }
        equal += simd_sum(uint(same));
    }
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

#define KERNELS(A, K)                                                                                         \
    kernel void block_##A(constant parameters &p [[buffer(0)]], device A *keys [[buffer(1)]],                 \
            device uint *places [[buffer(2)]], device const uchar *from [[buffer(3)]],                        \
            device const uint *chosen [[buffer(4)]], uint2 at [[thread_position_in_grid]])                    \
    {                                                                                                         \
        block<A>(p, keys, places, from, chosen, at);                                                          \
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
    }                                                                                                         \
    kernel void keys_##A(constant parameters &p [[buffer(0)]], device K *keys [[buffer(1)]],                  \
            device const uchar *from [[buffer(2)]], uint2 at [[thread_position_in_grid]])                     \
    {                                                                                                         \
        keys_of<A, K>(p, keys, from, at);                                                                     \
    }                                                                                                         \
    kernel void choose_##A(constant parameters &p [[buffer(0)]], device uint *chosen [[buffer(1)]],           \
            device const K *keys [[buffer(2)]], uint2 group [[threadgroup_position_in_grid]],                 \
            uint lane [[thread_index_in_simdgroup]], uint index [[thread_index_in_threadgroup]])              \
    {                                                                                                         \
        threadgroup uint room[32];                                                                            \
        choose<K>(p, chosen, keys, group.y, worker_of(lane, index), room);                                    \
    }                                                                                                         \
    kernel void pick_##A(constant parameters &p [[buffer(0)]], device uchar *to [[buffer(1)]],                \
            device long *at [[buffer(2)]], device const uchar *from [[buffer(3)]],                            \
            device const K *keys [[buffer(4)]], uint2 group [[threadgroup_position_in_grid]],                 \
            uint lane [[thread_index_in_simdgroup]], uint index [[thread_index_in_threadgroup]])              \
    {                                                                                                         \
        threadgroup uint room[32];                                                                            \
        pick<K>(p, to, at, from, keys, group.y, worker_of(lane, index), room);                                \
    }
KERNELS(float, uint)
KERNELS(long, ulong)
