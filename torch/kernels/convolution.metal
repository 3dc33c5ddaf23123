// Convolutions over three dimensions. c_type0: the elements' type.
#define c_has_bias c_constant1
#define c_summed c_constant2 // the type of columns that are folded
#define c_small c_constant4  // a small window's width + 8 * height, or 0: its loops are unrolled then
// Bits: 1 the windows' last stride is 1, 16 it is 2; 2 the input's is 1, 4 the output's; 8 there are two dimensions.
#define c_plain c_constant3

struct parameters {
    int in[3], out[3], window[3], stride[3], padding[3], dilation[3];
    int channels, filters; // of a group
    int groups, batch;
    long input[5], weight[5], output[5];
    long column_image, column_row;
    int part_rows;
    int band_rows, pitch, field; // of a band: the output's rows, floats of a row of a field, and of a field
};

static inline int width() { return size_of(c_type0); }

// A linear index as three.
static inline int3 split(uint n, constant int *sizes)
{
    int x = n % uint(sizes[2]), rest = n / uint(sizes[2]);
    return int3(rest / sizes[1], rest % sizes[1], x);
}

// Along x lies the innermost dimension, so that all else is the same for threads side by side; the grid
// may be wider than that (WIDER in core/convolution.c).
static inline int window_y(constant parameters &p) { return c_small ? c_small / 8 : p.window[1]; }
static inline int window_x(constant parameters &p) { return c_small ? c_small % 8 : p.window[2]; }
static inline int stride_x(constant parameters &p) { return c_plain & 1 ? 1 : c_plain & 16 ? 2 : p.stride[2]; }
static inline long input_x(constant parameters &p, int x) { return x * (c_plain & 2 ? 1 : p.input[4]); }
static inline long output_x(constant parameters &p, int x) { return x * (c_plain & 4 ? 1 : p.output[4]); }

// What the grid's y is of the output's first two dimensions.
static inline int output_z(constant parameters &p, uint y) { return c_plain & 8 ? 0 : int(y / uint(p.out[1])); }
static inline int output_y(constant parameters &p, uint y) { return int(c_plain & 8 ? y : y % uint(p.out[1])); }

// Where a window's element meets the input, along a dimension; or which window does.
static inline int source(constant parameters &p, int d, int o, int w)
{
    return o * p.stride[d] - p.padding[d] + w * p.dilation[d];
}

static inline int source_x(constant parameters &p, int o, int w)
{
    return o * stride_x(p) - p.padding[2] + w * p.dilation[2];
}

// -1: none.
static inline int target(constant parameters &p, int d, int i, int w)
{
    int at = i + p.padding[d] - w * p.dilation[d], o = at / p.stride[d];
    return at >= 0 && o * p.stride[d] == at && o < p.out[d] ? o : -1;
}

// Exact: below 2^22, and vectors have no division of integers.
static inline int target_x(constant parameters &p, int i, int w)
{
    int at = i + p.padding[2] - w * p.dilation[2], o = at;
    if (!(c_plain & 1)) {
        o = int(rint(at * (1.0f / p.stride[2])));
        at = o * p.stride[2] == at ? at : -1;
    }
    return at >= 0 && o < p.out[2] ? o : -1;
}

kernel void unfold(constant parameters &p [[buffer(0)]], device uchar *columns [[buffer(1)]],
        device const uchar *input [[buffer(2)]], uint3 at [[thread_position_in_grid]])
{
    uint window = p.window[0] * p.window[1] * p.window[2], rows = p.channels * window;
    uint row = at.z % rows, image = at.z / rows;
    int3 w = split(row % window, p.window);
    int z = source(p, 0, output_z(p, at.y), w.x), y = source(p, 1, output_y(p, at.y), w.y);
    int x = source_x(p, at.x, w.z);
    bool inside = z >= 0 && z < p.in[0] && y >= 0 && y < p.in[1] && x >= 0 && x < p.in[2];
    long line = image * p.input[0] + (row / window) * p.input[1] + z * p.input[2] + y * p.input[3];
    float v = 0;
    if (inside)
        v = load<float>(input + (line + input_x(p, x)) * width(), c_type0);
    long to = image * p.column_image + row * p.column_row + at.y * long(p.out[2]) + at.x;
    store(columns + to * width(), c_type0, v);
}

