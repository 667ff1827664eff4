"""Estimates: a plan for a team's month, priced by the same rates as its usage."""

from collections.abc import Sequence
from datetime import date, datetime
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

    Raises ValidationError where a line has no price, and for an approved estimate.
    """
    if estimate is not None and estimate.state != Estimate.State.DRAFT:
        raise ValidationError("An approved estimate does not change: make a new one.")
    estimate = estimate or Estimate(team=team, created_by=by, created_at=now)
    estimate.month, estimate.plan, estimate.note = month.replace(day=1), plan, note
    estimate.priced_at = now
    estimate.full_clean()
    estimate.save()
    estimate.lines.all().delete()
    book = rate_book.current(team.organization_id)
    EstimateLine.objects.bulk_create(
        EstimateLine(
            estimate=estimate,
            model=line.model,
            scenario=line.scenario,
            requests=line.requests,
            cost=money.exact(_cost(line, book, now)),
            **line.quantities._asdict(),
        )
        for line in lines
    )
    return estimate


@transaction.atomic
def approve(*, estimate: Estimate, by: str, now: datetime) -> None:
    """Make it the plan of its month; the one before it becomes a draft again."""
    if estimate.state == Estimate.State.APPROVED:
        return
    Estimate.objects.filter(
        team=estimate.team_id, month=estimate.month, state=Estimate.State.APPROVED
    ).update(state=Estimate.State.DRAFT, approved_at=None, approved_by="")
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


def _cost(line: Line, book: Book, now: datetime) -> int:
    cost = pricing.cost(line.model.key, line.requests, line.quantities, book.rates, now)
    if isinstance(cost, Unpriced):
        raise ValidationError(cost.detail)
    return cost
