// One step of an optimiser for one tensor: EACH elements a thread, of which a SIMD-group's
// lie together. All tensors lie alike. c_type0: of the weights and what is kept with them, c_type1: of the gradient.
#define EACH 16
#define c_flags c_constant2 // bits
enum {
    MAXIMIZES = 1, SCALED = 2, MAY_SKIP = 4, LR_IS_TENSOR = 8, // of all
    DECOUPLED = 16, AMSGRAD = 32,                              // of Adam
    MOMENTUM = 16, NESTEROV = 32, FIRST = 64,                  // of SGD
};

struct parameters {
    float lr, decay, beta1, beta2, epsilon;
    float momentum, dampening;
    int count;
};

static inline float at_type(device const uchar *p, long n, int type) { return load<float>(p + n * size_of(type), type); }
static inline void put(device uchar *p, long n, float v) { store(p + n * size_of(c_type0), c_type0, v); }

// The gradient as it is used, which stays so where it was scaled.
static inline float gradient_of(device uchar *gradient, device const float *scale, long n)
{
    float g = at_type(gradient, n, c_type1);
    if (c_flags & SCALED) {
        g /= *scale;
        store(gradient + n * size_of(c_type1), c_type1, g);
    }
    return c_flags & MAXIMIZES ? -g : g;
}

static inline void adam_one(constant parameters &p, device uchar *weights, device uchar *gradient, device uchar *mean,
        device uchar *square, device uchar *most, device const float *scale, float lr, float by, float root, long n)
{
    float g = gradient_of(gradient, scale, n), w = at_type(weights, n, c_type0);
    if (p.decay != 0) {
        if (c_flags & DECOUPLED)
            w -= lr * p.decay * w;
        else
            g += p.decay * w;
    }
    float m = at_type(mean, n, c_type0), v = at_type(square, n, c_type0);
    m += (1 - p.beta1) * (g - m);
    v = p.beta2 * v + (1 - p.beta2) * g * g;
    put(mean, n, m);
    put(square, n, v);
    if (c_flags & AMSGRAD) {
        v = max(v, at_type(most, n, c_type0));
        put(most, n, v);
    }
    put(weights, n, w - by * m / (sqrt(v) * root + p.epsilon));
}

kernel void adam(constant parameters &p [[buffer(0)]], device uchar *weights [[buffer(1)]],
        device uchar *gradient [[buffer(2)]], device uchar *mean [[buffer(3)]], device uchar *square [[buffer(4)]],
        device uchar *most [[buffer(5)]], device const float *steps [[buffer(6)]], device const float *rate [[buffer(7)]],
        device const float *scale [[buffer(8)]], device const float *found [[buffer(9)]], uint group [[threadgroup_position_in_grid]],
        uint lane [[thread_index_in_simdgroup]])
{
    if (c_flags & MAY_SKIP && *found == 1)
        return;
    float lr = c_flags & LR_IS_TENSOR ? *rate : p.lr, step = *steps;
    float by = lr / (1 - pow(p.beta1, step)), root = 1 / sqrt(1 - pow(p.beta2, step));
    simdgroup_barrier(mem_flags::mem_none); // a processor's vectors are of all 32 then
    // All of a SIMD-group's turns are whole ones but for the last one's.
    long first = long(group) * (EACH * 32) + lane;
    if ((long(group) + 1) * (EACH * 32) <= p.count) {
        for (int k = 0; k < EACH; k++)
            adam_one(p, weights, gradient, mean, square, most, scale, lr, by, root, first + k * 32);
    } else {
        for (long n = first; n < p.count; n += 32)
            adam_one(p, weights, gradient, mean, square, most, scale, lr, by, root, n);
    }
}

static inline void descend_one(constant parameters &p, device uchar *weights, device uchar *gradient, device uchar *momentum,
        device const float *scale, float lr, long n)
{
    float g = gradient_of(gradient, scale, n), w = at_type(weights, n, c_type0);
    g += p.decay * w;
    if (c_flags & MOMENTUM) {
        float m = c_flags & FIRST ? g : p.momentum * at_type(momentum, n, c_type0) + (1 - p.dampening) * g;
        put(momentum, n, m);
        g = c_flags & NESTEROV ? g + p.momentum * m : m;
    }
    put(weights, n, w - lr * g);
}

kernel void descend(constant parameters &p [[buffer(0)]], device uchar *weights [[buffer(1)]],
        device uchar *gradient [[buffer(2)]], device uchar *momentum [[buffer(3)]], device const float *rate [[buffer(7)]],
        device const float *scale [[buffer(8)]], device const float *found [[buffer(9)]], uint group [[threadgroup_position_in_grid]],
        uint lane [[thread_index_in_simdgroup]])
{
    if (c_flags & MAY_SKIP && *found == 1)
        return;
    float lr = c_flags & LR_IS_TENSOR ? *rate : p.lr;
    simdgroup_barrier(mem_flags::mem_none); // a processor's vectors are of all 32 then
    // All of a SIMD-group's turns are whole ones but for the last one's.
    long first = long(group) * (EACH * 32) + lane;
    if ((long(group) + 1) * (EACH * 32) <= p.count) {
        for (int k = 0; k < EACH; k++)
            descend_one(p, weights, gradient, momentum, scale, lr, first + k * 32);
    } else {
        for (long n = first; n < p.count; n += 32)
            descend_one(p, weights, gradient, momentum, scale, lr, n);
    }
}

// ---- gradients of a loss that was scaled

kernel void unscale(device uchar *gradient [[buffer(1)]], device float *found [[buffer(2)]],
        device const float *by [[buffer(3)]], uint n [[thread_position_in_grid]])
{
    float g = at_type(gradient, n, c_type1);
    if (!isfinite(g))
        *found = 1;
    store(gradient + n * size_of(c_type1), c_type1, g * *by);
}

struct scale_parameters {
    float growth, backoff;
    int interval, reserved;
};

kernel void rescale(constant scale_parameters &p [[buffer(0)]], device float *scale [[buffer(1)]],
        device int *tracker [[buffer(2)]], device const float *found [[buffer(3)]])
{
    if (*found != 0) {
        *scale *= p.backoff;
        *tracker = 0;
        return;
    }
    int good = *tracker + 1;
    if (good == p.interval) {
        float more = *scale * p.growth;
        if (isfinite(more))
            *scale = more;
        good = 0;
    }
    *tracker = good;
}
