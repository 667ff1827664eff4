"""What past days recommend: a cap for the next period, and where less could be spent.

From numbers to verdicts, each with its amount and a sentence. Thresholds leave room
between them, so that a recommendation does not turn around with every day.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, Decimal
from enum import StrEnum
from typing import NamedTuple

from billing.pricing import figures
from billing.pricing.budget_periods import PeriodKind
from billing.pricing.forecast import Forecast

# A recommended cap is passed in one period of ten: rare enough to be news when it is, and
# not so far off that a fault has a month to spend.
RISK = Decimal("0.1")
# A cap that is passed as often is no limit any more but a habit.
RAISED_FROM = Decimal("0.25")
# A cap that is not passed in a hundred periods, and half as large again as one that is
# passed in ten, warns of nothing.
LOWERED_FROM = Decimal("0.01")
_LARGE = Decimal("1.5")
# Less than a twentieth of what is spent is within what weeks differ by; less than one
# unit of the currency nobody changes a program for.
LEAST_PERCENT = 5
LEAST = Decimal(1)

_CENT_PLACES = -2
_ALWAYS, _MOST_OF_TEN, _A_QUARTER = 99, 90, 25  # percent
_ONE_OF = (100, 50, 20, 10, 5, 4)


class Action(StrEnum):
    """What is to be done."""

    KEEP_CAP = "keep_cap"
    RAISE_CAP = "raise_cap"
    LOWER_CAP = "lower_cap"
    SET_CAP = "set_cap"
    CHANGE_MODEL = "change_model"
    CACHE_THIS = "cache_this"
    BATCH_THAT = "batch_that"
    NOTHING_STANDS_OUT = "nothing_stands_out"


@dataclass(frozen=True, slots=True)
class Verdict:
    """`amount`: of a cap what it becomes (or stays), else what would have been saved.

    `about` names what it is about, for whoever acts on it: a model, a tag.
    """

    action: Action
    amount: Decimal | None
    sentence: str
    rests_on: str
    low_confidence: bool = False
    about: dict[str, str] = field(default_factory=dict)


class Seen(NamedTuple):
    """What verdicts rest on."""

    days: int
    records: int

    @property
    def sentence(self) -> str:
        days = "1 day" if self.days == 1 else f"{self.days:,} days"
        records = "1 record" if self.records == 1 else f"{self.records:,} records"
        return f"{records} on {days}"


# --- The cap ------------------------------------------------------------------------


def cap_for(forecast: Forecast, risk: Decimal = RISK) -> Decimal:
    """The amount that a period passes with no more than this probability, rounded up to
    two digits: nobody sets a cap to the cent."""
    amount = forecast.quantile(1 - risk)
    place = max(amount.adjusted() - 1, _CENT_PLACES)
    # Adding nothing writes 5.2E+3 as 5200.
    return amount.quantize(Decimal(1).scaleb(place), ROUND_CEILING) + 0


def odds(probability: Decimal, kind: PeriodKind) -> str:
    """How often a period is above an amount, in a number that is easily said and never
    too low: "in 1 month of 10". A forecast is never certain, and nothing is said as if."""
    name = "period" if kind is PeriodKind.CUSTOM else kind.value
    percent = math.ceil(probability * 100)
    if percent >= _ALWAYS:
        return f"in almost every {name}"
    if not percent:
        return f"in fewer than 1 {name} of 100"
    if percent > _MOST_OF_TEN:
        return f"in more than 9 {name}s of 10"
    if percent > _A_QUARTER:
        return f"in {(percent + 9) // 10} {name}s of 10"
    return f"in 1 {name} of {next(one for one in _ONE_OF if percent * one <= 100)}"


def of_cap(
    forecast: Forecast, cap: Decimal | None, *, kind: PeriodKind, currency: str, seen: Seen
) -> Verdict:
    """Whether a cap of such periods is to be kept; None: there is none so far."""
    fitting = cap_for(forecast)
    action, amount = _for_cap(forecast, cap, fitting)
    said = _odds_of(forecast, fitting, kind, currency)
    if cap is not None:
        now = f"The cap of {_odds_of(forecast, cap, kind, currency)}"
        said = f"{now}; {said}." if action is not Action.KEEP_CAP else f"{now}."
    else:
        said = f"There is no cap so far: {said}."
    expected = figures.with_currency(forecast.expected, currency)
    low = figures.with_currency(forecast.low, currency)
    high = figures.with_currency(forecast.high, currency)
    return Verdict(
        action=action,
        amount=amount,
        sentence=said,
        rests_on=(
            f"{seen.sentence}; the next {kind.value} is expected to cost {expected} "
            f"({low} to {high} in 8 of 10)."
        ),
        low_confidence=forecast.low_confidence is not None,
    )


def _for_cap(
    forecast: Forecast, cap: Decimal | None, fitting: Decimal
) -> tuple[Action, Decimal]:
    if cap is None:
        return Action.SET_CAP, fitting
    probability = forecast.probability_over(cap)
    if probability >= RAISED_FROM and fitting > cap:
        return Action.RAISE_CAP, fitting
    if probability < LOWERED_FROM and cap > fitting * _LARGE:
        return Action.LOWER_CAP, fitting
    return Action.KEEP_CAP, cap


def _odds_of(forecast: Forecast, cap: Decimal, kind: PeriodKind, currency: str) -> str:
    amount = figures.with_currency(cap, currency)
    return f"{amount} is passed {odds(forecast.probability_over(cap), kind)}"


# --- What would have cost less ------------------------------------------------------


def worth_it(verdicts: Iterable[Verdict], *, spent: Decimal) -> list[Verdict]:
    """Those that save enough of what was spent, the largest first."""
    enough = [
        one
        for one in verdicts
        if one.amount is not None
        and one.amount >= LEAST
        and one.amount * 100 >= spent * LEAST_PERCENT
    ]
    return sorted(enough, key=lambda one: -(one.amount or 0))


def nothing_stands_out(spent: Decimal, *, currency: str, seen: Seen) -> Verdict:
    said = "Nothing was spent on these days."
    if spent:
        whole = figures.with_currency(spent, currency)
        said = (
            "No other model, caching or batching that was looked at would have saved "
            f"{LEAST_PERCENT}{figures.THIN}% of the {whole} that was spent."
        )
    return Verdict(
        action=Action.NOTHING_STANDS_OUT,
        amount=None,
        sentence=said,
        rests_on=f"{seen.sentence}.",
    )
