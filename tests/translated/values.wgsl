// Arithmetic that WGSL defines where C++ does not, structs of results, selections, clamps.
@group(0) @binding(0) var<storage, read> given: array<u32>;
@group(0) @binding(1) var<storage, read_write> ok: array<u32>;

fn check(i: u32, c: bool) { ok[i] = select(2u, 1u, c); }
fn f(i: u32) -> f32 { return bitcast<f32>(given[i]); }
fn near(a: f32, b: f32) -> bool { return abs(a - b) <= 1e-5 * max(1.0, abs(b)); }

struct Pair { whole: f32, rest: f32 }
fn parts(x: f32) -> Pair { let m = modf(x); return Pair(m.whole, m.fract); }

@compute @workgroup_size(1)
fn main(@builtin(num_workgroups) groups: vec3u) {
    // given: 1.0, -1.0, 0.5, 0.25, 0x12345678, 0xdeadbeef, 3, 70000
    let one = f(0u); let half = f(2u); let n = i32(given[6]); let zero = n - 3;
    let lowest = bitcast<i32>(0x80000000u) + zero;
    let m = modf(one * 3.75); let p = parts(-2.5 * one);
    check(0u, m.whole == 3.0 && m.fract == 0.75 && p.whole == -2.0 && p.rest == -0.5);
    let e = frexp(one * 12.0); let e2 = frexp(vec2f(half, -one * 3.0));
    check(1u, e.fract == 0.75 && e.exp == 4 && all(e2.fract == vec2f(0.5, -0.75)) && all(e2.exp == vec2i(0, 2)));
    check(2u, ldexp(0.75 * one, n + 1) == 12.0);
    check(3u, n / zero == n && n % zero == 0 && lowest / (zero - 1) == lowest && lowest % (zero - 1) == 0);
    check(4u, given[4] / u32(zero) == given[4] && given[4] % u32(zero) == 0u);
    check(5u, (-7 + zero) / 2 == -3 && (-7 + zero) % 2 == -1 && (n - 10) % vec2i(4, -4).y == -3);
    check(6u, i32(one * 1e20) == 2147483520 || i32(one * 1e20) == 2147483647);
    check(7u, u32(-one) == 0u && u32(one * 3.99) == 3u && i32(-3.99 * one) == -3);
    check(8u, clamp(one * 7.0, 0.0, 5.0) == 5.0 && clamp(n, 5, 9) == 5 && all(clamp(vec2u(1u, 90u), vec2u(3u), vec2u(7u)) == vec2u(3u, 7u)));
    check(9u, saturate(one * 2.0) == 1.0 && near(mix(one, 5.0, half), 3.0) && near(smoothstep(0.0, one, half), 0.5));
    check(10u, round(one * 2.5) == 2.0 && round(one * 3.5) == 4.0 && round(-half) == 0.0);
    check(11u, trunc(-1.5 * one) == -1.0 && fract(one * 2.25) == 0.25 && floor(-half) == -1.0 && ceil(half) == 1.0);
    check(12u, all(select(vec3f(1.0), vec3f(2.0), vec3<bool>(n == 3, n == 4, true)) == vec3f(2.0, 1.0, 2.0)));
    check(13u, near(length(vec3f(2.0, 3.0, 6.0) * one), 7.0) && near(distance(vec2f(0.0), vec2f(3.0, 4.0) * one), 5.0));
    check(14u, all(abs(normalize(vec3f(0.0, 3.0, 4.0) * one) - vec3f(0.0, 0.6, 0.8)) < vec3f(1e-6)));
    check(15u, all(cross(vec3f(one, 0.0, 0.0), vec3f(0.0, one, 0.0)) == vec3f(0.0, 0.0, 1.0)) && dot(vec3i(n, 2, 1), vec3i(1, 2, 3)) == 10);
    check(16u, near(inverseSqrt(4.0 * one), 0.5) && near(pow(2.0 * one, 10.0), 1024.0) && near(exp2(one * 5.0), 32.0) && near(log2(8.0 * one), 3.0));
    check(17u, near(degrees(one), 57.29578) && near(radians(one * 180.0), 3.1415927) && near(atan2(one, -one), 2.3561945));
    check(18u, near(asinh(one), 0.8813736) && near(acosh(one * 2.0), 1.3169579) && near(atanh(half), 0.5493061) && near(tanh(half), 0.46211716));
    check(19u, near(fma(one, 2.0, 3.0), 5.0) && step(half, one) == 1.0 && step(one, half) == 0.0);
    check(20u, all(reflect(vec2f(one, -one), vec2f(0.0, 1.0)) == vec2f(1.0, 1.0)) && all(faceForward(vec2f(one), vec2f(0.0, -1.0), vec2f(0.0, 1.0)) == vec2f(1.0)));
    check(21u, near(refract(vec2f(0.70710678, -0.70710678) * one, vec2f(0.0, 1.0), half).x, 0.35355339));
    check(22u, quantizeToF16(one * 0.1) == 0.0999755859375);
    check(23u, any(vec2<bool>(n == 3, false)) && !all(vec2<bool>(n == 3, false)));
    check(24u, near(mix(vec2f(0.0), vec2f(2.0, 4.0), half).y, 2.0) && all(mix(vec2f(0.0), vec2f(2.0, 4.0), vec2f(half, one)) == vec2f(1.0, 4.0)));
    check(25u, all(min(vec2i(n, 1), vec2i(2, 2)) == vec2i(2, 1)) && max(one, half) == 1.0 && abs(lowest) == lowest);
    check(26u, -lowest == lowest && lowest - 1 == 2147483647 && given[5] * 2u == 0xbd5b7ddeu);
    check(27u, groups.x == 1u && bitcast<vec2<u32>>(vec2f(one, half)).y == 0x3f000000u);
    var v = vec4i(1, 2, 3, 4); v[n] = 40; let old = v; v.x = old.y; v.y = old.x; let k = v[n - 2];
    check(28u, all(v == vec4i(2, 1, 3, 40)) && k == 1);
    var t = 0; for (var i = 0; i < 10; i++) { if (i == 3) { continue; } if (i > 6) { break; } t += i; }
    check(29u, t == 18);
    var s = 0; switch (n) { case 1, 2: { s = 1; } case 3: { s = 3; } default: { s = 9; } }
    var w = 0; loop { w += n; if (w > 10) { break; } continuing { w += 1; break if w > 100; } }
    check(30u, s == 3 && w == 11);
    check(31u, determinant(mat2x2f(one, 2.0, 3.0, 4.0)) == -2.0);
}
