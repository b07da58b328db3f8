"""The decoders' examination: before a worker decodes anything, it decodes a made clip whose fingerprints are known.

A decoder that fails by itself looks like a file that is no media, and would leave a whole scan without fingerprints.
The clip, two keyframes of sines in H.264, is read through all that a scan uses: the container, its index, the decoder,
the luma plane and PDQ.
"""

import io
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from geldspur.errors import GeldspurError
from geldspur.evidence.model import MediaResult

CLIP = (Path(__file__).parent / "known.mp4").read_bytes()
ANSWER = (
    "ad1dd28fa95557f5ed559aa9552aba5a5492a936166669cc060ff87843e0fc01",
    "d555aabd56aba56b4a5ab6d26db69326664698cc739c843e7878c3d03f21e003",
)
"""PDQ of its frames; the reference implementation gives the same of the same luma."""


def examine(fingerprint: Callable[[BinaryIO], MediaResult]) -> None:
    """Decode the clip.

    Raises:
        GeldspurError: the answer is another one.
    """
    found = fingerprint(io.BytesIO(CLIP))
    if tuple(frame.plain.hex() for frame in found.frames) != ANSWER:
        words = f"{found.reason}, {found.detail}" if found.reason else "other fingerprints"
        raise GeldspurError(
            f"the media decoders don't work here: of a known clip they make {found.state} ({words})",
            todo="install Geldspur again with the versions it names; a scan with --no-fingerprints needs no decoder",
        )
