// Copies between tensors that lie across each other: results without gaps along x, sources along y. A SIMD-group
// takes a square of 32 elements a side, which it reads in lines and writes in lines.
#define SIDE 32
#define ROOM 33 // of a line: a column's elements are not all in one bank

struct parameters {
    uint size[8];
    long to[8], from[8]; // strides in elements
    uint dims, reserved;
};

template <typename T> static inline void turn(constant parameters &p, device T *to, device const T *from,
        threadgroup T *room, uint3 group, uint lane)
{
    uint x = group.x * SIDE, y = group.y * SIDE, rest = group.z;
    for (uint d = 2; d < p.dims; d++) {
        uint n = rest % p.size[d];
        to += n * p.to[d];
        from += n * p.from[d];
        rest /= p.size[d];
    }
    bool whole = x + SIDE <= p.size[0] && y + SIDE <= p.size[1];
    uint wide = min(p.size[0] - x, uint(SIDE)), high = min(p.size[1] - y, uint(SIDE));
    from += x * p.from[0] + y;
    to += y * p.to[1] + x;
    if (whole) {
        for (uint n = 0; n < SIDE; n++)
            room[n * ROOM + lane] = from[n * p.from[0] + lane];
    } else if (lane < high) {
        for (uint n = 0; n < wide; n++)
            room[n * ROOM + lane] = from[n * p.from[0] + lane];
    }
    simdgroup_barrier(mem_flags::mem_threadgroup);
    if (whole) {
        for (uint n = 0; n < SIDE; n++)
            to[n * p.to[1] + lane] = room[lane * ROOM + n];
    } else if (lane < wide) {
        for (uint n = 0; n < high; n++)
            to[n * p.to[1] + lane] = room[lane * ROOM + n];
    }
}

#define TURN(T)                                                                                              \
    kernel void turn_##T(constant parameters &p [[buffer(0)]], device T *to [[buffer(1)]],                   \
            device const T *from [[buffer(2)]], uint3 group [[threadgroup_position_in_grid]],                \
            uint lane [[thread_index_in_simdgroup]])                                                          \
    {                                                                                                         \
        threadgroup T room[SIDE * ROOM];                                                                      \
        turn<T>(p, to, from, room, group, lane);                                                              \
    }
TURN(uchar)
TURN(ushort)
TURN(uint)
TURN(ulong)
