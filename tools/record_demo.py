"""Record the README's pictures from a real run: python tools/record_demo.py OUT docs/images."""

import io
import sys
from pathlib import Path

from rich.console import Console

from geldspur.accuracy.demo import run_demo
from geldspur.accuracy.picture import terminal_svg
from geldspur.leads import read_leads_dir
from geldspur.leads.report import flow_svg


def record(out: Path, images: Path) -> None:
    """Run the demo into `out`; write what it printed and the flow picture as SVG into `images`."""
    console = Console(record=True, width=84, file=io.StringIO(), force_terminal=True)
    run_demo(out, console=console)
    (images / "demo.svg").write_text(terminal_svg(console, "geldspur demo"), encoding="utf-8")
    (images / "flow.svg").write_text(flow_svg(read_leads_dir(out / "leads")), encoding="utf-8")


if __name__ == "__main__":
    record(Path(sys.argv[1]), Path(sys.argv[2]))
