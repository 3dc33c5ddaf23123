// The negative log-likelihood of classes. c_type0: of the logarithms; c_type1: of the classes.
#define c_reduction c_constant2 // torch's: 0 none, 1 mean, 2 sum
#define c_has_weight c_constant3

struct parameters {
    uint count, classes;
    long ignored;
    long stride[2]; // of the logarithms, in elements
};

static inline float weight_of(device const uchar *weight, long target)
{
    return c_has_weight ? load<float>(weight + target * size_of(c_type0), c_type0) : 1.0f;
}

static inline bool counts(constant parameters &p, long target)
{
    return target != p.ignored && target >= 0 && target < long(p.classes);
}

kernel void each(constant parameters &p [[buffer(0)]], device uchar *to [[buffer(1)]],
        device uchar *total [[buffer(2)]], device const uchar *from [[buffer(3)]],
        device const uchar *target [[buffer(4)]], device const uchar *weight [[buffer(5)]],
        uint n [[thread_position_in_grid]])
{
    long t = load<long>(target + n * size_of(c_type1), c_type1);
    float v = 0;
    if (counts(p, t))
        v = -weight_of(weight, t) * load<float>(from + (n * p.stride[0] + t * p.stride[1]) * size_of(c_type0), c_type0);
    store(to + n * size_of(c_type0), c_type0, v);
    if (n == 0)
        store(total, c_type0, 0.0f);
}

// One SIMD-group.
kernel void together(constant parameters &p [[buffer(0)]], device uchar *to [[buffer(1)]],
        device uchar *total [[buffer(2)]], device const uchar *from [[buffer(3)]],
        device const uchar *target [[buffer(4)]], device const uchar *weight [[buffer(5)]],
        uint lane [[thread_index_in_simdgroup]])
{
    float sum = 0, weights = 0;
    for (uint n = lane; n < p.count; n += 32) {
        long t = load<long>(target + n * size_of(c_type1), c_type1);
        if (!counts(p, t))
            continue;
        float w = weight_of(weight, t);
        weights += w;
        sum -= w * load<float>(from + (n * p.stride[0] + t * p.stride[1]) * size_of(c_type0), c_type0);
    }
    sum = simd_sum(sum);
    weights = simd_sum(weights);
    if (lane == 0) {
        store(to, c_type0, c_reduction == 1 ? sum / weights : sum);
        store(total, c_type0, weights);
    }
}

kernel void backward(constant parameters &p [[buffer(0)]], device uchar *to [[buffer(1)]],
        device const uchar *total [[buffer(2)]], device const uchar *gradient [[buffer(3)]],
        device const uchar *target [[buffer(4)]], device const uchar *weight [[buffer(5)]],
        uint2 at [[thread_position_in_grid]])
{
    long t = load<long>(target + at.y * size_of(c_type1), c_type1);
    float v = 0;
    if (long(at.x) == t && counts(p, t)) {
        v = -weight_of(weight, t) * load<float>(gradient + (c_reduction ? 0 : at.y * p.stride[0]) * size_of(c_type0), c_type0);
        if (c_reduction == 1)
            v /= load<float>(total, c_type0);
    }
    store(to + (long(at.y) * p.classes + at.x) * size_of(c_type0), c_type0, v);
}
