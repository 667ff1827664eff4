"""What a draft would move if the last 30 days were re-rated with it: months and budgets."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from django.db.models import Sum

from billing.models import Budget, BudgetTotal, DailySpend, Publication, Rate, rate_book
from billing.pricing import caps
from billing.pricing.budget_periods import Period
from billing.reports import repriced
from billing.reports.draft_books import ONE_DAY, Comparison
from billing.reports.repriced import Moved, Moving
from teams import isolation
from teams.models import Organization, Team
from teams.reporting_days import ReportingDays

DAYS = 30


@dataclass(frozen=True, slots=True)
class TeamMonth:
    """A team's calendar month as it stands, and with the draft; its currency's units."""

    team: Team
    month: date
    before: Decimal
    after: Decimal

    @property
    def difference(self) -> Decimal:
        return self.after - self.before

    @property
    def percent(self) -> Decimal | None:
        return self.difference * 100 / self.before if self.before else None


@dataclass(frozen=True, slots=True)
class Crossing:
    """Levels of a budget (percent; 100 is the cap) that it would reach and has not."""

    budget: Budget
    period: Period
    cap: Decimal
    before: Decimal
    after: Decimal
    levels: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class OrganizationImpact:
    """Of one organization; the days [since, until) of its reporting zone are re-rated.

    `without_price` requests would have no price with the draft; they count as they are.
    `newly_priced` records have no price so far: the publication alone gives them one,
    and `newly_priced_cost` is a part of `difference`.
    """

    organization: Organization
    since: date
    until: date
    months: list[TeamMonth]
    crossings: list[Crossing]
    requests: int
    without_price: int
    newly_priced: int
    newly_priced_cost: Decimal

    @property
    def difference(self) -> Decimal:
        return sum((one.difference for one in self.months), Decimal())


@dataclass(frozen=True, slots=True)
class Impact:
    """`throughout`: as if the draft's latest rates had been in force all the time."""

    throughout: bool
    organizations: list[OrganizationImpact]


def impact(
    publication: Publication,
    *,
    organizations: Iterable[Organization],
    now: datetime,
    throughout: bool | None = None,
) -> Impact:
    """Re-rate the last 30 days of these organizations with a draft, and write nothing.

    A draft that only starts later changes no past: unless `throughout` says otherwise,
    it is then taken as if it had been in force all the time. A contract touches its own
    organization alone.
    """
    drafted = rate_book.drafted(publication)
    if throughout is None:
        throughout = all(rate.effective_from > now for rate in drafted)
    published = rate_book.published()
    of_card = publication.card.organization_id
    return Impact(
        throughout=throughout,
        organizations=[
            _of_organization(organization, published, drafted, now, throughout)
            for organization in organizations
            if of_card in (None, organization.pk)
        ],
    )


def _of_organization(
    organization: Organization,
    published: list[Rate],
    drafted: list[Rate],
    now: datetime,
    throughout: bool,
) -> OrganizationImpact:
    days = ReportingDays(organization)
    today = days.day(now)
    since, until = today - timedelta(days=DAYS - 1), today + ONE_DAY
    teams = {team.pk: team for team in organization.teams.order_by("name", "pk")}
    for team in teams.values():
        team.organization = organization
    team_ids = list(teams)
    comparison = Comparison(organization.pk, published, drafted, (since, until), throughout)
    with isolation.visible_teams(team_ids):
        moved = repriced.moved(team_ids, comparison, days)
        return OrganizationImpact(
            organization=organization,
            since=since,
            until=until,
            months=_months(teams, moved, comparison),
            crossings=_crossings(organization, moved, comparison, now),
            requests=moved.requests,
            without_price=moved.without_price,
            newly_priced=moved.newly_priced,
            newly_priced_cost=moved.newly_priced_cost,
        )


# --- Of what is published -----------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Change:
    """What the last 30 days cost an organization, and would cost at other rates.

    `starts_at` is when the last of them takes force.
    """

    before: Decimal
    after: Decimal
    starts_at: datetime

    @property
    def difference(self) -> Decimal:
        return self.after - self.before


