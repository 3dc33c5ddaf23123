#!/usr/bin/env python3
"""gen: api/*.xml in, generated files out.

    gen/main.py KIND -o FILE api/wire.xml api/metal.xml ...

Files whose root is <protocol> describe the wire, those with <framework> the classes. Exit status 1
and `file:line: why` on bad input; then no output is written."""

import argparse
import os
import sys

import emit_absent
import emit_classes
import emit_decode
import emit_headers
import emit_methods
import emit_support
import emit_wire
import objc_model
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
API_KINDS = {
    'absent-source': emit_absent.absent_source,
    'types': emit_methods.types_header,
    'methods-header': emit_methods.methods_header,
    'methods-source': emit_methods.methods_source,
    'classes-header': emit_classes.classes_header,
    'classes-source': emit_classes.classes_source,
    'encodings-source': emit_headers.encodings_source,
    'encodings-expected': emit_headers.encodings_expected,
    'status': emit_support.status_list,
}


def model(paths):
    roots = [source.read(p, os.path.basename(p)) for p in paths]
    wire = wire_model.read_wire([r for r in roots if r.tag != 'framework'])
    api = objc_model.read_api([r for r in roots if r.tag == 'framework'])
    if api.headers:
        for f in (f for r in wire.records for f in r.fields if f.enum):
            if f.enum not in api.types.enums:
                f.node.refuse(f'no enum "{f.enum}"')
    return wire, api


def write(path, text):
    with open(path, 'w', encoding='utf-8') as f:
        f.write(text)


def write_headers(api, framework, folder, expected):
    """Meson must know the names beforehand: a header it does not know is refused, not lost."""
    files = emit_headers.all_headers(api, framework)
    if expected is not None and set(expected) != set(files):
        wrong = ', '.join(sorted(set(expected) ^ set(files)))
        raise source.Refused(f'include/{framework}/meson.build', f'its list of headers differs: {wrong}')
    for name, text in files.items():
        write(os.path.join(folder, name), text)


def main():
    kinds = sorted(WIRE_KINDS) + sorted(API_KINDS) + ['headers', 'support']
    parser = argparse.ArgumentParser(description='generates code from api/*.xml')
    parser.add_argument('kind', choices=kinds)
    parser.add_argument('-o', dest='output', required=True, help='a file; for headers a folder')
    parser.add_argument('--expect', action='append', help='headers: a file name that must come out')
    parser.add_argument('--framework', default='Metal', help='headers: whose')
    parser.add_argument('--clients', help='support: the table of what clients send')
    parser.add_argument('--foundation', help='support: what Foundation answers')
    parser.add_argument('inputs', nargs='+')
    options = parser.parse_args()
    try:
        wire, api = model(options.inputs)
        if options.kind == 'headers':
            write_headers(api, options.framework, options.output, options.expect)
        elif options.kind == 'support':
            write(options.output, emit_support.support_page(
                api, options.clients, options.foundation))
        elif options.kind in WIRE_KINDS:
            write(options.output, WIRE_KINDS[options.kind](wire))
        else:
            write(options.output, API_KINDS[options.kind](api))
    except source.Refused as e:
        print(e, file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
