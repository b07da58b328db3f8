"""From what workers tell to rows and log records, always both in one transaction.

A scan spends as much on a small file's rows as on its digests. So they are collected and written many at a time, and
the records of files are put together here as the log's encoder would write them.
"""

import sqlite3
from dataclasses import dataclass

from geldspur.evidence.model import Digests, MediaResult
from geldspur.evidence.reasons import SKIPPED
from geldspur.evidence.scan.messages import Job, MemberOutcome, Outcome
from geldspur.evidence.scan.walk import as_words, insert
from geldspur.evidence.store import ScanStore

_STAGE = "keyframe"
_OPENED = "time of last access may move"
_INSERT_CONTENT = """
INSERT INTO content (size, md5, sha1, sha256, blake3, media, media_reason) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (sha256, size) DO NOTHING
"""
_UPDATE_ENTRY = """
UPDATE entry SET state = ?, reason = ?, detail = ?, errno = ?, error_offset = ?, content = ?, members = ? WHERE id = ?
"""


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a file's row led to: its content's row, and whether that still needs fingerprints.

    `again`: it was settled as no media by another file's name, or as too large by an archive that held it.
    """

    content: int | None
    pending: bool = False
    again: bool = False


class Recorder:
    """Writes rows and records; call its methods inside `store.change()`, and `flush` after some calls of `file`."""

    def __init__(self, store: ScanStore, fingerprints: bool) -> None:
        self._store = store
        self._fingerprints = fingerprints
        self._cursor = store.db.cursor()
        self._rows: list[tuple[str | int | None, ...]] = []
        self._events: list[tuple[str, str]] = []

    @property
    def _db(self) -> sqlite3.Connection:
        return self._store.db

    def file(self, job: Job, outcome: Outcome, same_as: bytes | None = None) -> Recorded:
        """What reading one walked file gave. `same_as`: another name of the same inode, which was read for both."""
        recorded = self._content(outcome)
        self._rows.append(
            (
                "unreadable" if outcome.digests is None else "hashed",
                outcome.reason,
                as_words(outcome.detail),
                outcome.errno,
                outcome.offset,
                recorded.content,
                "pending" if outcome.archive and same_as is None else None,
                job.entry,
            )
        )
        self._log_file(job.path, job.ordinal, job.size, outcome, same_as)
        return recorded

    def flush(self) -> None:
        """Write what was collected."""
        if self._rows:
            self._db.executemany(_UPDATE_ENTRY, self._rows)
            self._rows.clear()
        if self._events:
            self._store.log_halves(self._events)
            self._events.clear()

    def member(self, archive: bytes, parent: int, told: MemberOutcome) -> tuple[int, Recorded]:
        """A member of an archive, as the row of its final state; returns the row and what it led to."""
        outcome, found = told.outcome, told.found
        path = archive + b"!" + found.path
        if outcome is None:
            outcome = Outcome(reason=found.skip, detail=found.detail)
        recorded = self._content(outcome)
        state = "hashed" if outcome.digests else "skipped" if outcome.reason in SKIPPED else "unreadable"
        if found.kind == "directory":
            state, outcome = "listed", Outcome()
        entry = insert(
            self._db,
            found,
            path=path,
            ordinal=told.ordinal,
            parent=parent,
            state=state,
            reason=outcome.reason,
            detail=outcome.detail,
            errno=outcome.errno,
            offset=outcome.offset,
            content=recorded.content,
            members="pending" if outcome.archive else None,
        )
        if found.kind != "directory":
            self._log_file(path, told.ordinal, found.size, outcome, None, state)
        self.flush()
        return entry, recorded

    def media(self, content: int, result: MediaResult) -> None:
        """The fingerprints of one content, or why it has none."""
        row = self._db.execute("SELECT sha256, media FROM content WHERE id = ?", (content,)).fetchone()
        self._db.execute(
            "UPDATE content SET media = ?, media_reason = ?, media_detail = ? WHERE id = ?",
            (result.state, result.reason, as_words(result.detail), content),
        )
        if (facts := result.facts) is not None:
            self._db.execute(
                "INSERT INTO media VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (content, facts.format, facts.codec, facts.width, facts.height, facts.duration_ms, facts.keyframes,
                 facts.bad_packets),
            )  # fmt: skip
        self._db.executemany(
            "INSERT INTO frame VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (content, _STAGE, frame.at_ms, frame.quality, frame.plain, frame.mirrored, frame.cropped,
                 frame.cropped_mirrored)
                for frame in result.frames
            ],
        )  # fmt: skip
        told: dict[str, str | int] = {"frames": len(result.frames)}
        if result.frames:
            told["frames_sha256"] = _frames_sha256(result)
        if result.reason is not None:
            told["reason"] = result.reason
        self._store.log("fingerprints", sha256=row[0], media=result.state, **told)

    def refused(self, archive: int, words: str, offset: int | None) -> None:
        """An archive's listing ended early; its members that came before stand."""
        self._db.execute(
            "UPDATE entry SET members = 'refused', detail = ?, error_offset = ? WHERE id = ?", (words, offset, archive)
        )
        path, ordinal = self._db.execute("SELECT path, ordinal FROM entry WHERE id = ?", (archive,)).fetchone()
        told = {} if offset is None else {"offset": offset}
        self._store.log("members", path=path, ordinal=ordinal, state="refused", detail=words, **told)

    def listed(self, archive: Job, count: int) -> None:
        """All members of an archive that can be had are rows now, those of archives inside it too."""
        self._db.execute(
            "WITH RECURSIVE inside (id) AS (SELECT ?1 UNION ALL"
            " SELECT entry.id FROM entry JOIN inside ON entry.parent = inside.id)"
            " UPDATE entry SET members = 'listed' WHERE members = 'pending' AND id IN (SELECT id FROM inside)",
            (archive.entry,),
        )
        self._store.log("members", path=archive.path, ordinal=archive.ordinal, state="listed", members=count)

    def pend(self, content: int) -> None:
        """Let a content be looked at again, for another file that holds it gives more reason or a better chance."""
        self._db.execute(
            "UPDATE content SET media = 'pending', media_reason = NULL, media_detail = NULL WHERE id = ?", (content,)
        )

    def _content(self, outcome: Outcome) -> Recorded:
        digests = outcome.digests
        if digests is None:
            return Recorded(None)
        media, reason = self._first_state(digests, outcome.media)
        cursor = self._cursor.execute(
            _INSERT_CONTENT,
            (digests.size, digests.md5, digests.sha1, digests.sha256, digests.blake3, media, reason),
        )
        if cursor.rowcount != 1:  # it is there
            content, media, reason = self._db.execute(
                "SELECT id, media, media_reason FROM content WHERE sha256 = ? AND size = ?",
                (digests.sha256, digests.size),
            ).fetchone()
            again = bool(outcome.media) and (media == "other" or reason == "size") and digests.size > 0
            return Recorded(content, media == "pending" or again, again)
        if media == "other":
            before = '{"frames":0,"kind":"fingerprints","media":"other","seq":'
            self._events.append((before, f',"sha256":"{digests.sha256.hex()}",'))
        return Recorded(cursor.lastrowid, media == "pending")

    def _first_state(self, digests: Digests, media: bool | None) -> tuple[str, str | None]:
        if not self._fingerprints:
            return "skipped", "off"
        return ("other" if media is False or digests.size == 0 else "pending"), None

    def _log_file(
        self, path: bytes, ordinal: int, size: int | None, outcome: Outcome, same_as: bytes | None, state: str = ""
    ) -> None:
        if outcome.digests is not None and same_as is None:
            self._events.append(_halves(path, ordinal, size, outcome.digests, outcome.touched))
            return
        self.flush()  # records stand in order
        told: dict[str, bytes | str | int] = {}
        if (digests := outcome.digests) is not None:
            state = "hashed"
            told = {"md5": digests.md5, "sha1": digests.sha1, "sha256": digests.sha256, "blake3": digests.blake3}
        elif outcome.reason is not None:
            told = {"reason": outcome.reason}
            told |= {name: value for name in ("errno", "offset") if (value := getattr(outcome, name)) is not None}
        if same_as is not None:
            told["same_as"] = same_as
        if outcome.touched:
            told["opened"] = _OPENED
        self._store.log("file", path=path, ordinal=ordinal, state=state or "unreadable", size=size, **told)


def _halves(path: bytes, ordinal: int, size: int | None, digests: Digests, touched: bool) -> tuple[str, str]:
    """The record of a hashed file before and behind its number, in canonical JSON."""
    opened = f'"opened":"{_OPENED}",' if touched else ""
    known = "null" if size is None else f"{size:d}"
    before = (
        f'{{"blake3":"{digests.blake3.hex()}","kind":"file","md5":"{digests.md5.hex()}",{opened}'
        f'"ordinal":{ordinal:d},"path":"{path.hex()}","seq":'
    )
    behind = f',"sha1":"{digests.sha1.hex()}","sha256":"{digests.sha256.hex()}","size":{known},"state":"hashed",'
    return before, behind


def _frames_sha256(result: MediaResult) -> str:
    from geldspur.evidence.media.record import frames_sha256

    return frames_sha256([(_STAGE, frame) for frame in result.frames]).hex()
