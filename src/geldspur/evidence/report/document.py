"""What the report says, once: report.json, from which the PDF is set too."""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from geldspur.errors import GeldspurError
from geldspur.evidence.report import words
from geldspur.evidence.report.figures import Figure
from geldspur.evidence.report.lists import Listed
from geldspur.evidence.store import ScanStore
from geldspur.rules.registry import ErrorRate

FORMAT = "geldspur-evidence-report/1"
# Records that change what a report says; a report bears the time of the last of them, not of its own making.
_MAKING = (
    "begun", "resumed", "walked", "file", "members", "fingerprints", "finished", "list", "matched", "clustered",
    "error_measured", "deep",
)  # fmt: skip
_ACTIONS = ("begun", "resumed", "finished", "matched")  # what is told file by file is counted, not told


@dataclass(frozen=True, slots=True)
class State:
    """The state of the scan that a report tells of: the last record of its log that made it."""

    made_time: str
    log_seq: int
    log_hash: str
    events: tuple[dict[str, Any], ...]


def state_of(store: ScanStore) -> State:
    """When the scan and its matches were last changed, and the records that tell of its actions."""
    kinds = ", ".join(f"'{kind}'" for kind in _MAKING)
    last = store.db.execute(
        f"SELECT seq, event, hash FROM log WHERE event ->> '$.kind' IN ({kinds}) ORDER BY seq DESC LIMIT 1"
    ).fetchone()
    if last is None:
        raise GeldspurError("the scan's log tells of no scan", where=str(store.folder), todo="scan again")
    actions = ", ".join(f"'{kind}'" for kind in _ACTIONS)
    events = store.db.execute(
        f"SELECT event FROM log WHERE seq <= ? AND event ->> '$.kind' IN ({actions}) ORDER BY seq",
        (last[0],),
    )
    return State(json.loads(last[1])["time"], last[0], last[2].hex(), tuple(json.loads(event) for (event,) in events))


def errors(db: sqlite3.Connection) -> list[dict[str, Any]]:
    """What was measured of each method's errors, with Wilson's 95 % interval; nothing where nothing was."""
    return [
        _error(*row)
        for row in db.execute("SELECT method, trial, tried, wrong, detail FROM method_error ORDER BY method, trial")
    ]


def _error(method: str, trial: str, tried: int, wrong: int, detail: str) -> dict[str, Any]:
    low, high = ErrorRate(tried - wrong, tried, "", "").interval
    chance = trial == "decoy"
    return {
        "method": method,
        "trial": trial,
        "error": "chance match" if chance else "miss",
        "tried": tried,
        "wrong": wrong,
        "rate": round(wrong / tried, 6) if tried else None,
        "wilson95": [round(1 - high, 6), round(1 - low, 6)],
        "population": "this scan's searchable frames, compared with unrelated hashes"
        if chance
        else "made clips, edited; a comparison of methods, no promise for other material",
        "detail": json.loads(detail),
    }


def document(
    store: ScanStore, state: State, figures: Sequence[Figure], lists: Sequence[Listed], masked: bool
) -> dict[str, Any]:
    """Everything that the report says, as JSON values."""
    by_name = {figure.name: figure for figure in figures}
    return {
        "format": FORMAT,
        "made_time": state.made_time,
        "made_time_is": "the time of the last record of scan or match, so that repeated reports are equal",
        "standing": words.STANDING,
        "names": "masked: short ids made from digests" if masked else "as found, escaped",
        "scan": {"about": store.about(), "log_seq": state.log_seq, "log_hash": state.log_hash},
        "levels": {level: {"title": title, "means": means} for level, (title, means) in words.LEVELS.items()},
        "lists": [_list(one, by_name) for one in lists],
        "methods": [words.METHODS[method] for method in words.methods(lists)],
        "unknown": words.unknown(lists),
        "not_searched": [*words.not_searched(by_name, lists), *not_recorded(state, lists)],
        "errors": errors(store.db),
        "errors_not_measured": not_measured(store.db, lists),
        "figures": [asdict(figure) for figure in figures],
    }


def not_recorded(state: State, lists: Sequence[Listed]) -> list[str]:
    """Sentences on near entries beyond the limit of entries recorded a content, from the last match with each list."""
    last = {(event.get("sha256"), event.get("method")): event for event in state.events if event["kind"] == "matched"}
    return [
        f"List {one.title}: {count:,} further entries lie near contents that have many such; no figure counts them."
        for one in lists
        if (count := last.get((one.sha256.hex(), "pdq"), {}).get("not_recorded"))
    ]


def not_measured(db: sqlite3.Connection, lists: Sequence[Listed]) -> list[str]:
    """Sentences on the error rates that nobody has measured."""
    measured = set(db.execute("SELECT DISTINCT method, trial = 'decoy' FROM method_error"))
    told = []
    methods = words.methods(lists)
    if any(method != "pdq" for method in methods):
        told.append(
            "Identical file by SHA-256, SHA-1 or MD5: chance matches not measured. Two different files of one digest "
            "do not come about by chance; with MD5 and SHA-1 they can be made. Any change of a file is a miss."
        )
    for decoy, error in ((1, "chance matches"), (0, "misses")):
        if "pdq" in methods and ("pdq", decoy) not in measured:
            told.append(f"Same video or image by frames (PDQ): rate of {error} not measured.")
    return told


def _list(one: Listed, figures: Mapping[str, Figure]) -> dict[str, Any]:
    own = {name: figure.value for name, figure in figures.items() if name.startswith(f"list.{one.key}.")}
    matched = any(own[f"list.{one.key}.{part}"] for part in ("identical", "pdq") if f"list.{one.key}.{part}" in own)
    return {
        "name": one.name,
        "file": one.file_name,
        "sha256": one.sha256.hex(),
        "format": one.format,
        "version": one.version,
        "made": one.made,
        "scheme": one.scheme,
        "kind": one.kind,
        "entries": one.entries,
        "entries_by": one.entries_by,
        "unmatchable": one.unmatchable,
        "result": "matches" if matched else "matched nothing",
        "figures": sorted(own),
    }
