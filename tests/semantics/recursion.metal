// Functions that call themselves, as kernels may since Metal 2.4.
#include <metal_stdlib>
using namespace metal;

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition) && !line[i])                                                              \
            line[i] = __LINE__;                                                                    \
    } while (0)

uint fibonacci(uint n)
{
    return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

bool is_odd(uint n);
bool is_even(uint n)
{
    return n == 0 ? true : is_odd(n - 1);
}
bool is_odd(uint n)
{
    return n == 0 ? false : is_even(n - 1);
}

// Through memory of the caller's, and with a structure as value.
struct Range {
    float4 sum;
    uint count;
};
Range add_up(device const uint *data, uint first, uint last, thread uint &depth)
{
    depth++;
    if (last - first == 1)
        return Range{float4(float(data[first] & 255)), 1};
    uint middle = (first + last) / 2;
    Range a = add_up(data, first, middle, depth), b = add_up(data, middle, last, depth);
    return Range{a.sum + b.sum, a.count + b.count};
}

kernel void recursive(device uint *line [[buffer(0)]], device const uint *data [[buffer(1)]],
        uint i [[thread_position_in_grid]])
{
    uint a = 0, b = 1;
    for (uint n = 0; n < i % 20; n++) {
        uint next = a + b;
        a = b;
        b = next;
    }
    CHECK(fibonacci(i % 20) == a);
    CHECK(is_even(i % 50) == (i % 2 == 0));
    uint depth = 0, count = i % 33 + 1;
    float sum = 0;
    for (uint n = 0; n < count; n++)
        sum += float(data[n] & 255);
    Range r = add_up(data, 0, count, depth);
    CHECK(r.count == count && depth == 2 * count - 1);
    CHECK(all(r.sum == sum));
}

// Beside operations of the whole threadgroup.
kernel void recursive_with_barriers(device uint *line [[buffer(0)]],
        device const uint *data [[buffer(1)]], uint i [[thread_position_in_grid]],
        uint t [[thread_index_in_threadgroup]], uint n [[threads_per_threadgroup]])
{
    threadgroup uint shared[1024];
    shared[t] = fibonacci(t % 12);
    threadgroup_barrier(mem_flags::mem_threadgroup);
    uint other = (t + 1) % n;
    CHECK(shared[other] == fibonacci(other % 12));
    CHECK(simd_all(is_even(2 * t)));
}

// What calls itself last, as a walk over strides does (MLX's): a loop, for all of a SIMD-group at once, and on processors that
// know no recursion.
struct Walk {
    uint at = 0, carried = 0;

    void next(uint n, uint length) thread
    {
        at += n;
        if (at >= length) {
            uint rest = at - length;
            at = 0;
            carried++;
            if (rest)
                next(rest, length);
        }
    }
};
uint greatest_divisor(uint a, uint b)
{
    return b ? greatest_divisor(b, a % b) : a;
}

kernel void calls_itself_last(device uint *line [[buffer(0)]], device const uint *data [[buffer(1)]],
        uint i [[thread_position_in_grid]])
{
    Walk walk;
    uint length = data[i % 4096] % 7 + 1, steps = 0;
    for (uint n = 0; n < 9; n++) {
        uint by = data[(i + n) % 4096] % 30;
        walk.next(by, length);
        steps += by;
    }
    CHECK(walk.at == steps % length && walk.carried == steps / length);
    uint a = data[i % 4096] % 1000 + 1, b = i % 100 + 1, divisor = greatest_divisor(a, b);
    CHECK(a % divisor == 0 && b % divisor == 0 && simd_sum(divisor) >= divisor);
    for (uint n = divisor + 1; n <= b; n++)
        CHECK(a % n != 0 || b % n != 0);
}
