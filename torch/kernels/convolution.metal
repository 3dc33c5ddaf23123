// Convolutions over three dimensions. c_type0: the elements' type.
#define c_has_bias c_constant1
#define c_summed c_constant2 // the type of columns that are folded
#define c_plain c_constant3  // the windows' last stride is 1, and the input's

struct parameters {
    int in[3], out[3], window[3], stride[3], padding[3], dilation[3];
    int channels, filters; // of a group
    int groups, batch;
    long input[5], weight[5], output[5];
    long column_image, column_row;
};

static inline int width() { return size_of(c_type0); }

// A linear index as three.
static inline int3 split(uint n, constant int *sizes)
{
    int x = n % uint(sizes[2]), rest = n / uint(sizes[2]);
    return int3(rest / sizes[1], rest % sizes[1], x);
}

// Where in the input the element `w` of the window at `o` is; x < 0: outside.
static inline int3 source(constant parameters &p, int3 o, int3 w)
{
    int3 at;
    for (int d = 0; d < 3; d++)
        at[d] = o[d] * p.stride[d] - p.padding[d] + w[d] * p.dilation[d];
    bool inside = at.x >= 0 && at.x < p.in[0] && at.y >= 0 && at.y < p.in[1] && at.z >= 0 && at.z < p.in[2];
    return inside ? at : int3(-1);
}

// The window whose element `w` is at `i`; x < 0: none.
static inline int3 target(constant parameters &p, int3 i, int3 w)
{
    int3 o;
    bool inside = true;
    for (int d = 0; d < 3; d++) {
        int at = i[d] + p.padding[d] - w[d] * p.dilation[d];
        o[d] = at / p.stride[d];
        inside = inside && at >= 0 && at == o[d] * p.stride[d] && o[d] < p.out[d];
    }
    return inside ? o : int3(-1);
}

static inline long along(constant long *strides, int3 at)
{
    return at.x * strides[2] + at.y * strides[3] + at.z * strides[4];
}

// Along x lies the innermost dimension, so that all else is the same for threads side by side.
static inline int3 place_of(uint3 at, constant int *sizes)
{
    return int3(at.y / uint(sizes[1]), at.y % uint(sizes[1]), at.x);
}

kernel void unfold(constant parameters &p [[buffer(0)]], device uchar *columns [[buffer(1)]],
        device const uchar *input [[buffer(2)]], uint3 at [[thread_position_in_grid]])
{
    uint window = p.window[0] * p.window[1] * p.window[2], rows = p.channels * window;
    uint row = at.z % rows, image = at.z / rows;
    int3 w = split(row % window, p.window);
    int z = at.y / uint(p.out[1]) * p.stride[0] - p.padding[0] + w.x * p.dilation[0];
    int y = at.y % uint(p.out[1]) * p.stride[1] - p.padding[1] + w.y * p.dilation[1];
    // Side by side in memory for threads side by side where both strides are 1.
    int x = int(at.x) * (c_plain ? 1 : p.stride[2]) - p.padding[2] + w.z * p.dilation[2];
    bool inside = z >= 0 && z < p.in[0] && y >= 0 && y < p.in[1] && x >= 0 && x < p.in[2];
    long line = image * p.input[0] + (row / window) * p.input[1] + z * p.input[2] + y * p.input[3];
    float v = 0;
    if (inside)
        v = load<float>(input + (line + x * (c_plain ? 1 : p.input[4])) * width(), c_type0);
    long to = image * p.column_image + row * p.column_row + at.y * long(p.out[2]) + at.x;
    store(columns + to * width(), c_type0, v);
}

