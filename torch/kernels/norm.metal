// Mean and variance of rows, and what is normalised by them. A row has `count` elements: `inner` of them
// side by side in each of count / inner places, which lie `outer` apart. Weights: of the element j of the
// row r the one at (r % weight_rows) * weight_step + j / weight_inner.
// c_type0: the rows' type; c_type1: of mean and deviation; c_type2: of the weights.
#define c_type2 c_constant2
#define c_has c_constant3 // bits: 1 weight, 2 bias, 4 running means, 8 mean and deviation are given
#define c_rows c_constant4 // bits: 1 a row is without gaps, 2 it has the weights 0, 1, ..., 4 it has one weight

struct parameters {
    uint rows, count, inner, reserved;
    long row, outer; // strides in elements
    uint weight_rows, weight_step, weight_inner, weight_reserved;
    float epsilon, momentum, correction, reserved_f;
};

static inline long element(constant parameters &p, uint row, uint j)
{
    return row * p.row + (c_rows & 1 ? j : j / p.inner * p.outer + j % p.inner);
}

static inline uint weight_of(constant parameters &p, uint row, uint j)
{
    return c_rows & 2 ? j : row % p.weight_rows * p.weight_step + (c_rows & 4 ? 0 : j / p.weight_inner);
}

static inline float value(constant parameters &p, device const uchar *x, uint row, uint j)
{
    return load<float>(x + element(p, row, j) * size_of(c_type0), c_type0);
}

// One SIMD-group for each row: its mean, and what `kind` says of the spread.
struct moments {
    float mean, squares;
};

static inline moments moments_of(constant parameters &p, device const uchar *x, uint row, uint lane)
{
    float sum = 0, squares = 0;
    for (uint j = lane; j < p.count; j += 32)
        sum += value(p, x, row, j);
    float mean = simd_sum(sum) / p.count;
    for (uint j = lane; j < p.count; j += 32) {
        float d = value(p, x, row, j) - mean;
        squares += d * d;
    }
    moments m = {mean, simd_sum(squares)};
    return m;
}

kernel void normalise(constant parameters &p [[buffer(0)]], device uchar *to [[buffer(1)]],
        device uchar *mean [[buffer(2)]], device uchar *deviation [[buffer(3)]], device const uchar *x [[buffer(4)]],
        device const uchar *weight [[buffer(5)]], device const uchar *bias [[buffer(6)]],
        device uchar *running_mean [[buffer(7)]], device uchar *running_variance [[buffer(8)]],
        uint row [[threadgroup_position_in_grid]], uint lane [[thread_index_in_simdgroup]])
{
    float middle, scale;
    if (c_has & 8) {
        middle = load<float>(running_mean + row * size_of(c_type2), c_type2);
        scale = 1 / sqrt(load<float>(running_variance + row * size_of(c_type2), c_type2) + p.epsilon);
    } else {
        moments m = moments_of(p, x, row, lane);
        middle = m.mean;
        scale = 1 / sqrt(m.squares / p.count + p.epsilon);
        if (lane == 0) {
            store(mean + row * size_of(c_type1), c_type1, middle);
            store(deviation + row * size_of(c_type1), c_type1, scale);
        }
        if ((c_has & 4) && lane == 0) {
            device uchar *a = running_mean + row * size_of(c_type2), *b = running_variance + row * size_of(c_type2);
            float unbiased = m.squares / (p.count - 1.0f);
            store(a, c_type2, (1 - p.momentum) * load<float>(a, c_type2) + p.momentum * middle);
            store(b, c_type2, (1 - p.momentum) * load<float>(b, c_type2) + p.momentum * unbiased);
        }
    }
    for (uint j = lane; j < p.count; j += 32) {
        float v = (value(p, x, row, j) - middle) * scale;
        uint w = weight_of(p, row, j);
        if (c_has & 1)
            v *= load<float>(weight + w * size_of(c_type2), c_type2);
        if (c_has & 2)
            v += load<float>(bias + w * size_of(c_type2), c_type2);
        store(to + element(p, row, j) * size_of(c_type0), c_type0, v);
    }
}

