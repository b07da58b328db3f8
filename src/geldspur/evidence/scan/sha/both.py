"""SHA-1 and SHA-256 of a stream, computed together where the processor has instructions for both."""

import hashlib
from functools import cache

import numpy as np

from geldspur.bitcoin.sha256_constants import START
from geldspur.bitcoin.sha_instructions import has_sha_instructions
from geldspur.evidence.scan.sha.kernels import take

_BLOCK = 64
_A, _B, _C, _D, _E = 0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0  # FIPS 180-4, 5.3.1
_START_OF_BOTH = np.array([*(START[k] for k in (5, 4, 1, 0, 7, 6, 3, 2)), _D, _C, _B, _A, 0, 0, 0, _E], np.uint32)
_SHA1, _SHA256 = [11, 10, 9, 8, 15], [3, 2, 7, 6, 1, 0, 5, 4]  # where the words of the digests lie


class Together:
    """`digests.Shas` by the kernel."""

    def __init__(self) -> None:
        self._state = _START_OF_BOTH.copy()
        self._held = b""  # less than a block
        self._size = 0

    def update(self, data: memoryview) -> None:
        """See `Shas`."""
        data = data.toreadonly()  # numba compiles anew for arrays that could be written, which a worker may not
        self._size += len(data)
        if self._held:
            missing = _BLOCK - len(self._held)
            self._held += data[:missing]
            data = data[missing:]
            if len(self._held) < _BLOCK:
                return
            take(self._state, np.frombuffer(self._held, np.uint8))
        whole = len(data) - len(data) % _BLOCK
        take(self._state, np.frombuffer(data[:whole], np.uint8))
        self._held = bytes(data[whole:])

    def digests(self) -> tuple[bytes, bytes]:
        """See `Shas`."""
        zeros = (55 - self._size) % _BLOCK
        padded = self._held + b"\x80" + bytes(zeros) + (8 * self._size).to_bytes(8, "big")
        take(self._state, np.frombuffer(padded, np.uint8))
        words = self._state.astype(">u4")
        return words[_SHA1].tobytes(), words[_SHA256].tobytes()


@cache
def can() -> bool:
    """Does this processor have the instructions, and do they give what they should? Loads or compiles the kernel."""
    if not has_sha_instructions():
        return False
    tried, sample = Together(), bytes(range(256)) * 3
    for start, end in ((0, 1), (1, 200), (200, len(sample))):
        tried.update(memoryview(sample)[start:end])
    return tried.digests() == (hashlib.sha1(sample, usedforsecurity=False).digest(), hashlib.sha256(sample).digest())
