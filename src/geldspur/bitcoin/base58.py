"""Base58 and Base58Check: the text of the addresses before SegWit.

Source: Bitcoin Core, src/base58.cpp. Called once an address of files with millions of them, hence the tables.
"""

from hashlib import sha256
from struct import unpack

ALPHABET = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_INVALID = 255
_DIGIT = bytes(ALPHABET.find(c) if c in ALPHABET else _INVALID for c in range(256))
_PAIR = tuple(58 * first + second for second, first in (divmod(pair, 256) for pair in range(58 << 8)))
"""What two digits are together, by the two bytes that hold them."""


def encode(data: bytes) -> str:
    """Base58 text of bytes; each leading zero byte becomes a `1`."""
    number = int.from_bytes(data, "big")
    digits = bytearray()
    while number:
        number, digit = divmod(number, 58)
        digits.append(ALPHABET[digit])
    zeros = len(data) - len(data.lstrip(b"\0"))
    return "1" * zeros + digits[::-1].decode("ascii")


def decode(text: str) -> bytes:
    """Bytes of a Base58 text; ValueError names the first character that isn't Base58."""
    digits = text.encode("utf-8", "surrogatepass").translate(_DIGIT)
    if _INVALID in digits:
        at = next(i for i, c in enumerate(text) if not c.isascii() or _DIGIT[ord(c)] == _INVALID)
        raise ValueError(f"character {at + 1} ({text[at]!a}) is not a Base58 character")
    number = 0
    for pair in unpack(f"<{(len(digits) + 1) // 2}H", digits if len(digits) % 2 == 0 else b"\0" + digits):
        number = number * 3364 + _PAIR[pair]
    zeros = len(text) - len(text.lstrip("1"))
    return bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8, "big")


def check_encode(data: bytes) -> str:
    """Base58 of the data followed by the first four bytes of its double SHA-256."""
    return encode(data + sha256(sha256(data).digest()).digest()[:4])


def check_decode(text: str) -> bytes:
    """The data of a Base58Check text, without its checksum; ValueError says what is wrong."""
    data = decode(text)
    if len(data) < 5:
        raise ValueError("too short for a Base58 checksum")
    body, checksum = data[:-4], data[-4:]
    if sha256(sha256(body).digest()).digest()[:4] != checksum:
        raise ValueError("the Base58 checksum does not match")
    return body
