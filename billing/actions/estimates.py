"""Estimates: what a team or project plans, priced by the same rates as its usage."""

from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import NamedTuple

from django.core.exceptions import ValidationError
from django.db import transaction

from billing.models import Estimate, EstimateLine, LanguageModel, rate_book
from billing.models.estimates import Scenario
from billing.models.rate_book import Book
from billing.pricing import estimates as pricing
from billing.pricing import money
from billing.pricing.engine import Unpriced
from billing.pricing.token_classes import Quantities
from billing.pricing.usage import Processing
from teams.actions import audit
from teams.models import Project, Team

_TOO_MUCH = Decimal(10) ** 12  # what the column holds


class Line(NamedTuple):
    """One model in one scenario and processing, for a whole month: without a month, for
    the first one of the estimate."""

    model: LanguageModel
    scenario: Scenario
    requests: int
    quantities: Quantities
    processing: Processing = Processing.STANDARD
    month: date | None = None


@transaction.atomic
def save(
    *,
    team: Team,
    month: date,
    lines: Sequence[Line],
    by: str,
    now: datetime,
    project: Project | None = None,
    months: int = 1,
    plan: Scenario = Scenario.MEDIUM,
    contingency_percent: int = 0,
    note: str = "",
    estimate: Estimate | None = None,
) -> Estimate:
    """A draft, new or in place of another draft, priced at the rates in force now.

    Raises ValidationError for what is no draft, and as `priced` does.
    """
    first = month.replace(day=1)
    lines = [line._replace(month=line.month or first) for line in lines]
    costs = priced(lines, organization_id=team.organization_id, now=now)
    if estimate is None:
        estimate = Estimate(team=team, created_by=by, created_at=now)
    else:
        estimate = _draft(estimate)
    estimate.project, estimate.month, estimate.months = project, first, months
    estimate.plan, estimate.note = plan, note
    estimate.contingency_percent = contingency_percent
    estimate.priced_at = now
    estimate.full_clean()
    _check_scope(estimate, now)
    if any(line.month not in estimate.covered_months for line in lines):
        raise ValidationError("A line is for a month of the estimate.")
    estimate.save()
    # Made by hand: what it may have been multiplied out from says nothing of it any more.
    for part in (estimate.lines, estimate.shapes, estimate.models):
        part.all().delete()
    EstimateLine.objects.bulk_create(
        EstimateLine(
            estimate=estimate,
            month=line.month or first,
            model=line.model,
            processing=line.processing,
            scenario=line.scenario,
            requests=line.requests,
            cost=cost,
            **line.quantities._asdict(),
        )
        for line, cost in zip(lines, costs, strict=True)
    )
    return estimate


def priced(lines: Sequence[Line], *, organization_id: int, now: datetime) -> list[Decimal]:
    """What each line costs at the rates in force now.

    Raises ValidationError where one has no price or too large a one, and where two are
    for the same model, processing and scenario in one month.
    """
    kinds = Counter(
        (line.month, line.model.pk, line.processing, line.scenario) for line in lines
    )
    if any(count > 1 for count in kinds.values()):
        raise ValidationError(
            "A model has one line in each month, scenario and processing."
        )
    book = rate_book.current(organization_id)
    return [_cost(line, book, now) for line in lines]


@transaction.atomic
def approve(*, estimate: Estimate, by: str, now: datetime) -> None:
    """Make it the plan of its months; one approved before stays, and is not it any more.

    Twice is once.
    """
    list(Estimate.objects.select_for_update().filter(pk=estimate.pk).values_list("pk"))
    estimate.refresh_from_db()
    if estimate.state == Estimate.State.APPROVED:
        return
    estimate.state = Estimate.State.APPROVED
    estimate.approved_by, estimate.approved_at = by, now
    estimate.save(update_fields=["state", "approved_by", "approved_at"])
    audit.record(
        action="estimate.approve",
        subject=f"estimate {estimate.pk} of team {estimate.team.slug}",
        organization=estimate.team.organization.slug,
        by=by,
        now=now,
        after={"month": f"{estimate.month:%Y-%m}", "plan": estimate.plan},
    )


def _draft(estimate: Estimate) -> Estimate:
    """As it is now, ours until the transaction ends."""
    held = Estimate.objects.select_for_update(of=("self",)).with_scope()
    estimate = held.get(pk=estimate.pk)
    if estimate.state != Estimate.State.DRAFT:
        raise ValidationError(
            f"This estimate is {estimate.state} and does not change: make a new one."
        )
    return estimate


def _check_scope(estimate: Estimate, now: datetime) -> None:
    """A project is planned by the team that owns it."""
    project = estimate.project
    if project is None:
        return
    owned = Project.objects.owned_by(estimate.team, now)
    if not owned.filter(pk=project.pk).exists():
        raise ValidationError({"project": "This team does not own the project."})


def _cost(line: Line, book: Book, now: datetime) -> Decimal:
    cost = pricing.cost(
        line.model.key, line.requests, line.quantities, book.rates, now, line.processing
    )
    if isinstance(cost, Unpriced):
        raise ValidationError(cost.detail)
    exact = money.exact(cost)
    if exact >= _TOO_MUCH:
        raise ValidationError(f"{line.model.name} would cost more than can be kept.")
    return exact
