"""The Objective-C side of api/: headers, enums, structs, classes, methods, properties."""

import re

from objc_types import FOUNDATION, FOUNDATION_PROTOCOLS, SCALARS, Types

STATUSES = ('works', 'partly', 'no')
STORAGES = ('simple', 'bits', 'switch', 'owned')


class Item:
    """What stands in a header, in its order."""

    def __init__(self, node, header):
        self.node, self.header, self.tag = node, header, node.tag
        self.name, self.prose = node.get('name'), node.prose()


class Header:
    def __init__(self, framework, node):
        self.framework, self.node, self.name, self.items = framework, node, node.get('name'), []


class Enum(Item):
    def __init__(self, node, header):
        super().__init__(node, header)
        node.allow(('name', 'values'), ('base', 'options', 'prefix'))
        self.base, self.options = node.get('base', 'NSUInteger'), node.flag('options')
        if SCALARS.get(self.base, ('', ''))[1] not in tuple('QqIiCSs'):
            node.refuse(f'base="{self.base}" is no integer')
        self.values, seen = [], set()
        for word in node.attributes['values'].split():
            match = re.fullmatch(r'(=?)(\w+)=(\S+)', word)
            if not match:
                node.refuse(f'cannot read the value "{word}"')
            name = match[2] if match[1] else node.get('prefix', self.name) + match[2]
            if name in seen:
                node.refuse(f'"{name}" is twice in {self.name}')
            seen.add(name)
            self.values.append((name, self.number(match[3])))

    def number(self, text):
        match = re.fullmatch(r'(-?\d+|0x[0-9a-f]+)(?:<<(\d+))?', text)
        if not match:
            self.node.refuse(f'"{text}" is not a number')
        return int(match[1], 0) << int(match[2] or 0)


class Struct(Item):
    def __init__(self, node, header):
        super().__init__(node, header)
        node.allow(('name', 'fields'), ('tag', 'make'))
        self.struct_tag, self.make, self.fields = node.get('tag'), node.flag('make'), None

    def encoding(self, types):
        inner = ''.join(f'[{n}{types.encoding(t)}]' if n else types.encoding(t)
                        for t, _, n in self.fields)
        return f'{{{self.struct_tag or "?"}={inner}}}'


class Typedef(Item):
    def __init__(self, node, header):
        super().__init__(node, header)
        node.allow(('name', 'type'))
        self.target = None


class Block(Item):
    def __init__(self, node, header):
        super().__init__(node, header)
        node.allow(('name', 'returns', 'args'), ('inline',))
        self.inline, self.arguments, self.returns = node.flag('inline'), None, None


class Function(Item):
    def __init__(self, node, header):
        super().__init__(node, header)
        node.allow(('name', 'returns', 'args', 'status'), ('retained', 'note'))
        self.status, self.note = status_of(node, None), node.get('note')


class Method:
    def __init__(self, node, owner):
        self.node, self.owner, self.prose = node, owner, node.prose()
        self.status = status_of(node, owner.status)
        self.note = node.get('note', owner.note if 'status' not in node.attributes else None)
        self.storage, self.property = node.get('storage'), None
        self.class_method = node.flag('class')
        self.selector = self.returns = None
        self.arguments, self.declared = [], True

    @property
    def function(self):
        return f'{self.owner.name}_{self.selector.replace(":", "_")}'

    @property
    def exists(self):
        return self.status != 'no'

    def encoding(self, types):
        return (types.encoding(self.returns) + '@:'
                + ''.join(types.encoding(t) for t, _, _ in self.arguments))


