#!/usr/bin/env python3
"""Lays out the folder that `arcbox run --gpu` puts on PYTHONPATH: the package arcbox_mps with its
libraries, and the metadata by which torch finds it (the entry point [torch.backends])."""
import argparse
import os
import pathlib
import shutil

METADATA = """Metadata-Version: 2.1
Name: arcbox-mps
Version: {version}
Summary: PyTorch's device "mps" on Linux, through ArcBox
"""
ENTRY_POINTS = """[torch.backends]
arcbox_mps = arcbox_mps:autoload
"""


def put(path, data):
    if path.is_file() and path.read_bytes() == data:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    made = path.with_name("." + path.name + ".new")
    made.write_bytes(data)
    made.replace(path)


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--folder", type=pathlib.Path, help="the folder; made when missing")
    p.add_argument("--prefix", type=pathlib.Path, help="or: where it is below the prefix it is installed under")
    p.add_argument("--version", required=True)
    p.add_argument("--stamp", type=pathlib.Path, help="touched when done")
    p.add_argument("files", type=pathlib.Path, nargs="+")
    a = p.parse_args()
    if a.prefix:  # as Meson's install scripts are told where to
        a.folder = pathlib.Path(os.environ["MESON_INSTALL_DESTDIR_PREFIX"]) / a.prefix
    info = a.folder / f"arcbox_mps-{a.version}.dist-info"
    put(info / "METADATA", METADATA.format(version=a.version).encode())
    put(info / "entry_points.txt", ENTRY_POINTS.encode())
    wanted = {f.name for f in a.files}
    for f in a.files:
        put(a.folder / "arcbox_mps" / f.name, f.read_bytes())
    for old in (a.folder / "arcbox_mps").iterdir():  # what an older version had
        if old.name not in wanted:
            shutil.rmtree(old) if old.is_dir() else old.unlink()
    if a.stamp:
        a.stamp.write_text("")


if __name__ == "__main__":
    main()
