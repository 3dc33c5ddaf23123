"""classes_gen.{h,c}: whole classes that only keep values (descriptors), protocols, string constants."""

from emit_methods import table_names
from emit_wire import BANNER, guard


def sorted_classes(api):
    """Generated classes, superclasses first."""
    done, result = set(), []

    def visit(cls):
        if cls.name in done:
            return
        done.add(cls.name)
        if cls.super in api.types.classes:
            visit(api.types.classes[cls.super])
        if cls.generated:
            result.append(cls)

    for cls in api.classes():
        visit(cls)
    return result


def inherits_generated(cls, api):
    parent = api.types.classes.get(cls.super)
    return parent if parent and parent.generated else None


def field_type(p, api):
    return 'BOOL' if api.types.c(p.type) == 'BOOL' else api.types.c(p.type)


def classes_header(api):
    out = ['#include "metal_types_gen.h"\n\n'
           '/* Instances of the classes gen/ writes. C code may read and set fields of an object it made or\n'
           ' * was given; objects in them are retained (or copied where api/ says copy="yes"). */\n\n']
    for cls in sorted_classes(api):
        parent = inherits_generated(cls, api)
        out.append(f'ABX_OBJC_CLASS_EXTERN({cls.name})\n')
        out.append(f'struct {cls.name} {{\n')
        out.append(f'    struct {parent.name} super;\n' if parent else '    Class isa;\n')
        if cls.kind == 'array':
            out.append(f'    id items[{cls.count}]; /* nil: never asked for */\n')
        for p in cls.stored():
            out.append(f'    {field_type(p, api)} {p.name};\n')
        out.append('};\n\n')
    for c in api.constants:
        if 'text' in c.node.attributes:
            out.append(f'ABX_EXPORT extern id {c.name};\n')
    return guard('ABX_CLASSES_GEN_H', 'The classes that only keep values.', ''.join(out))


def cast(cls):
    return f'((struct {cls.name} *)self)'


def getter(p, cls, api):
    result = api.types.c(p.type, returned=True)
    gap = '' if result.endswith('*') else ' '
    head = f'static {result}{gap}{cls.name}_{p.getter_name}(id self, SEL _cmd)\n{{\n'
    if p.storage == 'bits':
        value = f'({cast(cls)}->{p.field} >> {p.shift}) & {hex((1 << p.width) - 1)}'
    elif p.storage == 'switch':
        value = f'{cast(cls)}->{p.field} == {p.on}'
    else:
        value = f'{cast(cls)}->{p.name}'
    return head + f'    return {value};\n}}\n\n'


def setter(m, cls, api):
    p = m.property
    c = api.types.c(p.type)
    gap = '' if c.endswith('*') else ' '
    out = f'static void {m.function}(id self, SEL _cmd, {c}{gap}value)\n{{\n'
    o = f'    struct {cls.name} *o = (struct {cls.name} *)self;\n\n'
    if p.storage == 'bits':
        mask = hex(((1 << p.width) - 1) << p.shift)
        out += o + f'    o->{p.field} = (o->{p.field} & ~{mask}ul) | ((value << {p.shift}) & {mask}ul);\n'
    elif p.storage == 'switch':
        out += o + f'    o->{p.field} = value ? {p.on} : {p.off};\n'
    elif c == 'id':
        out += o + f'    set_object(&o->{p.name}, {"copy" if p.copy else "objc_retain"}(value));\n'
    elif c == 'BOOL':
        out += o + f'    o->{p.name} = value != 0;\n'
    else:
        out += o + f'    o->{p.name} = value;\n'
    return out + '}\n\n'


def copy_fields(cls, api):
    """Fills `to`, a fresh object, from `from`."""
    parent = inherits_generated(cls, api)
    out = f'static void {cls.name}_fill(id to_object, id from_object)\n{{\n'
    body = ''
    if parent:
        body += f'    {parent.name}_fill(to_object, from_object);\n'
    if cls.kind == 'array':
        body += (f'    for (unsigned i = 0; i < {cls.count}; i++)\n'
                 '        set_object(&to->items[i], copy(from->items[i]));\n')
    for p in cls.stored():
        if field_type(p, api) == 'id':
            how = 'copy' if p.copy or p.storage == 'owned' else 'objc_retain'
            body += f'    set_object(&to->{p.name}, {how}(from->{p.name}));\n'
        else:
            body += f'    to->{p.name} = from->{p.name};\n'
    if 'to->' in body:
        out += (f'    struct {cls.name} *to = (struct {cls.name} *)to_object;\n'
                f'    const struct {cls.name} *from = (const struct {cls.name} *)from_object;\n\n')
    return out + body + '}\n\n'


