"""Core's undo data: value, script and height of every output that a block spends, for blocks whose past is not read.

`rev*.dat` holds records of magic, length, CBlockUndo and checksum, obfuscated as the blk files are. A record
names no block, and records lie in the order in which blocks were connected; what ties one to its block is the
checksum: double SHA-256 of the previous block's hash and the record. Core writes a block's record into the rev
file that has its blk file's number. Source: Bitcoin Core, src/undo.h, src/node/blockstorage.cpp.
"""

import re
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from geldspur.bitcoin.headers import HEADER_SIZE, double_sha256
from geldspur.bitcoin.networks import Network
from geldspur.bitcoin.scripts import ScriptType
from geldspur.errors import GeldspurError
from geldspur.ledger import undo_kernels as kernels
from geldspur.ledger.blockfiles import FRAME, BlockFile, OpenFile
from geldspur.ledger.sources import BlockRef

_CHECKSUM = 32
_PRIME = 2**256 - 2**32 - 977
"""The field of secp256k1 (SEC 2, version 2, section 2.4.1)."""
_COUNT_SIZE = 9


@dataclass(frozen=True, slots=True)
class SpentCoins:
    """What a block spends, in the order of its inputs, the coinbase's left out.

    Transaction t of the block (the first behind the coinbase is 0) spends coins tx_coin[t] .. tx_coin[t+1].
    """

    tx_coin: npt.NDArray[np.int64]
    value: npt.NDArray[np.int64]
    """int64[coins], satoshi."""
    height: npt.NDArray[np.uint32]
    """uint32[coins]: of the block that made the coin."""
    coinbase: npt.NDArray[np.bool_]
    script_type: npt.NDArray[np.uint8]
    """uint8[coins]: `bitcoin.scripts.ScriptType`."""
    payload_at: npt.NDArray[np.int64]
    """int64[coins+1]: coin c's payload, as `bitcoin.scripts.classify` gives it, is payload[at[c]:at[c+1]]."""
    payload: npt.NDArray[np.uint8]

    def __len__(self) -> int:
        """How many coins."""
        return len(self.value)


def decode_undo(record: bytes, where: str) -> SpentCoins:
    """Read one CBlockUndo. `GeldspurError` names offset and fault where the bytes are none."""
    buf = np.frombuffer(record, np.uint8)
    n_tx, coins, room, _, fault, at = kernels.measure_undo(buf, 0, len(buf), 0)
    _refuse(fault, at, where)
    spent = SpentCoins(
        np.empty(n_tx + 1, np.int64), np.empty(coins, np.int64), np.empty(coins, np.uint32), np.empty(coins, np.bool_),
        np.empty(coins, np.uint8), np.empty(coins + 1, np.int64), np.empty(room, np.uint8),
    )  # fmt: skip
    kernels.decode_undo(
        buf, 0, len(buf), spent.tx_coin, spent.value, spent.height, spent.coinbase, spent.script_type,
        spent.payload_at, spent.payload,
    )  # fmt: skip
    _complete_keys(spent, where)
    return spent


def _refuse(fault: int, at: int, where: str) -> None:
    if fault != kernels.OK:
        raise GeldspurError(
            f"undo data are damaged: {kernels.FAULTS[fault]}",
            where=f"{where}, {at:,} bytes into the record",
            todo="copy the rev file again from the node",
        )


def _complete_keys(spent: SpentCoins, where: str) -> None:
    """Compute y of the public keys that Core stores by x and the oddness of y though they pay in full."""
    full = np.flatnonzero((spent.script_type == ScriptType.P2PK) & (np.diff(spent.payload_at) == 67))
    for at in spent.payload_at[full].tolist():
        prefix = int(spent.payload[at + 1])
        if prefix > 3:
            continue
        y = _y_of(spent.payload[at + 2 : at + 34].tobytes(), prefix & 1)
        if y is None:
            raise GeldspurError("undo data are damaged: a public key is not on the curve", where=where)
        spent.payload[at + 1] = 4
        spent.payload[at + 34 : at + 66] = np.frombuffer(y, np.uint8)


