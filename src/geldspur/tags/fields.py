"""Reading one entry of a pack field by field: inheritance from the header, types, and what to report."""

import importlib
import re
from collections.abc import Iterable
from datetime import date
from functools import cache
from typing import Any

from geldspur.tags.model import Problem
from geldspur.tags.taxonomy import CONCEPTS
from geldspur.tags.yamltext import Mapping, Node, Scalar, Sequence

_MAX_SHOWN = 120
_BOOLEANS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
_DATE = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})(?:[Tt\s].*)?")


class Unusable(Exception):
    """An entry lacks something without which it says nothing."""

    def __init__(self, line: int, text: str, reason: str) -> None:
        self.line = line
        self.text = text
        self.reason = reason
        super().__init__(reason)


class Problems:
    """The problems of one file in the order in which they were met, each once."""

    def __init__(self, file: str) -> None:
        self.file = file
        self._found: dict[object, Problem] = {}

    def add(self, line: int, text: str, reason: str, *, once: object = None) -> None:
        """Report; of the same line, text and reason, or of the same `once`, only the first is kept."""
        shown = text if text.isprintable() else ascii(text)[1:-1]
        if len(shown) > _MAX_SHOWN:
            shown = shown[: _MAX_SHOWN - 3] + "..."
        self._found.setdefault(once or (line, shown, reason), Problem(self.file, line, shown, reason))

    def list(self) -> list[Problem]:
        """What was reported."""
        return list(self._found.values())


def day_of(lastmod: str | None) -> date:
    """The day of a `lastmod` text, for comparing; the first day of all where there is none."""
    match = _DATE.fullmatch(lastmod or "")
    return date(*(int(part) for part in match.groups())) if match else date.min


@cache
def _countries() -> Any:
    # Loaded when a pack names a country: it takes longer to load than many a command to run.
    return importlib.import_module("pycountry").countries


class Fields:
    """One entry of a pack, with the header that it inherits from."""

    def __init__(self, own: Mapping, header: Mapping, problems: Problems) -> None:
        self.own = own
        self._header = header
        self._problems = problems
        for key, line in own.repeated:
            problems.add(line, key, "the key occurs twice in one entry; the first value counts")

    def find(self, name: str) -> Node | None:
        """The entry's own value, else the header's; an empty value is none."""
        for scope in (self.own, self._header):
            node = scope.items.get(name)
            if node is not None and not (isinstance(node, Scalar) and not node.text):
                return node
        return None

    def text(self, name: str) -> str | None:
        """An optional text; a value of another type is reported and ignored."""
        node = self.find(name)
        if node is None:
            return None
        try:
            return clean(node, name)
        except Unusable as error:
            self._problems.add(error.line, error.text, error.reason + "; ignored")
            return None

    def required(self, name: str) -> str:
        """A mandatory text; raises Unusable."""
        node = self.find(name)
        if node is None:
            raise Unusable(self.own.line, name, f"the mandatory field {name} is missing")
        return clean(node, name)

    def flag(self, name: str) -> bool:
        """An optional true or false; missing is false, anything else is reported and taken as false."""
        text = self.text(name)
        value = _BOOLEANS.get(text.lower()) if text else False
        if value is None:
            self._report(name, f"{name} is neither true nor false; taken as false")
        return bool(value)

    def texts(self, name: str) -> tuple[str, ...]:
        """An optional list of texts, each once; what is no text in it is reported and left out."""
        node = self.find(name)
        if node is None:
            return ()
        if not isinstance(node, Sequence):
            self._problems.add(node.line, name, f"{name} is not a list; ignored")
            return ()
        found: dict[str, None] = {}
        for item in node.items:
            try:
                found[clean(item, name)] = None
            except Unusable as error:
                self._problems.add(error.line, error.text, error.reason + "; ignored")
        return tuple(found)

    def day(self, name: str) -> str | None:
        """An optional date, as it is written; what is no date is reported and ignored."""
        text = self.text(name)
        if text is None:
            return None
        try:
            if _DATE.fullmatch(text):
                day_of(text)
                return text
        except ValueError:
            pass
        self._report(name, f"{name} is not a date (YYYY-MM-DD); ignored")
        return None

    def concept(self, name: str) -> str | None:
        """An optional concept, kept as it is; one outside the taxonomy is reported once a file."""
        text = self.text(name)
        if text is not None:
            self._check_concepts(name, [text])
        return text

    def concepts(self, name: str) -> tuple[str, ...]:
        """An optional list of concepts, as `concept`."""
        found = self.texts(name)
        self._check_concepts(name, found)
        return found

    def countries(self, name: str) -> tuple[str, ...]:
        """An optional list of ISO 3166-1 alpha-2 country codes; unknown ones are reported and left out."""
        found: dict[str, None] = {}
        for text in self.texts(name):
            code = text.upper()
            if len(code) == 2 and _countries().get(alpha_2=code):
                found[code] = None
            else:
                self._problems.add(self._line(name), text, "not an ISO 3166-1 alpha-2 country code; left out")
        return tuple(found)

    def check_names(self, known: frozenset[str]) -> None:
        """Report fields of the entry that the schema doesn't have, each name once a file: often a slip."""
        for name in self.own.items.keys() - known:
            line = self.own.items[name].line
            self._problems.add(line, name, "not a field of the schema; ignored", once=("field", name))

    def _check_concepts(self, name: str, concepts: Iterable[str]) -> None:
        for concept in concepts:
            if concept not in CONCEPTS:
                reason = f"{name} is not in the taxonomy of concepts; kept as it is"
                self._problems.add(self._line(name), concept, reason, once=("concept", concept))

    def _report(self, name: str, reason: str) -> None:
        self._problems.add(self._line(name), self.text(name) or name, reason)

    def _line(self, name: str) -> int:
        node = self.find(name)
        return node.line if node else self.own.line


def clean(node: Node, name: str) -> str:
    """The text of a field on one line, without space around it; raises Unusable where it isn't a text."""
    if not isinstance(node, Scalar):
        raise Unusable(node.line, name, f"{name} is not a text")
    text = node.text or ""
    if not text.isprintable():
        text = " ".join(text.split())
        if any(c < " " or c == "\x7f" or "\x80" <= c <= "\x9f" or c in "\u202a\u202b\u202c\u202d\u202e" for c in text):
            raise Unusable(node.line, text, f"{name} holds control characters")
    text = text.strip()
    if not text:
        raise Unusable(node.line, name, f"{name} is empty")
    return text
