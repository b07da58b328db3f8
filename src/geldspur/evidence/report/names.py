"""File names for people: whatever bytes they are, shown unambiguously and unable to act on what shows them."""

import unicodedata

_INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def shown(path: bytes) -> str:
    r"""A path as text: bytes that are no UTF-8 as \xNN, characters that are invisible or turn the reading order as
    \u{N}, a backslash doubled. Two different paths never look the same to a program.
    """
    return escaped(path.decode("utf-8", "surrogateescape"))


def escaped(text: str) -> str:
    """Text from outside, such as a list's name, in the same form."""
    return "".join(map(_shown, text))


def _shown(char: str) -> str:
    code = ord(char)
    if char == "\\":
        return "\\\\"
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    if unicodedata.category(char) in _INVISIBLE or (char.isspace() and char != " "):
        return f"\\u{{{code:x}}}"
    return char