kernel void fold(constant parameters &p [[buffer(0)]], device const uchar *columns [[buffer(1)]],
        device uchar *input [[buffer(2)]], uint3 at [[thread_position_in_grid]])
{
    int3 i = place_of(at, p.in);
    uint channel = at.z % uint(p.channels), image = at.z / uint(p.channels);
    int window = p.window[0] * p.window[1] * p.window[2];
    float sum = 0;
    for (int k = 0; k < window; k++) {
        int3 o = target(p, i, split(k, p.window));
        bool inside = o.x >= 0;
        long place = inside ? (o.x * p.out[1] + o.y) * long(p.out[2]) + o.z : 0;
        long from = image * p.column_image + (channel * long(window) + k) * p.column_row + place;
        float v = load<float>(columns + from * size_of(c_summed), c_summed);
        sum += inside ? v : 0.0f;
    }
    store(input + (image * p.input[0] + channel * p.input[1] + along(p.input, i)) * width(), c_type0, sum);
}

kernel void output(constant parameters &p [[buffer(0)]], device uchar *to [[buffer(1)]],
        device const uchar *input [[buffer(2)]], device const uchar *weight [[buffer(3)]],
        device const uchar *bias [[buffer(4)]], uint3 at [[thread_position_in_grid]])
{
    int3 o = split(at.x, p.out);
    int group = at.y / p.filters, window = p.window[0] * p.window[1] * p.window[2];
    float sum = c_has_bias ? load<float>(bias + at.y * width(), c_type0) : 0.0f;
    for (int c = 0; c < p.channels; c++)
        for (int k = 0; k < window; k++) {
            int3 w = split(k, p.window), i = source(p, o, w);
            if (i.x < 0)
                continue;
            long x = at.z * p.input[0] + (group * p.channels + c) * p.input[1] + along(p.input, i);
            long y = at.y * p.weight[0] + c * p.weight[1] + along(p.weight, w);
            sum += load<float>(input + x * width(), c_type0) * load<float>(weight + y * width(), c_type0);
        }
    store(to + (at.z * p.output[0] + at.y * p.output[1] + along(p.output, o)) * width(), c_type0, sum);
}

kernel void input(constant parameters &p [[buffer(0)]], device uchar *to [[buffer(1)]],
        device const uchar *output [[buffer(2)]], device const uchar *weight [[buffer(3)]],
        uint3 at [[thread_position_in_grid]])
{
    int3 i = split(at.x, p.in);
    int group = at.y / p.channels, c = at.y % p.channels, window = p.window[0] * p.window[1] * p.window[2];
    float sum = 0;
    for (int k = 0; k < window; k++) {
        int3 w = split(k, p.window), o = target(p, i, w);
        if (o.x < 0)
            continue;
        for (int f = group * p.filters; f < (group + 1) * p.filters; f++) {
            long x = at.z * p.output[0] + f * p.output[1] + along(p.output, o);
            long y = f * p.weight[0] + c * p.weight[1] + along(p.weight, w);
            sum += load<float>(output + x * width(), c_type0) * load<float>(weight + y * width(), c_type0);
        }
    }
    store(to + (at.z * p.input[0] + at.y * p.input[1] + along(p.input, i)) * width(), c_type0, sum);
}

kernel void weight(constant parameters &p [[buffer(0)]], device uchar *to [[buffer(1)]],
        device const uchar *output [[buffer(2)]], device const uchar *input [[buffer(3)]],
        uint3 at [[thread_position_in_grid]])
{
    int3 w = split(at.x, p.window);
    int group = at.z / p.filters, places = p.out[0] * p.out[1] * p.out[2];
    float sum = 0;
    for (int n = 0; n < p.batch; n++)
        for (int k = 0; k < places; k++) {
            int3 o = split(k, p.out), i = source(p, o, w);
            if (i.x < 0)
                continue;
            long x = n * p.output[0] + at.z * p.output[1] + along(p.output, o);
            long y = n * p.input[0] + (group * p.channels + at.y) * p.input[1] + along(p.input, i);
            sum += load<float>(output + x * width(), c_type0) * load<float>(input + y * width(), c_type0);
        }
    store(to + (at.z * p.weight[0] + at.y * p.weight[1] + along(p.weight, w)) * width(), c_type0, sum);
}
