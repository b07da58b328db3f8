"""Bech32 and Bech32m: the text of SegWit addresses.

Source: BIP173 and BIP350. A site file holds up to millions of addresses, hence the tables: the checksum is
linear over its characters, so that each adds what a table has for its place, and payloads pass through whole
integers.
"""

from functools import cache, lru_cache, reduce
from operator import getitem, xor

CHARSET = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l"
BECH32 = 1
BECH32M = 0x2BC830A3
MAX_LENGTH = 90
CHECKSUM = 6
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_INVALID = 255
_VALUE = bytes(CHARSET.find(c) if c in CHARSET else _INVALID for c in range(256))
_LETTER = bytes.maketrans(bytes(range(32)), CHARSET)
_PYTHON_DIGIT = bytes.maketrans(bytes(range(32)), b"0123456789abcdefghijklmnopqrstuv")
_PAIR = tuple(bytes([pair >> 5, pair & 31]) for pair in range(1024))


def _step(checksum: int, value: int) -> int:
    """BIP173's polymod, one 5-bit value on."""
    top = checksum >> 25
    checksum = (checksum & 0x1FFFFFF) << 5 ^ value
    for bit, generator in enumerate(_GENERATOR):
        if top >> bit & 1:
            checksum ^= generator
    return checksum


def _places() -> tuple[tuple[int, ...], ...]:
    """For each place, counted from the text's end, what each of the 32 values adds to the checksum there."""
    place = tuple(range(32))
    places = [place]
    while len(places) < MAX_LENGTH:
        place = tuple(_step(part, 0) for part in place)
        places.append(place)
    return tuple(places)


_PLACES = _places()


@lru_cache(maxsize=512)
def _prefix_part(prefix: str, length: int) -> int:
    """What a human-readable part adds to the checksum when `length` values follow it."""
    checksum = 1
    codes = prefix.encode("ascii")
    for value in (*(c >> 5 for c in codes), 0, *(c & 31 for c in codes), *bytes(length)):
        checksum = _step(checksum, value)
    return checksum


@cache
def _byte_places() -> tuple[tuple[int, ...], ...]:
    """The same for each byte of the values taken as one number, counted from its lowest: fewer parts to add."""
    bits = [place[1 << bit] for place in _PLACES for bit in range(5)] + [0] * 7
    tables = []
    for first in range(0, 5 * MAX_LENGTH, 8):
        table = [0]
        for bit in bits[first : first + 8]:
            table += [part ^ bit for part in table]
        tables.append(tuple(table))
    return tuple(tables)


def _polymod(prefix: str, values: bytes) -> int:
    return reduce(xor, map(getitem, _PLACES, values[::-1]), _prefix_part(prefix, len(values)))


def checksum_parts(prefix: str, length: int) -> tuple[int, tuple[tuple[int, ...], ...]]:
    """What the checksum of `length` values under a prefix is made of by XOR.

    Gives the prefix's part, and for each place, counted from the end, what each of the 32 values adds there.
    """
    return _prefix_part(prefix, length), _PLACES[:length]


def decode(text: str) -> tuple[str, bytes, int]:
    """Take a text apart: (lower-case prefix, 5-bit values without checksum, BECH32 or BECH32M).

    ValueError says what is wrong.
    """
    if len(text) > MAX_LENGTH:
        raise ValueError(f"longer than {MAX_LENGTH} characters")
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("a character outside printable ASCII")
    lower = text.lower()
    if lower != text and text.upper() != text:
        raise ValueError("upper and lower case mixed")
    prefix, separator, data = lower.rpartition("1")
    if not separator:
        raise ValueError("no separator '1'")
    if not prefix:
        raise ValueError("nothing before the separator '1'")
    if len(data) < CHECKSUM:
        raise ValueError("too short for a Bech32 checksum")
    values = data.encode("ascii").translate(_VALUE)
    if _INVALID in values:
        at = values.index(_INVALID)
        raise ValueError(f"character {len(prefix) + 2 + at} ({data[at]!a}) is not a Bech32 character")
    number = int(values.translate(_PYTHON_DIGIT), 32).to_bytes((5 * len(values) + 7) // 8, "little")
    checksum = reduce(xor, map(getitem, _byte_places(), number), _prefix_part(prefix, len(values)))
    if checksum not in (BECH32, BECH32M):
        raise ValueError("the Bech32 checksum does not match")
    return prefix, values[:-CHECKSUM], checksum


def encode(prefix: str, values: bytes, constant: int) -> str:
    """Text of 5-bit values under a lower-case prefix, with the checksum that `constant` asks for.

    ValueError where it would be longer than 90 characters.
    """
    if len(prefix) + 1 + len(values) + CHECKSUM > MAX_LENGTH:
        raise ValueError(f"longer than {MAX_LENGTH} characters")
    checksum = _polymod(prefix, values + bytes(CHECKSUM)) ^ constant
    tail = _PAIR[checksum >> 20] + _PAIR[checksum >> 10 & 1023] + _PAIR[checksum & 1023]
    return prefix + "1" + (values + tail).translate(_LETTER).decode("ascii")


def values_to_bytes(values: bytes) -> bytes:
    """Regroup 5-bit values into bytes; ValueError where the bits left over aren't fewer than five zeros."""
    bits = 5 * len(values)
    spare = bits % 8
    if spare > 4:
        raise ValueError("more than four bits of padding")
    number = int(values.translate(_PYTHON_DIGIT), 32) if values else 0
    if number & ((1 << spare) - 1):
        raise ValueError("padding that is not zero")
    return (number >> spare).to_bytes(bits // 8, "big")


def bytes_to_values(data: bytes) -> bytes:
    """Regroup bytes into 5-bit values, the last one padded with zeros."""
    count = (8 * len(data) + 4) // 5
    number = int.from_bytes(data, "big") << (5 * count - 8 * len(data))
    pairs = [_PAIR[number >> shift & 1023] for shift in range(5 * (count - count % 2), -1, -10)]
    return b"".join(pairs)[-count:] if count else b""
