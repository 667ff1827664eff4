"""The day a moment belongs to, in an organization's reporting zone."""

from bisect import bisect_right
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from teams.models import Organization

_ONE_DAY = timedelta(days=1)


class ReportingDays:
    """Cuts days for one organization; reads the history of its zone once.

    A day lasts from its first moment to that of the next one, whatever the clocks do in
    between: where they go back over midnight, they show the day before once more.
    """

    def __init__(self, organization: Organization) -> None:
        zones = list(organization.reporting_zones.order_by("effective_from"))
        self._starts = [zone.effective_from for zone in zones]
        self._zones = [zone.zone for zone in zones]
        self._last = max((zone.pk or 0 for zone in zones), default=0)
        ends = [*self._starts[1:], None]
        self._in_force = list(zip(self._zones, self._starts, ends, strict=True))
        self._days: dict[datetime, date] = {}

    @property
    def version(self) -> str:
        """Another one whenever the history is: one that is planned may be taken back, and
        another planned instead."""
        return f"{len(self._zones)}.{self._last}"

    def zone(self, at: datetime) -> ZoneInfo:
        """The zone in force at this moment. Raises LookupError before the first one."""
        position = bisect_right(self._starts, at)
        if not position:
            raise LookupError(f"no reporting zone is in force at {at.isoformat()}")
        return self._zones[position - 1]

    def day(self, at: datetime) -> date:
        # Clocks change on whole minutes, and the calls of a batch share few of them.
        minute = at.replace(second=0, microsecond=0)
        if minute not in self._days:
            shown = at.astimezone(self.zone(at)).date()
            following = shown + _ONE_DAY
            self._days[minute] = following if at >= self.start(following) else shown
        return self._days[minute]

    def start(self, day: date) -> datetime:
        """The first moment of a day, in the zone that it begins in.

        It is that of the day after, if the organization's clocks never show this one.
        """
        for zone, since, until in self._in_force:
            midnight = max(datetime.combine(day, time(), zone).astimezone(UTC), since)
            if until is None or midnight < until:
                return midnight
        raise LookupError("no reporting zone is in force")

    def month(self, at: datetime) -> tuple[date, date]:
        """First day of the month of this moment, and of the next: a half-open period."""
        first = self.day(at).replace(day=1)
        return first, (first + timedelta(days=31)).replace(day=1)
