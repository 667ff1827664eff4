"""What a review shows: the days against their plan, why they differ, and what to do. The
one function behind page and API.

Of a closed review the figures are those that it was closed with. They are read back into
what stands here today: a figure that comes later needs a default, which says of reviews
closed before it that they do not know it.
"""

from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import msgspec
from django.db.models import QuerySet

from billing.models import Review
from billing.pricing import recommendations
from billing.pricing.budget_periods import Period
from billing.pricing.recommendations import Seen, Verdict
from billing.reports import cheaper, recommended_cap, spend, variance
from billing.reports.cheaper import Asked
from billing.reports.recommended_cap import RecommendedCap
from billing.reports.variance import Compared, VarianceReport


@dataclass(frozen=True, slots=True)
class EffectFigure:
    """What one cause adds to the plan, or takes off it."""

    effect: str
    amount: Decimal
    sentence: str


@dataclass(frozen=True, slots=True)
class PlanFigures:
    """Of the planned days (a stretch or more): actual − planned is what the effects add
    up to."""

    planned: Decimal
    actual: Decimal
    percent: Decimal | None
    planned_requests: int
    requests: int
    effects: list[EffectFigure]
    planned_days: list[Period] = field(default_factory=list)

    @property
    def difference(self) -> Decimal:
        return self.actual - self.planned


@dataclass(frozen=True, slots=True)
class ModelFigures:
    """What a model (by its name, and as it is shown) cost on these days."""

    model: str
    name: str
    requests: int
    cost: Decimal


@dataclass(frozen=True, slots=True)
class CapFigures:
    """Of the next period. `budget` and `cap` are those in force; None: there is none."""

    period_start: date
    period_end: date
    expected: Decimal
    low: Decimal
    high: Decimal
    recommended: Decimal
    probability: Decimal
    budget: int | None
    cap: Decimal | None
    cap_probability: Decimal | None
    exhausted_on: date | None
    low_confidence: bool


@dataclass(frozen=True, slots=True)
class ReviewFigures:
    """`plan` is None where no day is planned; `outside` is what days without one cost.

    `team_plan` is the variance of the whole team on the same days, where it has a plan of
    its own and the project has none. `models` are those that cost most, first.
    """

    as_of: datetime
    currency: str
    days: int
    records: int
    spent: Decimal
    outside: Decimal
    unpriced_records: int
    plan: PlanFigures | None
    cap: CapFigures | None
    verdicts: list[Verdict]
    team_plan: PlanFigures | None = None
    models: list[ModelFigures] = field(default_factory=list)

    @property
    def cap_verdict(self) -> Verdict | None:
        """What to do about the cap: the first one, where a cap can be recommended."""
        return self.verdicts[0] if self.cap is not None else None


SHOWN = 100


@dataclass(frozen=True, slots=True)
class Listed:
    """Reviews, newest first, up to 100 in each list; `older_open` and `older` are before
    which id there are more of them."""

    open: list[Review]
    older_open: int | None
    closed: list[Review]
    older: int | None


def listed(
    reviews: QuerySet[Review], *, open_before: int | None = None, before: int | None = None
) -> Listed:
    """Those that are open and those that are closed, each below an id or the newest."""
    its_open = reviews.filter(state=Review.State.OPEN)
    closed = reviews.filter(state=Review.State.KEPT)
    return Listed(*_newest(its_open, open_before), *_newest(closed, before))


def _newest(
    reviews: QuerySet[Review], before: int | None
) -> tuple[list[Review], int | None]:
    if before is not None:
        reviews = reviews.filter(pk__lt=before)
    found = list(reviews.order_by("-pk")[: SHOWN + 1])
    return found[:SHOWN], found[SHOWN - 1].pk if len(found) > SHOWN else None


def figures(review: Review, *, now: datetime) -> ReviewFigures:
    """Select the review with its team, organization and project."""
    if review.figures is not None:
        return msgspec.convert(review.figures, ReviewFigures)
    return _as_they_stand(review, now)