// All that a place sees of a channel, for a thread: where c_small says how much that is.
kernel void unfold_windows(constant parameters &p [[buffer(0)]], device uchar *columns [[buffer(1)]],
        device const uchar *input [[buffer(2)]], uint3 at [[thread_position_in_grid]])
{
    const int height = window_y(p), wide = window_x(p);
    uint channel = at.z % uint(p.channels), image = at.z / uint(p.channels);
    int o = output_z(p, at.y), q = output_y(p, at.y);
    long to = image * p.column_image + channel * long(p.window[0] * height * wide) * p.column_row +
        at.y * long(p.out[2]) + at.x;
    for (int n = 0; n < p.window[0]; n++) {
        int z = source(p, 0, o, n);
        long plane = image * p.input[0] + channel * p.input[1] + z * p.input[2];
        float v[49];
        for (int j = 0; j < height; j++)
            for (int i = 0; i < wide; i++) {
                int y = source(p, 1, q, j), x = source_x(p, at.x, i);
                bool inside = z >= 0 && z < p.in[0] && y >= 0 && y < p.in[1] && x >= 0 && x < p.in[2];
                v[j * wide + i] = 0;
                if (inside)
                    v[j * wide + i] = load<float>(input + (plane + y * p.input[3] + input_x(p, x)) * width(), c_type0);
            }
        for (int j = 0; j < height; j++)
            for (int i = 0; i < wide; i++, to += p.column_row)
                store(columns + to * width(), c_type0, v[j * wide + i]);
    }
}

// Columns of a window's width alone: what its other rows see are the same, further down. Rows of the input
// that windows of one row meet, which lie a stride apart, lie behind each other here: row r is the
// r / stride-th of the (r % stride)-th part.
kernel void unfold_rows(constant parameters &p [[buffer(0)]], device uchar *columns [[buffer(1)]],
        device const uchar *input [[buffer(2)]], uint3 at [[thread_position_in_grid]])
{
    uint rows = p.channels * p.window[2], row = at.z % rows, image = at.z / rows;
    int part = at.y / uint(p.part_rows), r = at.y % uint(p.part_rows) * p.stride[1] + part;
    int y = r - p.padding[1], x = source_x(p, at.x, row % p.window[2]);
    bool inside = y >= 0 && y < p.in[1] && x >= 0 && x < p.in[2];
    long line = image * p.input[0] + row / p.window[2] * p.input[1] + y * p.input[3];
    float v = 0;
    if (inside)
        v = load<float>(input + (line + input_x(p, x)) * width(), c_type0);
    long to = image * p.column_image + row * p.column_row + at.y * long(p.out[2]) + at.x;
    store(columns + to * width(), c_type0, v);
}

// The weights in another order: for each row of the window a matrix of filters and what they see (0: there,
// 1: back), or as the convolution has them that leads back to the input (2). Along x is the window's last
// dimension, along y the first two, along z filters and channels.
#define c_order c_constant1
kernel void reorder(constant parameters &p [[buffer(0)]], device uchar *to [[buffer(1)]],
        device uchar *weight [[buffer(2)]], uint3 at [[thread_position_in_grid]])
{
    uint channel = at.z % uint(p.channels), filter = at.z / uint(p.channels), filters = p.filters * p.groups;
    uint k = at.y / uint(p.window[1]), j = at.y % uint(p.window[1]), i = at.x;
    long here = filter * p.weight[0] + channel * p.weight[1] + k * p.weight[2] + j * p.weight[3] + i * p.weight[4];
    long there = ((long(at.y) * filters + filter) * p.channels + channel) * p.window[2] + i;
    if (c_order == 2) {
        uint group = filter / p.filters, first = group * p.channels + channel;
        there = long(first) * p.filters + filter % p.filters;
        there = there * p.window[0] + (p.window[0] - 1 - k);
        there = (there * p.window[1] + (p.window[1] - 1 - j)) * p.window[2] + (p.window[2] - 1 - i);
    }
    device uchar *a = to + there * width(), *b = weight + here * width();
    store(c_order == 1 ? b : a, c_type0, load<float>(c_order == 1 ? a : b, c_type0));
}

