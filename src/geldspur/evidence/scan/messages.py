"""What the scan and its workers tell each other."""

from dataclasses import dataclass, field

from geldspur.evidence.model import Digests, Found


@dataclass(frozen=True, slots=True)
class Job:
    """One file to read: `entry` is its row, the rest is what the walk saw."""

    entry: int
    path: bytes
    place: dict[str, int | str]
    size: int | None
    modified_ns: int | None
    changed_ns: int | None
    inode: int | None
    ordinal: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What reading gave: digests, or why there are none, with the place of the first bad read.

    `media`: may these bytes be an image or a video (None: nobody here can tell)? `archive`: by its first bytes.
    `touched`: it had to be opened without O_NOATIME.
    """

    digests: Digests | None = None
    reason: str | None = None
    detail: str | None = None
    errno: int | None = None
    offset: int | None = None
    media: bool | None = None
    archive: bool = False
    touched: bool = False


@dataclass(frozen=True, slots=True)
class MemberOutcome:
    """One member of an archive; `outcome` is None where it was refused (`found.skip`) or is in the database already."""

    found: Found
    ordinal: int
    number: int
    parent: int | None
    outcome: Outcome | None
    known: bool = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """An archive, by its number as a member (0: the outermost), whose listing ended early; what came before stands."""

    number: int
    words: str
    offset: int | None


@dataclass(frozen=True, slots=True)
class DigestTask:
    """Files to read one after the other."""

    jobs: tuple[Job, ...]


@dataclass(frozen=True, slots=True)
class FingerprintTask:
    """One content to fingerprint, by a file that has it."""

    content: int
    job: Job


@dataclass(frozen=True, slots=True)
class ArchiveTask:
    """One archive to go through.

    `done`: members (path, ordinal) that are rows already. `wanted`: those of them whose content still needs
    fingerprints, with that content's row.
    """

    job: Job
    done: frozenset[tuple[bytes, int]] = frozenset()
    wanted: dict[tuple[bytes, int], int] = field(default_factory=dict)


Task = DigestTask | FingerprintTask | ArchiveTask
