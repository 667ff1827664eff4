"""The range of days a page shows, as its address names it."""

from dataclasses import dataclass
from datetime import date, timedelta

from django.http import QueryDict

from billing.pricing.budget_periods import Period

_ONE_DAY = timedelta(days=1)
# The years that a record may lie in.
_FIRST, _LAST = date(2000, 1, 1), date(2199, 12, 31)
LONGEST = timedelta(days=366)

PRESETS = {
    "period": "This period",
    "last": "Last period",
    "7d": "7 days",
    "30d": "30 days",
    "90d": "90 days",
}
DEFAULT = "period"
CUSTOM = "custom"


@dataclass(frozen=True, slots=True)
class Range:
    """Half-open inside; `through`, the last day in it, is what people read and type."""

    preset: str
    since: date
    until: date
    problem: str = ""

    @property
    def through(self) -> date:
        return self.until - _ONE_DAY


def chosen(query: QueryDict, *, today: date, this: Period, before: Period) -> Range:
    """What `?range=…`, or `?from=…&through=…`, asks for; the running period without.

    What cannot be read falls back to the running period and says so.
    """
    preset = query.get("range", CUSTOM if query.get("from") else DEFAULT)
    if preset == CUSTOM:
        return _custom(query, this)
    if preset == "last":
        return Range(preset, before.first, before.until)
    if preset in PRESETS and preset != DEFAULT:
        return Range(preset, today - timedelta(days=int(preset[:-1]) - 1), today + _ONE_DAY)
    return Range(DEFAULT, this.first, this.until)


def _custom(query: QueryDict, this: Period) -> Range:
    try:
        first = date.fromisoformat(query.get("from", ""))
        last = date.fromisoformat(query.get("through", ""))
    except ValueError:
        return Range(DEFAULT, this.first, this.until, "A date could not be read.")
    if not _FIRST <= min(first, last) <= max(first, last) <= _LAST:
        return Range(DEFAULT, this.first, this.until, "A range is from 2000 to 2199.")
    if last < first:
        return Range(DEFAULT, this.first, this.until, "The range ends before it begins.")
    if last - first >= LONGEST:
        return Range(DEFAULT, this.first, this.until, "A range is 366 days at most.")
    return Range(CUSTOM, first, last + _ONE_DAY)