// Between the images' outputs and one matrix in which their places lie behind each other.
static inline void exchange(constant parameters &p, device uchar *merged, device uchar *output, uint3 at, bool back)
{
    uint filter = at.z % uint(p.filters), image = at.z / uint(p.filters);
    long here = image * p.column_image + filter * p.column_row + at.y * long(p.out[2]) + at.x;
    long there = image * p.output[0] + filter * p.output[1] + output_z(p, at.y) * p.output[2] +
        output_y(p, at.y) * p.output[3] + output_x(p, at.x);
    device uchar *from = back ? merged + here * width() : output + there * width();
    store(back ? output + there * width() : merged + here * width(), c_type0, load<float>(from, c_type0));
}

kernel void merge(constant parameters &p [[buffer(0)]], device uchar *merged [[buffer(1)]],
        device uchar *output [[buffer(2)]], uint3 at [[thread_position_in_grid]])
{
    exchange(p, merged, output, at, false);
}

kernel void part(constant parameters &p [[buffer(0)]], device uchar *merged [[buffer(1)]],
        device uchar *output [[buffer(2)]], uint3 at [[thread_position_in_grid]])
{
    exchange(p, merged, output, at, true);
}

// The same where an image's places are one line: x is the place, y the filter, z the image.
static inline void exchange_lines(constant parameters &p, device uchar *merged, device uchar *output, uint3 at, bool back)
{
    long here = at.z * p.column_image + at.y * p.column_row + at.x;
    long there = at.z * p.output[0] + at.y * p.output[1] + output_x(p, at.x);
    device uchar *from = back ? merged + here * width() : output + there * width();
    store(back ? output + there * width() : merged + here * width(), c_type0, load<float>(from, c_type0));
}

kernel void merge_lines(constant parameters &p [[buffer(0)]], device uchar *merged [[buffer(1)]],
        device uchar *output [[buffer(2)]], uint3 at [[thread_position_in_grid]])
{
    exchange_lines(p, merged, output, at, false);
}

kernel void part_lines(constant parameters &p [[buffer(0)]], device uchar *merged [[buffer(1)]],
        device uchar *output [[buffer(2)]], uint3 at [[thread_position_in_grid]])
{
    exchange_lines(p, merged, output, at, true);
}

kernel void fold(constant parameters &p [[buffer(0)]], device const uchar *columns [[buffer(1)]],
        device uchar *input [[buffer(2)]], uint3 at [[thread_position_in_grid]])
{
    int z = at.y / uint(p.in[1]), y = at.y % uint(p.in[1]), x = at.x;
    uint channel = at.z % uint(p.channels), image = at.z / uint(p.channels);
    long row = image * p.column_image + channel * long(p.window[0] * p.window[1] * p.window[2]) * p.column_row;
    if (x >= p.in[2])
        return;
    float sum = 0;
    for (int k = 0; k < p.window[0]; k++)
        for (int j = 0; j < window_y(p); j++) {
            int a = target(p, 0, z, k), b = target(p, 1, y, j);
            long line = row + (long(a) * p.out[1] + b) * p.out[2];
            if (a >= 0 && b >= 0)
                for (int i = 0; i < window_x(p); i++) {
                    int c = target_x(p, x, i);
                    if (c >= 0)
                        sum += load<float>(columns + (line + i * p.column_row + c) * size_of(c_summed), c_summed);
                }
            row += window_x(p) * p.column_row;
        }
    long to = image * p.input[0] + channel * p.input[1] + z * p.input[2] + y * p.input[3] + input_x(p, x);
    store(input + to * width(), c_type0, sum);
}

