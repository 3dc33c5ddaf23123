"""decode_gen.h, trace_gen.* and the fuzz dictionary: what the host does with a record."""

import struct

from emit_wire import BANNER, guard

PRELUDE = '''#include "records_gen.h"

/* Include this once, in the host file that has defined before:
 *   struct decoder        with at least `enum abx_context context; uint32_t op;`
 *   bool resolve(struct decoder *d, abx_handle h, enum abx_object_class c, bool nullable,
 *           struct abx_object **ret);
 *       which reports its own violation (it knows UNKNOWN from TYPE; d->op is set) and
 *       writes NULL for a nullable 0;
 *   void decoder_violation(struct decoder *d, enum abx_reason why, uint32_t op, uint64_t value,
 *           uint64_t limit);       this command buffer fails
 *   void decoder_malformed(struct decoder *d, uint32_t op, const char *why);    this client dies
 *   bool in_buffer(struct decoder *d, const struct abx_object *buffer, uint64_t offset,
 *           uint64_t bytes);       which reports its own violation
 *   void on_<record>(struct decoder *d, const struct abx_rec_<record> *r, struct abx_object *...)
 *       for every record but pad, one object for each handle that is not of="new".
 * The record must already be a private copy: nothing here survives memory that changes. */

'''


def check(condition, reason, value, limit, record):
    return (f'    if (__builtin_expect({condition}, 0)) {{\n'
            f'        decoder_violation(d, ABX_REASON_{reason}, {record.constant}, {value}, {limit});\n'
            '        return false;\n    }\n')


def value_checks(f, value, record):
    if f.reserved:
        yield check(f'{value} != 0', 'RANGE', value, 0, record)
        return
    suffix = 'ull' if f.type == 'u64' else 'u'
    if f.nonzero:
        yield check(f'{value} == 0', 'ZERO', value, 0, record)
    if f.max is not None:
        reason = 'ENUM' if f.enum else 'RANGE'
        yield check(f'{value} > {f.max}{suffix}', reason, value, f'{f.max}{suffix}', record)
    if f.min:
        yield check(f'{value} < {f.min}{suffix}', 'RANGE', value, f'{f.min}{suffix}', record)
    if f.multiple:
        yield check(f'{value} & {f.multiple - 1}{suffix}', 'ALIGNMENT', value,
                    f'{f.multiple}{suffix}', record)


def field_checks(f, holder, record):
    if f.type == 'handle' or f.flexible:
        if f.of == 'new' and f.type == 'handle':
            yield check(f'!abx_handle_generation({holder}->{f.name})', 'HANDLE_UNKNOWN',
                        f'{holder}->{f.name}', 0, record)
        return
    for i in range(f.dimensions):
        value = f'{holder}->{f.name}[{i}]' if f.dimensions > 1 else f'{holder}->{f.name}'
        yield from value_checks(f, value, record)


def size_check(record, wire):
    flexible = record.flexible
    malformed = (f'        decoder_malformed(d, {record.constant}, "{record.name}: %s");\n'
                 '        return false;\n    }\n')
    out = [f'    if (__builtin_expect(head->bytes {"<" if flexible else "!="} {record.size}, 0)) {{\n',
           malformed % 'wrong size']
    if flexible:
        counter = next(f for f in record.fields if f.counts is flexible)
        unit = 1 if flexible.type == 'bytes' else wire.structs[flexible.of].size
        for c in value_checks(counter, f'r->{counter.name}', record):
            out.append(c)
        # The counter passed max="", which gen/ held under the record cap: no overflow.
        out.append(f'    if (__builtin_expect(head->bytes != (uint32_t)abx_align_up({record.size}u + '
                   f'(uint64_t)r->{counter.name} * {unit}u, 8), 0)) {{\n')
        out.append(malformed % f'wrong size for its {counter.name}')
    return ''.join(out)


