#include <metal_stdlib>
using namespace metal;
constant bool a [[function_constant(0)]];
constant char b1 [[function_constant(1)]];
constant uchar b2 [[function_constant(2)]];
constant short b3 [[function_constant(3)]];
constant ushort b4 [[function_constant(4)]];
constant int b5 [[function_constant(5)]];
constant uint b6 [[function_constant(6)]];
constant long b7 [[function_constant(7)]];
constant ulong b8 [[function_constant(8)]];
constant half b9 [[function_constant(9)]];
constant bfloat b10 [[function_constant(10)]];
constant float b11 [[function_constant(11)]];
constant float2 c1 [[function_constant(12)]];
constant float3 c2 [[function_constant(13)]];
constant float4 c3 [[function_constant(14)]];
constant int4 c4 [[function_constant(15)]];
constant bool4 c5 [[function_constant(16)]];
constant uchar4 c6 [[function_constant(17)]];
constant half4 c7 [[function_constant(18)]];
constant ushort2 c8 [[function_constant(19)]];
constant bool d1 = is_function_constant_defined(a);
constant int d2 = is_function_constant_defined(b5) ? b5 : 7;
constant int d3 = d2 * 2 + 1;
constant bool e = a && b5 > 3;
constant bool not_e = !e;
constant int tail [[function_constant(20)]];
constexpr constant int big = 3;
template <int N> float body(float x)
{
    return x * N;
}
kernel void k(device float *o [[buffer(0)]],
        constant float *opt [[buffer(1), function_constant(a)]],
        device int *opt2 [[buffer(2)]] [[function_constant(not_e)]],
        uint t [[thread_position_in_grid]])
{
    float s = b1 + b2 + b3 + b4 + b5 + b6 + b7 + b8 + float(b9) + float(b10) + b11 + c1.x + c2.y +
              c3.z + c4.w + c5.x + c6.y + float(c7.z) + c8.x;
    if (a)
        s += opt[t];
    if (not_e)
        s += opt2[0];
    if (is_function_constant_defined(b11))
        s += b11;
    switch (b5) {
    case 1:
        s = body<1>(s);
        break;
    case 2:
        s = body<2>(s);
        break;
    }
    for (int i = 0; i < d3; i++)
        s += i;
    threadgroup float sh[32];
    sh[0] = d1;
    o[t] = s + tail + big + sh[0];
}
