"""Parquet tables of blocks and transactions as a source: bitcoin-etl's layout and the public AWS data set's.

The tables hold decoded fields. Each transaction is written again as the wire has it, without witnesses, so
that the build hashes every txid, Merkle root and header itself. pyarrow is needed only here.
"""

import struct
from collections import OrderedDict, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from geldspur.bitcoin.headers import HEADER_SIZE, double_sha256
from geldspur.bitcoin.networks import NETWORKS, Network
from geldspur.errors import GeldspurError
from geldspur.ledger.chain import Found, best_chain
from geldspur.ledger.sources import MAX_BLOCK, BlockRef, Bytes, Chain, Rows
from geldspur.progress import SILENT, Progress

if TYPE_CHECKING:
    from geldspur.ledger.parquet_rows import TxRows

_CACHE = 256 << 20
"""Bytes of rebuilt transactions kept for later blocks: a day's part file of AWS is in no order."""
_BLOCK = ("hash", "size", "number", "version", "merkle_root", "timestamp", "bits", "nonce", "coinbase_param")
_OPTIONAL = ("previousblockhash",)


class ParquetTables:
    """A folder with the tables `blocks` and `transactions`, each any number of Parquet files in any partition."""

    def __init__(self, folder: Path, network: Network | None = None, progress: Progress = SILENT) -> None:
        self._open(folder)
        rows = list(self._block_rows(progress))
        self.network: Network = network or self._network_of(rows)
        self._found = Found(self.network, [str(path) for path in self._block_files], "block")
        _add_blocks(self._found, rows)
        self._coinbase_of = {bytes.fromhex(row["hash"])[::-1]: row["coinbase_param"] or "" for row in rows}

    @classmethod
    def from_description(cls, description: dict[str, Any]) -> Self:
        """The tables that `describe` told of."""
        return cls(Path(description["folder"]), NETWORKS[description["network"]])

    def describe(self) -> dict[str, Any]:
        """The folder: refs name blocks by height and hash."""
        return {"kind": "parquet", "network": self.network.name, "folder": str(self._folder.resolve())}

    def chain(self, to_height: int | None = None, known: Bytes | None = None, from_height: int = 0) -> Chain:
        """See `Source.chain`. Heights of a chain without its beginning are those that the table has."""
        return best_chain(self._found, to_height, from_height, lambda ref: ref.offset).behind(known)

    def read(self, refs: Sequence[BlockRef], buf: Bytes, starts: Rows) -> Rows:
        """See `Source.read`: blocks without witnesses."""
        from geldspur.ledger import parquet_kernels as kernels

        sizes = np.empty(len(refs), np.int64)
        for k, ref in enumerate(refs):
            groups, order = self._transactions(ref)
            lengths = np.concatenate([rows.end[mine] - rows.start[mine] for rows, mine in groups])[order]
            head = ref.header.raw + _compact(len(lengths))
            at = int(starts[k]) + len(head) + np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
            sizes[k] = at[-1] - starts[k]
            if sizes[k] > ref.size:
                raise _broken(ref, f"it has {sizes[k]:,} bytes without witnesses, but its row says {ref.size:,} in all")
            assert at[-1] <= len(buf)
            buf[starts[k] : starts[k] + len(head)] = np.frombuffer(head, np.uint8)
            target = np.empty(len(lengths), np.int64)
            target[order] = at[:-1]
            first = 0
            for rows, mine in groups:
                end = first + len(mine)
                kernels.gather(rows.data, rows.start[mine], rows.end[mine], buf, target[first:end])
                first = end
        return sizes

    def sizes(self, refs: Sequence[BlockRef]) -> npt.NDArray[np.uint32] | None:
        """See `Source.sizes`: what the column `size` says. Nothing can check it."""
        parts = []
        for ref in refs:
            groups, order = self._transactions(ref)
            parts.append(np.concatenate([rows.size[mine] for rows, mine in groups])[order])
        return np.concatenate(parts).astype(np.uint32)

    def _transactions(self, ref: BlockRef) -> tuple[list[tuple["TxRows", Rows]], Rows]:
        """The rows of a block's transactions in each row group that has some, and the order to put them in."""
        groups: list[tuple[TxRows, Rows]] = []
        for rows in self._groups_of(ref.offset):
            left, right = np.searchsorted(rows.number, [ref.offset, ref.offset + 1])
            name = np.frombuffer(ref.header.hash, np.uint8)
            mine = left + np.flatnonzero((rows.block[left:right] == name).all(axis=1))
            if len(mine):
                groups.append((rows, mine))
        if not groups:
            raise _broken(ref, "none of its transactions are there")
        index = np.concatenate([rows.index[mine] for rows, mine in groups])
        order = np.argsort(index, kind="stable")
        if index[0] >= 0:
            # The same block may be there twice: AWS keeps a file for each new block until the day's file replaces it.
            again = np.flatnonzero(np.diff(index[order]) == 0) + 1
            order = np.delete(order, again)
            if not np.array_equal(index[order], np.arange(len(order))):
                raise _broken(ref, "some of its transactions are missing")
            groups, order = _drop_unused(groups, order)
        return groups, order

    def _groups_of(self, number: int) -> "Iterator[TxRows]":
        """Rebuilt row groups that may hold transactions of a block of this height."""
        low, high, where = self._ranges
        for k in np.flatnonzero((low <= number) & (number <= high)).tolist():
            yield self._rebuilt(where[k])

    def _rebuilt(self, where: tuple[Path, int]) -> "TxRows":
        from geldspur.ledger.parquet_rows import read_rows

        with self._lock:
            rows = self._cache.pop(where, None)
            if rows is None:
                with _reading(where[0]):
                    rows = read_rows(*where, self._coinbase_of)
                self._cached += len(rows.data)
            self._cache[where] = rows
            while len(self._cache) > 1 and self._cached > _CACHE:
                self._cached -= len(self._cache.popitem(last=False)[1].data)
        return rows

    def _open(self, folder: Path) -> None:
        self._folder = folder
        self._block_files = _files(folder, "blocks")
        self._ranges = _row_groups(_files(folder, "transactions"))
        self._cache: OrderedDict[tuple[Path, int], TxRows] = OrderedDict()
        self._cached = 0
        self._lock = Lock()
        self.notes: list[str] = ["Parquet tables hold no witnesses: how segwit inputs were signed is not known"]

    def _block_rows(self, progress: Progress) -> Iterator[dict[str, Any]]:
        import pyarrow.parquet as pq

        with progress.task("Reading the table of blocks", len(self._block_files), "files") as task:
            for number, path in enumerate(self._block_files):
                with _reading(path), pq.ParquetFile(path) as file:
                    names = set(file.schema_arrow.names)
                    missing = [name for name in _BLOCK if name not in names]
                    if missing:
                        raise GeldspurError(
                            f"{path.name} is no table of blocks as bitcoin-etl lays it out: it lacks "
                            f"{', '.join(missing)}",
                            where=str(path),
                        )
                    columns = [*_BLOCK, *(name for name in _OPTIONAL if name in names)]
                    for batch in file.iter_batches(1 << 16, columns=columns):
                        for row in batch.to_pylist():
                            if not isinstance(row["number"], int) or not 0 <= row["number"] < 1 << 32:
                                raise GeldspurError(f"{row['number']!r} is no block's height", where=str(path))
                            yield {**row, "file": number}
                task.advance(1)

    def _network_of(self, rows: list[dict[str, Any]]) -> Network:
        by_genesis = {network.genesis_id: network for network in NETWORKS.values()}
        for row in rows:
            if row["number"] == 0 and row["hash"] in by_genesis:
                return by_genesis[row["hash"]]
        raise GeldspurError(
            "the table of blocks has no genesis block of a network that Geldspur knows",
            where=str(self._folder),
            todo="add the first partition, or name the network with --network",
        )