def element_checks(record, wire):
    f = record.flexible
    if not f or f.type != 'array':
        return ''
    element = wire.structs[f.of]
    inner = ''.join(c for e in element.fields for c in field_checks(e, 'e', record))
    if not inner:
        return ''
    inner = ''.join('    ' + line + '\n' for line in inner.splitlines())
    return (f'    for (uint32_t i = 0; i < r->{f.counter}; i++) {{\n'
            f'        const struct {element.c_name} *e = &r->{f.name}[i];\n\n{inner}    }}\n')


def context_check(record):
    if record.context is None:
        return ''
    if record.context == 'any':
        return check('d->context == ABX_CONTEXT_NONE', 'STATE', 'd->context', 0, record)
    wanted = f'ABX_CONTEXT_{record.context.upper()}'
    return check(f'd->context != {wanted}', 'STATE', 'd->context', wanted, record)


def decode_one(record, wire):
    handles = record.handles()
    out = [f'static bool decode_{record.name}(struct decoder *d, const struct abx_record *head)\n{{\n']
    if record.name == 'pad':
        return ''.join(out) + '    return true;\n}\n\n'
    out.append(f'    const struct {record.c_name} *r = (const struct {record.c_name} *)head;\n')
    out += [f'    struct abx_object *{f.name} = NULL;\n' for f in handles]
    out.append('\n')
    out.append(size_check(record, wire))
    out.append(context_check(record))
    for f in record.fields:
        if f.counts is None:
            out += field_checks(f, 'r', record)
    out.append(element_checks(record, wire))
    for f in handles:
        out.append(f'    if (!resolve(d, r->{f.name}, ABX_CLASS_{f.of.upper()}, '
                   f'{"true" if f.nullable else "false"}, &{f.name}))\n        return false;\n')
    for f in record.fields:
        if f.within:
            extent = f'{f.extent}u' if f.extent.isdigit() else f'r->{f.extent}'
            out.append(f'    if (!in_buffer(d, {f.within}, r->{f.name}, {extent}))\n'
                       '        return false;\n')
    out.append(f'    on_{record.name}({", ".join(["d", "r"] + [f.name for f in handles])});\n')
    if record.opens or record.closes:
        out.append(f'    d->context = ABX_CONTEXT_{(record.opens or "none").upper()};\n')
    out.append('    return true;\n}\n\n')
    return ''.join(out)


def dispatcher(name, records):
    out = [f'''/* False when the record was refused; `bytes_left` counts from its first byte. */
static __attribute__((unused)) bool abx_decode_{name}_record(
        struct decoder *d, const struct abx_record *head, uint32_t bytes_left)
{{
    if (__builtin_expect(bytes_left < sizeof *head, 0)) {{
        decoder_malformed(d, 0, "cut off inside a record's head");
        return false;
    }}
    d->op = head->op;
    if (__builtin_expect(head->bytes > bytes_left || head->bytes < sizeof *head ||
                (head->bytes & 7) || head->reserved, 0)) {{
        decoder_malformed(d, head->op, "bad record head");
        return false;
    }}
    switch (head->op) {{
''']
    for r in records:
        out.append(f'    case {r.constant}:\n        return decode_{r.name}(d, head);\n')
    out.append(f'''    default:
        decoder_malformed(d, head->op, "no such {name} record");
        return false;
    }}
}}

''')
    return ''.join(out)


def decode_header(wire):
    body = [PRELUDE]
    body += [decode_one(r, wire) for r in wire.records]
    body.append(dispatcher('ring', [r for r in wire.records if r.in_ring]))
    body.append(dispatcher('arena', [r for r in wire.records if not r.in_ring]))
    return guard('ABX_DECODE_GEN_H', 'Reader and validator of the wire records.', ''.join(body))


