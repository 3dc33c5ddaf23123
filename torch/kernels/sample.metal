// Elements of a picture, or of a volume, at the places that a grid names: (images, channels, depth, height, width) and
// (images, depth, height, width of the result, dimensions) without gaps. c_type0: the elements', and the grid's.
#define c_dims c_constant1    // 2 or 3
#define c_mode c_constant2    // 0 linear, 1 nearest, 2 cubic
#define c_padding c_constant3 // 0 nothing, 1 the edge, 2 reflected
#define c_aligned c_constant4 // whether -1 and 1 are the outermost elements' middles
#define c_wants c_constant5   // bits: 1 the derivative of the picture, 2 that of the grid

struct parameters {
    int channels, reserved;
    int in[3], out[3];
};

static inline float at_type(device const uchar *p, long n) { return load<float>(p + n * size_of(c_type0), c_type0); }

// What comes back from the edge, and whether it is the right way round.
static inline float reflected(float x, float low, float span, thread float &slope)
{
    if (span == 0) {
        slope = 0;
        return 0;
    }
    x -= low;
    if (x < 0) {
        x = -x;
        slope = -slope;
    }
    float rest = fmod(x, span), flips = floor(x / span);
    if (fmod(flips, 2) == 0)
        return rest + low;
    slope = -slope;
    return span - rest + low;
}

static inline float inside(float x, int size, thread float &slope)
{
    if (c_padding == 2)
        x = c_aligned ? reflected(x, 0, size - 1, slope) : reflected(x, -0.5f, size, slope);
    if (c_padding != 0) {
        if (!(x > 0) || x >= size - 1)
            slope = 0;
        x = x > 0 ? min(x, float(size - 1)) : 0.0f;
    }
    return x;
}

// From -1 to 1 to the elements' numbers; `slope`: of the second by the first.
static inline float unscaled(float g, int size, thread float &slope)
{
    slope = c_aligned ? (size - 1) / 2.0f : size / 2.0f;
    return c_aligned ? (g + 1) * slope : ((g + 1) * size - 1) / 2;
}

// Numbers that are far outside, or none, are kept within what an int holds.
static inline int whole(float x) { return int(clamp(isnan(x) ? -100.0f : x, -2.0e9f, 2.0e9f)); }

struct spot {
    float x[3], slope[3]; // depth, height, width
};
static inline spot spot_of(constant parameters &p, device const uchar *grid, long n)
{
    spot s;
    s.x[0] = s.slope[0] = 0;
    for (int d = 3 - c_dims; d < 3; d++) {
        s.x[d] = unscaled(at_type(grid, n * c_dims + 2 - d), p.in[d], s.slope[d]);
        if (c_mode != 2)
            s.x[d] = inside(s.x[d], p.in[d], s.slope[d]);
    }
    return s;
}

static inline bool is_in(constant parameters &p, int z, int y, int x)
{
    return z >= 0 && z < p.in[0] && y >= 0 && y < p.in[1] && x >= 0 && x < p.in[2];
}
static inline long element(constant parameters &p, int z, int y, int x) { return (long(z) * p.in[1] + y) * p.in[2] + x; }

// The corners around a spot: bit 0 of the corner is the width's, bit 1 the height's, bit 2 the depth's.
struct corner {
    int z, y, x;
    float weight[3];
};
static inline corner corner_of(spot s, int n)
{
    corner c;
    float part[3], low[3];
    for (int d = 0; d < 3; d++) {
        low[d] = floor(s.x[d]);
        part[d] = s.x[d] - low[d];
    }
    c.z = whole(low[0]) + (n >> 2 & 1);
    c.y = whole(low[1]) + (n >> 1 & 1);
    c.x = whole(low[2]) + (n & 1);
    c.weight[0] = n >> 2 & 1 ? part[0] : 1 - part[0];
    c.weight[1] = n >> 1 & 1 ? part[1] : 1 - part[1];
    c.weight[2] = n & 1 ? part[2] : 1 - part[2];
    return c;
}

static inline float cubic(float x)
{
    x = fabs(x);
    const float a = -0.75f;
    return x < 1 ? ((a + 2) * x - (a + 3)) * x * x + 1 : x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0.0f;
}
static inline float cubic_slope(float x)
{
    float s = x < 0 ? -1 : 1;
    x = fabs(x);
    const float a = -0.75f;
    return s * (x < 1 ? (3 * (a + 2) * x - 2 * (a + 3)) * x : x < 2 ? ((3 * x - 10) * x + 8) * a : 0.0f);
}
// The element's number where the cubic's 16 want it, or -1.
static inline long cubic_element(constant parameters &p, int y, int x)
{
    float none = 1;
    int i = whole(inside(float(y), p.in[1], none)), j = whole(inside(float(x), p.in[2], none));
    return is_in(p, 0, i, j) ? element(p, 0, i, j) : -1;
}

