"""Archives made here for the tests, and what `members` gives for them in plain form."""

import bz2
import gzip
import io
import lzma
import struct
import tarfile
import zipfile

from geldspur.evidence.sources.archives import LIMITS, Limits, Stopped, members


def zip_of(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name, (2024, 2, 29, 12, 30, 58)), content, compress_type=method)
    return out.getvalue()


def tar_of(files: dict[str, bytes], mode: str = "w", form: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode, format=form) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(content), 1_700_000_000.25
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


PACKERS = {"gzip": gzip.compress, "bzip2": bz2.compress, "xz": lzma.compress}


def read_all(archive: bytes, limits: Limits = LIMITS) -> dict[bytes, object]:
    """Path to content, or to the reason why there is none: a code, or ('refused', words) under the archive's own path.

    Later entries of the same path get `#2`, `#3` … behind it.
    """
    got: dict[bytes, object] = {}
    for member in members(io.BytesIO(archive), limits):
        path = member.found.path
        if member.refused:
            got[path + b"!"] = "refused", member.refused, member.offset
            continue
        serial = 2
        while path in got:
            path = member.found.path + b"#%d" % serial
            serial += 1
        if member.open is None:
            got[path] = member.found.skip or member.found.kind
            continue
        try:
            with member.open() as stream:
                got[path] = stream.read()
        except Stopped as stop:
            got[path] = stop.reason
        if member.found.size is not None and isinstance(got[path], bytes):
            assert len(got[path]) == member.found.size  # type: ignore[arg-type]
    return got


def zip_record(
    name: bytes,
    *,
    size: int,
    packed: int,
    at: int = 0,
    method: int = 8,
    flags: int = 0,
    crc: int = 0,
    extra: bytes = b"",
) -> bytes:
    """One record of a central directory."""
    return (
        struct.pack(
            "<4s4B4HL2L5H2L",
            *(b"PK\x01\x02", 20, 3, 20, 0, flags, method, 0, 0x5821, crc, packed, size),
            *(len(name), len(extra), 0, 0, 0, 0, at),
        )
        + name
        + extra
    )


def zip_end(records: bytes, at: int, count: int) -> bytes:
    return struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, min(count, 0xFFFF), min(count, 0xFFFF), len(records), at, 0)


def tar_header(name: bytes, size: int | bytes, kind: bytes = b"0") -> bytes:
    """One ustar header with its checksum; `size` as number, or as the field's twelve bytes."""
    field = size if isinstance(size, bytes) else b"%011o\0" % size
    block = bytearray(name.ljust(100, b"\0") + b"0000644\0" * 3 + field + b"%011o\0" % 1_700_000_000 + b" " * 8 + kind)
    block += bytes(100) + b"ustar\x0000" + bytes(247)
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)
