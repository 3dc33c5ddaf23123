// Pooling over two dimensions, on tensors (images, height, width) without gaps. c_type0: the elements'.
#define c_includes_padding c_constant1

struct parameters {
    int height, width, out_height, out_width;
    int kernel_size[2], stride[2], padding[2], dilation[2];
    int divisor; // of averages, 0: the elements that there are
    int reserved;
};

kernel void largest(constant parameters &p [[buffer(0)]], device uchar *to [[buffer(1)]],
        device long *index [[buffer(2)]], device const uchar *from [[buffer(3)]], uint3 at [[thread_position_in_grid]])
{
    int width = size_of(c_type0);
    int top = int(at.y) * p.stride[0] - p.padding[0], left = int(at.x) * p.stride[1] - p.padding[1];
    from += long(at.z) * p.height * p.width * width;
    float best = -INFINITY;
    long place = -1;
    for (int i = 0; i < p.kernel_size[0]; i++) {
        int y = top + i * p.dilation[0];
        if (y < 0 || y >= p.height)
            continue;
        for (int j = 0; j < p.kernel_size[1]; j++) {
            int x = left + j * p.dilation[1];
            if (x < 0 || x >= p.width)
                continue;
            float v = load<float>(from + (y * p.width + x) * width, c_type0);
            if (place < 0 || v > best || isnan(v)) {
                best = v;
                place = y * p.width + x;
            }
        }
    }
    long o = (long(at.z) * p.out_height + at.y) * p.out_width + at.x;
    store(to + o * width, c_type0, best);
    index[o] = place;
}

// The windows that an element is in: those from first to last.
static inline int first_window(constant parameters &p, int d, int x)
{
    int reach = p.dilation[d] * (p.kernel_size[d] - 1) + 1;
    return x + p.padding[d] < reach ? 0 : (x + p.padding[d] - reach) / p.stride[d] + 1;
}

kernel void largest_backward(constant parameters &p [[buffer(0)]], device uchar *to [[buffer(1)]],
        device const long *index [[buffer(2)]], device const uchar *gradient [[buffer(3)]],
        uint3 at [[thread_position_in_grid]])
{
    int y = at.y, x = at.x;
    long me = y * p.width + x, first = long(at.z) * p.out_height * p.out_width;
    float sum = 0;
    int last_y = min((y + p.padding[0]) / p.stride[0], p.out_height - 1);
    int last_x = min((x + p.padding[1]) / p.stride[1], p.out_width - 1);
    for (int i = first_window(p, 0, y); i <= last_y; i++)
        for (int j = first_window(p, 1, x); j <= last_x; j++) {
            long o = first + i * p.out_width + j;
            if (index[o] == me)
                sum += load<float>(gradient + o * size_of(c_type0), c_type0);
        }
    store(to + (long(at.z) * p.height * p.width + me) * size_of(c_type0), c_type0, sum);
}

struct window {
    int top, bottom, left, right;
    float divisor;
};

static inline window window_of(constant parameters &p, int i, int j)
{
    window w;
    int top = i * p.stride[0] - p.padding[0], left = j * p.stride[1] - p.padding[1];
    int bottom = min(top + p.kernel_size[0], p.height + p.padding[0]);
    int right = min(left + p.kernel_size[1], p.width + p.padding[1]);
    int whole = (bottom - top) * (right - left);
    w.top = max(top, 0);
    w.left = max(left, 0);
    w.bottom = min(bottom, p.height);
    w.right = min(right, p.width);
    w.divisor = p.divisor ? p.divisor : c_includes_padding ? whole : (w.bottom - w.top) * (w.right - w.left);
    return w;
}

kernel void average(constant parameters &p [[buffer(0)]], device uchar *to [[buffer(1)]],
        device const uchar *from [[buffer(2)]], uint3 at [[thread_position_in_grid]])
{
    window w = window_of(p, at.y, at.x);
    from += long(at.z) * p.height * p.width * size_of(c_type0);
    float sum = 0;
    for (int y = w.top; y < w.bottom; y++)
        for (int x = w.left; x < w.right; x++)
            sum += load<float>(from + (y * p.width + x) * size_of(c_type0), c_type0);
    long o = (long(at.z) * p.out_height + at.y) * p.out_width + at.x;
    store(to + o * size_of(c_type0), c_type0, w.top >= w.bottom || w.left >= w.right ? 0.0f : sum / w.divisor);
}

kernel void average_backward(constant parameters &p [[buffer(0)]], device uchar *to [[buffer(1)]],
        device const uchar *gradient [[buffer(2)]], uint3 at [[thread_position_in_grid]])
{
    int y = at.y, x = at.x;
    gradient += long(at.z) * p.out_height * p.out_width * size_of(c_type0);
    float sum = 0;
    int last_y = min((y + p.padding[0]) / p.stride[0], p.out_height - 1);
    int last_x = min((x + p.padding[1]) / p.stride[1], p.out_width - 1);
    for (int i = first_window(p, 0, y); i <= last_y; i++)
        for (int j = first_window(p, 1, x); j <= last_x; j++)
            sum += load<float>(gradient + (i * p.out_width + j) * size_of(c_type0), c_type0) / window_of(p, i, j).divisor;
    store(to + ((long(at.z) * p.height + y) * p.width + x) * size_of(c_type0), c_type0, sum);
}
