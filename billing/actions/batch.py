from datetime import date, datetime
from typing import NamedTuple

from billing.models import Budget
from billing.models.months import ClosedMonths
from billing.models.rate_book import Book
from teams.reporting_days import ReportingDays


class Batch(NamedTuple):
    """What the records of one counting transaction have in common."""

    team_id: int
    book: Book
    days: ReportingDays
    closed: ClosedMonths
    budgets: list[Budget]
    now: datetime

    def day(self, occurred_at: datetime) -> date:
        """The day that a call is charged to: its own, or today for a closed month."""
        if self.closed.has(occurred_at):
            return self.closed.today
        return self.days.day(occurred_at)
