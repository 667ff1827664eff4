from datetime import datetime
from typing import NamedTuple

from billing.models import Budget
from billing.models.rate_book import Book
from teams.reporting_days import ReportingDays


class Batch(NamedTuple):
    """What the records of one counting transaction have in common."""

    team_id: int
    book: Book
    days: ReportingDays
    budgets: list[Budget]
    now: datetime
