"""Bars of equal units of the calendar (UTC), and the span that is drawn."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from geldspur.evidence.timeline.events import SECOND

MOST_BARS = 92
_ORIGIN = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS = ("hour", "6 hours", "day", "week", "month", "quarter", "year")
_LENGTH_S = {
    "hour": 3600, "6 hours": 21_600, "day": 86_400, "week": 604_800, "month": 2_592_000, "quarter": 7_776_000,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Span:
    """Borders of the bars (one more than bars), each at the begin of a unit."""

    unit: str
    borders: tuple[datetime, ...]

    def count(self, times_ns: Iterable[int]) -> tuple[list[int], int, int]:
        """How many times fall into each bar, how many lie before the first and how many after the last."""
        edges = [_nanoseconds(border) for border in self.borders]
        counts = [0] * (len(edges) + 1)
        for at_ns in times_ns:
            counts[bisect_right(edges, at_ns)] += 1
        return counts[1:-1], counts[0], counts[-1]


def span_of(files_ns: Sequence[int], money_ns: Sequence[int]) -> Span:
    """The span to draw: everything, or, where files reach far beyond the money, the money's time and as much around.

    Raises ValueError where there is nothing.
    """
    everything = [*files_ns, *money_ns]
    first, last = min(everything), max(everything)
    if money_ns and files_ns:
        begin, end = min(money_ns), max(money_ns)
        around = max(end - begin, 86_400 * SECOND)
        if last - first > 4 * around:
            first, last = max(first, begin - around), min(last, end + around)
            first, last = min(first, begin), max(last, end)
    return span(_at(first), _at(last) + timedelta(seconds=1))


def span(first: datetime, last: datetime) -> Span:
    """Bars of the smallest unit of which at most `MOST_BARS` cover the time from `first` to before `last`."""
    for unit in _UNITS[:-1]:
        if (last - first).total_seconds() / _LENGTH_S[unit] <= MOST_BARS - 2:
            return _borders(unit, first, last)
    return _borders("year", first, last)


def _borders(unit: str, first: datetime, last: datetime) -> Span:
    borders = [_floor(unit, first)]
    while borders[-1] < last or len(borders) == 1:
        borders.append(_next(unit, borders[-1]))
    return Span(unit, tuple(borders))


def _floor(unit: str, at: datetime) -> datetime:
    day = at.replace(hour=0, minute=0, second=0, microsecond=0)
    if unit == "hour":
        return day.replace(hour=at.hour)
    if unit == "6 hours":
        return day.replace(hour=at.hour - at.hour % 6)
    if unit == "week":
        return day - timedelta(days=day.weekday())
    if unit == "month":
        return day.replace(day=1)
    if unit == "quarter":
        return day.replace(day=1, month=day.month - (day.month - 1) % 3)
    return day.replace(day=1, month=1) if unit == "year" else day


def _next(unit: str, at: datetime) -> datetime:
    if unit in ("hour", "6 hours", "day", "week"):
        return at + timedelta(seconds=_LENGTH_S[unit])
    months = {"month": 1, "quarter": 3, "year": 12}[unit]
    index = at.year * 12 + at.month - 1 + months
    return at.replace(year=index // 12, month=index % 12 + 1)


def _at(at_ns: int) -> datetime:
    return _ORIGIN + timedelta(seconds=at_ns // SECOND)


def _nanoseconds(at: datetime) -> int:
    return int((at - _ORIGIN) / timedelta(seconds=1)) * SECOND


def marked(span: Span, most: int) -> list[int]:
    """Numbers of the borders to put dates at: at most `most`, at round steps of the unit."""
    ordinals = [_ordinal(span.unit, border) for border in span.borders]
    for step in _STEPS[span.unit]:
        numbers = [number for number, ordinal in enumerate(ordinals) if ordinal % step == 0]
        if len(numbers) <= most:
            return numbers or [0]
    return [0]


_STEPS = {
    "hour": (1, 2, 3, 6, 12, 24), "6 hours": (1, 2, 4, 8), "day": (1, 2, 7, 14), "week": (1, 2, 4, 8, 13),
    "month": (1, 3, 6, 12, 24), "quarter": (1, 2, 4, 8), "year": (1, 2, 5, 10, 20, 50, 100),
}  # fmt: skip


def _ordinal(unit: str, at: datetime) -> int:
    """Number of the unit, so that its multiples are midnights, Mondays, Januaries and decades."""
    if unit == "year":
        return at.year
    if unit in ("month", "quarter"):
        return (at.year * 12 + at.month - 1) // (1 if unit == "month" else 3)
    monday = datetime(1970, 1, 5, tzinfo=UTC)
    return int((at - monday).total_seconds()) // _LENGTH_S[unit]


def label(unit: str, at: datetime, before: datetime | None) -> tuple[str, str]:
    """Two lines below a border; the second (the day, or the year) only where it is another than at the label before."""
    if unit in ("hour", "6 hours"):
        return f"{at:%H:%M}", "" if before is not None and before.date() == at.date() else f"{at:%Y-%m-%d}"
    if unit == "year":
        return f"{at.year}", ""
    year = "" if before is not None and before.year == at.year else f"{at.year}"
    if unit in ("day", "week"):
        return f"{at.day} {_MONTHS[at.month - 1]}", year
    return _MONTHS[at.month - 1] if unit == "month" else f"Q{(at.month + 2) // 3}", year


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
