"""absent_gen.c: what api/ declares and says is not there, for src/metal/metal_absent.c: functions that
say so (an NSError, a handler called, a line in the log) and give nil, 0 or nothing."""

from emit_methods import declaration, is_error_pointer
from emit_wire import BANNER

TOP = '''#include "metal/metal_absent.h"

'''


def absent(cls):
    for m in cls.methods:
        storage = m.property.storage if m.property else m.storage
        if not m.exists and not storage:
            yield m


def handler(t, types):
    """The arguments of a block that is told the outcome, or None."""
    block = types.blocks.get(t.name) if t.kind == 'block' else None
    if not block or not block.arguments or block.arguments[-1][0].name != 'NSError':
        return None
    return block.arguments


def body(m, cls, types):
    sign = '+' if m.class_method else '-'
    error, calls = 'NULL', ''
    for t, name, _ in m.arguments:
        if is_error_pointer(t):
            error = name
        elif handler(t, types):
            arguments = handler(t, types)
            kinds = ', '.join(types.c(a) for a, _, _ in arguments)
            nothing = ''.join('NULL, ' for _ in arguments[:-1])
            calls += (f'    if ({name})\n        ABX_BLOCK_CALL(void, (void *, {kinds}), {name}, '
                      f'{nothing}abx_metal_absent_error(what));\n')
    out = (f'    static const char what[] = "{sign}[{cls.name} {m.selector}]";\n'
           '    static _Atomic bool said;\n'
           f'    abx_metal_absent_say(what, &said, {error});\n{calls}')
    result = types.c(m.returns, returned=True)
    return out + ('' if result == 'void' else f'    return ({result}){{0}};\n')


def absent_source(api):
    out = [BANNER.format('What Metal declares and is not there.'), TOP]
    rows = []
    for cls in api.classes():
        tables = []
        for suffix, wanted in (('absent', False), ('absent_class', True)):
            methods = [m for m in absent(cls) if m.class_method == wanted]
            if not methods:
                tables.append('NULL')
                continue
            table = []
            for m in methods:
                name = f'absent_{m.function}'
                head = declaration(m, api.types, 'static ').replace(m.function + '(', name + '(', 1)
                out.append(f'{head}\n{{\n{body(m, cls, api.types)}}}\n\n')
                table.append(f'    {{"{m.selector}", "{m.encoding(api.types)}", {name}}},\n')
            out.append(f'static const struct abx_objc_method {cls.name}_{suffix}[] = {{\n'
                       + ''.join(table) + '    {NULL},\n};\n\n')
            tables.append(f'{cls.name}_{suffix}')
        if tables != ['NULL', 'NULL']:
            hidden = '_' if cls.kind == 'protocol' else ''
            rows.append(f'    {{"{hidden}{cls.name}", {tables[0]}, {tables[1]}}},\n')
    out.append('const struct abx_metal_absent abx_metal_absents[] = {\n' + ''.join(rows)
               + '    {NULL},\n};\n')
    return ''.join(out)
