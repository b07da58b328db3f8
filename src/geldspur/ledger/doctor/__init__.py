"""The doctor: is a ledger on disk what its blocks made it, and if not, what is wrong, where, and what to do?

`examine` reads everything and writes nothing. Whatever it meets, a file that is gone, short or full of garbage,
becomes a finding; a clean report says how much of what was looked at.
"""

from geldspur.ledger.doctor.examine import examine
from geldspur.ledger.doctor.report import Check, Finding, Place, Report

__all__ = ["Check", "Finding", "Place", "Report", "examine"]
