#!/usr/bin/env python3
"""fork() with a device in use: the child gets a connection of its own, the parent keeps its own, and
what the child inherited ends in errors, never in a hang or in the parent's work."""
import ctypes
import os
import signal
import sys

import test_ctypes as t


def use(device):
    queue = t.send(device, "newCommandQueue")
    t.test_add(device, queue)
    return queue


def in_child(work):
    """Runs work() in a forked child; its exit status must be 0 within a minute."""
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        status = 1
        try:
            work()
            status = 0
        finally:
            sys.stderr.flush()
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0


def main():
    t.metal.MTLCreateSystemDefaultDevice.restype = t.ID
    device = t.metal.MTLCreateSystemDefaultDevice()
    queue = use(device)
    buffer, values = t.buffer_of(device, 1024)
    values[0] = 7

    def own_device():
        mine = t.metal.MTLCreateSystemDefaultDevice()
        assert mine and mine != device
        use(mine)

    def grandchild():
        own_device()
        in_child(own_device)

    def inherited():
        """The parent's objects: readable memory, refused work, and they may be released."""
        assert values[0] == 7
        commands = t.send(queue, "commandBuffer")
        if commands:
            encoder = t.send(commands, "computeCommandEncoder")
            if encoder:
                t.send(encoder, "endEncoding", returns=None)
            t.send(commands, "commit", returns=None)
            t.send(commands, "waitUntilCompleted", returns=None)
            assert t.send(commands, "status", returns=ctypes.c_ulong) == 5
            assert t.send(commands, "error")
        assert not t.send(device, "newBufferWithLength:options:", t.word(4096), t.word(0))
        t.send(buffer, "release", returns=None)
        t.send(queue, "release", returns=None)
        own_device()

    for work in (own_device, grandchild, inherited, lambda: None):
        in_child(work)
        use(device)
        assert values[0] == 7
    print("fork: ok")


if __name__ == "__main__":
    main()
