// Softmax, its logarithm, and their derivatives, along the middle of three dimensions that lie without
// gaps. c_type0: the result's type, c_type1: the input's.
#define c_is_log c_constant2

struct parameters {
    uint outer, count, inner, reserved;
};

// Threads share a row where its elements lie side by side.
kernel void rows(constant parameters &p [[buffer(0)]], device uchar *to [[buffer(1)]],
        device const uchar *from [[buffer(2)]], uint row [[threadgroup_position_in_grid]],
        uint lane [[thread_index_in_simdgroup]],
        uint index [[thread_index_in_threadgroup]])
{
    uint worker = worker_of(lane, index);
    threadgroup float room[32];
    long first = long(row) * p.count;
    float top = -INFINITY;
    bool odd = false;
    for (uint n = worker; n < p.count; n += c_threads) {
        float v = load<float>(from + (first + n) * size_of(c_type1), c_type1);
        top = max(top, v);
        odd = odd || isnan(v);
    }
    top = max_over(top, room, worker);
    top = max_over(odd ? 1.0f : 0.0f, room, worker) > 0 ? NAN : top;
    float sum = 0;
    bool kept = c_type0 == F32 && !c_is_log; // what was computed, where the result will be
    for (uint n = worker; n < p.count; n += c_threads) {
        float v = exp(load<float>(from + (first + n) * size_of(c_type1), c_type1) - top);
        sum += v;
        if (kept)
            store(to + (first + n) * 4, F32, v);
    }
    sum = sum_over(sum, room, worker);
    float shift = c_is_log ? log(sum) : 1 / sum;
    for (uint n = worker; n < p.count; n += c_threads) {
        if (kept) {
            store(to + (first + n) * 4, F32, load<float>(to + (first + n) * 4, F32) * shift);
            continue;
        }
        float v = load<float>(from + (first + n) * size_of(c_type1), c_type1) - top;
        store(to + (first + n) * size_of(c_type0), c_type0, c_is_log ? v - shift : exp(v) * shift);
    }
}

// Attention's: rows of scores (floats), of which there are `rows` for each of `heads` for each of a batch,
// plus a mask with any strides. A row of which nothing is left becomes zeros.
#define c_masked c_constant1
#define c_causal c_constant2 // nothing behind the row's own place
#define c_plain c_constant3  // the mask's rows lie without gaps
struct attention {
    uint count, rows, heads;
    float more; // backward: what dropout multiplied by
    long mask[4]; // strides: batch, head, row, column
};

kernel void attend(constant attention &p [[buffer(0)]], device uchar *to [[buffer(1)]], device float *scores [[buffer(2)]],
        device const uchar *mask [[buffer(3)]], uint group [[threadgroup_position_in_grid]],
        uint lane [[thread_index_in_simdgroup]],
        uint index [[thread_index_in_threadgroup]])
{
    uint worker = worker_of(lane, index);
    threadgroup float room[32];
    uint row = group % p.rows, head = group / p.rows % p.heads, batch = group / p.rows / p.heads;
    uint count = c_causal ? min(row + 1, p.count) : p.count;
    long at = batch * p.mask[0] + head * p.mask[1] + row * p.mask[2];
    scores += long(group) * p.count;
    to += long(group) * p.count * size_of(c_type0);
    float top = -INFINITY, sum = 0;
    for (uint n = worker; n < count; n += c_threads) {
        if (c_masked)
            scores[n] += load<float>(mask + (at + (c_plain ? n : n * p.mask[3])) * size_of(c_type0), c_type0);
        top = max(top, scores[n]);
    }
    top = max_over(top, room, worker);
    for (uint n = worker; n < count; n += c_threads) {
        float v = exp(scores[n] - top);
        scores[n] = v;
        sum += v;
    }
    sum = sum_over(sum, room, worker);
    float scale = top == -INFINITY ? 0.0f : 1 / sum;
    for (uint n = worker; n < p.count; n += c_threads)
        store(to + n * size_of(c_type0), c_type0, n >= count || scale == 0 ? 0.0f : scores[n] * scale);
}

