"""The array that kernels write their faults into."""

import numpy as np

from geldspur.ledger.doctor.report import Findings

_ROOM = 20


class Faults:
    """Room for the first faults of a kernel's call; see `kernels`."""

    def __init__(self) -> None:
        self.array = np.zeros((_ROOM, 3), np.int64)

    def take(self, count: int, file: str, findings: Findings) -> list[tuple[int, int, int]]:
        """The faults (code, row, value) of a call that met `count`; those without room are only counted."""
        findings.more(file, max(0, count - _ROOM))
        return [(code, row, value) for code, row, value in self.array[: min(count, _ROOM)].tolist()]
