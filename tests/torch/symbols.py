#!/usr/bin/env python3
"""Whether each layer of PyTorch's device finds in that version's libraries what it calls there: its undefined
symbols against what PyPI's wheel exports, of which scripts/torch-symbols.sh keeps lists. For versions that no
test runs, this is what shows that they load."""
import pathlib
import subprocess
import sys

# What the linker puts into every library, for whoever has it.
NOBODYS = {"__gmon_start__", "_ITM_deregisterTMCloneTable", "_ITM_registerTMCloneTable"}


def symbols(file, option):
    lines = subprocess.run(["nm", "-D", option, file], capture_output=True, text=True, check=True).stdout.splitlines()
    return {line.split()[-1].split("@")[0] for line in lines}


def system():
    """Of the C and C++ libraries."""
    found = set()
    for name in ("libstdc++.so.6", "libgcc_s.so.1", "libc.so.6", "libm.so.6"):
        path = subprocess.run(["c++", "-print-file-name=" + name], capture_output=True, text=True, check=True)
        found |= symbols(path.stdout.strip(), "--defined-only")
    return found


def main():
    build, script = pathlib.Path(sys.argv[1]), sys.argv[2]
    package = build / "guest-root/usr/lib/arcbox/python/arcbox_mps"
    ours = system() | NOBODYS
    for library in (package / "libarcbox-torch.so", build / "src/metal/libarcbox.so.0"):
        ours |= symbols(library, "--defined-only")
    failed, compared, unknown = 0, 0, []
    for layer in sorted(package.glob("torch-*-pypi*.so")):
        version = layer.name.split("-")[1]
        listed = subprocess.run([script, version], capture_output=True, text=True).stdout.split()
        if not listed:
            unknown.append(version)
            continue
        exported = set(listed)
        # Which of libstdc++'s interfaces the wheel is made with.
        old = "_ZN3c106detail14torchCheckFailEPKcS2_jRKSs" in exported
        if old != layer.stem.endswith("-old"):
            continue
        wanted = symbols(layer, "--undefined-only")
        missing = sorted(wanted - exported - ours)
        failed += bool(missing)
        compared += 1
        print(f"{layer.name}: {len(wanted)} symbols{', FAILED, not there: ' + ' '.join(missing) if missing else ': ok'}")
    if unknown:
        print(f"not compared: PyTorch {' '.join(unknown)}: scripts/torch-symbols.sh --get VERSION lists its wheel's "
              "symbols (0.1 to 0.9 GB)")
    sys.exit(1 if failed else 0 if compared else 77)


if __name__ == "__main__":
    main()
