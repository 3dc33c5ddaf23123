// Formulas of complex numbers: their type and its functions. Other types are read as numbers without an imaginary part,
// which a result of another type leaves out.
struct complex {
    float x, y;
    complex() = default;
    complex(float a, float b = 0) : x(a), y(b) {}
};

template <> inline complex load<complex>(device const uchar *p, int type)
{
    if (type == C64)
        return complex(((device const float *)p)[0], ((device const float *)p)[1]);
    return complex(load<float>(p, type));
}
template <> inline void store<complex>(device uchar *p, int type, complex v)
{
    if (type == C64) {
        ((device float *)p)[0] = v.x;
        ((device float *)p)[1] = v.y;
    } else if (type == BOOL) {
        *p = v.x != 0 || v.y != 0;
    } else {
        store<float>(p, type, v.x);
    }
}
template <> inline complex narrowed<complex>(complex v, int) { return v; }
static inline complex number(constant parameters &p, int n, complex) { return complex(p.number_f[n], p.number_imaginary[n]); }
static inline complex scalar(constant parameters &p, int n, complex) { return complex(p.f[n], p.imaginary[n]); }

static inline complex operator+(complex a, complex b) { return complex(a.x + b.x, a.y + b.y); }
static inline complex operator-(complex a, complex b) { return complex(a.x - b.x, a.y - b.y); }
static inline complex operator-(complex a) { return complex(-a.x, -a.y); }
static inline complex operator*(complex a, complex b) { return complex(a.x * b.x - a.y * b.y, a.x * b.y + a.y * b.x); }
static inline complex operator*(complex a, float b) { return complex(a.x * b, a.y * b); }
static inline bool operator==(complex a, complex b) { return a.x == b.x && a.y == b.y; }
static inline bool operator!=(complex a, complex b) { return a.x != b.x || a.y != b.y; }
// By the larger part of b first, so that no square overflows.
static inline complex operator/(complex a, complex b)
{
    float scale = max(fabs(b.x), fabs(b.y));
    float s = scale == 0 || isinf(scale) ? 1.0f : 1 / scale, x = b.x * s, y = b.y * s, size = x * x + y * y;
    if (size == 0)
        return complex(a.x / fabs(b.x), a.y / fabs(b.x));
    return complex((a.x * x + a.y * y) / size * s, (a.y * x - a.x * y) / size * s);
}

static inline complex conj(complex a) { return complex(a.x, -a.y); }
static inline float magnitude(complex a) { return hypotenuse(a.x, a.y); }
static inline float angle(complex a) { return atan2(a.y, a.x); }
static inline complex from_polar(float r, float a) { return complex(r * cos(a), r * sin(a)); }
static inline complex sign(complex a)
{
    float r = magnitude(a);
    return r == 0 ? complex(0) : complex(a.x / r, a.y / r);
}
static inline complex exp(complex a) { return a.y == 0 ? complex(exp(a.x), a.y) : from_polar(exp(a.x), a.y); }
static inline complex log(complex a) { return complex(log(magnitude(a)), angle(a)); }
static inline complex sqrt(complex a)
{
    float r = magnitude(a);
    if (r == 0)
        return complex(0, a.y);
    float t = sqrt(0.5f * (r + fabs(a.x)));
    return a.x >= 0 ? complex(t, a.y / (2 * t)) : complex(fabs(a.y) / (2 * t), copysign(t, a.y));
}
static inline complex sinh(complex a) { return complex(sinh(a.x) * cos(a.y), cosh(a.x) * sin(a.y)); }
static inline complex cosh(complex a) { return complex(cosh(a.x) * cos(a.y), sinh(a.x) * sin(a.y)); }
static inline complex tanh(complex a)
{
    if (fabs(a.x) > 20)
        return complex(copysign(1.0f, a.x), 0);
    float d = cosh(2 * a.x) + cos(2 * a.y);
    return complex(sinh(2 * a.x) / d, sin(2 * a.y) / d);
}
static inline complex turned(complex a) { return complex(-a.y, a.x); } // times i
static inline complex turned_back(complex a) { return complex(a.y, -a.x); }
static inline complex power(complex a, complex b)
{
    if (b == complex(0))
        return complex(1);
    if (b == complex(2))
        return a * a;
    if (a == complex(0))
        return b.x > 0 ? complex(0) : complex(NAN, NAN);
    return exp(b * log(a));
}
static inline complex inverse_sinh(complex a)
{
    complex s = a.x < 0 ? -a : a, r = log(s + sqrt(s * s + complex(1)));
    return a.x < 0 ? -r : r;
}
static inline complex inverse_tanh(complex a)
{
    return (log(complex(1) + a) - log(complex(1) - a)) * 0.5f;
}
static inline complex inverse_cosh(complex a) { return log(a + sqrt(a + complex(1)) * sqrt(a - complex(1))); }