// Of rows alone: the variance, or its root.
#define c_is_root c_constant3
kernel void spread(constant parameters &p [[buffer(0)]], device uchar *to [[buffer(1)]],
        device uchar *mean [[buffer(2)]], device const uchar *x [[buffer(3)]],
        uint row [[threadgroup_position_in_grid]], uint lane [[thread_index_in_simdgroup]])
{
    moments m = moments_of(p, x, row, lane);
    float v = m.squares / max(p.count - p.correction, 0.0f);
    if (lane == 0) {
        store(to + row * size_of(c_type1), c_type1, c_is_root ? sqrt(v) : v);
        store(mean + row * size_of(c_type1), c_type1, m.mean);
    }
}

// Bit 8 here: mean and deviation do not depend on the row.
kernel void of_input(constant parameters &p [[buffer(0)]], device uchar *to [[buffer(1)]],
        device const uchar *gradient [[buffer(2)]], device const uchar *x [[buffer(3)]],
        device const uchar *mean [[buffer(4)]], device const uchar *deviation [[buffer(5)]],
        device const uchar *weight [[buffer(6)]], uint row [[threadgroup_position_in_grid]],
        uint lane [[thread_index_in_simdgroup]])
{
    float middle = load<float>(mean + row * size_of(c_type1), c_type1);
    float scale = load<float>(deviation + row * size_of(c_type1), c_type1);
    float sum = 0, product = 0;
    for (uint j = lane; j < p.count; j += 32) {
        float g = value(p, gradient, row, j);
        if (c_has & 1)
            g *= load<float>(weight + weight_of(p, row, j) * size_of(c_type2), c_type2);
        sum += g;
        product += g * (value(p, x, row, j) - middle) * scale;
    }
    sum = c_has & 8 ? 0 : simd_sum(sum) / p.count;
    product = c_has & 8 ? 0 : simd_sum(product) / p.count;
    for (uint j = lane; j < p.count; j += 32) {
        float g = value(p, gradient, row, j);
        if (c_has & 1)
            g *= load<float>(weight + weight_of(p, row, j) * size_of(c_type2), c_type2);
        float v = scale * (g - sum - (value(p, x, row, j) - middle) * scale * product);
        store(to + element(p, row, j) * size_of(c_type0), c_type0, v);
    }
}

// A SIMD-group for each weight: over the rows and elements that have it.
kernel void of_weight(constant parameters &p [[buffer(0)]], device uchar *to_weight [[buffer(1)]],
        device uchar *to_bias [[buffer(2)]], device const uchar *gradient [[buffer(3)]],
        device const uchar *x [[buffer(4)]], device const uchar *mean [[buffer(5)]],
        device const uchar *deviation [[buffer(6)]], uint w [[threadgroup_position_in_grid]],
        uint lane [[thread_index_in_simdgroup]])
{
    uint first_row = p.weight_step ? w / p.weight_step : p.weight_rows > 1 ? w : 0;
    uint first = (p.weight_step ? w % p.weight_step : p.weight_rows > 1 ? 0 : w) * p.weight_inner;
    uint rows = (p.rows - first_row + p.weight_rows - 1) / p.weight_rows, total = rows * p.weight_inner;
    float sum = 0, product = 0;
    for (uint n = lane; n < total; n += 32) {
        uint row = first_row + n / p.weight_inner * p.weight_rows, j = first + n % p.weight_inner;
        float g = value(p, gradient, row, j);
        float middle = load<float>(mean + row * size_of(c_type1), c_type1);
        float scale = load<float>(deviation + row * size_of(c_type1), c_type1);
        sum += g;
        product += g * (value(p, x, row, j) - middle) * scale;
    }
    sum = simd_sum(sum);
    product = simd_sum(product);
    if (lane)
        return;
    if (c_has & 1)
        store(to_weight + w * size_of(c_type2), c_type2, product);
    if (c_has & 2)
        store(to_bias + w * size_of(c_type2), c_type2, sum);
}
