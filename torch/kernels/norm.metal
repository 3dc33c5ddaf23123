// Mean and variance of rows, and what is normalised by them. A row has `count` elements: `inner` of them
// side by side in each of count / inner places, which lie `outer` apart. Weights: of the element j of the
// row r the one at (r % weight_rows) * weight_step + j / weight_inner.
// c_type0: the rows' type; c_type1: of mean and deviation; c_type2: of the weights.
#define c_type2 c_constant2
#define c_has c_constant3 // bits: 1 weight, 2 bias, 4 running means, 8 mean and deviation are given
// Bits: 1 a row is without gaps, 2 it has the weights 0, 1, ..., 4 it has one weight, 8 more
// elements lie side by side than there are places, of rows with gaps.
#define c_rows c_constant4

struct parameters {
    uint rows, count, inner, reserved;
    long row, outer; // strides in elements
    uint weight_rows, weight_step, weight_inner, weight_reserved;
    float epsilon, momentum, correction, reserved_f;
};

// Rows are gone through along two sides, of which the threads of a row share the longer one.
static inline uint shared_side(constant parameters &p)
{
    return c_rows & 1 ? p.count : c_rows & 8 ? p.inner : p.count / p.inner;
}

static inline uint other_side(constant parameters &p)
{
    return c_rows & 1 ? 1 : c_rows & 8 ? p.count / p.inner : p.inner;
}

static inline long element(constant parameters &p, uint row, uint other, uint shared)
{
    return row * p.row + (c_rows & 1 ? shared : c_rows & 8 ? other * p.outer + shared : shared * p.outer + other);
}

static inline uint weight_of(constant parameters &p, uint row, uint shared)
{
    return c_rows & 2 ? shared : row % p.weight_rows * p.weight_step + (c_rows & 4 ? 0 : shared / p.weight_inner);
}

static inline float value(constant parameters &p, device const uchar *x, uint row, uint other, uint shared)
{
    return load<float>(x + element(p, row, other, shared) * size_of(c_type0), c_type0);
}

// Its mean, and the sum of squares around it.
struct moments {
    float mean, squares;
};

static inline moments moments_of(constant parameters &p, device const uchar *x, uint row, threadgroup float *room,
        uint worker)
{
    float sum = 0, squares = 0;
    uint shared = shared_side(p), other = other_side(p);
    for (uint i = 0; i < other; i++)
        for (uint j = worker; j < shared; j += c_threads)
            sum += value(p, x, row, i, j);
    float mean = sum_over(sum, room, worker) / p.count;
    for (uint i = 0; i < other; i++)
        for (uint j = worker; j < shared; j += c_threads) {
            float d = value(p, x, row, i, j) - mean;
            squares += d * d;
        }
    moments m = {mean, sum_over(squares, room, worker)};
    return m;
}

kernel void normalise(constant parameters &p [[buffer(0)]], device uchar *to [[buffer(1)]],
        device uchar *mean [[buffer(2)]], device uchar *deviation [[buffer(3)]], device const uchar *x [[buffer(4)]],
        device const uchar *weight [[buffer(5)]], device const uchar *bias [[buffer(6)]],
        device uchar *running_mean [[buffer(7)]], device uchar *running_variance [[buffer(8)]],
        uint row [[threadgroup_position_in_grid]], uint lane [[thread_index_in_simdgroup]],
        uint index [[thread_index_in_threadgroup]])
{
    uint worker = worker_of(lane, index);
    threadgroup float room[32];
    float middle, scale;
    if (c_has & 8) {
        middle = load<float>(running_mean + row * size_of(c_type2), c_type2);
        scale = 1 / sqrt(load<float>(running_variance + row * size_of(c_type2), c_type2) + p.epsilon);
    } else {
        moments m = moments_of(p, x, row, room, worker);
        middle = m.mean;
        scale = 1 / sqrt(m.squares / p.count + p.epsilon);
        if (worker == 0) {
            store(mean + row * size_of(c_type1), c_type1, middle);
            store(deviation + row * size_of(c_type1), c_type1, scale);
        }
        if ((c_has & 4) && worker == 0) {
            device uchar *a = running_mean + row * size_of(c_type2), *b = running_variance + row * size_of(c_type2);
            float unbiased = m.squares / (p.count - 1.0f);
            store(a, c_type2, (1 - p.momentum) * load<float>(a, c_type2) + p.momentum * middle);
            store(b, c_type2, (1 - p.momentum) * load<float>(b, c_type2) + p.momentum * unbiased);
        }
    }
    uint shared = shared_side(p), other = other_side(p);
    for (uint i = 0; i < other; i++)
        for (uint j = worker; j < shared; j += c_threads) {
            float v = (value(p, x, row, i, j) - middle) * scale;
            uint w = weight_of(p, row, j);
            if (c_has & 1)
                v *= load<float>(weight + w * size_of(c_type2), c_type2);
            if (c_has & 2)
                v += load<float>(bias + w * size_of(c_type2), c_type2);
            store(to + element(p, row, i, j) * size_of(c_type0), c_type0, v);
        }
}

