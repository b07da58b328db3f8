"""How a name that may be anything is shown: on one line, in reading order, and so that it can be told back exactly.

A file's name is bytes. It may hold line breaks, terminal commands, characters that turn the reading direction (so that
`gpj.exe` is read as `exe.jpg`), or no text at all.
"""

_BACKSLASH = "\\\\"


def shown(name: bytes) -> str:
    r"""The name as text. Different names never look the same in bytes, and `raw` gives the bytes back.

    Bytes that are no UTF-8, and ASCII control characters, become `\xNN`; other characters that print nothing, or that
    change how their neighbours are read, become `\u{N}`; a backslash is doubled.
    """
    text = name.decode("utf-8", "surrogateescape")
    if text.isprintable() and "\\" not in text:
        return text
    return "".join(map(_shown_character, text))


def _shown_character(character: str) -> str:
    if character == "\\":
        return _BACKSLASH
    if character.isprintable():
        return character
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is no UTF-8, as surrogateescape carries it
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{{{code:x}}}"


def is_plain(name: bytes) -> bool:
    """Does the name look exactly as it is?"""
    return shown(name).encode() == name


def for_json(name: bytes, key: str = "path") -> dict[str, str]:
    """The name for programs: `key` as shown, and `key_hex` with the bytes where the two differ."""
    text = shown(name)
    return {key: text} if text.encode() == name else {key: text, f"{key}_hex": name.hex()}


def raw(text: str) -> bytes:
    """The bytes of a name from its shown form.

    Raises:
        ValueError: no name is shown like this.
    """
    out, at = bytearray(), 0
    while at < len(text):
        if text[at] != "\\":
            out += text[at].encode()
            at += 1
        elif text[at + 1 : at + 2] == "\\":
            out += b"\\"
            at += 2
        elif text[at + 1 : at + 2] == "x":
            out += bytes.fromhex(text[at + 2 : at + 4])
            at += 4
        elif text[at + 1 : at + 3] == "u{" and (end := text.find("}", at)) > 0:
            out += chr(int(text[at + 3 : end], 16)).encode()
            at = end + 1
        else:
            raise ValueError(f"a lone backslash at character {at}")
    return bytes(out)
