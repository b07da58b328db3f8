"""The number chain, its careful wording, and the exports.

`write_report` writes everything that a scan says into one folder: figures with the queries that gave them, the
inventory, matches, lists, what could not be read, the shapes that other programs read (VICS, CASE/UCO), a PDF, and a
manifest of digests. `numbers` gives the figures alone, and `recheck` says which stated figures no longer hold.
"""

from geldspur.evidence.report.figures import Difference, Figure
from geldspur.evidence.report.numbers import numbers, recheck
from geldspur.evidence.report.write import Report, write_report

__all__ = ["Difference", "Figure", "Report", "numbers", "recheck", "write_report"]
