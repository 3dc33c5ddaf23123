#version 460
#extension GL_KHR_shader_subgroup_basic : enable
#extension GL_EXT_control_flow_attributes : enable
layout(local_size_x = 1) in;
layout(std430, binding = 0) readonly buffer Given { uint given[]; };
layout(std430, binding = 1) buffer Ok { uint ok[]; };
layout(constant_id = 3) const float special = 2.5;
void check(uint i, bool c) { ok[i] = c ? 1u : 2u; }
bool near(float a, float b) { return abs(a - b) <= 1e-5 * max(1.0, abs(b)); }
struct Result { float whole; vec3 rest[2]; };
Result parts(vec3 x) { Result r; vec3 w; r.rest[0] = modf(x, w); r.rest[1] = w; r.whole = w.x; return r; }
void two(in float a, out float b, inout vec4 v) { b = a * 2.0; v.zw += vec2(a); v.x = b; }
void main() {
    float one = uintBitsToFloat(given[0]), h = uintBitsToFloat(given[2]);
    uint a = given[4], b = given[5]; int n = int(given[6]);
    Result r = parts(vec3(1.5, -2.25, 3.0) * one);
    check(0, r.whole == 1.0 && r.rest[0] == vec3(0.5, -0.25, 0.0) && r.rest[1].y == -2.0);
    int e; ivec2 e2; check(1, frexp(12.0 * one, e) == 0.75 && e == 4 && frexp(vec2(h, -3.0 * one), e2) == vec2(0.5, -0.75) && e2 == ivec2(0, 2));
    check(2, ldexp(0.75 * one, n + 1) == 12.0);
    check(3, packSnorm4x8(vec4(one, -one, h, 0.0)) == 0x0040817fu && packUnorm4x8(vec4(one, -one, h, 0.25)) == 0x408000ffu);
    check(4, packHalf2x16(vec2(one, -one)) == 0xbc003c00u && unpackHalf2x16(0xbc003c00u + uint(n - 3)) == vec2(1.0, -1.0));
    check(5, packSnorm2x16(vec2(one, -one)) == 0x80017fffu && packUnorm2x16(vec2(h, one)) >= 0xffff7fffu && unpackUnorm4x8(0xff0000ffu + uint(n - 3)) == vec4(1, 0, 0, 1));
    check(6, bitfieldExtract(a, 8, 12) == 0x456u && bitfieldExtract(int(b), 28, 4) == -3 && bitfieldInsert(a, b, 4, 8) == 0x12345ef8u);
    check(7, bitCount(b) == 24 && bitfieldReverse(a) == 0x1e6a2c48u && findMSB(a) == 28 && findLSB(a) == 3 && findLSB(uint(n - 3)) == -1);
    check(8, findMSB(int(b)) == 29 && findMSB(n - 4) == -1);
    uint hi, lo, carry; umulExtended(a, b, hi, lo); check(9, hi == 0xfd5bdeeu && lo == 0x5621ca08u);
    check(10, uaddCarry(b, b, carry) == 0xbd5b7ddeu && carry == 1u && usubBorrow(a, b, carry) == a - b && carry == 1u);
    check(11, mod(-5.5 * one, 2.0) == 0.5 && mod(vec2(5.0, -1.0) * one, vec2(3.0)) == vec2(2.0, 2.0) && -7 % (n + 1) <= 0);
    check(12, roundEven(2.5 * one) == 2.0 && round(0.75 * one) == 1.0 && trunc(-1.5 * one) == -1.0 && fract(2.25 * one) == 0.25);
    check(13, sign(-one) == -1.0 && sign(n - 10) == -1 && abs(n - 10) == 7 && near(inversesqrt(4.0 * one), 0.5));
    check(14, mix(vec3(0), vec3(2), bvec3(true, n == 3, n == 4)) == vec3(2, 2, 0) && near(mix(one, 5.0, h), 3.0) && smoothstep(0.0, 1.0, h) == 0.5);
    check(15, min(n, 1) == 1 && max(uvec2(a, n), uvec2(7u, b)) == uvec2(a, b) && max(h, one) == one);
    check(16, near(atan(one, -one), 2.3561945) && near(asinh(one), 0.8813736) && near(acosh(2.0 * one), 1.3169579) && near(exp2(h * 10.0), 32.0));
    check(17, reflect(vec2(one, -one), vec2(0, 1)) == vec2(1, 1) && near(refract(vec2(0.70710678, -0.70710678) * one, vec2(0, 1), h).x, 0.35355339) && faceforward(vec2(one), vec2(0, -1), vec2(0, 1)) == vec2(1));
    check(18, near(length(vec3(2, 3, 6) * one), 7.0) && cross(vec3(one, 0, 0), vec3(0, one, 0)) == vec3(0, 0, 1) && near(distance(vec2(0), vec2(3, 4) * one), 5.0));
    mat3 m = mat3(2, 0, 0, 0, 3, 1, 0, 0, 4) * one; mat3 i = inverse(m);
    check(19, determinant(m) == 24.0 && near(i[0][0], 0.5) && near(i[1][2], -1.0 / 12.0) && near((m * i)[2].z, 1.0));
    check(20, near(inverse(mat2(one, 2, 3, 4))[0][0], -2.0) && near(inverse(mat4(2.0 * one))[3].w, 0.5));
    check(21, outerProduct(vec2(one, 2), vec3(3, 4, 5))[2] == vec2(5, 10) && matrixCompMult(mat2(one), mat2(3.0))[1].y == 3.0 && transpose(mat2x3(1, 2, 3, 4, 5, 6 * one))[2] == vec2(3, 6));
    float d; vec4 v = vec4(1, 2, 3, 4); two(one, d, v); check(22, d == 2.0 && v == vec4(2, 2, 4, 5));
    v.xyzw = v.wzyx; v[n - 2] *= 3.0; check(23, v == vec4(5, 12, 2, 2));
    check(24, any(lessThan(ivec3(n, 1, 2), ivec3(0, 2, 0))) && all(greaterThanEqual(uvec2(a, b), uvec2(a))) && notEqual(vec2(one), vec2(1, 2)) == bvec2(false, true) && not(bvec2(true, false)).y);
    const float table[5] = float[](1.0, 2.0, 4.0, 8.0, 16.0); float local[4] = float[](4.0, 3.0, 2.0, 1.0); local[n] += table[n + 1];
    check(25, local[3] == 17.0 && table[n] == 8.0);
    int t = 0; [[unroll]] for (int k = 0; k < 4; k++) t += k; [[dont_unroll]] do { t += n; if (t > 20) break; } while (t < 100);
    check(26, t == 21);
    int s = 0; switch (n) { case 1: s = 1; case 3: s += 3; case 4: s += 4; break; default: s = 9; } check(27, s == 7);
    check(28, special == 2.5 && given.length() == 8 && ok.length() == 32);
    check(29, floatBitsToInt(one) == 0x3f800000 && intBitsToFloat(0x40000000 + n - 3) == 2.0 && uint(-one * 0.0) == 0u);
    check(30, (a >> 4 ^ b & 0xffu | a << 3) != 0u && (~a & a) == 0u && (int(b) >> 4) == int(0xfdeadbee));
    check(31, fma(one, 2.0, 3.0) == 5.0 && clamp(7 * n, 0, 5) == 5 && step(h, one) == 1.0 && dot(vec4(one), vec4(1, 2, 3, 4)) == 10.0);
}
