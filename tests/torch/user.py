"""What torch.mps has beside operators: kernels that a user writes, events, streams, the profiler."""
import os
import shutil

import torch

import arcbox_mps
from checking import check, run


def raises(what, kind, function):
    try:
        function()
        check(f"{what}: {kind.__name__}", False)
    except Exception as e:
        # What does not compile is an exception of both kinds that releases of torch have for it.
        good = isinstance(e, kind) if kind is SyntaxError else type(e) is kind
        check(f"{what}: {kind.__name__}{'' if good else f', not {type(e).__name__}: {e}'}", good)


# 2.6 has it under another name.
compile_shader = getattr(torch.mps, "compile_shader", None) or torch.mps._compile_shader
KERNELS = """
#include <metal_stdlib>
using namespace metal;
kernel void full(device float *out, constant float &value, uint i [[thread_position_in_grid]]) { out[i] = value; }
kernel void arange(device half *x, constant half2 &from_step, uint i [[thread_position_in_grid]]) {
    x[i] = from_step.x + i * from_step.y;
}
kernel void mixed(device half *x, constant float &from, constant half &step, uint i [[thread_position_in_grid]]) {
    x[i] = from + i * step;
}
kernel void whole(device long *x, constant long &a, constant int &b, constant bool &c,
    uint i [[thread_position_in_grid]]) { x[i] = a + b + (c ? i : 0); }
kernel void places(device uint *x, uint3 at [[thread_position_in_grid]], uint3 size [[threads_per_grid]],
    uint3 group [[threads_per_threadgroup]]) {
    x[at.x + size.x * (at.y + size.y * at.z)] = at.x + 10 * at.y + 100 * at.z + 1000 * group.x + 10000 * group.y;
}
kernel void summed(device float *x, device float *out, uint n [[threads_per_threadgroup]],
    uint i [[thread_index_in_threadgroup]]) {
    threadgroup float part[64];
    part[i] = x[i];
    threadgroup_barrier(mem_flags::mem_threadgroup);
    if (i == 0) {
        float sum = 0;
        for (uint k = 0; k < n; k++)
            sum += part[k];
        out[0] = sum;
    }
}
// As c10/metal/error.h, which torch.compile's kernels have.
struct ErrorMessage { char file[128], func[128], message[250]; uint line; };
struct ErrorMessages { atomic<uint> count; ErrorMessage msg[30]; };
inline void copy_text(device char *to, constant const char *text) {
    while ((*to++ = *text++)) {}
}
kernel void refuses(device float *x, constant float &most, device ErrorMessages *errors,
    uint i [[thread_position_in_grid]]) {
    if (x[i] <= most)
        return;
    uint n = atomic_fetch_add_explicit(&errors->count, 1, memory_order_relaxed);
    if (n >= 30)
        return;
    copy_text(errors->msg[n].func, __func__);
    copy_text(errors->msg[n].message, "too large");
}
"""


def test_kernels():
    lib = compile_shader(KERNELS)
    x = torch.zeros(16, device="mps")
    lib.full(x, 3.5)
    check("a float", x.cpu().tolist() == [3.5] * 16)
    lib.full(x[4:], 1.0, threads=2)
    check("a view, and a number of threads", x.cpu().tolist() == [3.5] * 4 + [1.0] * 2 + [3.5] * 10)
    lib.full(x, torch.tensor(7.0))
    check("a number as a tensor of the processor", x.cpu().tolist() == [7.0] * 16)
    lib.full(x, torch.tensor(5.5, dtype=torch.float64))
    check("as float64", x.cpu().tolist() == [5.5] * 16)
    lib.full(x, torch.arange(8.0)[6])
    check("one of a larger tensor's", x.cpu().tolist() == [6.0] * 16)
    h = torch.zeros(12, dtype=torch.half, device="mps")
    lib.arange(h, [3.0, 0.5], arg_casts="fp16")
    check("a list, as another type", h.cpu().tolist() == [3 + n / 2 for n in range(12)])
    lib.mixed(h, 2.0, 0.25, arg_casts={2: "fp16"})
    check("one argument as another type", h.cpu().tolist() == [2 + n / 4 for n in range(12)])
    w = torch.zeros(5, dtype=torch.int64, device="mps")
    lib.whole(w, 1 << 40, 2, True, arg_casts={2: "int32"})
    check("whole numbers and a bool", w.cpu().tolist() == [(1 << 40) + 2 + n for n in range(5)])
    p = torch.zeros(3 * 4 * 2, dtype=torch.int32, device="mps")
    lib.places(p, threads=(3, 4, 2), group_size=(1, 2, 1))
    check("three dimensions", p.cpu().tolist() == [a + 10 * b + 100 * c + 21000 for c in range(2) for b in range(4)
                                                   for a in range(3)])
    lib.summed(torch.arange(64., device="mps"), x, threads=64, group_size=64)
    check("threads that share memory", x[0].item() == 63 * 32)
    check("what it has", set(dir(lib)) >= {"full", "arange", "mixed", "whole", "places", "summed"})
    check("what a kernel needs", lib.full.max_threads_per_threadgroup >= 256 and lib.full.thread_execution_width == 32
          and lib.summed.static_thread_group_memory_length >= 256)
    y = (torch.ones(16, device="mps") * 2).relu()
    lib.full(y, 5.0)
    check("in order with operators", (y + 1).sum().item() == 96)