// Of scores, from the derivatives of what they became, which are `slopes`. c_masked here: dropout was between.
kernel void attend_backward(constant attention &p [[buffer(0)]], device uchar *to [[buffer(1)]],
        device const float *slopes [[buffer(2)]], device const uchar *parts [[buffer(3)]],
        device const uchar *kept [[buffer(4)]], uint group [[threadgroup_position_in_grid]],
        uint lane [[thread_index_in_simdgroup]], uint index [[thread_index_in_threadgroup]])
{
    uint worker = worker_of(lane, index);
    threadgroup float room[32];
    long row = long(group) * p.count;
    slopes += row;
    kept += row;
    to += row * size_of(c_type0);
    parts += row * size_of(c_type0);
    float sum = 0;
    for (uint n = worker; n < p.count; n += c_threads) {
        float g = c_masked ? (kept[n] ? slopes[n] * p.more : 0.0f) : slopes[n];
        sum += g * load<float>(parts + n * size_of(c_type0), c_type0);
    }
    sum = sum_over(sum, room, worker);
    for (uint n = worker; n < p.count; n += c_threads) {
        float g = c_masked ? (kept[n] ? slopes[n] * p.more : 0.0f) : slopes[n];
        store(to + n * size_of(c_type0), c_type0, (g - sum) * load<float>(parts + n * size_of(c_type0), c_type0));
    }
}

// A thread for each where they lie apart.
kernel void columns(constant parameters &p [[buffer(0)]], device uchar *to [[buffer(1)]],
        device const uchar *from [[buffer(2)]], uint2 at [[thread_position_in_grid]])
{
    long first = long(at.y) * p.count * p.inner + at.x;
    float top = -INFINITY;
    bool odd = false;
    for (uint n = 0; n < p.count; n++) {
        float v = load<float>(from + (first + long(n) * p.inner) * size_of(c_type1), c_type1);
        top = max(top, v);
        odd = odd || isnan(v);
    }
    top = odd ? NAN : top;
    float sum = 0;
    for (uint n = 0; n < p.count; n++)
        sum += exp(load<float>(from + (first + long(n) * p.inner) * size_of(c_type1), c_type1) - top);
    float shift = c_is_log ? log(sum) : 1 / sum;
    for (uint n = 0; n < p.count; n++) {
        long i = first + long(n) * p.inner;
        float v = load<float>(from + i * size_of(c_type1), c_type1) - top;
        store(to + i * size_of(c_type0), c_type0, c_is_log ? v - shift : exp(v) * shift);
    }
}

static inline float slope(float gradient, float output, float sum)
{
    return c_is_log ? gradient - exp(output) * sum : (gradient - sum) * output;
}

kernel void rows_backward(constant parameters &p [[buffer(0)]], device uchar *to [[buffer(1)]],
        device const uchar *gradient [[buffer(2)]], device const uchar *output [[buffer(3)]],
        uint row [[threadgroup_position_in_grid]], uint lane [[thread_index_in_simdgroup]],
        uint index [[thread_index_in_threadgroup]])
{
    uint worker = worker_of(lane, index);
    threadgroup float room[32];
    long first = long(row) * p.count;
    int width = size_of(c_type1);
    float sum = 0;
    for (uint n = worker; n < p.count; n += c_threads) {
        float g = load<float>(gradient + (first + n) * width, c_type1);
        sum += c_is_log ? g : g * load<float>(output + (first + n) * width, c_type1);
    }
    sum = sum_over(sum, room, worker);
    for (uint n = worker; n < p.count; n += c_threads) {
        float g = load<float>(gradient + (first + n) * width, c_type1), y = load<float>(output + (first + n) * width, c_type1);
        store(to + (first + n) * size_of(c_type0), c_type0, slope(g, y, sum));
    }
}

kernel void columns_backward(constant parameters &p [[buffer(0)]], device uchar *to [[buffer(1)]],
        device const uchar *gradient [[buffer(2)]], device const uchar *output [[buffer(3)]],
        uint2 at [[thread_position_in_grid]])
{
    long first = long(at.y) * p.count * p.inner + at.x;
    int width = size_of(c_type1);
    float sum = 0;
    for (uint n = 0; n < p.count; n++) {
        long i = first + long(n) * p.inner;
        float g = load<float>(gradient + i * width, c_type1);
        sum += c_is_log ? g : g * load<float>(output + i * width, c_type1);
    }
    for (uint n = 0; n < p.count; n++) {
        long i = first + long(n) * p.inner;
        float g = load<float>(gradient + i * width, c_type1), y = load<float>(output + i * width, c_type1);
        store(to + i * size_of(c_type0), c_type0, slope(g, y, sum));
    }
}
