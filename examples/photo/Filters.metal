// The filters of the photograph: each thread makes one pixel.
#include <metal_stdlib>
using namespace metal;

struct Size {
    uint width;
    uint height;
};

static uint At(uint2 p, constant Size &size)
{
    return p.y * size.width + p.x;
}

// One direction of a Gaussian blur. Sums of a two-dimensional Gaussian separate: a row of weights is
// applied along `step` twice, first across, then down.
kernel void blur(device const float4 *in [[buffer(0)]],
                 device float4 *out [[buffer(1)]],
                 constant Size &size [[buffer(2)]],
                 constant float *weights [[buffer(3)]],
                 constant int &radius [[buffer(4)]],
                 constant int2 &step [[buffer(5)]],
                 uint2 p [[thread_position_in_grid]])
{
    float4 sum = 0;
    for (int i = -radius; i <= radius; i++) {
        int2 q = clamp(int2(p) + i * step, int2(0), int2(size.width, size.height) - 1);
        sum += weights[abs(i)] * in[At(uint2(q), size)];
    }
    out[At(p, size)] = sum;
}

// Unsharp mask: what a wider blur removed is added again.
kernel void sharpen(device const float4 *in [[buffer(0)]],
                    device const float4 *blurred [[buffer(1)]],
                    device float4 *out [[buffer(2)]],
                    constant Size &size [[buffer(3)]],
                    constant float &amount [[buffer(4)]],
                    uint2 p [[thread_position_in_grid]])
{
    uint i = At(p, size);
    out[i] = saturate(in[i] + amount * (in[i] - blurred[i]));
}

// The average brightness of each threadgroup's tile, so that the tone curve fits the picture.
kernel void brightness(device const float4 *in [[buffer(0)]],
                       device float *tiles [[buffer(1)]],
                       constant Size &size [[buffer(2)]],
                       threadgroup float *shared [[threadgroup(0)]],
                       uint2 p [[thread_position_in_grid]],
                       uint2 tile [[threadgroup_position_in_grid]],
                       uint2 tiles_per_grid [[threadgroups_per_grid]],
                       uint2 group [[threads_per_threadgroup]],
                       uint lane [[thread_index_in_threadgroup]])
{
    bool inside = p.x < size.width && p.y < size.height;
    shared[lane] = inside ? dot(in[At(p, size)].rgb, float3(0.2126f, 0.7152f, 0.0722f)) : 0.0f;
    uint count = group.x * group.y;
    for (uint half_count = count / 2; half_count > 0; half_count /= 2) {
        threadgroup_barrier(mem_flags::mem_threadgroup);
        if (lane < half_count)
            shared[lane] += shared[lane + half_count];
    }
    if (lane == 0)
        tiles[tile.y * tiles_per_grid.x + tile.x] = shared[0];
}

// Exposure, a gentle S curve, warm light and cool shadows, and darker corners.
kernel void tone(device const float4 *in [[buffer(0)]],
                 device float4 *out [[buffer(1)]],
                 constant Size &size [[buffer(2)]],
                 constant float &exposure [[buffer(3)]],
                 constant float &warmth [[buffer(4)]],
                 uint2 p [[thread_position_in_grid]])
{
    float3 c = saturate(in[At(p, size)].rgb * exposure);
    c = mix(c, smoothstep(0.0f, 1.0f, c), 0.55f);
    float light = dot(c, float3(0.2126f, 0.7152f, 0.0722f));
    float3 sepia = float3(dot(c, float3(0.393f, 0.769f, 0.189f)), dot(c, float3(0.349f, 0.686f, 0.168f)),
                          dot(c, float3(0.272f, 0.534f, 0.131f)));
    c = mix(c, sepia, warmth * light);
    c += (1.0f - light) * warmth * float3(-0.02f, 0.0f, 0.05f);
    float2 centred = (float2(p) + 0.5f) / float2(size.width, size.height) - 0.5f;
    c *= 1.0f - 0.75f * smoothstep(0.10f, 0.55f, dot(centred, centred));
    out[At(p, size)] = float4(saturate(c), 1.0f);
}
