"""Values as the report prints them: text that any reader of the file can trust, amounts, shares, counts.

The report sets type with the three font families that travel inside Typst, so that the same input gives the
same bytes on every machine. Text from outside (labels, columns of the site file) can hold anything; what
these fonts can't draw, and what is invisible or turns the reading order, is written as its code point.
"""

from bisect import bisect_right
from itertools import groupby

# Blocks that Libertinus Serif or DejaVu Sans Mono draw in full, as (first, last) code points, ascending.
_DRAWN = (
    (0x0020, 0x007E),
    (0x00A1, 0x00AC),
    (0x00AE, 0x02FF),
    (0x0391, 0x03A1),
    (0x03A3, 0x0482),
    (0x048A, 0x04FF),
    (0x05D0, 0x05EA),
    (0x0621, 0x063A),
    (0x0641, 0x064A),
    (0x1E00, 0x1EFF),
    (0x2010, 0x2027),
    (0x2030, 0x2040),
    (0x20A0, 0x20C0),
    (0x2190, 0x23FF),
)
_FIRST = tuple(first for first, _ in _DRAWN)
_RIGHT_TO_LEFT = (0x0590, 0x06FF)
_ISOLATE, _END_ISOLATE = "\u2068", "\u2069"
_LONGEST_TURNED = 30  # boxes that offer breaks would turn the order of right-to-left text
TEXT_LIMIT = 400
SAT_PER_BTC = 100_000_000


def _drawn(char: str) -> bool:
    at = bisect_right(_FIRST, ord(char)) - 1
    return at >= 0 and ord(char) <= _DRAWN[at][1]


def _right_to_left(char: str) -> bool:
    return _RIGHT_TO_LEFT[0] <= ord(char) <= _RIGHT_TO_LEFT[1]


def clean(text: str, limit: int = TEXT_LIMIT) -> str:
    """`text` in what the report's fonts draw; others as `[U+1F600 200D]`, a pair of brackets a run.

    Text longer than `limit` characters is cut, and says so. Right-to-left text is isolated, so that it can't
    reorder what stands beside it; where it has a word too long for a line, it is written as code points.
    """
    shown = text[:limit]
    turned = any(map(_right_to_left, shown))
    isolate = turned and max(map(len, shown.split())) <= _LONGEST_TURNED
    parts = []
    for drawn, run in groupby(shown, lambda char: _drawn(char) and (isolate or not _right_to_left(char))):
        chars = "".join(run)
        parts.append(chars if drawn else "[U+" + " ".join(f"{ord(char):04X}" for char in chars) + "]")
    result = "".join(parts)
    if isolate:
        result = _ISOLATE + result + _END_ISOLATE
    if len(text) > limit:
        result += f" … (cut here; {len(text):,} characters in the data file)"
    return result


def number(value: int) -> str:
    """1531337 as 1,531,337."""
    return f"{value:,}"


def btc(value_sat: int) -> str:
    """A value in BTC with all eight places, exact: no floating point."""
    sign, value = ("-", -value_sat) if value_sat < 0 else ("", value_sat)
    return f"{sign}{value // SAT_PER_BTC:,}.{value % SAT_PER_BTC:08d}"


def sat(value_sat: int) -> str:
    """A value in satoshi."""
    return f"{value_sat:,} sat"


def amount(value_sat: int) -> str:
    """A value in both units."""
    return f"{sat(value_sat)} = {btc(value_sat)} BTC"


def short_btc(value_sat: int) -> str:
    """A value for a picture: BTC to four places, or satoshi where these would show little."""
    if 0 < abs(value_sat) < 10_000:
        return sat(value_sat)
    value = value_sat / SAT_PER_BTC
    return f"{value:,.4f} BTC" if abs(value) < 100 else f"{value:,.1f} BTC"


def share(part: float | None) -> str:
    """A share between 0 and 1 in per cent; "not stated" where there is none."""
    if part is None:
        return "not stated"
    return f"{100 * part:.1f} %".replace(".0 %", " %")
