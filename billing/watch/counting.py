"""Counting that falls behind, and a ledger that does not add up: of the installation, and
said to every organization that it concerns."""

from datetime import datetime, timedelta

from django.conf import settings
from django.db import OperationalError
from django.db.models import Min

from billing.actions import alerts
from billing.actions.alerts import Occasion
from billing.models import Alert, Posting
from billing.reports import verified, waiting
from teams.models import Organization

# A posting is counted within seconds.
_LATE = timedelta(seconds=60)


def behind(organization: Organization, now: datetime) -> list[Occasion]:
    """Its oldest posting waits for over a minute, or no more are taken from anybody."""
    team_ids = list(organization.teams.values_list("pk", flat=True))
    its = Posting.objects.filter(team_id__in=team_ids)
    oldest = its.aggregate(oldest=Min("received_at"))["oldest"]
    if not _is_full() and (oldest is None or now - oldest <= _LATE):
        return []
    begun = alerts.open_occurrences(organization, Alert.Kind.BACKLOG)
    since = oldest or now
    details = {"since": since.isoformat()}
    return [Occasion("counting", begun.get("counting", since.isoformat()), details=details)]


def _is_full() -> bool:
    try:
        return waiting.records() >= int(settings.BACKLOG_LIMIT)
    except OperationalError:  # they are locked just now, and nobody can say
        return False


def wrong(organization: Organization, now: datetime) -> list[Occasion]:
    """The last verification disagrees, did not come to its end, or is overdue.

    It is overdue as well where there was none since the organization was made.
    """
    last = verified.last(now=now)
    overdue = verified.is_overdue(now=now, since=organization.created_at)
    if (last is None or last.ok) and not overdue:
        return []
    begun = alerts.open_occurrences(organization, Alert.Kind.LEDGER_WRONG)
    since = last.at if last else organization.created_at
    details = {
        "verified_at": last and last.at.isoformat(),
        "ended": last is None or last.ended,
        "overdue": overdue,
        "disagreeing": last.disagreeing if last else [],
    }
    return [Occasion("ledger", begun.get("ledger", since.isoformat()), details=details)]
