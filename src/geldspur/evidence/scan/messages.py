"""What the scan and its workers tell each other.

Named tuples, for a scan makes and sends several of them a file, and they cost a tenth of a data class there.
"""

from typing import NamedTuple

from geldspur.evidence.model import Digests, Found


class Job(NamedTuple):
    """One file to read: `entry` is its row, the rest is what the walk saw."""

    entry: int
    path: bytes
    place: dict[str, int | str]
    size: int | None
    modified_ns: int | None
    changed_ns: int | None
    inode: int | None
    ordinal: int = 0


class Outcome(NamedTuple):
    """What reading gave: digests, or why there are none, with the place of the first bad read.

    `media`: may these bytes be an image or a video (None: nobody asked)? `archive`: by its first bytes. `touched`: it
    had to be opened without O_NOATIME.
    """

    digests: Digests | None = None
    reason: str | None = None
    detail: str | None = None
    errno: int | None = None
    offset: int | None = None
    media: bool | None = None
    archive: bool = False
    touched: bool = False


class MemberOutcome(NamedTuple):
    """One member of an archive; `outcome` is None where it was refused (`found.skip`) or is in the database already."""

    found: Found
    ordinal: int
    number: int
    parent: int | None
    outcome: Outcome | None
    known: bool = False


class Refusal(NamedTuple):
    """An archive, by its number as a member (0: the outermost), whose listing ended early; what came before stands."""

    number: int
    words: str
    offset: int | None


class DigestTask(NamedTuple):
    """Files to read one after the other."""

    jobs: tuple[Job, ...]


class FingerprintTask(NamedTuple):
    """One content to fingerprint, by a file that has it."""

    content: int
    job: Job


class ArchiveTask(NamedTuple):
    """One archive to go through.

    `done`: members (path, ordinal) that are rows already. `wanted`: those of them whose content still needs
    fingerprints, with that content's row.
    """

    job: Job
    done: frozenset[tuple[bytes, int]] = frozenset()
    wanted: dict[tuple[bytes, int], int] = {}  # noqa: RUF012 (never changed)


Task = DigestTask | FingerprintTask | ArchiveTask
