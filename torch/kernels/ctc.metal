// Connectionist temporal classification: one SIMD-group for a sequence. A label's place in the path is s: even ones are
// the blank, odd ones the targets. c_type1: of the targets.
struct parameters {
    uint times, batch, classes, width; // width: of `alpha`, 2 * the longest target + 1
    int blank;
    int zero_infinity;
};

struct sequence {
    device const float *logs; // of time 0
    device const uchar *target;
    int times, places; // places: 2 * the target's length + 1
    uint classes, step; // step: to the next time, in elements
    int blank;
};

// `lengths` has three numbers for each: times, the target's length, where it begins.
static inline sequence sequence_of(constant parameters &p, device const float *logs, device const uchar *targets,
        device const long *lengths, uint n)
{
    sequence q = {logs + ulong(n) * p.classes, targets + lengths[3 * n + 2] * size_of(c_type1), int(lengths[3 * n]),
        2 * int(lengths[3 * n + 1]) + 1, p.classes, p.batch * p.classes, p.blank};
    return q;
}

// Classes that there are not are taken for the nearest.
static inline int label(sequence q, int s)
{
    return s % 2 ? int(clamp(load<long>(q.target + s / 2 * size_of(c_type1), c_type1), 0L, long(q.classes) - 1)) : q.blank;
}
static inline float log_at(sequence q, int t, int s) { return q.logs[ulong(t) * q.step + label(q, s)]; }

static inline float log_sum(float a, float b, float c)
{
    float most = max(a, max(b, c));
    if (most == -INFINITY)
        return most;
    return log(exp(a - most) + exp(b - most) + exp(c - most)) + most;
}

kernel void forward(constant parameters &p [[buffer(0)]], device float *loss [[buffer(1)]],
        device float *alphas [[buffer(2)]], device const float *logs [[buffer(3)]],
        device const uchar *targets [[buffer(4)]], device const long *lengths [[buffer(5)]],
        uint n [[threadgroup_position_in_grid]], uint lane [[thread_index_in_simdgroup]])
{
    sequence q = sequence_of(p, logs, targets, lengths, n);
    device float *alpha = alphas + ulong(n) * p.times * p.width;
    for (int t = 0; t < q.times; t++) {
        device float *to = alpha + ulong(t) * p.width;
        device const float *from = to - p.width;
        for (int s = int(lane); s < q.places; s += 32) {
            float v;
            if (t == 0) {
                v = s < 2 ? 0.0f : -INFINITY;
            } else {
                bool skips = s > 1 && label(q, s) != label(q, s - 2);
                v = log_sum(from[s], s > 0 ? from[s - 1] : -INFINITY, skips ? from[s - 2] : -INFINITY);
            }
            to[s] = v + log_at(q, t, s);
        }
        threadgroup_barrier(mem_flags::mem_device);
    }
    if (lane != 0)
        return;
    if (q.times == 0) {
        loss[n] = q.places == 1 ? 0.0f : INFINITY;
        return;
    }
    device const float *last = alpha + ulong(q.times - 1) * p.width;
    loss[n] = -log_sum(last[q.places - 1], q.places > 1 ? last[q.places - 2] : -INFINITY, -INFINITY);
}

// Each target's next of the same class, and whether it is the first: their parts are added up by the first.
static inline void link(sequence q, device int *links, uint lane)
{
    for (int s = 2 * int(lane) + 1; s < q.places; s += 64) {
        int next = s + 2, before = 1;
        while (next < q.places && label(q, next) != label(q, s))
            next += 2;
        while (before < s && label(q, before) != label(q, s))
            before += 2;
        links[s] = (next < q.places ? next : 0) * 2 + (before == s);
    }
}

kernel void backward(constant parameters &p [[buffer(0)]], device float *to [[buffer(1)]],
        device float *betas [[buffer(2)]], device int *all_links [[buffer(3)]], device const float *logs [[buffer(4)]],
        device const uchar *targets [[buffer(5)]], device const long *lengths [[buffer(6)]],
        device const float *alphas [[buffer(7)]], device const float *loss [[buffer(8)]],
        device const float *gradient [[buffer(9)]], uint n [[threadgroup_position_in_grid]],
        uint lane [[thread_index_in_simdgroup]])
{
    sequence q = sequence_of(p, logs, targets, lengths, n);
    device const float *alpha = alphas + ulong(n) * p.times * p.width;
    device float *beta = betas + ulong(n) * 2 * p.width;
    device int *links = all_links + ulong(n) * p.width;
    device float *slope = to + ulong(n) * p.classes;
    bool is_zero = p.zero_infinity && loss[n] == INFINITY;
    for (int t = is_zero ? 0 : q.times; t < int(p.times); t++)
        for (uint c = lane; c < p.classes; c += 32)
            slope[ulong(t) * q.step + c] = 0;
    if (is_zero)
        return;
    link(q, links, lane);
    for (int t = q.times - 1; t >= 0; t--) {
        device float *now = beta + (t % 2) * p.width;
        device const float *later = beta + ((t + 1) % 2) * p.width, *sum = alpha + ulong(t) * p.width;
        for (int s = int(lane); s < q.places; s += 32) {
            float v;
            if (t == q.times - 1) {
                v = s >= q.places - 2 ? 0.0f : -INFINITY;
            } else {
                bool skips = s + 2 < q.places && label(q, s) != label(q, s + 2);
                v = log_sum(later[s], s + 1 < q.places ? later[s + 1] : -INFINITY, skips ? later[s + 2] : -INFINITY);
            }
            now[s] = v + log_at(q, t, s);
        }
        // What is in no path: as the processor has it, nothing, or no number where there is no path at all.
        for (uint c = lane; c < p.classes; c += 32) {
            float v = q.logs[ulong(t) * q.step + c];
            slope[ulong(t) * q.step + c] = (exp(v) - exp(-INFINITY + loss[n] - v)) * gradient[n];
        }
        threadgroup_barrier(mem_flags::mem_device);
        float blanks = 0;
        for (int s = 2 * int(lane); s < q.places; s += 64)
            blanks += exp(sum[s] + now[s] + loss[n] - log_at(q, t, s));
        blanks = simd_sum(blanks);
        for (int s = 2 * int(lane) + 1; s < q.places; s += 64) {
            if (links[s] % 2 == 0)
                continue;
            float parts = 0;
            for (int other = s; other != 0; other = links[other] / 2)
                parts += exp(sum[other] + now[other] + loss[n] - log_at(q, t, other));
            slope[ulong(t) * q.step + label(q, s)] -= parts * gradient[n];
        }
        threadgroup_barrier(mem_flags::mem_device);
        if (lane == 0)
            slope[ulong(t) * q.step + q.blank] -= blanks * gradient[n];
    }
}
