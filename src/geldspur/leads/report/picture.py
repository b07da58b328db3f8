"""The flow picture as SVG: cards in five columns, joined by bands whose widths are true to value.

Every card says its count and amount in words, so that nothing hangs on colour; the tones differ in lightness
too and stay apart in grey print. (Blues against browns, which all common types of colour vision tell apart.)
"""

from collections import Counter
from dataclasses import dataclass
from xml.sax.saxutils import escape

from geldspur.leads.report.flow import COLUMNS, Flow, Link, Node

WIDTH = 1080
MARGIN = 6
CARD_WIDTH = 166
TOP = 40
BOTTOM = 34
VALUE_HEIGHT = 330  # what the larger of inflow and outflow is drawn as
TITLE_SIZE = 13.5
LINE_SIZE = 12
LINE_HEIGHT = 15
PAD = 7
GAP, TIGHT_GAP = 11, 6
ROOM, TIGHT_ROOM = 14, 8  # above and below a card's text together
TIGHT_FROM = 9  # cards in a column, from which on it is set tighter
SPINE = 5
_FONT = "Libertinus Serif, Georgia, Times New Roman, serif"

# Tone of band and spine. Lightness runs from dark (direct, cash-out) to light (payouts, stops).
TONES = {
    "service": "#1d4e6e",
    "direct": "#1d4e6e",
    "indirect": "#6f9fbd",
    "weak": "#b9cdd9",
    "stop": "#bdb8ae",
    "site": "#20262b",
    "sweep": "#6b6257",
    "cashout": "#a8590e",
    "payout": "#dcb678",
    "rest": "#d9d9d9",
    "none": "#d9d9d9",
}
INK, QUIET, EDGE = "#20262b", "#565e64", "#aab1b6"

# Advance widths of Libertinus Serif, hundredths of an em, from U+0020 on.
_WIDTHS = (
    "25 29 34 47 47 64 71 19 30 30 37 55 22 34 22 32 47 47 47 47 47 47 47 47 47 47 24 24 55 55 55 44 90 70 "
    "59 65 70 56 49 69 73 30 32 64 53 84 70 70 54 70 59 49 60 66 65 95 66 57 60 36 29 36 52 49 39 46 49 43 "
    "51 45 31 50 54 27 27 51 26 79 54 50 52 50 37 39 32 53 50 75 49 52 42 28 21 28 45"
)
_ADVANCE = tuple(int(width) / 100 for width in _WIDTHS.split())
_SLACK = 1.06  # other serif faces, where the picture is shown outside the report, run wider


def _advance(text: str, size: float) -> float:
    ems = sum(_ADVANCE[ord(char) - 32] if 32 <= ord(char) < 127 else 0.62 for char in text)
    return ems * size * _SLACK


def _cut(text: str, size: float, width: float) -> str:
    """The longest beginning of `text` that fits into `width`, at least one character."""
    end = len(text)
    while end > 1 and _advance(text[:end], size) > width:
        end -= 1
    return text[:end]


def wrap(text: str, size: float, width: float, lines: int) -> list[str]:
    """`text` in at most `lines` lines of `width`; cut inside long words, ending in … where it doesn't fit."""
    result: list[str] = []
    rest = text
    while rest and len(result) < lines:
        head = _cut(rest, size, width)
        if head != rest and len(result) == lines - 1:
            head = _cut(rest, size, width - size) + "…"
            rest = ""
        elif head != rest and " " in head.strip():
            head = head[: head.rstrip().rfind(" ") + 1] or head
        result.append(head.strip())
        rest = rest[len(head) :].lstrip()
    return result


@dataclass
class _Card:
    node: Node
    title: list[str]
    lines: list[str]
    x: float
    y: float = 0.0
    height: float = 0.0
    leaving: float = 0.0
    entering: float = 0.0
    out_at: float = 0.0
    in_at: float = 0.0

    @property
    def middle(self) -> float:
        return self.y + self.height / 2


def _tight(flow: Flow) -> bool:
    return max(Counter(node.column for node in flow.nodes).values()) >= TIGHT_FROM


def _cards(flow: Flow, scale: float) -> list[_Card]:
    step = (WIDTH - 2 * MARGIN - CARD_WIDTH) / (len(COLUMNS) - 1)
    room = TIGHT_ROOM if _tight(flow) else ROOM
    inner = CARD_WIDTH - 2 * (PAD + SPINE)
    cards = []
    for node in flow.nodes:
        title = wrap(node.title, TITLE_SIZE, inner, 2)
        lines = [line for text in node.lines for line in wrap(text, LINE_SIZE, inner, 2)]
        card = _Card(node, title, lines, MARGIN + node.column * step)
        card.leaving = sum(link.value_sat for link in flow.links if link.source == node.key) * scale
        card.entering = sum(link.value_sat for link in flow.links if link.target == node.key) * scale
        card.height = max((len(title) + len(lines)) * LINE_HEIGHT + room, card.leaving, card.entering)
        cards.append(card)
    return cards


