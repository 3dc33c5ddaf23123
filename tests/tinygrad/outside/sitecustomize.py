"""For a Python outside a container, which sees other devices, too: Apple's libraries are those below
ARCBOX_GUEST_ROOT, whether a program asks for a name or for Apple's place of it, and the system's version
is the one that is written there."""
import ctypes
import ctypes.util
import glob
import os
import platform
import plistlib

root, init, find_library = os.environ["ARCBOX_GUEST_ROOT"], ctypes.CDLL.__init__, ctypes.util.find_library


def from_root(self, name, *arguments, **named):
    if name and os.path.isabs(name) and not os.path.exists(name) and os.path.exists(root + name):
        name = root + name
    init(self, name, *arguments, **named)


def find_in_root(name):
    return next(iter(glob.glob(f"{root}/usr/lib/*-linux-gnu/lib{name}.so")), None) or find_library(name)


def version():
    with open(root + "/System/Library/CoreServices/SystemVersion.plist", "rb") as file:
        return plistlib.load(file)["ProductVersion"], ("", "", ""), "arm64"


ctypes.CDLL.__init__, ctypes.util.find_library, platform.mac_ver = from_root, find_in_root, version
