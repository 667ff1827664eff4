"""Alerts: what a budget's total has reached, and which models have no price. Each is said
once, and sent to every channel."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import NamedTuple

from django.db import connection, transaction
from django.db.models import Q
from uuid_utils.compat import uuid7

from billing.actions import budget_totals
from billing.models import (
    Alert,
    Budget,
    Channel,
    Delivery,
    Rerate,
    RerateTotal,
)
from billing.pricing import caps
from billing.pricing.budget_periods import PeriodKind, period
from teams.models import Organization, Team
from teams.reporting_days import ReportingDays


class UnpricedModel(NamedTuple):
    """A model as records name it."""

    provider: str
    name: str


_RAISE = f"""
INSERT INTO {Alert._meta.db_table}
    (budget_id, revision, period_start, threshold, state, spent, cap, rerate_id, fired_at)
SELECT %s, %s, %s, threshold, 'firing', %s, %s, %s, %s
FROM unnest(%s::smallint[]) AS levels(threshold) ORDER BY threshold
ON CONFLICT (budget_id, revision, period_start, threshold) DO NOTHING
RETURNING threshold, id
"""


def unsettled(
    budgets: Sequence[Budget], *, days: ReportingDays, now: datetime
) -> list[Budget]:
    """Those of one organization's budgets that `evaluate` would change something for."""
    if not budgets:
        return []
    firsts = {budget.pk: _running_since(budget, days, now) for budget in budgets}
    known: defaultdict[tuple[int | None, date | None], list[Alert]] = defaultdict(list)
    its = {"budget__in": firsts.keys(), "period_start__in": set(firsts.values())}
    for alert in Alert.objects.filter(**its):
        known[alert.budget_id, alert.period_start].append(alert)
    spent = budget_totals.totals(firsts)
    return [
        budget
        for budget in budgets
        if not _is_settled(
            budget,
            known[budget.pk, firsts[budget.pk]],
            set(caps.crossed(spent[budget.pk], budget.amount, budget.thresholds)),
        )
    ]


def _is_settled(budget: Budget, known: Sequence[Alert], reached: set[int]) -> bool:
    said = {alert.threshold for alert in known if alert.revision == budget.revision}
    return reached <= said and all(
        _holds(alert, budget, reached) == (alert.state == Alert.State.FIRING)
        for alert in known
    )


def _running_since(budget: Budget, days: ReportingDays, now: datetime) -> date:
    return period(PeriodKind(budget.period), days.day(now)).first


@transaction.atomic
def evaluate(budget: Budget, *, now: datetime) -> list[int]:
    """Raise what the total of the running period has reached; the new alerts' ids.

    Called wherever a total, a cap or a threshold may have changed, and by the sweep. A
    level that is reached again within one revision re-opens its alert and sends nothing;
    nor does one that already fired under the terms before.
    """
    first = _running_since(budget, ReportingDays(budget.organization), now)
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
            [
                *(budget.pk, budget.revision, first, spent, budget.amount),
                *(_rerate_under_way(budget), now, levels),
            ],
        )
        return dict(cursor.fetchall())


def _rerate_under_way(budget: Budget) -> int | None:
    """The re-rate that is raising what counts against the budget just now, if one is."""
    teams = Team.objects.filter(organization=budget.organization_id)
    if budget.team_id is not None:
        teams = teams.filter(pk=budget.team_id)
    elif budget.project is not None:
        teams = teams.filter(ownerships__project=budget.project)
    totals = RerateTotal.objects.filter(
        team__in=teams, executed=True, difference__gt=0, rerate__state=Rerate.State.RUNNING
    )
    return totals.order_by("-rerate").values_list("rerate_id", flat=True).first()


def _follow(
    budget: Budget, known: Iterable[Alert], reached: set[int], now: datetime
) -> None:
    """Resolve what no longer holds, re-open what holds again."""
    for alert in known:
        _hold(alert, _holds(alert, budget, reached), now)


def _holds(alert: Alert, budget: Budget, reached: set[int]) -> bool:
    return alert.revision == budget.revision and alert.threshold in reached


def _hold(alert: Alert, holds: bool, now: datetime) -> None:
    if holds != (alert.state == Alert.State.FIRING):
        alert.state = Alert.State.FIRING if holds else Alert.State.RESOLVED
        alert.resolved_at = None if holds else now
        alert.save(update_fields=["state", "resolved_at"])


def _address(budget: Budget, news: list[int], now: datetime) -> None:
    """One delivery per new alert and channel, in the transaction that raises it."""
    _deliver(news, _channels(budget, now) if news else [], now)


def _deliver(news: Iterable[int], channels: Sequence[Channel], now: datetime) -> None:
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


# --- Models without a price ---------------------------------------------------------


@transaction.atomic
def say_unpriced(
    *, organization: Organization, unpriced: Mapping[UnpricedModel, set[int]], now: datetime
) -> list[int]:
    """Raise one alert for each model that records name and that has no price; its ids.

    `unpriced` says which teams have such records. It goes to the channels of the
    organization and to theirs. Where none is left, it is resolved; when there are some
    again it re-opens and sends nothing.
    """
    known = {
        UnpricedModel(alert.provider, alert.model_name): alert
        for alert in Alert.objects.filter(organization=organization)
    }
    for model, alert in known.items():
        _hold(alert, model in unpriced, now)
    raised = []
    for model in sorted(unpriced.keys() - known.keys()):
        alert, is_new = Alert.objects.get_or_create(
            organization=organization,
            provider=model.provider,
            model_name=model.name,
            defaults={"fired_at": now},
        )
        if is_new:
            listens = Q(team=None) | Q(team__in=unpriced[model])
            channels = Channel.objects.filter(listens, project=None)
            channels = channels.filter(organization=organization, disabled_at=None)
            _deliver([alert.pk], list(channels.order_by("pk")), now)
            raised.append(alert.pk)
    return raised
