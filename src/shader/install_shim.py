#!/usr/bin/env python3
"""Installs the assembled shim folder. Usage: install_shim.py BUILD_FOLDER TARGET (under DESTDIR)."""
import os
import shutil
import sys

source, target = sys.argv[1:]
target = os.environ.get("MESON_INSTALL_DESTDIR_PREFIX", "") + "/" + target
for folder in ("shim", "include"):
    shutil.copytree(os.path.join(source, folder), os.path.join(target, folder), dirs_exist_ok=True)
for name in ("vfs.yaml", "preprocess.yaml", "shim.pch"):
    shutil.copy2(os.path.join(source, name), os.path.join(target, name))