@lru_cache(maxsize=100_000)
def _y_of(x: bytes, odd: int) -> bytes | None:
    """The y of the point on secp256k1 with this x: a square root of x^3 + 7; None where there is none."""
    number = int.from_bytes(x)
    square = (pow(number, 3, _PRIME) + 7) % _PRIME
    root = pow(square, (_PRIME + 1) // 4, _PRIME)
    if number >= _PRIME or root * root % _PRIME != square:
        return None
    return (root if root & 1 == odd else _PRIME - root).to_bytes(32)


@dataclass(slots=True)
class _Records:
    """Offset and size of the records of one rev file, by the number of transactions that they undo."""

    file: BlockFile
    by_count: dict[int, deque[tuple[int, int]]] = field(default_factory=lambda: defaultdict(deque))

    def match(self, opened: OpenFile, count: int, previous: bytes) -> tuple[int, bytes] | None:
        """Offset and bytes of the record whose checksum is right for a block behind `previous`."""
        waiting = self.by_count[count]
        for k, (offset, size) in enumerate(waiting):
            data = opened.read(offset, size + _CHECKSUM)
            record, checksum = data[:size], data[size:]
            if double_sha256(previous + record) == checksum:
                # Blocks are asked for in about the order in which the records lie: search on from here.
                waiting.rotate(-k - 1)
                return offset, record
        return None


class UndoFiles:
    """The rev files beside block files, for the blocks in those.

    Nothing is taken from a record before its checksum has proved which block it belongs to. Not for several
    threads at once.
    """

    def __init__(self, files: Sequence[BlockFile], network: Network) -> None:
        self._blocks = files
        self._network = network
        self._by_number: dict[str, BlockFile] = {}
        for folder, key in {file.path.parent: file.key for file in files}.items():
            for path in sorted(folder.glob("rev*.dat")):
                self._by_number[str(path)] = BlockFile(path, key)
        self._records: dict[str, _Records] = {}
        self.notes: list[str] = []

    def __bool__(self) -> bool:
        """Are there any rev files?"""
        return bool(self._by_number)

    def spent(self, ref: BlockRef) -> SpentCoins:
        """What a block spends. `GeldspurError` where no undo record belongs to the block, or where it is damaged."""
        where, record = self._record_of(ref)
        return decode_undo(record, where)

    def count_before(self, refs: Iterable[BlockRef], from_height: int) -> int:
        """How many coins made below `from_height` these blocks spend."""
        total = 0
        for ref in refs:
            where, record = self._record_of(ref)
            buf = np.frombuffer(record, np.uint8)
            _, _, _, before, fault, at = kernels.measure_undo(buf, 0, len(buf), from_height)
            _refuse(fault, at, where)
            total += before
        return total

    def _record_of(self, ref: BlockRef) -> tuple[str, bytes]:
        """The undo record of a block, and where it lies."""
        count = self._transactions_of(ref) - 1
        if count == 0:
            return f"{ref.place}: a coinbase alone", b"\0"
        for path in self._likely_files(ref):
            records = self._load(path)
            if count not in records.by_count:
                continue
            with records.file.open() as opened:
                match = records.match(opened, count, ref.header.previous)
            if match is not None:
                return f"{path}, offset {match[0]:,}", match[1]
        raise GeldspurError(
            f"no undo data for block {ref.header.hash[::-1].hex()}"
            + ("" if self else ": there is no rev*.dat file beside the block files"),
            where="; ".join([ref.place, *self.notes[:3]]),
            todo="copy the rev*.dat files together with the blk*.dat files, from a stopped node",
        )

    def _transactions_of(self, ref: BlockRef) -> int:
        """How many transactions a block says it has: with that most records are told apart without hashing."""
        head = self._blocks[ref.file].read(ref.offset + HEADER_SIZE, _COUNT_SIZE)
        size = {253: 2, 254: 4, 255: 8}.get(head[0], 0) if head else 0
        count = int.from_bytes(head[1 : 1 + size], "little") if size else int(head[0]) if head else 0
        if not 0 < count <= ref.size:
            raise GeldspurError(
                f"block {ref.header.hash[::-1].hex()} is damaged: it claims {count:,} transactions",
                where=ref.place,
                todo="copy the file again from the node",
            )
        return count

    def _likely_files(self, ref: BlockRef) -> Iterator[str]:
        """The rev file of the block file's number, then the others: a folder may mix copies of several nodes."""
        path = self._blocks[ref.file].path
        first = str(path.with_name(re.sub("^blk", "rev", path.name)))
        if first in self._by_number:
            yield first
        yield from (other for other in self._by_number if other != first)

    def _load(self, path: str) -> _Records:
        if path not in self._records:
            records = _Records(self._by_number[path])
            with records.file.open() as opened:
                self._scan(records, opened)
            self._records[path] = records
        return self._records[path]

    def _scan(self, records: _Records, file: OpenFile) -> None:
        """Note each record of a file; stops with a note where something else than a record follows."""
        at, size, magic = 0, file.size, self._network.magic
        while size - at >= FRAME + _CHECKSUM:
            head = file.read(at, FRAME + _COUNT_SIZE)
            length = int.from_bytes(head[4:FRAME], "little")
            if head[:4] != magic or not 0 < length <= size - at - FRAME - _CHECKSUM:
                if any(OpenFile(BlockFile(file.file.path, b""), file.handle).read(at, FRAME)):
                    name = file.file.path.name
                    self.notes.append(f"{name} holds no undo record from offset {at:,} on")
                return
            count = int(head[FRAME])
            width = {253: 2, 254: 4, 255: 8}.get(count, 0)
            if width:
                count = int.from_bytes(head[FRAME + 1 : FRAME + 1 + width], "little")
            records.by_count[count].append((at + FRAME, length))
            at += FRAME + length + _CHECKSUM
