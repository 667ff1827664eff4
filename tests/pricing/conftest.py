"""Small rate books, written out by hand."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from itertools import count
from typing import Any

import pytest
from hypothesis import settings

from billing.pricing.rates import NO_PRICES, Rate, RateBook
from billing.pricing.usage import Processing, Speed, Step, Usage

# Time says nothing about a rule, and the machines that test are shared.
settings.register_profile("rules", deadline=None)
settings.load_profile("rules")

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def make_rate() -> Callable[..., Rate]:
    """A rate of `acme/one` from 2026 on; every class costs 1 unless told otherwise."""
    ids = count(1)

    def make(price: int = 1, **changes: Any) -> Rate:
        stop = changes.get("stop", False)
        values = {
            "id": next(ids),
            "model": "acme/one",
            "processing": Processing.STANDARD,
            "speed": Speed.STANDARD,
            "geo": "global",
            "endpoint": "global",
            "above": 0,
            "effective_from": START,
            "prices": NO_PRICES if stop else (price,) * len(NO_PRICES),
        }
        return Rate(**{**values, **changes})

    return make


@pytest.fixture
def make_book() -> Callable[..., RateBook]:
    """A book of one or more cards that knows the models `one` and `two` of acme."""

    def make(*cards: Iterable[Rate]) -> RateBook:
        names = {("acme", name): f"acme/{name}" for name in ("one", "two")}
        return RateBook(cards, names)

    return make


@pytest.fixture
def make_usage() -> Callable[..., Usage]:
    """A record of `one` at the start of 2026 that used `quantities` in one step."""

    def make(quantities: Any = None, **changes: Any) -> Usage:
        values: dict[str, Any] = {"provider": "acme", "model": "one", "occurred_at": START}
        if quantities is not None:
            values["steps"] = (Step("one", quantities),)
        return Usage(**{**values, **changes})

    return make
