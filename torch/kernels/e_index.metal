// Advanced indexing: operand 0 the result, 1 the indexed tensor with strides of 0 where it is indexed,
// 2 to 4 the indices. f and i are not used; the sizes and strides of what is indexed follow.
#define c_count c_constant7

template <typename T> static inline void pick(constant parameters &p, device uchar *to, device const uchar *from,
        device const uchar *a, device const uchar *b, device const uchar *c, uint3 at)
{
    long offset = offset_of(p, 1, at);
    for (int n = 0; n < c_count; n++) {
        device const uchar *index = n == 0 ? a : n == 1 ? b : c;
        long size = p.number_i[n], i = load<long>(index + offset_of(p, n + 2, at), I64);
        i = clamp(i < 0 ? i + size : i, 0L, size - 1); // outside there is other memory
        offset += i * p.i[n];
    }
    *(device T *)(to + offset_of(p, 0, at)) = *(device const T *)(from + offset);
}

#define PICK(T)                                                                                               \
    kernel void pick_##T(constant parameters &p [[buffer(0)]], device uchar *to [[buffer(1)]],               \
            device const uchar *from [[buffer(2)]], device const uchar *a [[buffer(3)]],                     \
            device const uchar *b [[buffer(4)]], device const uchar *c [[buffer(5)]],                        \
            uint3 at [[thread_position_in_grid]])                                                             \
    {                                                                                                         \
        pick<T>(p, to, from, a, b, c, at);                                                                    \
    }
PICK(uchar)
PICK(ushort)
PICK(uint)
PICK(ulong)
