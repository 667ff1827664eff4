"""What the last verification found, for pages and probes: no figure of any team."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Min

from billing.models import Verification
from teams.models import Organization

# Hourly, and it may take a while: later than this, nobody verifies.
_OVERDUE = timedelta(hours=2)


@dataclass(frozen=True, slots=True)
class Verified:
    """`at` is the moment of the snapshot; `disagreeing` are names of checks."""

    at: datetime
    ok: bool
    ended: bool
    disagreeing: list[str]
    overdue: bool


def last(*, now: datetime) -> Verified | None:
    """None when there was none yet."""
    found = Verification.objects.order_by("-pk").first()
    if found is None:
        return None
    return Verified(
        at=found.started_at,
        ok=found.ok,
        ended=not found.problem,
        disagreeing=found.disagreeing,
        overdue=now - found.finished_at > _OVERDUE,
    )


def is_overdue(*, now: datetime, since: datetime | None = None) -> bool:
    """Whether nobody has verified for too long what there is since a moment: since the
    first organization, unless another is given. What is younger cannot be overdue."""
    begun = since or Organization.objects.aggregate(first=Min("created_at"))["first"]
    if begun is None or now - begun <= _OVERDUE:
        return False
    found = last(now=now)
    return found is None or found.overdue