def life(cls, api):
    """init, dealloc, copyWithZone: and their kin. Returns (code, method rows, class method rows)."""
    n, code, rows, class_rows = cls.name, '', [], []
    own = cls.stored()
    defaults = [p for p in own if p.default is not None or p.storage == 'owned']
    if defaults:
        code += (f'static id {n}_init(id self, SEL _cmd)\n{{\n    struct {n} *o;\n\n'
                 f'    self = abx_objc_super(self, ABX_CLASS({n}), _cmd);\n    if (!self)\n'
                 f'        return NULL;\n    o = (struct {n} *)self;\n')
        for p in defaults:
            if p.storage == 'owned':
                value = f'ABX_MSG(id, (Class, SEL), ABX_CLASS({p.type.name}), "new")'
            else:
                value = f'({api.types.c(p.type)}){p.default}'
            code += f'    o->{p.name} = {value};\n'
        code += '    return self;\n}\n\n'
        rows.append(f'    {{"init", "@@:", {n}_init}},\n')
    objects = [f'o->{p.name}' for p in own if field_type(p, api) == 'id']
    if objects or cls.kind == 'array':
        code += (f'static void {n}_dealloc(id self, SEL _cmd)\n{{\n'
                 f'    struct {n} *o = (struct {n} *)self;\n\n')
        if cls.kind == 'array':
            code += (f'    for (unsigned i = 0; i < {cls.count}; i++)\n'
                     '        objc_release(o->items[i]);\n')
        code += ''.join(f'    objc_release({o});\n' for o in objects)
        code += f'    abx_objc_dealloc_super(self, ABX_CLASS({n}));\n}}\n\n'
        rows.append(f'    {{"dealloc", "v@:", {n}_dealloc}},\n')
    if 'NSCopying' in cls.conforms or cls.kind == 'array':
        code += (f'static id {n}_copyWithZone_(id self, SEL _cmd, void *zone)\n{{\n'
                 '    id to = ABX_MSG(id, (Class, SEL), object_getClass(self), "new");\n\n'
                 f'    if (to)\n        {n}_fill(to, self);\n    return to;\n}}\n\n')
        rows.append(f'    {{"copyWithZone:", "@@:^{{_NSZone=}}", {n}_copyWithZone_}},\n')
    for m in cls.methods:
        if m.storage == 'new':
            code += (f'static id {m.function}(Class self, SEL _cmd)\n{{\n'
                     '    return objc_autorelease(ABX_MSG(id, (Class, SEL), self, "new"));\n}\n\n')
            class_rows.append(f'    {{"{m.selector}", "@@:", {m.function}}},\n')
        elif m.storage == 'reset':
            code += (f'static void {m.function}(id self, SEL _cmd)\n{{\n'
                     '    id fresh = ABX_MSG(id, (Class, SEL), object_getClass(self), "new");\n\n'
                     f'    if (fresh)\n        {n}_fill(self, fresh);\n    objc_release(fresh);\n}}\n\n')
            rows.append(f'    {{"{m.selector}", "v@:", {m.function}}},\n')
    return code, rows, class_rows


def array_accessors(cls):
    n = cls.name
    code = f'''static id {n}_objectAtIndexedSubscript_(id self, SEL _cmd, NSUInteger index)
{{
    return array_get({cast(cls)}->items, {cls.count}, index, "{n}", ABX_CLASS({cls.of}));
}}

static void {n}_setObject_atIndexedSubscript_(id self, SEL _cmd, id object, NSUInteger index)
{{
    array_set({cast(cls)}->items, {cls.count}, index, "{n}", object);
}}

'''
    rows = [f'    {{"objectAtIndexedSubscript:", "@@:Q", {n}_objectAtIndexedSubscript_}},\n',
            f'    {{"setObject:atIndexedSubscript:", "v@:@Q", {n}_setObject_atIndexedSubscript_}},\n']
    return code, rows


