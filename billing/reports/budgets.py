"""Budgets with what is spent against them in the period that runs."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from django.db.models import Q, Sum

from billing.models import Alert, Budget, BudgetTotal
from billing.models.budgets import BudgetState
from billing.pricing import caps
from billing.pricing.budget_periods import Period
from billing.reports import exposure
from billing.reports.exposure import Exposure, Place
from teams.reporting_days import ReportingDays


@dataclass(frozen=True, slots=True)
class BudgetStatus:
    """A budget on a day. `percent` is None for a cap of zero.

    `period` is the one that the day lies in; of a custom one it is that, before and after
    it too.
    """

    budget: Budget
    state: BudgetState
    period: Period
    cap: Decimal  # in force: with a temporary raise, as long as it lasts
    spent: Decimal
    firing: tuple[int, ...]  # levels, in percent
    exposure: Exposure  # not in what is spent

    @property
    def is_running(self) -> bool:
        return self.state is BudgetState.RUNNING

    @property
    def is_raised(self) -> bool:
        """Whether the cap is higher for now."""
        return self.cap != self.budget.amount

    @property
    def remaining(self) -> Decimal:
        """Negative when the cap is passed."""
        return self.cap - self.spent

    @property
    def percent(self) -> Decimal | None:
        return caps.percent(self.spent, self.cap)


def statuses(budgets: Iterable[Budget], *, now: datetime) -> list[BudgetStatus]:
    """The status of each budget in the period that runs; select them `with_scope()`."""
    listed = list(budgets)
    today = {
        one.organization_id: ReportingDays(one.organization).day(now)
        for one in {budget.organization_id: budget for budget in listed}.values()
    }
    return [
        status
        for organization_id, day in today.items()
        for status in statuses_on(
            [one for one in listed if one.organization_id == organization_id],
            day=day,
            now=now,
        )
    ]


def statuses_on(
    budgets: Iterable[Budget], *, day: date, now: datetime
) -> list[BudgetStatus]:
    """The status of each budget in the period of a day, in a few queries.

    The terms are those of now, whichever period it is.
    """
    listed = list(budgets)
    periods = {budget.pk: budget.window.shown_on(day) for budget in listed}
    spent = _spent(periods)
    firing = _firing(periods)
    exposed = _exposed(listed, periods)
    return [
        BudgetStatus(
            budget=budget,
            state=budget.state(day),
            period=periods[budget.pk],
            cap=budget.cap(now),
            spent=spent.get(budget.pk, Decimal()),
            firing=tuple(sorted(firing.get(budget.pk, ()))),
            exposure=exposed[budget.pk],
        )
        for budget in listed
    ]


def _exposed(budgets: list[Budget], periods: dict[int, Period]) -> dict[int, Exposure]:
    """What records without a price may add to each budget in its period."""
    unpriced = exposure.teams_with_unpriced({one.organization_id for one in budgets})
    tag_keys = sorted({one.tag_key for one in budgets if one.tag_key})
    known: dict[tuple[int, Period], dict[Place, Exposure]] = {}
    found = dict.fromkeys(periods, Exposure())
    for budget in budgets:
        organization_id, its = budget.organization_id, periods[budget.pk]
        team_ids = unpriced.get(organization_id, [])
        if team_ids and (organization_id, its) not in known:
            days = ReportingDays(budget.organization)
            known[organization_id, its] = exposure.by_place(
                team_ids=team_ids,
                since=days.start(its.first),
                until=days.start(its.until),
                tag_keys=tag_keys,
            )
        for place, one in known.get((organization_id, its), {}).items():
            if _counts(budget, place):
                found[budget.pk] = found[budget.pk].plus(one)
    return found


def _counts(budget: Budget, place: Place) -> bool:
    """Whether what is used there would count against the budget."""
    return budget.team_id in (None, place.team_id) and budget.covers(
        project_id=place.project_id,
        model_id=place.model_id,
        processing=place.processing,
        tags=dict(place.tags),
    )


def _in(periods: dict[int, Period]) -> Q:
    """Of these budgets and first days; which belongs to which is looked at afterwards."""
    firsts = {its.first for its in periods.values()}
    return Q(budget__in=periods.keys(), period_start__in=firsts)


def _spent(periods: dict[int, Period]) -> dict[int, Decimal]:
    totals = BudgetTotal.objects.filter(_in(periods)).values_list("budget", "period_start")
    return {
        budget_id: spent
        for budget_id, first, spent in totals.annotate(Sum("spent")).order_by()
        if first == periods[budget_id].first
    }


def _firing(periods: dict[int, Period]) -> dict[int, list[int]]:
    levels: dict[int, list[int]] = {}
    alerts = Alert.objects.filter(_in(periods)).exclude(state=Alert.State.RESOLVED)
    for alert in alerts.select_related("budget"):
        crossing = alert.crossing
        if crossing and crossing.period_start == periods[crossing.budget.pk].first:
            levels.setdefault(crossing.budget.pk, []).append(crossing.threshold)
    return levels
