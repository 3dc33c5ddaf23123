#!/usr/bin/env python3
"""What kernels' code must have little of, or some of: each was many times as slow otherwise.

    lanes_code.py SHADER-TOOL lanes_code.metal
"""
import os
import re
import subprocess
import sys
import tempfile

tool, source = sys.argv[1:]
# A kernel, what is counted in its code (for the threadgroups that are whole SIMD-groups), how many there
# may be (or, as +N, must be), and the processors that is for ("" : this one).
CASES = [
    # Those of a threadgroup that ends inside a SIMD-group are for its last one only.
    ("meets_with_one_value", "gathers under masks",
     r"= call .*@llvm\.masked\.gather.*<\d+ x i1> %(?!inside)", "0", ""),
    # What is left behind a loop: a value from two blocks, though the same in both, is not known to rise by lanes.
    ("sums_a_row_and_its_end", "gathers", r"call .*@llvm\.masked\.gather", "0", ""),
    # LLVM takes such conversions of vectors apart: eight instructions a number.
    ("makes_integers", "conversions of whole vectors that saturate", r"call .*@llvm\.fpto[su]i\.sat\.v", "0", ""),
    # LLVM calls a function for each number, and takes that for so dear that it makes short vectors.
    ("adds_bfloats", "conversions to bfloats", r"= fptrunc ", "0", ""),
    ("adds_bfloats", "sums of whole vectors", r"= fadd .*<(?:8|16) x float>", "+1", ""),
    # A permutation for each product was eight times as many.
    ("multiplies_tiles", "permutations of factors, with AVX2",
     r"= shufflevector .*<8 x i32> (?:splat \(i32 [1-9]|<i32 ([1-9]\d*), i32 \1,)", "0", "x86-64"),
    # One for each of 16 columns and four runs of eight lanes were 64; and the cuts of threadgroups that
    # end inside a SIMD-group are for its last one only.
    ("fills_tile", "stores to threadgroup memory", r"store <(8|16|32) x i16>", "32", "x86-64"),
    # Those of threadgroups that end inside a SIMD-group are for its last one only.
    ("copies_rows", "cuts of lanes' numbers", r"= fptrunc <32 x float>", "8", "x86-64"),
    # Threads that never meet: a loop over them, whose turns do not depend on each other, and which loads its
    # parameters once.
    ("pads_rows", "loads of a row's numbers together", r"@llvm\.masked\.load\.v\d+f32", "+1", "x86-64"),
    # Neighbours in x read neighbours in memory: threads are lanes.
    ("sums_columns", "sums of threads together", r"= fadd .*<\d+ x float>", "+1", "x86-64"),
    # A guard that every thread passes leaves no masks behind.
    ("sums_columns_inside", "loads without a mask", r"= load <\d+ x float>", "+1", "x86-64"),
    ("sums_columns_between", "loads without a mask", r"= load <\d+ x float>", "+1", "x86-64"),
    ("sums_columns_met", "loads without a mask", r"= load <\d+ x float>", "+1", "x86-64"),
    # Each thread has a row of its own.
    ("sums_rows", "sums of threads together", r"= fadd .*<\d+ x float>", "0", "x86-64"),
    # Its loop is unrolled. Numbers of neighbours are gathered in threadgroups that end inside a SIMD-group.
    ("weighs_neighbours", "gathers", r"call .*@llvm\.masked\.gather", "7", ""),
    # Factors go from memory to rows of floats; brought to lanes and back first, and as bfloats, they took
    # minutes where there are many.
    ("multiplies_bfloats", "permutations by lanes", r"= shufflevector <32 x (?:i16|bfloat)>.*<32 x i32>", "0", "x86-64"),
    ("multiplies_bfloats", "permutations, which transpose", r"= shufflevector <32 x (?:i16|bfloat)>", "4", ""),
    ("multiplies_bfloats", "bfloats that are moved as such", r"(?:load|shufflevector) <\d+ x bfloat>", "0", "x86-64"),
    ("weighs_neighbours", "sums of threads together", r"= fadd .*<\d+ x float>", "+1", "x86-64"),
    # Text that is called often is compiled once: 64 times as much took minutes.
    ("calls_from_many_places", "products", r"= mul ", "400", "x86-64"),
    # A loop that may end early is unrolled, too.
    ("sums_over_groups", "gathers", r"call .*@llvm\.masked\.gather", "0", ""),
    # Loops in loops were unrolled one after the other, to 186000 lines.
    ("multiplies_in_a_field", "lines", r"\n", "9000", "x86-64"),
]


def compile_kernel(kernel, target):
    environment = dict(os.environ)
    if target:
        environment["ARCBOX_TARGET"] = target
    with tempfile.TemporaryDirectory() as folder:
        code = environment["ARCBOX_CODEGEN_VERBOSE"] = os.path.join(folder, "code.ll")
        subprocess.run([tool, "-q", "--target", "host", "--kernel", kernel, source], check=True,
                       env=environment)
        return open(code).read()


failed = 0
for kernel, what, pattern, allowed, target in CASES:
    text = compile_kernel(kernel, target)
    count = len(re.findall(pattern, text))
    print(f"{kernel}: {count} {what}, {allowed} {'or more wanted' if allowed[0] == '+' else 'allowed'}")
    failed += "define" not in text or (count < int(allowed) if allowed[0] == "+" else count > int(allowed))

# Sums go on over a loop's barriers as multiply-adds left them. (Where a threadgroup ends inside a SIMD-group
# they are chosen from, and permuted.)
permuted = []
for block in re.split(r"\n\n", compile_kernel("carries_sums", "x86-64")):
    sums = set(re.findall(r"(%\d+) = .*@llvm\.fma\.v", block))
    if len(sums) > 100:
        permuted.append(sum(any(v in sums for v in re.findall(r"%\d+", l)) for l in block.splitlines() if "= shufflevector" in l))
print(f"carries_sums: {permuted} permutations of sums in a turn, one of them 0 wanted")
failed += 0 not in permuted
sys.exit(failed != 0)
