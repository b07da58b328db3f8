"""Fingerprints of images and videos: keyframes, the luma plane, exact PDQ, and the sandbox of the worker.

A worker process calls `pdq.warm`, then `confine`, then `keyframes.fingerprint` for each file that `maybe_media` says
yes to. This door itself loads neither decoders nor kernels, so that a scan of digests can be confined without them.
"""

from geldspur.evidence.media.record import frames_sha256
from geldspur.evidence.media.sandbox import confine
from geldspur.evidence.media.sniff import HEAD, maybe_media

__all__ = ["HEAD", "confine", "frames_sha256", "maybe_media"]