// The same with mean and deviation given, of which nothing has to be found first, and one weight for a
// row: a thread for c_each elements of a place.
#define c_each c_constant5
kernel void apply(constant parameters &p [[buffer(0)]], device uchar *to [[buffer(1)]],
        device const uchar *x [[buffer(4)]], device const uchar *weight [[buffer(5)]],
        device const uchar *bias [[buffer(6)]], device const uchar *running_mean [[buffer(7)]],
        device const uchar *running_variance [[buffer(8)]], uint3 at [[thread_position_in_grid]])
{
    uint row = at.y, w = row % p.weight_rows * p.weight_step, step = p.inner / uint(c_each);
    float middle = load<float>(running_mean + row * size_of(c_type2), c_type2), v[4];
    float scale = 1 / sqrt(load<float>(running_variance + row * size_of(c_type2), c_type2) + p.epsilon);
    float factor = c_has & 1 ? load<float>(weight + w * size_of(c_type2), c_type2) : 1;
    float more = c_has & 2 ? load<float>(bias + w * size_of(c_type2), c_type2) : 0;
    long first = row * p.row + at.z * p.outer + at.x;
    for (uint k = 0; k < uint(c_each); k++)
        v[k] = load<float>(x + (first + k * step) * size_of(c_type0), c_type0);
    for (uint k = 0; k < uint(c_each); k++)
        store(to + (first + k * step) * size_of(c_type0), c_type0, (v[k] - middle) * scale * factor + more);
}

// Of rows alone: the variance, or its root.
#define c_is_root c_constant3
kernel void spread(constant parameters &p [[buffer(0)]], device uchar *to [[buffer(1)]],
        device uchar *mean [[buffer(2)]], device const uchar *x [[buffer(3)]],
        uint row [[threadgroup_position_in_grid]], uint lane [[thread_index_in_simdgroup]],
        uint index [[thread_index_in_threadgroup]])
{
    uint worker = worker_of(lane, index);
    threadgroup float room[32];
    moments m = moments_of(p, x, row, room, worker);
    float v = m.squares / max(p.count - p.correction, 0.0f);
    if (worker == 0) {
        store(to + row * size_of(c_type1), c_type1, c_is_root ? sqrt(v) : v);
        store(mean + row * size_of(c_type1), c_type1, m.mean);
    }
}

static inline float weighted(constant parameters &p, device const uchar *gradient, device const uchar *weight, uint row,
        uint other, uint shared)
{
    float g = value(p, gradient, row, other, shared);
    return c_has & 1 ? g * load<float>(weight + weight_of(p, row, shared) * size_of(c_type2), c_type2) : g;
}

