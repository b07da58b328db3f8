"""The deep mode: videos that no list knows yet are decoded whole, the most copied first, the smaller of equals first.

Keyframes find most copies at a fiftieth of the cost. What remains unknown may be found by its frames between them:
one a second as vPDQ samples, or every frame. Each content is one transaction, so that a kill costs the ones at hand.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from geldspur.errors import UsageError
from geldspur.evidence.custody.seal import seal_after_work
from geldspur.evidence.media.record import frames_sha256
from geldspur.evidence.model import FrameHash, MediaResult
from geldspur.evidence.outputs import source_of
from geldspur.evidence.scan.deep_task import DeepTask, make_handler
from geldspur.evidence.scan.pool import Pool, Task
from geldspur.evidence.sources import open_source
from geldspur.evidence.store import ScanStore, open_to_write
from geldspur.progress import SILENT, Progress

Every = Literal["second", "frame"]

SILENT_SECONDS = 120.0  # a worker that decodes speaks twice a second

# The number of names is counted over all entries; a file outside archives is preferred, for it is opened at once.
_UNKNOWN = """
SELECT content.id, content.sha256, content.size,
  (SELECT count(*) FROM entry WHERE entry.content = content.id) AS copies,
  (SELECT entry.id FROM entry WHERE entry.content = content.id AND entry.state = 'hashed'
   ORDER BY entry.parent IS NOT NULL, entry.deleted, entry.path, entry.ordinal LIMIT 1)
FROM content
WHERE media = 'video' AND (deep IS NULL OR (deep = 'second' AND ?1 = 'frame'))
  AND NOT EXISTS (SELECT 1 FROM hit WHERE hit.content = content.id)
ORDER BY copies DESC, content.size, content.sha256
"""


@dataclass(slots=True)
class Deepened:
    """What a run did: contents decoded whole, frames added, contents that failed, and how many are still to do."""

    done: int = 0
    frames: int = 0
    failed: int = 0
    left: int = 0


def deepen(
    folder: Path,
    *,
    every: Every = "second",
    source_path: Path | None = None,
    limit: int | None = None,
    minutes: float | None = None,
    workers: int = 1,
    progress: Progress = SILENT,
) -> Deepened:
    """Decode unknown videos of a scan whole, as many as `limit` and `minutes` allow; run it again to go on.

    `source_path` is where the source lies now, if not where the scan found it.

    Raises:
        UsageError: no scan there, or no source.
        GeldspurError: another process writes the scan.
    """
    with open_to_write(folder) as store:
        where = source_path or source_of(store.about())
        if where is None:
            raise UsageError("the scan does not tell where its source was", todo="name it with --source PATH")
        source = open_source(where)
        todo = list(store.db.execute(_UNKNOWN, (every,)))
        chosen = iter(todo[:limit])
        end = None if minutes is None else time.monotonic() + 60 * minutes
        result = Deepened(left=len(todo))
        with Pool(make_handler, workers, source) as pool, progress.task("deep", len(todo[:limit]), "videos") as bar:
            while True:
                in_time = end is None or time.monotonic() < end
                while in_time and pool.has_room and (task := _next(store, chosen, every)) is not None:
                    pool.put(task)
                if not pool.busy:
                    break
                for event in pool.events(0.25):
                    if event.what == "said":
                        continue
                    lost = event.what == "lost"
                    outcome = MediaResult("failed", None, (), *event.content) if lost else event.content
                    _write(store, event.task.key, every, outcome, result)
                    bar.advance(1)
        seal_after_work(store)
        return result


def _next(store: ScanStore, chosen: Iterator[tuple[int, bytes, int, int, int]], every: Every) -> Task | None:
    for content, sha256, size, _, entry in chosen:
        path, place, member = _whereabouts(store, entry)
        return Task(content, DeepTask(sha256, size, every, path, place, member), SILENT_SECONDS)
    return None


def _whereabouts(store: ScanStore, entry: int) -> tuple[bytes, dict[str, int | str], tuple[bytes, int] | None]:
    """How to open an entry: its own path and place, or its outermost archive's, and what it is called in there."""
    import json

    path, ordinal, place, parent = _row(store, entry)
    outer_path, outer_place = path, place
    while parent is not None and parent < entry:  # an archive's row is older than its members'
        entry = parent
        outer_path, _, outer_place, parent = _row(store, parent)
    member = (path[len(outer_path) + 1 :], ordinal) if outer_path != path else None
    return outer_path, json.loads(outer_place), member


def _row(store: ScanStore, entry: int) -> tuple[bytes, int, str, int | None]:
    row: tuple[bytes, int, str, int | None] = store.db.execute(
        "SELECT path, ordinal, place, parent FROM entry WHERE id = ?", (entry,)
    ).fetchone()
    return row


def _write(store: ScanStore, content: int, every: Every, result: MediaResult, tally: Deepened) -> None:
    """One content's frames in place of what an earlier run of the same density gave, and the record of it."""
    with store.change() as db:
        (sha256,) = db.execute("SELECT sha256 FROM content WHERE id = ?", (content,)).fetchone()
        if result.state != "video":
            tally.failed += 1
            if result.reason != "unreadable":  # else the bytes may be there another time
                tally.left -= 1
                db.execute("UPDATE content SET deep = 'failed' WHERE id = ?", (content,))
            store.log("deep", sha256=sha256, every=every, reason=result.reason or "damaged", detail=result.detail)
            return
        db.execute("DELETE FROM frame WHERE content = ? AND stage = ?", (content, every))
        db.executemany(
            "INSERT INTO frame VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (content, every, f.at_ms, f.quality, f.plain, f.mirrored, f.cropped, f.cropped_mirrored)
                for f in result.frames
            ],
        )
        db.execute("UPDATE content SET deep = ? WHERE id = ?", (every, content))
        rows = list(db.execute(
            "SELECT stage, at_ms, quality, plain, mirrored, cropped, cropped_mirrored FROM frame WHERE content = ?",
            (content,),
        ))  # fmt: skip
        digest = frames_sha256((stage, FrameHash(*row)) for stage, *row in rows)
        store.log("deep", sha256=sha256, every=every, added=len(result.frames), frames=len(rows), frames_sha256=digest)
        tally.left -= 1
        tally.done += 1
        tally.frames += len(result.frames)
