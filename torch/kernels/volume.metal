// Pooling over three dimensions, or of windows of different sizes (adaptive), on tensors (images, depth, height, width)
// without gaps. c_type0: the elements'.
#define c_includes_padding c_constant1
#define c_adaptive c_constant2 // what lies between n and n + 1 of the result's sizes

struct parameters {
    int in[3], out[3];
    int kernel_size[3], stride[3], padding[3], dilation[3];
    int divisor; // of averages, 0: the elements that there are
    int reserved;
};

struct range {
    int first, last, step; // last: behind it
    int whole;             // with the padding
};
static inline range range_of(constant parameters &p, int d, int n)
{
    range r;
    if (c_adaptive) {
        r.first = int(long(n) * p.in[d] / p.out[d]);
        r.last = int((long(n + 1) * p.in[d] + p.out[d] - 1) / p.out[d]);
        r.step = 1;
        r.whole = r.last - r.first;
        return r;
    }
    int begin = n * p.stride[d] - p.padding[d];
    r.step = p.dilation[d];
    r.whole = min(begin + p.kernel_size[d], p.in[d] + p.padding[d]) - begin;
    r.last = min(begin + (p.kernel_size[d] - 1) * r.step + 1, p.in[d]);
    r.first = begin < 0 ? begin + (-begin + r.step - 1) / r.step * r.step : begin;
    return r;
}

// The windows that an element may be in.
static inline range windows_of(constant parameters &p, int d, int x)
{
    range r;
    r.step = 1;
    r.whole = 0;
    if (c_adaptive) {
        r.first = int(long(x) * p.out[d] / p.in[d]);
        r.last = int((long(x + 1) * p.out[d] + p.in[d] - 1) / p.in[d]);
        return r;
    }
    int reach = p.dilation[d] * (p.kernel_size[d] - 1) + 1;
    r.first = x + p.padding[d] < reach ? 0 : (x + p.padding[d] - reach) / p.stride[d] + 1;
    r.last = min((x + p.padding[d]) / p.stride[d], p.out[d] - 1) + 1;
    return r;
}

static inline bool is_nan(float v) { return isnan(v); }
static inline bool is_nan(long) { return false; }

template <typename A> static inline void largest(constant parameters &p, device uchar *to, device long *index,
        device const uchar *from, uint3 at)
{
    int width = size_of(c_type0), d = int(at.y) / p.out[1], h = int(at.y) % p.out[1];
    range z = range_of(p, 0, d), y = range_of(p, 1, h), x = range_of(p, 2, at.x);
    from += long(at.z) * p.in[0] * p.in[1] * p.in[2] * width;
    A best = 0;
    long place = -1;
    for (int i = z.first; i < z.last; i += z.step)
        for (int j = y.first; j < y.last; j += y.step)
            for (int k = x.first; k < x.last; k += x.step) {
                long n = (long(i) * p.in[1] + j) * p.in[2] + k;
                A v = load<A>(from + n * width, c_type0);
                if (place < 0 || v > best || is_nan(v)) {
                    best = v;
                    place = n;
                }
            }
    long o = (long(at.z) * p.out[0] * p.out[1] + at.y) * p.out[2] + at.x;
    store(to + o * width, c_type0, best);
    index[o] = place;
}

kernel void largest_backward(constant parameters &p [[buffer(0)]], device uchar *to [[buffer(1)]],
        device const long *index [[buffer(2)]], device const uchar *gradient [[buffer(3)]],
        uint3 at [[thread_position_in_grid]])
{
    int d = int(at.y) / p.in[1], h = int(at.y) % p.in[1];
    long me = long(at.y) * p.in[2] + at.x, first = long(at.z) * p.out[0] * p.out[1] * p.out[2];
    range z = windows_of(p, 0, d), y = windows_of(p, 1, h), x = windows_of(p, 2, at.x);
    float sum = 0;
    for (int i = z.first; i < z.last; i++)
        for (int j = y.first; j < y.last; j++)
            for (int k = x.first; k < x.last; k++) {
                long o = first + (long(i) * p.out[1] + j) * p.out[2] + k;
                if (index[o] == me)
                    sum += load<float>(gradient + o * size_of(c_type0), c_type0);
            }
    store(to + (long(at.z) * p.in[0] * p.in[1] * p.in[2] + me) * size_of(c_type0), c_type0, sum);
}

static inline int count_of(constant parameters &p, range z, range y, range x)
{
    if (p.divisor)
        return p.divisor;
    if (c_includes_padding)
        return z.whole * y.whole * x.whole;
    return (z.last - z.first) * (y.last - y.first) * (x.last - x.first);
}

template <typename A> static inline void average(constant parameters &p, device uchar *to, device const uchar *from, uint3 at)
{
    int width = size_of(c_type0), d = int(at.y) / p.out[1], h = int(at.y) % p.out[1];
    range z = range_of(p, 0, d), y = range_of(p, 1, h), x = range_of(p, 2, at.x);
    from += long(at.z) * p.in[0] * p.in[1] * p.in[2] * width;
    A sum = 0;
    for (int i = z.first; i < z.last; i++)
        for (int j = y.first; j < y.last; j++)
            for (int k = x.first; k < x.last; k++)
                sum += load<A>(from + ((long(i) * p.in[1] + j) * p.in[2] + k) * width, c_type0);
    long o = (long(at.z) * p.out[0] * p.out[1] + at.y) * p.out[2] + at.x;
    bool empty = z.first >= z.last || y.first >= y.last || x.first >= x.last;
    store(to + o * width, c_type0, empty ? A(0) : sum / A(count_of(p, z, y, x)));
}

kernel void average_backward(constant parameters &p [[buffer(0)]], device uchar *to [[buffer(1)]],
        device const uchar *gradient [[buffer(2)]], uint3 at [[thread_position_in_grid]])
{
    int d = int(at.y) / p.in[1], h = int(at.y) % p.in[1];
    range z = windows_of(p, 0, d), y = windows_of(p, 1, h), x = windows_of(p, 2, at.x);
    gradient += long(at.z) * p.out[0] * p.out[1] * p.out[2] * size_of(c_type0);
    float sum = 0;
    for (int i = z.first; i < z.last; i++)
        for (int j = y.first; j < y.last; j++)
            for (int k = x.first; k < x.last; k++)
                sum += load<float>(gradient + ((long(i) * p.out[1] + j) * p.out[2] + k) * size_of(c_type0), c_type0) /
                        count_of(p, range_of(p, 0, i), range_of(p, 1, j), range_of(p, 2, k));
    long me = (long(at.z) * p.in[0] * p.in[1] + at.y) * p.in[2] + at.x;
    store(to + me * size_of(c_type0), c_type0, sum);
}

#define KERNELS(A)                                                                                            \
    kernel void largest_##A(constant parameters &p [[buffer(0)]], device uchar *to [[buffer(1)]],             \
            device long *index [[buffer(2)]], device const uchar *from [[buffer(3)]],                         \
            uint3 at [[thread_position_in_grid]])                                                             \
    {                                                                                                         \
        largest<A>(p, to, index, from, at);                                                                   \
    }                                                                                                         \
    kernel void average_##A(constant parameters &p [[buffer(0)]], device uchar *to [[buffer(1)]],             \
            device const uchar *from [[buffer(2)]], uint3 at [[thread_position_in_grid]])                     \
    {                                                                                                         \
        average<A>(p, to, from, at);                                                                          \
    }
KERNELS(float)
KERNELS(long)
