"""Types as api/ writes them, turned into Objective-C, C and Apple's type encodings.

The notation: `MTLBuffer?` a nullable object, `const void*`, `NSError**`, `const MTLBuffer?[]`,
`NSArray(MTLDevice)`, and the names of scalars, enums, structs and blocks."""

import re

# name: (C spelling, encoding)
SCALARS = {
    'void': ('void', 'v'), 'BOOL': ('BOOL', 'B'), 'float': ('float', 'f'), 'double': ('double', 'd'),
    'char': ('char', 'c'), 'int': ('int', 'i'),
    'uint8_t': ('uint8_t', 'C'), 'uint16_t': ('uint16_t', 'S'), 'uint32_t': ('uint32_t', 'I'),
    'uint64_t': ('uint64_t', 'Q'), 'int32_t': ('int32_t', 'i'), 'int64_t': ('int64_t', 'q'),
    'NSUInteger': ('NSUInteger', 'Q'), 'NSInteger': ('NSInteger', 'q'),
    'CFTimeInterval': ('double', 'd'), 'NSTimeInterval': ('double', 'd'), 'CGFloat': ('double', 'd'),
    'kern_return_t': ('int', 'i'), 'task_id_token_t': ('unsigned', 'I'),
    'SEL': ('SEL', ':'), 'Class': ('Class', '#'),
    'IOSurfaceRef': ('void *', '^{__IOSurface=}'),
    'NSRange': ('NSRange', '{_NSRange=QQ}'),
    'CGSize': ('CGSize', '{CGSize=dd}'),
    'NSZone': ('void', '{_NSZone=}'),
}
# Spelt as they are in Objective-C; objects to the runtime.
OBJECT_NAMES = ('id', 'instancetype', 'dispatch_data_t', 'dispatch_queue_t', 'NSErrorDomain',
                'NSErrorUserInfoKey')
BLOCK_NAMES = ('dispatch_block_t',)
FOUNDATION = ('NSObject', 'NSString', 'NSArray', 'NSDictionary', 'NSSet', 'NSNumber', 'NSError',
              'NSURL', 'NSBundle', 'NSData')
FOUNDATION_PROTOCOLS = ('NSObject', 'NSCopying', 'NSSecureCoding', 'NSMutableCopying')


class Type:
    """kind: scalar, enum, struct, object, class, protocol, block, pointer, array."""

    def __init__(self, kind, name, nullable=False, const=False, of=None, parameters=()):
        self.kind, self.name, self.nullable, self.const = kind, name, nullable, const
        self.of, self.parameters = of, parameters

    @property
    def is_object(self):
        return self.kind in ('object', 'class', 'protocol')

    def walk(self):
        yield self
        if self.of and isinstance(self.of, Type):
            yield from self.of.walk()
        for p in self.parameters:
            yield from p.walk()


def split(text, mark=','):
    """Splits at commas outside parentheses."""
    parts, depth, start = [], 0, 0
    for i, c in enumerate(text):
        depth += (c == '(') - (c == ')')
        if c == mark and depth == 0:
            parts.append(text[start:i].strip())
            start = i + 1
    last = text[start:].strip()
    return parts + [last] if last else parts


