"""Alerts: what a budget's total has reached, and whatever else holds. Each is said once,
and sent to every channel that listens."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from django.contrib.auth.models import User
from django.db import connection, transaction
from django.db.models import Q, QuerySet

from billing.actions import budget_totals, deliveries, listening, personal_channels
from billing.models import (
    Alert,
    Budget,
    Channel,
    Delivery,
    Rerate,
    RerateTotal,
)
from billing.pricing import caps
from teams.models import Organization, Project, Team
from teams.reporting_days import ReportingDays

_RAISE = f"""
INSERT INTO {Alert._meta.db_table}
    (kind, organization_id, team_id, project_id, budget_id, revision, period_start,
    threshold, spent, cap, rerate_id, fired_at, state)
SELECT CASE threshold WHEN {caps.CAP_REACHED} THEN 'cap_reached' ELSE 'threshold' END,
    %s, %s, %s, %s, %s, %s, threshold, %s, %s, %s, %s, 'firing'
FROM unnest(%s::smallint[]) AS levels(threshold) ORDER BY threshold
ON CONFLICT (budget_id, revision, period_start, threshold) DO NOTHING
RETURNING threshold, id
"""


def unsettled(
    budgets: Sequence[Budget], *, days: ReportingDays, now: datetime
) -> list[Budget]:
    """Those of one organization's budgets that `evaluate` would change something for."""
    today = days.day(now)
    firsts = {
        budget.pk: running.first
        for budget in budgets
        if (running := budget.running(today)) is not None
    }
    if not firsts:
        return []
    known: defaultdict[tuple[int, date], list[_Said]] = defaultdict(list)
    its = {"budget__in": firsts.keys(), "period_start__in": set(firsts.values())}
    said = Alert.objects.exclude(threshold=None).filter(**its)
    for budget_id, first, *terms in said.values_list("budget_id", "period_start", *_SAID):
        known[budget_id, first].append(_Said(*terms))
    spent = budget_totals.totals(firsts)
    return [
        budget
        for budget in budgets
        if budget.pk in firsts
        and not _is_settled(
            budget,
            known[budget.pk, firsts[budget.pk]],
            set(caps.crossed(spent[budget.pk], budget.cap(now), budget.thresholds)),
        )
    ]


class _Said(NamedTuple):
    """What of an alert says whether it is settled."""

    threshold: int
    revision: int
    state: str


_SAID = _Said._fields


def _is_settled(budget: Budget, known: Sequence[_Said], reached: set[int]) -> bool:
    said = {one.threshold for one in known if one.revision == budget.revision}
    return reached <= said and all(
        _holds(one, budget, reached) == (one.state != Alert.State.RESOLVED) for one in known
    )


@transaction.atomic
def evaluate(budget: Budget, *, now: datetime) -> list[int]:
    """Raise what the total of the running period has reached; the new alerts' ids.

    Nothing, when none runs: before and after a custom one, and once the budget expired.
    Called wherever a total, a cap or a threshold may have changed, and by the sweep. A
    level that is reached again within one revision re-opens its alert, which is no news;
    nor is one that already fired under the terms before.
    """
    running = budget.running(ReportingDays(budget.organization).day(now))
    if running is None:
        return []
    first = running.first
    # The alerts before the total: what counting commits between two looks must not seem
    # an alert without its spend, which would be resolved.
    of_levels = Alert.objects.exclude(threshold=None)
    known = list(of_levels.filter(budget=budget, period_start=first).order_by("pk"))
    spent = budget_totals.total(budget, first)
    reached = set(caps.crossed(spent, budget.cap(now), budget.thresholds))
    said = {alert.threshold for alert in known if alert.revision == budget.revision}
    was_open = {alert.threshold: alert for alert in known if alert.is_open}
    raised = _raise(budget, first, sorted(reached - said), spent, now)
    for level in raised.keys() & was_open.keys():
        _succeed(was_open[level], raised[level], now)
    _follow(budget, known, reached, now)
    _address(
        budget, [raised[level] for level in sorted(raised.keys() - was_open.keys())], now
    )
    return sorted(raised.values())


def resolve_all(budget: Budget, *, now: datetime) -> None:
    """What was said of a budget that is ended holds no longer."""
    _resolve(Alert.objects.filter(budget=budget), now)


def resolve_past(*, now: datetime) -> None:
    """What was said of a period ends with the period, or with the budget's last day."""
    levels = Alert.objects.exclude(threshold=None).exclude(state=Alert.State.RESOLVED)
    today: dict[int, date] = {}
    past = []
    for alert in levels.select_related("organization", "budget"):
        if alert.organization_id not in today:
            today[alert.organization_id] = ReportingDays(alert.organization).day(now)
        crossing = alert.crossing
        if crossing is not None:
            running = crossing.budget.running(today[alert.organization_id])
            if running is None or crossing.period_start < running.first:
                past.append(alert.pk)
    if past:
        _resolve(Alert.objects.filter(pk__in=past), now)


@transaction.atomic
def _resolve(its: QuerySet[Alert], now: datetime) -> None:
    still_open = its.exclude(state=Alert.State.RESOLVED).select_for_update()
    for alert in still_open.order_by("pk"):
        _hold(alert, False, now)


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
                *(budget.organization_id, budget.team_id, budget.project_id),
                *(budget.pk, budget.revision, first, spent, budget.cap(now)),
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


_KNOWN = (
    *("state", "acknowledged_by", "acknowledged_at"),
    *("snoozed_until", "snoozed_by", "snooze_reason"),
)


def _succeed(before: Alert, alert_id: int, now: datetime) -> None:
    """What held under the terms before holds still: who knew it knows it, and nobody is
    told that it ended."""
    Alert.objects.filter(pk=alert_id).update(
        **{name: getattr(before, name) for name in _KNOWN}
    )
    before.state, before.resolved_at = Alert.State.RESOLVED, now
    before.save(update_fields=["state", "resolved_at"])


