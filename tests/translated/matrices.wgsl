// Matrices, structs with padding, nested arrays, uniform and runtime arrays with their lengths.
struct Inner { a: vec3f, b: f32, m: mat3x3f, c: vec2u }
struct Outer { head: u32, inner: array<Inner, 2>, tail: array<vec3f> }
struct Params { scale: mat4x4f, shift: vec4f, rows: mat2x3f, k: array<vec4u, 3> }
@group(0) @binding(0) var<storage, read> given: array<u32>;
@group(0) @binding(1) var<storage, read_write> ok: array<u32>;
@group(0) @binding(2) var<storage, read_write> outer: Outer;
@group(0) @binding(3) var<uniform> params: Params;
var<private> counter: u32 = 5u;
const table = array<f32, 4>(1.0, 2.0, 4.0, 8.0);
override unused: f32 = 2.5;

fn check(i: u32, c: bool) { ok[i] = select(2u, 1u, c); }
fn bump(p: ptr<function, u32>, q: ptr<private, u32>) -> u32 { *p += 2u; *q = *q + 1u; return *p * 10u + *q; }

@compute @workgroup_size(1)
fn main() {
    // given: 1.0, -1.0, 0.5, 0.25, ...; outer: 208 + 2 * 16 bytes of which the test writes nothing
    let one = bitcast<f32>(given[0]); let n = given[6];
    check(0u, arrayLength(&given) == 8u && arrayLength(&ok) == 32u);
    check(1u, arrayLength(&outer.tail) == 4u);
    outer.head = 7u;
    outer.inner[n - 2u].m = mat3x3f(vec3f(1.0), vec3f(2.0), vec3f(3.0)) * one;
    outer.inner[1].m[n - 1u] = vec3f(4.0, 5.0, 6.0);
    outer.inner[1].m[0][n - 2u] = 9.0;
    outer.inner[1].b = 11.0; outer.inner[1].a = vec3f(1.0, 2.0, 3.0); outer.inner[1].c = vec2u(1u, 2u);
    outer.tail[n] = vec3f(one);
    let i = outer.inner[n - 2u];
    check(2u, i.b == 11.0 && all(i.a == vec3f(1.0, 2.0, 3.0)) && all(i.c == vec2u(1u, 2u)));
    check(3u, i.m[0].y == 9.0 && all(i.m[2] == vec3f(4.0, 5.0, 6.0)) && i.m[1].x == 2.0);
    check(4u, all(i.m * vec3f(1.0, 0.0, 0.0) == vec3f(1.0, 9.0, 1.0)) && all(vec3f(0.0, 0.0, 1.0) * i.m == vec3f(1.0, 2.0, 6.0)));
    let t = transpose(mat2x3f(vec3f(1.0, 2.0, 3.0), vec3f(4.0, 5.0, 6.0)) * one);
    check(5u, all(t[2] == vec2f(3.0, 6.0)));
    let r = mat2x3f(vec3f(1.0, 2.0, 3.0) * one, vec3f(4.0, 5.0, 6.0)) * t;
    check(6u, all(r[0] == vec3f(17.0, 22.0, 27.0)) && all(r[2] == vec3f(27.0, 36.0, 45.0)));
    check(7u, determinant(mat3x3f(vec3f(2.0, 0.0, 0.0), vec3f(0.0, 3.0, one), vec3f(0.0, 0.0, 4.0))) == 24.0);
    check(8u, determinant(mat4x4f(2.0, 0.0, 0.0, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0, 0.0, 2.0, 0.0, one, 0.0, 0.0, 2.0)) == 16.0);
    // params: scale = 2 on the diagonal, shift = 1 2 3 4, rows = 1 2 3 . 4 5 6 ., k = 0..11
    check(9u, all(params.scale * vec4f(one, 2.0, 3.0, 4.0) + params.shift == vec4f(3.0, 6.0, 9.0, 12.0)));
    check(10u, all(params.rows * vec2f(one, 2.0) == vec3f(9.0, 12.0, 15.0)));
    check(11u, params.k[n - 1u].z == 10u && params.k[1][n] == 7u);
    var local = n; let b = bump(&local, &counter);
    check(12u, b == 56u && counter == 6u && local == 5u);
    check(13u, table[n] == 8.0 && table[n - 3u] == 1.0);
    var grid: array<array<i32, 3>, 2>; grid[n - 2u][n - 1u] = 5; let copy = grid;
    check(14u, copy[1][2] == 5 && copy[0][0] == 0);
    var m = mat2x2f(); m[n - 2u] = vec2f(one); m = m * 2.0 + mat2x2f(one, 0.0, 0.0, one) - mat2x2f();
    check(15u, all(m[1] == vec2f(2.0, 3.0)) && all(m[0] == vec2f(1.0, 0.0)));
    for (var x = 16u; x < 32u; x++) { check(x, unused == 2.5); }
}
