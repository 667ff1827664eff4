"""Requests for higher caps, and what somebody who decides on them looks at."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from django.contrib.auth.models import User
from django.db.models import Q, Sum

from billing.models import (
    Budget,
    BudgetPolicy,
    DailySpend,
    LanguageModel,
    RaiseDecision,
    RaiseRequest,
)
from billing.pricing.budget_periods import Period
from billing.reports.budget_view import BudgetView
from teams import permissions
from teams.models import Organization, Project, Team
from teams.permissions import Permission

_MOVERS = 5


def requests_of(
    *, organization: Organization, teams: Sequence[Team], whole: bool, now: datetime
) -> list[RaiseRequest]:
    """Requests for budgets of these teams and the projects they own, newest first.

    With `whole` also for those of the organization itself.
    """
    its = Q(budget__team__in=teams)
    its |= Q(budget__project__in=_owned_by(teams, now))
    if whole:
        its |= Q(budget__team=None, budget__project=None)
    found = RaiseRequest.objects.filter(its, budget__organization=organization)
    return list(found.with_budget().order_by("-pk"))


def _owned_by(teams: Sequence[Team], now: datetime) -> list[int]:
    owned = [Project.objects.owned_by(team, now) for team in teams]
    return [pk for projects in owned for pk in projects.values_list("pk", flat=True)]


def to_decide(
    user: User, *, organization: Organization, now: datetime
) -> list[RaiseRequest]:
    """Requests that wait for this person: they may decide, and have not yet."""
    waiting = RaiseRequest.objects.waiting(now).with_budget()
    waiting = waiting.filter(budget__organization=organization).exclude(asker=user)
    return [one for one in waiting.order_by("pk") if _waits_for(user, one, now)]


def _waits_for(user: User, request: RaiseRequest, now: datetime) -> bool:
    if any(one.decider_id == user.pk for one in request.last_decisions):
        return False
    owner_id = request.budget.owner_id(now)
    return permissions.has_permission(
        user,
        Permission.EDIT_BUDGETS,
        organization=request.budget.organization,
        team=Team.objects.get(pk=owner_id) if owner_id else None,
    )


@dataclass(frozen=True, slots=True)
class Decided:
    """How far a request has come.

    `amount` and `until` are the terms that were approved last, or those asked for while
    nobody has approved any; `approvals` are theirs, `needed` how many they need.
    """

    amount: Decimal
    until: datetime | None
    said: list[RaiseDecision]
    approvals: list[RaiseDecision]
    needed: int


def decided(request: RaiseRequest) -> Decided:
    said = request.last_decisions
    last = next((one for one in reversed(said) if one.approves), None)
    amount, until = request.amount, request.until
    if last is not None and last.amount is not None:
        amount, until = last.amount, last.until
    return Decided(
        amount=amount,
        until=until,
        said=said,
        approvals=request.approvals(amount, until),
        needed=BudgetPolicy.approvals_needed(request.budget.organization_id, amount),
    )


@dataclass(frozen=True, slots=True)
class Mover:
    """What a model cost in a project, and in as many days of the period before."""

    project: str
    model: str
    cost: Decimal
    before: Decimal

    @property
    def change(self) -> Decimal:
        return self.cost - self.before


def movers(view: BudgetView, *, visible_team_ids: Sequence[int]) -> list[Mover]:
    """What changed most against the same number of days before the period; at most five.

    What changed by less than a hundredth of the first of them is none. Of a tag this is
    not known.
    """
    budget, its = view.status.budget, view.status.period
    days = view.today - its.first + timedelta(days=1)
    team_ids = sorted(budget.covered_team_ids or visible_team_ids)
    now = _costs(budget, team_ids, Period(its.first, its.first + days))
    before = _costs(budget, team_ids, Period(its.first - days, its.first))
    found = [
        Mover(*key, now.get(key, Decimal()), before.get(key, Decimal()))
        for key in now.keys() | before.keys()
    ]
    found.sort(key=lambda one: (-abs(one.change), one.project, one.model))
    most = abs(found[0].change) if found else Decimal()
    return [one for one in found[:_MOVERS] if abs(one.change) * 100 > most]


def _costs(
    budget: Budget, team_ids: Sequence[int], its: Period
) -> dict[tuple[str, str], Decimal]:
    """What counts against the budget on these days, by project and model."""
    if budget.tag_key:
        return {}
    rows = DailySpend.objects.filter(
        budget.covered_rollups,
        team_id__in=team_ids,
        day__gte=its.first,
        day__lt=its.until,
    )
    sums = {
        (project_id, model_id): cost
        for project_id, model_id, cost in rows.values_list("project_id", "model_id")
        .order_by()
        .annotate(Sum("cost"))
    }
    projects = Project.objects.in_bulk({project_id for project_id, _ in sums})
    models = LanguageModel.objects.in_bulk({model_id for _, model_id in sums})
    return {
        (projects[project_id].name, models[model_id].name): cost
        for (project_id, model_id), cost in sums.items()
    }
