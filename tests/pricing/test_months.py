"""Until when a month is open: in the calendar of the zone, whatever its clock does."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from billing.pricing.months import first_open_month

NOVEMBER, DECEMBER = date(2026, 11, 1), date(2026, 12, 1)


@pytest.mark.parametrize(
    ("zone", "closes"),
    [
        ("UTC", "2026-12-04T00:00:00+00:00"),
        ("Europe/Berlin", "2026-12-03T23:00:00+00:00"),
        ("America/Los_Angeles", "2026-12-04T08:00:00+00:00"),
        ("Pacific/Kiritimati", "2026-12-03T10:00:00+00:00"),
    ],
)
def test_a_month_closes_at_midnight_after_the_third_day(zone: str, closes: str):
    at = datetime.fromisoformat(closes)

    before = first_open_month(at - timedelta(microseconds=1), ZoneInfo(zone))

    assert (before, first_open_month(at, ZoneInfo(zone))) == (NOVEMBER, DECEMBER)


def test_the_grace_is_days_of_the_calendar_not_72_hours():
    """In New York clocks go back on 1 November: October is open for 73 hours more."""
    new_york = ZoneInfo("America/New_York")
    ends = datetime(2026, 11, 1, 4, tzinfo=UTC)

    assert first_open_month(ends + timedelta(hours=72.5), new_york) == date(2026, 10, 1)
    assert first_open_month(ends + timedelta(hours=73), new_york) == NOVEMBER


def test_the_grace_spans_clocks_going_forward():
    """In Nuuk they do so on the eve of 29 March, long before March ends."""
    nuuk = ZoneInfo("America/Nuuk")

    assert first_open_month(datetime(2026, 4, 4, 0, 59, tzinfo=UTC), nuuk) == date(
        2026, 3, 1
    )
    assert first_open_month(datetime(2026, 4, 4, 1, tzinfo=UTC), nuuk) == date(2026, 4, 1)


def test_a_year_ends_like_a_month():
    utc = ZoneInfo("UTC")

    assert first_open_month(datetime(2027, 1, 3, 23, tzinfo=UTC), utc) == DECEMBER
    assert first_open_month(datetime(2027, 1, 4, tzinfo=UTC), utc) == date(2027, 1, 1)
