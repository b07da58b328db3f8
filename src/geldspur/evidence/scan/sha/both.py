"""SHA-1 and SHA-256 of a stream, computed together where the processor has instructions for both."""

import hashlib
import struct
from array import array
from functools import cache

from geldspur.bitcoin.sha256_constants import START
from geldspur.bitcoin.sha_instructions import has_sha_instructions
from geldspur.machinecode import Function, MachineCode, address

CODE = MachineCode("sha", "geldspur.evidence.scan.sha.kernels", {"take": "qqq"})
_BLOCK = 64
_A, _B, _C, _D, _E = 0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0  # FIPS 180-4, 5.3.1
_START_OF_BOTH = [*(START[k] for k in (5, 4, 1, 0, 7, 6, 3, 2)), _D, _C, _B, _A, 0, 0, 0, _E]
_SHA1, _SHA256 = (11, 10, 9, 8, 15), (3, 2, 7, 6, 1, 0, 5, 4)  # where the words of the digests lie


class Together:
    """`digests.Shas` by the kernel."""

    def __init__(self) -> None:
        self._take = _kernel()
        self._state = array("I", _START_OF_BOTH)
        self._held = bytearray()  # less than a block
        self._size = 0

    def update(self, data: memoryview) -> None:
        """See `Shas`. The memory must be writable, for only then does Python tell where it lies."""
        self._size += len(data)
        if self._held:
            missing = _BLOCK - len(self._held)
            self._held += data[:missing]
            data = data[missing:]
            if len(self._held) < _BLOCK:
                return
            self._take(address(self._state), address(self._held), 1)
        if whole := len(data) // _BLOCK:
            self._take(address(self._state), address(data), whole)
        self._held = bytearray(data[whole * _BLOCK :])

    def digests(self) -> tuple[bytes, bytes]:
        """See `Shas`."""
        padding = b"\x80" + bytes((55 - self._size) % _BLOCK) + (8 * self._size).to_bytes(8, "big")
        self.update(memoryview(bytearray(padding)))
        sha1, sha256 = ([self._state[k] for k in places] for places in (_SHA1, _SHA256))
        return struct.pack(">5I", *sha1), struct.pack(">8I", *sha256)


@cache
def _kernel() -> Function:
    return CODE.load()["take"]


@cache
def has_instructions() -> bool:
    """Does this processor have the instructions?"""
    import llvmlite.binding as llvm

    return has_sha_instructions({name for name, there in llvm.get_host_cpu_features().items() if there})


@cache
def can() -> bool:
    """Has it them, and do they give what they should? Loads or compiles the kernel."""
    if not has_instructions():
        return False
    tried, sample = Together(), bytearray(range(256)) * 3
    for start, end in ((0, 1), (1, 200), (200, len(sample))):
        tried.update(memoryview(sample)[start:end])
    return tried.digests() == (hashlib.sha1(sample, usedforsecurity=False).digest(), hashlib.sha256(sample).digest())
