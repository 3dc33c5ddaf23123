// Packing and unpacking, bit operations, integer helpers. in: what a compiler cannot know.
@group(0) @binding(0) var<storage, read> given: array<u32>;
@group(0) @binding(1) var<storage, read_write> ok: array<u32>;

fn check(i: u32, c: bool) { ok[i] = select(2u, 1u, c); }
fn f(i: u32) -> f32 { return bitcast<f32>(given[i]); }

@compute @workgroup_size(1)
fn main() {
    // given: 1.0, -1.0, 0.5, 0.25, 0x12345678, 0xdeadbeef, 3, 70000
    let one = f(0u); let minus = f(1u); let half = f(2u); let quarter = f(3u);
    let a = given[4]; let b = given[5]; let n = given[6];
    check(0u, pack4x8snorm(vec4f(one, minus, half, 0.0)) == 0x0040817fu);
    check(1u, pack4x8unorm(vec4f(one, minus, half, quarter)) == 0x408000ffu);
    check(2u, pack2x16snorm(vec2f(one, minus)) == 0x80017fffu);
    check(3u, pack2x16unorm(vec2f(half, one)) == 0xffff8000u);
    check(4u, pack2x16float(vec2f(one, minus)) == 0xbc003c00u);
    check(5u, all(unpack4x8snorm(0x0081007fu + (n - 3u)) == vec4f(1.0, 0.0, -1.0, 0.0)));
    check(6u, all(unpack4x8unorm(0xff0000ffu + (n - 3u)) == vec4f(1.0, 0.0, 0.0, 1.0)));
    check(7u, all(unpack2x16snorm(0x80007fffu + (n - 3u)) == vec2f(1.0, -1.0)));
    check(8u, all(unpack2x16unorm(0xffff0000u + (n - 3u)) == vec2f(0.0, 1.0)));
    check(9u, all(unpack2x16float(0xbc003c00u + (n - 3u)) == vec2f(1.0, -1.0)));
    check(10u, extractBits(a, 8u, 12u) == 0x456u);
    check(11u, extractBits(bitcast<i32>(b), 28u, 4u) == -3);
    check(12u, extractBits(a, 40u, 4u) == 0u);
    check(13u, insertBits(a, b, 4u, 8u) == 0x12345ef8u);
    check(14u, insertBits(a, b, 32u, 8u) == a);
    check(15u, countOneBits(b) == 24u && countLeadingZeros(a) == 3u && countTrailingZeros(a) == 3u);
    check(16u, reverseBits(a) == 0x1e6a2c48u);
    check(17u, firstLeadingBit(a) == 28u && firstTrailingBit(a) == 3u);
    check(18u, firstLeadingBit(bitcast<i32>(b)) == 29 && firstLeadingBit(i32(n) - 4) == -1);
    check(19u, firstTrailingBit(n - 3u) == 0xffffffffu && firstLeadingBit(n - 3u) == 0xffffffffu);
    check(20u, countLeadingZeros(n - 3u) == 32u && countTrailingZeros(n - 3u) == 32u);
    check(21u, dot4U8Packed(a, 0x01020304u) == 0x12u + 2u * 0x34u + 3u * 0x56u + 4u * 0x78u);
    check(22u, dot4I8Packed(b, 0x01010101u) == -34 - 83 - 66 - 17);
    check(23u, pack4xI8(vec4i(-1, 2, -3, 260)) == 0x04fd02ffu + (n - 3u));
    check(24u, pack4xU8Clamp(vec4u(1u, n, 300u, 70000u)) == 0xffff0301u);
    check(25u, pack4xI8Clamp(vec4i(-200, i32(n), 300, -1)) == 0xff7f0380u);
    check(26u, all(unpack4xI8(b) == vec4i(-17, -66, -83, -34)));
    check(27u, all(unpack4xU8(b) == vec4u(0xefu, 0xbeu, 0xadu, 0xdeu)));
    check(28u, (a << (n & 31u)) == 0x91a2b3c0u && (a >> (n & 31u)) == 0x02468acfu);
    check(29u, (bitcast<i32>(b) >> n) == bitcast<i32>(0xfbd5b7ddu));
    check(30u, all(vec3u(a, b, n) % vec3u(n, n, n + 1u) == vec3u(a % 3u, b % 3u, 3u)));
    check(31u, abs(i32(n) - 10) == 7 && sign(i32(n) - 10) == -1 && sign(minus) == -1.0);
}
