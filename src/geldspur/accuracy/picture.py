"""What a terminal showed, as an SVG for a page."""

from rich.console import Console
from rich.terminal_theme import TerminalTheme

_THEME = TerminalTheme(
    (18, 22, 30),
    (214, 219, 229),
    [
        (18, 22, 30),
        (240, 106, 100),
        (132, 200, 120),
        (232, 190, 90),
        (110, 160, 240),
        (190, 140, 230),
        (90, 195, 205),
        (214, 219, 229),
    ],
)

# Rich's own frame asks for a web font; this one asks the reader's machine for a monospaced one.
_FRAME = """\
<svg viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{
  font-family: "Fira Code", "DejaVu Sans Mono", Menlo, Consolas, "Liberation Mono", monospace;
  font-size: {char_height}px; line-height: {line_height}px; font-variant-east-asian: full-width;
}}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/>
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def terminal_svg(console: Console, title: str) -> str:
    """Everything that a recording console printed, as an SVG that needs nothing from elsewhere."""
    return console.export_svg(title=title, theme=_THEME, code_format=_FRAME, unique_id="geldspur")
