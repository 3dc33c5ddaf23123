// One thread an element, or c_each of them; operand 0 is the result, inputs follow in order. Along x lie the elements of
// the innermost dimension; y and z are the next two, and z the product of all further ones.
// c_shape: the number of dimensions; for each operand a bit at 8 + n when the inner dimension is
// contiguous, and at 16 + n when all its elements are one.
#define c_type2 c_constant2
#define c_type3 c_constant3
#define c_type4 c_constant4
#define c_common c_constant5 // the type that torch computes in
#define c_shape c_constant6
#define c_each c_constant7 // 1, 2 or 4, which lie a part of the innermost dimension apart

struct parameters {
    uint size[8];
    long stride[5][8]; // bytes
    float f[4];        // the operation's numbers
    long i[4];
    float number_f[5]; // operands that are numbers
    long number_i[5];
    float imaginary[4], number_imaginary[5];
};

static inline long offset_of(constant parameters &p, int n, uint3 at)
{
    int inner = n == 0 ? size_of(c_type0) : n == 1 ? size_of(c_type1) : n == 2 ? size_of(c_type2)
            : n == 3 ? size_of(c_type3) : size_of(c_type4);
    int dims = c_shape & 255;
    long offset = (c_shape >> (16 + n)) & 1 ? 0
            : (c_shape >> (8 + n)) & 1 ? long(at.x) * inner : long(at.x) * p.stride[n][0];
    if (dims > 1)
        offset += at.y * p.stride[n][1];
    if (dims == 3)
        offset += at.z * p.stride[n][2];
    if (dims > 3) {
        uint rest = at.z;
        for (int d = 2; d < dims; d++) {
            offset += (rest % p.size[d]) * p.stride[n][d];
            rest /= p.size[d];
        }
    }
    return offset;
}

static inline uint3 part_of(constant parameters &p, uint3 at, uint k)
{
    at.x += k * (p.size[0] / uint(c_each));
    return at;
}

static inline float number(constant parameters &p, int n, float) { return p.number_f[n]; }
static inline int saturated(long v) { return int(clamp(v, long(INT_MIN), long(INT_MAX))); }
static inline int number(constant parameters &p, int n, int) { return saturated(p.number_i[n]); }
static inline long number(constant parameters &p, int n, long) { return p.number_i[n]; }
static inline float scalar(constant parameters &p, int n, float) { return p.f[n]; }
static inline int scalar(constant parameters &p, int n, int) { return saturated(p.i[n]); }
static inline long scalar(constant parameters &p, int n, long) { return p.i[n]; }

template <typename C> static inline C operand(constant parameters &p, device const uchar *data, int n, int type, uint3 at)
{
    C v = type == NUMBER ? number(p, n, C(0)) : load<C>(data + offset_of(p, n, at), type);
    return type == c_common ? v : narrowed(v, c_common);
}

// What torch's operations are where C has none, or another.

static inline float larger(float a, float b) { return isnan(a) ? a : isnan(b) ? b : max(a, b); }
static inline float smaller(float a, float b) { return isnan(a) ? a : isnan(b) ? b : min(a, b); }
static inline int larger(int a, int b) { return max(a, b); }
static inline int smaller(int a, int b) { return min(a, b); }
static inline long larger(long a, long b) { return a > b ? a : b; }
static inline long smaller(long a, long b) { return a < b ? a : b; }

