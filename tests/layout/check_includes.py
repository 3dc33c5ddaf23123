#!/usr/bin/env python3
"""Dependencies go one way: each module may include only what stands beside its name here. And no
privileged process waits for one with fewer rights."""
import pathlib
import re
import sys

# Folders of src, or single headers of theirs. A module may always include its own.
ALLOWED = {
    "base": set(),
    "wire": {"base"},
    "objc": {"base"},
    "dispatch": {"base", "objc"},
    "foundation": {"base", "objc", "dispatch"},
    "metal": {"base", "wire", "objc", "foundation"},
    "mps": {"base", "wire", "objc", "foundation", "metal"},
    "guest": set(),
    "shader": {"base", "wire"},
    # Of the compiler what its code and the host agree on, and no more.
    "backend": {"base", "wire", "shader/abi", "shader/shim/markers.h"},
    "host": {"base", "wire", "shader/shader.h", "backend"},
    # The device of a virtual machine: of the host no more than how it sends, and its sandbox.
    "vmm": {"base", "wire", "host/control/outbox.h", "host/sandbox"},
    "cli": {"base", "wire", "host", "backend/names.h"},
    "bench": {"base", "wire", "shader/shader.h", "backend/backend.h"},
}
# The rooms of src/host, alike: what only the worker may do stands in session and worker.
HOST = {
    "control": set(),
    "sandbox": set(),
    "transport": set(),
    "session": {"control", "compiler", "transport"},
    "compiler": {"control", "sandbox"},
    "supervisor": {"control", "compiler", "sandbox"},
    "worker": {"control", "session", "sandbox", "transport"},
    "inproc": {"control", "session", "transport"},
}
# The rooms of src/shader. Only what lies beside them (pipeline.c) sees all. In the shim, Metal's
# standard library, the compiler's files see the markers alone.
MARKERS = "shim/markers.h"
SHADER = {
    "shim": set(),
    "abi": {MARKERS},
    "rewrite": set(),
    "frontend": {"rewrite", "abi"},
    "codegen": {"abi", MARKERS},
    "air": {"codegen", "abi", MARKERS},
    "cpu": {"codegen", "abi", MARKERS},
    "nvptx": {"codegen", "abi", MARKERS},
}
ROOMS = {"host": HOST, "shader": SHADER}
# Of src, what tests may include: whole folders that are about one side of the bridge, and headers
# that other tests share.
TESTS = {
    "base": {"base"},
    "objc": {"base", "objc"},
    "foundation": {"base", "objc", "foundation"},
    "guest": set(),
    "metal": {"base", "wire", "objc", "foundation", "metal"},
    "backend/random_source.h": {"base"},
    "backend/rig.h": {"base", "backend", "shader/shader.h"},
    "host/guest.h": {"base", "wire", "host"},
    "hostile/fuzz.h": {"base"},
    "shader/math_table.h": {"base"},
    "shader/rewrite_check.h": {"base", "shader/rewrite"},
}
INCLUDE = re.compile(r'^\s*#\s*(?:include|import)\s+"([^"]+)"', re.M)
SOURCES = (".c", ".h", ".S", ".m", ".cc", ".inc")


def covers(allowed, target):
    return any(target == entry or target.startswith(entry + "/") for entry in allowed)


def forbidden(path, target):
    """What is wrong with the file `path` including `target`, both below src; None: nothing."""
    module, to = path.split("/")[0], target.split("/")[0]
    if module not in ALLOWED:
        return f"{module} has no line in ALLOWED"
    if to != module:
        return None if covers(ALLOWED[module], target) else f"{module} must not include {target}"
    rooms = ROOMS.get(module, {})
    room, inner = path.split("/")[1], target.split("/", 1)[1]
    if path.count("/") == 1 or inner.count("/") == 0 or inner.split("/")[0] == room:
        return None  # from beside the rooms, from there, or in one room
    if rooms and room not in rooms:
        return f"{room} has no line among the rooms of {module}"
    return None if not rooms or covers(rooms[room], inner) else f"{room} must not include {target}"


def resolve(root, path, name):
    """The header of src that is meant, below src; None: a generated or a public one."""
    for found in (path.parent / name, root / "src" / name):
        if found.is_file():
            return str(found.resolve().relative_to((root / "src").resolve()))
    return None


def violations(root: pathlib.Path):
    src = root / "src"
    for path in sorted(src.rglob("*")):
        if path.suffix not in SOURCES:
            continue
        below = str(path.relative_to(src))
        for name in INCLUDE.findall(path.read_text(errors="replace")):
            if name.startswith("tests/") or ".." in name:
                yield f"src/{below}: includes {name}: name it from src on"
                continue
            target = resolve(root, path, name)
            wrong = target and forbidden(below, target)
            if wrong:
                yield f"src/{below}: {wrong}"


def test_violations(root: pathlib.Path):
    for entry, allowed in TESTS.items():
        top = root / "tests" / entry
        for path in sorted(top.rglob("*")) if top.is_dir() else [top]:
            if path.suffix not in SOURCES:
                continue
            for name in INCLUDE.findall(path.read_text(errors="replace")):
                if (root / "src" / name).is_file() and not covers(allowed, name):
                    yield f"{path.relative_to(root)}: must not include {name}"


