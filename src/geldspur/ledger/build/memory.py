"""How much memory a build may use, and what it has used."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from geldspur.errors import UsageError

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
LEAST = 768 << 20
_PIECE = 16 << 20
"""Bytes of blocks beyond which a piece gains nothing: columns are written in large parts, Python runs seldom."""
_PROGRAM = 320 << 20
"""What Python, numpy, numba and the compiled kernels take before a build begins."""


def parse_size(text: str) -> int:
    """Bytes of a size like 2G, 512M or 1.5G; UsageError where it is none."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?", text.strip(), re.IGNORECASE)
    if match is None:
        raise UsageError(f"{text!a} is not an amount of memory", todo="write it like 2G or 800M")
    return int(float(match[1]) * _UNITS[match[2].upper()])


@dataclass(frozen=True, slots=True)
class Budget:
    """A share of memory for each part of a build, in bytes, that together stay within `total`."""

    total: int
    threads: int

    @property
    def batch_bytes(self) -> int:
        """Bytes of blocks that are decoded together; each of `threads + 1` batches takes about five times that."""
        return max(1 << 20, min(_PIECE, (self.total - _PROGRAM) // (6 * 5 * (self.threads + 1))))

    @property
    def tables(self) -> int:
        """For the tables that link, or for sorting."""
        return self.total - _PROGRAM - 6 * self.batch_bytes * (self.threads + 1)


def budget_of(total: int | None, threads: int | None) -> Budget:
    """The budget asked for, or half of the machine's memory."""
    if total is None:
        total = max(LEAST, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2)
    if total < LEAST:
        raise UsageError(f"{total >> 20} MiB of memory are too few", todo=f"give at least {LEAST >> 20}M with --memory")
    return Budget(total, max(1, threads or min(4, os.cpu_count() or 1)))


def anonymous_bytes() -> int:
    """Memory that this process holds and no file backs; 0 where the system doesn't tell."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        return 0
    match = re.search(r"^RssAnon:\s+(\d+) kB", status, re.MULTILINE)
    return int(match[1]) << 10 if match else 0
