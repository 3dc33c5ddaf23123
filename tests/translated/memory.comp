#version 460
#extension GL_EXT_shader_explicit_arithmetic_types : enable
#extension GL_EXT_scalar_block_layout : enable
layout(local_size_x = 8, local_size_y = 8) in;
layout(std430, binding = 0) readonly buffer Given { uint given[8]; };
layout(std430, binding = 1) buffer Ok { uint ok[]; };
struct Inner { vec3 a; float b; mat3x2 m; uvec2 c; };
layout(std430, binding = 2) buffer Work { uint total; int low; uint slots[6]; layout(row_major) mat2x3 rows; Inner inner[2]; vec3 tail[]; } work;
layout(std140, binding = 3) uniform Params { mat4 scale; vec4 shift; mat2x3 rows; uvec4 k[3]; } params;
shared uint values[64]; shared struct { vec3 v; uint n; mat2 m; } held; shared float16_t halves[8];
void check(uint i, bool c) { ok[i] = c ? 1u : 2u; }
uint old(uint i) { return atomicCompSwap(work.slots[5], 0u, i + 1u); }
void main() {
    uint i = gl_LocalInvocationIndex; uvec3 at = gl_LocalInvocationID;
    if (i == 0u) { held.n = 0u; held.m = mat2(1, 2, 3, 4); halves[0] = float16_t(0.5); work.inner[1].m = mat3x2(1, 2, 3, 4, 5, 6); work.inner[1].a = vec3(1, 2, 3); work.inner[1].b = 4.0;
        work.rows = mat2x3(1, 2, 3, 4, 5, 6); work.rows[1].y = 50.0; work.tail[1] = vec3(7, 8, 9); }
    values[63u - i] = i;
    memoryBarrierShared(); barrier();
    for (uint k = 32u; k > 0u; k >>= 1) { if (i < k) values[i] += values[i + k]; groupMemoryBarrier(); barrier(); }
    atomicAdd(held.n, at.x); atomicAdd(work.total, 1u); atomicMin(work.low, -int(i)); atomicOr(work.slots[0], 1u << (i & 31u));
    atomicXor(work.slots[1], i); atomicMax(work.slots[2], i); atomicExchange(work.slots[4], 9u); old(i);
    memoryBarrierBuffer(); barrier();
    if (i == 0u) {
        check(0, values[0] == 2016u && held.n == 224u && held.m[1] == vec2(3, 4));
        check(1, work.total == 64u && work.low == -63 && work.slots[0] == ~0u && work.slots[1] == 0u && work.slots[2] == 63u && work.slots[4] == 9u && work.slots[5] != 0u);
        check(2, work.inner[1].m[2] == vec2(5, 6) && work.inner[1].m * vec3(1, 0, 1) == vec2(6, 8) && work.inner[1].a.z == 3.0 && work.inner[1].b == 4.0);
        check(3, work.rows[1] == vec3(4, 50, 6) && work.rows * vec2(1, 1) == vec3(5, 52, 9) && vec3(1, 0, 0) * work.rows == vec2(1, 4));
        check(4, work.tail[1] == vec3(7, 8, 9) && work.tail.length() >= 2);
        check(5, params.scale * vec4(1, 2, 3, 4) + params.shift == vec4(3, 6, 9, 12) && params.rows * vec2(1, 2) == vec3(9, 12, 15) && params.k[2].z == 10u);
        check(6, gl_NumWorkGroups == uvec3(1) && gl_WorkGroupID == uvec3(0) && gl_GlobalInvocationID == at && gl_WorkGroupSize.x == 8u);
        check(7, halves[0] * float16_t(3.0) == float16_t(1.5) && int64_t(given[6]) * 0x100000000L == 0x300000000L && uint8_t(given[7]) == uint8_t(112) && int16_t(given[5]) == int16_t(-16657));
        check(8, f16vec4(0.5hf).x + 0.5hf == 1.0hf && u16vec3(given[6]).z == 3us && (u64vec2(given[4]) << 4).y == 0x123456780UL);
        for (uint k = 9u; k < 32u; k++) check(k, true);
    }
}
