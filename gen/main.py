#!/usr/bin/env python3
"""gen: api/*.xml in, one generated file out.

    gen/main.py OUTPUT-KIND -o FILE api/wire.xml api/metal.xml ...

Exit status 1 and `file:line: why` on bad input; then no output is written."""

import argparse
import os
import sys

import emit_decode
import emit_wire
import source
import wire_model

WIRE_KINDS = {
    'records': emit_wire.records_header,
    'encode': emit_wire.encode_header,
    'decode': emit_decode.decode_header,
    'trace-header': emit_decode.trace_header,
    'trace-source': emit_decode.trace_source,
    'dictionary': emit_decode.fuzz_dictionary,
}


def main():
    parser = argparse.ArgumentParser(description='generates code from api/*.xml')
    parser.add_argument('kind', choices=sorted(WIRE_KINDS))
    parser.add_argument('-o', dest='output', required=True)
    parser.add_argument('inputs', nargs='+')
    options = parser.parse_args()
    try:
        roots = [source.read(p, os.path.basename(p)) for p in options.inputs]
        text = WIRE_KINDS[options.kind](wire_model.read_wire(roots))
    except source.Refused as e:
        print(e, file=sys.stderr)
        return 1
    with open(options.output, 'w', encoding='utf-8') as f:
        f.write(text)
    return 0


if __name__ == '__main__':
    sys.exit(main())
