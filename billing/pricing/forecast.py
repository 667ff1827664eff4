"""What a period will have cost at its end: a centre, a band, and how sure that is.

A *level* (an exponentially weighted mean of winsorised days) times a *weekday profile*
(shrunk towards a flat week) gives each day to come. How far such forecasts were off, made
from each past day for the days after it, gives the band; few days of one's own count
beside what is known of the organization, and of teams in general.

Statistics are inexact by nature: inside, and only here, they are floats. Amounts come in
and go out as Decimals, and what is already spent is carried through exactly.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from enum import StrEnum
from itertools import accumulate
from math import exp, log, sqrt
from statistics import NormalDist
from typing import NamedTuple

# With fewer days of data a forecast is of low confidence, and leans on the plan.
ENOUGH_DAYS = 14

# The weight of the newest day in the level: a step is followed by half in a week.
_NEWEST = 0.125
# A day counts for no more than the second largest of so many days up to it, and for no
# less than the second smallest: a single spike is cut, a step believed on its second day.
_WINDOW = 14
_SURE_WINDOW = 7  # fewer days are taken as they are
# As if so many flat weeks had been seen before the first one.
_FLAT_WEEKS = 1
_WEEK = 7
# An error counts for no more than this: 4.5 times too much or too little.
_LARGEST_ERROR = 1.5
# How much what is known of others counts, in stretches of days as long as the forecast's.
_OTHERS = 3
_GENERAL = 4
# By what the error of few days is larger.
_DOUBT = 1.4
# The horizon, in days, of the errors that are known of others.
HORIZON = 15
# A forecast for more days than so many times those seen is of low confidence.
_TOO_FAR = 4

_STANDARD = NormalDist()
_OUTER = Decimal("0.1")  # below the band, and above it
_MICRO = Decimal("0.000001")
_HUNDREDTH = Decimal("0.01")
_ONE_DAY = timedelta(days=1)


class LowConfidence(StrEnum):
    """Why a forecast is to be taken with care."""

    PLAN = "plan"  # no whole day was seen: it is the plan, spread over the days
    FEW_DAYS = "few_days"
    FAR = "far"  # many more days to come than were seen


class Spread(NamedTuple):
    """How far forecasts were off, as standard deviations of log(actual ÷ forecast).

    `down` of actuals below, `up` of those above. `stretches` is how much was seen: the
    days, in units of the days forecast at a time.
    """

    down: Decimal
    up: Decimal
    stretches: Decimal


# Of synthetic teams (tests/bench/forecast_tuning.py); any real errors outweigh it soon.
GENERAL = Spread(Decimal("0.35"), Decimal("0.55"), Decimal(_GENERAL))
UNKNOWN = Spread(Decimal(0), Decimal(0), Decimal(0))


class Ahead(NamedTuple):
    """The end of a day to come: what the period will have cost by then."""

    day: date
    low: Decimal
    expected: Decimal
    high: Decimal


@dataclass(frozen=True, slots=True)
class Forecast:
    """Of the total of a period. `expected` is its median; the band holds 80 %.

    `rests` is what each day from today on is expected to add up to, beyond `spent`.
    `seen` is the number of whole days of data. All amounts are rounded to micro-units.
    """

    spent: Decimal
    rests: tuple[tuple[date, float], ...]
    down: float
    up: float
    seen: int
    low_confidence: LowConfidence | None

    @property
    def expected(self) -> Decimal:
        return self._with(self._rest)

    @property
    def low(self) -> Decimal:
        return self.quantile(_OUTER)

    @property
    def high(self) -> Decimal:
        return self.quantile(1 - _OUTER)

    @property
    def _rest(self) -> float:
        return self.rests[-1][1]

    def quantile(self, probability: Decimal) -> Decimal:
        """Return the amount that the total stays below with this probability.

        Strictly between 0 and 1: nothing is certain before the end.
        """
        return self._with(self._rest * self._factor(probability))

    def probability_over(self, amount: Decimal) -> Decimal:
        """Return the probability (0–1, two places) of a total above `amount`."""
        room = amount - self.spent
        if room < 0:
            return Decimal(1)
        if not self._rest:
            return Decimal(0)
        if not room:
            return Decimal(1)
        off = log(float(room)) - log(self._rest)
        above = 1 - _STANDARD.cdf(off / (self.up if off > 0 else self.down))
        return Decimal(above).quantize(_HUNDREDTH, ROUND_HALF_EVEN)

    def exhausted_on(self, cap: Decimal) -> date | None:
        """Return the first day, from today on, by whose end the cap is expected to be
        reached; None when the period ends below it."""
        if self.expected < cap:  # what is expected of a day is never negative
            return None
        return next((day for day, rest in self.rests if self._with(rest) >= cap), None)

    def beginning(self, first: date) -> "Forecast":
        """Return the forecast of the days from `first` on alone: nothing of them is spent
        yet, and what the days before them cost is not in it."""
        before = max((rest for day, rest in self.rests if day < first), default=0.0)
        return replace(
            self,
            spent=Decimal(),
            rests=tuple((day, rest - before) for day, rest in self.rests if day >= first),
        )

    def path(self) -> list[Ahead]:
        """From the end of today to that of the period, in the same band."""
        low, high = self._factor(_OUTER), self._factor(1 - _OUTER)
        return [
            Ahead(day, self._with(rest * low), self._with(rest), self._with(rest * high))
            for day, rest in self.rests
        ]

    def _factor(self, probability: Decimal) -> float:
        deviations = _STANDARD.inv_cdf(float(probability))
        return exp(deviations * (self.up if deviations > 0 else self.down))

    def _with(self, rest: float) -> Decimal:
        return self.spent + Decimal(rest).quantize(_MICRO, ROUND_HALF_EVEN)


def forecast(
    *,
    spent: Decimal,
    history: Sequence[Decimal],
    today: date,
    today_left: Decimal,
    until: date,
    planned_daily: Decimal | None = None,
    others: Spread = UNKNOWN,
) -> Forecast | None:
    """Return the forecast of a period that ends before the day `until`.

    `spent` is what it has cost so far, `history` the cost of each day up to yesterday (of
    the days before the period too), `today_left` the share (0–1) of today that is left,
    `planned_daily` what a day was planned to cost, `others` the errors of others. Without
    a whole day of data and without a plan there is no forecast; nor for a period that is
    over.
    """
    if until <= today:
        return None
    days = _begun(history)
    if not days and planned_daily is None:
        return None
    states = list(_states(days))
    level, profile = states[-1] if states else _State(0.0, _FLAT)
    weight = max(0, ENOUGH_DAYS - len(days)) / ENOUGH_DAYS
    if planned_daily is not None:
        level = weight * float(planned_daily) + (1 - weight) * level
    ahead = (until - today).days
    shares = [float(today_left), *([1.0] * (ahead - 1))]
    daily = (
        level * profile[(len(days) + offset) % _WEEK] * share
        for offset, share in enumerate(shares)
    )
    down, up = _deviations(days, states, ahead, others)
    return Forecast(
        spent=spent,
        rests=tuple(
            (today + offset * _ONE_DAY, rest)
            for offset, rest in enumerate(accumulate(daily))
        ),
        down=down,
        up=up,
        seen=len(days),
        low_confidence=_low_confidence(len(days), ahead),
    )


def spread(histories: Iterable[Sequence[Decimal]]) -> Spread:
    """Return how far forecasts of `HORIZON` days were off in all of these histories."""
    below = above = stretches = 0.0
    for history in histories:
        days = _begun(history)
        own = _errors(days, list(_states(days)), HORIZON)
        below += own.below * own.stretches
        above += own.above * own.stretches
        stretches += own.stretches
    if not stretches:
        return UNKNOWN
    places = Decimal("0.0001")
    return Spread(
        down=Decimal(sqrt(below / stretches)).quantize(places),
        up=Decimal(sqrt(above / stretches)).quantize(places),
        stretches=Decimal(stretches).quantize(places),
    )


def _low_confidence(seen: int, ahead: int) -> LowConfidence | None:
    if not seen:
        return LowConfidence.PLAN
    if seen < ENOUGH_DAYS:
        return LowConfidence.FEW_DAYS
    return LowConfidence.FAR if ahead > _TOO_FAR * seen else None


# --- Level and profile --------------------------------------------------------------


class _State(NamedTuple):
    """After some days: the level, and the factor of each day of the week.

    The profile is indexed by the number of a day in the history, modulo seven.
    """

    level: float
    profile: Sequence[float]


_FLAT = (1.0,) * _WEEK


def _begun(history: Sequence[Decimal]) -> list[float]:
    """The days from the first that something was spent on."""
    start = next((number for number, cost in enumerate(history) if cost), len(history))
    return [float(cost) for cost in history[start:]]


def _states(days: Sequence[float]) -> Iterator[_State]:
    """The state after each of the days, known from it and those before it alone."""
    week = _Week()
    taken: list[float] = []
    cost = weight = 0.0
    for number, _ in enumerate(days):
        taken.append(_winsorised(days[max(0, number + 1 - _WINDOW) : number + 1]))
        week.see(taken)
        profile = week.profile()
        # Days are added up with what their weekday has to a week, and not divided by it:
        # a team without weekends has nothing there to divide by.
        cost = cost * (1 - _NEWEST) + taken[-1]
        weight = weight * (1 - _NEWEST) + profile[number % _WEEK]
        yield _State(max(cost / weight, 0.0), profile)


def _winsorised(window: Sequence[float]) -> float:
    if len(window) < _SURE_WINDOW:
        return window[-1]
    ranked = sorted(window)
    return min(max(window[-1], ranked[1]), ranked[-2])


class _Week:
    """What each day of the week was, as a multiple of the mean of the seven days to it."""

    def __init__(self) -> None:
        self._sums = [float(_FLAT_WEEKS)] * _WEEK
        self._counts = [_FLAT_WEEKS] * _WEEK

    def see(self, taken: Sequence[float]) -> None:
        if len(taken) < _WEEK:
            return
        mean = sum(taken[-_WEEK:]) / _WEEK
        if mean <= 0:
            return
        # The first mean is that of the whole first week.
        for number in range(0 if len(taken) == _WEEK else len(taken) - 1, len(taken)):
            multiple = min(max(taken[number] / mean, 0.0), float(_WEEK))
            self._sums[number % _WEEK] += multiple
            self._counts[number % _WEEK] += 1

    def profile(self) -> Sequence[float]:
        means = [
            total / count for total, count in zip(self._sums, self._counts, strict=True)
        ]
        whole = sum(means)
        return [mean * _WEEK / whole for mean in means]


# --- Errors -------------------------------------------------------------------------


class _Errors(NamedTuple):
    """Mean squares of log(actual ÷ forecast), below and above, as if both sides had been
    seen equally often; so a bias widens the side it is on."""

    below: float
    above: float
    stretches: float
    horizon: int


_NO_ERRORS = _Errors(0.0, 0.0, 0.0, HORIZON)


def _errors(days: Sequence[float], states: Sequence[_State], ahead: int) -> _Errors:
    """Of forecasts of so many days, or of half of those that were seen since there were
    enough; one is made after each day that had enough before it."""
    horizon = min(ahead, (len(days) - ENOUGH_DAYS) // 2)
    if horizon < 1:
        return _NO_ERRORS
    found: list[float] = []
    sums = [0.0, *accumulate(days)]
    for seen, state in enumerate(states, start=1):
        if ENOUGH_DAYS <= seen <= len(days) - horizon:
            weeks, rest = divmod(horizon, _WEEK)
            profile = weeks * _WEEK + sum(
                state.profile[(seen + offset) % _WEEK] for offset in range(rest)
            )
            error = _error(sums[seen + horizon] - sums[seen], state.level * profile)
            found += [error] if error is not None else []
    if not found:
        return _NO_ERRORS
    return _Errors(
        below=2 * sum(error**2 for error in found if error < 0) / len(found),
        above=2 * sum(error**2 for error in found if error > 0) / len(found),
        stretches=len(found) / horizon,
        horizon=horizon,
    )


def _error(actual: float, expected: float) -> float | None:
    if expected <= 0:
        return None
    if actual <= 0:
        return -_LARGEST_ERROR
    return max(-_LARGEST_ERROR, min(_LARGEST_ERROR, log(actual / expected)))


def _deviations(
    days: Sequence[float], states: Sequence[_State], ahead: int, others: Spread
) -> tuple[float, float]:
    """How far the actual may lie below and above: own errors beside those of others."""
    own = _errors(days, states, ahead)
    own_growth, growth = _growth(ahead, own.horizon), _growth(ahead, HORIZON)
    # Few days say little about the level too.
    doubt = _DOUBT if len(days) < ENOUGH_DAYS else 1.0
    seen = float(others.stretches)

    def blended(mine: float, theirs: Decimal, general: Decimal) -> float:
        prior = (seen * float(theirs) + _GENERAL * float(general)) / (seen + _GENERAL)
        prior *= growth * doubt
        whole = own.stretches * sqrt(mine) * own_growth + _OTHERS * prior
        return whole / (own.stretches + _OTHERS)

    return (
        blended(own.below, others.down, GENERAL.down),
        blended(own.above, others.up, GENERAL.up),
    )


def _growth(ahead: int, measured: int) -> float:
    """By what an error grows when it is farther ahead than was measured."""
    return max(1.0, sqrt(sqrt(ahead / measured)))
