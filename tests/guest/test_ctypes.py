#!/usr/bin/env python3
"""Metal from Python's ctypes alone, in the way of tinygrad: libraries found by name, objc_msgSend cast
for each selector, shaders compiled by MTLCodeGenService. Runs inside `arcbox run --gpu`, or on a
staged tree with ARCBOX_GUEST_ROOT=<tree> and a transport set."""
import ctypes
import ctypes.util
import glob
import os
import platform
import struct
import sys
import sysconfig

ROOT = os.environ.get("ARCBOX_GUEST_ROOT", "")
FOLDER = f"{ROOT}/usr/lib/{platform.machine()}-linux-gnu"

SOURCE = """#include <metal_stdlib>
using namespace metal;
#ifndef SCALE
#define SCALE 1
#endif
struct table { device float *values[2]; };
kernel void add(device const float *a [[buffer(0)]], device const float *b [[buffer(1)]],
        device float *out [[buffer(2)]], constant uint &n [[buffer(3)]],
        uint i [[thread_position_in_grid]])
{
    if (i < n)
        out[i] = (a[i] + b[i]) * SCALE;
}
kernel void through(constant table &t [[buffer(0)]], uint i [[thread_position_in_grid]])
{
    t.values[1][i] = t.values[0][i] * 2;
}
"""
N = 1000


def load(name):
    """find_library() reads the loader's cache, where a container lists the guest library."""
    path = f"{FOLDER}/lib{name}.so" if ROOT else ctypes.util.find_library(name)
    assert path, f"the loader's cache does not list {name}"
    return ctypes.CDLL(path)


class Size(ctypes.Structure):
    _fields_ = [("width", ctypes.c_ulong), ("height", ctypes.c_ulong), ("depth", ctypes.c_ulong)]


objc = load("objc")
metal = load("Metal")
ID = ctypes.c_void_p
objc.sel_registerName.restype = ID
objc.objc_getClass.restype = ID


def send(target, selector, *args, returns=ID):
    """args: ctypes values; plain ints are objects."""
    function = objc["objc_msgSend"]
    function.restype = returns
    args = [ID(a) if isinstance(a, int) or a is None else a for a in args]
    return function(ID(target), ID(objc.sel_registerName(selector.encode())), *args)


def word(value):
    return ctypes.c_ulong(value)


def string(text):
    return send(objc.objc_getClass(b"NSString"), "stringWithUTF8String:",
                ctypes.c_char_p(text.encode()))


def text(ns_string):
    return send(ns_string, "UTF8String", returns=ctypes.c_char_p).decode()


def fail_on(error):
    assert not error.value, text(send(error.value, "localizedDescription"))


def build(source, arguments):
    """(0, library) or (error, text), through MTLCompiler's entry points."""
    path = sorted(glob.glob(f"{FOLDER}/libMTLCompiler.so*"))[0]
    compiler = ctypes.CDLL(path)
    compiler.MTLCodeGenServiceCreate.restype = ID
    got = []

    @ctypes.CFUNCTYPE(None, ID, ctypes.c_int32, ID, ctypes.c_size_t, ctypes.c_char_p)
    def callback(_block, error, data, length, message):
        if error:
            got.append((error, message.decode()))
        else:
            reply = ctypes.string_at(data, length)
            got.append((0, reply[sum(struct.unpack("<LL", reply[8:16])):]))

    service = compiler.MTLCodeGenServiceCreate(b"test")
    body = source.encode() + b"\0" * (4 - len(source) % 4)
    arguments = arguments.encode() + b"\0"
    request = struct.pack("<QQ", len(body), len(arguments)) + body + arguments
    compiler.MTLCodeGenServiceBuildRequest(ID(service), None, 13, request,
                                           ctypes.c_size_t(len(request)),
                                           ctypes.byref(callback, -16))
    return got[0]


def library_from(device, data):
    system = ctypes.CDLL(f"{ROOT}/usr/lib/libSystem.dylib")
    system.dispatch_data_create.restype = ID
    blob = system.dispatch_data_create(data, ctypes.c_size_t(len(data)), None, None)
    error = ID()
    library = send(device, "newLibraryWithData:error:", blob, ctypes.byref(error))
    fail_on(error)
    return library


def pipeline_of(device, library, name):
    function = send(library, "newFunctionWithName:", string(name))
    assert function, name
    descriptor = send(objc.objc_getClass(b"MTLComputePipelineDescriptor"), "new")
    send(descriptor, "setComputeFunction:", function, returns=None)
    send(descriptor, "setSupportIndirectCommandBuffers:", ctypes.c_bool(True), returns=None)
    error = ID()
    pipeline = send(device, "newComputePipelineStateWithDescriptor:options:reflection:error:",
                    descriptor, word(0), None, ctypes.byref(error))
    fail_on(error)
    assert send(pipeline, "maxTotalThreadsPerThreadgroup", returns=ctypes.c_ulong) >= 64
    return function, pipeline


