#!/usr/bin/env python3
"""Assembles the folder the compiler reads Metal's standard library from, and precompiles it.

Usage: build_shim.py CLANG SOURCE_FOLDER OUTPUT_FOLDER PCH DEPFILE

OUTPUT_FOLDER gets shim/ (a copy of the headers and the generated swizzles), include/ (an empty file
for every header a Metal program may name), PCH (the precompiled shim/shim.h; a path in it) and
two lists of the only files that clang sees, under names that do not depend on where the folder lies:
vfs.yaml during a compilation, and preprocess.yaml while it obeys a program's #include, which can
reach no other file.
"""
import json
import os
import re
import subprocess
import sys

STUBS = """
metal_stdlib metal_types metal_config metal_extended_vector metal_packed_vector metal_matrix
metal_limits metal_type_traits metal_utility metal_functional metal_math metal_integer metal_common
metal_relational metal_geometric metal_compute metal_atomic metal_simdgroup metal_simdgroup_matrix
metal_quadgroup metal_pack metal_array metal_tuple metal_pair metal_numeric metal_logging metal_uniform
metal_initializer_list metal_assert metal_graphics metal_texture metal_raytracing metal_mesh metal_visible_function_table
metal_function_pointer metal_command_buffer metal_imageblocks
simd/simd.h simd/types.h simd/base.h simd/vector.h simd/matrix.h simd/math.h simd/common.h
simd/geometry.h simd/packed.h simd/conversion.h simd/logic.h simd/vector_types.h
simd/matrix_types.h simd/vector_make.h TargetConditionals.h stdint.h stddef.h
""".split()

# Read only by programs that name them, so that no other pays for it. Preprocessing leaves a pragma in
# the text, of which the rewriter (rewrite/pragma.c) makes the #include of a header of the shim.
READ = {
    "metal_tensor": "tensor",
    "metal_cooperative_tensor": "cooperative",
    "MetalPerformancePrimitives/MetalPerformancePrimitives.h": "primitives",
    "MetalPerformancePrimitives/MPPTensorOpsMatMul2d.h": "primitives",
}

# What is not there says so in one line.
REFUSED = {
    "MetalPerformancePrimitives/MPPTensorOpsConvolution2d.h":
        "mpp::tensor_ops::convolution2d is not supported yet",
}


def write_if_changed(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if os.path.exists(path):
        with open(path, encoding="utf-8") as old:
            if old.read() == text:
                return
    with open(path, "w", encoding="utf-8") as out:
        out.write(text)


def flags(source):
    with open(os.path.join(source, "frontend/clang_flags.inc"), encoding="utf-8") as file:
        text = re.sub(r"/\*.*?\*/", "", file.read(), flags=re.S)
    found = re.findall(r'"([^"]*)"', text)
    found[found.index("c++")] = "c++-header"
    return found


def virtual_files(paths):
    files = [{"type": "file", "name": "/msl/" + p, "external-contents": p} for p in paths]
    return json.dumps({"version": 0, "case-sensitive": "true", "overlay-relative": "true",
                       "use-external-names": "false", "redirecting-with": "redirect-only",
                       "roots": files}, indent=1) + "\n"


def main():
    if len(sys.argv) != 6:
        sys.exit("usage: build_shim.py CLANG SOURCE_FOLDER OUTPUT_FOLDER PCH DEPFILE")
    clang, source, output, pch, depfile = sys.argv[1:]
    inputs = [os.path.realpath(clang)] + [os.path.join(source, n)
                                          for n in ("gen_swizzles.py", "frontend/clang_flags.inc")]
    shim = os.path.join(os.path.abspath(output), "shim")
    listed = []
    for name in sorted(os.listdir(os.path.join(source, "shim"))):
        if name.endswith(".h"):
            with open(os.path.join(source, "shim", name), encoding="utf-8") as file:
                write_if_changed(os.path.join(shim, name), file.read())
            listed.append("shim/" + name)
            inputs.append(os.path.join(source, "shim", name))
    swizzles = [os.path.join(shim, "swizzle%d.h" % n) for n in (2, 3, 4)]
    subprocess.run([sys.executable, os.path.join(source, "gen_swizzles.py")] + swizzles, check=True)
    listed += ["shim/swizzle%d.h" % n for n in (2, 3, 4)]
    texts = {name: "" for name in STUBS}
    texts.update({name: "#pragma __abx_read %s\n" % header for name, header in READ.items()})
    texts.update({name: "#error %s\n" % message for name, message in REFUSED.items()})
    for name, text in texts.items():
        write_if_changed(os.path.join(os.path.abspath(output), "include", name), text)
        listed.append("include/" + name)
    overlay = os.path.join(os.path.abspath(output), "vfs.yaml")
    write_if_changed(overlay, virtual_files(listed + ["shim.pch"]))
    write_if_changed(os.path.join(os.path.abspath(output), "preprocess.yaml"), virtual_files(
        [name for name in listed if name.startswith("include/")] + ["shim/macros.h"]))
    subprocess.run([clang] + flags(source) + [
        "-Xclang", "-fno-pch-timestamp",
        "-ivfsoverlay", overlay, "-include", "/msl/shim/shim.h", "-", "-o", pch], check=True,
        stdin=subprocess.DEVNULL)
    with open(depfile, "w", encoding="utf-8") as out:
        out.write("%s: %s\n" % (pch, " ".join(path.replace(" ", "\\ ") for path in inputs)))


main()
