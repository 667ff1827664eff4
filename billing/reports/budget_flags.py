"""What is odd about an organization's caps: each in a plain sentence, nothing else.

Team caps that promise more than the organization's, projects that spend under no cap, and
hard caps that records without a price may have passed already.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from django.db.models import Q, Sum

from billing.models import Budget, DailySpend
from billing.pricing import figures
from billing.reports import budgets
from billing.reports.budgets import BudgetStatus
from teams.models import Organization, Ownership, Project, Team
from teams.reporting_days import ReportingDays

SPENDING_DAYS = 30


class FlagKind(StrEnum):
    OVER_ALLOCATED = "over_allocated"
    NO_CAP = "no_cap"
    UNPRICED_EXPOSED = "unpriced_exposed"


@dataclass(frozen=True, slots=True)
class Flag:
    """Of a budget, or of a project without one and the team that owns it.

    `amount` is what the team caps add up to, what the project spent in 30 days, or what
    the records without a price cost at most (None: nobody knows).
    """

    kind: FlagKind
    sentence: str
    amount: Decimal | None
    budget: Budget | None = None
    project: Project | None = None
    team: Team | None = None


def flags(
    *,
    organization: Organization,
    team_ids: Sequence[int],
    whole: bool,
    now: datetime,
    project_ids: Sequence[int] | None = None,
) -> list[Flag]:
    """All flags of these teams, or of these projects alone; with `whole` of all.

    The teams' spend has to be visible.
    """
    projects = _spending(organization, team_ids, project_ids, now)
    owners = _owners(organization, now)
    mine = {pk for pk, team in owners.items() if team.pk in team_ids}
    seen = Q(project__in=mine if project_ids is None else project_ids)
    if project_ids is None:
        seen |= Q(team__in=team_ids)
    if whole:
        seen |= Q(team=None, project=None)
    found = Budget.objects.active().filter(organization=organization)
    listed = list(found.filter(seen).with_scope().order_by("pk"))
    today = ReportingDays(organization).day(now)
    running = [one for one in listed if one.running(today) is not None]
    capped = found.filter(Q(team__in=team_ids) | Q(project__in=mine))
    return [
        *_over_allocated(running, now, organization.currency),
        *_without_cap(
            {pk: spent for pk, spent in projects.items() if pk in mine},
            owners,
            [one for one in capped if one.running(today) is not None],
            organization.currency,
        ),
        *_unpriced_exposed(
            budgets.statuses([one for one in running if one.hard], now=now),
            organization.currency,
        ),
    ]


def _over_allocated(
    running: Sequence[Budget], now: datetime, currency: str
) -> Iterator[Flag]:
    """Of teams with several caps the lowest counts: it is the one they can spend."""
    for whole in running:
        if whole.team_id is not None or whole.project_id is not None:
            continue
        lowest: dict[int, Decimal] = {}
        for budget in running:
            if budget.team_id is not None and _is_alike(budget, whole):
                cap = budget.cap(now)
                lowest[budget.team_id] = min(cap, lowest.get(budget.team_id, cap))
        allocated = sum(lowest.values(), Decimal())
        if allocated > whole.cap(now):
            yield Flag(
                FlagKind.OVER_ALLOCATED,
                f"Team caps ({figures.window(whole.window)}) add up to "
                f"{figures.with_currency(allocated, currency)}, more than the "
                f"{figures.with_currency(whole.cap(now), currency)} of {_named(whole)}.",
                allocated,
                budget=whole,
            )


def _is_alike(one: Budget, other: Budget) -> bool:
    """Whether both are caps on the same kind of spend in the same periods."""
    return one.window == other.window and one.limits == other.limits


def _without_cap(
    spent: dict[int, Decimal],
    owners: dict[int, Team],
    capped: Iterable[Budget],
    currency: str,
) -> Iterator[Flag]:
    """A budget that is limited to something leaves the rest without a cap."""
    unlimited = [budget for budget in capped if not budget.is_limited]
    teams = {budget.team_id for budget in unlimited}
    projects = {budget.project_id for budget in unlimited}
    named = Project.objects.in_bulk(spent)
    for pk, cost in sorted(spent.items(), key=lambda one: (-one[1], one[0])):
        if pk in projects or owners[pk].pk in teams:
            continue
        yield Flag(
            FlagKind.NO_CAP,
            f"{named[pk].name} of {owners[pk].name} spent "
            f"{figures.with_currency(cost, currency)} in {SPENDING_DAYS} days, and neither "
            "has a cap.",
            cost,
            project=named[pk],
            team=owners[pk],
        )


def _unpriced_exposed(statuses: Iterable[BudgetStatus], currency: str) -> Iterator[Flag]:
    for status in statuses:
        exposed = status.exposure
        if not exposed or status.remaining <= 0:
            continue
        if exposed.at_most is not None and exposed.at_most < status.remaining:
            continue
        records = "record" if exposed.records == 1 else "records"
        cost = (
            "nobody knows at what cost"
            if exposed.at_most is None
            else f"at most {figures.with_currency(exposed.at_most, currency)}"
        )
        yield Flag(
            FlagKind.UNPRICED_EXPOSED,
            f"The hard cap of {_named(status.budget)} has "
            f"{figures.with_currency(status.remaining, currency)} left, and "
            f"{exposed.records} {records} without a price ({cost}) may have passed it.",
            exposed.at_most,
            budget=status.budget,
        )


def _named(budget: Budget) -> str:
    """What it is for, as people call it."""
    whose = str(budget.project or budget.team or budget.organization)
    return ", ".join((whose, *budget.limits))


def _spending(
    organization: Organization,
    team_ids: Sequence[int],
    project_ids: Sequence[int] | None,
    now: datetime,
) -> dict[int, Decimal]:
    """What each project spent in the last days, if anything."""
    until = ReportingDays(organization).day(now) + timedelta(days=1)
    days = DailySpend.objects.filter(
        team_id__in=team_ids, day__gte=until - timedelta(days=SPENDING_DAYS), day__lt=until
    )
    if project_ids is not None:
        days = days.filter(project_id__in=project_ids)
    sums = days.values_list("project_id").order_by("project_id").annotate(Sum("cost"))
    return {project_id: cost for project_id, cost in sums if cost > 0}


def _owners(organization: Organization, now: datetime) -> dict[int, Team]:
    """Who owns each project now."""
    history = Ownership.objects.filter(
        project__organization=organization, effective_from__lte=now
    )
    return {
        ownership.project_id: ownership.team
        for ownership in history.select_related("team").order_by("effective_from")
    }
