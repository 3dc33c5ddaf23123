#version 460
layout(local_size_x = 32) in;
layout(std430, binding = 0) readonly buffer Given { uint given[8]; };
layout(std430, binding = 1) coherent buffer Ok { uint ok[]; };
layout(std430, binding = 2) coherent volatile buffer Work { vec4 first; vec3 three; float one; uvec2 pair; ivec4 many[6]; } work;
void main() {
    uint i = gl_LocalInvocationIndex; int n = int(given[6]);
    if (i == 0u) { work.first = vec4(1, 2, 3, 4); work.three = vec3(5, 6, 7); work.one = 8.0; work.pair = uvec2(n, 9); work.many[n] = ivec4(n); work.many[n - 1].y = 5; work.first[n] = 10.0; }
    memoryBarrierBuffer(); barrier();
    vec4 f = work.first; uvec2 p = work.pair;
    bool good = f == vec4(1, 2, 3, 10) && work.three == vec3(5, 6, 7) && work.one == 8.0 && p == uvec2(3, 9) && work.many[n].w == 3 && work.many[2][n - 2] == 5 && dot(work.first, vec4(1)) == 16.0;
    ok[i] = good ? 1u : 2u;
}
