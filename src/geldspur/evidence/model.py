"""What passes between the parts of the evidence room."""

from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["file", "directory", "symlink", "special"]
Variant = Literal["plain", "mirrored", "cropped", "cropped_mirrored"]


@dataclass(frozen=True, slots=True)
class Times:
    """MACB times in nanoseconds since 1970 UTC; None where the source does not record one."""

    source: str
    born_ns: int | None = None
    modified_ns: int | None = None
    accessed_ns: int | None = None
    changed_ns: int | None = None

    def __reduce__(self) -> tuple[type["Times"], tuple[Any, ...]]:
        """As `Digests`."""
        return Times, (self.source, self.born_ns, self.modified_ns, self.accessed_ns, self.changed_ns)


@dataclass(frozen=True, slots=True)
class Found:
    """One entry as a source lists it, before anything of it is read.

    `path`: bytes below the source (inside an archive: below the archive). `place`: JSON-able, whatever the source
    needs to open it again. `skip`: a code of `reasons.SKIPPED` where it must not be opened; `error`: (errno, words)
    where even the listing failed; `detail`: words beside `skip` (a compression method, a partition's kind).
    """

    path: bytes
    kind: Kind
    size: int | None
    times: Times | None = None
    allocated: int | None = None
    device: int | None = None
    inode: int | None = None
    links: int | None = None
    deleted: bool = False
    place: dict[str, int | str] = field(default_factory=dict)
    skip: str | None = None
    error: tuple[int | None, str] | None = None
    detail: str | None = None

    def __reduce__(self) -> tuple[type["Found"], tuple[Any, ...]]:
        """As `Digests`."""
        return Found, (
            self.path, self.kind, self.size, self.times, self.allocated, self.device, self.inode, self.links,
            self.deleted, self.place, self.skip, self.error, self.detail,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Digests:
    """Of one sequence of bytes."""

    size: int
    md5: bytes
    sha1: bytes
    sha256: bytes
    blake3: bytes

    def __reduce__(self) -> tuple[type["Digests"], tuple[int, bytes, bytes, bytes, bytes]]:
        """Data classes are slow to pickle, and every file's digests are."""
        return Digests, (self.size, self.md5, self.sha1, self.sha256, self.blake3)


@dataclass(frozen=True, slots=True)
class FrameHash:
    """Fingerprints of one frame: PDQ (32 bytes, in the byte order of PDQ's hexadecimal form)."""

    at_ms: int
    quality: int
    plain: bytes
    mirrored: bytes
    cropped: bytes | None = None
    cropped_mirrored: bytes | None = None


@dataclass(frozen=True, slots=True)
class MediaFacts:
    """What the container says, and what decoding met."""

    kind: Literal["image", "video"]
    format: str
    codec: str
    width: int
    height: int
    duration_ms: int | None
    keyframes: int
    bad_packets: int


@dataclass(frozen=True, slots=True)
class MediaResult:
    """One content's fingerprints: `state` is content.media's value; `reason` a code of `reasons.NO_FINGERPRINT`."""

    state: Literal["image", "video", "other", "failed", "skipped"]
    facts: MediaFacts | None = None
    frames: tuple[FrameHash, ...] = ()
    reason: str | None = None
    detail: str | None = None
