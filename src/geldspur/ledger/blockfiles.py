"""Bitcoin Core's block files: where each block lies, and its bytes.

`blk*.dat` holds records of magic, length and block, in the order in which blocks arrived: stale ones beside
the best chain's, children before parents. Newer nodes obfuscate the files with the eight bytes of `xor.dat`,
counted from each file's start. Files are preallocated, and the unused tail is raw zeros even where the rest
is obfuscated. Files are opened for reading only.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from geldspur.bitcoin.headers import HEADER_SIZE, Header, parse_header
from geldspur.bitcoin.networks import NETWORKS, Network
from geldspur.errors import GeldspurError
from geldspur.progress import SILENT, Progress

FRAME = 8
MAX_BLOCK = 4_000_000
"""No valid block is larger: a block's weight is at most 4,000,000, and each byte weighs at least one."""
_WINDOW = 1 << 20


@dataclass(frozen=True, slots=True)
class BlockFile:
    """One block file and the key it is obfuscated with (empty where it is not)."""

    path: Path
    key: bytes

    def read(self, offset: int, size: int) -> bytes:
        """The plain bytes at `offset`; fewer than `size` at the end of the file."""
        try:
            handle = os.open(self.path, os.O_RDONLY)
            try:
                data = b""
                while len(data) < size and (part := os.pread(handle, size - len(data), offset + len(data))):
                    data += part
            finally:
                os.close(handle)
        except OSError as error:
            raise GeldspurError(
                f"{self.path.name} can't be read: {error.strerror}", where=f"{self.path}, offset {offset:,}"
            ) from error
        return unmask(data, offset, self.key)


@dataclass(frozen=True, slots=True)
class Record:
    """Where one block lies: `offset` is that of the block's first byte, behind magic and length."""

    file: int
    offset: int
    size: int
    header: Header


@dataclass(slots=True)
class Scan:
    """All block records of a source."""

    network: Network
    files: list[BlockFile]
    records: list[Record] = field(default_factory=list)
    cut_off: list[Record] = field(default_factory=list)
    """Blocks whose header is there but whose end is not."""
    notes: list[str] = field(default_factory=list)
    """What else was met: unreadable stretches between blocks, a file that ends inside a frame."""


