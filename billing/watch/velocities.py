"""More spent within a stretch of time than a velocity rule allows.

Of whole hours the hourly sums tell it; of other stretches, and of a tag, the charges: of
three hours at most, for they are read each minute.
"""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Q, Sum

from billing.actions import alerts
from billing.actions.alerts import Occasion
from billing.models import Alert, Charge, HourlySpend, UsageRecord, VelocityRule
from billing.pricing import money
from teams.models import Organization
from teams.ownership import RECORDS_AHEAD

# What came in since then, for records are named by the moment they came in.
_LATELY = """
WHERE c.team_id = ANY (%(teams)s::bigint[]) AND c.month = ANY (%(months)s::date[])
    AND c.record_uid >= %(first)s::uuid AND c.occurred_at > %(since)s
    AND (%(project)s::bigint IS NULL OR c.project_id = %(project)s::bigint)
"""

_CHARGED = f"""
SELECT coalesce(sum(c.cost), 0) FROM {Charge._meta.db_table} c {_LATELY}
"""

# The months are said of both: of a record found by its charge alone every month is
# looked through.
_WITH_A_TAG = f"""
SELECT coalesce(sum(c.cost), 0)
FROM {Charge._meta.db_table} c
JOIN {UsageRecord._meta.db_table} u
ON u.team_id = c.team_id AND u.month = c.month AND u.uid = c.record_uid
{_LATELY}
    AND u.month = ANY (%(months)s::date[]) AND u.tags ->> %(key)s = %(value)s
"""


def holding(organization: Organization, now: datetime) -> list[Occasion]:
    rules = VelocityRule.objects.filter(organization=organization, ended_at=None)
    listed = list(rules.select_related("team", "project").order_by("pk"))
    if not listed:
        return []
    team_ids = list(organization.teams.values_list("pk", flat=True))
    begun = alerts.open_occurrences(organization, Alert.Kind.SPEND_VELOCITY)
    return [
        _occasion(rule, spent, begun, now)
        for rule in listed
        if (spent := _spent(rule, team_ids, now)) >= rule.amount
    ]


def _spent(rule: VelocityRule, team_ids: Sequence[int], now: datetime) -> Decimal:
    teams = [rule.team_id] if rule.team_id is not None else list(team_ids)
    if rule.is_of_hours:
        return _in_hours(rule, teams, now)
    return _charged(rule, teams, now)


def _in_hours(rule: VelocityRule, teams: Sequence[int], now: datetime) -> Decimal:
    """The hours that are over, or with the one that runs: whichever is more."""
    running = now.replace(minute=0, second=0, microsecond=0)
    first = running - rule.window
    its = HourlySpend.objects.filter(team_id__in=teams, hour__gte=first)
    if rule.project_id is not None:
        its = its.filter(project_id=rule.project_id)
    sums = its.aggregate(
        over=Sum("cost", filter=Q(hour__lt=running)),
        running=Sum("cost", filter=Q(hour__gt=first)),
    )
    return max(sums["over"] or Decimal(), sums["running"] or Decimal())


def _charged(rule: VelocityRule, teams: Sequence[int], now: datetime) -> Decimal:
    since = rule.since(now)
    with connection.cursor() as cursor:
        cursor.execute(
            _WITH_A_TAG if rule.tag_key else _CHARGED,
            {
                "teams": list(teams),
                "months": sorted({since.date().replace(day=1), now.date().replace(day=1)}),
                "first": _first_uid(since - RECORDS_AHEAD),
                "since": since,
                "project": rule.project_id,
                "key": rule.tag_key,
                "value": rule.tag_value,
            },
        )
        return Decimal(cursor.fetchone()[0])


def _first_uid(at: datetime) -> UUID:
    """No UUIDv7 that is made from this moment on is smaller."""
    return UUID(int=int(at.timestamp() * 1_000) << 80)


def _occasion(
    rule: VelocityRule, spent: Decimal, begun: dict[str, str], now: datetime
) -> Occasion:
    subject = f"velocity rule {rule.pk}"
    hour = rule.since(now).replace(minute=0, second=0, microsecond=0)
    place = rule.project or rule.team or rule.organization
    details: dict[str, Any] = {
        "rule": str(rule.pk),
        "name": place.name,
        "spent": money.plain(spent),
        "amount": money.plain(rule.amount),
        "minutes": rule.minutes,
        "currency": rule.organization.currency,
    }
    if rule.tag_key:
        details["tag"] = f"{rule.tag_key}={rule.tag_value}"
    return Occasion(
        subject=subject,
        # One as long as it goes on.
        occurrence=begun.get(subject, hour.isoformat()),
        team=rule.team,
        project=rule.project,
        details=details,
    )