// The same where windows lie side by side and no element is in two: x is the window, y its place and a row of it.
kernel void fold_apart(constant parameters &p [[buffer(0)]], device const uchar *columns [[buffer(1)]],
        device uchar *input [[buffer(2)]], uint3 at [[thread_position_in_grid]])
{
    uint q = at.y / window_y(p), j = at.y % window_y(p), channel = at.z % uint(p.channels), image = at.z / uint(p.channels);
    long from = image * p.column_image + (channel * window_y(p) + j) * window_x(p) * p.column_row + q * p.out[2] + at.x;
    long to = image * p.input[0] + channel * p.input[1] + at.y * p.input[3] + input_x(p, at.x * window_x(p));
    for (int i = 0; i < window_x(p); i++)
        store(input + (to + input_x(p, i)) * width(), c_type0,
            load<float>(columns + (from + i * p.column_row) * size_of(c_summed), c_summed));
}

// Directly: z is a filter or channel of all groups, and an image.
kernel void output(constant parameters &p [[buffer(0)]], device uchar *to [[buffer(1)]],
        device const uchar *input [[buffer(2)]], device const uchar *weight [[buffer(3)]],
        device const uchar *bias [[buffer(4)]], uint3 at [[thread_position_in_grid]])
{
    uint filter = at.z % uint(p.filters * p.groups), image = at.z / uint(p.filters * p.groups);
    int o = output_z(p, at.y), q = output_y(p, at.y), group = filter / p.filters;
    if (int(at.x) >= p.out[2])
        return;
    float sum = c_has_bias ? load<float>(bias + filter * width(), c_type0) : 0.0f;
    for (int c = 0; c < p.channels; c++)
        for (int k = 0; k < p.window[0]; k++)
            for (int j = 0; j < window_y(p); j++) {
                int z = source(p, 0, o, k), y = source(p, 1, q, j);
                if (z < 0 || z >= p.in[0] || y < 0 || y >= p.in[1])
                    continue;
                long line = image * p.input[0] + (group * p.channels + c) * p.input[1] + z * p.input[2] + y * p.input[3];
                long factors = filter * p.weight[0] + c * p.weight[1] + k * p.weight[2] + j * p.weight[3];
                for (int i = 0; i < window_x(p); i++) {
                    int x = source_x(p, at.x, i);
                    if (x >= 0 && x < p.in[2])
                        sum += load<float>(input + (line + input_x(p, x)) * width(), c_type0) *
                            load<float>(weight + (factors + i * p.weight[4]) * width(), c_type0);
                }
            }
    long there = image * p.output[0] + filter * p.output[1] + o * p.output[2] + q * p.output[3] + output_x(p, at.x);
    store(to + there * width(), c_type0, sum);
}

// The same of pictures of which each channel is a group by itself, with a small window: SOME rows of the output for
// a thread, as windows below each other mostly see the same. What is outside reads as 0, so that all threads take the
// same way and have the same weights.
#define SOME 4
#define c_near c_constant5 // windows below each other are one row apart, and so are their rows

// What a window's row sees in the input's row y.
static inline void see(constant parameters &p, thread float *v, device const uchar *input, int y, int at)
{
    for (int i = 0; i < window_x(p); i++) {
        int x = source_x(p, at, i);
        v[i] = 0;
        if (y >= 0 && y < p.in[1] && x >= 0 && x < p.in[2])
            v[i] = load<float>(input + (y * p.input[3] + input_x(p, x)) * width(), c_type0);
    }
}