static inline float linear(constant parameters &p, device const uchar *from, spot s)
{
    float sum = 0;
    for (int n = 0; n < 1 << c_dims; n++) {
        corner c = corner_of(s, n);
        if (is_in(p, c.z, c.y, c.x))
            sum += at_type(from, element(p, c.z, c.y, c.x)) * c.weight[0] * c.weight[1] * c.weight[2];
    }
    return sum;
}
static inline float nearest(constant parameters &p, device const uchar *from, spot s)
{
    int z = whole(rint(s.x[0])), y = whole(rint(s.x[1])), x = whole(rint(s.x[2]));
    return is_in(p, z, y, x) ? at_type(from, element(p, z, y, x)) : 0.0f;
}
static inline float cubic_sum(constant parameters &p, device const uchar *from, spot s)
{
    float top = floor(s.x[1]), left = floor(s.x[2]), sum = 0;
    for (int i = -1; i <= 2; i++)
        for (int j = -1; j <= 2; j++) {
            long n = cubic_element(p, whole(top) + i, whole(left) + j);
            if (n >= 0)
                sum += at_type(from, n) * cubic(s.x[1] - top - i) * cubic(s.x[2] - left - j);
        }
    return sum;
}

kernel void sample(constant parameters &p [[buffer(0)]], device uchar *to [[buffer(1)]],
        device const uchar *from [[buffer(2)]], device const uchar *grid [[buffer(3)]], uint3 at [[thread_position_in_grid]])
{
    long results = long(p.out[0]) * p.out[1] * p.out[2], here = long(at.y) * p.out[2] + at.x;
    long elements = long(p.in[0]) * p.in[1] * p.in[2];
    spot s = spot_of(p, grid, at.z * results + here);
    from += long(at.z) * p.channels * elements * size_of(c_type0);
    to += (long(at.z) * p.channels * results + here) * size_of(c_type0);
    for (int c = 0; c < p.channels; c++) {
        store(to, c_type0, c_mode == 0 ? linear(p, from, s) : c_mode == 1 ? nearest(p, from, s) : cubic_sum(p, from, s));
        from += elements * size_of(c_type0);
        to += results * size_of(c_type0);
    }
}

static inline void add(device atomic_float *to, long n, float v)
{
    atomic_fetch_add_explicit(to + n, v, memory_order_relaxed);
}

// Of one result by the picture, and by its spot: `moved` in elements.
static inline void back(constant parameters &p, device atomic_float *to, device const uchar *from, spot s, float gradient,
        thread float *moved)
{
    if (c_mode == 1) {
        int z = whole(rint(s.x[0])), y = whole(rint(s.x[1])), x = whole(rint(s.x[2]));
        if (c_wants & 1 && is_in(p, z, y, x))
            add(to, element(p, z, y, x), gradient);
        return;
    }
    if (c_mode == 2) {
        float top = floor(s.x[1]), left = floor(s.x[2]);
        for (int i = -1; i <= 2; i++)
            for (int j = -1; j <= 2; j++) {
                long n = cubic_element(p, whole(top) + i, whole(left) + j);
                float y = s.x[1] - top - i, x = s.x[2] - left - j;
                if (n < 0)
                    continue;
                float v = at_type(from, n) * gradient;
                if (c_wants & 1)
                    add(to, n, gradient * cubic(y) * cubic(x));
                moved[1] += v * cubic_slope(y) * cubic(x);
                moved[2] += v * cubic(y) * cubic_slope(x);
            }
        return;
    }
    for (int n = 0; n < 1 << c_dims; n++) {
        corner c = corner_of(s, n);
        if (!is_in(p, c.z, c.y, c.x))
            continue;
        long e = element(p, c.z, c.y, c.x);
        float v = at_type(from, e) * gradient;
        if (c_wants & 1)
            add(to, e, gradient * c.weight[0] * c.weight[1] * c.weight[2]);
        moved[0] += (n >> 2 & 1 ? v : -v) * c.weight[1] * c.weight[2];
        moved[1] += (n >> 1 & 1 ? v : -v) * c.weight[0] * c.weight[2];
        moved[2] += (n & 1 ? v : -v) * c.weight[0] * c.weight[1];
    }
}

// The picture's derivative is added up, as floats, in memory that was 0.
kernel void sample_backward(constant parameters &p [[buffer(0)]], device atomic_float *to [[buffer(1)]],
        device uchar *to_grid [[buffer(2)]], device const uchar *gradient [[buffer(3)]],
        device const uchar *from [[buffer(4)]], device const uchar *grid [[buffer(5)]], uint3 at [[thread_position_in_grid]])
{
    long results = long(p.out[0]) * p.out[1] * p.out[2], here = long(at.y) * p.out[2] + at.x;
    long elements = long(p.in[0]) * p.in[1] * p.in[2], first = long(at.z) * p.channels;
    spot s = spot_of(p, grid, at.z * results + here);
    float moved[3] = {0, 0, 0};
    for (int c = 0; c < p.channels; c++)
        back(p, to + (first + c) * elements, from + (first + c) * elements * size_of(c_type0), s,
                at_type(gradient, (first + c) * results + here), moved);
    if (c_wants & 2)
        for (int d = 3 - c_dims; d < 3; d++)
            store(to_grid + ((at.z * results + here) * c_dims + 2 - d) * size_of(c_type0), c_type0, moved[d] * s.slope[d]);
}

