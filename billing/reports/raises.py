"""Requests for higher caps, and what somebody who decides on them looks at."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from django.contrib.auth.models import User
from django.db.models import Q, QuerySet, Sum

from billing.models import (
    Budget,
    BudgetPolicy,
    DailySpend,
    LanguageModel,
    RaiseDecision,
    RaiseRequest,
)
from billing.models.raises import may_decide, may_edit
from billing.pricing.budget_periods import Period
from billing.reports.budget_view import BudgetView
from teams.models import Organization, Project, Team

_MOVERS = 5
SHOWN = 100


def requests_of(
    *, organization: Organization, teams: Sequence[Team], whole: bool, now: datetime
) -> QuerySet[RaiseRequest]:
    """Requests for budgets of these teams and the projects they own, newest first.

    With `whole` also for those of the organization itself.
    """
    its = Q(budget__team__in=teams)
    for team in teams:
        its |= Q(budget__project__in=Project.objects.owned_by(team, now).values("pk"))
    if whole:
        its |= Q(budget__team=None, budget__project=None)
    found = RaiseRequest.objects.filter(its, budget__organization=organization)
    return found.with_budget().order_by("-pk")


@dataclass(frozen=True, slots=True)
class Listed:
    """Requests, newest first, up to 100 in each list; `older` is before which id there
    are more that have ended."""

    waiting: list[RaiseRequest]
    ended: list[RaiseRequest]
    older: int | None


def waiting(requests: QuerySet[RaiseRequest], *, now: datetime) -> list[RaiseRequest]:
    """Of these requests those that can still be decided on, 100 at most."""
    still = RaiseRequest.objects.waiting(now).values("pk")
    return list(requests.filter(pk__in=still)[:SHOWN])


def listed(
    requests: QuerySet[RaiseRequest], *, before: int | None, now: datetime
) -> Listed:
    """Those that wait, and those that ended, of them the ones below an id."""
    over = requests.exclude(pk__in=RaiseRequest.objects.waiting(now).values("pk"))
    if before is not None:
        over = over.filter(pk__lt=before)
    ended = list(over[: SHOWN + 1])
    return Listed(
        waiting=waiting(requests, now=now),
        ended=ended[:SHOWN],
        older=ended[SHOWN - 1].pk if len(ended) > SHOWN else None,
    )


def to_decide(
    user: User, *, organization: Organization, now: datetime
) -> list[RaiseRequest]:
    """Requests that wait for this person: they may decide, and have not yet."""
    others = RaiseRequest.objects.waiting(now).exclude(asker=user)
    others = others.filter(budget__organization=organization)
    undecided = [
        one
        for one in others.with_budget().with_decisions().order_by("pk")
        if not any(said.decider_id == user.pk for said in one.last_decisions)
    ]
    may = may_edit([(user, one) for one in undecided], now)
    return [one for one in undecided if (user.pk, one.pk) in may]


@dataclass(frozen=True, slots=True)
class Decided:
    """How far a request has come.

    `amount` and `until` are the terms that were approved last, or those asked for while
    nobody has approved any; `approvals` are theirs, `needed` how many they need. While it
    waits, `lapsed` are approvals of people who may not approve any more: they do not count.
    """

    amount: Decimal
    until: datetime | None
    said: list[RaiseDecision]
    approvals: list[RaiseDecision]
    lapsed: list[RaiseDecision]
    needed: int


def decided(request: RaiseRequest, *, now: datetime) -> Decided:
    return decided_of([request], now=now)[request.pk]


def decided_of(requests: Iterable[RaiseRequest], *, now: datetime) -> dict[int, Decided]:
    """By id, those of several requests of one organization: as many queries as of one,
    when they are read `with_decisions()`."""
    found = list(requests)
    if not found:
        return {}
    approved = {one.pk: _approved_last(one) for one in found}
    policy = BudgetPolicy.of(found[0].budget.organization_id)
    people = [
        (one.decider, request)
        for request in found
        if request.state_at(now) == RaiseRequest.State.PENDING
        for one in approved[request.pk].approvals
        if one.decider is not None
    ]
    may = may_decide(people, now)
    return {one.pk: _decided(one, approved[one.pk], policy, may, now) for one in found}


class _Terms(NamedTuple):
    """Those that were approved last, or are asked for; and who approved them."""

    amount: Decimal
    until: datetime | None
    approvals: list[RaiseDecision]


def _approved_last(request: RaiseRequest) -> _Terms:
    said = request.last_decisions
    last = next((one for one in reversed(said) if one.approves), None)
    amount, until = request.amount, request.until
    if last is not None and last.amount is not None:
        amount, until = last.amount, last.until
    return _Terms(amount, until, request.approvals(amount, until))


def _decided(
    request: RaiseRequest,
    terms: _Terms,
    policy: BudgetPolicy,
    may: set[tuple[int, int]],
    now: datetime,
) -> Decided:
    is_pending = request.state_at(now) == RaiseRequest.State.PENDING
    lapsed = [
        one
        for one in terms.approvals
        if is_pending and (one.decider_id, request.pk) not in may
    ]
    return Decided(
        amount=terms.amount,
        until=terms.until,
        said=request.last_decisions,
        approvals=[one for one in terms.approvals if one not in lapsed],
        lapsed=lapsed,
        needed=policy.needed_for(terms.amount),
    )


def ends_earlier(request: RaiseRequest, *, now: datetime) -> bool:
    """Whether a raise in force would end with the one asked for, before its own end."""
    its_end = request.budget.raised_until
    if its_end is None or request.until is None:
        return False
    return now < its_end and request.until < its_end


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