def torch_violations(root: pathlib.Path):
    """PyTorch's device is a Metal program, as others are: it sees the public headers alone."""
    for path in sorted((root / "torch").rglob("*")):
        if path.suffix not in (*SOURCES, ".cpp", ".mm"):
            continue
        for name in INCLUDE.findall(path.read_text(errors="replace")):
            if (root / "src" / name).is_file() or "src/" in name:
                yield f"{path.relative_to(root)}: must not include {name}"


def blocking_sends(root: pathlib.Path):
    """Processes with more rights speak to those with fewer through the outbox, which never waits."""
    paths = [p for room in ("host/supervisor", "host/compiler", "vmm") for p in (root / "src" / room).glob("*.c")]
    for path in sorted([*paths, root / "src/host/control/outbox.c"]):
        if re.search(r"\babx_sock_send\(|\bsend(msg|to)?\(", path.read_text()):
            yield f"{path.relative_to(root)}: sends without the outbox or abx_sock_try_send()"


TRANSPORTS = re.compile(r'"unix"|inproc|virtgpu|"scatter"|transport_scatter|transport_unix')
TRANSPORT_FOLDERS = ("src/wire/transport/", "src/host/transport/", "src/host/inproc/", "src/vmm/")
HELP = "src/cli/table.c"


def transports(root: pathlib.Path):
    """What one transport can or does is known to its own file; others ask the tables of operations."""
    for path in sorted((root / "src").rglob("*")):
        name = str(path.relative_to(root))
        if path.suffix not in (".c", ".h", ".m") or name.startswith(TRANSPORT_FOLDERS) or name == HELP:
            continue
        for word in TRANSPORTS.findall(path.read_text(errors="replace")):
            yield f"{name}: names the transport {word}"


# Names of backends are known to their own folder, the registry, and whoever measures one.
BACKEND_FILES = ("src/backend/backend.h", "src/backend/list.c", "src/backend/names.h", "src/bench/", HELP)
# The same words as something else: of JSON, of Objective-C, of a limit.
OTHER_WORDS = {("src/cli/bench.c", "null"), ("src/cli/ps.c", "null"), ("src/cli/settings.c", "cpu"),
    ("src/foundation/foundation_json.c", "null"), ("src/foundation/foundation_object.c", "null")}


def named(text, names):
    """The backends that a source names: a string, or the end of one, perhaps with a device's number
    behind; its table; a header of its folder."""
    words = "|".join(sorted(names))
    found = re.findall(rf'"(?:[^"\n]*=)?({words})(?::\d*)?"|abx_backend_({words})\b|"backend/({words})/', text)
    return [next(filter(None, groups)) for groups in found]


def backends(root: pathlib.Path):
    names = {path.name for path in (root / "src/backend").iterdir() if path.is_dir()}
    for path in sorted((root / "src").rglob("*")):
        name = str(path.relative_to(root))
        if path.suffix not in (".c", ".h", ".m") or name.startswith(BACKEND_FILES):
            continue
        for word in named(path.read_text(errors="replace"), names):
            if not name.startswith(f"src/backend/{word}/") and (name, word) not in OTHER_WORDS:
                yield f"{name}: names the backend {word}"


def blind():
    """This test's own test: includes that must not pass, and some that must."""
    for path, target, passes in (
            ("shader/codegen/load.c", "shader/air/air.h", False),
            ("shader/codegen/link.c", "shader/frontend/frontend.h", False),
            ("shader/codegen/place.c", "shader/cpu/cpu.h", False),
            ("shader/frontend/reflect_sure.c", "shader/codegen/codegen.h", False),
            ("shader/rewrite/lex.c", "shader/frontend/frontend.h", False),
            ("shader/cpu/wide/sum.c", "shader/nvptx/nvptx.h", False),
            ("shader/abi/kernel.h", "shader/codegen/codegen.h", False),
            ("shader/codegen/load.c", "shader/shim/base.h", False),
            ("shader/cpu/wide/sum.c", "shader/cpu/cpu.h", True),
            ("shader/pipeline.c", "shader/nvptx/nvptx.h", True),
            ("shader/nvptx/nvptx.c", "shader/shader.h", True),
            ("backend/cpu/run.c", "shader/shader.h", False),
            ("backend/cpu/run.c", "shader/abi/kernel.h", True),
            ("bench/cpu_bench.h", "host/session/internal.h", False),
            ("guest/stub.c", "base/base.h", False),
            ("dispatch/data.c", "foundation/foundation.h", False),
            ("foundation/foundation_data.c", "dispatch/data.h", True),
            ("metal/metal_device.c", "host/control/control.h", False),
            ("vmm/link.c", "host/control/outbox.h", True),
            ("vmm/link.c", "host/session/internal.h", False),
            ("vmm/gpu.c", "backend/backend.h", False),
            ("newcomer/new.c", "base/base.h", False)):
        if (forbidden(path, target) is None) != passes:
            yield f"this test: {path} including {target} {'fails' if passes else 'passes'}"
    for text, count in (('open("cuda:1")', 1), ('"-cpu"', 0), ('"device=cpu"', 1), ('&abx_backend_cpu', 1), ('"cpuset"', 0),
            ('#include "backend/cuda/queue.h"', 1), ('abx_backend_find(name)', 0), ('"a", "cpu"', 1)):
        if len(named(text, {"cpu", "cuda"})) != count:
            yield f"this test: {text} names {'no' if count else 'a'} backend"


def main():
    root = pathlib.Path(sys.argv[1])
    found = [*violations(root), *test_violations(root), *torch_violations(root), *blocking_sends(root), *transports(root), *backends(root), *blind()]
    print("\n".join(found) or "includes go one way")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