def _files(folder: Path, table: str) -> list[Path]:
    """The Parquet files of a table: below a folder of its name, else files whose names begin with it."""
    paths = sorted((folder / table).rglob("*.parquet")) or sorted(folder.glob(f"{table}*.parquet"))
    if not paths:
        raise GeldspurError(
            f"no Parquet file of the table {table} in {folder}",
            todo=f"give a folder that holds blocks/ and transactions/, as bitcoin-etl and AWS lay them out, "
            f"or {table}*.parquet",
        )
    return paths


def _row_groups(paths: list[Path]) -> tuple[Rows, Rows, list[tuple[Path, int]]]:
    """Least and greatest block number of every row group, and where it is."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    low, high, where = [], [], []
    for path in paths:
        with _reading(path), pq.ParquetFile(path) as file:
            leaf = {file.schema.column(k).path: k for k in range(len(file.schema))}.get("block_number")
            if leaf is None:
                raise GeldspurError(f"{path.name} is no table of transactions: it lacks block_number", where=str(path))
            for group in range(file.metadata.num_row_groups):
                statistics = file.metadata.row_group(group).column(leaf).statistics
                if statistics is not None and statistics.has_min_max:
                    least, most = statistics.min, statistics.max
                else:
                    ends = pc.min_max(file.read_row_group(group, columns=["block_number"])["block_number"])
                    least, most = ends["min"].as_py(), ends["max"].as_py()
                if least is not None and not isinstance(least, int):
                    raise GeldspurError(f"{least!r} is no block's height", where=str(path))
                if least is not None:
                    low.append(least)
                    high.append(most)
                    where.append((path, group))
    return np.array(low, np.int64), np.array(high, np.int64), where


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn what pyarrow says about a file into an error that names it."""
    import pyarrow as pa

    try:
        yield
    except (OSError, pa.ArrowException) as error:
        raise GeldspurError(
            f"{path.name} can't be read as Parquet: {str(error).splitlines()[0]}",
            where=str(path),
            todo="fetch the file again",
        ) from error


