"""An estimate as it is shown: totals, models side by side, assumptions, proposed cap.

The one function behind page and API, of an estimate that is kept and of one that is being
made.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from typing import NamedTuple

from django.core.exceptions import ValidationError

from billing.models import (
    Estimate,
    EstimateLine,
    EstimateShape,
    LanguageModel,
    planned,
    rate_book,
)
from billing.models.estimates import Scenario
from billing.models.planned import Chosen, Line
from billing.models.rate_book import Book
from billing.pricing import money, scenarios
from billing.pricing.budget_periods import Period, months_later
from billing.pricing.levers import Factor, Levers, Ttl
from billing.pricing.rates import Rate
from billing.pricing.scenarios import Balance, Compared
from billing.pricing.token_classes import Quantities, TokenClass
from billing.pricing.usage import Processing
from billing.pricing.what_if import Guess
from billing.reports import assumptions
from billing.reports.prices import SINCE_EVER
from teams.models import Organization


@dataclass(frozen=True, slots=True)
class MonthRow:
    """A month of the period: what each scenario comes to."""

    month: date
    requests: dict[Scenario, int]
    costs: dict[Scenario, Decimal]


class Span(NamedTuple):
    """What something may cost: the least and the most."""

    low: Decimal
    high: Decimal


@dataclass(frozen=True, slots=True)
class ModelRow:
    """One model: what the whole period would cost with all requests on it, in the sizes
    of the reference.

    `costs` has None for a scenario that has no price; `why` says which is missing. They
    are by the middle of its `factor`, and may lie in `ranges`, where that is not certain.
    `own` are levers of its own: by those it is planned and not compared. `per_request` and
    `balance` are those of the planned scenario.
    """

    model: LanguageModel
    share_percent: Decimal
    factor: Factor
    own: dict[Scenario, Levers]
    costs: dict[Scenario, Decimal | None]
    ranges: dict[Scenario, Span]
    per_request: Decimal | None
    balance: Balance | None
    effective_from: datetime | None  # of its rate; None: its provider names no beginning
    why: str

    @property
    def per_thousand(self) -> Decimal | None:
        """What 1,000 requests cost on the average."""
        return None if self.per_request is None else self.per_request * 1000


@dataclass(frozen=True, slots=True)
class EstimateView:
    """Amounts are in the organization's currency. `rows` are months, `models` are empty
    for an estimate made by hand from lines, as are `shapes`. `ranges` has the scenarios
    whose total depends on how a tokenizer counts."""

    period: Period
    plan: Scenario
    scenarios: list[Scenario]
    rows: list[MonthRow]
    totals: dict[Scenario, Decimal]
    ranges: dict[Scenario, Span]
    models: list[ModelRow]
    reference: LanguageModel | None
    shapes: dict[Scenario, Levers]
    contingency_percent: int
    proposed_cap: Decimal
    priced_at: datetime
    rates_since: datetime | None  # the newest of its rates
    assumptions: list[str]
    warnings: list[str]

    @property
    def planned(self) -> Decimal:
        """What the whole period is planned to cost."""
        return self.totals.get(self.plan, Decimal())

    @property
    def largest_month(self) -> Decimal:
        """What the proposed cap rests on."""
        return max(
            (row.costs.get(self.plan, Decimal()) for row in self.rows), default=Decimal()
        )


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is being planned, before it is kept."""

    organization: Organization
    month: date
    months: int
    shapes: Mapping[Scenario, Levers]
    models: Sequence[Chosen]
    plan: Scenario = Scenario.MEDIUM
    contingency_percent: int = 0
    source: str = ""
    reference: LanguageModel | None = None


def compute(wanted: Wanted, *, now: datetime) -> EstimateView:
    """What it would come to at the rates in force now; nothing is kept.

    Raises ValidationError as saving it would.
    """
    wanted = _settled(wanted, now)
    lines = planned.lines_of(
        wanted.shapes, wanted.models, wanted.month, wanted.months, wanted.plan
    )
    costs = planned.priced(lines, organization_id=wanted.organization.pk, now=now)
    return _view(wanted, zip(lines, costs, strict=True), now)


