#!/usr/bin/env python3
"""gen's own tests: golden outputs, bad input refused at its line, a complete support page.

    generator_test.py SOURCE-ROOT [--accept]

--accept writes the golden files anew, for a person to read in the diff."""

import os
import re
import subprocess
import sys
import tempfile
import unittest

ROOT = sys.argv[1]
ACCEPT = '--accept' in sys.argv
GEN = os.path.join(ROOT, 'gen', 'main.py')
GOLDEN = os.path.join(ROOT, 'tests', 'gen', 'golden')
SAMPLES = [os.path.join(GOLDEN, n) for n in ('sample.xml', 'sample_class.xml')]
API = [os.path.join(ROOT, 'api', n) for n in sorted(os.listdir(os.path.join(ROOT, 'api')))
       if n.endswith('.xml')]
FOUNDATION = os.path.join(ROOT, 'api', 'foundation.tsv')
CLIENTS = os.path.join(ROOT, 'api', 'clients.tsv')

WIRE = '<protocol name="p">\n{}\n</protocol>\n'
CLASS = '<framework name="F">\n<header name="A.h">\n{}\n</header>\n</framework>\n'
RECORD = '<record name="a" op="1">\n{}\n</record>'

# (what is wrong, the input, its line, a word of the complaint)
BAD = [
    ('no XML', '<protocol', 1, 'unclosed token'),
    ('an op twice', WIRE.format('<record name="a" op="1"/>\n<record name="b" op="1"/>'), 3, 'taken by a'),
    ('a name twice', WIRE.format('<record name="a" op="1"/>\n<record name="a" op="2"/>'), 3, 'defined at'),
    ('a retired op', WIRE.format('<retired op="1" was="old"/>\n<record name="a" op="1"/>'), 3, 'never reused'),
    ('an op too big', WIRE.format('<record name="a" op="65536"/>'), 2, '16 bits'),
    ('an unknown attribute', WIRE.format('<record name="a" op="1" maximum="3"/>'), 2, 'maximum'),
    ('an unknown type', WIRE.format(RECORD.format('<field name="x" type="u24"/>')), 3, 'u24'),
    ('a hole', WIRE.format(RECORD.format('<field name="x" type="u32"/>\n<field name="y" type="u64"/>')),
     4, 'multiple of 8'),
    ('a size not of 8', WIRE.format(RECORD.format('<field name="x" type="u32"/>')), 2, 'multiple of 8'),
    ('a field twice', WIRE.format(RECORD.format(
        '<field name="x" type="u32"/>\n<field name="x" type="u32"/>')), 4, 'twice'),
    ('a limit past its type', WIRE.format(RECORD.format('<field name="x" type="u8" max="256"/>')), 3, 'fit'),
    ('bytes not last', WIRE.format(RECORD.format(
        '<field name="n" type="u64" max="8"/>\n<field name="d" type="bytes" length="n"/>\n'
        '<field name="x" type="u64"/>')), 4, 'last'),
    ('bytes without a cap', WIRE.format(RECORD.format(
        '<field name="n" type="u64"/>\n<field name="d" type="bytes" length="n"/>')), 3, 'max'),
    ('bytes past the record cap', WIRE.format(RECORD.format(
        '<field name="n" type="u64" max="9000"/>\n<field name="d" type="bytes" length="n"/>')), 2, '8192'),
    ('an array of nothing', WIRE.format(RECORD.format(
        '<field name="n" type="u64" max="1"/>\n<field name="d" type="array" of="q" count="n"/>')), 4, '"q"'),
    ('a wrong context', WIRE.format('<record name="a" op="300" in="kitchen"/>'), 2, 'kitchen'),
    ('a handle of nothing', WIRE.format(RECORD.format('<field name="h" type="handle"/>')), 3, 'of='),
    ('a range of no buffer', WIRE.format(RECORD.format(
        '<field name="x" type="u64" within="y" extent="8"/>')), 3, 'names a buffer'),
    ('a range of no length', WIRE.format(RECORD.format(
        '<field name="b" type="handle" of="buffer"/>\n<field name="x" type="u64" within="b" extent="n"/>')),
     4, 'extent'),
    ('half a range', WIRE.format(RECORD.format('<field name="x" type="u64" extent="8"/>')), 3, 'together'),
    ('not a power of two', WIRE.format(RECORD.format('<field name="x" type="u64" multiple="3"/>')), 3, 'power'),
    ('an unknown argument type', CLASS.format(
        '<class name="A" kind="protocol" status="works">\n<method selector="x:" returns="void" '
        'args="Foo y"/>\n</class>'), 4, 'Foo'),
    ('too few arguments', CLASS.format(
        '<class name="A" kind="protocol" status="works">\n<method selector="x:y:" returns="void" '
        'args="BOOL y"/>\n</class>'), 4, 'takes 2'),
    ('a selector twice', CLASS.format(
        '<class name="A" kind="protocol" status="works">\n<method selector="x" returns="void"/>\n'
        '<property name="x" type="BOOL" readonly="yes"/>\n</class>'), 5, 'defined at'),
    ('a status nobody knows', CLASS.format('<class name="A" kind="protocol" status="soon"/>'), 3, 'soon'),
    ('partly without saying how', CLASS.format(
        '<class name="A" kind="protocol" status="works">\n<method selector="x" returns="void" '
        'status="partly"/>\n</class>'), 4, 'note'),
    ('a class twice', CLASS.format('<class name="A" kind="protocol" status="no"/>\n'
                                   '<class name="A" kind="concrete" status="no"/>'), 4, 'defined at'),
    ('an enum value twice', CLASS.format('<enum name="E" values="A=1 A=2"/>'), 3, 'twice'),
    ('a protocol nobody defines', CLASS.format(
        '<class name="A" kind="protocol" conforms="B" status="no"/>'), 3, '"B"'),
]


