// Workgroup memory and its initialisation, barriers, atomics of every kind, uniform loads.
@group(0) @binding(0) var<storage, read> given: array<u32>;
@group(0) @binding(1) var<storage, read_write> ok: array<u32>;
struct Counters { total: atomic<u32>, low: atomic<i32>, slots: array<atomic<u32>, 8> }
@group(0) @binding(2) var<storage, read_write> counters: Counters;
struct Shared { n: atomic<u32>, values: array<u32, 64>, last: vec3f }
var<workgroup> shared_: Shared;
var<workgroup> flag: bool;
var<workgroup> sums: array<atomic<i32>, 4>;
var<workgroup> limit: u32;

fn check(i: u32, c: bool) { ok[i] = select(2u, 1u, c); }

@compute @workgroup_size(8, 8, 1)
fn main(@builtin(local_invocation_index) i: u32, @builtin(local_invocation_id) at: vec3u,
        @builtin(workgroup_id) group: vec3u, @builtin(global_invocation_id) id: vec3u,
        @builtin(num_workgroups) groups: vec3u) {
    let clean = atomicLoad(&shared_.n) == 0u && shared_.values[i] == 0u && !flag;
    workgroupBarrier();
    shared_.values[63u - i] = i * given[6];
    atomicAdd(&shared_.n, 1u);
    if (i == 0u) { limit = 16u; flag = true; shared_.last = vec3f(1.0, 2.0, 3.0); }
    atomicMax(&sums[at.x & 3u], i32(i) - 40);
    let w = workgroupUniformLoad(&limit);
    for (var k = w; k > 0u; k >>= 1u) {
        if (i < k) { shared_.values[i] += shared_.values[i + k]; }
        workgroupBarrier();
    }
    atomicAdd(&counters.total, 1u);
    atomicMin(&counters.low, -i32(i));
    atomicOr(&counters.slots[0], 1u << (i & 31u));
    atomicXor(&counters.slots[1], i);
    atomicSub(&counters.slots[2], 1u);
    atomicAnd(&counters.slots[3], 0xfffffffeu);
    let old = atomicExchange(&counters.slots[4], 9u);
    var spun = 0u;
    loop {
        let now = atomicLoad(&counters.slots[5]);
        let r = atomicCompareExchangeWeak(&counters.slots[5], now, now + 2u);
        spun++;
        if (r.exchanged || spun > 100000u) { break; }
    }
    storageBarrier();
    workgroupBarrier();
    if (i == 0u) {
        check(0u, clean);
        check(1u, atomicLoad(&shared_.n) == 64u && flag);
        check(2u, shared_.values[0] > 0u);
        check(3u, atomicLoad(&sums[3]) == 23 && atomicLoad(&sums[0]) == 20);
        check(4u, atomicLoad(&counters.total) == 64u && atomicLoad(&counters.low) == -63);
        check(5u, atomicLoad(&counters.slots[0]) == 0xffffffffu && atomicLoad(&counters.slots[1]) == 0u);
        check(6u, atomicLoad(&counters.slots[2]) == 0xffffffc0u && atomicLoad(&counters.slots[3]) == 0xfffffffeu);
        check(7u, atomicLoad(&counters.slots[4]) == 9u && atomicLoad(&counters.slots[5]) == 128u);
        check(8u, shared_.last.z == 3.0 && groups.x == 1u);
        for (var k = 10u; k < 32u; k++) { check(k, w == 16u); }
    }
    if (all(at == vec3u(7u, 7u, 0u))) { check(9u, i == 63u && all(id == vec3u(7u, 7u, 0u)) && all(group == vec3u(0u)) && old <= 9u); }
}