static inline float with_row(constant parameters &p, float sum, thread const float *v, device const uchar *weight, int j)
{
    for (int i = 0; i < window_x(p); i++)
        sum += v[i] * load<float>(weight + (j * p.weight[3] + i * p.weight[4]) * width(), c_type0);
    return sum;
}

kernel void alone(constant parameters &p [[buffer(0)]], device uchar *to [[buffer(1)]],
        device const uchar *input [[buffer(2)]], device const uchar *weight [[buffer(3)]],
        device const uchar *bias [[buffer(4)]], uint3 at [[thread_position_in_grid]])
{
    uint filter = at.z % uint(p.filters * p.groups), image = at.z / uint(p.filters * p.groups);
    int q = at.y * SOME;
    // Without loops, once those are unrolled, a processor's vectors would not be made of threads but for this.
    simdgroup_barrier(mem_flags::mem_none);
    input += (image * p.input[0] + filter / p.filters * p.input[1]) * width();
    weight += filter * p.weight[0] * width();
    float first = c_has_bias ? load<float>(bias + filter * width(), c_type0) : 0.0f, v[7];
    float sum[SOME] = {first, first, first, first};
    for (int t = 0; t < window_y(p) + SOME - 1 && c_near; t++) {
        see(p, v, input, q - p.padding[1] + t, at.x);
        for (int n = 0; n < SOME; n++)
            if (t >= n && t - n < window_y(p))
                sum[n] = with_row(p, sum[n], v, weight, t - n);
    }
    for (int n = 0; n < SOME && !c_near; n++)
        for (int j = 0; j < window_y(p); j++) {
            see(p, v, input, source(p, 1, q + n, j), at.x);
            sum[n] = with_row(p, sum[n], v, weight, j);
        }
    long there = image * p.output[0] + filter * p.output[1] + output_x(p, at.x);
    for (int n = 0; n < SOME; n++)
        if (q + n < p.out[1] && int(at.x) < p.out[2])
            store(to + (there + (q + n) * p.output[3]) * width(), c_type0, sum[n]);
}

// The same on a processor: a SIMD-group has a band of a plane's rows. What their windows see is copied first, with
// zeros around it, so that nothing is asked any more where it is weighed; columns a stride apart lie side by side, and
// so do rows: `room` has as many fields as there are ways to be left over. Then a place of the output is the same
// distance from what its window's elements see wherever it lies, and places are counted through all rows, so that
// vectors are full however narrow a plane is. What is counted behind a row's end is nobody's. A thread has BOTH rows
// below each other, as their windows mostly see the same.
#define c_step_x (c_constant5 & 255)
#define c_step_y (c_constant5 >> 8 & 255)
#define c_apart_x (c_constant5 >> 16 & 255) // dilation
#define c_apart_y (c_constant5 >> 24 & 127)
#define ROOM 6144 // floats
#define BOTH 2

struct band {
    int first, rows;  // of the output
    int pitch, field; // floats of a row, and of a field
    int beside;       // floats of every BOTHth row of the output
    int lane;
};

// Where what is so far from the band's first place is.
static inline int seen(band b, int y, int x)
{
    const int turn = BOTH * c_step_y;
    return (y % turn * c_step_x + x % c_step_x) * b.field + y / turn * b.pitch + x / c_step_x;
}

static inline band band_of(constant parameters &p, uint y, uint lane)
{
    int first = int(y) * p.band_rows, rows = min(p.band_rows, p.out[1] - first);
    return {first, rows, p.pitch, p.field, (rows + BOTH - 1) / BOTH * p.pitch + 32, int(lane)};
}

// A row of the input from `left` on, with zeros where there is none. It ends with whole vectors: what follows is
// written later, or nobody's.
static inline void copy_row(constant parameters &p, threadgroup float *to, device const uchar *row, bool there, int count, int lane)
{
    for (int n = 0; n < count; n += 32) {
        int at = n + lane - p.padding[2];
        float v = 0;
        if (there && at >= 0 && at < p.in[2])
            v = load<float>(row + input_x(p, at) * width(), c_type0);
        to[n + lane] = v;
    }
}

