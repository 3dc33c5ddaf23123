// Where elements are not 0: each thread counts its own, and once it is known how many come before, writes their
// places. Elements lie without gaps. c_type0: their type.
#define c_dims c_constant1

constant uint PART = 256; // as core/nonzero.c has it

struct parameters {
    ulong count;
    uint size[16]; // the outermost first
};

static inline bool is_set(device const uchar *from, ulong n)
{
    switch (size_of(c_type0)) {
    case 8: return ((device const ulong *)from)[n] != 0;
    case 4: return c_type0 == F32 ? ((device const float *)from)[n] != 0 : ((device const uint *)from)[n] != 0;
    case 2: return c_type0 == I16 ? ((device const ushort *)from)[n] != 0 : (((device const ushort *)from)[n] & 0x7fff) != 0;
    default: return from[n] != 0;
    }
}

kernel void count(constant parameters &p [[buffer(0)]], device ulong *counts [[buffer(1)]],
        device const uchar *from [[buffer(2)]], uint at [[thread_position_in_grid]])
{
    ulong begin = ulong(at) * PART, end = min(begin + PART, p.count);
    uint found = 0;
    for (ulong n = begin; n < end; n++)
        found += is_set(from, n);
    counts[at] = found;
}

kernel void write(constant parameters &p [[buffer(0)]], device long *to [[buffer(1)]],
        device const uchar *from [[buffer(2)]], device const ulong *before [[buffer(3)]],
        uint at [[thread_position_in_grid]])
{
    ulong begin = ulong(at) * PART, end = min(begin + PART, p.count);
    to += before[at] * c_dims;
    for (ulong n = begin; n < end; n++) {
        if (!is_set(from, n))
            continue;
        ulong rest = n;
        for (int d = c_dims; d-- > 0;) {
            to[d] = d ? long(rest % p.size[d]) : long(rest);
            rest /= p.size[d];
        }
        to += c_dims;
    }
}
