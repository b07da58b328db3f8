"""From a list's file to its compiled form."""

import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from geldspur.errors import GeldspurError, UsageError
from geldspur.evidence.lists.columns import MOST_ENTRIES, RUN, CategoryColumn, DigestColumn, PdqColumn, create
from geldspur.evidence.lists.entry import (
    DIGESTS,
    LEAST_QUALITY,
    Block,
    Deleted,
    Entry,
    Facts,
    Item,
    ListKind,
    Rejected,
    words_of,
)
from geldspur.evidence.lists.formats import begin
from geldspur.evidence.lists.hashlist import MANIFEST, SCHEMA, HashList, open_list
from geldspur.evidence.lists.listfile import ListFile
from geldspur.progress import SILENT, Progress
from geldspur.proof import manifest

_MOST_REASONS = 20
_MOST_NAMES = 100
_NO_FILE = "digest of the empty file or of zeros"
_NO_SCHEME = "the list does not say whose categories these are: make it again with --scheme"
_LOW_QUALITY = f"PDQ of quality below {LEAST_QUALITY}"


def make_list(
    file: Path,
    out: Path,
    *,
    name: str | None = None,
    format: str | None = None,
    kind: ListKind | None = None,
    scheme: str | None = None,
    progress: Progress = SILENT,
    run: int = RUN,
) -> HashList:
    """Compile a list into the new folder `out` and open it. The same file and options give the same bytes.

    `name`: what reports call the list; its file's name without endings unless given. `format`: one of
    `formats.FORMATS`; recognised by content unless given. `kind` and `scheme` override what the format and the list
    say. `run`: digests that are sorted at once, which bounds memory and changes nothing else.

    Raises:
        UsageError: the file is no list in a known format, or `out` exists.
        GeldspurError: the list's structure breaks, or it changed while it was read.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError("there is something already", where=str(out), todo="name a new folder")
    source = ListFile(file, progress)
    out.parent.mkdir(parents=True, exist_ok=True)
    partial, held = _begin_partial(out)
    try:
        digest = source.digest()
        with progress.task("reading the list", source.size, "B") as task:
            reading = begin(source, format, task)
            tally = _Tally(partial, run, reading.facts)
            tally.take(reading.items)
        source.check_unchanged()
        tally.finish({
            "schema": SCHEMA,
            "name": _printable(name or file.name.removesuffix(".gz").rsplit(".", 1)[0] or file.name),
            "file_name": _printable(file.name),
            "sha256": digest.hex(),
        }, kind, scheme)  # fmt: skip
        partial.replace(out)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    finally:
        os.close(held)
    return open_list(out)


def _begin_partial(out: Path) -> tuple[Path, int]:
    """A new folder beside `out`, and a handle that keeps it locked; what killed runs have left for `out` is removed."""
    parent = os.open(out.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if _locked(parent, fcntl.LOCK_EX):  # so that no folder is looked at between its making and its locking
            for left in out.parent.iterdir():
                if re.fullmatch(rf"\.{re.escape(out.name)}\.[a-z0-9_]{{8}}\.partial", left.name):
                    _remove_abandoned(left)
        partial = Path(tempfile.mkdtemp(prefix=f".{out.name}.", suffix=".partial", dir=out.parent))
        held = os.open(partial, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        _locked(held, fcntl.LOCK_EX)
        return partial, held
    finally:
        os.close(parent)


def _remove_abandoned(folder: Path) -> None:
    """Remove a folder that no running command holds."""
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if _locked(handle, fcntl.LOCK_EX | fcntl.LOCK_NB):
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(handle)


def _locked(handle: int, how: int) -> bool:
    try:
        fcntl.flock(handle, how)
    except OSError:  # held by another, or a file system without locks: nothing is removed then
        return False
    return True


def _printable(name: str) -> str:
    """A file's name with what can't be printed, or would change the order of what is, as escapes."""
    text = os.fsencode(name).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


@dataclass(slots=True)
class _Tally:
    """Columns and counts of one list while it is read."""

    folder: Path
    run: int
    facts: Facts
    entries: int = 0
    deleted: int = 0
    rejected: int = 0
    flaws: int = 0
    low_quality: int = 0
    unmatchable: dict[str, int] = field(default_factory=dict)
    reasons: list[str] = field(default_factory=list)
    digests: dict[str, DigestColumn] = field(init=False)
    pdq: PdqColumn = field(init=False)
    category: CategoryColumn = field(init=False)

    def __post_init__(self) -> None:
        self.digests = {kind: DigestColumn(self.folder, kind, self.run) for kind in DIGESTS}
        self.pdq = PdqColumn(self.folder)
        self.category = CategoryColumn(self.folder)

    def take(self, items: Iterable[Item]) -> None:
        """Read the list to its end."""
        for item in items:
            if isinstance(item, Entry):
                self._entry(item)
            elif isinstance(item, Block):
                self._block(item)
            elif isinstance(item, Rejected):
                self.rejected += 1
                self._reason(f"{item.where}: {item.reason}")
            else:
                assert isinstance(item, Deleted)
                self.deleted += 1
            if self.entries > MOST_ENTRIES:
                raise GeldspurError(f"the list has more than {MOST_ENTRIES:,} entries", todo="split it")

    def _entry(self, entry: Entry) -> None:
        row = self.entries
        self.entries += 1
        matchable = sum(self.digests[kind].add(digest, row) for kind, digest in entry.digests)
        searchable = 0
        for pdq, quality in entry.pdqs:
            if quality >= LEAST_QUALITY:
                self.pdq.add(pdq, row, quality)
                searchable += 1
        self.low_quality += len(entry.pdqs) - searchable
        self.category.add(entry.category)
        if not (matchable or searchable):
            left_out = {_LOW_QUALITY: entry.pdqs, _NO_FILE: entry.digests}
            self._unmatchable(entry.others | {why for why, hashes in left_out.items() if hashes})
        for flaw in entry.flaws:
            self.flaws += 1
            self._reason(f"{entry.where}: {flaw}; the rest of it was kept")

    def _block(self, block: Block) -> None:
        left_out = self.digests[block.kind].add_block(block.digests, self.entries)
        if left_out:
            self._unmatchable({_NO_FILE}, left_out)
        self.category.add_none(len(block.digests))
        self.entries += len(block.digests)

    def _unmatchable(self, names: set[str], count: int = 1) -> None:
        key = ", ".join(sorted(names))
        if key not in self.unmatchable and len(self.unmatchable) >= _MOST_NAMES:
            key = "others"
        self.unmatchable[key] = self.unmatchable.get(key, 0) + count

    def _reason(self, text: str) -> None:
        if len(self.reasons) < _MOST_REASONS:
            self.reasons.append(text)

    def finish(self, about: dict[str, Any], kind: ListKind | None, scheme: str | None) -> None:
        """Sort, and write the manifest. A list of which nothing was read is refused."""
        if not self.entries and (self.rejected or not self.deleted):
            raise UsageError(
                "nothing in the file could be read as a hash",
                where=self.reasons[0] if self.reasons else None,
                todo="name its format with --format, or name another file",
            )
        names = [path for column in self.digests.values() for path in column.finish()]
        names += self.pdq.finish() + self.category.finish()
        scheme = words_of(scheme or self.facts.scheme)
        if self.category.codes and scheme is None:
            self.facts.notes.append(_NO_SCHEME)
        excluded = {
            "of the empty file": sum(column.empty for column in self.digests.values()),
            "of zeros only": sum(column.zero for column in self.digests.values()),
            _LOW_QUALITY: self.low_quality,
        }
        fields = about | {
            "format": self.facts.format,
            "version": words_of(self.facts.version),
            "made": words_of(self.facts.made),
            "scheme": scheme,
            "kind": kind or self.facts.kind,
            "entries": self.entries,
            "counts": {kind: column.count for kind, column in self.digests.items()} | {"pdq": self.pdq.count},
            "unmatchable": dict(sorted(self.unmatchable.items())),
            "excluded": {why: count for why, count in excluded.items() if count},
            "deleted": self.deleted,
            "rejected": self.rejected,
            "flaws": self.flaws,
            "reasons": self.reasons,
            "notes": self.facts.notes,
            "categories": dict(sorted(self.category.counts.items())),
            "category_names": list(self.category.codes),
        }
        entries = [manifest.digest_file(self.folder, path) for path in names]
        with create(self.folder / MANIFEST) as file:
            file.write(manifest.build(fields, entries))
