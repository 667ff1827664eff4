"""A budget in one period, day by day, with what happened to it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from django.db.models import Prefetch

from billing.models import Alert, Budget, BudgetRevision, Delivery, RaiseRequest
from billing.pricing.standing import Standing, standing
from billing.reports import budgets, forecasts, plans, spend
from billing.reports.budgets import BudgetStatus
from billing.reports.forecasts import BudgetForecast
from billing.reports.plans import PlannedDay, Scope
from teams.models import Team
from teams.reporting_days import ReportingDays

_ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class DayPoint:
    """A day of the period: what it cost, and what the period had cost at its end."""

    day: date
    spent: Decimal
    total: Decimal


@dataclass(frozen=True, slots=True)
class Event:
    """Something in the life of a budget: a level reached, its terms changed, or a higher
    cap asked for."""

    at: datetime
    alert: Alert | None = None
    revision: BudgetRevision | None = None
    before: BudgetRevision | None = None
    request: RaiseRequest | None = None

    @property
    def deliveries(self) -> dict[str, int]:
        """How many deliveries of the alert are in each state."""
        states: dict[str, int] = {}
        for delivery in self.alert.deliveries.all() if self.alert else ():
            states[delivery.state] = states.get(delivery.state, 0) + 1
        return states


@dataclass(frozen=True, slots=True)
class BudgetView:
    """A budget in one period, day by day.

    `today` is the day up to which the period is known: the last one of a period that is
    over, the first of one that has not begun. `plan` has each day of a period that is
    planned from end to end. `partial` says that spend of teams which the viewer does not
    see counts too.
    """

    status: BudgetStatus
    today: date
    running: bool
    points: list[DayPoint]
    plan: list[PlannedDay]
    timeline: list[Event]
    partial: bool
    forecast: BudgetForecast | None

    @property
    def standing(self) -> Standing:
        return standing_of(self.status, self.today)

    @property
    def alerts(self) -> list[Alert]:
        return [event.alert for event in self.timeline if event.alert]

    @property
    def requests(self) -> list[RaiseRequest]:
        """Those for a higher cap that wait to be decided."""
        found = [event.request for event in self.timeline if event.request]
        return [one for one in found if one.state == RaiseRequest.State.PENDING]

    @property
    def days_left(self) -> int:
        """Today counts as one of them."""
        return (self.status.period.until - self.today).days if self.running else 0

    @property
    def safe_daily(self) -> Decimal | None:
        """What may still be spent each day, today included; None at or over the cap."""
        if not self.days_left or self.status.remaining <= 0:
            return None
        return self.status.remaining / self.days_left

    @property
    def spent_today(self) -> Decimal:
        return self.points[-1].spent if self.running and self.points else Decimal()

    @property
    def elapsed_percent(self) -> Decimal:
        return elapsed_percent(self.status, self.today)


def standing_of(status: BudgetStatus, today: date) -> Standing:
    return standing(
        spent=status.spent,
        cap=status.cap,
        elapsed=_elapsed(status, today),
        days=status.period.days,
    )


def elapsed_percent(status: BudgetStatus, today: date) -> Decimal:
    """How much of the period has gone, today included."""
    return Decimal(_elapsed(status, today)) * 100 / status.period.days


def _elapsed(status: BudgetStatus, today: date) -> int:
    gone = (min(today, status.period.last) - status.period.first).days + 1
    return max(gone, 0)  # a custom period may not have begun


def running_view(
    budget: Budget, *, team: Team | None, visible_team_ids: Sequence[int], now: datetime
) -> BudgetView:
    """A budget in the period that runs. `team` is the one whose page it is on."""
    today = ReportingDays(budget.organization).day(now)
    (status,) = budgets.statuses_on([budget], day=today, now=now)
    return budget_view(status, team, visible_team_ids, today, now)


def budget_view(
    status: BudgetStatus,
    team: Team | None,
    visible_team_ids: Sequence[int],
    today: date,
    now: datetime,
) -> BudgetView:
    budget, its = status.budget, status.period
    running = today in its
    known_until = max(min(today, its.last), its.first)
    covers = budget.covered_team_ids
    return BudgetView(
        status=status,
        today=known_until,
        running=running,
        points=_points(budget, its.first, known_until),
        plan=_plan(status, team),
        timeline=_timeline(status),
        partial=not covers <= set(visible_team_ids),
        forecast=forecasts.of_budget(status, now=now),
    )


def _points(budget: Budget, first: date, last: date) -> list[DayPoint]:
    costs = spend.of_budget(budget, since=first, until=last + _ONE_DAY)
    points: list[DayPoint] = []
    total = Decimal()
    for offset in range((last - first).days + 1):
        day = first + timedelta(days=offset)
        cost = costs.get(day, Decimal())
        total += cost
        points.append(DayPoint(day, cost, total))
    return points


def _plan(status: BudgetStatus, team: Team | None) -> list[PlannedDay]:
    """That of the team, or of its project; of a part of what they spend there is none."""
    if team is None or status.budget.limits:
        return []
    scope = Scope(team.pk, status.budget.project_id)
    plan = plans.plans_of([scope], status.period)[scope]
    return plan.path if plan.is_whole else []


def _timeline(status: BudgetStatus) -> list[Event]:
    """Alerts of the period, all changes of the terms and all requests, latest first."""
    deliveries = Prefetch("deliveries", Delivery.objects.order_by("pk"))
    alerts = (
        Alert.objects.filter(budget=status.budget, period_start=status.period.first)
        .select_related("budget")
        .prefetch_related(deliveries)
    )
    revisions = list(status.budget.revisions.order_by("revision"))
    events = [Event(at=alert.fired_at, alert=alert) for alert in alerts]
    for position, revision in enumerate(revisions):
        before = revisions[position - 1] if position else None
        events.append(Event(at=revision.changed_at, revision=revision, before=before))
    requests = status.budget.raises.select_related("budget")
    events += [Event(at=one.asked_at, request=one) for one in requests]
    return sorted(events, key=_order, reverse=True)


def _order(event: Event) -> tuple[datetime, int, int]:
    """At one moment: new terms first, then the levels they make reached, upwards."""
    crossing = event.alert.crossing if event.alert else None
    if crossing is not None:
        return event.at, crossing.revision, crossing.threshold
    return event.at, event.revision.revision if event.revision else 0, 0
