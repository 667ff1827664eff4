"""`python -m tests.bench.bootstrap`: how often the interval of the mean holds the mean.

Populations of costs whose mean is known, samples of 20 to 1,000 of each, and how many of
their intervals hold that mean: nine of ten should. Beside it, how many samples are doubted:
an interval that holds less must not look like one that does. The last line is JSON, over
what is promised: samples of 100 and more, of the log-normal populations with σ ≤ 1 and the
others that are no more spread. The exit code is 1 when one of them lies outside of 86 to
94 %, or ten thousand costs take longer than 300 ms.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from math import exp
from random import Random
from time import process_time
from typing import NamedTuple

from billing.pricing import bootstrap

SIZES = (20, 50, 100, 300, 1000)
PROMISED_FROM = 100
COVERAGE = (0.86, 0.94)
MAX_SECONDS = 0.3
_UNIT = 10**12  # a thousandth of a dollar, of 10⁻¹⁵


class Population(NamedTuple):
    name: str
    draw: Callable[[Random], float]
    mean: float
    promised: bool


class Cell(NamedTuple):
    """Parts of the samples: those whose interval holds the mean, those that are doubted."""

    held: float
    doubted: float


def lognormal(sigma: float) -> Population:
    def draw(chance: Random) -> float:
        return chance.lognormvariate(0, sigma)

    return Population(f"log-normal σ {sigma}", draw, exp(sigma**2 / 2), sigma <= 1)


def _some_free(chance: Random) -> float:
    return 0.0 if chance.random() < 0.3 else chance.lognormvariate(0, 0.5)


def _two_kinds(chance: Random) -> float:
    return chance.lognormvariate(0, 0.5) * (10 if chance.random() < 0.1 else 1)


POPULATIONS = (
    *map(lognormal, (0.25, 0.5, 0.75, 1, 1.25, 1.5, 2)),
    Population("gamma, shape 2", lambda chance: chance.gammavariate(2, 1), 2, True),
    Population("gamma, shape 0.5", lambda chance: chance.gammavariate(0.5, 1), 0.5, False),
    Population("30 % free, others σ 0.5", _some_free, 0.7 * exp(0.125), True),
    Population("10 % ten times as dear", _two_kinds, 1.9 * exp(0.125), False),
    Population("Pareto 2.5", lambda chance: chance.paretovariate(2.5), 5 / 3, False),
    Population("Pareto 1.5", lambda chance: chance.paretovariate(1.5), 3, False),
)


def measured(number: int, size: int, trials: int) -> Cell:
    population = POPULATIONS[number]
    held = doubted = 0
    for trial in range(trials):
        chance = Random(f"{population.name}:{size}:{trial}")  # noqa: S311 - the same samples each time
        costs = [round(population.draw(chance) * _UNIT) for _ in range(size)]
        its = bootstrap.interval(costs)
        held += its is not None and its.low <= population.mean * _UNIT <= its.high
        doubted += bool(bootstrap.doubts(costs))
    return Cell(held / trials, doubted / trials)


def seconds_of_largest() -> float:
    chance = Random(1)  # noqa: S311 - the same costs each time
    costs = [round(chance.lognormvariate(0, 1) * _UNIT) for _ in range(10_000)]
    begun = process_time()
    bootstrap.interval(costs)
    bootstrap.doubts(costs)
    return process_time() - begun


def rows(trials: int) -> Iterator[tuple[Population, list[Cell]]]:
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for number, population in enumerate(POPULATIONS):
            of_size = partial(measured, number, trials=trials)
            yield population, list(pool.map(of_size, SIZES))


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--trials", type=int, default=1000)
    trials = parser.parse_args().trials
    heads = "".join(f"{size:>14,}" for size in SIZES)
    sys.stdout.write(f"{'population':26}{heads}   in % of samples: held (doubted)\n")
    promised: list[float] = []
    populations = 0
    for population, cells in rows(trials):
        written = "".join(
            f"{f'{cell.held * 100:.1f} ({cell.doubted * 100:.0f})':>14}" for cell in cells
        )
        sys.stdout.write(f"{population.name:26}{written}\n")
        sys.stdout.flush()
        if population.promised:
            populations += 1
            promised += [
                cell.held
                for size, cell in zip(SIZES, cells, strict=True)
                if size >= PROMISED_FROM
            ]
    seconds = seconds_of_largest()
    result = {
        "coverage_min": round(min(promised), 3),
        "coverage_max": round(max(promised), 3),
        "populations": populations,
        "trials": trials,
        "seconds_for_10000": round(seconds, 3),
    }
    sys.stdout.write(f"{json.dumps(result, ensure_ascii=False)}\n")
    is_honest = COVERAGE[0] <= min(promised) and max(promised) <= COVERAGE[1]
    return 0 if is_honest and seconds <= MAX_SECONDS else 1


if __name__ == "__main__":
    sys.exit(main())
