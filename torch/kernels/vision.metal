// What torchvision's library has of its own. c_type0: the elements' type.
#define c_aligned c_constant1 // whether a picture's first element begins at half a step before 0

struct parameters {
    uint boxes, words; // of a box: what it covers of the others, a bit each
    float least;
    int images, channels, height, width;
    int down, across, samples; // windows of a region, and places in a window: 0 as many as elements
    float scale;
};

static inline float at_type(device const uchar *p, long n) { return load<float>(p + n * size_of(c_type0), c_type0); }

struct box {
    float left, top, right, bottom;
};

static inline box box_of(device const uchar *boxes, uint n)
{
    return {at_type(boxes, n * 4l), at_type(boxes, n * 4l + 1), at_type(boxes, n * 4l + 2), at_type(boxes, n * 4l + 3)};
}

// Which of the boxes behind it, in 32 of them, a box covers by more than `least` of what both cover.
kernel void cover(constant parameters &p [[buffer(0)]], device uint *covered [[buffer(1)]],
        device const uchar *boxes [[buffer(2)]], uint2 at [[thread_position_in_grid]])
{
    box a = box_of(boxes, at.y);
    float area = (a.right - a.left) * (a.bottom - a.top);
    uint bits = 0;
    for (uint k = 0; k < 32; k++) {
        uint n = at.x * 32 + k;
        box b = box_of(boxes, min(n, p.boxes - 1));
        float wide = max(0.0f, min(a.right, b.right) - max(a.left, b.left));
        float high = max(0.0f, min(a.bottom, b.bottom) - max(a.top, b.top)), both = wide * high;
        float part = both / (area + (b.right - b.left) * (b.bottom - b.top) - both);
        bits |= uint(n > at.y && n < p.boxes && part > p.least) << k;
    }
    covered[at.y * long(p.words) + at.x] = bits;
}

// One after the other: a box that none before it has covered stays. A SIMD-group.
constant uint MOST_WORDS = 2048; // ABX_TORCH_BOXES / 32
kernel void keep(constant parameters &p [[buffer(0)]], device uchar *kept [[buffer(1)]],
        device const uint *covered [[buffer(2)]], uint lane [[thread_index_in_simdgroup]])
{
    threadgroup uint gone[MOST_WORDS];
    for (uint w = lane; w < p.words; w += 32)
        gone[w] = 0;
    for (uint n = 0; n < p.boxes; n++) {
        simdgroup_barrier(mem_flags::mem_threadgroup);
        bool stays = !(gone[n / 32] >> (n % 32) & 1);
        simdgroup_barrier(mem_flags::mem_threadgroup);
        if (lane == 0)
            kept[n] = stays;
        for (uint w = n / 32 + lane; w < p.words && stays; w += 32)
            gone[w] |= covered[n * long(p.words) + w];
    }
}

// Regions: the image, and two corners.
struct region {
    int image, down, across; // places of a window
    float top, left, high, wide; // of a window
};

static inline region region_of(constant parameters &p, device const uchar *rois, uint n)
{
    float shift = c_aligned ? 0.5f : 0.0f;
    float left = at_type(rois, n * 5l + 1) * p.scale - shift, top = at_type(rois, n * 5l + 2) * p.scale - shift;
    float wide = at_type(rois, n * 5l + 3) * p.scale - shift - left, high = at_type(rois, n * 5l + 4) * p.scale - shift - top;
    if (!c_aligned) {
        wide = max(wide, 1.0f);
        high = max(high, 1.0f);
    }
    high /= p.down;
    wide /= p.across;
    return {clamp(int(at_type(rois, n * 5l)), 0, p.images - 1), p.samples > 0 ? p.samples : int(ceil(high)),
            p.samples > 0 ? p.samples : int(ceil(wide)), top, left, high, wide};
}

// Between which elements a place lies, and how much it has of the second; none: 0 of both.
struct between {
    int first, second;
    float of_first, of_second;
};

static inline between between_of(float x, int size)
{
    if (x < -1 || x > size)
        return {0, 0, 0, 0};
    x = max(x, 0.0f);
    int first = min(int(x), size - 1);
    float part = first < size - 1 ? x - first : 0.0f;
    return {first, min(first + 1, size - 1), 1 - part, part};
}

// Pictures and results have their channels last. x is the channel, as all else is the same for neighbours; y the window,
// z the region.
kernel void align(constant parameters &p [[buffer(0)]], device uchar *to [[buffer(1)]], device const uchar *from [[buffer(2)]],
        device const uchar *rois [[buffer(3)]], uint3 at [[thread_position_in_grid]])
{
    region r = region_of(p, rois, at.z);
    float top = r.top + int(at.y) / p.across * r.high, left = r.left + int(at.y) % p.across * r.wide, sum = 0;
    from += (long(r.image) * p.height * p.width * p.channels + at.x) * size_of(c_type0);
    for (int i = 0; i < r.down; i++) {
        between y = between_of(top + (i + 0.5f) * r.high / r.down, p.height);
        for (int j = 0; j < r.across; j++) {
            between x = between_of(left + (j + 0.5f) * r.wide / r.across, p.width);
            long first = y.first * long(p.width), second = y.second * long(p.width), channels = p.channels;
            sum += y.of_first * (x.of_first * at_type(from, (first + x.first) * channels) + x.of_second * at_type(from, (first + x.second) * channels)) +
                y.of_second * (x.of_first * at_type(from, (second + x.first) * channels) + x.of_second * at_type(from, (second + x.second) * channels));
        }
    }
    long o = (long(at.z) * p.down * p.across + at.y) * p.channels + at.x;
    store(to + o * size_of(c_type0), c_type0, sum / max(r.down * r.across, 1));
}

// A thread for each channel of an image, which adds up what all regions give: the order is always the same.
kernel void align_backward(constant parameters &p [[buffer(0)]], device float *to [[buffer(1)]],
        device const uchar *gradient [[buffer(2)]], device const uchar *rois [[buffer(3)]], uint2 at [[thread_position_in_grid]])
{
    to += long(at.y) * p.height * p.width * p.channels + at.x;
    for (uint n = 0; n < p.boxes; n++) {
        region r = region_of(p, rois, n);
        if (r.image != int(at.y))
            continue;
        for (int w = 0; w < p.down * p.across; w++) {
            float v = at_type(gradient, (long(n) * p.down * p.across + w) * p.channels + at.x) / max(r.down * r.across, 1);
            float top = r.top + w / p.across * r.high, left = r.left + w % p.across * r.wide;
            for (int i = 0; i < r.down; i++)
                for (int j = 0; j < r.across; j++) {
                    between y = between_of(top + (i + 0.5f) * r.high / r.down, p.height);
                    between x = between_of(left + (j + 0.5f) * r.wide / r.across, p.width);
                    to[(y.first * long(p.width) + x.first) * p.channels] += v * y.of_first * x.of_first;
                    to[(y.first * long(p.width) + x.second) * p.channels] += v * y.of_first * x.of_second;
                    to[(y.second * long(p.width) + x.first) * p.channels] += v * y.of_second * x.of_first;
                    to[(y.second * long(p.width) + x.second) * p.channels] += v * y.of_second * x.of_second;
                }
        }
    }
}
