"""Fingerprints of images and videos: keyframes, the luma plane, exact PDQ, and the sandbox of the worker.

A worker process calls `warm()`, then `confine()`, then `fingerprint()` for each file that `maybe_media()` says yes to.
"""

from geldspur.evidence.media.keyframes import Limits, fingerprint
from geldspur.evidence.media.pdq import warm
from geldspur.evidence.media.record import frames_sha256
from geldspur.evidence.media.sandbox import confine
from geldspur.evidence.media.sniff import HEAD, maybe_media

__all__ = ["HEAD", "Limits", "confine", "fingerprint", "frames_sha256", "maybe_media", "warm"]
