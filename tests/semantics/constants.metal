// Program scope constants whose values come from function constants, none of which is set here.
#include <metal_stdlib>
using namespace metal;

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition) && !line[i])                                                              \
            line[i] = __LINE__;                                                                    \
    } while (0)

constant int width_given [[function_constant(0)]];
constant int width = is_function_constant_defined(width_given) ? width_given : 7;
constant bool have_width = is_function_constant_defined(width_given);
constant bool wide = !have_width && width > 4;
constant float scale_given [[function_constant(3)]];
constant float scale = is_function_constant_defined(scale_given) ? scale_given : 2.5;
constant float4 scales = float4(scale, 1, 2, width);
constant uint3 sides = uint3(width, 20, 1);
constant uint along = sides.y + sides.x;
constant half4 halves = half4(half(scale), 1.0h, sides.x, 2.0h);
constant float2x2 turn = float2x2(float2(scale, 0), float2(0, sides.y));
struct Halving {
    float value[300];
};
Halving halving(int k)
{
    Halving h;
    float s = 1;
    for (int n = 0; n < 300; n++) {
        s = s * 0.5f + k;
        h.value[n] = s;
    }
    return h;
}
constant Halving halved = halving(width);
constant float2x2 product = turn * float2x2(2);
// Made of vectors of three, which pass through memory as numbers of other types.
constant float2x3 tables[2] = {float2x3(0, 1, 2, 3, 4, 5), float2x3(float3(6, 7, 8), float3(9, 10, 11))};
constant array<float2x3, 2> more_tables = {float2x3(float3(1, 2, scale), float3(4, 5, 6)), float2x3(2)};
constant int steps[3] = {width, width * 2, -width};
constant int unset [[function_constant(4)]];
constant int never = unset + 1; // no kernel uses it: no kernel needs `unset`

struct Pair {
    int a, b;
    int sum() const constant
    {
        return a + b;
    }
};
constant Pair pair = {width + 1, steps[1]};

template <int N> struct Scaled {
    static constant int value;
};
template <int N> constant int Scaled<N>::value = N * width;

int through_function(int k)
{
    return steps[k % 3] + (wide ? 100 : 0);
}

kernel void computed(device uint *line [[buffer(0)]], device const uint *data [[buffer(1)]],
        uint i [[thread_position_in_grid]])
{
    CHECK(width == 7 && !have_width && wide);
    CHECK(scale == 2.5f && all(scales == float4(2.5, 1, 2, 7)));
    CHECK(through_function(1) == 114 && through_function(2) == 93);
    CHECK(pair.sum() == 22 && steps[data[0] + 2] == -7);
    CHECK(Scaled<3>::value == 21);
    CHECK(along == 27 && all(sides.zyx == uint3(1, 20, 7)) && halves.z == 7.0h && halves.x == 2.5h);
    CHECK(halved.value[data[0]] == 7.5f && halved.value[299 - data[0]] == 14 && product[1].y == 40);
    CHECK(turn[1].y == 20 && turn[data[0]].x == 2.5f);
    for (uint n = 0; n < 6; n++)
        CHECK(tables[data[0]][n / 3][n % 3] == n && tables[data[0] + 1][n / 3][n % 3] == n + 6);
    CHECK(more_tables[data[0]][0].z == 2.5f && more_tables[data[0]][1].z == 6 && more_tables[1][1].y == 2);
}

kernel void not_needed(device uint *line [[buffer(0)]], uint i [[thread_position_in_grid]])
{
    CHECK(steps[0] == 7);
}

kernel void beside_threadgroup_memory(device uint *line [[buffer(0)]],
        uint i [[thread_position_in_grid]], uint t [[thread_position_in_threadgroup]])
{
    threadgroup int first;
    if (t == 0)
        first = width;
    threadgroup_barrier(mem_flags::mem_threadgroup);
    CHECK(first == width);
    threadgroup_barrier(mem_flags::mem_threadgroup);
    if (t == 0)
        first = 5;
    threadgroup_barrier(mem_flags::mem_threadgroup);
    CHECK(first == 5 && pair.a == 8);
}
