"""Times are written in one way: UTC, ISO 8601, as exact as they are."""

from datetime import UTC, datetime, timedelta, timezone

from geldspur.evidence.timeline.events import from_utc
from geldspur.times import utc, utc_at, utc_ns


def test_times_keep_their_places_and_leave_no_calendar() -> None:
    assert utc(1_622_727_812) == utc_ns(1_622_727_812 * 10**9) == "2021-06-03T13:43:32Z"
    assert utc_ns(1_700_000_000_120_000_000) == "2023-11-14T22:13:20.120Z"
    assert utc_ns(1_700_000_000_000_000_001) == "2023-11-14T22:13:20.000000001Z"
    assert utc_ns(-1) == "1969-12-31T23:59:59.999999999Z"
    assert "out of the calendar" in utc_ns(2**63 * 1000)


def test_a_time_of_a_zone_is_told_in_utc() -> None:
    noon = datetime(2021, 6, 3, 12, 0, 0, 500_000)
    assert utc_at(noon) == utc_at(noon.replace(tzinfo=UTC)) == "2021-06-03T12:00:00.500Z"
    assert utc_at(noon.replace(tzinfo=timezone(timedelta(hours=2)))) == "2021-06-03T10:00:00.500Z"
    assert from_utc(utc_at(noon)) == 1_622_721_600_500_000_000
