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
from billing.pricing import levers, money, text_tokens
from billing.pricing.engine import Unpriced
from billing.pricing.levers import Factor, Levers, Share
from billing.pricing.rates import RateBook
from billing.pricing.text_tokens import Times
from billing.pricing.token_classes import Quantities, TokenClass
from billing.pricing.usage import Processing
from billing.pricing.what_if import Guess

_TOO_MUCH = Decimal(10) ** 12  # what the column holds
# Of requests or tokens in a line.
MOST = 10**15
_ALL = 100  # percent
_PLACE = {token_class: place for place, token_class in enumerate(TokenClass)}


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
    """A model, its part of the requests, and how its tokens compare with the levers'.

    Without a `factor` that is told by the tokenizers. `own` are levers that are known of
    its own requests. `without` are classes that it has no price for.
    """

    model: LanguageModel
    share_percent: Decimal
    factor: Factor | None = None
    own: Mapping[Scenario, Levers] = {}
    without: frozenset[TokenClass] = frozenset()

    def share(self, scenario: Scenario, guess: Guess = Guess.MID) -> Share:
        return Share(
            model=self.model.key,
            percent=self.share_percent,
            token_factor=getattr(self.factor or Factor(), guess),
            own=self.own.get(scenario),
            without=self.without,
        )


def reference_of(
    models: Sequence[Chosen], reference: LanguageModel | None
) -> LanguageModel | None:
    """Whose tokens the levers count: the one that is said, or gets the most requests."""
    most = max(models, key=lambda one: one.share_percent, default=None)
    return most.model if reference is None and most else reference


def settled(
    models: Sequence[Chosen],
    shapes: Mapping[Scenario, Levers],
    reference: LanguageModel | None,
    *,
    organization_id: int,
    now: datetime,
) -> list[Chosen]:
    """Models with what was left open of them: the factor, and what they do without.

    The levers are those of the reference; it has none of its own.
    """
    whose = reference_of(models, reference)
    rates = rate_book.current(organization_id).rates
    return [_settled(one, shapes, whose, rates, now) for one in models]


def _settled(
    chosen: Chosen,
    shapes: Mapping[Scenario, Levers],
    reference: LanguageModel | None,
    rates: RateBook,
    now: datetime,
) -> Chosen:
    is_reference = chosen.model == reference
    own = {
        scenario: chosen.own[scenario]._replace(
            **{name: getattr(its, name) for name in levers.VOLUME}
        )
        for scenario, its in shapes.items()
        if scenario in chosen.own and not is_reference
    }
    found = chosen._replace(own=own)
    if own or found.factor is None:
        found = found._replace(factor=_told(found, reference))
    without = frozenset[TokenClass]().union(
        *(_without(found.share(one), its, rates, now) for one, its in shapes.items())
    )
    return found._replace(without=without)


def as_said(chosen: Chosen, reference: LanguageModel | None) -> Chosen:
    """A settled model as it was asked for: a factor that nobody typed is left open again.

    One that is typed is certain, and not what the tokenizers tell.
    """
    factor = chosen.factor
    if factor is None or not factor.is_certain or factor == _told(chosen, reference):
        return chosen._replace(factor=None)
    return chosen


def _told(chosen: Chosen, reference: LanguageModel | None) -> Factor:
    """The factor of a model for which none is typed."""
    if chosen.own or reference is None:
        return Factor()
    return _kept(text_tokens.factor(reference.key, chosen.model.key))


def _kept(times: Times) -> Factor:
    """As many places as are kept, so that what is computed is what is saved."""
    return Factor(*(Decimal(money.nearest(one * 10**9)).scaleb(-9) for one in times))


def _without(share: Share, its: Levers, rates: RateBook, now: datetime) -> set[TokenClass]:
    """What a request has beside text, and its model no price for."""
    used = {name for name, count in share.sizes(its).beside_text.items() if count}
    if not used:
        return set()
    quantities = levers.quantities(its, share, 1)
    processings = [Processing.STANDARD]
    if share.sizes(its).batch_percent:
        processings.append(Processing.BATCH)
    found = [
        pricing.rate_of(share.model, 1, quantities, rates, now, one) for one in processings
    ]
    return {
        name
        for name in used
        if any(rate is not None and rate.prices[_PLACE[name]] is None for rate in found)
    }


def lines_of(
    shapes: Mapping[Scenario, Levers],
    models: Sequence[Chosen],
    first: date,
    months: int,
    plan: Scenario,
    guess: Guess = Guess.MID,
) -> list[Line]:
    """What levers come to, month by month, for models that are settled.

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
    given = sum((one.share_percent for one in models), Decimal())
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
        for part in levers.multiplied(
            its, [one.share(scenario, guess) for one in models], first, months
        )
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
