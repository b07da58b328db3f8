"""A scan compared with lists: fills hash_list, hit, cluster and method_error, and tells the log."""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from geldspur.errors import UsageError
from geldspur.evidence.lists import HashList
from geldspur.evidence.matching.clusters import clusters
from geldspur.evidence.matching.error import NEAR, Trial, decoys, kept_spikes
from geldspur.evidence.matching.exact import METHODS, exact_hits
from geldspur.evidence.matching.frames import STRONG_QUALITY, searchable
from geldspur.evidence.matching.kept import spikes
from geldspur.evidence.matching.mih import MultiIndex
from geldspur.evidence.matching.near import near_hits
from geldspur.evidence.store import ScanStore
from geldspur.progress import SILENT, Progress

_INSERT = "INSERT INTO hit VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"


@dataclass(slots=True)
class MethodResult:
    """What one method found of one list: `entries` searched, `contents` matched, and `hits`, pairs of the two.

    Of near matches also: contents that match by frames of quality 50 to 59 only (`weak`), the least distance, and
    pairs beyond the nearest `ROWS_KEPT` of a content, which are counted and not recorded.
    """

    method: str
    entries: int
    contents: int = 0
    hits: int = 0
    weak: int | None = None
    least_distance: int | None = None
    not_recorded: int = 0


@dataclass(slots=True)
class ListResult:
    """What was found of one list; a method whose `entries` are 0 could not find anything.

    `not_pertinent`: of its `contents`, those that match only entries which a list of material itself calls so.
    """

    name: str
    file_name: str
    sha256: str
    format: str
    kind: str
    entries: int
    unmatchable: dict[str, int]
    notes: list[str]
    methods: list[MethodResult] = field(default_factory=list)
    contents: int = 0
    not_pertinent: int = 0


@dataclass(slots=True)
class MatchReport:
    """Counts of one comparison. `compared`: contents that are not empty; `searched`: those with searchable pictures."""

    compared: int
    searched: int
    lists: list[ListResult]
    distinct: int | None = None
    errors: list[Trial] = field(default_factory=list)


def match(
    store: ScanStore,
    lists: Sequence[HashList],
    *,
    errors: bool = True,
    measure_again: bool = False,
    progress: Progress = SILENT,
) -> MatchReport:
    """Compare all contents with each list, cluster them, and measure what the methods get wrong.

    Rows of the same lists, clusters and errors from an earlier comparison are replaced. `measure_again`: don't take
    over misses on made clips that this installation measured before.

    Raises:
        UsageError: the same list is named twice.
        GeldspurError: a compiled list is not as it was written.
    """
    seen: dict[bytes, str] = {}
    for hashes in lists:
        if hashes.sha256 in seen:
            raise UsageError(
                "a list is named twice", where=f"{seen[hashes.sha256]}, {hashes.name}", todo="name it once"
            )
        seen[hashes.sha256] = hashes.name
        hashes.verify(progress)  # what a damaged list doesn't find would be called unknown to it
    db = store.db
    compared = db.execute("SELECT count(*) FROM content WHERE size > 0").fetchone()[0]
    pictures = searchable(db)
    report = MatchReport(compared, len(pictures), [])
    for hashes in lists:
        report.lists.append(_compare(store, hashes, pictures, compared, progress))
    report.distinct = _cluster(store, progress)
    if errors:
        _measure(store, lists, measure_again, progress)
        report.errors = _errors(db)
    return report


def _compare(
    store: ScanStore, hashes: HashList, pictures: dict[int, int], compared: int, progress: Progress
) -> ListResult:
    methods = [MethodResult(method, hashes.counts.get(method, 0)) for method in (*METHODS, NEAR)]
    result = ListResult(
        hashes.name, hashes.file_name, hashes.sha256.hex(), hashes.format, hashes.kind, hashes.entries,
        hashes.unmatchable, hashes.notes, methods,
    )  # fmt: skip
    by_method = {method.method: method for method in methods}
    with store.change() as db:
        number = _enter(store, hashes)
        db.execute("DELETE FROM hit WHERE list = ?", (number,))
        db.executemany(_INSERT, _exact_rows(db, hashes, number, by_method, progress))
        db.executemany(_INSERT, _near_rows(db, hashes, number, by_method[NEAR], pictures, progress))
        for method, contents in db.execute(
            "SELECT method, count(DISTINCT content) FROM hit WHERE list = ? GROUP BY method", (number,)
        ):
            by_method[method].contents = contents
        sql = "SELECT count(DISTINCT content), count(DISTINCT iif(says = 'material', content, NULL)) FROM statement"
        result.contents, reported = db.execute(f"{sql} WHERE list = ?", (number,)).fetchone()
        result.not_pertinent = result.contents - reported if hashes.kind == "material" else 0
        for found in methods:
            store.log(
                "matched", list=hashes.name, sha256=hashes.sha256, method=found.method, entries=found.entries,
                compared=len(pictures) if found.method == NEAR else compared, hits=found.hits,
                contents=found.contents, not_recorded=found.not_recorded,
            )  # fmt: skip
    return result


