"""Which kinds of processes are at work, for pages, probes and whoever watches outside."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from billing.models import Heartbeat
from billing.reports import verified

# Many times the wait between two touches. What asks each minute or two says it within
# five minutes.
OVERDUE = timedelta(minutes=3)


@dataclass(frozen=True, slots=True)
class Seen:
    """A kind of process. `at` is when one of it last did its work; None: never."""

    name: Heartbeat.Name
    at: datetime | None
    overdue: bool


def seen(*, now: datetime) -> list[Seen]:
    at = dict(Heartbeat.objects.values_list("name", "at"))
    return [
        Seen(name, at.get(name), overdue=name not in at or now - at[name] > OVERDUE)
        for name in Heartbeat.Name
    ]


def silent(*, now: datetime) -> list[Seen]:
    """Those that should have been seen."""
    return [one for one in seen(now=now) if one.overdue]


def all_is_well(*, now: datetime) -> bool:
    """Everybody is at work; the ledger is verified in time, and adds up."""
    if silent(now=now) or verified.is_overdue(now=now):
        return False
    last = verified.last(now=now)
    return last is None or last.ok
