"""YAML as plain text: every scalar stays what was written, and knows its line.

YAML 1.1 readers turn the country code NO into false, dates into objects and digits into numbers; here nothing
is turned into anything. The document is built from the parser's events, without recursion: no object is ever
constructed, aliases are refused (a file of a kilobyte could unfold to gigabytes), depth is limited.
"""

from dataclasses import dataclass, field

import yaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

MAX_DEPTH = 20
_PLAIN_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_CORE_TYPES = ("str", "int", "float", "bool", "null", "timestamp", "seq", "map")
# What an explicit type may say; it changes nothing, the text stays text.
_PLAIN_TYPES = frozenset({"!"}.union(f"tag:yaml.org,2002:{name}" for name in _CORE_TYPES))
# Built on libyaml; the wheels have it. Without it the same events come slower.
_LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


class YamlError(ValueError):
    """The text is not YAML, or uses what is refused here; `line` says where."""

    def __init__(self, reason: str, line: int) -> None:
        self.reason = reason
        self.line = line
        super().__init__(f"line {line}: {reason}")


@dataclass(slots=True)
class Scalar:
    """A value as it was written, without quotes; None where nothing or an unquoted null stands."""

    text: str | None
    line: int


@dataclass(slots=True)
class Sequence:
    """A list."""

    line: int
    items: "list[Node]" = field(default_factory=list)


@dataclass(slots=True)
class Mapping:
    """A mapping; of a key that occurs again the first value counts, the repetition is in `repeated`."""

    line: int
    items: "dict[str, Node]" = field(default_factory=dict)
    repeated: list[tuple[str, int]] = field(default_factory=list)
    key: str | None = None
    """The key that waits for its value while the mapping is read."""


Node = Scalar | Sequence | Mapping


def load(data: bytes) -> Node | None:
    """The one document of a YAML file in UTF-8 or UTF-16; None where it holds none. Raises YamlError."""
    try:
        return _build(data)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        reason = getattr(error, "problem", None) or getattr(error, "reason", None) or "not YAML"
        raise YamlError(str(reason), mark.line + 1 if mark else 1) from None
    except UnicodeError as error:
        raise YamlError(f"not text: {error}", 1) from None


def _build(data: bytes) -> Node | None:
    root: Node | None = None
    documents = 0
    stack: list[Sequence | Mapping] = []
    for event in yaml.parse(data, Loader=_LOADER):
        if isinstance(event, ScalarEvent):
            root = _place(_scalar(event), stack, root)
        elif isinstance(event, MappingEndEvent | SequenceEndEvent):
            stack.pop()
        elif isinstance(event, MappingStartEvent | SequenceStartEvent):
            line = _line(event)
            _check_tag(event.tag, line)
            container = Mapping(line) if isinstance(event, MappingStartEvent) else Sequence(line)
            root = _place(container, stack, root)
            stack.append(container)
            if len(stack) > MAX_DEPTH:
                raise YamlError(f"nested deeper than {MAX_DEPTH} levels", line)
        elif isinstance(event, AliasEvent):
            raise YamlError(f"the alias *{event.anchor}; aliases are not read", _line(event))
        elif isinstance(event, DocumentStartEvent):
            documents += 1
            if documents > 1:
                raise YamlError("a second document in one file", _line(event))
    return root


def _line(event: Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 1


def _scalar(event: ScalarEvent) -> Scalar:
    line = _line(event)
    _check_tag(event.tag, line)
    plain = event.implicit[0]
    return Scalar(None if plain and event.value in _PLAIN_NULLS else event.value, line)


def _check_tag(tag: str | None, line: int) -> None:
    if tag and tag not in _PLAIN_TYPES:
        raise YamlError(f"the YAML type {tag}; only plain text, lists and mappings are read", line)


def _place(node: Node, stack: list[Sequence | Mapping], root: Node | None) -> Node:
    """Put a node where it belongs; returns the document's root."""
    if not stack:
        return node
    top = stack[-1]
    if isinstance(top, Sequence):
        top.items.append(node)
    elif top.key is None:
        if not isinstance(node, Scalar):
            raise YamlError("a key that is not text", node.line)
        top.key = node.text or ""
        if top.key in top.items:
            top.repeated.append((top.key, node.line))
    else:
        top.items.setdefault(top.key, node)
        top.key = None
    assert root is not None
    return root
