"""Estimates: a plan for a team's month, priced by the same rates as its usage."""

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
from teams.actions import audit
from teams.models import Team

_TOO_MUCH = Decimal(10) ** 12  # what the column holds


class Line(NamedTuple):
    """One model in one scenario, for the whole month."""

    model: LanguageModel
    scenario: Scenario
    requests: int
    quantities: Quantities


@transaction.atomic
def save(
    *,
    team: Team,
    month: date,
    lines: Sequence[Line],
    by: str,
    now: datetime,
    plan: Scenario = Scenario.MEDIUM,
    note: str = "",
    estimate: Estimate | None = None,
) -> Estimate:
    """A draft, new or in place of another draft, priced at the rates in force now.

    Raises ValidationError for an approved estimate, and as `priced` does.
    """
    costs = priced(lines, organization_id=team.organization_id, now=now)
    if estimate is None:
        estimate = Estimate(team=team, created_by=by, created_at=now)
    else:
        estimate = Estimate.objects.select_for_update().get(pk=estimate.pk)
        if estimate.state != Estimate.State.DRAFT:
            raise ValidationError("An approved estimate does not change: make a new one.")
    estimate.month, estimate.plan, estimate.note = month.replace(day=1), plan, note
    estimate.priced_at = now
    estimate.full_clean()
    estimate.save()
    estimate.lines.all().delete()
    EstimateLine.objects.bulk_create(
        EstimateLine(
            estimate=estimate,
            model=line.model,
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
    for the same model and scenario.
    """
    kinds = Counter((line.model.pk, line.scenario) for line in lines)
    if any(count > 1 for count in kinds.values()):
        raise ValidationError("A model has one line in each scenario.")
    book = rate_book.current(organization_id)
    return [_cost(line, book, now) for line in lines]


@transaction.atomic
def approve(*, estimate: Estimate, by: str, now: datetime) -> None:
    """Make it the plan of its month; the one before it becomes a draft again."""
    # Nobody else saves or approves one of the team meanwhile.
    of_team = Estimate.objects.filter(team=estimate.team_id).order_by("pk")
    list(of_team.select_for_update().values_list("pk"))
    estimate.refresh_from_db()
    if estimate.state == Estimate.State.APPROVED:
        return
    of_team.filter(month=estimate.month, state=Estimate.State.APPROVED).update(
        state=Estimate.State.DRAFT, approved_at=None, approved_by=""
    )
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


def _cost(line: Line, book: Book, now: datetime) -> Decimal:
    cost = pricing.cost(line.model.key, line.requests, line.quantities, book.rates, now)
    if isinstance(cost, Unpriced):
        raise ValidationError(cost.detail)
    exact = money.exact(cost)
    if exact >= _TOO_MUCH:
        raise ValidationError(f"{line.model.name} would cost more than can be kept.")
    return exact
