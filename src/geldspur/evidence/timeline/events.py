"""What stands on the axis of time."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

What = Literal["file", "payment", "cashout", "payout"]
SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Event:
    """One thing at one time (nanoseconds since 1970 UTC); what it does not have is None."""

    at_ns: int
    what: What
    description: str
    source_of_time: str
    path: str | None = None
    sha256: str | None = None
    txid: str | None = None
    vout: int | None = None
    size: int | None = None
    value_sat: int | None = None

    @property
    def order(self) -> tuple[int, str, str, int, str]:
        """Where it goes: by time, and by what it is where times are equal."""
        return self.at_ns, self.what, self.txid or self.sha256 or "", self.vout or 0, self.path or ""


def from_utc(text: str) -> int:
    """The nanoseconds since 1970 of a time such as `2021-06-03T13:43:32Z`."""
    told = datetime.fromisoformat(text.replace("Z", "+00:00")) - datetime(1970, 1, 1, tzinfo=UTC)
    return (told.days * 86_400 + told.seconds) * SECOND + told.microseconds * 1000
