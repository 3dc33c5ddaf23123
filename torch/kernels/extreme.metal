// The largest or smallest element along a dimension, and its place: the first of equals, and the first
// NaN before any number.
#define c_wants_value c_constant1
#define c_kept c_constant2
#define c_largest c_constant3
#define c_wants_index c_constant4

struct parameters {
    uint size[8];
    long from_stride[8], value_stride[8], index_stride[8];
    long count, stride;
};

static inline bool is_nan(float v) { return isnan(v); }
static inline bool is_nan(long) { return false; }

template <typename A> static inline void find(constant parameters &p, device const uchar *from, device uchar *value,
        device uchar *index, uint result)
{
    long at = 0, to_value = 0, to_index = 0;
    for (int d = 0; d < c_kept; d++) {
        uint n = result % p.size[d];
        at += n * p.from_stride[d];
        to_value += n * p.value_stride[d];
        to_index += n * p.index_stride[d];
        result /= p.size[d];
    }
    int width = size_of(c_type0);
    A best = load<A>(from + at * width, c_type0);
    long place = 0;
    for (long n = 1; n < p.count; n++) {
        A v = load<A>(from + (at + n * p.stride) * width, c_type0);
        bool better = c_largest ? v > best : v < best;
        if ((better || is_nan(v)) && !is_nan(best)) {
            best = v;
            place = n;
        }
    }
    if (c_wants_value)
        store(value + to_value * width, c_type0, best);
    if (c_wants_index)
        *(device long *)(index + to_index * 8) = place;
}

kernel void find_float(constant parameters &p [[buffer(0)]], device const uchar *from [[buffer(1)]],
        device uchar *value [[buffer(2)]], device uchar *index [[buffer(3)]], uint at [[thread_position_in_grid]])
{
    find<float>(p, from, value, index, at);
}

kernel void find_long(constant parameters &p [[buffer(0)]], device const uchar *from [[buffer(1)]],
        device uchar *value [[buffer(2)]], device uchar *index [[buffer(3)]], uint at [[thread_position_in_grid]])
{
    find<long>(p, from, value, index, at);
}
