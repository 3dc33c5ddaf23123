// Elements that are found by an index along one dimension. Shapes and strides are in elements, the
// innermost dimension first. c_type0: the elements' type; c_type1: the indices'.
#define c_dims c_constant2
#define c_mode c_constant3 // scatter: 0 sets, 1 adds, 2 multiplies, 3 the larger, 4 the smaller; 5 a number

struct parameters {
    uint size[8];
    long to[8], from[8], index[8];
    long along;       // the stride of the dimension that is indexed
    long count;       // of its elements
    long line;        // scatter: elements of a line, and their strides
    long line_from, line_index;
    float number_f;
    float alpha_f;
    long number_i, alpha_i;
};

struct place {
    long to, from, index;
};

static inline place place_of(constant parameters &p, uint3 at)
{
    place o = {at.x * p.to[0], at.x * p.from[0], at.x * p.index[0]};
    uint rest = at.y;
    for (int d = 1; d < c_dims; d++) {
        uint n = d == c_dims - 1 ? rest : rest % p.size[d];
        o.to += n * p.to[d];
        o.from += n * p.from[d];
        o.index += n * p.index[d];
        rest /= p.size[d];
    }
    return o;
}

static inline long index_at(constant parameters &p, device const uchar *index, long at)
{
    long n = load<long>(index + at * size_of(c_type1), c_type1);
    n = n < 0 ? n + p.count : n;
    return clamp(n, 0L, p.count - 1); // outside of it there is other memory
}

// The element's own form, whatever it means. c_mode: bits: along x 1 the results lie without gaps, 2 what
// they are taken from, 4 there is one index, 8 the indices do.
template <typename T> static inline void move(constant parameters &p, device uchar *to, device const uchar *from,
        device const uchar *index, uint3 at)
{
    place o = place_of(p, uint3(0, at.y, 0));
    o.to += c_mode & 1 ? at.x : at.x * p.to[0];
    o.from += c_mode & 2 ? at.x : at.x * p.from[0];
    o.index += c_mode & 4 ? 0 : c_mode & 8 ? at.x : at.x * p.index[0];
    long n = index_at(p, index, o.index);
    ((device T *)to)[o.to] = ((device const T *)from)[o.from + n * p.along];
}

#define SELECT(T)                                                                                             \
    kernel void select_##T(constant parameters &p [[buffer(0)]], device uchar *to [[buffer(1)]],             \
            device const uchar *from [[buffer(2)]], device const uchar *index [[buffer(3)]],                 \
            uint3 at [[thread_position_in_grid]])                                                             \
    {                                                                                                         \
        move<T>(p, to, from, index, at);                                                                      \
    }
SELECT(uchar)
SELECT(ushort)
SELECT(uint)
SELECT(ulong)

static inline float larger(float a, float b) { return isnan(a) ? a : isnan(b) ? b : max(a, b); }
static inline float smaller(float a, float b) { return isnan(a) ? a : isnan(b) ? b : min(a, b); }
static inline long larger(long a, long b) { return a > b ? a : b; }
static inline long smaller(long a, long b) { return a < b ? a : b; }
static inline float number(constant parameters &p, float) { return p.number_f; }
static inline long number(constant parameters &p, long) { return p.number_i; }
static inline float alpha(constant parameters &p, float) { return p.alpha_f; }
static inline long alpha(constant parameters &p, long) { return p.alpha_i; }

template <typename A> static inline A joined(A old, A v)
{
    return c_mode == 1 ? old + v : c_mode == 2 ? old * v : c_mode == 3 ? larger(old, v) : smaller(old, v);
}

// A thread for each line along the dimension, so that elements of one place come one after the other.
template <typename A> static inline void lines(constant parameters &p, device uchar *to, device const uchar *from,
        device const uchar *index, uint3 at)
{
    place o = place_of(p, at);
    int width = size_of(c_type0);
    for (long n = 0; n < p.line; n++) {
        device uchar *there = to + (o.to + index_at(p, index, o.index + n * p.line_index) * p.along) * width;
        A v = c_mode == 5 ? number(p, A(0)) : load<A>(from + (o.from + n * p.line_from) * width, c_type0);
        if (c_mode == 0 || c_mode == 5)
            store(there, c_type0, v);
        else
            store(there, c_type0, joined(load<A>(there, c_type0), c_mode == 1 ? alpha(p, A(0)) * v : v));
    }
}

