"""The day a moment belongs to, in an organization's reporting zone."""

from bisect import bisect_right
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from teams.models import Organization


class ReportingDays:
    """Cuts days for one organization; reads the history of its zone once."""

    def __init__(self, organization: Organization) -> None:
        zones = list(organization.reporting_zones.order_by("effective_from"))
        self._starts = [zone.effective_from for zone in zones]
        self._zones = [zone.zone for zone in zones]
        self._days: dict[datetime, date] = {}

    @property
    def zones(self) -> int:
        """How many there have been; none is ever taken away."""
        return len(self._zones)

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
            self._days[minute] = at.astimezone(self.zone(at)).date()
        return self._days[minute]

    def start(self, day: date) -> datetime:
        """The first moment of a day, in the zone that it began in."""
        noon = datetime.combine(day, time(12), UTC)
        midnight = datetime.combine(day, time(), self.zone(noon))
        return midnight.astimezone(UTC)

    def month(self, at: datetime) -> tuple[date, date]:
        """First day of the month of this moment, and of the next: a half-open period."""
        first = self.day(at).replace(day=1)
        return first, (first + timedelta(days=31)).replace(day=1)
