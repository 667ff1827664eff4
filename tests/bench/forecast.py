"""`python -m tests.bench.forecast`: how far off a forecast of the next 15 days is.

Eight shapes of spend, each known for 14, 28, 60 and 90 days, in organizations of eight
teams, one of each shape. The linear run-rate (of all days so far, and of the period so far,
the last 15 days) and the days of the week before (seasonal naive) forecast the same series.
The error of a series is |forecast - actual| in percent of the actual; the band of 80 %
should hold the actual in 80 % of them. The last line is JSON, with the better one of the
two run-rates; the exit code is 1 when ours is not the best or the band is not honest.

What tuned the forecast is another generator with other seeds, `forecast_tuning.py`.
"""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import date, timedelta
from decimal import Decimal
from random import Random
from statistics import fmean, median
from typing import NamedTuple

from billing.pricing import forecast
from billing.pricing.forecast import Spread

FIRST_SEED = 20_261_122
ORGANIZATIONS = 24  # per length
LENGTHS = (14, 28, 60, 90)
AHEAD = 15
TODAY = date(2026, 11, 16)
COVERAGE = (0.72, 0.88)


class Series(NamedTuple):
    """The days that are known, and what the next fifteen came to."""

    shape: str
    known: list[Decimal]
    actual: Decimal


# --- Shapes: what each day costs, in units of a team's size -------------------------

OFFICE = (1.1, 1.2, 1.2, 1.1, 1.0, 0.25, 0.15)
SHOP = (0.9, 0.9, 0.8, 0.9, 1.1, 1.5, 0.9)
Shape = Callable[[Random, int, int], list[float]]


def steady(chance: Random, known: int, days: int) -> list[float]:
    """A week that repeats itself, nearly."""
    week = chance.choice((OFFICE, SHOP))
    return [week[day % 7] * chance.lognormvariate(0, 0.12) for day in range(days)]


