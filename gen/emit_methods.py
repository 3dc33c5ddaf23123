"""methods_gen.{h,c} and metal_types_gen.h: what the C modules that implement Metal's classes see."""

from emit_wire import BANNER, guard


def types_header(api):
    """Enums and structs in plain C, for gcc as well as clang."""
    out = ['#include "objc/objc_internal.h"\n\n'
           '#ifndef ABX_NSRANGE\n#define ABX_NSRANGE\n'
           'typedef struct _NSRange {\n    NSUInteger location, length;\n} NSRange;\n#endif\n\n']
    for header in api.headers:
        for item in header.items:
            if item.tag == 'enum':
                out.append(f'typedef {item.base} {item.name};\nenum {{\n')
                sign = '' if item.base == 'NSInteger' else 'ul'
                out += [f'    {n} = {hex(v) if v > 1 << 31 else v}{sign},\n' for n, v in item.values]
                out.append('};\n')
    # Structs hold only scalars, enums and earlier structs: the model's order serves.
    for s in api.types.structs.values():
        out.append(f'typedef struct{" " + s.struct_tag if s.struct_tag else ""} {{\n')
        for t, name, count in s.fields:
            out.append(f'    {api.types.c(t)} {name}{f"[{count}]" if count else ""};\n')
        out.append(f'}} {s.name};\n')
    return guard('ABX_METAL_TYPES_GEN_H', "Metal's enums and structs.", ''.join(out))


def declaration(method, types, prefix=''):
    result = types.c(method.returns, returned=True)
    args = ''.join(f', {types.c(t)} {n}'.replace('* ', '*') for t, n, _ in method.arguments)
    gap = '' if result.endswith('*') else ' '
    return f'{prefix}{result}{gap}{method.function}(id self, SEL _cmd{args})'


def is_error_pointer(t):
    return t.kind == 'pointer' and t.of.kind == 'class' and t.of.name == 'NSError'


def hand_written(cls):
    """Methods whose functions a person writes."""
    for m in cls.methods:
        storage = m.property.storage if m.property else m.storage
        if m.exists and not storage and (cls.kind != 'array'):
            yield m


def table_names(cls, api):
    """(suffix, methods) of the non-empty tables of the functions written by hand."""
    methods = list(hand_written(cls))
    for suffix, wanted in (('methods', False), ('class_methods', True)):
        chosen = [m for m in methods if m.class_method == wanted]
        if chosen:
            yield suffix, chosen


def methods_header(api):
    out = ['#include "metal_types_gen.h"\n\n'
           '/* One function a method that api/ says works; and a table of them a class. Objects are id,\n'
           ' * blocks too. A method marked as working without a function is a link error. Classes with\n'
           ' * stored properties are written by gen/ (classes_gen.h) and take in their table. */\n\n']
    for cls in api.classes():
        tables = list(table_names(cls, api))
        if not tables:
            continue
        out.append(f'/* ---- {cls.name}: {cls.prose} */\n')
        for suffix, methods in tables:
            for m in methods:
                mark = '/* + */ ' if m.class_method else ''
                out.append(declaration(m, api.types, mark) + ';\n')
        for suffix, methods in tables:
            out.append(f'extern const struct abx_objc_method {cls.name}_{suffix}[];\n')
        out.append('\n')
    return guard('ABX_METHODS_GEN_H', "The functions behind Metal's selectors.", ''.join(out))


def clearing(m, types):
    """(the function that a program's message reaches, its text). Where there is an NSError to write, it is
    nil after a success: programs look at it alone, and leave it as the stack has it before the call."""
    errors = [name for t, name, _ in m.arguments if is_error_pointer(t)]
    if not errors:
        return m.function, ''
    name = f'clearing_{m.function}'
    head = declaration(m, types, 'static ').replace(m.function + '(', name + '(', 1)
    arguments = ', '.join(['self', '_cmd'] + [name for _, name, _ in m.arguments])
    gives = '' if types.c(m.returns, returned=True) == 'void' else 'return '
    cleared = ''.join(f'    if ({e})\n        *{e} = NULL;\n' for e in errors)
    return name, f'\n{head}\n{{\n{cleared}    {gives}{m.function}({arguments});\n}}\n'


def methods_source(api):
    out = [BANNER.format("The selector tables of Metal's classes."), '#include "methods_gen.h"\n']
    for cls in api.classes():
        for suffix, methods in table_names(cls, api):
            rows = []
            for m in methods:
                function, text = clearing(m, api.types)
                out.append(text)
                rows.append(f'    {{"{m.selector}", "{m.encoding(api.types)}", {function}}},\n')
            out.append(f'\nconst struct abx_objc_method {cls.name}_{suffix}[] = {{\n' + ''.join(rows)
                       + '    {NULL},\n};\n')
    return ''.join(out)
