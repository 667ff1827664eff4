"""The prices in force, read from the database for the pricing engine."""

from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from django.db import connection

from billing.models.catalog import Alias, LanguageModel
from billing.models.rates import PRICE_FIELDS, Publication, Rate, RateCard
from billing.pricing import rates as pricing
from billing.pricing.token_classes import TokenClass
from billing.pricing.usage import Processing, Speed


class Book(NamedTuple):
    """A rate book, and what ties its names back to rows."""

    rates: pricing.RateBook
    model_ids: dict[str, int]
    version: str


# Aliases and publications are added, withdrawn and deleted, never changed in place, so
# these numbers change with every change of the prices: a publication that is withdrawn
# stays, so that one withdrawn and another published leave no count as it was.
_VERSION = f"""
SELECT concat_ws('.',
    (SELECT max(id) FROM {Publication._meta.db_table} WHERE state = 'published'),
    (SELECT count(*) FROM {Publication._meta.db_table} WHERE state = 'published'),
    (SELECT count(*) FROM {Publication._meta.db_table} WHERE state = 'withdrawn'),
    (SELECT max(id) FROM {Alias._meta.db_table}),
    (SELECT count(*) FROM {Alias._meta.db_table}))
"""


def current(organization_id: int) -> Book:
    """What prices an organization's records now: its contracts, then the list prices.

    The version is read in the caller's transaction; the rates behind it only when it is
    not the one this process read last.
    """
    return _read(organization_id, version())


def published() -> list[Rate]:
    """The rates of every card, in the order in which later ones win."""
    return list(Rate.objects.published().select_related("publication__card"))


def drafted(publication: Publication) -> list[Rate]:
    """The rates of a draft, which its publication would put behind all others."""
    rates = Rate.objects.filter(publication=publication).order_by("pk")
    return list(rates.select_related("publication__card"))


def of(organization_id: int | None, rates: Iterable[Rate]) -> Book:
    """A book of these rates alone; of two with one start the later in order counts.

    Without an organization there are list prices only. The rates' cards are selected.
    """
    return _book(organization_id, rates, "")


def version() -> str:
    with connection.cursor() as cursor:
        cursor.execute(_VERSION)
        return str(cursor.fetchone()[0])


@lru_cache(maxsize=64)
def _read(organization_id: int, version: str) -> Book:
    return _book(organization_id, published(), version)


def _book(organization_id: int | None, rates: Iterable[Rate], version: str) -> Book:
    models = {model.pk: model for model in LanguageModel.objects.all()}
    contracts: list[pricing.Rate] = []
    lists: list[pricing.Rate] = []
    for rate in rates:
        card = rate.publication.card
        if card.kind == RateCard.Kind.LIST:
            lists.append(_as_priced(rate, models[rate.model_id]))
        elif card.organization_id == organization_id:
            contracts.append(_as_priced(rate, models[rate.model_id]))
    aliases = {
        (alias.provider, alias.name): models[alias.model_id].key
        for alias in Alias.objects.all()
    }
    return Book(
        rates=pricing.RateBook([contracts, lists], aliases),
        model_ids={model.key: model.pk for model in models.values()},
        version=version,
    )


def unit_prices(rate_ids: Iterable[int]) -> dict[int, pricing.Prices]:
    """Prices of one unit (10⁻¹⁵ of the currency) of these rates, in force or not."""
    found = Rate.objects.in_bulk(list(rate_ids))
    return {rate_id: _unit_prices(rate) for rate_id, rate in found.items()}


def _unit_prices(rate: Rate) -> pricing.Prices:
    published = {
        TokenClass(field): getattr(rate, field)
        for field in PRICE_FIELDS
        if getattr(rate, field) is not None
    }
    return pricing.prices_per_unit(published)


def _as_priced(rate: Rate, model: LanguageModel) -> pricing.Rate:
    return pricing.Rate(
        id=rate.pk,
        model=model.key,
        processing=Processing(rate.processing),
        speed=Speed(rate.speed),
        geo=rate.geo,
        endpoint=rate.endpoint,
        above=rate.context_tier,
        effective_from=rate.effective_from,
        prices=_unit_prices(rate),
        stop=rate.stop,
    )
