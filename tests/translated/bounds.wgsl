// Indices that leave their arrays: what robust translations must catch. Also deep control flow.
@group(0) @binding(0) var<storage, read> given: array<u32>;
@group(0) @binding(1) var<storage, read_write> ok: array<u32>;
@group(0) @binding(2) var<storage, read_write> few: array<vec4f, 4>;
struct S { v: vec3f, m: mat2x2f, a: array<u32, 5> }
@group(0) @binding(3) var<storage, read_write> one: S;

fn check(i: u32, c: bool) { ok[i] = select(2u, 1u, c); }
fn pick(k: u32) -> i32 {
    switch (k) {
        case 0u: { return 4; }
        case 1u, 2u: { for (var i = 0; ; i++) { if (i == 5) { return i; } } }
        default: { if (k > 100u) { return -1; } }
    }
    return 0;
}
@compute @workgroup_size(1)
fn main() {
    let far = given[7] * 1000u; let n = given[6];
    few[far] = vec4f(1.0); few[n][far] = 2.0; one.a[far] = 3u; one.v[far] = 4.0; one.m[far][far] = 5.0;
    var local: array<u32, 4>; local[far] = 6u; var v = vec3u(1u, 2u, 3u); v[far] = 9u;
    let x = given[far] + u32(few[far].x) + one.a[far] + local[far] + v[far];
    ok[far] = 1u;
    check(0u, x < 0xffffffffu);
    check(1u, pick(n - 3u) == 4 && pick(n - 2u) == 5 && pick(n) == 0 && pick(far) == -1);
    for (var i = 2u; i < 32u; i++) { check(i, true); }
}
