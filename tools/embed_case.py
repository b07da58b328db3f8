#!/usr/bin/env python3
"""Pack an unpacked regtest case into the archive that the package carries.

    python tools/embed_case.py CASE_DIR [OUT.tar.xz]

CASE_DIR holds blocks/ and truth/. Both go in whole: the preallocated zero tails of the block files are one of
the traps that a reader must survive, and compress to nothing. Core's own figures (core/) stay out. The same
case gives the same bytes: names sorted, no owner, no time, one compressor setting.
"""

import hashlib
import io
import lzma
import sys
import tarfile
from pathlib import Path

DEFAULT_OUT = Path(__file__).parents[1] / "src/geldspur/accuracy/data/case_s.tar.xz"
LIMIT = 1_500_000

NOTICE = """\
A synthetic Bitcoin regtest chain with full ground truth.

Played through real Bitcoin Core wallets on a private test network, for this project. It contains no real
person, address, payment or business; "ex1", "cust001", "site" and the like are invented actors. Behaviour
rates are invented too: a score on this chain shows that the code works and how it fails, not how accurate
it is on mainnet. Part of Geldspur, under the Apache License 2.0.

blocks/  Bitcoin Core's block and undo files as the node wrote them, preallocated tails included
truth/   every address, output, payment, path, CoinJoin and PayJoin with its owner
"""


def members(case: Path) -> list[tuple[str, bytes]]:
    """Name and content of every file of the archive, by name."""
    files = [("NOTICE.txt", NOTICE.encode())]
    for folder in ("blocks", "truth"):
        files += [(f"{folder}/{path.name}", path.read_bytes()) for path in (case / folder).iterdir()]
    return sorted(files)


def tar_bytes(files: list[tuple[str, bytes]]) -> bytes:
    """A USTAR archive without anything that differs between two runs."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in files:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            info.mode = 0o644
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def main(case: Path, out: Path = DEFAULT_OUT) -> None:
    """Write the archive and print what a reviewer compares."""
    if not (case / "blocks").is_dir() or not (case / "truth").is_dir():
        sys.exit(f"{case} holds no blocks/ and truth/: give the directory of an unpacked case")
    packed = lzma.compress(tar_bytes(members(case)), preset=9 | lzma.PRESET_EXTREME)
    if len(packed) > LIMIT:
        sys.exit(f"{len(packed)} bytes are more than the {LIMIT} that the package can carry")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(packed)
    print(f"{out}: {len(packed)} bytes, sha256 {hashlib.sha256(packed).hexdigest()}")


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    main(*map(Path, sys.argv[1:]))
