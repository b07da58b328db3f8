"""A compiled list: opened in no time, checked where it is cheap, searched by batches."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from geldspur.errors import GeldspurError, UsageError
from geldspur.evidence.lists.columns import mapped, table_bits
from geldspur.evidence.lists.entry import DIGESTS, WIDTH, DigestKind
from geldspur.progress import SILENT, Progress
from geldspur.proof import manifest

Array = npt.NDArray[Any]
SCHEMA = 1
MANIFEST = "manifest.json"
_TODO = "compile the list again: geldspur evidence lists make FILE --out DIR"
_BATCH = 1 << 20
_SAMPLES = 1024


@dataclass(frozen=True, slots=True)
class _Digests:
    bits: int
    table: Array
    prefix: Array
    tail: Array
    rows: Array


@dataclass(slots=True)
class HashList:
    """A hash set in the form that look-ups use. Rows number the list's entries from 0.

    To another process hand `folder`, not this: its columns would be copied.

    `kind`: 'material', or 'benign' for known-harmless files. `version`, `made` and `scheme` (whose category numbers
    these are) are the list's own words. `counts`: digests by kind. `unmatchable`: entries that hold only fingerprints
    that can't be compared here, by those fingerprints' names. `excluded`: digests left out, by why. `rejected`: records
    that could not be read; `flaws`: unreadable fields of entries that were kept; `reasons`: the first of both.
    """

    folder: Path
    name: str
    file_name: str
    sha256: bytes
    format: str
    version: str | None
    made: str | None
    scheme: str | None
    kind: str
    entries: int
    counts: dict[str, int]
    unmatchable: dict[str, int]
    excluded: dict[str, int]
    deleted: int
    rejected: int
    flaws: int
    reasons: list[str]
    notes: list[str]
    categories: dict[str, int]
    _files: list[manifest.Entry] = field(default_factory=list, repr=False)
    _digests: dict[str, _Digests] = field(default_factory=dict, repr=False)
    _names: list[str] = field(default_factory=list, repr=False)
    _codes: Array | None = field(default=None, repr=False)
    _pdq: tuple[Array, Array, Array] = field(
        default_factory=lambda: (np.zeros((0, 32), np.uint8), np.zeros(0, np.int64), np.zeros(0, np.uint8)), repr=False
    )

    def find(
        self, kind: DigestKind, digests: npt.NDArray[np.uint8]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Every match of uint8[n, width] digests in any order: (number of the query, row of the entry) int64[k] each.

        Ordered by query, then row. An entry that holds the digest is reported for each equal query. The digest of the
        empty file matches nothing.
        """
        if kind not in DIGESTS:
            raise UsageError(f"no digest is called {kind!r}", todo="ask for md5, sha1 or sha256")
        queries = np.ascontiguousarray(digests)
        if queries.dtype != np.uint8 or queries.ndim != 2 or queries.shape[1] != WIDTH[kind]:
            raise UsageError(
                f"{kind} digests are an array uint8[n, {WIDTH[kind]}]", where=f"{queries.dtype}{queries.shape}"
            )
        columns = self._digests.get(kind)
        if columns is None:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        parts = [_find(columns, queries[at : at + _BATCH], at) for at in range(0, len(queries), _BATCH)]
        if len(parts) == 1:
            return parts[0]
        return (
            np.concatenate([q for q, _ in parts] or [np.zeros(0, np.int64)]),
            np.concatenate([r for _, r in parts] or [np.zeros(0, np.int64)]),
        )

    def pdq(self) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
        """The PDQ hashes to search, uint8[n, 32], and their entries' rows, int64[n]; without those of low quality."""
        return self._pdq[0], self._pdq[1].astype(np.int64)

    def pdq_quality(self) -> npt.NDArray[np.uint8]:
        """The qualities that the list states for the hashes of `pdq()`, uint8[n]: 50 to 100, 255 where unstated."""
        return self._pdq[2]

    def category(self, row: int) -> str | None:
        """The category of an entry, as the list writes it; to be read with `scheme`."""
        if not 0 <= row < self.entries:
            raise IndexError(f"row {row} of {self.entries}")
        if self._codes is None:
            return None
        code = int(self._codes[row])
        return self._names[code - 1] if code else None

    def verify(self, progress: Progress = SILENT) -> None:
        """Read everything: each file is the one that the manifest names, and the columns are in order.

        Raises:
            GeldspurError: the first thing that is wrong.
        """
        from geldspur.evidence.lists.kernels import first_disorder

        with progress.task("check of the list", len(self._files) + len(self._digests), "steps") as task:
            for entry in self._files:
                manifest.check_files(self.folder, [entry], todo=_TODO)
                task.advance(1)
            for kind, columns in self._digests.items():
                at = first_disorder(columns.prefix, columns.tail, WIDTH[kind] - 8, columns.rows)
                if at >= 0:
                    raise _damaged(self.folder / f"{kind}.prefix", f"place {at:,} is out of order")
                _check_table(self.folder, kind, columns)
                if int(columns.rows.max()) >= self.entries:
                    raise _damaged(self.folder / f"{kind}.rows", "a row beyond the list's entries")
                task.advance(1)
        for name, bad in (
            ("pdq.rows", self._pdq[1].size and int(self._pdq[1].max()) >= self.entries),
            ("category", self._codes is not None and int(self._codes.max(initial=0)) > len(self._names)),
        ):
            if bad:
                raise _damaged(self.folder / name, "a value beyond its range")


