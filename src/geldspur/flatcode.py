"""An object file of x86-64 laid out once and for all: bytes that run wherever they are put.

Code that reaches its own constants relative to itself need not be linked each time it is loaded. What is left to do
then is to write the addresses of the few functions of C's library that compilers call by themselves (memset), for which
each gets eight bytes and a jump through them behind the code.

Source: "System V Application Binary Interface, AMD64 Architecture Processor Supplement", 4.4 (relocation), and the
generic ABI, chapters 4 and 5 (object files).
"""

import struct
from collections.abc import Iterable
from dataclasses import dataclass

_HEADER, _SECTION, _SYMBOL, _RELOCATION = (struct.Struct(f"<{form}") for form in (
    "16sHHIQQQIHHHHHH", "IIQQQQIIQQ", "IBBHQQ", "QIIq",
))  # fmt: skip
_X86_64, _RELOCATABLE = 62, 1
_NO_BITS, _WITH_ADDENDS, _SYMBOLS, _UNWINDING = 8, 4, 2, 0x70000001
_TAKES_ROOM = 0x2
_PC32, _PLT32, _GOTPCREL, _GOTPCRELX, _REX_GOTPCRELX = 2, 4, 9, 41, 42
_PAGE = 4096
_JUMP = b"\xff\x25"  # jmp to the address that lies so many bytes behind


class NotFlat(ValueError):
    """The object needs more of a linker than this."""


@dataclass(frozen=True, slots=True)
class FlatCode:
    """Code and constants; where functions begin; where to write the addresses of functions from outside."""

    code: bytes
    entries: dict[str, int]
    outside: dict[str, int]


@dataclass(frozen=True, slots=True)
class _Section:
    name: str
    kind: int
    flags: int
    size: int
    linked: int
    info: int
    alignment: int
    content: bytes


@dataclass(frozen=True, slots=True)
class _Symbol:
    name: str
    section: int  # 0: from outside
    value: int


def flatten(image: bytes, functions: Iterable[str]) -> FlatCode:
    """Lay out an object file, from which `functions` are called.

    Raises:
        NotFlat: it is of another processor, or needs more than addresses relative to itself.
    """
    sections = _sections(image)
    (table,) = [one for one in sections if one.kind == _SYMBOLS]
    symbols = _symbols(table, sections[table.linked].content)
    code, places = _laid_out(sections)
    outside: dict[str, int] = {}
    for symbol in symbols:
        if symbol.section == 0 and symbol.name:
            code += bytes(-len(code) % 16)
            outside[symbol.name] = len(code)
            code += bytes(8) + _JUMP + struct.pack("<i", -14)
    for one in sections:
        if one.kind != _WITH_ADDENDS or one.info not in places:
            continue
        for at, kind, number, addend in _RELOCATION.iter_unpack(one.content):
            place = places[one.info] + at
            away = _target(symbols[number], kind, places, outside) + addend - place
            code[place : place + 4] = struct.pack("<i", away)
    entries = {one.name: places[one.section] + one.value for one in symbols if one.section in places}
    return FlatCode(bytes(code), {name: entries[name] for name in functions}, outside)


def _sections(image: bytes) -> list[_Section]:
    magic, kind, machine, _, _, _, start, *_, length, count, names = _HEADER.unpack_from(image)
    if magic[:6] != b"\x7fELF\2\1" or (kind, machine, length) != (_RELOCATABLE, _X86_64, _SECTION.size):
        raise NotFlat("no object file of x86-64")
    heads = [_SECTION.unpack_from(image, start + number * length) for number in range(count)]
    contents = [b"" if head[1] == _NO_BITS else image[head[4] : head[4] + head[5]] for head in heads]
    return [
        _Section(_text(contents[names], name), kind, flags, size, linked, info, alignment, content)
        for (name, kind, flags, _, _, size, linked, info, alignment, _), content in zip(heads, contents, strict=True)
    ]


def _symbols(table: _Section, names: bytes) -> list[_Symbol]:
    return [_Symbol(_text(names, name), section, value)
            for name, _, _, section, value, _ in _SYMBOL.iter_unpack(table.content)]  # fmt: skip


def _laid_out(sections: list[_Section]) -> tuple[bytearray, dict[int, int]]:
    """The content of all sections that code needs, and where each begins."""
    code, places = bytearray(), {}
    for number, one in enumerate(sections):
        if not one.flags & _TAKES_ROOM or one.kind == _UNWINDING or one.name == ".eh_frame":
            continue
        if one.alignment > _PAGE:
            raise NotFlat(f"{one.name} is to lie at a multiple of {one.alignment}")
        code += bytes(-len(code) % max(1, one.alignment))
        places[number] = len(code)
        code += one.content or bytes(one.size)
    return code, places


def _target(symbol: _Symbol, kind: int, places: dict[int, int], outside: dict[str, int]) -> int:
    """Where a reference leads: to a place, or to the eight bytes that hold its address."""
    if symbol.section == 0 and kind in (_GOTPCREL, _GOTPCRELX, _REX_GOTPCRELX):
        return outside[symbol.name]
    if symbol.section == 0 and kind == _PLT32:
        return outside[symbol.name] + 8
    if symbol.section in places and kind in (_PC32, _PLT32):
        return places[symbol.section] + symbol.value
    raise NotFlat(f"a relocation of kind {kind} to {symbol.name or symbol.section}")


def _text(names: bytes, start: int) -> str:
    return names[start : names.index(b"\0", start)].decode()