def of(estimate: Estimate) -> EstimateView:
    """What is kept, with the costs it was saved with."""
    shapes = _by_model(estimate)
    wanted = Wanted(
        organization=estimate.team.organization,
        month=estimate.month,
        months=estimate.months,
        shapes=shapes.get(None, {}),
        models=_chosen(estimate, shapes),
        plan=Scenario(estimate.plan),
        contingency_percent=estimate.contingency_percent,
        source=estimate.source,
        reference=estimate.reference,
    )
    at, kept = estimate.priced_at, estimate.lines.select_related("model").order_by("pk")
    return _view(_settled(wanted, at), ((_line(one), one.cost) for one in kept), at)


def _settled(wanted: Wanted, at: datetime) -> Wanted:
    models = planned.settled(
        wanted.models,
        wanted.shapes,
        wanted.reference,
        organization_id=wanted.organization.pk,
        now=at,
    )
    return replace(wanted, models=models)


def lines_of(estimate: Estimate) -> list[Line]:
    """What is kept, as it would be saved."""
    return [_line(one) for one in estimate.lines.select_related("model").order_by("pk")]


def models_of(estimate: Estimate) -> list[Chosen]:
    """The models of one made by levers as they were asked for, most requests first: with
    the factors that were typed, and no others."""
    models = _chosen(estimate, _by_model(estimate))
    reference = planned.reference_of(models, estimate.reference)
    return [planned.as_said(one, reference) for one in models]


def _chosen(
    estimate: Estimate, shapes: Mapping[int | None, Mapping[Scenario, Levers]]
) -> list[Chosen]:
    kept = estimate.models.select_related("model").order_by("-share_percent", "pk")
    return [
        Chosen(one.model, one.share_percent, one.factor, shapes.get(one.model_id, {}))
        for one in kept
    ]


def shapes_of(estimate: Estimate) -> dict[Scenario, Levers]:
    """The levers of each scenario, light ones first; none for one made from lines."""
    return _by_model(estimate).get(None, {})


def _by_model(estimate: Estimate) -> dict[int | None, dict[Scenario, Levers]]:
    """The levers of each model that has its own, and of the others under None."""
    kept = list(estimate.shapes.all())
    return {
        model_id: {
            scenario: _levers(one)
            for scenario in Scenario
            for one in kept
            if (one.model_id, one.scenario) == (model_id, scenario)
        }
        for model_id in dict.fromkeys(one.model_id for one in kept)
    }


def _levers(kept: EstimateShape) -> Levers:
    its = {name: getattr(kept, name) for name in _TAKEN_OVER}
    return Levers(**its, cache_ttl=Ttl(kept.cache_ttl))


_TAKEN_OVER = [name for name in Levers._fields if name != "cache_ttl"]


def _line(kept: EstimateLine) -> Line:
    return Line(
        model=kept.model,
        scenario=Scenario(kept.scenario),
        requests=kept.requests,
        quantities=Quantities(*(getattr(kept, name) for name in TokenClass)),
        processing=Processing(kept.processing),
        month=kept.month,
    )


def _view(
    wanted: Wanted, costed: Iterable[tuple[Line, Decimal]], at: datetime
) -> EstimateView:
    book = rate_book.current(wanted.organization.pk)
    costs: dict[tuple[date, Scenario], Decimal] = defaultdict(Decimal)
    requests: dict[tuple[date, Scenario], int] = defaultdict(int)
    for line, cost in costed:
        place = (line.month or wanted.month, line.scenario)
        costs[place] += cost
        requests[place] += line.requests
    shown = [one for one in Scenario if any(one == scenario for _, scenario in costs)]
    months = [months_later(wanted.month, number) for number in range(wanted.months)]
    rows = [
        MonthRow(
            month,
            {one: requests[month, one] for one in shown},
            {one: costs[month, one] for one in shown},
        )
        for month in months
    ]
    totals = {one: sum((row.costs[one] for row in rows), Decimal()) for one in shown}
    ranges = _ranges(wanted, totals, at)
    alike = _alike(wanted, at)
    models = _models(wanted, alike, book, at)
    by_plan = [row.costs.get(wanted.plan, Decimal()) for row in rows]
    starts = [one.effective_from for one in models if one.effective_from is not None]
    said = assumptions.Subject(
        shapes=wanted.shapes,
        models=wanted.models,
        alike=alike.models,
        reference=planned.reference_of(wanted.models, wanted.reference),
        ranges=ranges,
        plan=wanted.plan,
        month=wanted.month,
        months=wanted.months,
        contingency_percent=wanted.contingency_percent,
        source=wanted.source,
        priced_at=at,
        rates_since=max(starts, default=None),
        organization=wanted.organization,
    )
    return EstimateView(
        period=Period(wanted.month, months_later(wanted.month, wanted.months)),
        plan=wanted.plan,
        scenarios=shown,
        rows=rows,
        totals=totals,
        ranges=ranges,
        models=models,
        reference=said.reference if wanted.shapes else None,
        shapes=dict(wanted.shapes),
        contingency_percent=wanted.contingency_percent,
        proposed_cap=scenarios.proposed_cap(by_plan, wanted.contingency_percent),
        priced_at=at,
        rates_since=said.rates_since,
        assumptions=assumptions.sentences(said),
        warnings=assumptions.warnings(said),
    )


