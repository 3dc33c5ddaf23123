"""The functions of torch._C that a Mac's build has for torch.mps: kernels that a user wrote, and streams, of
which there is one."""
import operator
import os
import struct
import tempfile

# struct's letters for the types that a number may be passed as.
CASTS = {"fp16": "e", "fp32": "f", "int8": "b", "uint8": "B", "int16": "h", "uint16": "H", "int32": "i",
         "uint32": "I", "int64": "q", "uint64": "Q", "bool": "?"}


def _packed(value, cast):
    """A number, or a few of one type, as a kernel has them in its constant memory."""
    values = value if isinstance(value, (list, tuple)) else [value]
    if not values or not all(isinstance(v, (bool, int, float)) for v in values):
        raise TypeError(f"Unsupported argument type {type(value).__name__}")
    if cast is not None and cast not in CASTS:
        raise RuntimeError(f"Unsupported cast instruction {cast}")
    if cast:
        letter = CASTS[cast]
    elif all(isinstance(v, bool) for v in values):
        letter = "?"
    else:
        letter = "f" if any(isinstance(v, float) for v in values) else "q"
    whole = letter not in "ef?"
    return struct.pack(f"<{len(values)}{letter}", *(int(v) if whole else v for v in values))


def _number(torch, tensor):
    """One of the processor's, of which a kernel has float64 as float32, as on a Mac: torch.compile counts on it. It may
    be a part of a larger tensor."""
    kept = torch.float32 if tensor.dtype == torch.float64 else tensor.dtype
    return bytes(tensor.detach().to(kept, copy=True).untyped_storage())


def _sizes(value):
    """One to three of them."""
    sizes = [operator.index(v) for v in value] if isinstance(value, (list, tuple)) else [operator.index(value)]
    if not 1 <= len(sizes) <= 3:
        raise RuntimeError("Number of threads is undefined or has wrong dimension")
    return sizes


class CompileError(SyntaxError, RuntimeError):
    """The one since 2.7 or so, the other before."""


class Errors:
    """What kernels of torch.compile report, in the memory that c10/metal/error.h describes: how many, and the first 30."""
    COUNT, FILE, FUNCTION, TEXT, SIZE, MOST = 4, 128, 128, 250, 512, 30

    def __init__(self, torch):
        self._torch, self._memory = torch, None

    def memory(self):
        if self._memory is None:
            self._memory = self._torch.zeros(self.COUNT + self.MOST * self.SIZE, dtype=self._torch.uint8, device="mps")
        return self._memory

    def check(self):
        """Once what was launched has ended."""
        if self._memory is None:
            return
        data = bytes(self._memory.cpu().untyped_storage())
        if not int.from_bytes(data[:self.COUNT], "little"):
            return
        self._memory.zero_()
        text = self.COUNT + self.FILE + self.FUNCTION
        raise getattr(self._torch, "AcceleratorError", RuntimeError)(
            data[text:text + self.TEXT].partition(b"\0")[0].decode(errors="replace"))


class Kernel:
    errors = None

    def __init__(self, torch, library, name):
        self._torch, self._library, self._name = torch, library, name
        self.max_threads_per_threadgroup, self.thread_execution_width, self.static_thread_group_memory_length = (
            torch.ops.arcbox.describe_function(library, name))

    def _group(self, threads, group_size):
        most = self.max_threads_per_threadgroup
        if group_size is None:
            return [max(1, min(most, threads[0]))] + [1] * (len(threads) - 1)
        group = _sizes(group_size)
        if len(group) != len(threads):
            raise RuntimeError("threads and group_size must have same length")
        total = 1
        for size in group:
            total *= size
        if total > most:
            raise ValueError(f"Threadgroup size exceeds {most} limit")
        return group

    def __call__(self, *args, threads=None, group_size=None, arg_casts=None, error_buf_idx=None):
        if error_buf_idx is not None:
            args = (*args[:error_buf_idx], self.errors.memory(), *args[error_buf_idx:])
        torch, tensors, sizes, numbers = self._torch, [], [], bytearray()
        for n, value in enumerate(args):
            cast = arg_casts.get(n) if isinstance(arg_casts, dict) else arg_casts
            if isinstance(value, torch.Tensor) and not (value.device.type == "cpu" and value.dim() == 0):
                tensors.append(value)
                sizes.append(0)
                threads = value.numel() if threads is None else threads
                continue
            data = _number(torch, value) if isinstance(value, torch.Tensor) else _packed(value, cast)
            tensors.append(None)
            sizes.append(len(data))
            numbers += data
        if threads is None:
            raise RuntimeError("Number of threads is undefined or has wrong dimension")
        threads = _sizes(threads)
        group = self._group(threads, group_size)
        more = [1] * (3 - len(threads))
        torch.ops.arcbox.run_function(self._library, self._name, tensors,
                                      torch.frombuffer(numbers or bytearray(1), dtype=torch.uint8), sizes,
                                      threads + more, group + more)


class ShaderLibrary:
    def __init__(self, torch, text, is_file=False):
        self._torch, self._library, self._kernels = torch, torch.ops.arcbox.make_library(text, is_file), {}

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        if name not in self._kernels:
            self._kernels[name] = Kernel(self._torch, self._library, name)
        return self._kernels[name]

    def __dir__(self):
        return self._torch.ops.arcbox.function_names(self._library)


def _install_streams(torch):
    """torch.mps.Stream has a base class that cannot be made where torch is not a Mac's. Every stream is the one."""
    c = torch._C
    base = getattr(c, "_MPSStreamBase", None)
    if base is None:
        return
    base.__new__ = staticmethod(lambda cls, *args, **named: object.__new__(cls))
    base.__init__ = lambda self, *args, **named: None
    base.__eq__ = lambda self, other: isinstance(other, base)
    base.__hash__ = lambda self: 0
    base.stream_id = property(lambda self: 0)
    base.device = property(lambda self: torch.device("mps", 0))
    base.synchronize = lambda self: torch.mps.synchronize()
    base.query = lambda self: torch.ops.arcbox.is_idle()
    c._mps_getCurrentStream = base
    c._mps_setStream = lambda stream: None


def install(torch):
    c = torch._C
    synchronize, Kernel.errors = c._mps_deviceSynchronize, Errors(torch)

    def synchronize_and_check():
        synchronize()
        Kernel.errors.check()

    def compile_shader(source):
        try:
            return ShaderLibrary(torch, source)
        except RuntimeError as e:
            raise CompileError(str(e)) from None

    def load_library(data):
        with tempfile.NamedTemporaryFile(suffix=".metallib") as file:
            file.write(data)
            file.flush()
            return ShaderLibrary(torch, file.name, True)

    def no_capture(name=None):
        raise RuntimeError("Metal's captures are for Xcode: there are none here")

    def alias(storage):
        whole = torch.empty(0, dtype=torch.uint8, device="mps").set_(storage)
        return torch.ops.arcbox.bytes_on_processor(whole).untyped_storage()

    c._mps_deviceSynchronize = synchronize_and_check
    c._mps_host_alias_storage = alias
    c._mps_get_name = lambda: "ArcBox"
    c._mps_get_core_count = lambda: os.cpu_count() or 1
    c._mps_compileShader = compile_shader
    c._mps_loadMetalllib = load_library  # with three l, as torch has it
    c._mps_loadMetallibFromPath = lambda path: ShaderLibrary(torch, os.path.abspath(path), True)
    c._mps_isCaptureEnabled = c._mps_isCapturing = lambda: False
    c._mps_startCapture = c._mps_stopCapture = no_capture
    _install_streams(torch)
