"""The records of the wire: layouts, checks and numbers, read from <record> and <struct>."""

SIZES = {'u8': 1, 'u16': 2, 'u32': 4, 'u64': 8, 'handle': 8}
C_TYPES = {'u8': 'uint8_t', 'u16': 'uint16_t', 'u32': 'uint32_t', 'u64': 'uint64_t',
           'handle': 'abx_handle'}
HEAD_BYTES = 8
ARENA_FIRST = 256  # lower numbers travel in the ring, these and higher ones in arenas
OP_LIMIT = 65536
RECORD_LIMIT = 8192  # ABX_MAX_RECORD_BYTES
CONTEXTS = ('none', 'compute', 'blit')


class Field:
    def __init__(self, node):
        self.node, self.name, self.type = node, node.identifier('name'), node.attributes['type']
        self.prose = node.prose()
        self.offset = None
        self.dimensions = node.number('dimensions', 1)
        self.of, self.nullable = node.get('of'), node.flag('null')
        self.counter = node.get('length') or node.get('count')
        self.min, self.max = node.number('min'), node.number('max')
        self.nonzero, self.multiple = node.flag('nonzero'), node.number('multiple')
        self.enum = node.get('enum')
        self.within, self.extent = node.get('within'), node.get('extent')
        self.reserved = self.name.startswith('reserved')
        self.counts = None  # the flexible field whose length this field gives

    @property
    def flexible(self):
        return self.type in ('bytes', 'array')


class Struct:
    """A record or an element of an array."""

    def __init__(self, node, protocol):
        self.node, self.protocol = node, protocol
        self.name, self.prose, self.fields, self.size = node.identifier('name'), node.prose(), [], 0

    @property
    def c_name(self):
        return f'abx_{self.protocol}_{self.name}'

    @property
    def flexible(self):
        return self.fields[-1] if self.fields and self.fields[-1].flexible else None


class Record(Struct):
    def __init__(self, node, protocol):
        super().__init__(node, protocol)
        self.op = node.number('op')
        self.context, self.opens = node.get('in'), node.get('opens')
        self.closes = node.flag('closes')
        self.call = node.get('call')

    @property
    def c_name(self):
        return f'abx_rec_{self.name}'

    @property
    def constant(self):
        return f'ABX_OP_{self.name.upper()}'

    @property
    def in_ring(self):
        return self.op < ARENA_FIRST

    def handles(self):
        return [f for f in self.fields if f.type == 'handle' and f.of != 'new']


class Wire:
    def __init__(self):
        self.records, self.structs, self.classes = [], {}, []


def read_field(node, in_record):
    node.allow(('name', 'type'), ('of', 'null', 'dimensions', 'length', 'count', 'min', 'max',
                                  'nonzero', 'multiple', 'enum', 'within', 'extent'))
    field = Field(node)
    if field.type not in SIZES and not field.flexible:
        node.refuse(f'no type "{field.type}"')
    if field.flexible and not in_record:
        node.refuse('only a record ends in bytes or an array')
    if field.type in ('handle', 'array') and not field.of:
        node.refuse(f'a {field.type} needs of=""')
    if field.of and field.type not in ('handle', 'array'):
        node.refuse('of="" is for a handle or an array')
    if field.flexible and not field.counter:
        node.refuse('bytes need length="", an array count=""')
    if not 1 <= field.dimensions <= 16:
        node.refuse('dimensions is 1 to 16')
    if field.min is not None and field.max is not None and field.min > field.max:
        node.refuse('min is past max')
    if field.multiple is not None and (field.multiple < 2 or field.multiple & (field.multiple - 1)):
        node.refuse('multiple is a power of two')
    checked = any(v is not None for v in (field.min, field.max, field.multiple)) or field.nonzero
    if checked and (field.flexible or field.type == 'handle'):
        node.refuse(f'a {field.type} has no number to check')
    if field.type in SIZES:
        for value in (field.min, field.max, field.multiple):
            if value is not None and not 0 <= value < 1 << 8 * SIZES[field.type]:
                node.refuse(f'{value} does not fit {field.type}')
    return field


def lay_out(struct, start):
    """Natural alignment without a hole: the compiler has nothing left to decide."""
    at, seen = start, {}
    for field in struct.fields:
        if field.name in seen or field.name == 'head':
            field.node.refuse(f'"{field.name}" is twice in {struct.name}')
        seen[field.name] = field
        if struct.fields[-1] is not field and field.flexible:
            field.node.refuse('bytes and arrays come last')
        align = 8 if field.flexible else SIZES[field.type]
        if at % align:
            field.node.refuse(f'"{field.name}" would lie at {at}: pad it to a multiple of {align} '
                              'with a reserved field')
        field.offset = at
        if not field.flexible:
            at += SIZES[field.type] * field.dimensions
    if at % 8:
        struct.node.refuse(f'{struct.name} is {at} bytes: pad it to a multiple of 8 with a reserved '
                           'field')
    struct.size = at
    return seen


