"""Files beside payments: when a content was first seen in the scan, and when money moved, on one axis of time.

Each distinct content stands at the earliest plausible time that the source recorded for any of its names; each
payment, cash-out and payout of a leads directory at its block's time. That two things happened at about the same
time shows no link between them: the outputs say so.
"""

from geldspur.evidence.timeline.write import Timeline, write_timeline

__all__ = ["Timeline", "write_timeline"]
