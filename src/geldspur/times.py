"""Times as everything here writes them: ISO 8601 in UTC, ending in `Z`."""

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

_EPOCH = datetime(1970, 1, 1)  # naive, as DuckDB's times are


def utc(seconds: int) -> str:
    """Whole seconds since 1970, such as a block's time: `2021-06-03T13:43:32Z`."""
    return utc_ns(int(seconds) * 1_000_000_000)


def utc_ns(nanoseconds: int) -> str:
    """Nanoseconds since 1970, with as many places as they need: none, three, six or nine."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    days, second = divmod(seconds, 86_400)
    day = _day(days)
    if day is None:
        return f"{nanoseconds} ns since 1970, out of the calendar"
    digits = f"{rest:09d}".rstrip("0")
    places = f".{digits:0<{-(-len(digits) // 3) * 3}}" if digits else ""
    return f"{day}T{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}{places}Z"


def utc_at(at: datetime) -> str:
    """A time of Python's; one without a zone is taken for UTC."""
    since = (at.astimezone(UTC).replace(tzinfo=None) if at.tzinfo else at) - _EPOCH
    return utc_ns(((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds) * 1000)


def utc_now() -> str:
    """The time as logs write it, always to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@lru_cache(maxsize=4096)
def _day(days: int) -> str | None:
    try:
        return (date(1970, 1, 1) + timedelta(days)).isoformat()
    except OverflowError:
        return None
