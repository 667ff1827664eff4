"""How many records fall on which day: whole numbers that add up, from a seed alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import accumulate, pairwise
from random import Random
from typing import Any

from billing.demo import stories
from billing.demo.stories import Workload

SECONDS_A_DAY = 86_400


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a demo is made from: with the same four the same records come out."""

    seed: int
    days: int
    records: int
    now: datetime

    def as_json(self) -> dict[str, Any]:
        return {
            "seed": self.seed,
            "days": self.days,
            "records": self.records,
            "now": self.now.isoformat(),
        }

    @classmethod
    def from_json(cls, kept: dict[str, Any]) -> "Wanted":
        moment = datetime.fromisoformat(kept["now"])
        return cls(kept["seed"], kept["days"], kept["records"], moment)


@dataclass(frozen=True, slots=True)
class Day:
    """A day of the reporting zone, as far as it has passed."""

    date: date
    start: datetime  # in UTC
    seconds: int  # of it, that have passed
    length: int  # 23, 24 or 25 hours

    @property
    def passed(self) -> int:
        """How much of it has passed, in seconds of a day that has 24 hours."""
        return self.seconds * SECONDS_A_DAY // self.length


class Plan:
    """The days up to now, and each workload's records on them."""

    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted
        self.today = wanted.now.astimezone(stories.ZONE).date()
        first = self.today - timedelta(days=wanted.days - 1)
        self.days = [
            _day(first + timedelta(days=offset), wanted.now)
            for offset in range(wanted.days)
        ]
        self._counts = _counts(wanted, self.days, self.today)
        self._numbers = {
            team.slug: dict(zip(self._dates(), self._first_numbers(team.slug), strict=True))
            for team in stories.TEAMS
        }

    @property
    def total(self) -> int:
        return sum(sum(counts.values()) for counts in self._counts.values())

    def records(self, workload: Workload, day: date) -> int:
        return self._counts[workload.name].get(day, 0)

    def records_of(self, team: str, day: date) -> int:
        return sum(self.records(one, day) for one in stories.workloads_of(team))

    def usual_records(self, workload: Workload) -> int:
        """What a day has of it, taken over all days that have any."""
        counts = [count for count in self._counts[workload.name].values() if count]
        return sum(counts) // len(counts) if counts else 0

    def begins(self, workload: Workload) -> date:
        """The first day that has any of it."""
        if workload.last_days is None:
            return self.days[0].date
        later = self.today - timedelta(days=workload.last_days - 1)
        return max(later, self.days[0].date)

    def first_records(self, workload: Workload, days: int) -> Decimal:
        """What each of its first days has of it on average; at least one."""
        first = self.begins(workload)
        counts = [
            self.records(workload, first + timedelta(days=offset)) for offset in range(days)
        ]
        return max(Decimal(sum(counts)) / days, Decimal(1))

    def full_days(self, workload: Workload, month: date) -> list[int]:
        """What each day of a month (its first) has of it, of those that are over."""
        return [
            self.records(workload, day.date)
            for day in self.days
            if day.date.replace(day=1) == month and day.date < self.today
        ]

    def first_number(self, team: str, day: date) -> int:
        """The running number of the team's first record of a day."""
        return self._numbers[team][day]

    def _dates(self) -> list[date]:
        return [day.date for day in self.days]

    def _first_numbers(self, team: str) -> list[int]:
        daily = [self.records_of(team, day) for day in self._dates()]
        return list(accumulate(daily, initial=1))[:-1]


def generator(*names: object) -> Random:
    """A generator of its own for everything that has a name, the same everywhere.

    Only its bits are used: they are the same in every version and on every machine.
    """
    return Random(":".join(map(str, names)))  # noqa: S311 - nothing here is a secret


def shares(total: int, weights: Sequence[int]) -> list[int]:
    """Divide a total in the proportion of the weights; the parts add up to it."""
    whole = sum(weights)
    if not whole:
        return [0] * len(weights)
    ends = [total * part // whole for part in accumulate(weights, initial=0)]
    return [end - begin for begin, end in pairwise(ends)]


def midnight(day: date) -> datetime:
    return datetime.combine(day, time(), stories.ZONE).astimezone(UTC)


def _day(day: date, now: datetime) -> Day:
    start, end = midnight(day), midnight(day + timedelta(days=1))
    passed = min(end, now) - start
    return Day(day, start, _seconds(passed), _seconds(end - start))


def _seconds(duration: timedelta) -> int:
    return duration // timedelta(seconds=1)


def _counts(wanted: Wanted, days: Sequence[Day], today: date) -> dict[str, dict[date, int]]:
    preview = stories.preview_records(wanted.records)
    totals = shares(wanted.records - preview, [one.share for one in stories.WORKLOADS])
    return {
        workload.name: _daily(workload, total, wanted.seed, days, today)
        for workload, total in (
            *zip(stories.WORKLOADS, totals, strict=True),
            (stories.PREVIEW, preview),
        )
    }


def _daily(
    workload: Workload, total: int, seed: int, days: Sequence[Day], today: date
) -> dict[date, int]:
    weights = [_weight(workload, seed, day, today) for day in days]
    counts = dict(zip((day.date for day in days), shares(total, weights), strict=True))
    if total and workload.last_days is not None:
        # So short a story is told on each of its days, in a small demo too.
        for ago in range(min(workload.last_days, len(days))):
            day = today - timedelta(days=ago)
            counts[day] = max(counts[day], 1)
    return counts


def _weight(workload: Workload, seed: int, day: Day, today: date) -> int:
    """The workload's own weight of the day, as far as it has passed, and some chance."""
    chance = 900 + generator(seed, workload.name, day.date, "volume").getrandbits(16) % 201
    passed = sum(
        busy * min(max(day.passed - hour * 3600, 0), 3600)
        for hour, busy in enumerate(workload.hours)
    )
    return workload.weight(day.date, today) * chance * passed // sum(workload.hours)