static inline void copy_band(constant parameters &p, band b, threadgroup float *room, threadgroup float *line, device const uchar *plane)
{
    int count = (b.rows - 1) * c_step_y + (window_y(p) - 1) * c_apart_y + 1;
    for (int r = 0; r < count; r++) {
        int y = b.first * c_step_y - p.padding[1] + r;
        threadgroup float *to = room + seen(b, r, 0);
        device const uchar *row = plane + y * p.input[3] * width();
        copy_row(p, c_step_x == 1 ? to : line, row, y >= 0 && y < p.in[1], b.pitch * c_step_x, b.lane);
        if (c_step_x == 1)
            continue;
        simdgroup_barrier(mem_flags::mem_threadgroup);
        for (int n = 0; n < c_step_x; n++)
            for (int x = 0; x < b.pitch; x += 32)
                to[n * b.field + x + b.lane] = line[(x + b.lane) * c_step_x + n];
        simdgroup_barrier(mem_flags::mem_threadgroup);
    }
}

// The band's rows to where they belong, without what is between them.
static inline void write_band(constant parameters &p, band b, device uchar *to, threadgroup const float *sums)
{
    for (int y = 0; y < b.rows; y++)
        for (int x = b.lane; x < p.out[2]; x += 32)
            store(to + (y * p.output[3] + output_x(p, x)) * width(), c_type0, sums[y % BOTH * b.beside + y / BOTH * b.pitch + x]);
}

// What the rows that a thread has become, at a place of theirs.
static inline void weigh(constant parameters &p, band b, threadgroup const float *room, threadgroup float *sums,
        thread const float *w, float first, int at)
{
    float sum[BOTH] = {first, first};
    for (int y = 0; y < (BOTH - 1) * c_step_y + (window_y(p) - 1) * c_apart_y + 1; y++)
        for (int i = 0; i < window_x(p); i++) {
            float v = room[seen(b, y, i * c_apart_x) + at];
            for (int n = 0; n < BOTH; n++) {
                int far = y - n * c_step_y;
                if (far >= 0 && far % c_apart_y == 0 && far / c_apart_y < window_y(p))
                    sum[n] += v * w[far / c_apart_y * window_x(p) + i];
            }
        }
    for (int n = 0; n < BOTH; n++)
        sums[n * b.beside + at] = sum[n];
}

kernel void band_output(constant parameters &p [[buffer(0)]], device uchar *to [[buffer(1)]],
        device const uchar *input [[buffer(2)]], device const uchar *weight [[buffer(3)]],
        device const uchar *bias [[buffer(4)]], uint3 group [[threadgroup_position_in_grid]], uint lane [[thread_index_in_simdgroup]])
{
    threadgroup float room[ROOM];
    threadgroup float *sums = room + BOTH * c_step_x * c_step_y * p.field;
    uint filter = group.z % uint(p.filters * p.groups), image = group.z / uint(p.filters * p.groups);
    band b = band_of(p, group.y, lane);
    copy_band(p, b, room, sums, input + (image * p.input[0] + filter / p.filters * p.input[1]) * width());
    simdgroup_barrier(mem_flags::mem_threadgroup);
    float first = c_has_bias ? load<float>(bias + filter * width(), c_type0) : 0.0f, w[49];
    for (int j = 0; j < window_y(p); j++)
        for (int i = 0; i < window_x(p); i++)
            w[j * window_x(p) + i] = load<float>(weight + (filter * p.weight[0] + j * p.weight[3] + i * p.weight[4]) * width(), c_type0);
    for (int n = 0; n < b.beside - 32; n += 32)
        weigh(p, b, room, sums, w, first, n + b.lane);
    simdgroup_barrier(mem_flags::mem_threadgroup);
    write_band(p, b, to + (image * p.output[0] + filter * p.output[1] + b.first * p.output[3]) * width(), sums);
}

