"""A share that was counted, with the interval that its count allows."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import sqrt
from typing import Any, Self

# The two-sided 95 % quantile of the normal distribution, to the digits that are customary in print.
Z95 = 1.96


def wilson(right: int, n: int, z: float = Z95) -> tuple[float, float]:
    """Bounds of the Wilson score interval for `right` of `n`; (0, 1) if nothing was counted.

    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927). It
    stays inside 0..1 and keeps a width when `right` is 0 or `n`, where the textbook interval has none.
    """
    if not n:
        return 0.0, 1.0
    p = right / n
    centre = p + z * z / (2 * n)
    half = z * sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    return max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale)


@dataclass(frozen=True, slots=True)
class Rate:
    """`right` of `n`."""

    right: int
    n: int

    @classmethod
    def of(cls, outcomes: Iterable[bool]) -> Self:
        """Count what came out right."""
        seen = list(outcomes)
        return cls(sum(seen), len(seen))

    @property
    def value(self) -> float | None:
        """The share; None if nothing was counted."""
        return self.right / self.n if self.n else None

    @property
    def rounded(self) -> float | None:
        """The share to four places, as reports compare it."""
        return None if self.value is None else round(self.value, 4)

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval."""
        return wilson(self.right, self.n)

    def as_dict(self) -> dict[str, Any]:
        """For a program: counts, share and interval, to four places."""
        low, high = self.interval
        return {
            "right": self.right,
            "n": self.n,
            "value": self.rounded,
            "wilson95": [round(low, 4), round(high, 4)],
        }