class Property:
    def __init__(self, node, owner, types):
        node.allow(('name', 'type'), ('readonly', 'getter', 'copy', 'storage', 'default', 'field',
                                      'shift', 'width', 'on', 'off', 'status', 'note', 'declared'))
        self.node, self.owner, self.name, self.prose = node, owner, node.identifier('name'), node.prose()
        self.type = types.parse(node.attributes['type'], node)
        self.readonly, self.copy = node.flag('readonly'), node.flag('copy')
        self.declared = node.flag('declared', True)
        self.getter_name, self.storage = node.get('getter', self.name), node.get('storage')
        self.default = node.number('default')
        self.field, self.shift = node.get('field'), node.number('shift', 0)
        self.width, self.on, self.off = node.number('width', 0), node.number('on'), node.number('off')
        if self.storage not in (None,) + STORAGES:
            node.refuse(f'storage="{self.storage}": {", ".join(STORAGES)}')
        if self.storage in ('bits', 'switch') and not self.field:
            node.refuse(f'storage="{self.storage}" needs field=""')
        if self.storage == 'owned' and self.type.kind != 'class':
            node.refuse('only an object of a concrete class can be owned')
        self.status = status_of(node, owner.status)

    def accessors(self, types):
        getter = Method(self.node, self.owner)
        getter.selector, getter.returns, getter.property = self.getter_name, self.type, self
        getter.declared = self.declared
        yield getter
        if not self.readonly:
            setter = Method(self.node, self.owner)
            setter.selector = f'set{self.name[0].upper()}{self.name[1:]}:'
            setter.returns, setter.property = types.parse('void', self.node), self
            setter.arguments = [(self.type, self.name, None)]
            yield setter


class Class(Item):
    def __init__(self, node, header):
        super().__init__(node, header)
        node.allow(('name', 'kind', 'status'), ('conforms', 'super', 'note', 'of', 'count'))
        self.kind, self.status, self.note = node.get('kind'), status_of(node, None), node.get('note')
        if self.kind not in ('protocol', 'concrete', 'array'):
            node.refuse(f'kind="{self.kind}": protocol, concrete or array')
        self.conforms = (node.get('conforms') or '').split()
        self.super = node.get('super', 'NSObject' if self.kind in ('concrete', 'array') else None)
        self.of, self.count = node.get('of'), node.number('count')
        if self.kind == 'array' and (not self.of or not self.count):
            node.refuse('an array needs of="" and count=""')
        self.properties, self.methods, self.members = [], [], []

    def stored(self):
        return [p for p in self.properties if p.storage in ('simple', 'owned')]

    @property
    def generated(self):
        """Whether gen/ writes the class itself: arrays, classes with stored properties, and those
        that exist only so that programs link. The others are written by hand."""
        if self.kind == 'array':
            return True
        if self.kind != 'concrete':
            return False
        return bool(self.stored()) or not any(m.exists and not m.storage for m in self.methods)


def status_of(node, inherited):
    status = node.get('status', inherited)
    if status not in STATUSES:
        node.refuse(f'status="{status}": works, partly or no')
    if node.get('status') == 'partly' and not node.get('note'):
        node.refuse('partly: a note must say how')
    return status


class Api:
    def __init__(self):
        self.headers, self.types = [], Types()
        self.constants, self.functions = [], []

    def classes(self):
        return self.types.classes.values()


ITEMS = {'enum': Enum, 'cstruct': Struct, 'typedef': Typedef, 'block': Block, 'class': Class,
         'function': Function, 'constant': Item, 'define': Item, 'code': Item}


def collect(roots, api):
    """First pass: names, so that types can be parsed in any order."""
    seen = {}
    for root in roots:
        if root.tag != 'framework':
            root.refuse(f'<{root.tag}> where <framework> belongs')
        root.allow(('name',))
        for node in root.children:
            if node.tag != 'header':
                node.refuse(f'<{node.tag}> where <header> belongs')
            node.allow(('name',))
            header = Header(root.get('name'), node)
            if any(h.name == header.name for h in api.headers):
                node.refuse(f'{header.name} is twice')
            api.headers.append(header)
            for child in node.children:
                if child.tag not in ITEMS:
                    child.refuse(f'<{child.tag}> in a <header>')
                item = ITEMS[child.tag](child, header)
                if item.name:
                    if item.name in seen:
                        child.refuse(f'"{item.name}" is defined at {seen[item.name]}')
                    seen[item.name] = child.where
                header.items.append(item)
                table = {'enum': api.types.enums, 'cstruct': api.types.structs,
                         'typedef': api.types.typedefs, 'block': api.types.blocks,
                         'class': api.types.classes}.get(child.tag)
                if table is not None:
                    table[item.name] = item