def _add_blocks(found: Found, rows: list[dict[str, Any]]) -> None:
    """Build each block's header from its row; its hash shows which block it follows."""
    at_height: dict[int, list[bytes]] = defaultdict(list)
    for row in rows:
        at_height[row["number"]].append(_hash(row["hash"], found, row))
    for row in rows:
        if row.get("previousblockhash"):
            previous = [_hash(row["previousblockhash"], found, row)]
        else:
            previous = at_height.get(row["number"] - 1) or [bytes(32)]
        wanted = _hash(row["hash"], found, row)
        headers = (_header(row, name, found) for name in previous)
        header = next((h for h in headers if double_sha256(h) == wanted), None)
        if header is None:
            raise GeldspurError(
                f"the row of block {row['number']:,} does not hash to {row['hash']}",
                where=found.place(row["file"], row["number"]),
                todo="fetch the file again; a table without previousblockhash needs the block before, too",
            )
        found.add(header, min(int(row["size"] or 0), MAX_BLOCK), row["file"], row["number"])


def _header(row: dict[str, Any], previous: bytes, found: Found) -> bytes:
    try:
        nonce = row["nonce"]
        time = row["timestamp"]
        header = struct.pack(
            "<I32s32sIII",
            int(row["version"]) & 0xFFFFFFFF,
            previous,
            bytes.fromhex(row["merkle_root"])[::-1],
            int(time.replace(tzinfo=time.tzinfo or UTC).timestamp()) if isinstance(time, datetime) else int(time),
            int(row["bits"], 16),
            int(nonce, 16) if isinstance(nonce, str) else int(nonce),
        )
    except (TypeError, ValueError, ArithmeticError, struct.error) as error:
        raise GeldspurError(
            f"the row of block {row['number']} holds no header: {error}",
            where=found.place(row["file"], row["number"]),
        ) from error
    assert len(header) == HEADER_SIZE
    return header


def _hash(text: str | None, found: Found, row: dict[str, Any]) -> bytes:
    try:
        name = bytes.fromhex(text or "")[::-1]
    except ValueError:
        name = b""
    if len(name) != 32:
        raise GeldspurError(
            f"{text!r} is no block hash: it has not 64 hexadecimal digits",
            where=found.place(row["file"], row["number"]),
        )
    return name


def _drop_unused(groups: list[tuple["TxRows", Rows]], order: Rows) -> tuple[list[tuple["TxRows", Rows]], Rows]:
    """Leave out the rows that `order` doesn't name, and number the others anew."""
    used = np.zeros(sum(len(mine) for _, mine in groups), np.bool_)
    used[order] = True
    renumbered = np.cumsum(used) - 1
    kept, first = [], 0
    for rows, mine in groups:
        kept.append((rows, mine[used[first : first + len(mine)]]))
        first += len(mine)
    return kept, renumbered[order]


def _compact(count: int) -> bytes:
    """A CompactSize."""
    if count < 253:
        return bytes([count])
    return b"\xfd" + count.to_bytes(2, "little") if count < 1 << 16 else b"\xfe" + count.to_bytes(4, "little")


def _broken(ref: BlockRef, why: str) -> GeldspurError:
    return GeldspurError(
        f"block {ref.header.hash[::-1].hex()} can't be rebuilt: {why}",
        where=ref.place,
        todo="fetch the files of its date, and of the days beside it, again",
    )
