"""PyTorch's device "mps" on Linux, through ArcBox.

torch imports this by itself, by the entry point [torch.backends]: autoload() runs at the end of `import
torch`. What it cannot serve it says in one line, and leaves torch as it was.
"""
import ctypes
import functools
import os
import sys

_HERE = os.path.dirname(__file__)


def _say(text):
    print(f"arcbox: {text}", file=sys.stderr)


def _minor(version):
    """'2.6.0+cu124' is '2.6'."""
    return ".".join(version.split(".")[:2])


def _flavour(torch):
    """Debian's libraries have the version in their names, those of PyPI's wheels have not; 2.6's for x86-64
    have libstdc++'s old interface."""
    with open("/proc/self/maps") as maps:
        names = {line.rsplit("/", 1)[-1].strip() for line in maps if "libtorch_cpu.so" in line}
    if "libtorch_cpu.so" not in names:
        return "debian"
    return "pypi" if torch.compiled_with_cxx11_abi() else "pypi-old"


def _library(torch):
    name = f"torch-{_minor(torch.__version__)}-{_flavour(torch)}.so"
    path = os.path.join(_HERE, name)
    return path if os.path.exists(path) else None


def _patch_storage(torch, ops):
    """UntypedStorage(device="mps"), with which torch.load() begins: torch makes it of CUDA's or the
    processor's memory otherwise."""
    base = torch._C.StorageBase
    allocator = ops.allocator_address()

    def new(cls, *args, **named):
        device = named.get("device")
        if device is not None and torch.device(device).type == "mps":
            del named["device"]
            named["allocator"] = allocator
        return base.__new__(cls, *args, **named)

    torch.UntypedStorage.__new__ = staticmethod(new)


def _patch_generator(torch, ops):
    """Before 2.7 torch.Generator does not ask the device."""
    if hasattr(torch._C, "_accelerator_hooks") or tuple(map(int, _minor(torch.__version__).split("."))) >= (2, 7):
        return
    base = torch._C.Generator

    class Generator(base):
        def __new__(cls, device="cpu"):
            return ops.new_generator() if torch.device(device).type == "mps" else base.__new__(base, device)

    torch.Generator = Generator


def _patch_module(torch):
    """What is compiled into torch's extension on a Mac alone."""
    from . import shaders
    torch._C._has_mps = True
    shaders.install(torch)
    backends = sys.modules.get("torch.backends.mps")
    for name in ("is_available", "is_macos_or_newer", "is_macos13_or_newer"):
        clear = getattr(getattr(backends, name, None), "cache_clear", None)
        if clear:
            clear()


def _patch_processor():
    """Programs ask for a Mac's processor before they use its GPU. platform.machine() says what is here."""
    import platform
    platform.processor = lambda: "arm"


def autoload():
    import torch
    path = _library(torch)
    if path is None:
        _say(f"torch {torch.__version__} is not known here: no device \"mps\"")
        return
    try:
        # Extensions of a user's find in it what PyTorch's libraries have on a Mac.
        ctypes.CDLL(path, ctypes.RTLD_GLOBAL)
        torch.ops.load_library(path)
    except OSError as e:
        _say(f"torch {torch.__version__} does not take the device \"mps\": {e}")
        return
    ops = torch.ops.arcbox
    _patch_storage(torch, ops)
    _patch_generator(torch, ops)
    _patch_module(torch)
    _patch_processor()


@functools.cache
def _ops():
    import torch
    return torch.ops.arcbox


def statistics():
    """What has been launched, committed and waited for in this process."""
    names = ("launches", "batches", "waits", "kernels", "allocated", "held")
    return dict(zip(names, _ops().statistics()))


def calls():
    """With ARCBOX_TORCH_COUNT set: operators run by kernels, and by the processor."""
    return dict(_ops().calls(True)), dict(_ops().calls(False))


def forget_calls():
    _ops().forget_calls()
