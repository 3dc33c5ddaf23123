enable f16;
@group(0) @binding(0) var<storage, read> given: array<u32>;
@group(0) @binding(1) var<storage, read_write> ok: array<u32>;
fn check(i: u32, c: bool) { ok[i] = select(2u, 1u, c); }
@compute @workgroup_size(32)
fn main(@builtin(local_invocation_index) i: u32, @builtin(subgroup_invocation_id) lane: u32,
        @builtin(subgroup_size) size: u32) {
    let v = i + given[6];
    let sum = subgroupAdd(v); let product = subgroupMul(select(1u, 2u, lane < 3u)); let most = subgroupMax(v); let least = subgroupMin(v);
    let before = subgroupExclusiveAdd(1u); let upto = subgroupInclusiveAdd(1u);
    let first = subgroupBroadcastFirst(v); let fifth = subgroupBroadcast(v, 5u);
    let b = subgroupBallot(lane < 4u); let ands = subgroupAnd(v | 1u); let ors = subgroupOr(1u << lane); let xors = subgroupXor(lane);
    let up = subgroupShuffleUp(v, 1u); let down = subgroupShuffleDown(v, 1u); let x = subgroupShuffleXor(v, 1u); let s = subgroupShuffle(v, 31u - lane);
    let every = subgroupAll(v > 2u); let some = subgroupAny(v == 4u); let e = first == v;
    let q = quadBroadcast(v, 2u); let qx = quadSwapX(v); let qy = quadSwapY(v); let qd = quadSwapDiagonal(v);
    let h = subgroupAdd(f16(1.5)); let fs = subgroupAdd(vec2f(1.0, f32(lane)));
    if (lane == 6u) {
        check(0u, size == 32u && sum == 496u + 96u && product == 8u);
        check(1u, most == 34u && least == 3u && before == 6u && upto == 7u);
        check(2u, first == 3u && fifth == 8u && b.x == 15u && b.y == 0u);
        check(3u, ands == 1u && ors == 0xffffffffu && xors == 0u);
        check(4u, up == 8u && down == 10u && x == 10u && s == 28u);
        check(5u, every && some && !e);
        check(6u, q == 9u && qx == 10u && qy == 7u && qd == 8u);
        check(7u, h == 48.0h && all(fs == vec2f(32.0, 496.0)));
        for (var k = 8u; k < 32u; k++) { check(k, true); }
    }
}
