"""When the figures of a month stand: afterwards, changes are adjustments of a later one."""

from datetime import date, datetime, timedelta, tzinfo

from billing.pricing.budget_periods import calendar_month

# A month that has ended stays open for so many days.
GRACE = timedelta(days=3)


def first_open_month(now: datetime, zone: tzinfo) -> date:
    """Return the first day of the oldest month that is still open at this moment.

    Months and the days of grace are those of the zone's calendar, whatever its clock
    did meanwhile; every earlier month is closed.
    """
    return calendar_month(now.astimezone(zone).date() - GRACE).first
