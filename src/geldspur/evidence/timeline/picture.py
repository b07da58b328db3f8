"""The timeline as SVG: files above, money below, bars of the same units of the calendar on one axis.

Tones differ in lightness, so that they stay apart in grey print; every group says its count in words, and every bar
says its own where a pointer rests on it. Nothing is loaded from elsewhere.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from geldspur.evidence.timeline.bins import Span, label, marked

WIDTH, LEFT, RIGHT = 1080, 74, 44
_PLOT = WIDTH - LEFT - RIGHT
_TOP, _PANEL, _BETWEEN = 108, 200, 84
_LABEL_EVERY = 80  # px between dates, at least
_ROOM = 1.1  # above the highest bar, for its count
_COUNTED_FROM = 21  # px of a bar's width, from which on its count stands above it
_FONT = "Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif"
_INK, _QUIET, _GRID, _EDGE = "#20262b", "#565e64", "#e3e6e8", "#8b949b"
TONES = {"file": "#1d4e6e", "payment": "#a8590e", "payout": "#dcb678", "cashout": "#6b6257"}
_NOUNS = {
    "file": ("distinct file", "distinct files"),
    "payment": ("payment", "payments"),
    "payout": ("payout", "payouts"),
    "cashout": ("cash-out", "cash-outs"),
}
LINK = "Coincidence in time is not a link: that files and payments fall together shows no connection between them."


@dataclass(frozen=True, slots=True)
class Series:
    """One group of events: in each bar, and before and after the span that is drawn."""

    what: str
    bars: list[int]
    before: int
    after: int

    @property
    def drawn(self) -> int:
        """How many stand in bars."""
        return sum(self.bars)


def draw(span: Span, files: Series, money: Sequence[Series], notes: Sequence[str]) -> str:
    """The picture. `money` is stacked in its order, the first at the bottom; `notes` stand below, a line each."""
    lower = _TOP + _PANEL + _BETWEEN
    notes_from = lower + _PANEL + 62
    height = notes_from + 18 * (len(notes) + 1) + 8
    parts = [
        _head(height),
        *_title(span),
        *_dates(span, lower),
        *_panel(span, [files], _TOP, "Files by first-seen time"),
        *_panel(span, money, lower, "Money by block time"),
        _text(LEFT, notes_from, LINK, size=14, bold=True),
        *(_text(LEFT, notes_from + 18 * number, note, tone=_QUIET) for number, note in enumerate(notes, 1)),
        "</svg>\n",
    ]
    return "\n".join(parts)


def counted_events(what: str, number: int) -> str:
    """`1 payment`, `2 payments`."""
    return f"{number:,} {_NOUNS[what][number != 1]}"


def _head(height: int) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'role="img" aria-labelledby="title note" font-family="{escape(_FONT)}" font-size="12.5">\n'
        f'<title id="title">Files of a scan and money of a site over time</title>\n'
        f'<desc id="note">{escape(LINK)}</desc>\n<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>'
    )


def _title(span: Span) -> Iterator[str]:
    first, last = span.borders[0], span.borders[-1]
    yield _text(LEFT, 34, "Files of the scan and money of the site over time", size=20, bold=True)
    told = f"UTC, {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M}; a bar is one {span.unit}"
    if span.unit == "6 hours":
        told = told.replace("one 6 hours", "six hours")
    yield _text(LEFT, 56, told, tone=_QUIET)


def _dates(span: Span, lower: float) -> Iterator[str]:
    """Dates below both panels, and their lines through them."""
    step = _PLOT / (len(span.borders) - 1)
    before = None
    for number in marked(span, _PLOT // _LABEL_EVERY):
        x = LEFT + number * step
        for top in (_TOP, lower):
            yield _line(x, top, x, top + _PANEL + 5, _GRID)
        first, second = label(span.unit, span.borders[number], before)
        before = span.borders[number]
        for top in (_TOP, lower):
            yield _text(x, top + _PANEL + 20, first, anchor="middle", tone=_QUIET)
            if second:
                yield _text(x, top + _PANEL + 35, second, anchor="middle", tone=_QUIET)


def _panel(span: Span, stack: Sequence[Series], top: float, name: str) -> Iterator[str]:
    sums = [sum(values) for values in zip(*(series.bars for series in stack), strict=True)]
    ceiling, tick = _scale(max(sums, default=0))
    bottom = top + _PANEL
    for value in range(0, ceiling + 1, tick):
        y = bottom - _PANEL * value / ceiling
        yield _line(LEFT, y, LEFT + _PLOT, y, _EDGE if value == 0 else _GRID)
        yield _text(LEFT - 8, y + 4, f"{value:,}", anchor="end", tone=_QUIET)
    yield from _legend(stack, top - 14, name)
    step = _PLOT / (len(span.borders) - 1)
    heights = [0.0] * len(sums)
    for series in stack:
        for number, value in enumerate(series.bars):
            if not value:
                continue
            tall = max(_PANEL * value / ceiling, 1.5)  # what is there is seen
            x, y = LEFT + number * step, bottom - heights[number] - tall
            heights[number] += tall
            begin = f"{span.borders[number]:%Y-%m-%d %H:%M} UTC and after"
            told = f"{counted_events(series.what, value)}, {begin}, one {span.unit}"
            gap = min(1.0, step / 8)
            yield (
                f'<rect x="{_n(x + gap / 2)}" y="{_n(y)}" width="{_n(step - gap)}" height="{_n(tall)}" '
                f'fill="{TONES[series.what]}"><title>{escape(told)}</title></rect>'
            )
    if step >= _COUNTED_FROM:
        for number, value in enumerate(sums):
            if value:
                x = LEFT + (number + 0.5) * step
                yield _text(x, bottom - heights[number] - 4, f"{value:,}", anchor="middle", size=11)
    if not any(sums):
        yield _text(LEFT + _PLOT / 2, top + _PANEL / 2, "none in this span", anchor="middle", tone=_QUIET, halo=True)
    yield from _outside(stack, top)


def _legend(stack: Sequence[Series], y: float, name: str) -> Iterator[str]:
    yield _text(LEFT, y, name, bold=True, size=14)
    x = LEFT + 210.0
    for series in stack:
        yield f'<rect x="{_n(x)}" y="{_n(y - 10)}" width="11" height="11" fill="{TONES[series.what]}"/>'
        told = counted_events(series.what, series.drawn)
        yield _text(x + 17, y, told)
        x += 17 + 7.2 * len(told) + 20


def _outside(stack: Sequence[Series], top: float) -> Iterator[str]:
    before = [counted_events(series.what, series.before) for series in stack if series.before]
    after = [counted_events(series.what, series.after) for series in stack if series.after]
    if before:
        yield _text(LEFT + 6, top + 14, f"\N{LEFTWARDS ARROW} before: {', '.join(before)}", tone=_QUIET, halo=True)
    if after:
        words = f"after: {', '.join(after)} \N{RIGHTWARDS ARROW}"
        yield _text(LEFT + _PLOT - 6, top + 14, words, anchor="end", tone=_QUIET, halo=True)


def _scale(most: int) -> tuple[int, int]:
    """The axis' end and the distance of its marks: 1, 2 or 5 times a power of ten, at most five marks above 0."""
    power = 1
    while True:
        for factor in (1, 2, 5):
            tick = factor * power
            if most * _ROOM <= 5 * tick:
                return max(math.ceil(most * _ROOM / tick), 1) * tick, tick
        power *= 10


def _text(
    x: float, y: float, text: str, *, anchor: str = "start", tone: str = _INK, size: float = 12.5, bold: bool = False,
    halo: bool = False,
) -> str:  # fmt: skip
    more = ' font-weight="bold"' if bold else ""
    more += ' stroke="#ffffff" stroke-width="4" paint-order="stroke"' if halo else ""
    return (
        f'<text x="{_n(x)}" y="{_n(y)}" text-anchor="{anchor}" font-size="{size:g}" fill="{tone}"{more}>'
        f"{escape(text)}</text>"
    )


def _line(x0: float, y0: float, x1: float, y1: float, tone: str) -> str:
    return f'<line x1="{_n(x0)}" y1="{_n(y0)}" x2="{_n(x1)}" y2="{_n(y1)}" stroke="{tone}"/>'


def _n(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
