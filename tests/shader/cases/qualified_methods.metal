#include <metal_stdlib>
using namespace metal;
// Methods of objects in one address space: overloaded on it, declared and defined apart, in templates,
// with members of that address space.
struct C {
    int a;
};
static int take(device const C *c)
{
    return c->a;
}
static int take(thread const C *c)
{
    return -c->a;
}
static int ref(device const int &i)
{
    return i * 2;
}
struct P {
    const C c = {7};
    int n, m = 3;
    int d[2];
    vec<float, 2> v;
    union {
        int first;
        uint second;
    };
    static constexpr constant int count = 2;
    int other(int k) device const
    {
        return k + n;
    }
    template <typename T> T as(T) device const
    {
        return T(n);
    }
    int run(int k) device const
    {
        int copies[count] = {};
        int m = ref(this->m);
        for (int n = 0; n < count; n++)
            copies[n] = ref(d[n]) + m;
        return take(&c) + ref(n) + ref(d[1]) + other(k) + copies[1] + take(&this->c) +
               int(as<float>(1) + v.x) + ref(first) + count;
    }
    int get(int k) device const
    {
        return n + k;
    }
    int get(int k) const
    {
        return n - k;
    }
    int get(int n) threadgroup
    {
        return n + this->n;
    }
    void set(int) device;
    void reset(void) device
    {
        n = 0;
        (*this).m = 1;
        set(n);
    }
    device int &operator[](uint i) device
    {
        return d[i];
    }
    device const int *begin() device const
    {
        return d;
    }
    thread int &operator[](uint i) thread
    {
        return d[i];
    }
    explicit operator int() device const
    {
        return ref(n);
    }
    device P &operator=(thread const P &o) device
    {
        n = o.n;
        return *this;
    }
    auto last() const -> int
    {
        return d[1];
    }
};
void P::set(int k) device
{
    n = k;
    get(k);
}
template <typename T> struct Range {
    T low, high;
    constexpr Range<T>() threadgroup = default;
    constexpr Range<T>() thread = default;
    T length() device const;
    T length() const thread;
    bool has(T x) constant const
    {
        return low <= x && x < high;
    }
};
template <typename T> T Range<T>::length() device const
{
    return high - low;
}
template <typename T> T Range<T>::length() const thread
{
    return low - high;
}
namespace inner
{
struct Q : Range<int> {
    int twice() device const
    {
        return 2 * this->low;
    }
    int twice() threadgroup const
    {
        return 2 * this->low;
    }
};
struct R {
    P p;
    int get() device const;
};
} // namespace inner
int inner::R::get() device const
{
    return p.get(1) + p.run(2);
}
kernel void k(device P *p, device int *o, constant Range<int> &r, device Range<float> *s,
        device inner::Q *q, device inner::R *w)
{
    threadgroup P t;
    t.n = 1;
    P mine = *p;
    o[0] = p->run(1) + p->get(1) + mine.get(1) + t.get(2) + (*p)[1] + mine[0] + *p->begin();
    p->set(3);
    p->reset();
    p[0][1] = int(*p);
    p[1] = mine;
    o[1] = r.has(3) + int(s->length() + Range<float>(*s).length()) + q->twice() + w->get();
}
// expect: kernel k