def _follow(
    budget: Budget, known: Iterable[Alert], reached: set[int], now: datetime
) -> None:
    """Resolve what no longer holds, re-open what holds again."""
    for alert in known:
        _hold(alert, _holds(alert, budget, reached), now)


def _holds(alert: Alert | _Said, budget: Budget, reached: set[int]) -> bool:
    return alert.revision == budget.revision and alert.threshold in reached


def _hold(alert: Alert, holds: bool, now: datetime) -> None:
    """Resolve it, or open it again; whoever acknowledged it before is not asked again."""
    if holds == alert.is_open:
        return
    if holds:
        _reopen(alert, now)
        return
    alert.state, alert.resolved_at = Alert.State.RESOLVED, now
    alert.save(update_fields=["state", "resolved_at"])
    deliveries.follow(alert=alert, event=Delivery.Event.RESOLVED, now=now)


def _reopen(alert: Alert, now: datetime) -> None:
    """It is no news; but what was closed with it is opened again, as it is here."""
    is_known = alert.acknowledged_at is not None
    alert.state = Alert.State.ACKNOWLEDGED if is_known else Alert.State.FIRING
    alert.resolved_at = None
    alert.firings += 1
    alert.save(update_fields=["state", "resolved_at", "firings"])
    deliveries.follow(alert=alert, event=Delivery.Event.FIRED, now=now)
    if is_known:
        deliveries.follow(alert=alert, event=Delivery.Event.ACKNOWLEDGED, now=now)


def _address(budget: Budget, news: list[int], now: datetime) -> None:
    """One delivery per new alert and channel, in the transaction that raises it."""
    if news:
        deliveries.address(news, _listening_to(budget, now), now)


def _listening_to(budget: Budget, now: datetime) -> list[Channel]:
    return listening.channels_of(
        organization=budget.organization,
        teams=listening.teams_at(budget.team_id, budget.project, now),
        project=budget.project,
    )


# --- Whatever else holds ------------------------------------------------------------


class Occasion(NamedTuple):
    """Something that holds now, and is said once: once for its subject and occurrence.

    The channels of the organization hear of it, and those of the teams that it is of, or
    concerns; `people` have mail of it, whatever they listen to. `details` is what
    `alert_messages` makes a sentence of: text, whole numbers.
    """

    subject: str
    occurrence: str = ""
    details: dict[str, Any] = {}
    team: Team | None = None
    project: Project | None = None
    budget: Budget | None = None
    concerned: frozenset[int] = frozenset()  # teams, besides that one
    people: tuple[User, ...] = ()
    not_by: int | None = None  # a channel that it cannot be said by

    @property
    def key(self) -> tuple[str, str]:
        return self.subject, self.occurrence


@transaction.atomic
def keep(
    *,
    organization: Organization,
    kind: Alert.Kind,
    holding: Iterable[Occasion],
    now: datetime,
) -> list[int]:
    """Raise what holds and was not said yet; the new alerts' ids, in order.

    What holds no longer is resolved; when it holds again it re-opens, which is no news.
    """
    occasions = {occasion.key: occasion for occasion in holding}
    known = {
        (alert.subject, alert.occurrence): alert
        for alert in _open_or(organization, kind, occasions.values())
    }
    for key, alert in known.items():
        _hold(alert, key in occasions, now)
    raised = []
    for key in sorted(occasions.keys() - known.keys()):
        occasion = occasions[key]
        alert, is_new = Alert.objects.get_or_create(
            organization=organization,
            kind=kind,
            subject=occasion.subject,
            occurrence=occasion.occurrence,
            defaults={
                "team": occasion.team,
                "project": occasion.project,
                "budget": occasion.budget,
                "details": occasion.details,
                "concerned": sorted(occasion.concerned),
                "fired_at": now,
            },
        )
        if is_new:
            deliveries.address([alert.pk], _listening(organization, occasion, now), now)
            raised.append(alert.pk)
    return raised


def end(*, kind: Alert.Kind, subject: str, now: datetime) -> None:
    """What was said of this subject holds no longer, as somebody has seen to it."""
    _resolve(Alert.objects.filter(kind=kind, subject=subject), now)


def open_occurrences(organization: Organization, kind: Alert.Kind) -> dict[str, str]:
    """By subject, the occurrence that holds still: what goes on is not said anew."""
    its = Alert.objects.filter(organization=organization, kind=kind)
    still_open = its.exclude(state=Alert.State.RESOLVED)
    return dict(still_open.values_list("subject", "occurrence"))


def _open_or(
    organization: Organization, kind: Alert.Kind, occasions: Iterable[Occasion]
) -> QuerySet[Alert]:
    """What is open, and what is known of these; all that ever was is too much."""
    named = Q(
        subject__in={one.subject for one in occasions},
        occurrence__in={one.occurrence for one in occasions},
    )
    its = Alert.objects.filter(organization=organization, kind=kind)
    return its.filter(named | ~Q(state=Alert.State.RESOLVED))


def _listening(
    organization: Organization, occasion: Occasion, now: datetime
) -> list[Channel]:
    team_id = occasion.team.pk if occasion.team else None
    channels = listening.channels_of(
        organization=organization,
        teams=occasion.concerned | listening.teams_at(team_id, occasion.project, now),
        project=occasion.project,
    )
    own = [
        personal_channels.reaching(one, organization, now=now)
        for one in occasion.people
        if one.email
    ]
    heard = {channel.pk: channel for channel in [*channels, *own]}
    return [channel for pk, channel in heard.items() if pk != occasion.not_by]