// Bit 8 here: mean and deviation do not depend on the row.
kernel void of_input(constant parameters &p [[buffer(0)]], device uchar *to [[buffer(1)]],
        device const uchar *gradient [[buffer(2)]], device const uchar *x [[buffer(3)]],
        device const uchar *mean [[buffer(4)]], device const uchar *deviation [[buffer(5)]],
        device const uchar *weight [[buffer(6)]], uint row [[threadgroup_position_in_grid]],
        uint lane [[thread_index_in_simdgroup]],
        uint index [[thread_index_in_threadgroup]])
{
    uint worker = worker_of(lane, index);
    threadgroup float room[32];
    float middle = load<float>(mean + row * size_of(c_type1), c_type1);
    float scale = load<float>(deviation + row * size_of(c_type1), c_type1);
    float sum = 0, product = 0;
    uint shared = shared_side(p), other = other_side(p);
    for (uint i = 0; i < other; i++)
        for (uint j = worker; j < shared; j += c_threads) {
            float g = weighted(p, gradient, weight, row, i, j);
            sum += g;
            product += g * (value(p, x, row, i, j) - middle) * scale;
        }
    sum = c_has & 8 ? 0 : sum_over(sum, room, worker) / p.count;
    product = c_has & 8 ? 0 : sum_over(product, room, worker) / p.count;
    for (uint i = 0; i < other; i++)
        for (uint j = worker; j < shared; j += c_threads) {
            float g = weighted(p, gradient, weight, row, i, j);
            float v = scale * (g - sum - (value(p, x, row, i, j) - middle) * scale * product);
            store(to + element(p, row, i, j) * size_of(c_type0), c_type0, v);
        }
}

struct weight_sums {
    float bias, weight;
};

static inline weight_sums added(constant parameters &p, weight_sums s, device const uchar *gradient,
        device const uchar *x, device const uchar *mean, device const uchar *deviation, uint row, uint other, uint shared)
{
    float g = value(p, gradient, row, other, shared);
    float middle = load<float>(mean + row * size_of(c_type1), c_type1);
    float scale = load<float>(deviation + row * size_of(c_type1), c_type1);
    s.bias += g;
    s.weight += g * (value(p, x, row, other, shared) - middle) * scale;
    return s;
}

static inline void write_sums(device uchar *to_weight, device uchar *to_bias, uint w, weight_sums s)
{
    if (c_has & 1)
        store(to_weight + w * size_of(c_type2), c_type2, s.weight);
    if (c_has & 2)
        store(to_bias + w * size_of(c_type2), c_type2, s.bias);
}

// For each weight: over the rows and elements that have it.
kernel void of_weight(constant parameters &p [[buffer(0)]], device uchar *to_weight [[buffer(1)]],
        device uchar *to_bias [[buffer(2)]], device const uchar *gradient [[buffer(3)]],
        device const uchar *x [[buffer(4)]], device const uchar *mean [[buffer(5)]],
        device const uchar *deviation [[buffer(6)]], uint w [[threadgroup_position_in_grid]],
        uint lane [[thread_index_in_simdgroup]],
        uint index [[thread_index_in_threadgroup]])
{
    uint worker = worker_of(lane, index);
    threadgroup float room[32];
    uint first_row = p.weight_step ? w / p.weight_step : p.weight_rows > 1 ? w : 0;
    uint first = (p.weight_step ? w % p.weight_step : p.weight_rows > 1 ? 0 : w) * p.weight_inner;
    bool whole = c_rows & 4; // all of a row's elements
    uint shared = whole ? shared_side(p) : p.weight_inner, other = whole ? other_side(p) : 1;
    weight_sums s = {0, 0};
    for (uint row = first_row; row < p.rows; row += p.weight_rows)
        for (uint i = 0; i < other; i++)
            for (uint j = worker; j < shared; j += c_threads)
                s = added(p, s, gradient, x, mean, deviation, row, i, first + j);
    s.bias = sum_over(s.bias, room, worker);
    s.weight = sum_over(s.weight, room, worker);
    if (worker == 0)
        write_sums(to_weight, to_bias, w, s);
}

// A thread for each weight, which every row has once: neighbours in memory.
kernel void of_weights(constant parameters &p [[buffer(0)]], device uchar *to_weight [[buffer(1)]],
        device uchar *to_bias [[buffer(2)]], device const uchar *gradient [[buffer(3)]],
        device const uchar *x [[buffer(4)]], device const uchar *mean [[buffer(5)]],
        device const uchar *deviation [[buffer(6)]], uint w [[thread_position_in_grid]])
{
    weight_sums s = {0, 0};
    for (uint row = 0; row < p.rows; row++)
        s = added(p, s, gradient, x, mean, deviation, row, 0, w);
    write_sums(to_weight, to_bias, w, s);
}