def buffer_of(device, count):
    buffer = send(device, "newBufferWithLength:options:", word(4 * count), word(0))
    values = ctypes.cast(send(buffer, "contents"), ctypes.POINTER(ctypes.c_float))
    return buffer, values


def run(queue, pipeline, encode, groups):
    commands = send(queue, "commandBuffer")
    encoder = send(commands, "computeCommandEncoder")
    send(encoder, "setComputePipelineState:", pipeline, returns=None)
    encode(encoder)
    send(encoder, "dispatchThreadgroups:threadsPerThreadgroup:", Size(groups, 1, 1), Size(64, 1, 1),
         returns=None)
    send(encoder, "endEncoding", returns=None)
    send(commands, "setLabel:", string("python"), returns=None)
    send(commands, "commit", returns=None)
    send(commands, "waitUntilCompleted", returns=None)
    fail_on(ID(send(commands, "error")))
    start = send(commands, "GPUStartTime", returns=ctypes.c_double)
    end = send(commands, "GPUEndTime", returns=ctypes.c_double)
    assert 0 < start <= end
    assert send(commands, "status", returns=ctypes.c_ulong) == 4


def test_add(device, queue):
    error, library = build(SOURCE, "-fno-fast-math -std=metal3.1 --driver-mode=metal -x metal "
                           '-fmodules-cache-path="/tmp" -fno-caret-diagnostics -DSCALE=3')
    assert error == 0, library
    assert library[:4] == b"MTLB" and library[-4:] == b"ENDT"
    made = library_from(device, library)
    _, pipeline = pipeline_of(device, made, "add")
    (a, x), (b, y), (out, z) = (buffer_of(device, N) for _ in range(3))
    for i in range(N):
        x[i], y[i], z[i] = i, 2 * i, -1

    def encode(encoder):
        for index, buffer in enumerate((a, b, out)):
            send(encoder, "setBuffer:offset:atIndex:", buffer, word(0), word(index), returns=None)
        send(encoder, "setBytes:length:atIndex:", struct.pack("<I", N - 1), word(4), word(3),
             returns=None)

    run(queue, pipeline, encode, (N + 63) // 64)
    assert [z[i] for i in range(N - 1)] == [9.0 * i for i in range(N - 1)]
    assert z[N - 1] == -1
    return made


def test_argument_buffer(device, queue, library):
    function, pipeline = pipeline_of(device, library, "through")
    encoder = send(function, "newArgumentEncoderWithBufferIndex:", word(0))
    assert send(encoder, "encodedLength", returns=ctypes.c_ulong) == 16
    (a, x), (b, y), (table, _) = (buffer_of(device, 64) for _ in range(3))
    send(encoder, "setArgumentBuffer:offset:", table, word(0), returns=None)
    for index, buffer in enumerate((a, b)):
        send(encoder, "setBuffer:offset:atIndex:", buffer, word(0), word(index), returns=None)
    for i in range(64):
        x[i] = i

    def encode(commands):
        send(commands, "setBuffer:offset:atIndex:", table, word(0), word(0), returns=None)
        for buffer in (a, b):
            send(commands, "useResource:usage:", buffer, word(3), returns=None)

    run(queue, pipeline, encode, 1)
    assert [y[i] for i in range(64)] == [2.0 * i for i in range(64)]


def test_error_names_the_line():
    error, message = build(SOURCE.replace("a[i] + b[i]", "a[i] + nothing"), "-std=metal3.1")
    assert error != 0 and "nothing" in message, message
    line = SOURCE[:SOURCE.index("a[i] + b[i]")].count("\n") + 1
    assert f":{line}:" in message, message


def test_version():
    if not ROOT:  # what tinygrad chooses the language version by
        assert int(platform.mac_ver()[0].split(".")[0]) >= 14


def main():
    metal.MTLCreateSystemDefaultDevice.restype = ID
    load("CoreGraphics")
    device = metal.MTLCreateSystemDefaultDevice()
    assert device, "no device"
    print(text(send(device, "name")))
    queue = send(device, "newCommandQueueWithMaxCommandBufferCount:", word(1024))
    library = test_add(device, queue)
    test_argument_buffer(device, queue, library)
    test_error_names_the_line()
    test_version()
    assert sysconfig.get_config_var("MULTIARCH") in (None, f"{platform.machine()}-linux-gnu")
    print("ctypes: ok")


if __name__ == "__main__":
    sys.exit(main())