// Of integers: by 0 it is 0, where the processor's torch raises an exception.
template <typename C> static inline C divide(C a, C b) { return b == 0 ? C(0) : b == C(-1) ? C(0) - a : a / b; }
template <typename C> static inline C remain(C a, C b) { return b == 0 || b == C(-1) ? C(0) : a % b; }
template <typename C> static inline C divide_floor(C a, C b)
{
    C q = divide(a, b);
    return b != 0 && remain(a, b) != 0 && (a < 0) != (b < 0) ? q - 1 : q;
}
static inline float divide_floor(float a, float b)
{
    if (b == 0)
        return a / b;
    float m = fmod(a, b), q = (a - m) / b;
    if (m != 0 && (b < 0) != (m < 0))
        q -= 1;
    if (q == 0)
        return copysign(0.0f, a / b);
    float f = floor(q);
    return q - f > 0.5f ? f + 1 : f;
}
template <typename C> static inline C modulo(C a, C b)
{
    C m = remain(a, b);
    return m != 0 && (m < 0) != (b < 0) ? m + b : m;
}
static inline float modulo(float a, float b)
{
    float m = fmod(a, b);
    return m != 0 && (m < 0) != (b < 0) ? m + b : m;
}
template <typename C> static inline C power(C a, C b)
{
    if (b < 0)
        return a == 1 ? C(1) : a == C(-1) ? (b & 1 ? C(-1) : C(1)) : C(0);
    C r = 1;
    for (; b; b >>= 1, a *= a)
        r *= b & 1 ? a : C(1);
    return r;
}
static inline float power_number(float a, float e)
{
    return e == 2 ? a * a : e == 3 ? a * a * a : e == 0.5f ? sqrt(a) : e == -1 ? 1 / a
            : e == -0.5f ? 1 / sqrt(a) : e == -2 ? 1 / (a * a) : pow(a, e);
}
static inline float hypotenuse(float a, float b)
{
    float x = fabs(a), y = fabs(b), big = max(x, y), small = min(x, y);
    if (isinf(x) || isinf(y))
        return INFINITY;
    float r = small / big;
    return big == 0 ? 0.0f : isnan(a) || isnan(b) ? NAN : big * sqrt(1 + r * r);
}
static inline float log1plus(float x)
{
    float u = 1 + x;
    return u == 1 ? x : isinf(u) ? u : log(u) * (x / (u - 1));
}
static inline float exp_minus1(float x)
{
    float u = exp(x);
    if (u == 1)
        return x;
    float less = u - 1;
    return less == -1 || isinf(u) ? less : less * (x / log(u));
}
// Below 1 ulp of 1 from erf(), by polynomials in two ranges.
static inline float error_function(float a)
{
    float t = fabs(a), s = a * a, r;
    if (t > 0.927734375f) {
        float u = fma(-3.88396438e-3f, t, 2.42546219e-2f);
        r = fma(fma(-1.72853470e-5f, t, 3.83197126e-4f), s, u);
        r = fma(r, t, -1.06777877e-1f);
        r = fma(r, t, -6.34846687e-1f);
        r = fma(r, t, -1.28717512e-1f);
        r = fma(r, t, -t);
        return copysign(t > 4 ? 1.0f : 1 - exp(r), a);
    }
    r = fma(-5.96761703e-4f, s, 4.99119423e-3f);
    r = fma(r, s, -2.67681349e-2f);
    r = fma(r, s, 1.12819925e-1f);
    r = fma(r, s, -3.76125336e-1f);
    r = fma(r, s, 1.28379166e-1f);
    return fma(r, a, a);
}
// The same below 6 ulp of 1, by one quotient for all arguments: half of the work. Far from 0 it is 1 and not nearly so,
// as that may be multiplied by what is large.
static inline float error_function_nearly(float x)
{
    float s = x * x;
    float p = fma(2.0500906e-6f, s, 2.8488130e-4f), q = fma(3.809168e-5f, s, 1.1625232e-3f);
    p = fma(p, s, 3.7655681e-3f);
    q = fma(q, s, 1.4969118e-2f);
    p = fma(p, s, 5.2748570e-2f);
    q = fma(q, s, 0.11410865f);
    p = fma(p, s, 0.19040538f);
    q = fma(q, s, 0.50207514f);
    float r = x * fma(p, s, 1.1283791f) / fma(q, s, 1.0f);
    return x > 3.92f ? 1.0f : x < -3.92f ? -1.0f : r;
}
static inline float gelu_tanh_slope(float x)
{
    float inner = 0.79788456f * (x + 0.044715f * x * x * x), t = tanh(inner);
    return 0.5f * (1 + t) + 0.5f * x * (1 - t * t) * 0.79788456f * (1 + 3 * 0.044715f * x * x);
}
static inline float mish_slope(float x)
{
    float t = tanh(x > 20 ? x : log1plus(exp(x)));
    return t + x * (1 - t * t) / (1 + exp(-x));
}
