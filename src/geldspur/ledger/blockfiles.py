"""Bitcoin Core's block files: where each block lies, and its bytes.

`blk*.dat` holds records of magic, length and block, in the order in which blocks arrived: stale ones beside
the best chain's, children before parents. Newer nodes obfuscate the files with the eight bytes of `xor.dat`,
counted from each file's start. Files are preallocated, and the unused tail is raw zeros even where the rest
is obfuscated. Files are opened for reading only.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from geldspur.bitcoin.headers import HEADER_SIZE, parse_header
from geldspur.bitcoin.networks import NETWORKS, Network
from geldspur.errors import GeldspurError
from geldspur.ledger.chain import CutOff, Found
from geldspur.ledger.sources import MAX_BLOCK, BlockRef
from geldspur.progress import SILENT, Progress

Record = BlockRef

FRAME = 8
_HEAD = FRAME + HEADER_SIZE
_WINDOW = 1 << 20
_READ_ONLY = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
"""Not to wait for a writer, where somebody has put a pipe under a block file's name."""


@dataclass(frozen=True, slots=True)
class BlockFile:
    """One block file and the key it is obfuscated with (empty where it is not)."""

    path: Path
    key: bytes

    @contextmanager
    def open(self) -> "Iterator[OpenFile]":
        """The file, opened for reading; GeldspurError for whatever the machine refuses meanwhile."""
        try:
            handle = os.open(self.path, _READ_ONLY)
            try:
                yield OpenFile(self, handle)
            finally:
                os.close(handle)
        except OSError as error:
            raise GeldspurError(
                f"{self.path.name} can't be read: {error.strerror}",
                where=str(self.path),
                todo="is the disk mounted, and may you read the file?",
            ) from error

    @property
    def size(self) -> int:
        """Its size on disk, preallocated tail included."""
        with self.open() as file:
            return file.size

    def read(self, offset: int, size: int) -> bytes:
        """The plain bytes at `offset`; fewer than `size` at the end of the file."""
        with self.open() as file:
            return file.read(offset, size)


@dataclass(frozen=True, slots=True)
class OpenFile:
    """A block file while it is open."""

    file: BlockFile
    handle: int

    @property
    def size(self) -> int:
        """Its size on disk, preallocated tail included."""
        return os.fstat(self.handle).st_size

    def read(self, offset: int, size: int) -> bytes:
        """The plain bytes at `offset`; fewer than `size` at the end of the file."""
        data = os.pread(self.handle, size, offset)
        while len(data) < size and (part := os.pread(self.handle, size - len(data), offset + len(data))):
            data += part
        return unmask(data, offset, self.file.key)

    def read_into(self, offset: int, target: npt.NDArray[np.uint8]) -> int:
        """Fill `target` with the plain bytes at `offset`; returns how many there are."""
        done = 0
        view = target.data
        while done < len(target) and (part := os.preadv(self.handle, [view[done:]], offset + done)):
            done += part
        if self.file.key:
            start = offset % len(self.file.key)
            np.bitwise_xor(target[:done], _repeated(self.file.key, start + done)[start : start + done], target[:done])
        return done


@dataclass(slots=True)
class Scan(Found):
    """All block records of Core's files."""

    files: list[BlockFile] = field(default_factory=list)


def unmask(data: bytes, offset: int, key: bytes) -> bytes:
    """Undo Core's obfuscation of `data`, which was read at `offset` of its file."""
    if not key or not data:
        return data
    start = offset % len(key)
    mask = _repeated(key, start + len(data))[start : start + len(data)]
    return (np.frombuffer(data, np.uint8) ^ mask).tobytes()


def _repeated(key: bytes, size: int) -> npt.NDArray[np.uint8]:
    """The key over and over, at least `size` bytes."""
    return _repeated_exactly(key, 1 << max(16, size.bit_length()))


