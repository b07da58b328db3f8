"""Fingerprints of images and videos: keyframes, the luma plane, exact PDQ, and the sandbox of the worker."""

from geldspur.evidence.media.keyframes import Limits, fingerprint
from geldspur.evidence.media.record import frames_sha256
from geldspur.evidence.media.sniff import HEAD, maybe_media

__all__ = ["HEAD", "Limits", "fingerprint", "frames_sha256", "maybe_media"]