TOP = '''#include "classes_gen.h"

#include "foundation/foundation.h"
#include "methods_gen.h"

/* Takes over `value`'s reference. */
static inline void set_object(id *field, id value)
{
    id old = *field;

    *field = value;
    objc_release(old);
}

static inline id copy(id object)
{
    return object ? ABX_MSG(id, (id, SEL), object, "copy") : NULL;
}

static inline id array_get(id *items, NSUInteger count, NSUInteger index, const char *name, Class cls)
{
    if (index >= count)
        abx_ns_raise_range("-[%s objectAtIndexedSubscript:]: index %lu is past %lu", name, index, count - 1);
    if (!items[index])
        items[index] = ABX_MSG(id, (Class, SEL), cls, "new");
    return items[index];
}

/* As Apple's arrays do: keeps a copy; nil puts the default back. */
static inline void array_set(id *items, NSUInteger count, NSUInteger index, const char *name, id object)
{
    if (index >= count)
        abx_ns_raise_range("-[%s setObject:atIndexedSubscript:]: index %lu is past %lu", name, index, count - 1);
    set_object(&items[index], copy(object));
}

'''


def one_class(cls, api):
    """Returns (definitions, the statements that register the class)."""
    n = cls.name
    code = f'/* ---- {n} */\nABX_OBJC_CLASS({n})\n\n'
    rows = []
    for m in cls.methods:
        p = m.property
        if p and p.storage:
            code += setter(m, cls, api) if m.arguments else getter(p, cls, api)
            rows.append(f'    {{"{m.selector}", "{m.encoding(api.types)}", {m.function}}},\n')
    if cls.kind == 'array':
        more, more_rows = array_accessors(cls)
        code, rows = code + more, rows + more_rows
    resets = any(m.storage == 'reset' for m in cls.methods)
    family = {cls.name} | {c.name for c in api.classes() if c.super == cls.name}
    copied = any('NSCopying' in api.types.classes[name].conforms for name in family)
    if copied or cls.kind == 'array' or resets:
        code += copy_fields(cls, api)
    more, life_rows, class_rows = life(cls, api)
    code, rows = code + more, rows + life_rows
    if rows:
        code += (f'static const struct abx_objc_method {n}_generated[] = {{\n' + ''.join(rows)
                 + '    {NULL},\n};\n')
    if class_rows:
        code += (f'static const struct abx_objc_method {n}_generated_class[] = {{\n'
                 + ''.join(class_rows) + '    {NULL},\n};\n')
    protocols = ''.join(f'"{p}", ' for p in cls.conforms)
    define = (f'    abx_objc_define_class(&(struct abx_objc_class_spec){{\n'
              f'            ABX_OBJC_CLASS_STORAGE({n}),\n'
              f'            .superclass = ABX_CLASS({cls.super}),\n'
              f'            .instance_size = sizeof(struct {n}),\n')
    if rows:
        define += f'            .instance_methods = {n}_generated,\n'
    if class_rows:
        define += f'            .class_methods = {n}_generated_class,\n'
    if protocols:
        code += f'static const char *const {n}_conforms[] = {{{protocols}NULL}};\n'
        define += f'            .protocols = {n}_conforms,\n'
    define += '    });\n'
    hand = dict(table_names(cls, api))
    if hand:
        tables = [f'{n}_{s}' if s in hand else 'NULL' for s in ('methods', 'class_methods')]
        define += f'    abx_objc_add_methods(ABX_CLASS({n}), {tables[0]}, {tables[1]});\n'
    return code + '\n', define


def protocols_source(api):
    out = []
    for cls in api.classes():
        if cls.kind == 'protocol':
            parents = ''.join(f'"{p}", ' for p in cls.conforms)
            out.append(f'    static const char *const {cls.name}_parents[] = {{{parents}NULL}};\n'
                       f'    abx_objc_define_protocol("{cls.name}", {cls.name}_parents);\n')
    return ''.join(out)


def classes_source(api):
    out = [BANNER.format('The classes that only keep values.'), TOP]
    defines = []
    for cls in sorted_classes(api):
        code, define = one_class(cls, api)
        out.append(code)
        defines.append(define)
    texts = [c for c in api.constants if 'text' in c.node.attributes]
    out += [f'id {c.name};\n' for c in texts]
    out.append('\n/* After the runtime (101) and Foundation (102), before any client. */\n'
               '__attribute__((constructor(103))) static void define_classes(void)\n{\n')
    out.append(protocols_source(api))
    out += defines
    out += [f'    {c.name} = abx_ns_string_constant("{c.node.get("text")}");\n' for c in texts]
    out.append('}\n')
    return ''.join(out)
