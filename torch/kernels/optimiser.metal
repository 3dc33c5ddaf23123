// One step of an optimiser for one tensor: an element a thread. All tensors lie alike. c_type0: of the weights and what
// is kept with them, c_type1: of the gradient.
#define c_flags c_constant2 // bits
enum {
    MAXIMIZES = 1, SCALED = 2, MAY_SKIP = 4, LR_IS_TENSOR = 8, // of all
    DECOUPLED = 16, AMSGRAD = 32,                              // of Adam
    MOMENTUM = 16, NESTEROV = 32, FIRST = 64,                  // of SGD
};

struct parameters {
    float lr, decay, beta1, beta2, epsilon;
    float momentum, dampening, reserved;
};

static inline float at_type(device const uchar *p, uint n, int type) { return load<float>(p + ulong(n) * size_of(type), type); }
static inline void put(device uchar *p, uint n, float v) { store(p + ulong(n) * size_of(c_type0), c_type0, v); }

// The gradient as it is used, which stays so where it was scaled.
static inline float gradient_of(device uchar *gradient, device const float *scale, uint n)
{
    float g = at_type(gradient, n, c_type1);
    if (c_flags & SCALED) {
        g /= *scale;
        store(gradient + ulong(n) * size_of(c_type1), c_type1, g);
    }
    return c_flags & MAXIMIZES ? -g : g;
}

kernel void adam(constant parameters &p [[buffer(0)]], device uchar *weights [[buffer(1)]],
        device uchar *gradient [[buffer(2)]], device uchar *mean [[buffer(3)]], device uchar *square [[buffer(4)]],
        device uchar *most [[buffer(5)]], device const float *steps [[buffer(6)]], device const float *rate [[buffer(7)]],
        device const float *scale [[buffer(8)]], device const float *found [[buffer(9)]], uint n [[thread_position_in_grid]])
{
    if (c_flags & MAY_SKIP && *found == 1)
        return;
    float lr = c_flags & LR_IS_TENSOR ? *rate : p.lr, g = gradient_of(gradient, scale, n), w = at_type(weights, n, c_type0);
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
    float first = 1 - pow(p.beta1, *steps), second = 1 - pow(p.beta2, *steps);
    put(weights, n, w - lr / first * m / (sqrt(v) / sqrt(second) + p.epsilon));
}

kernel void descend(constant parameters &p [[buffer(0)]], device uchar *weights [[buffer(1)]],
        device uchar *gradient [[buffer(2)]], device uchar *momentum [[buffer(3)]], device const float *rate [[buffer(7)]],
        device const float *scale [[buffer(8)]], device const float *found [[buffer(9)]], uint n [[thread_position_in_grid]])
{
    if (c_flags & MAY_SKIP && *found == 1)
        return;
    float lr = c_flags & LR_IS_TENSOR ? *rate : p.lr, g = gradient_of(gradient, scale, n), w = at_type(weights, n, c_type0);
    g += p.decay * w;
    if (c_flags & MOMENTUM) {
        float m = c_flags & FIRST ? g : p.momentum * at_type(momentum, n, c_type0) + (1 - p.dampening) * g;
        put(momentum, n, m);
        g = c_flags & NESTEROV ? g + p.momentum * m : m;
    }
    put(weights, n, w - lr * g);
}

// ---- gradients of a loss that was scaled

kernel void unscale(device uchar *gradient [[buffer(1)]], device float *found [[buffer(2)]],
        device const float *by [[buffer(3)]], uint n [[thread_position_in_grid]])
{
    float g = at_type(gradient, n, c_type1);
    if (!isfinite(g))
        *found = 1;
    store(gradient + ulong(n) * size_of(c_type1), c_type1, g * *by);
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