def _enter(store: ScanStore, hashes: HashList) -> int:
    """The list's row, new or brought up to date: its number."""
    counts = hashes.counts
    row = store.db.execute(
        "INSERT INTO hash_list (sha256, name, file_name, format, version, made, scheme, kind, entries, md5s, sha1s, "
        "sha256s, pdqs, unmatchable) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (sha256) DO UPDATE "
        "SET name = excluded.name, file_name = excluded.file_name, format = excluded.format, "
        "version = excluded.version, made = excluded.made, scheme = excluded.scheme, kind = excluded.kind, "
        "entries = excluded.entries, md5s = excluded.md5s, sha1s = excluded.sha1s, sha256s = excluded.sha256s, "
        "pdqs = excluded.pdqs, unmatchable = excluded.unmatchable RETURNING id",
        (
            hashes.sha256, hashes.name, hashes.file_name, hashes.format, hashes.version, hashes.made, hashes.scheme,
            hashes.kind, hashes.entries, *(counts.get(kind, 0) for kind in (*METHODS, NEAR)),
            json.dumps(hashes.unmatchable, sort_keys=True),
        ),
    ).fetchone()  # fmt: skip
    store.log(
        "list", name=hashes.name, file=hashes.file_name, sha256=hashes.sha256, format=hashes.format, of=hashes.kind,
        entries=hashes.entries,
    )  # fmt: skip
    return int(row[0])


def _exact_rows(
    db: sqlite3.Connection, hashes: HashList, number: int, results: dict[str, MethodResult], progress: Progress
) -> Iterator[tuple[object, ...]]:
    for content, method, row in exact_hits(db, hashes, progress):
        results[method].hits += 1
        yield content, number, method, row, hashes.category(row), None, None, None, None, None


def _near_rows(
    db: sqlite3.Connection, hashes: HashList, number: int, result: MethodResult, pictures: dict[int, int],
    progress: Progress,
) -> Iterator[tuple[object, ...]]:  # fmt: skip
    listed, rows = hashes.pdq()
    if not (len(listed) and pictures):
        return
    result.weak = 0
    for found in near_hits(db, MultiIndex(listed), rows, progress, hashes.name[:26]):
        result.hits += found.entries
        result.not_recorded += found.entries - len(found.hits)
        result.weak += max(hit.quality for hit in found.hits) < STRONG_QUALITY
        nearest = found.hits[0].distance
        result.least_distance = nearest if result.least_distance is None else min(result.least_distance, nearest)
        for hit in found.hits:
            yield (
                hit.content, number, NEAR, hit.row, hashes.category(hit.row), hit.frames, pictures[hit.content],
                hit.distance, hit.quality, hit.variant,
            )  # fmt: skip


def _cluster(store: ScanStore, progress: Progress) -> int:
    """Returns how many there are."""
    found = clusters(store.db, progress)
    distinct = len({leader for _, leader in found})
    with store.change() as db:
        db.execute("DELETE FROM cluster")
        db.executemany("INSERT INTO cluster VALUES (?, ?)", found)
        store.log("clustered", contents=len(found), clusters=distinct)
    return distinct


def _measure(store: ScanStore, lists: Sequence[HashList], again: bool, progress: Progress) -> None:
    chance = decoys(store.db, lists, progress)
    made = None if kept_spikes(store.db) and not again else spikes(progress, again=again)
    with store.change() as db:
        if made is not None:
            db.execute("DELETE FROM method_error WHERE trial LIKE 'spike: %'")
            _write(store, made.trials, **({"measured": made.measured} if made.kept else {}))
        if chance is not None:  # what was measured with other lists stands where these have nothing to measure
            db.execute("DELETE FROM method_error WHERE trial = 'decoy'")
            _write(store, [chance])


def _write(store: ScanStore, trials: list[Trial], **told: str) -> None:
    """`told` goes into the log."""
    for one in trials:
        detail = json.dumps(one.detail, sort_keys=True)
        store.db.execute(
            "INSERT INTO method_error VALUES (?, ?, ?, ?, ?)", (one.method, one.trial, one.tried, one.wrong, detail)
        )
        store.log("error_measured", method=one.method, trial=one.trial, tried=one.tried, wrong=one.wrong, **told)


def _errors(db: sqlite3.Connection) -> list[Trial]:
    rows = db.execute("SELECT method, trial, tried, wrong, detail FROM method_error ORDER BY method, trial")
    return [Trial(method, trial, tried, wrong, json.loads(detail)) for method, trial, tried, wrong, detail in rows]