def _place(cards: list[_Card], gap: float) -> float:
    """Give every card its y, columns centred against the highest; returns the height of that column."""
    columns: dict[int, list[_Card]] = {}
    for card in cards:
        columns.setdefault(card.node.column, []).append(card)
    heights = {column: sum(card.height + gap for card in own) - gap for column, own in columns.items()}
    tallest = max(heights.values(), default=0.0)
    for column, own in columns.items():
        y = TOP + (tallest - heights[column]) / 2
        for card in own:
            card.y = y
            y += card.height + gap
    return tallest


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _band(link: Link, source: _Card, target: _Card, scale: float) -> str:
    thick = max(link.value_sat * scale, 1.2)
    x0, x1 = source.x + CARD_WIDTH, target.x
    y0, y1 = source.out_at, target.in_at
    source.out_at += link.value_sat * scale
    target.in_at += link.value_sat * scale
    bend = (x0 + x1) / 2
    path = (
        f"M{_n(x0)},{_n(y0)} C{_n(bend)},{_n(y0)} {_n(bend)},{_n(y1)} {_n(x1)},{_n(y1)} "
        f"V{_n(y1 + thick)} "
        f"C{_n(bend)},{_n(y1 + thick)} {_n(bend)},{_n(y0 + thick)} {_n(x0)},{_n(y0 + thick)} Z"
    )
    dashed = ' stroke="#8a9095" stroke-width="0.8" stroke-dasharray="3 2"' if link.style == "rest" else ""
    return f'<path d="{path}" fill="{TONES[link.style]}" fill-opacity="0.72"{dashed}/>'


def _text(x: float, y: float, text: str, size: float, extra: str = "") -> str:
    return f'<text x="{_n(x)}" y="{_n(y)}" font-size="{_n(size)}"{extra}>{escape(text)}</text>'


def _draw(card: _Card) -> list[str]:
    node = card.node
    dash = ' stroke-dasharray="4 3"' if node.style in ("none", "rest") else ""
    parts = [
        f'<rect x="{_n(card.x)}" y="{_n(card.y)}" width="{CARD_WIDTH}" height="{_n(card.height)}" rx="2.5" '
        f'fill="#ffffff" stroke="{EDGE}" stroke-width="0.9"{dash}/>'
    ]
    for value, x in ((card.entering, card.x), (card.leaving, card.x + CARD_WIDTH - SPINE)):
        if value:
            thick = max(value, 1.2)
            parts.append(
                f'<rect x="{_n(x)}" y="{_n(card.middle - thick / 2)}" width="{SPINE}" height="{_n(thick)}" '
                f'fill="{TONES[node.style]}"/>'
            )
    size = (len(card.title) + len(card.lines)) * LINE_HEIGHT
    y = card.middle - size / 2 + LINE_HEIGHT - 3.5
    x = card.x + SPINE + PAD
    for line in card.title:
        parts.append(_text(x, y, line, TITLE_SIZE, f' font-weight="600" fill="{INK}"'))
        y += LINE_HEIGHT
    for line in card.lines:
        parts.append(_text(x, y, line, LINE_SIZE, f' fill="{QUIET}"'))
        y += LINE_HEIGHT
    return parts


def draw(flow: Flow) -> str:
    """The flow as a self-contained SVG, 1080 units wide and as high as its fullest column."""
    inflow = sum(link.value_sat for link in flow.links if link.target == "site")
    outflow = sum(link.value_sat for link in flow.links if link.source == "site")
    scale = VALUE_HEIGHT / max(inflow, outflow, 1)
    cards = _cards(flow, scale)
    height = TOP + _place(cards, TIGHT_GAP if _tight(flow) else GAP) + BOTTOM
    by_key = {card.node.key: card for card in cards}
    for card in cards:
        card.out_at = card.middle - card.leaving / 2
        card.in_at = card.middle - card.entering / 2
    # Bands leave and enter in the order of the cards at their other end: they cross as little as may be.
    order = {card.node.key: place for place, card in enumerate(cards)}
    links = sorted(flow.links, key=lambda link: (order[link.source], order[link.target]))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {_n(height)}" width="{WIDTH}" '
        f'height="{_n(height)}" font-family="{_FONT}" role="img">',
        f"<title>{escape(flow.describe())}</title>",
        f'<rect width="{WIDTH}" height="{_n(height)}" fill="#ffffff"/>',
    ]
    step = (WIDTH - 2 * MARGIN - CARD_WIDTH) / (len(COLUMNS) - 1)
    for column, label in enumerate(COLUMNS):
        x = MARGIN + column * step
        parts.append(_text(x, 16, label, LINE_SIZE, f' font-style="italic" fill="{QUIET}"'))
        parts.append(f'<path d="M{_n(x)},24 h{CARD_WIDTH}" stroke="{EDGE}" stroke-width="0.9"/>')
    parts += [_band(link, by_key[link.source], by_key[link.target], scale) for link in links]
    for card in cards:
        parts += _draw(card)
    caption = (
        "The width of a band is its value. Services are named by the sources of the tags; everything "
        "between a service and \u201cindirect\u201d rests on inferences."
    )
    parts.append(_text(MARGIN, height - 10, caption, LINE_SIZE, f' font-style="italic" fill="{QUIET}"'))
    parts.append("</svg>")
    return "\n".join(parts) + "\n"
