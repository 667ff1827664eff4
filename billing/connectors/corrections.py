"""The reviewed corrections of list prices, read from `corrections.toml`."""

import tomllib
from datetime import date
from decimal import Decimal
from functools import cache
from importlib.resources import files

import msgspec

from billing.pricing.token_classes import TokenClass

Prices = dict[TokenClass, Decimal]


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Part of the file. A misspelt member is an error, not a correction that is lost."""


class Sourced(_Strict, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A statement about prices or names, where it was read and when."""

    source: str
    observed: date


class Package(_Strict, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The version of genai-prices that the file corrects."""

    version: str
    observed: date


class Batch(Sourced, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The share of its price that a token class costs in a batch.

    It is for every model that is not in `without`, or for those in `models` alone, and
    for every token class, or for those in `classes` alone: the others have no price.
    """

    provider: str
    factor: Decimal
    without: tuple[str, ...] = ()
    models: tuple[str, ...] | None = None
    classes: tuple[TokenClass, ...] | None = None


class BatchHistory(Sourced, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """That batch prices are as old as the standard prices they are a share of."""

    provider: str


class Geo(Sourced, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the choice of a geography multiplies token classes by, and for which models."""

    provider: str
    names: tuple[str, ...]
    factor: Decimal
    models: tuple[str, ...]


class Regional(Sourced, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a regional endpoint multiplies token classes by, and for which models."""

    factor: Decimal
    models: tuple[str, ...]


class OneHour(Sourced, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a cache write of one hour costs, as a multiple of uncached input."""

    factor: Decimal


class Session(Sourced, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What an hour costs in which a managed agent runs."""

    price: Decimal
    without: tuple[str, ...]


class Earlier(Sourced, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Prices that were other ones until a day (UTC, exclusive), at each provider."""

    providers: tuple[str, ...]
    model: str
    until: date
    prices: Prices


class Tier(Sourced, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A context tier: all prices of calls with more input than `above`, up to a day."""

    providers: tuple[str, ...]
    model: str
    above: int
    prices: Prices
    until: date | None = None


class FastEnd(Sourced, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The day (UTC) from which a model is not offered in fast mode."""

    model: str
    day: date


class Unnamed(Sourced, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Entries of the package that are for every name of a form, and no model's name."""

    provider: str
    entries: tuple[str, ...]


class Model(Sourced, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is known of a model beyond the package.

    `same_as` adds a model to each of the providers, at the prices it has there for
    another one.
    """

    providers: tuple[str, ...] = ("anthropic",)
    name: str
    display_name: str | None = None
    family: str | None = None
    same_as: str | None = None
    aliases: tuple[str, ...] = ()


class Missing(Sourced, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A hosted model the package lacks, with its prices at the global endpoint."""

    provider: str
    name: str
    prices: Prices


class Corrections(_Strict, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole file."""

    package: Package
    batch: tuple[Batch, ...]
    batch_history: tuple[BatchHistory, ...]
    geo: tuple[Geo, ...]
    regional: Regional
    one_hour: OneHour
    session: Session
    earlier: tuple[Earlier, ...]
    tier: tuple[Tier, ...]
    fast_end: tuple[FastEnd, ...]
    unnamed: tuple[Unnamed, ...]
    missing: tuple[Missing, ...]
    model: tuple[Model, ...]


@cache
def corrections() -> Corrections:
    """Return the reviewed corrections. Raises msgspec.ValidationError for a bad file."""
    text = files(__package__).joinpath("corrections.toml").read_text(encoding="utf-8")
    return msgspec.convert(tomllib.loads(text), Corrections)
