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
    """The share of its price that a token class costs in a batch."""

    factor: Decimal
    without: tuple[str, ...]


class Geo(Sourced, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the choice of a geography multiplies token classes by, and for which models."""

    name: str
    factor: Decimal
    models: tuple[str, ...]


class Earlier(Sourced, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Prices that were other ones until a day (UTC, exclusive)."""

    model: str
    until: date
    prices: Prices


class Tier(Sourced, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A context tier without an end: all prices of calls with more input than `above`."""

    model: str
    above: int
    prices: Prices


class FastEnd(Sourced, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The day (UTC) from which a model is not offered in fast mode."""

    model: str
    day: date


class Model(Sourced, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is known of a model beyond the package; `same_as` names one with its prices."""

    name: str
    display_name: str | None = None
    family: str | None = None
    same_as: str | None = None
    aliases: tuple[str, ...] = ()


class Corrections(_Strict, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole file."""

    package: Package
    batch: Batch
    geo: Geo
    earlier: tuple[Earlier, ...]
    tier: tuple[Tier, ...]
    fast_end: tuple[FastEnd, ...]
    model: tuple[Model, ...]


@cache
def corrections() -> Corrections:
    """Return the reviewed corrections. Raises msgspec.ValidationError for a bad file."""
    text = files(__package__).joinpath("corrections.toml").read_text(encoding="utf-8")
    return msgspec.convert(tomllib.loads(text), Corrections)
