#!/usr/bin/env python3
"""Compares every encoding of the model with what clang makes of the generated headers.

    encodings_test.py CLANG GEN-MAIN INCLUDE-FOLDER STUB-FOLDER api/*.xml"""

import os
import re
import subprocess
import sys
import tempfile

FLAGS = ['-fobjc-runtime=macosx-14.0', '-fblocks', '-fobjc-arc', '-S', '-emit-llvm', '-o', '-',
         '-Wall', '-Werror', '-Wno-nullability-completeness', '-nostdinc']


def compiled(clang, target, folders, path):
    command = [clang, '-x', 'objective-c', f'--target={target}', *FLAGS]
    command += [f'-I{f}' for f in folders] + [path]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def strings(ir):
    pattern = r'@(OBJC_METH_VAR_(?:NAME|TYPE)_[.\d]*) = .*? c"(.*?)\\00"'
    return {n: t.replace('\\22', '"') for n, t in re.findall(pattern, ir)}


def methods(ir):
    """{(protocol, sign): {selector: encoding}} of the metadata."""
    names, result = strings(ir), {}
    pattern = r'@"?_OBJC_\$_PROTOCOL_(INSTANCE|CLASS)_METHODS_(\w+)"? = (.*)'
    for kind, protocol, body in re.findall(pattern, ir):
        entries = re.findall(r'_objc_method \{ ptr @([\w.]+), ptr @([\w.]+)', body)
        key = (protocol.removeprefix('Check_'), '-' if kind == 'INSTANCE' else '+')
        result.setdefault(key, {}).update((names[a], names[b]) for a, b in entries)
    return result


def without_offsets(encoding):
    """Frame offsets follow each type; numbers inside brackets and braces stay."""
    out, depth = '', 0
    for c in encoding:
        depth += (c in '{[(') - (c in '}])')
        if not (c.isdigit() and depth == 0):
            out += c
    return out


def use_headers(clang, folders, path):
    """Clients' ways with the headers, in both languages, with and without ARC."""
    for language in ('objective-c', 'objective-c++'):
        for arc in ('-fobjc-arc', '-fno-objc-arc'):
            subprocess.run([clang, '-x', language, arc, *FLAGS, *(f'-I{f}' for f in folders), path],
                           check=True, capture_output=True, text=True)


def import_each(clang, folders):
    """A header that a program imports alone brings the framework along."""
    use = {'Metal': 'NSUInteger use(id<MTLComputePipelineState> p) { return p.threadExecutionWidth; }',
           'MetalPerformanceShaders': 'NSUInteger use(MPSMatrix *m, id<MTLBuffer> b) { return m.rows + b.length; }'}
    for framework, source in use.items():
        names = [n for n in os.listdir(os.path.join(folders[-1], framework)) if n != 'MTLDefines.h']
        assert len(names) > 3, names
        for name in names:
            subprocess.run([clang, '-x', 'objective-c', *FLAGS, *(f'-I{f}' for f in folders), '-fsyntax-only', '-'],
                           input=f'#import <{framework}/{name}>\n{source}\n', check=True, capture_output=True, text=True)


def check(expected, found, boolean):
    wrong = 0
    for line in expected:
        cls, sign, selector, encoding = line.split(' ', 3)
        got = found.get((cls, sign), {}).get(selector)
        want = encoding.replace('B', boolean)
        if got is None or without_offsets(got) != want:
            print(f'{sign}[{cls} {selector}]: we say {want}, clang says {got}')
            wrong += 1
    return wrong


def main():
    clang, gen, include, stub, *xml = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        def make(kind, name):
            path = os.path.join(folder, name)
            subprocess.run([sys.executable, '-B', gen, kind, '-o', path, *xml], check=True)
            return path

        source = make('encodings-source', 'all.m')
        with open(make('encodings-expected', 'expected')) as f:
            expected = f.read().splitlines()
        wrong = 0
        for target, boolean in (('x86_64-linux-gnu', 'c'), ('aarch64-linux-gnu', 'B')):
            ir = compiled(clang, target, [stub, include], source)
            wrong += check(expected, methods(ir), boolean)
        use_headers(clang, [stub, include], os.path.join(os.path.dirname(__file__), 'headers_use.m'))
        import_each(clang, [stub, include])
    print(f'{len(expected)} encodings compared, {wrong} wrong')
    return 1 if wrong or len(expected) < 500 else 0


if __name__ == '__main__':
    try:
        sys.exit(main())
    except subprocess.CalledProcessError as e:
        sys.exit(e.stderr or str(e))
