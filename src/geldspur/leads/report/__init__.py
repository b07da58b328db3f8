"""The report for people: one PDF with a summary, a flow picture, a block a lead, and what it all rests on.

It says nothing that the machine files beside it don't say. `write_report` makes the whole report or one
country's; `flow_svg` gives the picture alone.
"""

from pathlib import Path

from geldspur.leads.files import LeadsData
from geldspur.leads.report.flow import build_flow
from geldspur.leads.report.picture import draw
from geldspur.leads.report.selection import select
from geldspur.leads.report.typeset import to_pdf, write_whole
from geldspur.leads.report.view import build_view

__all__ = ["flow_svg", "write_report"]

LEAD_BLOCKS = 1000
TABLE_ROWS = 1000


def write_report(
    data: LeadsData,
    path: Path,
    *,
    country: str | None = None,
    lead_blocks: int = LEAD_BLOCKS,
    table_rows: int = TABLE_ROWS,
) -> None:
    """Write the report on `data` to `path` as PDF; same data, same bytes.

    `country`, an ISO 3166 alpha-2 code or `ZZ` for services without a stated one, confines it to the leads
    and cash-outs at that country's services, with what to ask them. At most `lead_blocks` leads get a block
    and `table_rows` rows a table; the report says how many there are beyond, and where. Raises
    `GeldspurError` if the file can't be written.
    """
    write_whole(path, to_pdf(build_view(select(data, country), lead_blocks, table_rows)))


def flow_svg(data: LeadsData, country: str | None = None) -> str:
    """The flow picture of `data` as a self-contained SVG, 1080 units wide."""
    return draw(build_flow(select(data, country)))