def gen(kind, output, inputs, *more):
    return subprocess.run([sys.executable, '-B', GEN, kind, '-o', output, *more, *inputs],
                          capture_output=True, text=True)


class Golden(unittest.TestCase):
    def compare(self, kind, name):
        golden = os.path.join(GOLDEN, name)
        with tempfile.TemporaryDirectory() as folder:
            output = os.path.join(folder, name)
            done = gen(kind, output, SAMPLES)
            self.assertEqual(done.returncode, 0, done.stderr)
            with open(output) as f:
                got = f.read()
        if ACCEPT:
            with open(golden, 'w') as f:
                f.write(got)
        with open(golden) as f:
            self.assertMultiLineEqual(f.read(), got, f'{kind} differs: read it, then --accept')

    def test_wire(self):
        for kind in ('records', 'encode', 'decode', 'trace-source', 'dictionary'):
            with self.subTest(kind):
                self.compare(kind, f'{kind}.golden')

    def test_classes(self):
        for kind in ('types', 'methods-header', 'methods-source', 'classes-header', 'classes-source',
                     'encodings-expected'):
            with self.subTest(kind):
                self.compare(kind, f'{kind}.golden')


class BadInput(unittest.TestCase):
    def test_refused_at_its_line(self):
        for what, text, line, word in BAD:
            with self.subTest(what), tempfile.TemporaryDirectory() as folder:
                path, output = os.path.join(folder, 'bad.xml'), os.path.join(folder, 'out')
                with open(path, 'w') as f:
                    f.write(text)
                done = gen('records', output, [path])
                self.assertEqual(done.returncode, 1, done.stderr)
                self.assertRegex(done.stderr, rf'^bad\.xml:{line}: ')
                self.assertIn(word, done.stderr)
                self.assertFalse(os.path.exists(output))


class Support(unittest.TestCase):
    def test_every_row_is_there(self):
        with tempfile.TemporaryDirectory() as folder:
            output = os.path.join(folder, 'support.md')
            done = gen('support', output, API, '--clients', CLIENTS, '--foundation', FOUNDATION)
            self.assertEqual(done.returncode, 0, done.stderr)
            with open(output) as f:
                page = f.read()
        section, found = None, set()
        for line in page.splitlines():
            head = re.match(r'## (\w+) \(', line)
            row = re.match(r'\| `(\S+)` \| (works|partly|not yet)(: .+)? \| (\w+) \|$', line)
            section = head[1] if head else section
            if row:
                found.add((section, row[1], row[4]))
        with open(CLIENTS) as f:
            wanted = {tuple(line.rstrip('\n').split('\t')[1:]) for line in f.readlines()[1:]}
        self.assertEqual(wanted - found, set())
        self.assertGreater(len(wanted), 600)


if __name__ == '__main__':
    unittest.main(argv=sys.argv[:1])
