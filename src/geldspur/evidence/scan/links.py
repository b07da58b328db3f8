"""Several names of one inode: it is read once, under the name found first, and the outcome holds for all of them."""

from dataclasses import dataclass, field

from geldspur.evidence.model import Digests
from geldspur.evidence.scan.messages import Job, Outcome
from geldspur.evidence.store import ScanStore

_Inode = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Settled:
    """A name whose inode was read as `same_as`."""

    job: Job
    outcome: Outcome
    same_as: bytes


@dataclass(slots=True)
class _Reading:
    reader: Job
    names_left: int  # names of the inode not met yet; some may lie outside the source
    waiting: list[Job] = field(default_factory=list)
    outcome: Outcome | None = None


class Links:
    """Who reads for whom."""

    def __init__(self, store: ScanStore) -> None:
        self._store = store
        self._readings: dict[_Inode, _Reading] = {}
        self._read_as: dict[int, _Inode] = {}
        self._settled: list[Settled] = []

    def reads(self, job: Job, inode: _Inode, links: int) -> bool:
        """Is the job to be read? Else its inode is or was read under another name."""
        reading = self._readings.get(inode)
        if reading is None:
            if (before := self._from_before(inode)) is not None:
                self._settled.append(Settled(job, *before))
                return False
            self._readings[inode] = _Reading(job, links - 1)
            self._read_as[job.entry] = inode
            return True
        reading.names_left -= 1
        if reading.outcome is None:
            reading.waiting.append(job)
        else:
            self._settled.append(Settled(job, reading.outcome, reading.reader.path))
            self._forget(inode, reading)
        return False

    def share(self, job: Job, outcome: Outcome) -> tuple[list[Job], Job | None]:
        """The names that waited for this outcome; or, where only the name was gone, the one to be read instead.

        Names met later get the outcome from `take_settled`.
        """
        inode = self._read_as.pop(job.entry, None)
        if inode is None:
            return [], None
        reading = self._readings[inode]
        waiting, reading.waiting = reading.waiting, []
        if outcome.reason != "vanished":
            reading.outcome = outcome
            self._forget(inode, reading)
            return waiting, None
        del self._readings[inode]
        if not waiting:
            return [], None
        self._readings[inode] = _Reading(waiting[0], reading.names_left, waiting[1:])
        self._read_as[waiting[0].entry] = inode
        return [], waiting[0]

    def take_settled(self) -> list[Settled]:
        """Names that were settled when they were met."""
        settled, self._settled = self._settled, []
        return settled

    def _forget(self, inode: _Inode, reading: _Reading) -> None:
        if reading.names_left <= 0:
            del self._readings[inode]

    def _from_before(self, inode: _Inode) -> tuple[Outcome, bytes] | None:
        """What an earlier run read of the inode."""
        number = inode[1] - (1 << 64) if inode[1] >= 1 << 63 else inode[1]
        row = self._store.db.execute(
            "SELECT entry.path, content.size, md5, sha1, sha256, blake3 FROM entry JOIN content"
            " ON entry.content = content.id"
            " WHERE device = ? AND inode = ? AND links > 1 AND parent IS NULL AND deleted = 0"
            " ORDER BY entry.id LIMIT 1",
            (inode[0], number),
        ).fetchone()
        return None if row is None else (Outcome(Digests(*row[1:])), row[0])
