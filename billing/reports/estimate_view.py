"""An estimate as it is shown: totals, models side by side, assumptions, proposed cap.

The one function behind page and API, of an estimate that is kept and of one that is being
made.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from billing.models import Estimate, EstimateLine, LanguageModel, planned, rate_book
from billing.models.estimates import Scenario
from billing.models.planned import Chosen, Line
from billing.models.rate_book import Book
from billing.pricing import money, scenarios
from billing.pricing.budget_periods import Period, months_later
from billing.pricing.levers import Levers, Ttl
from billing.pricing.rates import Rate
from billing.pricing.scenarios import Balance
from billing.pricing.token_classes import Quantities, TokenClass
from billing.pricing.usage import Processing
from billing.reports import assumptions
from billing.reports.prices import SINCE_EVER
from teams.models import Organization


@dataclass(frozen=True, slots=True)
class MonthRow:
    """A month of the period: what each scenario comes to."""

    month: date
    requests: dict[Scenario, int]
    costs: dict[Scenario, Decimal]


@dataclass(frozen=True, slots=True)
class ModelRow:
    """One model: what the whole period would cost with all requests on it.

    `costs` has None for a scenario that has no price; `why` says which is missing.
    `per_request` and `balance` are those of the planned scenario.
    """

    model: LanguageModel
    share_percent: Decimal
    token_factor: Decimal
    costs: dict[Scenario, Decimal | None]
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
    for an estimate made by hand from lines, as are `shapes`."""

    period: Period
    plan: Scenario
    scenarios: list[Scenario]
    rows: list[MonthRow]
    totals: dict[Scenario, Decimal]
    models: list[ModelRow]
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


def compute(wanted: Wanted, *, now: datetime) -> EstimateView:
    """What it would come to at the rates in force now; nothing is kept.

    Raises ValidationError as saving it would.
    """
    lines = planned.lines_of(
        wanted.shapes, wanted.models, wanted.month, wanted.months, wanted.plan
    )
    costs = planned.priced(lines, organization_id=wanted.organization.pk, now=now)
    return _view(wanted, zip(lines, costs, strict=True), now)


def of(estimate: Estimate) -> EstimateView:
    """What is kept, with the costs it was saved with."""
    models = estimate.models.select_related("model").order_by("-share_percent", "pk")
    wanted = Wanted(
        organization=estimate.team.organization,
        month=estimate.month,
        months=estimate.months,
        shapes=shapes_of(estimate),
        models=[Chosen(one.model, one.share_percent, one.token_factor) for one in models],
        plan=Scenario(estimate.plan),
        contingency_percent=estimate.contingency_percent,
        source=estimate.source,
    )
    kept = estimate.lines.select_related("model").order_by("pk")
    return _view(wanted, ((_line(one), one.cost) for one in kept), estimate.priced_at)


def lines_of(estimate: Estimate) -> list[Line]:
    """What is kept, as it would be saved."""
    return [_line(one) for one in estimate.lines.select_related("model").order_by("pk")]


def shapes_of(estimate: Estimate) -> dict[Scenario, Levers]:
    """The levers of each scenario, light ones first; none for one made from lines."""
    kept = {Scenario(one.scenario): one for one in estimate.shapes.all()}
    return {
        scenario: Levers(
            **{name: getattr(kept[scenario], name) for name in _TAKEN_OVER},
            cache_ttl=Ttl(kept[scenario].cache_ttl),
        )
        for scenario in Scenario
        if scenario in kept
    }


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
    models = _models(wanted, book, at)
    by_plan = [row.costs.get(wanted.plan, Decimal()) for row in rows]
    starts = [one.effective_from for one in models if one.effective_from is not None]
    said = assumptions.Subject(
        shapes=wanted.shapes,
        models=wanted.models,
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
        totals={one: sum((row.costs[one] for row in rows), Decimal()) for one in shown},
        models=models,
        shapes=dict(wanted.shapes),
        contingency_percent=wanted.contingency_percent,
        proposed_cap=scenarios.proposed_cap(by_plan, wanted.contingency_percent),
        priced_at=at,
        rates_since=said.rates_since,
        assumptions=assumptions.sentences(said),
        warnings=assumptions.warnings(said),
    )


def _models(wanted: Wanted, book: Book, at: datetime) -> list[ModelRow]:
    """Side by side, each with all requests of the period on it."""
    return [_model(one, wanted, book, at) for one in wanted.models if wanted.shapes]


def _model(chosen: Chosen, wanted: Wanted, book: Book, at: datetime) -> ModelRow:
    found = {
        scenario: scenarios.compared(
            its, chosen.share, wanted.month, wanted.months, book.rates, at
        )
        for scenario, its in wanted.shapes.items()
    }
    its_plan = found[wanted.plan]
    unpriced = [one.unpriced.detail for one in found.values() if one.unpriced]
    return ModelRow(
        model=chosen.model,
        share_percent=chosen.share_percent,
        token_factor=chosen.token_factor,
        costs={
            scenario: None if one.cost is None else money.exact(one.cost)
            for scenario, one in found.items()
        },
        per_request=(
            None if its_plan.per_request is None else money.exact(its_plan.per_request)
        ),
        balance=its_plan.balance,
        effective_from=_since(its_plan.rate),
        why=unpriced[0] if unpriced else "",
    )


def _since(rate: Rate | None) -> datetime | None:
    if rate is None or rate.effective_from <= SINCE_EVER:
        return None
    return rate.effective_from