// The gradient of a band's places, with zeros where there are none.
static inline void copy_gradient(constant parameters &p, band b, threadgroup float *sums, device const uchar *output)
{
    for (int y = 0; y < (b.rows + BOTH - 1) / BOTH * BOTH; y++)
        for (int n = 0; n < b.pitch; n += 32) {
            int x = n + b.lane;
            float v = 0;
            if (y < b.rows && x < p.out[2])
                v = load<float>(output + (y * p.output[3] + output_x(p, x)) * width(), c_type0);
            sums[y % BOTH * b.beside + y / BOTH * b.pitch + x] = v;
        }
    simdgroup_barrier(mem_flags::mem_threadgroup);
}

// A row of the window's weights: what a band adds to each.
static inline void add_products(constant parameters &p, band b, threadgroup const float *room, threadgroup const float *sums,
        thread float *to, int j)
{
    float sum[7] = {};
    for (int at = b.lane; at - b.lane < b.beside - 32; at += 32)
        for (int n = 0; n < BOTH; n++) {
            float v = sums[n * b.beside + at];
            for (int i = 0; i < window_x(p); i++)
                sum[i] += v * room[seen(b, n * c_step_y + j * c_apart_y, i * c_apart_x) + at];
        }
    for (int i = 0; i < window_x(p); i++)
        to[i] += sum[i];
}

// A SIMD-group for a filter: the sum goes over all places of all images.
kernel void band_weight(constant parameters &p [[buffer(0)]], device uchar *to [[buffer(1)]],
        device const uchar *output [[buffer(2)]], device const uchar *input [[buffer(3)]],
        uint3 group [[threadgroup_position_in_grid]], uint lane [[thread_index_in_simdgroup]])
{
    threadgroup float room[ROOM];
    threadgroup float *sums = room + BOTH * c_step_x * c_step_y * p.field;
    float w[49] = {};
    // What no band fills is multiplied by zero, too.
    for (int n = lane; n < ROOM; n += 32)
        room[n] = 0;
    for (int image = 0; image < p.batch; image++)
        for (int y = 0; y * p.band_rows < p.out[1]; y++) {
            band b = band_of(p, y, lane);
            simdgroup_barrier(mem_flags::mem_threadgroup);
            copy_band(p, b, room, sums, input + (image * p.input[0] + group.z / p.filters * p.input[1]) * width());
            copy_gradient(p, b, sums, output + (image * p.output[0] + group.z * p.output[1] + b.first * p.output[3]) * width());
            for (int j = 0; j < window_y(p); j++)
                add_products(p, b, room, sums, w + j * window_x(p), j);
        }
    for (int j = 0; j < window_y(p); j++)
        for (int i = 0; i < window_x(p); i++) {
            float sum = simd_sum(w[j * window_x(p) + i]);
            if (lane == 0)
                store(to + (group.z * p.weight[0] + j * p.weight[3] + i * p.weight[4]) * width(), c_type0, sum);
        }
}

// Of groups with several channels SOME filters for a thread, as those of a group see the same.
kernel void several(constant parameters &p [[buffer(0)]], device uchar *to [[buffer(1)]],
        device const uchar *input [[buffer(2)]], device const uchar *weight [[buffer(3)]],
        device const uchar *bias [[buffer(4)]], uint3 at [[thread_position_in_grid]])
{
    uint all = uint(p.filters * p.groups) / SOME, filter = at.z % all * SOME, image = at.z / all;
    simdgroup_barrier(mem_flags::mem_none); // as above
    input += (image * p.input[0] + filter / p.filters * p.channels * p.input[1]) * width();
    weight += filter * p.weight[0] * width();
    float sum[SOME], v[7];
    for (int n = 0; n < SOME; n++)
        sum[n] = c_has_bias ? load<float>(bias + (filter + n) * width(), c_type0) : 0.0f;
    for (int c = 0; c < p.channels; c++) {
        for (int j = 0; j < window_y(p); j++) {
            see(p, v, input, source(p, 1, at.y, j), at.x);
            for (int n = 0; n < SOME; n++)
                sum[n] = with_row(p, sum[n], v, weight + n * p.weight[0] * width(), j);
        }
        input += p.input[1] * width();
        weight += p.weight[1] * width();
    }
    long there = image * p.output[0] + filter * p.output[1] + at.y * p.output[3] + output_x(p, at.x);
    for (int n = 0; n < SOME; n++)
        if (int(at.x) < p.out[2])
            store(to + (there + n * p.output[1]) * width(), c_type0, sum[n]);
}