kernel void scatter_float(constant parameters &p [[buffer(0)]], device uchar *to [[buffer(1)]],
        device const uchar *from [[buffer(2)]], device const uchar *index [[buffer(3)]],
        uint3 at [[thread_position_in_grid]])
{
    lines<float>(p, to, from, index, at);
}
kernel void scatter_long(constant parameters &p [[buffer(0)]], device uchar *to [[buffer(1)]],
        device const uchar *from [[buffer(2)]], device const uchar *index [[buffer(3)]],
        uint3 at [[thread_position_in_grid]])
{
    lines<long>(p, to, from, index, at);
}

// Along a line, from its first element on: 1 sums, 2 products.
template <typename A> static inline void scan(constant parameters &p, device uchar *to, device const uchar *from, uint3 at)
{
    place o = place_of(p, at);
    A sum = c_mode == 2 ? 1 : 0;
    for (long n = 0; n < p.line; n++) {
        A v = load<A>(from + (o.from + n * p.line_from) * size_of(c_type1), c_type1);
        sum = c_mode == 2 ? sum * v : sum + v;
        store(to + (o.to + n * p.along) * size_of(c_type0), c_type0, sum);
    }
}

kernel void scan_float(constant parameters &p [[buffer(0)]], device uchar *to [[buffer(1)]],
        device const uchar *from [[buffer(2)]], uint3 at [[thread_position_in_grid]])
{
    scan<float>(p, to, from, at);
}
kernel void scan_long(constant parameters &p [[buffer(0)]], device uchar *to [[buffer(1)]],
        device const uchar *from [[buffer(2)]], uint3 at [[thread_position_in_grid]])
{
    scan<long>(p, to, from, at);
}

// Logarithms of sums of exponentials: the sum is of what each is beside the largest so far.
kernel void exponents(constant parameters &p [[buffer(0)]], device uchar *to [[buffer(1)]],
        device const uchar *from [[buffer(2)]], uint3 at [[thread_position_in_grid]])
{
    place o = place_of(p, at);
    float most = -INFINITY, sum = 0;
    for (long n = 0; n < p.line; n++) {
        float v = load<float>(from + (o.from + n * p.line_from) * size_of(c_type1), c_type1);
        if (v > most) {
            sum = most == -INFINITY ? 1.0f : sum * exp(most - v) + 1;
            most = v;
        } else if (v != -INFINITY) {
            sum += v == most ? 1.0f : exp(v - most);
        }
        store(to + (o.to + n * p.along) * size_of(c_type0), c_type0, isinf(most) && !isnan(sum) ? most : most + log(sum));
    }
}

static inline bool is_nan(float v) { return isnan(v); }
static inline bool is_nan(long) { return false; }

// Along a line, the largest (or, with c_mode, the smallest) up to each element, and the place of the last such.
template <typename A> static inline void extremes(constant parameters &p, device uchar *to, device const uchar *from,
        device long *index, uint3 at)
{
    place o = place_of(p, at);
    int width = size_of(c_type0);
    A best = load<A>(from + o.from * width, c_type0);
    long found = 0;
    for (long n = 0; n < p.line; n++) {
        A v = load<A>(from + (o.from + n * p.line_from) * width, c_type0);
        if (is_nan(v) || (!is_nan(best) && (c_mode ? v <= best : v >= best))) {
            best = v;
            found = n;
        }
        store(to + (o.to + n * p.along) * width, c_type0, best);
        index[o.index + n * p.line_index] = found;
    }
}

kernel void extremes_float(constant parameters &p [[buffer(0)]], device uchar *to [[buffer(1)]],
        device const uchar *from [[buffer(2)]], device long *index [[buffer(3)]], uint3 at [[thread_position_in_grid]])
{
    extremes<float>(p, to, from, index, at);
}
kernel void extremes_long(constant parameters &p [[buffer(0)]], device uchar *to [[buffer(1)]],
        device const uchar *from [[buffer(2)]], device long *index [[buffer(3)]], uint3 at [[thread_position_in_grid]])
{
    extremes<long>(p, to, from, index, at);
}
