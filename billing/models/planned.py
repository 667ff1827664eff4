"""What is planned, before it is kept: lines, the levers they come from, what they cost."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import NamedTuple

from django.core.exceptions import ValidationError

from billing.models import rate_book
from billing.models.catalog import LanguageModel
from billing.models.estimates import Scenario
from billing.models.rate_book import Book
from billing.pricing import estimates as pricing
from billing.pricing import levers, money
from billing.pricing.engine import Unpriced
from billing.pricing.levers import Levers, Share
from billing.pricing.token_classes import Quantities
from billing.pricing.usage import Processing

_TOO_MUCH = Decimal(10) ** 12  # what the column holds
# Of requests or tokens in a line.
MOST = 10**15
_ALL = 100  # percent


class Line(NamedTuple):
    """One model in one scenario and processing, for a whole month: without a month, for
    the first one of the estimate."""

    model: LanguageModel
    scenario: Scenario
    requests: int
    quantities: Quantities
    processing: Processing = Processing.STANDARD
    month: date | None = None


class Chosen(NamedTuple):
    """A model, its part of the requests, and how many tokens it counts for one."""

    model: LanguageModel
    share_percent: Decimal
    token_factor: Decimal = Decimal(1)

    @property
    def share(self) -> Share:
        return Share(self.model.key, self.share_percent, self.token_factor)


def lines_of(
    shapes: Mapping[Scenario, Levers],
    models: Sequence[Chosen],
    first: date,
    months: int,
    plan: Scenario,
) -> list[Line]:
    """What levers come to, month by month.

    Raises ValidationError where the planned scenario is none of them, where shares do not
    add up to 100, where a model is named twice, and above what can be counted.
    """
    if plan not in shapes:
        raise ValidationError(
            {
                "plan": f"There is no {plan} scenario to plan by: fill it in, or plan by "
                "another one."
            }
        )
    by_key = {one.model.key: one.model for one in models}
    if len(by_key) < len(models):
        raise ValidationError({"models": "Each model is named once."})
    shares = [one.share for one in models]
    given = sum((share.percent for share in shares), Decimal())
    if given != _ALL:
        raise ValidationError(
            {
                "models": "The shares of the models have to add up to 100 %: "
                f"they are {money.plain(given)} % together."
            }
        )
    made = [
        Line(
            model=by_key[part.model],
            scenario=scenario,
            requests=part.requests,
            quantities=part.quantities,
            processing=part.processing,
            month=part.month,
        )
        for scenario, its in shapes.items()
        for part in levers.multiplied(its, shares, first, months)
    ]
    if any(max(line.requests, *line.quantities) > MOST for line in made):
        raise ValidationError(
            "That is more than can be planned: look for a digit too many."
        )
    return made


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
