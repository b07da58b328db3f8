"""What is left to do, read from the database: so a scan that was killed goes on where it was."""

import json
from collections import deque
from collections.abc import Iterator

from geldspur.evidence.scan.digests import LARGE
from geldspur.evidence.scan.links import Links, Settled
from geldspur.evidence.scan.messages import ArchiveTask, DigestTask, FingerprintTask, Job, Outcome
from geldspur.evidence.store import ScanStore

_BATCH_FILES, _BATCH_BYTES = 64, 16 << 20  # in one message; small enough that workers end together
_LARGE_FILES, _LARGE_BYTES = 8, 128 << 20  # fewer files may hold more, for their MD5 side by side
_PAGE = 4096
_HOLES = 1 << 40  # bytes of a file that are not on the disk, from which on it is read after all others
_JOB = "id, path, place, size, modified_ns, changed_ns, inode, ordinal"


def _job(row: tuple[int, bytes, str, int, int, int, int, int]) -> Job:
    entry, path, place, size, modified, changed, inode, ordinal = row
    if inode is not None and inode < 0:
        inode += 1 << 64
    return Job(entry, path, json.loads(place) if place != "{}" else {}, size, modified, changed, inode, ordinal)


class Plan:
    """Files to read, batch by batch in order of finding; archives and contents wait here for their turn."""

    def __init__(self, store: ScanStore) -> None:
        self._store = store
        self.fingerprints: deque[FingerprintTask] = deque()
        self.archives: deque[ArchiveTask] = deque()
        self.again: deque[DigestTask] = deque()
        self._links = Links(store)
        self._batches = self._digest_tasks()

    def next(self) -> DigestTask | FingerprintTask | ArchiveTask | None:
        """What to do next: first what still lies in the page cache."""
        if self.fingerprints:
            return self.fingerprints.popleft()
        if self.archives:
            return self.archives.popleft()
        if self.again:
            return self.again.popleft()
        return next(self._batches, None)

    def bytes_left(self) -> int:
        """How much the files still to be read hold, each inode once."""
        query = """SELECT coalesce(sum(size), 0) FROM (SELECT size FROM entry WHERE state = 'found' AND kind = 'file'
                   GROUP BY CASE WHEN links > 1 THEN device || ':' || inode ELSE id END)"""
        total: int = self._store.db.execute(query).fetchone()[0]
        return total

    def names_with(self, job: Job, outcome: Outcome) -> list[Job]:
        """The other names of the inode that was read as `job`, which share its outcome."""
        names, instead = self._links.share(job, outcome)
        if instead is not None:
            self.again.append(DigestTask((instead,)))
        return names

    def settled(self) -> list[Settled]:
        """Names met since the last call whose inode had been read before."""
        return self._links.take_settled()

    def _digest_tasks(self) -> Iterator[DigestTask]:
        batch: list[Job] = []
        size = 0
        for job in self._to_read():
            much = job.size or 0
            most = _BATCH_BYTES if len(batch) >= _LARGE_FILES else _LARGE_BYTES
            if batch and (len(batch) == _BATCH_FILES or size + much > most or much >= LARGE):
                yield DigestTask(tuple(batch))
                batch, size = [], 0
            batch.append(job)
            size += much
        if batch:
            yield DigestTask(tuple(batch))

    def _to_read(self) -> Iterator[Job]:
        """First what can be read in a time that its bytes on the disk explain; a few kilobytes may claim 16 TiB."""
        for hollow in (0, 1):
            yield from self._to_read_now(hollow)

    def _to_read_now(self, hollow: int) -> Iterator[Job]:
        last = 0
        query = f"""SELECT {_JOB}, links, device FROM entry
                    WHERE state = 'found' AND kind = 'file' AND id > ?
                    AND (coalesce(size - allocated, 0) > {_HOLES}) = {hollow}
                    ORDER BY id LIMIT {_PAGE}"""  # noqa: S608
        while rows := self._store.db.execute(query, (last,)).fetchall():
            last = rows[-1][0]
            for *row, links, device in rows:
                job = _job(tuple(row))
                alone = links is None or links < 2 or job.inode is None
                if alone or self._links.reads(job, (device, job.inode or 0), links):
                    yield job

    def resume(self, decodes: bool) -> None:
        """Queue what an earlier run left: archives without all their members, and contents without fingerprints."""
        wanted = self._without_fingerprints() if decodes else {}
        query = "SELECT id FROM entry WHERE members = 'pending' AND parent IS NULL ORDER BY id"
        archives = {row[0] for row in self._store.db.execute(query)} | set(wanted)
        for entry in sorted(archives):
            self.archives.append(self.archive(self.job(entry), wanted.get(entry, {})))

    def _without_fingerprints(self) -> dict[int, dict[tuple[bytes, int], int]]:
        """Queue contents that lie in walked files; returns those in archives, by the archive and their place in it."""
        wanted: dict[int, dict[tuple[bytes, int], int]] = {}
        query = f"""SELECT content.id, {", ".join("entry." + name for name in _JOB.split(", "))}, entry.parent,
                            min(entry.parent IS NOT NULL)
                    FROM content JOIN entry ON entry.content = content.id
                    WHERE content.media = 'pending' GROUP BY content.id"""  # noqa: S608
        for content, *row, parent, _ in self._store.db.execute(query).fetchall():
            job = _job(tuple(row))
            if parent is None:
                self.fingerprints.append(FingerprintTask(content, job))
            else:
                outer = self.outermost(job.entry)
                wanted.setdefault(outer.entry, {})[job.path[len(outer.path) + 1 :], job.ordinal] = content
        return wanted

    def member(self, archive: Job, path: bytes, ordinal: int) -> int:
        """The row of a member that was told before."""
        whole = archive.path + b"!" + path
        row: int = self._store.db.execute(
            "SELECT id FROM entry WHERE path = ? AND ordinal = ?", (whole, ordinal)
        ).fetchone()[0]
        return row

    def archive(self, job: Job, wanted: dict[tuple[bytes, int], int]) -> ArchiveTask:
        """Go through an archive, leaving out the members that are rows."""
        query = """WITH RECURSIVE inside (id) AS (SELECT id FROM entry WHERE parent = ?1 UNION ALL
                   SELECT entry.id FROM entry JOIN inside ON entry.parent = inside.id)
                   SELECT path, ordinal FROM entry WHERE id IN (SELECT id FROM inside)"""
        skip = len(job.path) + 1
        done = frozenset((path[skip:], ordinal) for path, ordinal in self._store.db.execute(query, (job.entry,)))
        return ArchiveTask(job, done, wanted)

    def job(self, entry: int) -> Job:
        """The job of a row."""
        return _job(self._store.db.execute(f"SELECT {_JOB} FROM entry WHERE id = ?", (entry,)).fetchone())  # noqa: S608

    def outermost(self, entry: int) -> Job:
        """The walked archive that a member lies in."""
        query = "SELECT parent FROM entry WHERE id = ?"
        while (parent := self._store.db.execute(query, (entry,)).fetchone()[0]) is not None:
            entry = parent
        return self.job(entry)