def _alike(wanted: Wanted, at: datetime) -> Wanted:
    """The same without sizes of their own: models are compared by the same requests, each
    as it counts their tokens."""
    if not any(one.own for one in wanted.models):
        return wanted
    models = [
        one._replace(own={}, factor=None) if one.own else one for one in wanted.models
    ]
    return _settled(replace(wanted, models=models), at)


def _models(wanted: Wanted, alike: Wanted, book: Book, at: datetime) -> list[ModelRow]:
    """Side by side, each with all requests of the period on it."""
    return [
        _model(one, chosen.own, alike, book, at)
        for one, chosen in zip(alike.models, wanted.models, strict=True)
        if wanted.shapes
    ]


def _model(
    chosen: Chosen,
    own: Mapping[Scenario, Levers],
    wanted: Wanted,
    book: Book,
    at: datetime,
) -> ModelRow:
    def compared(scenario: Scenario, guess: Guess) -> Compared:
        its, share = wanted.shapes[scenario], chosen.share(scenario, guess)
        return scenarios.compared(its, share, wanted.month, wanted.months, book.rates, at)

    factor = chosen.factor or Factor()
    found = {one: compared(one, Guess.MID) for one in wanted.shapes}
    ends = {
        one: [compared(one, guess) for guess in Guess]
        for one in wanted.shapes
        if not factor.is_certain
    }
    its_plan = found[wanted.plan]
    unpriced = [one.unpriced.detail for one in found.values() if one.unpriced]
    return ModelRow(
        model=chosen.model,
        share_percent=chosen.share_percent,
        factor=factor,
        own=dict(own),
        costs={
            scenario: None if one.cost is None else money.exact(one.cost)
            for scenario, one in found.items()
        },
        ranges={
            scenario: span
            for scenario, its in ends.items()
            if (span := _span([one.cost for one in its])) is not None
        },
        per_request=(
            None if its_plan.per_request is None else money.exact(its_plan.per_request)
        ),
        balance=its_plan.balance,
        effective_from=_since(its_plan.rate),
        why=unpriced[0] if unpriced else "",
    )


def _span(costs: Sequence[int | None]) -> Span | None:
    """From the least to the most; None where one of them has no price. It is not always
    the fewest tokens that cost least: a prefix may be too short to be cached."""
    known = [money.exact(one) for one in costs if one is not None]
    return Span(min(known), max(known)) if known and len(known) == len(costs) else None


def _ranges(
    wanted: Wanted, totals: Mapping[Scenario, Decimal], at: datetime
) -> dict[Scenario, Span]:
    """Of all that is planned, where a factor of it is not certain."""
    factors = [one.factor for one in wanted.models if one.share_percent]
    if all(factor is None or factor.is_certain for factor in factors):
        return {}
    try:
        ends = [totals, *(_at_end(wanted, end, at) for end in (Guess.LOW, Guess.HIGH))]
    except ValidationError:
        # There is no price at one of the ends, or not any more: then none is known.
        return {}
    return {
        one: Span(min(its[one] for its in ends), max(its[one] for its in ends))
        for one in totals
    }


def _at_end(wanted: Wanted, guess: Guess, at: datetime) -> Mapping[Scenario, Decimal]:
    """The totals at one end of the factors. Raises ValidationError without a price."""
    lines = planned.lines_of(
        wanted.shapes, wanted.models, wanted.month, wanted.months, wanted.plan, guess
    )
    costs = planned.priced(lines, organization_id=wanted.organization.pk, now=at)
    sums: dict[Scenario, Decimal] = defaultdict(Decimal)
    for line, cost in zip(lines, costs, strict=True):
        sums[line.scenario] += cost
    return sums


def _since(rate: Rate | None) -> datetime | None:
    if rate is None or rate.effective_from <= SINCE_EVER:
        return None
    return rate.effective_from
