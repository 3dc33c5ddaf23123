"""Reads api/*.xml keeping each element's file and line, so that every refusal names its place."""

import xml.parsers.expat


class Refused(Exception):
    """Bad input. str() is `file:line: why`."""

    def __init__(self, where, why):
        super().__init__(f'{where}: {why}')


class Node:
    def __init__(self, tag, attributes, where):
        self.tag, self.attributes, self.where = tag, attributes, where
        self.children, self.text = [], ''

    def prose(self):
        return ' '.join(self.text.split())

    def refuse(self, why):
        raise Refused(self.where, why)

    def allow(self, required, optional=()):
        """Refuses attributes nobody reads: a misspelt check would otherwise be no check."""
        for name in self.attributes:
            if name not in required and name not in optional:
                self.refuse(f'<{self.tag}> has no attribute "{name}"')
        for name in required:
            if name not in self.attributes:
                self.refuse(f'<{self.tag}> needs the attribute "{name}"')

    def get(self, name, default=None):
        return self.attributes.get(name, default)

    def number(self, name, default=None):
        text = self.attributes.get(name)
        if text is None:
            return default
        try:
            return int(text, 0)
        except ValueError:
            self.refuse(f'{name}="{text}" is not a number')

    def flag(self, name, default=False):
        text = self.attributes.get(name)
        if text is None:
            return default
        if text not in ('yes', 'no'):
            self.refuse(f'{name}="{text}": say yes or no')
        return text == 'yes'

    def identifier(self, name):
        text = self.attributes[name]
        if not text.isidentifier() or not text.isascii():
            self.refuse(f'{name}="{text}" is not a name')
        return text


def read(path, shown=None):
    """The root element of one file. `shown` is the path in messages."""
    shown = shown or path
    parser = xml.parsers.expat.ParserCreate()
    stack, roots = [], []

    def start(tag, attributes):
        node = Node(tag, attributes, f'{shown}:{parser.CurrentLineNumber}')
        if stack:
            stack[-1].children.append(node)
        else:
            roots.append(node)
        stack.append(node)

    def end(tag):
        stack.pop()

    def text(data):
        if stack:
            stack[-1].text += data

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text
    try:
        with open(path, 'rb') as f:
            parser.ParseFile(f)
    except xml.parsers.expat.ExpatError as e:
        raise Refused(f'{shown}:{e.lineno}', xml.parsers.expat.ErrorString(e.code)) from None
    except OSError as e:
        raise Refused(shown, e.strerror) from None
    return roots[0]
