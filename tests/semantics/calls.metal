// Functions that are called from so many places that they stay functions: by value, by reference, with
// private arrays of their own, where threads part, and beside what threads meet in.
#include <metal_stdlib>
using namespace metal;

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition) && !line[i])                                                              \
            line[i] = __LINE__;                                                                    \
    } while (0)

struct State {
    uint w[16];
};

#define LEFT(a, b, c, n) a += b, c ^= a, c = rotate(c, n##u)
#define RIGHT(a, b, c, n) c = rotate(c, 32u - n##u), c ^= a, a -= b
#define MIX(a, b, c, d) LEFT(a, b, d, 16), LEFT(c, d, b, 12), LEFT(a, b, d, 8), LEFT(c, d, b, 7)
#define UNMIX(a, b, c, d)                                                                          \
    RIGHT(c, d, b, 7), RIGHT(a, b, d, 8), RIGHT(c, d, b, 12), RIGHT(a, b, d, 16)
#define ROUND(F, x, s)                                                                             \
    F(x[0], x[4], x[8], x[12 + s]), F(x[1], x[5], x[9], x[12 + (s + 1) % 4]),                      \
            F(x[2], x[6], x[10], x[12 + (s + 2) % 4]), F(x[3], x[7], x[11], x[12 + (s + 3) % 4])

inline State scramble(State s, uint key)
{
    s.w[0] ^= key;
    ROUND(MIX, s.w, 0), ROUND(MIX, s.w, 1), ROUND(MIX, s.w, 2), ROUND(MIX, s.w, 3);
    ROUND(MIX, s.w, 0), ROUND(MIX, s.w, 1), ROUND(MIX, s.w, 2), ROUND(MIX, s.w, 3);
    return s;
}

inline void unscramble(thread State &s, uint key)
{
    ROUND(UNMIX, s.w, 3), ROUND(UNMIX, s.w, 2), ROUND(UNMIX, s.w, 1), ROUND(UNMIX, s.w, 0);
    ROUND(UNMIX, s.w, 3), ROUND(UNMIX, s.w, 2), ROUND(UNMIX, s.w, 1), ROUND(UNMIX, s.w, 0);
    s.w[0] ^= key;
}

// The same as scramble(), told otherwise: at places that are not plain to see.
inline State scramble_in_loops(State s, uint key, uint rounds)
{
    s.w[0] ^= key;
    for (uint r = 0; r < rounds; r++)
        for (uint n = 0; n < 4; n++)
            MIX(s.w[n], s.w[n + 4], s.w[n + 8], s.w[12 + (n + r) % 4]);
    return s;
}

// An array of its own, written past its end by what nobody looks at.
inline State shuffled(State s, uint from)
{
    uint copy[16];
    for (uint n = 0; n < 16; n++)
        copy[n] = 0;
    for (uint n = from; n < from + 16; n++)
        copy[n] = s.w[n % 16] * 3;
    State r;
    for (uint n = 0; n < 16; n++)
        r.w[n] = copy[n] ^ s.w[15 - n];
    ROUND(MIX, r.w, 0), ROUND(MIX, r.w, 1), ROUND(MIX, r.w, 2), ROUND(MIX, r.w, 3);
    return r;
}

State fresh(uint i)
{
    State s;
    for (uint n = 0; n < 16; n++)
        s.w[n] = (i + 1) * 0x9e3779b9u + n * n * 0x85ebca6bu;
    return s;
}

bool same(State a, State b)
{
    bool equal = true;
    for (uint n = 0; n < 16; n++)
        equal = equal && a.w[n] == b.w[n];
    return equal;
}

#define TWICE(x) x x
#define FOUR(x) TWICE(x) TWICE(x)
#define SIXTEEN(x) FOUR(FOUR(x))

kernel void called_often(device uint *line [[buffer(0)]], device const uint *data [[buffer(1)]],
        uint i [[thread_position_in_grid]])
{
    State first = fresh(i), s = first, other = first;
    uint key = data[i & 1023];
    CHECK(same(scramble(s, key), scramble_in_loops(s, key, 8)));
    SIXTEEN(s = scramble(s, key); if (s.w[0] & 1) s = scramble(s, key + 1);)
    SIXTEEN(other = scramble_in_loops(other, key, 8);
            if (other.w[0] & 1) other = scramble_in_loops(other, key + 1, 8);)
    CHECK(same(s, other));
    s = first;
    SIXTEEN(s = scramble(s, key); key += s.w[3];)
    SIXTEEN(unscramble(s, key -= s.w[3]);)
    CHECK(same(s, first));
    CHECK(key == data[i & 1023]);
}

kernel void called_past_the_end(device uint *line [[buffer(0)]],
        device const uint *data [[buffer(1)]], uint i [[thread_position_in_grid]])
{
    State s = fresh(i), before = s;
    SIXTEEN(s = shuffled(s, i % 40); s = shuffled(s, i % 3); s = shuffled(s, 0);)
    SIXTEEN(s = shuffled(s, i % 50); s = shuffled(s, i % 7); s = scramble(s, i);)
    CHECK(same(before, fresh(i)));
    State a = fresh(i), b = shuffled(a, 0);
    for (uint n = 0; n < 16; n++)
        a.w[n] = a.w[n] * 3 ^ fresh(i).w[15 - n];
    ROUND(MIX, a.w, 0), ROUND(MIX, a.w, 1), ROUND(MIX, a.w, 2), ROUND(MIX, a.w, 3);
    CHECK(same(a, b));
    line[i] ^= s.w[0] == 1 && s.w[1] == 1; // it is used
}

kernel void called_between_barriers(device uint *line [[buffer(0)]],
        device const uint *data [[buffer(1)]], uint i [[thread_position_in_grid]],
        uint t [[thread_index_in_threadgroup]], uint n [[threads_per_threadgroup]])
{
    threadgroup uint shared[1024];
    State s = fresh(t);
    SIXTEEN(s = scramble(s, 5); if (t & 4) s = scramble(s, t);)
    shared[t] = s.w[7];
    threadgroup_barrier(mem_flags::mem_threadgroup);
    uint other = (t + 5) % n;
    State o = fresh(other);
    SIXTEEN(o = scramble(o, 5); if (other & 4) o = scramble(o, other);)
    CHECK(shared[other] == o.w[7]);
    State u = o;
    SIXTEEN(u = scramble(u, t); u = scramble(u, t + 1);)
    SIXTEEN(unscramble(u, t + 1); unscramble(u, t);)
    CHECK(same(u, o));
    CHECK(simd_all(same(scramble(o, t), scramble_in_loops(o, t, 8))));
}