kernel void input(constant parameters &p [[buffer(0)]], device uchar *to [[buffer(1)]],
        device const uchar *output [[buffer(2)]], device const uchar *weight [[buffer(3)]],
        uint3 at [[thread_position_in_grid]])
{
    uint channel = at.z % uint(p.channels * p.groups), image = at.z / uint(p.channels * p.groups);
    int z = at.y / uint(p.in[1]), y = at.y % uint(p.in[1]), group = channel / p.channels, c = channel % p.channels;
    if (int(at.x) >= p.in[2])
        return;
    float sum = 0;
    for (int f = group * p.filters; f < (group + 1) * p.filters; f++)
        for (int k = 0; k < p.window[0]; k++)
            for (int j = 0; j < window_y(p); j++) {
                int o = target(p, 0, z, k), q = target(p, 1, y, j);
                if (o < 0 || q < 0)
                    continue;
                long line = image * p.output[0] + f * p.output[1] + o * p.output[2] + q * p.output[3];
                long factors = f * p.weight[0] + c * p.weight[1] + k * p.weight[2] + j * p.weight[3];
                for (int i = 0; i < window_x(p); i++) {
                    int x = target_x(p, at.x, i);
                    if (x >= 0)
                        sum += load<float>(output + (line + output_x(p, x)) * width(), c_type0) *
                            load<float>(weight + (factors + i * p.weight[4]) * width(), c_type0);
                }
            }
    long there = image * p.input[0] + channel * p.input[1] + z * p.input[2] + y * p.input[3] + input_x(p, at.x);
    store(to + there * width(), c_type0, sum);
}

// A SIMD-group for each element of the weights: x is the window's, y the channel, z the filter.
kernel void weight(constant parameters &p [[buffer(0)]], device uchar *to [[buffer(1)]],
        device const uchar *output [[buffer(2)]], device const uchar *input [[buffer(3)]],
        uint3 group [[threadgroup_position_in_grid]], uint lane [[thread_index_in_simdgroup]])
{
    int3 w = split(group.x, p.window);
    int channel = group.z / p.filters * p.channels + group.y;
    float sum = 0;
    for (int n = 0; n < p.batch; n++)
        for (int o = 0; o < p.out[0]; o++)
            for (int q = 0; q < p.out[1]; q++) {
                int z = source(p, 0, o, w.x), y = source(p, 1, q, w.y);
                if (z < 0 || z >= p.in[0] || y < 0 || y >= p.in[1])
                    continue;
                long from = n * p.output[0] + group.z * p.output[1] + o * p.output[2] + q * p.output[3];
                long line = n * p.input[0] + channel * p.input[1] + z * p.input[2] + y * p.input[3];
                for (int r = lane; r < p.out[2]; r += 32) {
                    int x = source_x(p, r, w.z);
                    if (x >= 0 && x < p.in[2])
                        sum += load<float>(output + (from + output_x(p, r)) * width(), c_type0) *
                            load<float>(input + (line + input_x(p, x)) * width(), c_type0);
                }
            }
    sum = simd_sum(sum);
    long there = group.z * p.weight[0] + group.y * p.weight[1] + w.x * p.weight[2] + w.y * p.weight[3] + w.z * p.weight[4];
    if (lane == 0)
        store(to + there * width(), c_type0, sum);
}
