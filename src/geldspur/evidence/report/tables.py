"""The CSV files of the report."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from geldspur.evidence.reasons import NO_FINGERPRINT, SKIPPED, UNREADABLE
from geldspur.evidence.report import words
from geldspur.evidence.report.cells import Value, write_table
from geldspur.evidence.report.figures import Figure, share
from geldspur.evidence.report.lists import DIGESTS, Listed
from geldspur.evidence.report.rows import Row, Rows, utc

_DIGEST_COLUMNS = ("sha256", "sha1", "md5", "blake3")
FILES_HEAD = (
    "path", "path_hex", "ordinal", "kind", "state", "reason", "size", "allocated", "deleted", "links",
    "device", "inode",
    *_DIGEST_COLUMNS, "media", "level", "alike",
    "born_time", "modified_time", "accessed_time", "changed_time", "times_from",
)  # fmt: skip
HITS_HEAD = (
    "path", "path_hex", "ordinal", "sha256", "size", "media", "level", "list", "list_sha256", "list_kind",
    "list_version", "method", "list_row", "scheme", "category", "frames", "of_frames", "distance", "quality", "variant",
    "sentence",
)  # fmt: skip
UNREADABLE_HEAD = (
    "what", "path", "path_hex", "ordinal", "kind", "size", "reason", "sentence", "errno", "error_offset", "detail"
)  # fmt: skip
LISTS_HEAD = (
    "name", "file", "sha256", "format", "version", "made", "scheme", "kind", "entries", "sha256s", "sha1s", "md5s",
    "pdqs", "unmatchable", "identical", "near",
)  # fmt: skip


def write_numbers(path: Path, figures: Sequence[Figure]) -> None:
    """Every figure with its sentence and query."""
    by_name = {figure.name: figure for figure in figures}

    def part(figure: Figure) -> str | None:
        whole = by_name[figure.of].value if figure.of else 0
        return share(figure.value, whole) if whole else None

    rows = ((f.name, f.value, f.of, part(f), f.sentence, f.sql) for f in figures)
    write_table(path, ("name", "value", "of", "share", "sentence", "sql"), rows)


def write_files(path: Path, rows: Rows) -> None:
    """The inventory: a row a name. `alike` is the SHA-256 that names the group of visually alike contents."""

    def lines() -> Iterator[Sequence[Value]]:
        for row in rows.files():
            yield (
                rows.name(row), rows.path_hex(row), row.ordinal, row.kind, row.state, row.reason, row.size,
                row.allocated, "yes" if row.deleted else "no", row.links, row.device, row.inode,
                row.sha256, row.sha1, row.md5, row.blake3, row.media, row.level, row.alike,
                utc(row.born_ns), utc(row.modified_ns), utc(row.accessed_ns), utc(row.changed_ns), row.times_from,
            )  # fmt: skip

    write_table(path, FILES_HEAD, lines())


def write_hits(path: Path, rows: Rows, lists: dict[int, Listed]) -> None:
    """A row a matching entry of a list, each content under its first name."""

    def lines() -> Iterator[Sequence[Value]]:
        for row in rows.contents("EXISTS (SELECT 1 FROM hit WHERE hit.content = entry.content)"):
            head = (rows.name(row), rows.path_hex(row), row.ordinal, row.sha256, row.size, row.media)
            assert row.content is not None
            for hit in rows.hits(row.content):
                one = lists[hit.list]
                level = "near" if hit.near else "identical" if hit.says == "material" else "benign"
                yield (
                    *head, level, one.name, one.sha256, one.kind, one.version, hit.method, hit.row, one.scheme,
                    hit.category, hit.frames, hit.of_frames, hit.distance, hit.quality, hit.variant,
                    words.hit(one, hit, row.media),
                )  # fmt: skip

    write_table(path, HITS_HEAD, lines())


def write_unreadable(path: Path, rows: Rows) -> None:
    """What was not read, not listed, or has no fingerprints, and why."""

    def lines() -> Iterator[Sequence[Value]]:
        for row in rows.not_read():
            what, sentence = not_read(row)
            yield _unreadable(rows, row, what, row.reason, sentence, rows.detail(row))
        failed = "SELECT media_reason, media_detail FROM content WHERE id = ?"
        for row in rows.contents("content.media IN ('failed', 'skipped')"):
            reason, detail = rows.db.execute(failed, (row.content,)).fetchone()
            sentence = NO_FINGERPRINT.get(reason or "", "no reason recorded")
            yield _unreadable(rows, row, "no fingerprints", reason, sentence, None if rows.masked else detail)

    write_table(path, UNREADABLE_HEAD, lines())


def not_read(row: Row) -> tuple[str, str]:
    """What happened to a name that was not read or not listed, and why."""
    if row.state == "skipped":
        return "not read", SKIPPED.get(row.reason or "", "no reason recorded")
    if row.state == "unreadable":
        what = "folder not listed" if row.kind == "directory" else "could not be read"
        return what, UNREADABLE.get(row.reason or "", "no reason recorded")
    return "archive not listed in full", "its members were refused or could not all be listed"


def _unreadable(
    rows: Rows, row: Row, what: str, reason: str | None, sentence: str, detail: str | None
) -> Sequence[Value]:
    return (
        what, rows.name(row), rows.path_hex(row), row.ordinal, row.kind, row.size, reason, sentence, row.errno,
        row.error_offset, detail,
    )  # fmt: skip


def write_lists(path: Path, lists: Iterable[Listed], figures: dict[str, Figure]) -> None:
    """A row a list, also for one that matched nothing."""

    def lines() -> Iterator[Sequence[Value]]:
        for one in lists:
            near = figures.get(f"list.{one.key}.pdq")
            yield (
                one.name, one.file_name, one.sha256, one.format, one.version, one.made, one.scheme, one.kind,
                one.entries, *(one.entries_by[kind] for kind in (*DIGESTS, "pdq")),
                "; ".join(f"{kind} {count}" for kind, count in one.unmatchable.items()),
                figures[f"list.{one.key}.identical"].value, near.value if near else None,
            )  # fmt: skip

    write_table(path, LISTS_HEAD, lines())