def unmask(data: bytes, offset: int, key: bytes) -> bytes:
    """Undo Core's obfuscation of `data`, which was read at `offset` of its file."""
    if not key or not data:
        return data
    start = offset % len(key)
    repeated = np.frombuffer((key * (len(data) // len(key) + 2))[start : start + len(data)], np.uint8)
    return (np.frombuffer(data, np.uint8) ^ repeated).tobytes()


def find_files(source: Path) -> list[BlockFile]:
    """The block files behind a path: a single file, a `blocks` folder, or a data directory that holds one."""
    if source.is_file():
        return [BlockFile(source, _key_beside(source))]
    if not source.exists():
        raise GeldspurError(f"{source} does not exist", todo="give a blk file or a folder that holds blk*.dat files")
    for folder in (source, source / "blocks"):
        paths = sorted(folder.glob("blk*.dat"))
        if paths:
            return [BlockFile(path, _key_beside(path)) for path in paths]
    raise GeldspurError(
        f"no blk*.dat file in {source}",
        todo="give Bitcoin Core's blocks folder, or a folder of your own that holds copies of its blk files",
    )


def _key_beside(path: Path) -> bytes:
    xor = path.parent / "xor.dat"
    if not xor.is_file():
        return b""
    key = xor.read_bytes()
    if len(key) != 8:
        raise GeldspurError(
            f"xor.dat has {len(key)} bytes; the obfuscation key has 8", where=str(xor), todo="copy it again"
        )
    return key if any(key) else b""


def scan(source: Path, network: Network | None = None, progress: Progress = SILENT) -> Scan:
    """Find every block record of the source without reading the blocks themselves.

    Raises `GeldspurError` where a file is of another network than asked for, or no Bitcoin block file.
    """
    files = find_files(source)
    found = Scan(network or detect_network(files), files)
    total = sum(file.path.stat().st_size for file in files)
    with progress.task("Finding blocks", total, "B") as task:
        for number, file in enumerate(files):
            _scan_file(found, number, file)
            task.advance(file.path.stat().st_size)
    if not found.records and not found.cut_off:
        raise GeldspurError(f"no block in {source}", todo="are these Bitcoin Core's block files?")
    return found


def detect_network(files: Sequence[BlockFile]) -> Network:
    """The network whose magic begins the first block file that is not empty."""
    by_magic = {network.magic: network for network in NETWORKS.values()}
    for file in files:
        head = file.read(0, 4)
        if head in by_magic:
            return by_magic[head]
        if any(unmask(head, 0, file.key)):
            hint = "" if file.key else "; if the node obfuscates its files, put its xor.dat beside them"
            raise GeldspurError(
                f"{file.path.name} is not a block file of a network that Geldspur knows",
                where=f"{file.path}, offset 0: {head.hex() or 'empty'}",
                todo=f"expected a magic of {', '.join(NETWORKS)}{hint}",
            )
    raise GeldspurError("the block files are empty", where=str(files[0].path))


def _scan_file(found: Scan, number: int, file: BlockFile) -> None:
    magic = found.network.magic
    size = file.path.stat().st_size
    at = 0
    while size - at >= FRAME:
        head = file.read(at, FRAME + HEADER_SIZE)
        length = int.from_bytes(head[4:8], "little")
        if head[:4] != magic or not HEADER_SIZE < length <= MAX_BLOCK:
            following = _next_frame(found, file, at, size)
            if following is None:
                return
            at = following
            continue
        if len(head) < FRAME + HEADER_SIZE:
            break
        record = Record(number, at + FRAME, length, parse_header(head[FRAME:]))
        if at + FRAME + length > size:
            found.cut_off.append(record)
            return
        found.records.append(record)
        at += FRAME + length
    if at < size:
        found.notes.append(f"{file.path.name} ends inside the frame of a block: {size - at} bytes at offset {at:,}")


def _next_frame(found: Scan, file: BlockFile, at: int, size: int) -> int | None:
    """The next offset from `at` on at which a block record begins; None where only the zero tail follows."""
    other = next((n for n in NETWORKS.values() if file.read(at, 4) == n.magic and n is not found.network), None)
    if other is not None:
        raise GeldspurError(
            f"{file.path.name} holds a block of {other.name}, not of {found.network.name}",
            where=f"{file.path}, offset {at:,}",
            todo=f"index it with --network {other.name}" if at == 0 else "keep each network's files apart",
        )
    if at == 0 and not _is_zero_tail(file, at, size) and _find_magic(found, file, 0, size) is None:
        raise GeldspurError(
            f"{file.path.name} is not a {found.network.name} block file",
            where=f"{file.path}, offset 0",
            todo="check --network, and that the node's xor.dat lies beside its files",
        )
    if _is_zero_tail(file, at, size):
        return None
    following = _find_magic(found, file, at + 1, size)
    end = size if following is None else following
    found.notes.append(f"{file.path.name}: {end - at:,} bytes at offset {at:,} are no block and were passed over")
    return following


def _is_zero_tail(file: BlockFile, at: int, size: int) -> bool:
    """Are all bytes from `at` on zero on disk? (The preallocated tail is not obfuscated.)"""
    return not any(any(part) for _, part in _windows(BlockFile(file.path, b""), at, size))


def _find_magic(found: Scan, file: BlockFile, at: int, size: int) -> int | None:
    """Where a frame follows whose header carries work: a stray magic inside other data does not pass."""
    for start, window in _windows(file, at, size):
        hit = window.find(found.network.magic)
        while hit >= 0:
            head = file.read(start + hit, FRAME + HEADER_SIZE)
            length = int.from_bytes(head[4:8], "little")
            if len(head) == FRAME + HEADER_SIZE and HEADER_SIZE < length <= MAX_BLOCK:
                header = parse_header(head[FRAME:])
                if header.has_work(found.network):
                    return start + hit
            hit = window.find(found.network.magic, hit + 1)
    return None


def _windows(file: BlockFile, at: int, size: int) -> Iterator[tuple[int, bytes]]:
    """The file from `at` on, in windows that overlap by three bytes so that no magic is cut in two."""
    while at < size:
        yield at, file.read(at, _WINDOW + 3)
        at += _WINDOW


def block_of(files: Sequence[BlockFile], file: int, offset: int, size: int) -> npt.NDArray[np.uint8]:
    """One block's plain bytes, uint8[size]; GeldspurError where the file has become shorter."""
    data = files[file].read(offset, size)
    if len(data) != size:
        raise GeldspurError(
            f"{files[file].path.name} has become shorter",
            where=f"{files[file].path}, offset {offset:,}: asked for {size:,} bytes, got {len(data):,}",
            todo="restore the file",
        )
    return np.frombuffer(data, np.uint8)