def change(
    publication: Publication, *, organization: Organization, now: datetime, as_of: datetime
) -> Change:
    """Price the last 30 days as if the rates of a publication that take force at `as_of`
    had been in force all the time, beside what they did cost.

    What starts before it is published takes force when it is. What had no price before
    is left out.
    """
    its: list[Rate] = []
    others: list[Rate] = []
    for rate in rate_book.published():
        takes_force = _takes_force(rate) == as_of
        is_its = rate.publication_id == publication.pk and takes_force
        (its if is_its else others).append(rate)
    days = ReportingDays(organization)
    today = days.day(now)
    since, until = today - timedelta(days=DAYS - 1), today + ONE_DAY
    team_ids = list(organization.teams.values_list("pk", flat=True))
    comparison = Comparison(organization.pk, others, its, (since, until), True)
    with isolation.visible_teams(team_ids):
        moved = repriced.moved(team_ids, comparison, days)
        spent = DailySpend.objects.filter(
            team_id__in=team_ids, day__gte=since, day__lt=until
        ).aggregate(cost=Sum("cost"))
    before = spent["cost"] or Decimal()
    difference = sum(moved.differences.values(), Decimal()) - moved.newly_priced_cost
    starts_at = max(rate.effective_from for rate in its)
    return Change(before, before + difference, starts_at)


def _takes_force(rate: Rate) -> datetime:
    published_at = rate.publication.published_at
    return max(rate.effective_from, published_at or rate.effective_from)


# --- What it comes to ---------------------------------------------------------------


def _months(
    teams: dict[int, Team], moved: Moved, comparison: Comparison
) -> list[TeamMonth]:
    """The months of teams that something moves in, by team and month."""
    differences: defaultdict[tuple[int, date], Decimal] = defaultdict(Decimal)
    for moving, difference in moved.differences.items():
        differences[moving.team_id, moving.day.replace(day=1)] += difference
    spent: defaultdict[tuple[int, date], Decimal] = defaultdict(Decimal)
    days = DailySpend.objects.filter(
        team_id__in={team_id for team_id, _ in differences},
        day__gte=comparison.since.replace(day=1),
    )
    for team_id, day, cost in days.values_list("team_id", "day").annotate(Sum("cost")):
        spent[team_id, day.replace(day=1)] += cost
    return [
        TeamMonth(team, month, before, before + differences[pk, month])
        for pk, team in teams.items()
        for month in sorted(one for team_id, one in differences if team_id == pk)
        if differences[pk, month]
        for before in [spent[pk, month]]
    ]


def _crossings(
    organization: Organization, moved: Moved, comparison: Comparison, now: datetime
) -> list[Crossing]:
    """The budgets, in each of their periods, that reach a level they have not.

    Those that are limited to a tag are not looked at: sums of calls have no tags.
    """
    budgets = Budget.objects.active().with_scope().filter(organization=organization)
    differences: defaultdict[tuple[Budget, Period], Decimal] = defaultdict(Decimal)
    for budget in budgets.filter(tag_key="").order_by("pk"):
        for moving, difference in moved.differences.items():
            its = budget.window.period(moving.day)
            if its is not None and _counts(budget, moving, comparison):
                differences[budget, its] += difference
    spent = _spent(differences)
    crossings = (
        _crossing(budget, its, budget.cap(now), spent[budget.pk, its.first], difference)
        for (budget, its), difference in sorted(
            differences.items(), key=lambda one: (one[0][0].pk, one[0][1])
        )
    )
    return [crossing for crossing in crossings if crossing.levels]


def _counts(budget: Budget, moving: Moving, comparison: Comparison) -> bool:
    return budget.team_id in (None, moving.team_id) and budget.covers(
        project_id=moving.project_id,
        model_id=comparison.ids_by_model[moving.model],
        processing=moving.processing,
        tags=None,
    )


def _spent(
    differences: Iterable[tuple[Budget, Period]],
) -> defaultdict[tuple[int, date], Decimal]:
    spent: defaultdict[tuple[int, date], Decimal] = defaultdict(Decimal)
    listed = list(differences)
    totals = BudgetTotal.objects.filter(
        budget_id__in={budget.pk for budget, _ in listed},
        period_start__in={its.first for _, its in listed},
    )
    for total in totals:
        spent[total.budget_id, total.period_start] += total.spent
    return spent


def _crossing(
    budget: Budget, its: Period, cap: Decimal, spent: Decimal, difference: Decimal
) -> Crossing:
    after = spent + difference
    reached = caps.crossed(spent, cap, budget.thresholds)
    levels = caps.crossed(after, cap, budget.thresholds)
    new = tuple(level for level in levels if level not in reached)
    return Crossing(budget, its, cap, spent, after, new)