def _find(columns: _Digests, queries: Array, first_query: int) -> tuple[Array, Array]:
    from geldspur.evidence.lists.kernels import find_all, spread

    n = len(queries)
    wanted, first, count = np.empty(n, np.uint64), np.empty(n, np.int64), np.empty(n, np.int64)
    flat = queries.reshape(-1)
    tail_width = queries.shape[1] - 8
    total = find_all(
        columns.bits, columns.table, columns.prefix, columns.tail, tail_width, flat, n, wanted, first, count
    )
    found_query, found_row = np.empty(total, np.int64), np.empty(total, np.int64)
    spread(columns.rows, first, count, n, found_query, found_row)
    if first_query:
        found_query += first_query
    return found_query, found_row


def open_list(folder: Path) -> HashList:
    """A list that `make_list` compiled. Its structure is checked, its columns are not read: `verify` does that.

    Raises:
        UsageError: there is no compiled list.
        GeldspurError: it is damaged, or of another version of this program.
    """
    path = folder / MANIFEST
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise UsageError(f"no compiled list is there: {error.strerror}", where=str(path), todo=_TODO) from error
    try:
        fields, files = manifest.read(raw)
    except ValueError as error:
        raise _damaged(path, str(error)) from error
    if fields.get("schema") != SCHEMA:
        raise GeldspurError(
            f"the list has schema {fields.get('schema')}, this program reads {SCHEMA}", where=str(path), todo=_TODO
        )
    content = {key: value for key, value in fields.items() if key not in ("schema", "category_names")}
    try:
        _check_sizes(folder, files)
        found = HashList(folder=folder, **{**content, "sha256": bytes.fromhex(fields["sha256"])}, _files=files)
        found._names = fields["category_names"]
        _map(found, {entry.path for entry in files})
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(path, "the manifest does not describe a list") from error
    return found


def _map(found: HashList, names: set[str]) -> None:
    folder = found.folder
    for kind in DIGESTS:
        if found.counts[kind]:
            found._digests[kind] = _map_digests(folder, kind, found.counts[kind])
    if found.counts["pdq"]:
        count = found.counts["pdq"]
        hashes = _sized(folder / "pdq.hash", "u1", 32 * count).reshape(-1, 32)
        found._pdq = hashes, _sized(folder / "pdq.rows", "<u4", count), _sized(folder / "pdq.quality", "u1", count)
    if "category" in names:
        found._codes = _sized(folder / "category", "<u2", found.entries)


def _map_digests(folder: Path, kind: str, count: int) -> _Digests:
    bits = table_bits(count)
    columns = _Digests(
        bits,
        _sized(folder / f"{kind}.table", "<u4", (1 << bits) + 1),
        _sized(folder / f"{kind}.prefix", "<u8", count),
        _sized(folder / f"{kind}.tail", "u1", count * (WIDTH[kind] - 8)),
        _sized(folder / f"{kind}.rows", "<u4", count),
    )
    at = np.unique(np.linspace(0, count - 1, min(count, _SAMPLES)).astype(np.int64))
    sample = columns.prefix[at]
    if (sample[1:] < sample[:-1]).any():
        raise _damaged(folder / f"{kind}.prefix", "the digests are not sorted")
    bucket = (sample >> np.uint64(64 - bits)).astype(np.int64)
    if (columns.table[bucket] > at).any() or (columns.table[bucket + 1] <= at).any():
        raise _damaged(folder / f"{kind}.table", "the table does not fit the digests")
    return columns


def _check_table(folder: Path, kind: str, columns: _Digests) -> None:
    """Is each value of the table the number of prefixes below it?"""
    ends = np.arange(1, len(columns.table) - 1, dtype=np.uint64) << np.uint64(64 - columns.bits)
    below = np.searchsorted(columns.prefix, ends)
    if columns.table[0] != 0 or columns.table[-1] != columns.prefix.size or (columns.table[1:-1] != below).any():
        raise _damaged(folder / f"{kind}.table", "the table does not fit the digests")


def _check_sizes(folder: Path, files: list[manifest.Entry]) -> None:
    for entry in files:
        path = folder / entry.path
        try:
            size = path.stat().st_size
        except OSError as error:
            raise _damaged(path, f"{error.strerror}") from error
        if size != entry.size:
            raise _damaged(path, f"{entry.size:,} bytes expected, {size:,} found")


def _sized(path: Path, dtype: str, count: int) -> Array:
    if not path.is_file():
        raise _damaged(path, "the file is missing")
    column = mapped(path, dtype) if path.stat().st_size % np.dtype(dtype).itemsize == 0 else np.zeros(0, dtype)
    if column.size != count:
        raise _damaged(path, f"{count:,} values expected")
    return column


def _damaged(path: Path, why: str) -> GeldspurError:
    return GeldspurError(f"the compiled list is damaged: {why}", where=str(path), todo=_TODO)
