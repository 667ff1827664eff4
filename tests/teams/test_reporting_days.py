"""Each moment has one day and one month of its zone; the first moment belongs to it.

The zones' own midnights are found here by asking what the clock on the wall shows, and
not by the way that the code takes.
"""

from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import pairwise
from types import SimpleNamespace
from typing import cast
from zoneinfo import available_timezones

import pytest

from teams.models import Organization
from teams.models.organizations import ReportingZone
from teams.reporting_days import ReportingDays

TICK = timedelta(microseconds=1)
HOUR = timedelta(hours=1)
# Zones that are other names of the same rules behave alike; two thirds are such.
ZONES = sorted(available_timezones() - {"localtime"})
MONTHS = [date(year, month, 1) for year in range(2000, 2038) for month in range(1, 13)]
NEXT_MONTHS = dict(pairwise(MONTHS))
# Where the days around a change of clocks are looked at one by one.
CHANGING = [
    "America/Chicago",
    "America/Sao_Paulo",
    "America/St_Johns",
    "Asia/Beirut",
    "Asia/Kathmandu",
    "Asia/Tehran",
    "Atlantic/Azores",
    "Australia/Lord_Howe",
    "Europe/Berlin",
    "Pacific/Apia",
    "Pacific/Kiritimati",
]


@cache
def days_of(zone: str) -> ReportingDays:
    """Of an organization that has always reported in this zone; nothing is stored."""
    history = [
        ReportingZone(time_zone=zone, effective_from=datetime(1990, 1, 1, tzinfo=UTC))
    ]
    zones = SimpleNamespace(order_by=lambda column: history)
    return ReportingDays(cast(Organization, SimpleNamespace(reporting_zones=zones)))


def hours(zone: str, first: date, until: date) -> float:
    days = days_of(zone)
    return (days.start(until) - days.start(first)) / HOUR


def day_after(day: date) -> date:
    return day + timedelta(days=1)


@pytest.mark.parametrize("zone", ZONES)
def test_months_tile(zone: str):
    """A month owns its first moment, and the moment before it belongs to the last one."""
    days = days_of(zone)
    for month, following in NEXT_MONTHS.items():
        start, end = days.start(month), days.start(following)

        assert start < end
        assert days.month(start) == (month, following)
        assert days.day(end - TICK) < following <= days.day(end)


@pytest.mark.parametrize("zone", CHANGING)
def test_days_tile(zone: str):
    """Each day of 38 years begins where the one before it ends, if it exists."""
    days = days_of(zone)
    day = date(2000, 1, 1)
    while day < date(2038, 1, 1):
        start, end = days.start(day), days.start(day_after(day))
        assert start <= end
        if start < end:
            assert days.day(start) == days.day(end - TICK) == day
        day = day_after(day)


@pytest.mark.parametrize(
    ("zone", "first", "until", "expected"),
    [
        ("America/Chicago", date(2026, 3, 1), date(2026, 4, 1), 743),
        ("America/Chicago", date(2026, 11, 1), date(2026, 12, 1), 721),
        ("Europe/Berlin", date(2026, 10, 25), date(2026, 10, 26), 25),
        ("Australia/Lord_Howe", date(2026, 10, 4), date(2026, 10, 5), 23.5),
        ("America/Sao_Paulo", date(2018, 11, 4), date(2018, 11, 5), 23),
        ("America/Sao_Paulo", date(2018, 2, 17), date(2018, 2, 18), 25),
        ("Asia/Kathmandu", date(2026, 11, 1), date(2026, 12, 1), 720),
        ("Pacific/Apia", date(2011, 12, 30), date(2011, 12, 31), 0),
    ],
)
def test_hours_of_a_stretch(zone: str, first: date, until: date, expected: float):
    assert hours(zone, first, until) == expected


@pytest.mark.parametrize(
    ("zone", "day", "start"),
    [
        ("Asia/Kathmandu", date(2026, 11, 22), "2026-11-21T18:15:00+00:00"),
        # Clocks went from 23:59:59 to 01:00: the day has no midnight.
        ("America/Sao_Paulo", date(2018, 11, 4), "2018-11-04T03:00:00+00:00"),
        ("Asia/Beirut", date(2022, 3, 27), "2022-03-26T22:00:00+00:00"),
        # Clocks went from 00:00 back to 23:00: the day before has that hour twice.
        ("America/Sao_Paulo", date(2018, 2, 18), "2018-02-18T03:00:00+00:00"),
        # Clocks go from 01:00 back to 00:00: midnight comes twice, the first one counts.
        ("Atlantic/Azores", date(2026, 10, 25), "2026-10-25T00:00:00+00:00"),
    ],
)
def test_when_a_day_begins(zone: str, day: date, start: str):
    days, moment = days_of(zone), datetime.fromisoformat(start)

    assert days.start(day) == moment
    assert (days.day(moment), days.day(moment - TICK)) == (day, day - timedelta(days=1))


@pytest.mark.django_db
def test_what_is_built_here_is_what_an_organization_has():
    organization = Organization.objects.create(name="Acme", slug="acme")
    ReportingZone.objects.create(organization=organization, time_zone="Asia/Kathmandu")

    day = date(2026, 11, 22)
    assert ReportingDays(organization).start(day) == days_of("Asia/Kathmandu").start(day)
