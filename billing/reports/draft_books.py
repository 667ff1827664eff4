"""The prices as they are and as a draft makes them, and where they differ in time."""

from collections.abc import Sequence
from copy import copy
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from billing.models import LanguageModel, Rate, rate_book
from billing.pricing.rates import Key, RateBook
from billing.reports.rate_changes import key_of

# No zone's day begins earlier before the UTC day of its date, or ends later after it.
_BEFORE_A_DAY = timedelta(hours=14)
_AFTER_A_DAY = timedelta(hours=12)
ONE_DAY = timedelta(days=1)


class Comparison:
    """The book as it is and as the draft makes it, and where the daily sums suffice."""

    def __init__(
        self,
        organization_id: int,
        published: list[Rate],
        drafted: list[Rate],
        days: tuple[date, date],
        throughout: bool,
    ) -> None:
        self.since, self.until = days
        # Before every day that is looked at, in any zone.
        self.earliest = midnight(self.since) - 2 * ONE_DAY
        self.before = rate_book.of(organization_id, published).rates
        if throughout:
            proposed = _throughout(published, drafted, self.earliest)
        else:
            proposed = [*published, *drafted]
        after = rate_book.of(organization_id, proposed)
        self.after, self.ids_by_model = after.rates, after.model_ids
        models = LanguageModel.objects.in_bulk({rate.model_id for rate in drafted})
        self.model_ids = sorted(models)
        self.model_keys = {pk: model.key for pk, model in models.items()}
        self.keys = {key_of(rate, models[rate.model_id]) for rate in drafted}
        self.starts = {key: self._starts(key) for key in self.keys}
        self.every_start = sorted({one for its in self.starts.values() for one in its})
        self.every_bound = sorted({one for key in self.keys for one in self._bounds(key)})
        self._kept: dict[tuple[Key, int, datetime], bool] = {}

    def _starts(self, key: Key) -> list[datetime]:
        """The instants around the days at which a rate of this key starts."""
        first = self.earliest
        last = midnight(self.until) + ONE_DAY
        schedules = (self.before.schedule(key), self.after.schedule(key))
        starts = {start for one in schedules if one for start in one.starts}
        return sorted(start for start in starts if first < start <= last)

    def _bounds(self, key: Key) -> list[int]:
        schedules = (self.before.schedule(key), self.after.schedule(key))
        return sorted({bound for one in schedules if one for bound in one.bounds})

    def starts_near(self, key: Key, day: date) -> list[datetime]:
        """The starts that may lie within a day, whatever its zone is."""
        first = midnight(day) - _BEFORE_A_DAY
        last = midnight(day + ONE_DAY) + _AFTER_A_DAY
        return [start for start in self.starts[key] if first < start < last]

    def keeps_tier(self, key: Key, tier: int, at: datetime) -> bool:
        """Whether calls that were priced in this tier all get one rate from the draft."""
        asked = (key, tier, at)
        if asked not in self._kept:
            self._kept[asked] = len(self._rates_of_tier(key, tier, at)) == 1
        return self._kept[asked]

    def _rates_of_tier(self, key: Key, tier: int, at: datetime) -> set[int | None]:
        return {
            self._id(self.after, key, size, at)
            for size in (0, *(bound + 1 for bound in self._bounds(key)))
            if (kept := self.before.rate(*key, size, at)) is not None and kept.above == tier
        }

    @staticmethod
    def _id(book: RateBook, key: Key, size: int, at: datetime) -> int | None:
        rate = book.rate(*key, size, at)
        return rate.id if rate else None


def _throughout(
    published: Sequence[Rate], drafted: Sequence[Rate], at: datetime
) -> list[Rate]:
    """The draft's latest rates as if they started at `at` and nothing came after them."""
    latest: dict[tuple[Any, ...], Rate] = {}
    for rate in sorted(drafted, key=lambda one: one.effective_from):
        latest[_series(rate)] = rate
    kept = [
        rate
        for rate in published
        if rate.effective_from <= at or _series(rate) not in latest
    ]
    return [*kept, *(_starting(rate, at) for rate in latest.values())]


def _series(rate: Rate) -> tuple[Any, ...]:
    return (
        rate.publication.card_id,
        rate.model_id,
        *(rate.processing, rate.speed, rate.geo, rate.endpoint, rate.context_tier),
    )


def _starting(rate: Rate, at: datetime) -> Rate:
    moved = copy(rate)
    moved.effective_from = at
    return moved


def midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
