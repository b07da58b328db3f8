"""One digest over a content's fingerprints, for the scan's log."""

import hashlib
from collections.abc import Iterable

from geldspur.evidence.model import FrameHash


def frames_sha256(frames: Iterable[tuple[str, FrameHash]]) -> bytes:
    """SHA-256 over frames in order of stage and time, whatever order they come in.

    Each frame adds its stage's name, its time as eight bytes little-endian, its quality as one byte, and its
    fingerprints: plain, mirrored, and of the picture without bars and its mirror image where there is one.
    """
    digest = hashlib.sha256()
    for stage, frame in sorted(frames, key=lambda row: (row[0], row[1].at_ms)):
        digest.update(stage.encode() + frame.at_ms.to_bytes(8, "little") + frame.quality.to_bytes(1, "little"))
        digest.update(frame.plain + frame.mirrored + (frame.cropped or b"") + (frame.cropped_mirrored or b""))
    return digest.digest()