def trace_field(f, wire):
    if f.reserved:
        return ''
    if f.type == 'bytes':
        return (f'        trace_bytes(to, "{f.name}", r->{f.name}, '
                f'flexible_bytes(head, sizeof *r, r->{f.counter}));\n')
    if f.type == 'array':
        unit = wire.structs[f.of].size
        return (f'        abx_string_printf(to, " {f.name}=%llu*{unit}", '
                f'(unsigned long long)(flexible_bytes(head, sizeof *r, (uint64_t)r->{f.counter} * '
                f'{unit}) / {unit}));\n')
    if f.type == 'handle':
        return f'        trace_handle(to, "{f.name}", r->{f.name});\n'
    if f.dimensions > 1:
        spec = 'x'.join(['%llu'] * f.dimensions)
        values = ', '.join(f'(unsigned long long)r->{f.name}[{i}]' for i in range(f.dimensions))
        return f'        abx_string_printf(to, " {f.name}={spec}", {values});\n'
    return (f'        abx_string_printf(to, " {f.name}=%llu", (unsigned long long)r->{f.name});\n')


TRACE_HEADER = '''#include "wire/wire.h"

/* Adds one line without a newline, such as `set_buffer buffer=7.1 offset=0 index=2` (a handle is
 * index.generation). `record` is a private copy with `bytes` readable bytes; it need not be valid. */
void abx_trace_record(struct abx_string *to, const struct abx_record *record, uint32_t bytes);
'''

TRACE_TOP = '''#include "trace_gen.h"

#include "records_gen.h"

static void trace_handle(struct abx_string *to, const char *name, abx_handle h)
{
    if (h)
        abx_string_printf(to, " %s=%u.%u", name, abx_handle_index(h), abx_handle_generation(h));
    else
        abx_string_printf(to, " %s=none", name);
}

/* What the record says of its last part, but never past its end. */
static uint64_t flexible_bytes(const struct abx_record *head, size_t fixed, uint64_t said)
{
    uint64_t there = head->bytes - fixed;

    return said < there ? said : there;
}

static void trace_bytes(struct abx_string *to, const char *name, const uint8_t *data, uint64_t length)
{
    abx_string_printf(to, " %s=", name);
    for (uint64_t i = 0; i < length && i < 16; i++)
        abx_string_printf(to, "%02x", data[i]);
    if (length > 16)
        abx_string_printf(to, "...");
}

void abx_trace_record(struct abx_string *to, const struct abx_record *head, uint32_t bytes)
{
    if (bytes < sizeof *head || head->bytes > bytes || head->bytes < sizeof *head) {
        abx_string_printf(to, "cut off (%u bytes left)", bytes);
        return;
    }
    abx_string_printf(to, "%s", abx_op_name(head->op));
    switch (head->op) {
'''


def trace_source(wire):
    out = [BANNER.format('Prints wire records.'), TRACE_TOP]
    for r in wire.records:
        lines = ''.join(trace_field(f, wire) for f in r.fields)
        if not lines:
            out.append(f'    case {r.constant}:\n        break;\n')
            continue
        out.append(f'    case {r.constant}: {{\n'
                   f'        const struct {r.c_name} *r = (const struct {r.c_name} *)head;\n\n'
                   '        if (head->bytes < sizeof *r) {\n'
                   '            abx_string_printf(to, " cut off");\n            break;\n        }\n'
                   f'{lines}        break;\n    }}\n')
    out.append('    default:\n        abx_string_printf(to, " op=%u bytes=%u", head->op, head->bytes);\n'
               '        break;\n    }\n}\n')
    return ''.join(out)


def trace_header(wire):
    return guard('ABX_TRACE_GEN_H', 'Prints wire records.', TRACE_HEADER)


def fuzz_dictionary(wire):
    out = ['# Generated by gen/ from api/: record heads, and the numbers next to each limit.\n']
    quote = lambda data: ''.join(f'\\x{b:02x}' for b in data)
    numbers = set()
    for r in wire.records:
        out.append(f'{r.name}="{quote(struct.pack("<HHI", r.op, 0, r.size))}"\n')
        fields = r.fields + [f for s in wire.structs.values() for f in s.fields]
        for f in fields:
            form = {'u32': '<I', 'u64': '<Q'}.get(f.type)
            for limit in (f.max, f.min, f.multiple):
                if form and limit is not None:
                    top = 1 << 8 * struct.calcsize(form)
                    numbers |= {struct.pack(form, v) for v in (limit, limit + 1) if v < top}
    out += [f'"{quote(n)}"\n' for n in sorted(numbers)]
    return ''.join(out)
