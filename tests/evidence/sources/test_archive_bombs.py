"""Archives that claim or unpack to far more than they are: each ends soon, in little memory, with its reason."""

import bz2
import gzip
import io
import json
import lzma
import os
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from archives_made import tar_header, zip_end, zip_of, zip_record

BOMB = 16 << 20


def overlapping(count: int = 2000) -> bytes:
    """Every record names the same packed megabytes."""
    packed = zip_of({"x": bytes(BOMB)})
    entry = zipfile.ZipFile(io.BytesIO(packed)).infolist()[0]
    kernel = packed[: packed.index(b"PK\x01\x02")]
    one = zip_record(b"x", size=BOMB, packed=entry.compress_size, crc=entry.CRC)
    return kernel + one * count + zip_end(one * count, len(kernel), count)


def endless_pax() -> bytes:
    return tar_header(b"x", 1 << 32, b"x") + bytes(1 << 20)


def lying_zip64() -> bytes:
    full = 0xFFFFFFFF
    extra = struct.pack("<2H3Q", 1, 24, (1 << 64) - 1, (1 << 64) - 1, (1 << 64) - 1)
    records = zip_record(b"x", size=full, packed=full, at=full, extra=extra)
    records += zip_record(b"y", size=1 << 30, packed=100)
    return b"PK\x03\x04" + records + zip_end(records, 4, 2)


def many_pieces() -> bytes:
    """A map of holes that goes on and on."""
    block = struct.pack("<12s12s", b"00000000001\0", b"00000000001\0") * 21 + b"\1" + bytes(7)
    head = bytearray(tar_header(b"sparse", 0, b"S"))
    head[482] = 1
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    return bytes(head) + block * 100_000


def huge_hole() -> bytes:
    record = b"22 GNU.sparse.major=1\n" + b"22 GNU.sparse.minor=0\n" + b"38 GNU.sparse.realsize=9000000000000000\n"
    record = record.replace(b"38 ", b"%d " % len(b"38 GNU.sparse.realsize=9000000000000000\n"))
    return (
        tar_header(b"x", len(record), b"x")
        + record.ljust(512, b"\0")
        + tar_header(b"s", 512)
        + b"0\n".ljust(512, b"\0")
    )


def large_dictionary() -> bytes:
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 27}]
    return lzma.compress(b"x" * 1000, filters=filters)


def zip_large_dictionary() -> bytes:
    body = struct.pack("<2BHBL", 9, 20, 5, 0x5D, 0xFFFFFFFF) + bytes(100)
    local = struct.pack("<4s5HL2L2H", b"PK\x03\x04", 20, 0, 14, 0, 0, 0, len(body), 1000, 1, 0) + b"x" + body
    record = zip_record(b"x", size=1000, packed=len(body), method=14)
    return local + record + zip_end(record, len(local), 1)


def slow_pax() -> bytes:
    """A megabyte of the shortest records, thrice."""
    text = b"5 a=\n" * 200_000
    one = tar_header(b"x", len(text), b"x") + text.ljust(-(-len(text) // 512) * 512, b"\0")
    return (one + tar_header(b"f", 0)) * 3 + bytes(1024)


def onions() -> bytes:
    """Ten zips in each of ten zips, and so on: all members are small, and there are too many."""
    layer = zip_of({str(number): b"" for number in range(10)})
    for _ in range(6):
        layer = zip_of({str(number): layer for number in range(10)})
    return layer


BOMBS = {  # each with what must be said of it: (path, reason) of a member, or (path, words) of a refused archive
    "bzip2": (lambda: bz2.compress(bytes(BOMB)) * 1600, ("content", "ratio")),
    "bzip2 in gzip": (lambda: gzip.compress(bz2.compress(bytes(BOMB)) * 1600), ("content!content", "ratio")),
    "xz": (lambda: lzma.compress(bytes(BOMB)) * 400, ("content", "size")),
    "tar.xz": (
        lambda: lzma.compress(tar_header(b"x", 400 * BOMB) + bytes(BOMB)) + lzma.compress(bytes(BOMB)) * 399,
        ("x", "size"),
    ),
    "overlapping zip": (overlapping, ("x", "ratio")),
    "huge pax header": (endless_pax, ("", "an extended header of 4,294,967,296 bytes")),
    "slow pax header": (slow_pax, ("f", None)),
    "zip64 lies about size": (lying_zip64, ("x", "size")),
    "zip64 lies about ratio": (lying_zip64, ("y", "ratio")),
    "map of holes": (many_pieces, ("", "a sparse file of too many pieces")),
    "huge hole": (huge_hole, ("s", "size")),
    "xz dictionary": (large_dictionary, ("content", "unsupported")),
    "zip lzma dictionary": (zip_large_dictionary, ("x", "unsupported")),
    "onions": (onions, ("", "more than 5,000 members, the limit")),
}

READ_WITHIN_LIMITS = """
import json, resource, sys
from geldspur.evidence.sources.archives import Limits, Stopped, members
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
limits = Limits(
    free_bytes=32 << 20, members=5_000, buffer_bytes=64 << 20, dictionary_bytes=64 << 20, total_bytes=200 << 20
)
said = []
with open(sys.argv[1], "rb") as file:
    for member in members(file, limits):
        state = member.refused or member.found.skip
        if member.open:
            try:
                stream = member.open()
                while stream.read(1 << 16):
                    pass
            except Stopped as stop:
                state = stop.reason
        said.append((member.found.path.decode(), state))
print(json.dumps([said, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before]))
"""


@pytest.mark.assertion("EV-AR-03", "No archive bomb takes unbounded time or memory.")
@pytest.mark.parametrize("name", BOMBS)
def test_no_bomb_takes_unbounded_time_or_memory(name, tmp_path):
    make, expected = BOMBS[name]
    (tmp_path / "bomb").write_bytes(make())
    before = os.times()
    command = [sys.executable, "-c", READ_WITHIN_LIMITS, str(tmp_path / "bomb")]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3] / "src")}
    done = subprocess.run(command, check=True, capture_output=True, timeout=120, env=environment)
    after = os.times()
    said, grown = json.loads(done.stdout)
    assert list(expected) in said, said[-3:]
    assert grown < 160_000  # kB
    assert after.children_user - before.children_user < 20