@lru_cache(maxsize=32)
def _repeated_exactly(key: bytes, size: int) -> npt.NDArray[np.uint8]:
    return np.frombuffer(key * (size // len(key)), np.uint8)


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
    found = Scan(network or detect_network(files), [str(file.path) for file in files], files=files)
    total = sum(file.size for file in files)
    with progress.task("Finding blocks", total, "B") as task:
        for number, file in enumerate(files):
            with file.open() as opened:
                _scan_file(found, number, opened)
                task.advance(opened.size)
    if not found.size and not found.cut_off:
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


def _scan_file(found: Scan, number: int, file: OpenFile) -> None:
    magic, path, size = found.network.magic, file.file.path, file.size
    unmasked = _head_reader(file)
    at = 0
    while size - at >= FRAME:
        head = unmasked(at)
        length = int.from_bytes(head[4:8], "little")
        if head[:4] != magic or not HEADER_SIZE < length <= MAX_BLOCK:
            following = _next_frame(found, file, at, size)
            if following is None:
                return
            at = following
            continue
        if len(head) < _HEAD:
            break
        begin = at + FRAME
        if begin + length > size:
            block = BlockRef(parse_header(head[FRAME:]), length, number, begin, found.place(number, begin))
            found.cut_off.append(CutOff(block, size - begin))
            return
        found.add(head[FRAME:], length, number, begin)
        at = begin + length
    if at < size:
        found.notes.append(f"{path.name} ends inside the frame of a block: {size - at} bytes at offset {at:,}")


def _head_reader(file: OpenFile) -> Callable[[int], bytes]:
    """Reads frame and header at an offset: what a scan does a million times."""
    handle, key = file.handle, file.file.key
    if not key:
        return lambda at: os.pread(handle, _HEAD, at)
    masks = [int.from_bytes((key * (_HEAD // 8 + 2))[k : k + _HEAD], "little") for k in range(8)]

    def unmasked(at: int) -> bytes:
        data = os.pread(handle, _HEAD, at)
        plain = (int.from_bytes(data, "little") ^ masks[at % 8]).to_bytes(_HEAD, "little")
        return plain[: len(data)]

    return unmasked


def _next_frame(found: Scan, file: OpenFile, at: int, size: int) -> int | None:
    """The next offset from `at` on at which a block record begins; None where only the zero tail follows."""
    path = file.file.path
    other = next((n for n in NETWORKS.values() if file.read(at, 4) == n.magic and n is not found.network), None)
    if other is not None:
        raise GeldspurError(
            f"{path.name} holds a block of {other.name}, not of {found.network.name}",
            where=f"{path}, offset {at:,}",
            todo=f"index it with --network {other.name}" if at == 0 else "keep each network's files apart",
        )
    if _is_zero_tail(file, at, size):
        return None
    following = _find_magic(found, file, at + 1 if at else 0, size)
    if at == 0 and following is None:
        raise GeldspurError(
            f"{path.name} is not a {found.network.name} block file",
            where=f"{path}, offset 0",
            todo="check --network, and that the node's xor.dat lies beside its files",
        )
    end = size if following is None else following
    found.notes.append(f"{path.name}: {end - at:,} bytes at offset {at:,} are no block and were passed over")
    return following


def _is_zero_tail(file: OpenFile, at: int, size: int) -> bool:
    """Are all bytes from `at` on zero on disk? (The preallocated tail is not obfuscated.)"""
    raw = OpenFile(BlockFile(file.file.path, b""), file.handle)
    return all(part.count(0) == len(part) for _, part in _windows(raw, at, size))


def _find_magic(found: Scan, file: OpenFile, at: int, size: int) -> int | None:
    """Where a frame follows whose header carries work: a stray magic inside other data does not pass."""
    for start, window in _windows(file, at, size):
        hit = window.find(found.network.magic)
        while hit >= 0:
            head = file.read(start + hit, _HEAD)
            length = int.from_bytes(head[4:8], "little")
            if len(head) == _HEAD and HEADER_SIZE < length <= MAX_BLOCK:
                header = parse_header(head[FRAME:])
                if header.has_work(found.network):
                    return start + hit
            hit = window.find(found.network.magic, hit + 1)
    return None


def _windows(file: OpenFile, at: int, size: int) -> Iterator[tuple[int, bytes]]:
    """The file from `at` on, in windows that overlap by three bytes so that no magic is cut in two."""
    while at < size:
        yield at, file.read(at, _WINDOW + 3)
        at += _WINDOW


def block_of(files: Sequence[BlockFile], file: int, offset: int, size: int) -> npt.NDArray[np.uint8]:
    """One block's plain bytes, uint8[size]; GeldspurError where the file has become shorter."""
    target = np.empty(size, np.uint8)
    with files[file].open() as opened:
        fill(opened, offset, target)
    return target


def fill(file: OpenFile, offset: int, target: npt.NDArray[np.uint8]) -> None:
    """Fill the whole of `target` with the plain bytes at `offset`; GeldspurError where the file ends before."""
    got = file.read_into(offset, target)
    if got != len(target):
        path = file.file.path
        raise GeldspurError(
            f"{path.name} has become shorter",
            where=f"{path}, offset {offset:,}: asked for {len(target):,} bytes, got {got:,}",
            todo="restore the file",
        )