// The picture's derivative where threads share few processors: one for each channel of an image, with the channels last
// in both, adds up what all places give, in their order, to memory that was 0.
kernel void spread(constant parameters &p [[buffer(0)]], device float *to [[buffer(1)]],
        device const uchar *gradient [[buffer(2)]], device const uchar *grid [[buffer(3)]], uint2 at [[thread_position_in_grid]])
{
    long results = long(p.out[0]) * p.out[1] * p.out[2], channels = p.channels;
    to += long(at.y) * p.in[0] * p.in[1] * p.in[2] * channels + at.x;
    for (long here = at.y * results; here < (at.y + 1) * results; here++) {
        spot s = spot_of(p, grid, here);
        float v = at_type(gradient, here * channels + at.x);
        if (c_mode == 1) {
            int z = whole(rint(s.x[0])), y = whole(rint(s.x[1])), x = whole(rint(s.x[2]));
            if (is_in(p, z, y, x))
                to[element(p, z, y, x) * channels] += v;
        }
        for (int n = 0; n < 1 << c_dims && c_mode == 0; n++) {
            corner c = corner_of(s, n);
            if (is_in(p, c.z, c.y, c.x))
                to[element(p, c.z, c.y, c.x) * channels] += v * c.weight[0] * c.weight[1] * c.weight[2];
        }
        for (int n = 0; n < 16 && c_mode == 2; n++) {
            float top = floor(s.x[1]), left = floor(s.x[2]);
            int i = n / 4 - 1, j = n % 4 - 1;
            long e = cubic_element(p, whole(top) + i, whole(left) + j);
            if (e >= 0)
                to[e * channels] += v * cubic(s.x[1] - top - i) * cubic(s.x[2] - left - j);
        }
    }
}

// ---- columns of windows (im2col): c_dims, c_mode and so on are not used

struct window_parameters {
    int channels, height, width, out_height, out_width;
    int kernel_size[2], stride[2], padding[2], dilation[2];
};

// (images, channels * window, places): a thread a place of a row.
kernel void unfold(constant window_parameters &p [[buffer(0)]], device uchar *to [[buffer(1)]],
        device const uchar *from [[buffer(2)]], uint3 at [[thread_position_in_grid]])
{
    int place = at.x, row = at.y, size = p.kernel_size[0] * p.kernel_size[1], places = p.out_height * p.out_width;
    int c = row / size, ky = row % size / p.kernel_size[1], kx = row % p.kernel_size[1];
    int y = place / p.out_width * p.stride[0] - p.padding[0] + ky * p.dilation[0];
    int x = place % p.out_width * p.stride[1] - p.padding[1] + kx * p.dilation[1];
    bool in = y >= 0 && y < p.height && x >= 0 && x < p.width;
    long o = (long(at.z) * p.channels * size + row) * places + place;
    long f = ((long(at.z) * p.channels + c) * p.height + y) * p.width + x;
    store(to + o * size_of(c_type0), c_type0, in ? at_type(from, f) : 0.0f);
}

// And back: each element the sum of where it went.
kernel void fold(constant window_parameters &p [[buffer(0)]], device uchar *to [[buffer(1)]],
        device const uchar *from [[buffer(2)]], uint3 at [[thread_position_in_grid]])
{
    int x = at.x, c = int(at.y) / p.height, h = int(at.y) % p.height, size = p.kernel_size[0] * p.kernel_size[1];
    long places = long(p.out_height) * p.out_width;
    from += (long(at.z) * p.channels + c) * size * places * size_of(c_type0);
    float sum = 0;
    for (int ky = 0; ky < p.kernel_size[0]; ky++)
        for (int kx = 0; kx < p.kernel_size[1]; kx++) {
            int i = h + p.padding[0] - ky * p.dilation[0], j = x + p.padding[1] - kx * p.dilation[1];
            if (i < 0 || j < 0 || i % p.stride[0] || j % p.stride[1])
                continue;
            i /= p.stride[0];
            j /= p.stride[1];
            if (i < p.out_height && j < p.out_width)
                sum += at_type(from, (long(ky) * p.kernel_size[1] + kx) * places + long(i) * p.out_width + j);
        }
    store(to + ((long(at.z) * p.channels * p.height) + at.y) * p.width * size_of(c_type0) + x * size_of(c_type0), c_type0, sum);
}
