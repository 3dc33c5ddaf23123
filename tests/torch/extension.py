"""Operators of a user's in Objective-C++ (extension.mm), beside torch's own."""

import torch

from checking import check, run

torch.ops.load_library("/extension.so")
ops = torch.ops.arcbox_extension
cpu = torch.arange(1000, dtype=torch.float32)


def same(what, got, wanted):
    check(what, torch.equal(got.cpu(), wanted))


def test_command_buffer():
    x = cpu.to("mps")
    for commits in (True, False):
        same(f"a kernel in torch's command buffer, {commits}", ops.scale(x, 2.5, commits), cpu * 2.5)
        same("of a view", ops.scale(x[100:300], 3, commits), cpu[100:300] * 3)
        same("of what torch made before, for torch after it", ops.scale(x + 1, 2, commits) - 1, (cpu + 1) * 2 - 1)
        same("of what is copied first", ops.scale(x[::2], 2, commits), cpu[::2] * 2)
    same("a command buffer taken before torch's own work", ops.scale_late(x, 2), cpu * 4)
    y = x
    for _ in range(500):
        y = ops.scale(y + 1, 0.5, False)
    wanted = cpu
    for _ in range(500):
        wanted = (wanted + 1) * 0.5
    same("500 times, with torch in between", y, wanted)


def test_memory_is_not_lent_early():
    """What such a kernel reads is freed as soon as it is encoded, and memory of its size is written at once."""
    for i in range(50):
        made = ops.scale(torch.full((4096,), float(i), device="mps"), 2, False)
        torch.full((4096,), -1.0).to("mps")
        if not torch.equal(made.cpu(), torch.full((4096,), 2.0 * i)):
            check(f"what a kernel reads stays until it has run ({i})", False)
            return
    check("what a kernel reads stays until it has run", True)


def test_stream():
    x = cpu.to("mps")
    same("a kernel by torch's encoder", ops.scale_by_stream(x, 2), cpu * 2)
    same("twice, and torch's own between", ops.scale_by_stream(ops.scale_by_stream(x[3:], 2) + x[3:], 2), cpu[3:] * 6)
    same("both ways", ops.scale(ops.scale_by_stream(x, 2), 2, False), cpu * 4)
    same("a copy", ops.copy_by_stream(x[10:20]), cpu[10:20])
    try:
        ops.fail_in_block()
        check("an exception leaves the block", False)
    except RuntimeError as e:
        check("an exception leaves the block", "said in the block" in str(e))


def test_storage():
    x = torch.arange(64, dtype=torch.float32, device="mps")
    check("a storage's data is its buffer", ops.first_of(x) == 0 and ops.first_of(x[7:]) == 7)
    check("and the same for views", x.untyped_storage().data_ptr() == x[7:].untyped_storage().data_ptr())
    made = torch.empty(0, device="mps")
    same("no elements", made, torch.empty(0))
    check("data pointers of views", x[7:].data_ptr() - x.data_ptr() == 28)


if __name__ == "__main__":
    run(globals())
