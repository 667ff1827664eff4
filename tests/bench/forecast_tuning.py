"""What the constants of `billing.pricing.forecast` were chosen by.

Teams as sums of a few projects, each with its week, gamma-distributed days, drift, jumps,
pauses and incidents. `tests.bench.forecast` measures on other shapes, from another
generator with other seeds: a number that was tuned on its own test says nothing.

`python -m tests.bench.forecast_tuning` prints the errors and the coverage on these.
"""

import sys
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from math import exp
from random import Random

from billing.pricing import forecast

SEEDS = (11, 12, 5, 77, 31)
ORGANIZATIONS = 120  # per seed
TEAMS = 6  # per organization
LENGTHS = (14, 28, 60, 90)
AHEAD = 15
TODAY = date(2026, 6, 16)
WEEKS = (
    (1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0),
    (1.0, 1.05, 1.1, 1.05, 0.9, 0.15, 0.1),
    (1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0),
    (0.8, 0.8, 0.8, 0.9, 1.2, 1.4, 1.2),
    (1.2, 1.0, 1.0, 1.0, 1.0, 0.6, 0.5),
)


def team(chance: Random, length: int) -> list[float]:
    """The cost of each day of a team of one to five projects."""
    days = [0.0] * length
    for number in range(chance.choice((1, 1, 2, 3, 5))):
        start = chance.choice((0, 0, 0, 0, chance.randrange(length))) if number else 0
        for day, cost in _project(chance, start, length):
            days[day] += cost
    return days


def _project(chance: Random, start: int, length: int) -> Iterator[tuple[int, float]]:
    size = exp(chance.gauss(3, 1))
    week = chance.choice(WEEKS)
    noise = chance.choice((0.05, 0.15, 0.3, 0.6)) ** 2
    growth = chance.choice((0, 0, 0, 0.005, 0.02, -0.01))
    busy = chance.choice((1, 1, 1, 1, 0.5, 0.15))
    drift = chance.choice((0, 0.02, 0.06))
    jump = chance.choice((0.4, 0.6, 1.6, 2.5, 4)) if chance.random() < 0.4 else 1
    jumps_on = chance.randrange(length)
    pause = chance.randrange(length) if chance.random() < 0.25 else length
    resumes = pause + chance.randrange(2, 9)
    incidents = 0.02 if chance.random() < 0.4 else 0
    level = 0.0
    for day in range(start, length):
        level += chance.gauss(0, drift) if drift else 0
        cost = size * week[day % 7] * exp(growth * (day - start) + level)
        cost *= chance.gammavariate(1 / noise, noise)
        cost *= jump if day >= jumps_on else 1
        cost *= chance.uniform(3, 12) if chance.random() < incidents else 1
        if not pause <= day < resumes and chance.random() < busy:
            yield day, cost


def organizations(seed: int) -> Iterator[list[tuple[list[Decimal], Decimal]]]:
    """Teams of one organization: the days known, and what the next ones came to."""
    chance = Random(seed)  # noqa: S311 - the same teams each time
    for number in range(ORGANIZATIONS):
        length = LENGTHS[number % len(LENGTHS)]
        teams: list[tuple[list[Decimal], Decimal]] = []
        while len(teams) < TEAMS:
            days = team(chance, length + AHEAD)
            if sum(days[:length]) and sum(1 for cost in days[length:] if cost) > 1:
                known = [Decimal(cost) for cost in days[:length]]
                teams.append((known, Decimal(sum(days[length:]))))
        yield teams


def main() -> int:
    errors: list[Decimal] = []
    inside: list[bool] = []
    for seed in SEEDS:
        for teams in organizations(seed):
            histories = [known for known, _ in teams]
            for number, (known, actual) in enumerate(teams):
                made = forecast.forecast(
                    spent=Decimal(0),
                    history=known,
                    today=TODAY,
                    today_left=Decimal(1),
                    until=TODAY.fromordinal(TODAY.toordinal() + AHEAD),
                    others=forecast.spread(histories[:number] + histories[number + 1 :]),
                )
                assert made is not None
                errors.append(abs(made.expected - actual) * 100 / actual)
                inside.append(made.low <= actual <= made.high)
    mean = sum(errors) / len(errors)
    covered = sum(inside) / len(inside)
    sys.stdout.write(f"{len(errors)} series: {mean:.1f} %, band {covered:.2f}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
