"""docs/metal-support.md: what works of the selectors real clients send."""

from objc_model import ancestors
from source import Refused

CLIENTS = ('A Apple\'s samples, G ggml (llama.cpp, whisper.cpp), M MLX, P PyTorch, C candle, '
           'B Burn (cubecl), T tinygrad, W wgpu, D Dawn')
WORDS = {'works': 'works', 'partly': 'partly', 'no': 'not yet'}


def rows(path):
    """(framework, class, selector, clients) of the data file, its head left out."""
    with open(path, encoding='utf-8') as f:
        for number, line in enumerate(f, 1):
            parts = line.rstrip('\n').split('\t')
            if len(parts) != 4:
                raise Refused(f'{path}:{number}', 'framework, class, selector, clients')
            if parts[0] != 'framework':
                yield parts


def find(api, class_name, selector):
    cls = api.types.classes.get(class_name)
    for c in ancestors(api, cls) if cls else ():
        for m in c.methods:
            if m.selector == selector:
                return m
    return None


def foundation_rows(path):
    """{(class, selector)} the guest's Foundation answers; tests/gen asks the runtime whether it does."""
    with open(path, encoding='utf-8') as f:
        return {tuple(line.split()[:2]) for line in f if line.strip() and not line.startswith('#')}


def verdict(api, class_name, selector, foundation):
    """(word, note). Only what is written down as working works."""
    if (class_name, selector) in foundation:
        return WORDS['works'], ''
    cls, m = api.types.classes.get(class_name), find(api, class_name, selector)
    if m:
        return WORDS[m.status], m.note or ''
    if cls and selector in ('init', 'new') and cls.kind == 'concrete':
        return WORDS[cls.status], ''
    return WORDS['no'], ''


def status_list(api):
    """Lines `class kind sign selector status`: what a test asks the runtime."""
    out = []
    for cls in api.classes():
        out += [f'{cls.name} {cls.kind} {"+" if m.class_method else "-"} {m.selector} {m.status}\n'
                for m in cls.methods if m.declared]
    return ''.join(sorted(out))


def support_page(api, clients_path, foundation_path):
    foundation = foundation_rows(foundation_path)
    groups, counts = {}, {}
    for framework, cls, selector, clients in rows(clients_path):
        word, note = verdict(api, cls, selector, foundation)
        key = (framework, cls)
        groups.setdefault(key, []).append((selector, word, note, clients))
        counts.setdefault(framework, {}).setdefault(word, []).append(selector)
    out = ['# What works of Metal\n\n',
           'Generated from `api/` by `ninja docs`; the selectors are those real clients send, and the '
           f'letters name them: {CLIENTS}.\n\n| framework | works | partly | not yet |\n|---|---|---|---|\n']
    for framework, words in counts.items():
        numbers = ' | '.join(str(len(words.get(w, []))) for w in WORDS.values())
        out.append(f'| {framework} | {numbers} |\n')
    for (framework, cls), lines in sorted(groups.items(), key=lambda g: (g[0][0] != 'Metal', g[0])):
        out.append(f'\n## {cls} ({framework})\n\n| selector | | clients |\n|---|---|---|\n')
        for selector, word, note, clients in lines:
            out.append(f'| `{selector}` | {word}{": " + note if note else ""} | {clients} |\n')
    return ''.join(out)
