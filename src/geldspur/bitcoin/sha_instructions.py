"""Whether kernels may use the SHA instructions of x86 processors: LLVM ends a process that asks for them in vain."""

import sys
from collections.abc import Set as AbstractSet
from pathlib import Path

_CPU_FLAGS = {"sha_ni", "ssse3", "sse4_1"}
_LLVM_FEATURES = {"sha", "ssse3", "sse4.1"}


def has_sha_instructions(features: AbstractSet[str]) -> bool:
    """Does the processor have them, and does LLVM compile for one with these `features`, which must have them too?"""
    if not features >= _LLVM_FEATURES:
        return False
    if sys.platform != "linux":
        return True
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return False
    flags = next((line for line in lines if line.startswith("flags")), "")
    return set(flags.split()) >= _CPU_FLAGS
