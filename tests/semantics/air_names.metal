// What Apple's headers do not declare and programs declare for themselves, by the names that Apple's compiler
// has for it (asm("air.name")): copies that a SIMD-group makes together, and matrices as vectors of 64.
#include <metal_stdlib>
using namespace metal;

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition) && !line[i])                                                              \
            line[i] = __LINE__;                                                                    \
    } while (0)

#define ARGUMENTS                                                                                  \
    device uint *line [[buffer(0)]], device const uint *data [[buffer(1)]],                        \
            uint i [[thread_position_in_grid]], uint lane [[thread_index_in_simdgroup]],           \
            uint in_group [[thread_index_in_threadgroup]], uint size [[threads_per_threadgroup]]

struct _event;
thread _event *copy_1d(ulong, ulong, threadgroup void *, const device void *, ulong)
        __asm("air.simdgroup_async_copy_1d.p3i8.p1i8");
thread _event *copy_2d(ulong, ulong, threadgroup void *, ulong, ulong, ulong2, const device void *,
        ulong, ulong, ulong2, long2, int) asm("air.simdgroup_async_copy_2d.p3i8.p1i8");
thread _event *copy_2d(ulong, ulong, device void *, ulong, ulong, ulong2, const threadgroup void *,
        ulong, ulong, ulong2, long2, int) __asm__("air.simdgroup_async_copy_2d.p1i8.p3i8");
void wait_events(int, thread _event **) __asm("air.wait_simdgroup_events");
float fast_root(float) __asm("air.fast_sqrt.f32");
float left_alone(float) __asm("\001air.fast_sqrt.f32");
struct _open_event {
};
thread _open_event *copy_open(ulong, ulong, threadgroup void *, const device void *, ulong)
        __asm("\x01air.simdgroup_async_copy_1d.p3i8.p1i8");

kernel void numbers(ARGUMENTS)
{
    threadgroup uint row[64];
    CHECK(fast_root(16) == 4 && left_alone(25) == 5);
    if (in_group < 32) {
        _open_event event = *copy_open(4, 4, row, data + 3, 64);
        thread _event *events = (thread _event *)&event;
        wait_events(1, &events);
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
    for (uint n = 0; n < 64; n++)
        CHECK(row[n] == data[3 + n]);
}

// The first SIMD-group copies a tile of 5 x 3 from the corner of 4 x 2 elements: the rest is 0.
kernel void tiles(ARGUMENTS)
{
    threadgroup ushort tile[7 * 4];
    threadgroup uint row[40];
    device const ushort *from = (device const ushort *)data;
    if (in_group < 28)
        tile[in_group] = 77;
    for (uint n = in_group; size < 28 && n < 28; n += size)
        tile[n] = 77;
    threadgroup_barrier(mem_flags::mem_threadgroup);
    if (in_group < 32) {
        thread _event *events[2];
        events[0] = copy_2d(2, 2, tile, 7, 1, ulong2(5, 3), from, 11, 1, ulong2(4, 2), long2(0), 0);
        events[1] = copy_1d(4, 4, row, data, 40);
        wait_events(2, events);
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
    for (uint y = 0; y < 4; y++)
        for (uint x = 0; x < 7; x++) {
            bool copied = x < 4 && y < 2, zero = !copied && x < 5 && y < 3;
            CHECK(tile[y * 7 + x] == (copied ? from[y * 11 + x] : zero ? 0 : 77));
        }
    for (uint n = 0; n < 40; n++)
        CHECK(row[n] == data[n]);
}

// The nearest element where there is none, and an offset.
kernel void edges(ARGUMENTS)
{
    threadgroup uint tile[6 * 6];
    if (in_group < 32) {
        thread _event *event =
                copy_2d(4, 4, tile, 6, 1, ulong2(6, 6), data, 9, 1, ulong2(4, 3), long2(-1, -2), 1);
        wait_events(1, &event);
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
    for (int y = 0; y < 6; y++)
        for (int x = 0; x < 6; x++)
            CHECK(tile[y * 6 + x] == data[clamp(y - 2, 0, 2) * 9 + clamp(x - 1, 0, 3)]);
}

// A matrix class of a program's own: two elements of a lane, neighbours of one row.
template <class T> struct matrix_of {
    vec<T, 64> t;
    thread vec<T, 2> *elements() thread { return reinterpret_cast<thread vec<T, 2> *>(&t); }
    template <class A, class B> void multiply(matrix_of<A> a, matrix_of<B> b)
    {
        t = __metal_simdgroup_matrix_8x8_multiply_accumulate(a.t, b.t, t, vec<T, 64>());
    }
};

static uint2 place_of(uint lane)
{
    uint quad = lane / 4;
    return uint2((quad & 2) * 2 + (lane & 1) * 2, (quad & 4) + (lane / 2) % 4);
}

kernel void matrices(ARGUMENTS)
{
    uint2 at = place_of(lane);
    matrix_of<half> a;
    matrix_of<float> b, c;
    for (uint e = 0; e < 2; e++) {
        (*a.elements())[e] = half(at.y + 2 * (at.x + e));
        (*b.elements())[e] = float(3 * at.y) - float(at.x + e);
        (*c.elements())[e] = 100;
    }
    c.multiply(a, b);
    for (uint e = 0; e < 2 && size - (in_group - lane) >= 32; e++) {
        float sum = 100;
        for (uint k = 0; k < 8; k++)
            sum += float(at.y + 2 * k) * (float(3 * k) - float(at.x + e));
        CHECK((*c.elements())[e] == sum);
    }
}