def test_refused():
    raises("no Metal", SyntaxError, lambda: compile_shader("Syntax error"))
    x, lib = torch.zeros(3, device="mps"), compile_shader(KERNELS)
    raises("a tensor of the processor", RuntimeError, lambda: lib.full(torch.zeros(3), 1.0))
    raises("no such kernel", RuntimeError, lambda: lib.missing(x))
    raises("no tensor and no threads", RuntimeError, lambda: lib.full(12))
    raises("a text", TypeError, lambda: lib.full(x, "one"))
    most = lib.full.max_threads_per_threadgroup
    raises("a large group", ValueError, lambda: lib.full(x, 1.0, group_size=most + 5))
    raises("large groups", ValueError, lambda: lib.full(x, 1.0, threads=(3, most), group_size=(3, most)))
    check("all goes on after that", (x + 1).sum().item() == 3)


def test_reported():
    """What a kernel reports, where it is asked to, is an exception of whoever waits; once."""
    x, lib = torch.arange(100.0, device="mps"), compile_shader(KERNELS)
    lib.refuses(x, 100.0, error_buf_idx=2)
    torch.mps.synchronize()
    lib.refuses(x, 50.0, error_buf_idx=2)
    raises("a report", getattr(torch, "AcceleratorError", RuntimeError), torch.mps.synchronize)
    torch.mps.synchronize()
    check("all goes on after a report", (x + 1).sum().item() == 5050)


def test_loaded():
    """A library that was compiled before (tests/metallib): run.sh brings it, where there is one."""
    path = "/kernels.metallib"
    if not hasattr(torch.mps, "load_metallib") or not os.path.exists(path):
        return
    x, y = torch.arange(8, dtype=torch.int32, device="mps"), torch.zeros(8, device="mps")
    with open(path, "rb") as file:
        for what, lib in (("a file", torch.mps.load_metallib(path)), ("bytes", torch.mps.load_metallib(file.read()))):
            lib.scale(x, y, 0, 0, 0, 2.5)  # y = k * x; k is bound at 5
            check(f"loaded from {what}", y.tolist() == [2.5 * n for n in range(8)])
    raises("no library", RuntimeError, lambda: torch.mps.load_metallib(b"none"))
    raises("no such library", RuntimeError, lambda: torch.mps.load_metallib("/no/such"))


def test_events():
    x = torch.ones(1 << 20, device="mps")
    start, end = (torch.mps.Event(enable_timing=True) for _ in range(2))
    start.record()
    for _ in range(40):
        x = x * 1.0001
    end.record()
    end.synchronize()
    check("ended", start.query() and end.query())
    took = start.elapsed_time(end)
    check(f"took a time ({took > 0})", 0 < took < 60000)
    raises("the wrong way round", RuntimeError, lambda: end.elapsed_time(start))
    plain = torch.mps.Event()
    plain.record()
    plain.wait()
    plain.synchronize()
    check("one without a time", plain.query())
    raises("its time", RuntimeError, lambda: plain.elapsed_time(end))
    if hasattr(torch, "Event"):
        a, b = (torch.Event(device="mps", enable_timing=True) for _ in range(2))
        a.record()
        y = (x + 1).sum()
        b.record()
        b.synchronize()
        check("torch.Event", a.query() and b.query() and a.elapsed_time(b) > 0 and y.item() > 0)


def test_streams():
    if not hasattr(torch.mps, "current_stream"):
        return
    check("one stream", torch.mps.current_stream() == torch.mps.default_stream() and
          torch.mps.current_stream().stream_id == 0)
    with torch.mps.stream(torch.mps.default_stream()):
        x = torch.ones(5, device="mps") + 1
    torch.mps.current_stream().synchronize()
    check("work in it", x.sum().item() == 10)


def test_profiler():
    def waits():
        before = arcbox_mps.statistics()["waits"]
        x = torch.ones(9, device="mps")
        for _ in range(10):
            x = x + 1
        return arcbox_mps.statistics()["waits"] - before
    with torch.mps.profiler.profile(mode="interval,event", wait_until_completed=True):
        check("each launch is waited for", waits() >= 10)
    check("and none after it", waits() == 0)
    raises("no such mode", RuntimeError, lambda: torch.mps.profiler.start("all"))
    check("no capture", not hasattr(torch.mps.profiler, "metal_capture") or
          not torch.mps.profiler.is_metal_capture_enabled())


def test_compiled():
    """Inductor's own kernels for this device, which it writes in Metal."""
    if tuple(map(int, torch.__version__.split(".")[:2])) < (2, 8) or not shutil.which("c++"):
        return
    from torch._inductor import metrics
    torch.manual_seed(1)
    network = torch.nn.Sequential(torch.nn.Linear(24, 32), torch.nn.GELU(), torch.nn.LayerNorm(32),
                                  torch.nn.Softmax(-1)).to("mps")
    x = torch.randn(8, 24, device="mps")
    metrics.reset()
    network(x).square().sum().backward()
    plain = [p.grad.clone() for p in network.parameters()]
    network.zero_grad()
    compiled = torch.compile(network)
    out = compiled(x)
    out.square().sum().backward()
    check(f"compiled: kernels were made ({metrics.generated_kernel_count > 0})", metrics.generated_kernel_count > 0)
    check("compiled: forward", torch.allclose(out, network(x), rtol=1e-4, atol=1e-5))
    check("compiled: slopes", all(torch.allclose(p.grad, q, rtol=1e-3, atol=1e-5)
                                  for p, q in zip(network.parameters(), plain)))

    def picked(x, places):
        return x[places].softmax(-1) * x.var(-1, keepdim=True)[places]
    places = torch.tensor([1, 0, 1], device="mps")
    check("compiled: places", torch.allclose(torch.compile(picked)(x, places), picked(x, places), rtol=1e-4, atol=1e-6))


if __name__ == "__main__":
    run(globals())