def read_method(node, owner, types):
    node.allow(('selector', 'returns'), ('args', 'class', 'storage', 'status', 'note', 'declared'))
    method = Method(node, owner)
    method.selector = node.attributes['selector']
    method.returns = types.parse(node.attributes['returns'], node)
    method.arguments = types.parameters(node.get('args', ''), node)
    method.declared = node.flag('declared', True)
    if not re.fullmatch(r'[A-Za-z_]\w*|([A-Za-z_]\w*:)+', method.selector):
        node.refuse(f'"{method.selector}" is not a selector')
    if method.selector.count(':') != len(method.arguments):
        node.refuse(f'{method.selector} takes {method.selector.count(":")} arguments, args="" has '
                    f'{len(method.arguments)}')
    if method.storage not in (None, 'new', 'reset'):
        node.refuse(f'storage="{method.storage}" is not for methods')
    return method


def fill_class(cls, api):
    for node in cls.node.children:
        if node.tag == 'property':
            p = Property(node, cls, api.types)
            cls.properties.append(p)
            cls.members.append(p)
            cls.methods += p.accessors(api.types)
        elif node.tag == 'method':
            method = read_method(node, cls, api.types)
            cls.methods.append(method)
            cls.members.append(method)
        else:
            node.refuse(f'<{node.tag}> in a <class>')
    seen = {}
    for m in cls.methods:
        key = (m.class_method, m.selector)
        if key in seen:
            m.node.refuse(f'{m.selector} is defined at {seen[key].node.where}')
        seen[key] = m
    for p in cls.properties:
        if p.field and p.field not in {q.name for q in cls.stored()}:
            p.node.refuse(f'no stored property "{p.field}"')
    for name in cls.conforms:
        known = api.types.classes.get(name)
        if name not in FOUNDATION_PROTOCOLS and not (known and known.kind == 'protocol'):
            cls.node.refuse(f'no protocol "{name}"')
    if cls.super and cls.super not in FOUNDATION and cls.super not in api.types.classes:
        cls.node.refuse(f'no class "{cls.super}"')
    if cls.of and (cls.of not in api.types.classes):
        cls.node.refuse(f'no class "{cls.of}"')


def fill_array(cls, api):
    """objectAtIndexedSubscript: and its setter, which gen/ writes."""
    node, types = cls.node, api.types
    for selector, returns, args in (
            ('objectAtIndexedSubscript:', cls.of, 'NSUInteger index'),
            ('setObject:atIndexedSubscript:', 'void', f'{cls.of}? object, NSUInteger index')):
        m = Method(node, cls)
        m.selector, m.returns = selector, types.parse(returns, node)
        m.arguments, m.storage, m.class_method = types.parameters(args, node), 'array', False
        cls.methods.append(m)
        cls.members.append(m)


def read_api(roots):
    api = Api()
    collect(roots, api)
    types = api.types
    for header in api.headers:
        for item in header.items:
            node = item.node
            if item.tag == 'cstruct':
                item.fields = types.parameters(node.attributes['fields'], node)
            elif item.tag == 'typedef':
                item.target = types.parse(node.attributes['type'], node)
            elif item.tag in ('block', 'function'):
                item.arguments = types.parameters(node.attributes['args'], node)
                item.returns = types.parse(node.attributes['returns'], node)
                if item.tag == 'function':
                    api.functions.append(item)
            elif item.tag == 'constant':
                node.allow(('name', 'type'), ('text', 'number'))
                item.type = types.parse(node.attributes['type'], node)
                api.constants.append(item)
            elif item.tag == 'define':
                node.allow(('name', 'value'))
            elif item.tag == 'class':
                fill_class(item, api)
                if item.kind == 'array':
                    fill_array(item, api)
    return api


def ancestors(api, cls):
    """The class, then what it inherits selectors from."""
    yield cls
    for name in ([cls.super] if cls.super else []) + cls.conforms:
        if name in api.types.classes:
            yield from ancestors(api, api.types.classes[name])
