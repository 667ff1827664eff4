"""Alerts: what a budget's total has reached, said once, and sent to every channel."""

from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal

from django.db import connection, transaction
from django.db.models import Q
from uuid_utils.compat import uuid7

from billing.actions import budget_totals
from billing.models import Alert, Budget, Channel, Delivery
from billing.pricing import caps
from billing.pricing.budget_periods import PeriodKind, period
from teams.reporting_days import ReportingDays

_RAISE = f"""
INSERT INTO {Alert._meta.db_table}
    (budget_id, revision, period_start, threshold, state, spent, cap, fired_at)
SELECT %s, %s, %s, threshold, 'firing', %s, %s, %s
FROM unnest(%s::smallint[]) AS levels(threshold) ORDER BY threshold
ON CONFLICT (budget_id, revision, period_start, threshold) DO NOTHING
RETURNING threshold, id
"""


@transaction.atomic
def evaluate(budget: Budget, *, now: datetime) -> list[int]:
    """Raise what the total of the running period has reached; the new alerts' ids.

    Called wherever a total, a cap or a threshold may have changed, and by the sweep. A
    level that is reached again within one revision re-opens its alert and sends nothing;
    nor does one that already fired under the terms before.
    """
    first = period(
        PeriodKind(budget.period), ReportingDays(budget.organization).day(now)
    ).first
    # The alerts before the total: what counting commits between two looks must not seem
    # an alert without its spend, which would be resolved.
    known = list(Alert.objects.filter(budget=budget, period_start=first).order_by("pk"))
    spent = budget_totals.total(budget, first)
    reached = set(caps.crossed(spent, budget.amount, budget.thresholds))
    said = {alert.threshold for alert in known if alert.revision == budget.revision}
    firing = {alert.threshold for alert in known if alert.state == Alert.State.FIRING}
    raised = _raise(budget, first, sorted(reached - said), spent, now)
    _follow(budget, known, reached, now)
    news = [alert_id for level, alert_id in sorted(raised.items()) if level not in firing]
    _address(budget, news, now)
    return sorted(raised.values())


def _raise(
    budget: Budget, first: date, levels: list[int], spent: Decimal, now: datetime
) -> dict[int, int]:
    """New alerts by level; what another process raised at the same time is not ours."""
    if not levels:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(
            _RAISE,
            [budget.pk, budget.revision, first, spent, budget.amount, now, levels],
        )
        return dict(cursor.fetchall())


def _follow(
    budget: Budget, known: Iterable[Alert], reached: set[int], now: datetime
) -> None:
    """Resolve what no longer holds, re-open what holds again."""
    for alert in known:
        holds = alert.revision == budget.revision and alert.threshold in reached
        if holds != (alert.state == Alert.State.FIRING):
            alert.state = Alert.State.FIRING if holds else Alert.State.RESOLVED
            alert.resolved_at = None if holds else now
            alert.save(update_fields=["state", "resolved_at"])


def _address(budget: Budget, news: list[int], now: datetime) -> None:
    """One delivery per new alert and channel, in the transaction that raises it."""
    channels = _channels(budget, now) if news else []
    Delivery.objects.bulk_create(
        Delivery(alert_id=alert_id, channel=channel, message_id=uuid7(), due_at=now)
        for alert_id in news
        for channel in channels
    )


def _channels(budget: Budget, now: datetime) -> list[Channel]:
    listens = Q(team=None, project=None)
    if budget.team_id is not None:
        listens |= Q(team=budget.team_id)
    if budget.project is not None:
        owners = budget.project.ownerships.filter(effective_from__lte=now)
        owner = owners.order_by("effective_from").last()
        listens |= Q(project=budget.project)
        listens |= Q(team=owner.team_id if owner else None, project=None)
    channels = Channel.objects.filter(listens, organization=budget.organization_id)
    return list(channels.filter(disabled_at=None).order_by("pk"))
