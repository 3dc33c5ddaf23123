// 64-bit integers and halves.
enable f16;
@group(0) @binding(0) var<storage, read> given: array<u32>;
@group(0) @binding(1) var<storage, read_write> ok: array<u32>;
fn check(i: u32, c: bool) { ok[i] = select(2u, 1u, c); }
@compute @workgroup_size(1)
fn main() {
    let n = i64(given[6]); let a = u64(given[4]) << 32u | u64(given[5]); let h = f16(bitcast<f32>(given[2]));
    check(0u, n * 0x100000000li == 0x300000000li && -n / 2li == -1li && n % 2li == 1li);
    check(1u, (a >> 36u) == 0x1234567lu && u32(a & 0xfffflu) == 0xbeefu && (a ^ a) == 0lu);
    check(2u, f32(n) == 3.0 && i64(2.9 * f32(n)) == 8li && min(n, 2li) == 2li && max(n, 4li) == 4li && abs(-n) == 3li && clamp(n, 5li, 7li) == 5li);
    check(3u, n / (n - 3li) == n && n % (n - 3li) == 0li && sign(-n) == -1li);
    check(4u, all(vec3<i64>(n, 2li, 1li) * 2li == vec3<i64>(6li, 4li, 2li)) && dot(vec2<u64>(a, 1lu), vec2<u64>(0lu, 5lu)) == 5lu);
    check(5u, h * 3.0h == 1.5h && h / 2.0h == 0.25h && sqrt(h + 3.5h) == 2.0h);
    check(6u, all(vec4<f16>(h) + 1.0h == vec4<f16>(1.5h)) && f32(fma(h, h, h)) == 0.75 && i32(h * 5.0h) == 2);
    check(7u, (mat2x2<f16>(h, 0.0h, 0.0h, h) * vec2<f16>(2.0h, 4.0h)).y == 2.0h && select(h, 1.0h, n == 3li) == 1.0h);
    for (var k = 8u; k < 32u; k++) { check(k, true); }
}