def read_struct(node, protocol, kind):
    struct = kind(node, protocol)
    for child in node.children:
        if child.tag != 'field':
            child.refuse(f'<{child.tag}> in a <{node.tag}>')
        struct.fields.append(read_field(child, kind is Record))
    seen = lay_out(struct, HEAD_BYTES if kind is Record else 0)
    flexible = struct.flexible
    if flexible:
        counter = seen.get(flexible.counter)
        if counter is None or counter is flexible:
            flexible.node.refuse(f'no field "{flexible.counter}" before it gives its length')
        if counter.max is None:
            counter.node.refuse(f'"{counter.name}" counts "{flexible.name}": it needs max=""')
        counter.counts = flexible
    return struct


def check_ranges(record):
    """within names a handle of a buffer, extent a number of bytes or a field that has it."""
    named = {f.name: f for f in record.fields}
    for f in record.fields:
        if (f.within is None) != (f.extent is None):
            f.node.refuse('within and extent go together')
        if f.within is None:
            continue
        buffer, extent = named.get(f.within), named.get(f.extent)
        if f.type != 'u64' or buffer is None or buffer.of != 'buffer' or buffer.nullable:
            f.node.refuse('within is for a u64, and names a buffer that is not null')
        if not f.extent.isdigit() and (extent is None or extent.type not in ('u32', 'u64')):
            f.node.refuse('extent is a number, or a field of u32 or u64')


def read_record(node, protocol, wire):
    node.allow(('name', 'op'), ('in', 'opens', 'closes', 'call'))
    record = read_struct(node, protocol, Record)
    check_ranges(record)
    if not 0 <= record.op < OP_LIMIT:
        node.refuse(f'op {record.op} does not fit 16 bits')
    for other in wire.records:
        if other.op == record.op:
            node.refuse(f'op {record.op} is taken by {other.name} ({other.node.where})')
        if other.name == record.name:
            node.refuse(f'{record.name} is defined at {other.node.where}')
    if record.context not in (None, 'any') + CONTEXTS:
        node.refuse(f'in="{record.context}": none, any, compute or blit')
    if record.opens not in (None,) + CONTEXTS[1:]:
        node.refuse(f'opens="{record.opens}": compute or blit')
    if record.in_ring and (record.context or record.opens or record.closes):
        node.refuse('ring records have no encoder around them')
    wire.records.append(record)


def check_references(wire):
    """After all files are read: arrays name structs, and records keep under the cap."""
    for record in wire.records:
        for field in record.fields:
            if field.type == 'array' and field.of not in wire.structs:
                field.node.refuse(f'no struct "{field.of}"')
        size, flexible = record.size, record.flexible
        if flexible:
            counter = next(f for f in record.fields if f.counts is flexible)
            unit = wire.structs[flexible.of].size if flexible.type == 'array' else 1
            size += counter.max * unit
        if size > RECORD_LIMIT:
            record.node.refuse(f'{record.name} can be {size} bytes; a record has at most '
                               f'{RECORD_LIMIT}')
    classes = {f.of for r in wire.records for f in r.fields if f.type == 'handle'}
    wire.classes = sorted(classes - {'any', 'new'})
    wire.records.sort(key=lambda r: r.op)


def read_retired(node, retired):
    node.allow(('op', 'was'))
    retired[node.number('op')] = node


def read_wire(roots):
    wire, retired = Wire(), {}
    for root in roots:
        if root.tag != 'protocol':
            root.refuse(f'<{root.tag}> where <protocol> belongs')
        root.allow(('name',))
        protocol = root.identifier('name')
        for node in root.children:
            if node.tag == 'record':
                read_record(node, protocol, wire)
            elif node.tag == 'retired':
                read_retired(node, retired)
            elif node.tag == 'struct':
                node.allow(('name',))
                struct = read_struct(node, protocol, Struct)
                if struct.name in wire.structs:
                    node.refuse(f'{struct.name} is defined at '
                                f'{wire.structs[struct.name].node.where}')
                wire.structs[struct.name] = struct
    for record in wire.records:
        if record.op in retired:
            record.node.refuse(f'op {record.op} was {retired[record.op].attributes["was"]} '
                               f'({retired[record.op].where}): numbers are never reused')
    check_references(wire)
    return wire

