"""Whether kernels may use the SHA instructions of x86 processors: LLVM ends a process that asks for them in vain."""

import sys
from pathlib import Path

from numba.core.registry import cpu_target

_CPU_FLAGS = {"sha_ni", "ssse3", "sse4_1"}
_LLVM_FEATURES = {"+sha", "+ssse3", "+sse4.1"}


def has_sha_instructions() -> bool:
    """Does the processor have them, and does numba compile for a processor that has them?"""
    if not set(cpu_target.target_context.codegen().magic_tuple()[2].split(",")) >= _LLVM_FEATURES:
        return False
    if sys.platform != "linux":
        return True
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return False
    flags = next((line for line in lines if line.startswith("flags")), "")
    return set(flags.split()) >= _CPU_FLAGS