def kept(review: Review, *, now: datetime) -> dict[str, Any]:
    """The figures of now as plain values: what a review is closed with."""
    plain: dict[str, Any] = msgspec.to_builtins(_as_they_stand(review, now))
    return plain


def asked_of(review: Review, found: ReviewFigures, *, now: datetime) -> Asked:
    """What its savings are asked by; `cheaper.question` leads on from it."""
    seen = Seen(found.days, found.records)
    return Asked(review.team, review.project, review.days, seen, now)


def _as_they_stand(review: Review, now: datetime) -> ReviewFigures:
    its = review.days
    report = variance.variance(
        team=review.team, project=review.project, since=its.first, until=its.until
    )
    by_day = spend.by_day(
        team_ids=[review.team_id],
        since=its.first,
        until=its.until,
        project_ids=[review.project_id],
    )
    seen = Seen(
        days=len([one for one in by_day if one.requests > 0]),
        records=sum(one.requests for one in by_day),
    )
    currency = review.team.organization.currency
    cap = recommended_cap.recommended_cap(
        recommended_cap.budget_of(team=review.team, project=review.project), now=now
    )
    asked = Asked(review.team, review.project, its, seen, now)
    savings = recommendations.worth_it(cheaper.found(asked), spent=report.spent)
    nothing = recommendations.nothing_stands_out(report.spent, currency=currency, seen=seen)
    return ReviewFigures(
        as_of=now,
        currency=currency,
        days=seen.days,
        records=seen.records,
        spent=report.spent,
        outside=report.outside,
        unpriced_records=report.exposure.records,
        plan=_plan(report, report.total) if report.total else None,
        cap=_cap(cap, now) if cap else None,
        verdicts=[
            *([_of_cap(cap, seen, now)] if cap else []),
            *(savings or [nothing]),
        ],
        team_plan=None if report.total else _of_team(review),
        models=_models(review),
    )


def _of_team(review: Review) -> PlanFigures | None:
    its = review.days
    report = variance.variance(team=review.team, since=its.first, until=its.until)
    return _plan(report, report.total) if report.plan.is_of_team and report.total else None


def _models(review: Review) -> list[ModelFigures]:
    its = review.days
    rows = spend.by_model(
        team_ids=[review.team_id],
        since=its.first,
        until=its.until,
        project_ids=[review.project_id],
    )
    return [
        ModelFigures(row.model.name, row.model.display_name, row.requests, row.cost)
        for row in rows
    ]


def _plan(report: VarianceReport, total: Compared) -> PlanFigures:
    return PlanFigures(
        planned=total.planned,
        actual=total.actual,
        percent=None if total.percent is None else round(total.percent, 2),
        planned_requests=total.planned_requests,
        requests=total.requests,
        effects=[
            EffectFigure(one.effect.value, one.amount, one.sentence)
            for one in report.drivers
        ],
        planned_days=report.plan.covered,
    )


def _cap_in_force(its: RecommendedCap, now: datetime) -> Decimal | None:
    return its.budget.cap(now) if its.budget.pk else None


def _of_cap(its: RecommendedCap, seen: Seen, now: datetime) -> Verdict:
    return recommendations.of_cap(
        its.forecast,
        _cap_in_force(its, now),
        kind=its.kind,
        currency=its.budget.organization.currency,
        seen=seen,
    )


def _cap(its: RecommendedCap, now: datetime) -> CapFigures:
    cap = _cap_in_force(its, now)
    return CapFigures(
        period_start=its.period.first,
        period_end=its.period.until,
        expected=its.forecast.expected,
        low=its.forecast.low,
        high=its.forecast.high,
        recommended=its.amount,
        probability=its.probability_over(its.amount),
        budget=its.budget.pk,
        cap=cap,
        cap_probability=None if cap is None else its.probability_over(cap),
        exhausted_on=None if cap is None else its.exhausted_on(cap),
        low_confidence=its.forecast.low_confidence is not None,
    )
