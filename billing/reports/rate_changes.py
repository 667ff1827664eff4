"""What a draft changes: beside each of its rates, what it comes after."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from billing.models import LanguageModel, Publication, Rate, rate_book
from billing.pricing import rates as pricing
from billing.pricing.rates import RateBook, Schedule
from billing.pricing.token_classes import UNITS, TokenClass


class Change(StrEnum):
    """What happens to a price, in the words of pages and answers."""

    NEW = "new"  # there was none
    RAISED = "raised"
    LOWERED = "lowered"
    SAME = "same"
    ENDED = "ended"  # there is none any more


@dataclass(frozen=True, slots=True)
class PriceChange:
    """One token class, before and after; prices per `unit`, None where there is none."""

    token_class: TokenClass
    old: Decimal | None
    new: Decimal | None

    @property
    def unit(self) -> int:
        return UNITS[self.token_class]

    @property
    def change(self) -> Change:
        if self.new is None:
            return Change.ENDED
        if self.old is None:
            return Change.NEW
        if self.new == self.old:
            return Change.SAME
        return Change.RAISED if self.new > self.old else Change.LOWERED

    @property
    def difference(self) -> Decimal | None:
        return None if self.old is None or self.new is None else self.new - self.old

    @property
    def percent(self) -> Decimal | None:
        """Of the old price; None where there is no old price, or it is 0."""
        difference = self.difference
        return None if difference is None or not self.old else difference * 100 / self.old


@dataclass(frozen=True, slots=True)
class RateChange:
    """A rate of a draft: what such calls cost before and after it, from its start on.

    `until` is when something else prices them again, where that is known. A stop may
    leave a call to a lower context tier or, on a contract, to the list (`falls_to`).
    """

    rate: Rate
    model: LanguageModel
    prices: list[PriceChange]
    until: datetime | None
    falls_to: Rate | None

    @property
    def change(self) -> Change:
        """What happens to the rate: new, ended, or the way its prices go."""
        changes = {one.change for one in self.prices}
        said = (Change.RAISED, Change.LOWERED, Change.ENDED, Change.NEW)
        return next((one for one in said if one in changes), Change.SAME)


def diff(publication: Publication) -> list[RateChange]:
    """Each rate of a draft against what is in force at its start, in the book's order.

    For a contract what is in force is the contract's rate or else the list's. A tier
    that is new is held against what calls of its size cost before.
    """
    drafted = rate_book.drafted(publication)
    published = rate_book.published()
    organization_id = publication.card.organization_id
    before = rate_book.of(organization_id, published).rates
    after = rate_book.of(organization_id, [*published, *drafted]).rates
    models = LanguageModel.objects.in_bulk({rate.model_id for rate in drafted})
    known = {rate.pk: rate for rate in (*published, *drafted)}
    changes = [
        _change(rate, models[rate.model_id], before, after, known) for rate in drafted
    ]
    return sorted(changes, key=_order)


def _order(change: RateChange) -> tuple[object, ...]:
    rate = change.rate
    return (
        change.model.family,
        change.model.name,
        *(rate.processing != "standard", rate.processing),
        *(rate.speed != "standard", rate.speed),
        *(rate.geo != "global", rate.geo, rate.endpoint, rate.context_tier),
        rate.effective_from,
    )


def _change(
    rate: Rate,
    model: LanguageModel,
    before: RateBook,
    after: RateBook,
    known: dict[int, Rate],
) -> RateChange:
    key = key_of(rate, model)
    old = before.rate(*key, rate.context_tier + 1, rate.effective_from)
    new = after.rate(*key, rate.context_tier + 1, rate.effective_from)
    fallen = rate.stop and new is not None
    return RateChange(
        rate=rate,
        model=model,
        prices=_prices(old, new),
        until=_until(after.schedule(key), rate),
        falls_to=known[new.id] if fallen and new else None,
    )


def key_of(rate: Rate, model: LanguageModel) -> pricing.Key:
    """What a book finds the rate under."""
    return model.key, rate.processing, rate.speed, rate.geo, rate.endpoint


def _prices(old: pricing.Rate | None, new: pricing.Rate | None) -> list[PriceChange]:
    olds = pricing.published_prices(old.prices) if old else {}
    news = pricing.published_prices(new.prices) if new else {}
    return [
        PriceChange(one, olds.get(one), news.get(one))
        for one in TokenClass
        if one in olds or one in news
    ]


def _until(schedule: Schedule | None, rate: Rate) -> datetime | None:
    """The first later start at which another rate prices calls just above its bound."""
    if schedule is None:
        return None
    position = _position(schedule.bounds, rate.context_tier)
    at_start = None
    for start, chosen in zip(schedule.starts, schedule.rates, strict=True):
        if start == rate.effective_from:
            at_start = chosen[position]
        elif start > rate.effective_from and chosen[position] is not at_start:
            return start
    return None


def _position(bounds: Sequence[int], tier: int) -> int:
    return sum(bound <= tier for bound in bounds)
