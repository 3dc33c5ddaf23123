#!/usr/bin/env python3
"""The staged tree: every name a program looks the guest library up by leads to the one library."""
import ctypes
import os
import pathlib
import plistlib
import re
import shutil
import subprocess
import sys
import tempfile

STAGE, ROOT, TRIPLET = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3]
NATIVE = os.uname().machine == TRIPLET.split("-")[0]
LIBRARIES = ROOT / "usr/lib" / TRIPLET
REAL = LIBRARIES / "libarcbox.so.0"


def ldconfig():
    path = os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/sbin"])
    return shutil.which("ldconfig", path=path)


def listed_by_the_loaders_cache():
    """As the arcbox command makes it: names a program's dlopen() and find_library() will see."""
    with tempfile.TemporaryDirectory() as copy:
        root = pathlib.Path(copy)
        shutil.copytree(ROOT, root, symlinks=True, dirs_exist_ok=True)
        (root / "etc").mkdir()
        (root / "etc/ld.so.conf").write_text(f"/usr/lib/{TRIPLET}\n")
        subprocess.run([ldconfig(), "-X", "-r", root, "-C", "/etc/cache"], check=True,
                       stderr=subprocess.DEVNULL)
        lines = subprocess.run([ldconfig(), "-r", root, "-C", "/etc/cache", "-p"], check=True,
                               capture_output=True, text=True).stdout
    return set(re.findall(r"^\s+(\S+) \(", lines, re.M))


def test_names():
    if not NATIVE:
        return  # ldconfig lists its own machine's libraries only
    names = listed_by_the_loaders_cache()
    for name in ("libarcbox.so.0", "libobjc.so.228", "libMetal.so.0", "libFoundation.so.0",
                 "libCoreGraphics.so.0", "libQuartzCore.so.0", "libMetalKit.so.0"):
        assert name in names, (name, sorted(names))


def test_links_are_relative_and_whole():
    links = [p for p in ROOT.rglob("*") if p.is_symlink()]
    assert len(links) > 10
    for link in links:
        assert not os.readlink(link).startswith("/"), link
        target = link.resolve()
        assert target.parent == LIBRARIES.resolve() and not target.is_symlink(), link
        # Apple's names are of stubs (src/guest/stage.py has the reason)
        assert (target == REAL.resolve()) == (link.parent == LIBRARIES), link


def test_found_as_tinygrad_looks():
    for name in ("Metal", "MetalKit", "CoreGraphics", "QuartzCore", "MTLCompiler"):
        found = [p for p in LIBRARIES.iterdir()
                 if p.is_file() and re.fullmatch(rf"lib{name}\.so\.?[0-9]*", p.name)]
        assert found, name
        for path in found:
            assert path.read_bytes()[:4] == b"\x7fELF", path
    version = plistlib.loads((ROOT / "System/Library/CoreServices/SystemVersion.plist").read_bytes())
    assert int(version["ProductVersion"].split(".")[0]) >= 14  # below: metal3.0


def test_one_library_in_a_process():
    """Every path, opened, is the same library: one runtime, one set of classes."""
    if not NATIVE:
        return
    paths = [LIBRARIES / "libobjc.so.228", LIBRARIES / "libMetal.so", LIBRARIES / "libMetal.so.0",
             ROOT / "usr/lib/libSystem.dylib", ROOT / "System/Library/Frameworks/Metal.framework/Metal"]
    opened = [ctypes.CDLL(str(path)) for path in paths]
    sends = {ctypes.cast(library.objc_msgSend, ctypes.c_void_p).value for library in opened}
    assert len(sends) == 1
    mapped = {line.split()[-1] for line in open("/proc/self/maps") if "libarcbox" in line}
    assert mapped == {str(REAL.resolve())}, mapped


def test_staging_again():
    """A second run changes nothing; a changed library replaces the old file, not its content."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        library, plist, stub = folder / "l", folder / "v", folder / "libstub.so.1"
        for path in (library, plist, stub):
            path.write_text("one")
        root = folder / "root"

        def stage(*stubs):
            subprocess.run([sys.executable, STAGE, "--root", root, "--triplet", "t", "--library",
                            library, "--version", plist, *stubs], check=True)
            return {str(p.relative_to(root)): (p.lstat().st_ino, p.lstat().st_mtime_ns)
                    for p in root.rglob("*") if not p.is_dir() or p.is_symlink()}

        first = stage(stub)
        assert stage(stub) == first
        with open(root / "usr/lib/t/libarcbox.so.0") as kept:
            library.write_text("two!")
            second = stage()
            assert kept.read() == "one"
        assert set(first) - set(second) == {"usr/lib/t/libstub.so.1"}
        assert (root / "usr/lib/libSystem.dylib").read_text() == "two!"  # without stubs


for name, test in list(globals().items()):
    if name.startswith("test_"):
        test()
        print(name, "ok")
