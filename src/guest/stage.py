#!/usr/bin/env python3
"""Makes the tree of files that appears in a container: the guest library under every name that
programs look it up by. Writes only what changed, each file in one step, so that containers running
on the tree keep their open files."""
import argparse
import os
import pathlib
import shutil
import tempfile

LIBRARY = "libarcbox.so.0"

# Beside the library, and the same file. The loader's cache lists a link only under its target's own
# name, so what is looked up there has a file of its own: the stubs.
LINKS = ("libarcbox.so", "libobjc.so", "libMetal.so", "libFoundation.so", "libMetalKit.so",
         "libCoreFoundation.so", "libCoreGraphics.so", "libQuartzCore.so",
         "libMetalPerformanceShaders.so", "libMTLCompiler.so")
# By Apple's names, and opened by their whole path. These are stubs: a program that was linked outside
# has the library by its path there, and the loader takes the same file in another place for a second one.
DYLIBS = ("libSystem.dylib", "libSystem.B.dylib", "libobjc.dylib", "libobjc.A.dylib") # in /usr/lib
FRAMEWORKS = ("Metal", "MetalKit", "Foundation", "CoreFoundation", "CoreGraphics", "IOKit", "QuartzCore",
              "MetalPerformanceShaders")


# What programs print as Metal's version: as macOS 15 has it.
METAL_VERSION = b"""<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
\t<key>CFBundleShortVersionString</key>
\t<string>368</string>
\t<key>CFBundleVersion</key>
\t<string>368</string>
\t<key>ProjectName</key>
\t<string>ArcBox</string>
</dict>
</plist>
"""


def replace(path: pathlib.Path, make) -> None:
    """make(temporary path) builds the new file, which then takes path's place at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = tempfile.mkdtemp(dir=path.parent, prefix=".stage-")
    try:
        made = pathlib.Path(folder, path.name)
        make(made)
        os.replace(made, path)
    finally:
        shutil.rmtree(folder)


def put_file(path: pathlib.Path, data: bytes, mode: int) -> None:
    if path.is_file() and not path.is_symlink() and path.read_bytes() == data:
        path.chmod(mode)
        return

    def make(to):
        to.write_bytes(data)
        to.chmod(mode)

    replace(path, make)


def put_link(path: pathlib.Path, target: pathlib.Path) -> None:
    """Links are relative: right both in the tree and in a container."""
    text = os.path.relpath(target, path.parent)
    if not (path.is_symlink() and os.readlink(path) == text):
        replace(path, lambda to: to.symlink_to(text))


def stage(root: pathlib.Path, triplet: str, library: pathlib.Path, stubs, version: pathlib.Path):
    libraries = root / "usr/lib" / triplet
    real = libraries / LIBRARY
    made = {real}
    put_file(real, library.read_bytes(), 0o755)
    for stub in stubs:
        put_file(libraries / stub.name, stub.read_bytes(), 0o755)
        made.add(libraries / stub.name)
    links = {libraries / name: real for name in LINKS}
    for name in DYLIBS + FRAMEWORKS:
        framework = root / f"System/Library/Frameworks/{name}.framework/{name}"
        own = [stub.name for stub in stubs if stub.name.startswith(f"lib{name}.so.")]
        link = root / "usr/lib" / name if name in DYLIBS else framework
        links[link] = libraries / (own + [stub.name for stub in stubs] + [LIBRARY])[0]
    for link, target in links.items():
        put_link(link, target)
    plist = root / "System/Library/CoreServices/SystemVersion.plist"
    put_file(plist, version.read_bytes(), 0o644)
    own_version = root / "System/Library/Frameworks/Metal.framework/Versions/Current/Resources/version.plist"
    put_file(own_version, METAL_VERSION, 0o644)
    made.update(links, [plist, own_version])
    others = root / "usr/lib/arcbox"  # torch/stage.py's
    for path in sorted(root.rglob("*"), reverse=True):  # what an older version had
        if others in path.parents:
            continue
        if path.is_dir() and not path.is_symlink():
            if not any(path.iterdir()):
                path.rmdir()
        elif path not in made:
            path.unlink()


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--root", type=pathlib.Path, help="the tree; made when missing")
    p.add_argument("--prefix", type=pathlib.Path, help="or: the prefix it is installed under")
    p.add_argument("--stamp", type=pathlib.Path, help="touched when done")
    p.add_argument("--triplet", required=True, help="the folder of libraries: x86_64-linux-gnu")
    p.add_argument("--library", type=pathlib.Path, required=True)
    p.add_argument("--version", type=pathlib.Path, required=True, help="SystemVersion.plist")
    p.add_argument("stubs", type=pathlib.Path, nargs="*")
    a = p.parse_args()
    root = a.root
    if a.prefix:  # as Meson's install scripts are told where to
        root = pathlib.Path(os.environ["MESON_INSTALL_DESTDIR_PREFIX"]) / a.prefix
    stage(root.absolute(), a.triplet, a.library, a.stubs, a.version)
    if a.stamp:
        a.stamp.write_text("")


if __name__ == "__main__":
    main()
