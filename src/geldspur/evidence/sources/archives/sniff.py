"""What a file is by its first bytes; its name says nothing."""

HEAD = 1024
READ = frozenset({"zip", "tar", "gzip", "bzip2", "xz"})

_BZIP2_BLOCK = (b"1AY&SY", b"\x17rE8P\x90")  # the first block, or the end of an empty stream
_SIGNATURES = (
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"PK\x07\x08PK\x03\x04", "zip"),
    (b"PK00PK\x03\x04", "zip"),
    (b"\xfd7zXZ\x00", "xz"),
    # recognised so that they are not taken for one plain file each; not read
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"Rar!\x1a\x07", "rar"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\x04\x22\x4d\x18", "lz4"),
    (b"LZIP\x01", "lzip"),
    (b"MSCF\x00\x00\x00\x00", "cabinet"),
    (b"xar!\x00", "xar"),
    (b"!<arch>\n", "ar"),
    (b"070701", "cpio"),
    (b"070702", "cpio"),
    (b"070707", "cpio"),
    (b"hsqs", "squashfs"),
    (b"**ACE**", "ace"),
)


def format_of(head: bytes) -> str | None:
    """The archive format of a file that begins with `head` (`HEAD` bytes, or all it has); None: no archive."""
    for signature, name in _SIGNATURES:
        if head.startswith(signature):
            return name
    if head[:3] == b"\x1f\x8b\x08" and len(head) > 3 and head[3] < 0x20:
        return "gzip"
    if head[:2] == b"\x1f\x9d" and len(head) > 2 and not head[2] & 0x60 and 9 <= head[2] & 0x1F <= 16:
        return "compress (.Z)"
    if head[:3] == b"BZh" and head[3:4].isdigit() and head[4:10] in _BZIP2_BLOCK:
        return "bzip2"
    if head[7:14] == b"**ACE**":
        return "ace"
    return "tar" if is_tar_header(head[:512]) else None


def is_archive(head: bytes) -> bool:
    """Whether a file that begins with `head` is an archive, be it one that can't be read."""
    return format_of(head) is not None


def is_tar_header(block: bytes) -> bool:
    """Whether a block of 512 bytes carries a tar header's checksum (POSIX; old writers summed signed bytes)."""
    if len(block) != 512:
        return False
    field = block[148:156].strip(b" \0")
    if not field or any(byte not in b"01234567" for byte in field):
        return False
    told = int(field, 8)
    rest = block[:148] + b" " * 8 + block[156:]
    unsigned = sum(rest)
    if unsigned == 256:  # eight blanks, all else zero
        return False
    return told == unsigned or told == unsigned - 256 * sum(byte > 127 for byte in rest)