class Types:
    """Every name of the model. `where` arguments refuse with the place of the use."""

    def __init__(self):
        self.classes, self.enums, self.structs = {}, {}, {}
        self.blocks, self.typedefs = {}, {}

    def parse(self, text, node):
        text = text.strip()
        const = text.startswith('const ')
        if const:
            text = text[6:].strip()
        if text.endswith('[]'):
            return Type('array', None, const=const, of=self.parse(text[:-2], node))
        nullable = text.endswith('?')
        text = text.rstrip('?').strip()
        if text.endswith('*'):
            inner = text[:-1].strip()
            if inner.endswith('*') and inner[:-1].strip() in self.object_classes():
                inner = inner[:-1]
            return Type('pointer', None, nullable, const, self.parse(inner, node))
        return self.named(text, nullable, const, node)

    def object_classes(self):
        return set(FOUNDATION) | {n for n, c in self.classes.items() if c.kind != 'protocol'}

    def named(self, text, nullable, const, node):
        match = re.fullmatch(r'(\w+)(?:\((.*)\))?', text)
        if not match:
            node.refuse(f'cannot read the type "{text}"')
        name = match[1]
        inner = [self.parse(p, node) for p in split(match[2] or '')]
        for kind, table in (('scalar', SCALARS), ('object', OBJECT_NAMES), ('block', BLOCK_NAMES),
                            ('block', self.blocks), ('enum', self.enums), ('struct', self.structs),
                            ('typedef', self.typedefs), ('class', FOUNDATION)):
            if name in table:
                return Type(kind, name, nullable, const, None, inner)
        if name in self.classes:
            kind = 'protocol' if self.classes[name].kind == 'protocol' else 'class'
            return Type(kind, name, nullable, const, None, inner)
        node.refuse(f'no type "{name}"')

    def parameters(self, text, node):
        """`NSUInteger length, const void* bytes` as [(type, name)]."""
        result = []
        for part in split(text):
            match = re.fullmatch(r'(.*[^\w])(\w+)(?:\[(\d+)\])?', part, re.S)
            if not match:
                node.refuse(f'cannot read "{part}": type and name')
            parsed = self.parse(match[1], node)
            result.append((parsed, match[2], int(match[3]) if match[3] else None))
        return result

    def resolved(self, t):
        if t.kind == 'typedef':
            return self.typedefs[t.name].target
        return t

    # ---- encodings

    def encoding(self, t):
        t = self.resolved(t)
        if t.kind in ('pointer', 'array'):
            inner = self.resolved(t.of)
            const = 'r' if t.const or inner.const else ''
            if inner.kind == 'scalar' and inner.name == 'char':
                return const + '*'
            return const + '^' + self.encoding(inner)
        if t.kind == 'scalar':
            return SCALARS[t.name][1]
        if t.kind == 'enum':
            return SCALARS[self.enums[t.name].base][1]
        if t.kind == 'struct':
            return self.structs[t.name].encoding(self)
        return '@?' if t.kind == 'block' else '@'

    # ---- C, as the modules written in C see it

    def c(self, t, returned=False):
        t = self.resolved(t)
        if t.kind in ('pointer', 'array'):
            inner = self.c(t.of)
            const = 'const ' if t.const and not inner.startswith('const ') else ''
            return f'{const}{inner} *'.replace('* *', '**')
        if t.kind == 'scalar':
            if returned and t.name == 'BOOL':
                return 'abx_objc_bool'
            return SCALARS[t.name][0]
        if t.kind in ('enum', 'struct'):
            return t.name
        return 'id'

    # ---- Objective-C

    def objc(self, t, name='', nullability=True):
        """A declaration of `name` (which may be empty) with nullability spelt the long way."""
        mark = ' _Nullable' if t.nullable and nullability else ''
        if t.kind == 'array':
            inner = self.objc(t.of).strip()
            return f'const {inner} {name}[]' if t.const else f'{inner} {name}[]'
        if t.kind == 'pointer':
            const = 'const ' if t.const else ''
            if t.of.is_object:
                inner = self.objc(t.of, nullability=False).strip()
                return f'{const}{inner} _Nullable *_Nullable {name}'
            return f'{const}{self.objc(t.of).strip()} *{mark} {name}'.replace('* *', '**')
        if t.kind == 'block' and t.name in self.blocks and self.blocks[t.name].inline:
            block = self.blocks[t.name]
            args = ', '.join(self.objc(p, n).strip() for p, n, _ in block.arguments) or 'void'
            return f'{self.objc(block.returns).strip()} (^{mark}{" " if mark else ""}{name})({args})'
        if t.kind == 'protocol':
            return f'id<{t.name}>{mark} {name}'
        if t.kind == 'class':
            inner = ', '.join(self.objc(p).strip() for p in t.parameters)
            generic = f'<{inner}>' if inner else ''
            return f'{t.name}{generic} *{mark}{" " if mark and name else ""}{name}'
        return f'{t.name}{mark} {name}'
