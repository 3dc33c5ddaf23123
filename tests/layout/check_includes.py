#!/usr/bin/env python3
"""Dependencies go one way: each module may include only what stands beside its name here. And no
privileged process waits for one with fewer rights."""
import pathlib
import re
import sys

ALLOWED = {
    "base": set(),
    "wire": {"base"},
    "objc": {"base"},
    "foundation": {"base", "objc"},
    "metal": {"base", "wire", "objc", "foundation"},
    "shader": {"base", "wire"},
    "backend": {"base", "wire", "shader"},
    "sched": {"base"},
    "host": {"base", "wire", "shader", "backend", "sched"},
    "cli": {"base", "wire", "host"},
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
INCLUDE = re.compile(r'^\s*#\s*include\s+"([a-z_0-9]+)/[^"]+"', re.M)


def violations(root: pathlib.Path):
    for module, allowed in ALLOWED.items():
        for path in sorted((root / "src" / module).rglob("*.[chS]")):
            if module == "shader" and "shim" in path.parts:
                continue  # what the user's shaders include, not the compiler
            for target in INCLUDE.findall(path.read_text(errors="replace")):
                if target in ALLOWED and target != module and target not in allowed:
                    yield f"{path.relative_to(root)}: {module} must not include {target}/"


def host_violations(root: pathlib.Path):
    for room, allowed in HOST.items():
        for path in sorted((root / "src/host" / room).glob("*.[ch]")):
            for target in re.findall(r'#\s*include\s+"host/(\w+)/', path.read_text()):
                if target != room and target not in allowed:
                    yield f"{path.relative_to(root)}: {room} must not include host/{target}/"


def blocking_sends(root: pathlib.Path):
    """Processes with more rights speak to those with fewer through the outbox, which never waits."""
    paths = [p for room in ("supervisor", "compiler") for p in (root / "src/host" / room).glob("*.c")]
    for path in sorted([*paths, root / "src/host/control/outbox.c"]):
        if re.search(r"\babx_sock_send\(|\bsend(msg|to)?\(", path.read_text()):
            yield f"{path.relative_to(root)}: sends without the outbox or abx_sock_try_send()"


TRANSPORTS = re.compile(r'"unix"|inproc|virtgpu|"scatter"|transport_scatter|transport_unix')
TRANSPORT_FOLDERS = ("src/wire/transport/", "src/host/transport/", "src/host/inproc/")
HELP = "src/cli/table.c"


def transports(root: pathlib.Path):
    """What one transport can or does is known to its own file; others ask the tables of operations."""
    for path in sorted((root / "src").rglob("*")):
        name = str(path.relative_to(root))
        if path.suffix not in (".c", ".h", ".m") or name.startswith(TRANSPORT_FOLDERS) or name == HELP:
            continue
        for word in TRANSPORTS.findall(path.read_text(errors="replace")):
            yield f"{name}: names the transport {word}"


def main():
    root = pathlib.Path(sys.argv[1])
    found = list(violations(root)) + list(host_violations(root)) + list(blocking_sends(root)) + list(transports(root))
    print("\n".join(found) or "includes go one way")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