def step(chance: Random, known: int, days: int) -> list[float]:
    """A new feature, or a cheaper model: another level from some day on."""
    on = chance.randrange(known // 3, known)
    factor = chance.choice((0.3, 0.5, 1.8, 3.0))
    return [
        cost * (factor if day >= on else 1)
        for day, cost in enumerate(steady(chance, known, days))
    ]


def spikes(chance: Random, known: int, days: int) -> list[float]:
    """Once in three weeks a day costs many times as much."""
    return [
        cost * (chance.uniform(4, 15) if chance.random() < 1 / 21 else 1)
        for cost in steady(chance, known, days)
    ]


def gaps(chance: Random, known: int, days: int) -> list[float]:
    """Nobody at work on Saturdays and Sundays, and outages or holidays now and then."""
    costs: list[float] = []
    away = 0
    for day in range(days):
        away = chance.randrange(1, 6) if not away and chance.random() < 0.04 else away
        works = day % 7 < 5 and not away
        costs.append(chance.lognormvariate(0, 0.2) if works else 0.0)
        away = max(0, away - 1)
    return costs


def trend(chance: Random, known: int, days: int) -> list[float]:
    """A few percent more, or less, each week."""
    weekly = chance.choice((0.93, 0.96, 1.04, 1.08))
    return [
        cost * weekly ** (day / 7) for day, cost in enumerate(steady(chance, known, days))
    ]


def launch(chance: Random, known: int, days: int) -> list[float]:
    """Nothing, then a start that takes some weeks to its full use."""
    start = chance.randrange(0, max(1, known - 10))
    weeks = chance.uniform(1, 5)
    return [
        chance.lognormvariate(0, 0.25) * min(1, (day - start + 1) / (7 * weeks))
        if day >= start
        else 0.0
        for day in range(days)
    ]


def intermittent(chance: Random, known: int, days: int) -> list[float]:
    """Jobs that run on some days only, large and small."""
    often = chance.uniform(0.2, 0.6)
    return [
        chance.lognormvariate(0, 0.6) if chance.random() < often else 0.0
        for _ in range(days)
    ]


def noise(chance: Random, known: int, days: int) -> list[float]:
    """A level that wanders a little, without a week."""
    level, costs = 0.0, []
    for _ in range(days):
        level += chance.gauss(0, 0.03)
        costs.append(chance.lognormvariate(level, 0.45))
    return costs


SHAPES: tuple[Shape, ...] = (
    steady,
    step,
    spikes,
    gaps,
    trend,
    launch,
    intermittent,
    noise,
)


def organizations(known: int) -> Iterator[list[Series]]:
    for number in range(ORGANIZATIONS):
        yield [
            _series(shape, known, Random(f"{FIRST_SEED}:{known}:{number}:{shape.__name__}"))  # noqa: S311 - the same series each time
            for shape in SHAPES
        ]


def _series(shape: Shape, known: int, chance: Random) -> Series:
    """Drawn again when nothing is spent before, or nothing to speak of afterwards."""
    size = chance.lognormvariate(4, 1.5)
    while True:
        costs = [Decimal(size * cost) for cost in shape(chance, known, known + AHEAD)]
        if sum(costs[:known]) and sum(1 for cost in costs[known:] if cost) >= 2:
            return Series(shape.__name__, costs[:known], sum(costs[known:], Decimal()))


# --- Forecasts ----------------------------------------------------------------------


class Tried(NamedTuple):
    """One series: the errors in percent, and whether the band held the actual."""

    shape: str
    length: int
    errors: dict[str, float]
    inside: bool


OURS, RUN_RATE, PERIOD, NAIVE = "ours", "run-rate", "run-rate 15", "naive-7"


def tried(series: Series, others: Spread) -> Tried:
    made = forecast.forecast(
        spent=Decimal(0),
        history=series.known,
        today=TODAY,
        today_left=Decimal(1),
        until=TODAY + timedelta(days=AHEAD),
        others=others,
    )
    assert made is not None
    known = series.known
    forecasts = {
        OURS: made.expected,
        RUN_RATE: _mean(known) * AHEAD,
        PERIOD: _mean(known[-AHEAD:]) * AHEAD,
        NAIVE: sum((known[-7 + ahead % 7] for ahead in range(AHEAD)), Decimal()),
    }
    return Tried(
        series.shape,
        len(known),
        {name: _off(total, series.actual) for name, total in forecasts.items()},
        made.low <= series.actual <= made.high,
    )


def _mean(days: Sequence[Decimal]) -> Decimal:
    return sum(days, Decimal()) / len(days)


def _off(total: Decimal, actual: Decimal) -> float:
    return float(abs(total - actual) * 100 / actual)


# --- The run ------------------------------------------------------------------------


def main() -> int:
    found = [
        tried(one, forecast.spread(other.known for other in its if other is not one))
        for length in LENGTHS
        for its in organizations(length)
        for one in its
    ]
    _table("shape", {shape.__name__: _of(found, shape=shape.__name__) for shape in SHAPES})
    _table("days known", {str(length): _of(found, length=length) for length in LENGTHS})
    _table("all", {f"{len(found)} series": found})
    means = {name: fmean(one.errors[name] for one in found) for name in found[0].errors}
    covered = fmean(one.inside for one in found)
    run_rate = min(means[RUN_RATE], means[PERIOD])
    result = {
        "mean_error_pct": round(means[OURS], 1),
        "run_rate_mean_error_pct": round(run_rate, 1),
        "seasonal_naive_mean_error_pct": round(means[NAIVE], 1),
        "band80_coverage": round(covered, 3),
    }
    sys.stdout.write(f"{json.dumps(result)}\n")
    best = means[OURS] < min(run_rate, means[NAIVE])
    return 0 if best and COVERAGE[0] <= covered <= COVERAGE[1] else 1


def _of(found: Sequence[Tried], *, shape: str = "", length: int = 0) -> list[Tried]:
    return [one for one in found if shape in ("", one.shape) and length in (0, one.length)]


def _table(title: str, groups: dict[str, list[Tried]]) -> None:
    names = (OURS, RUN_RATE, PERIOD, NAIVE)
    heads = "".join(f"{name:>18}" for name in names)
    sys.stdout.write(f"{title:14}{heads}  in band (mean / median / p90 error, %)\n")
    for group, its in groups.items():
        cells = "".join(f"{_three(its, name):>18}" for name in names)
        sys.stdout.write(f"{group:14}{cells}  {fmean(one.inside for one in its):.2f}\n")
    sys.stdout.write("\n")


def _three(its: Sequence[Tried], name: str) -> str:
    errors = sorted(one.errors[name] for one in its)
    largest = errors[len(errors) * 9 // 10]
    return f"{fmean(errors):.0f} / {median(errors):.0f} / {largest:.0f}"


if __name__ == "__main__":
    sys.exit(main())
