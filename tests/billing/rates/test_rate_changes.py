"""The diff: what calls cost before and after each rate of a draft."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from billing.models import Publication
from billing.pricing.token_classes import TokenClass
from billing.reports import rate_changes
from billing.reports.rate_changes import Change, PriceChange, RateChange
from tests.billing.rates.conftest import draft, published, terms
from tests.conftest import NOW

pytestmark = pytest.mark.django_db

START = datetime(2027, 1, 1, tzinfo=UTC)


def only(publication: Publication) -> RateChange:
    (change,) = rate_changes.diff(publication)
    return change


def by_class(change: RateChange) -> dict[str, tuple[Any, ...]]:
    return {
        one.token_class.value: (one.old, one.new, one.change.value, one.percent)
        for one in change.prices
    }


def test_old_new_and_percent_stand_side_by_side():
    prices = {"input": "8", "output": "15", "cache_read": "0.2", "web_search": "10"}

    change = only(draft(terms(START, prices=prices)))

    shown = by_class(change)
    assert shown["input"] == (4, 8, "raised", 100)
    assert shown["output"] == (20, 15, "lowered", -25)
    assert shown["cache_read"] == (Decimal("0.2"), Decimal("0.2"), "same", 0)
    assert shown["cache_write_5m"] == (5, None, "ended", None)
    assert change.change == Change.RAISED


def test_what_was_free_or_unknown_has_no_percent():
    free = PriceChange(TokenClass.INPUT, Decimal(0), Decimal(1))
    new = PriceChange(TokenClass.INPUT, None, Decimal(1))

    assert (free.percent, free.difference) == (None, 1)
    assert (new.change, new.percent, new.difference) == (Change.NEW, None, None)


def test_it_is_held_against_what_is_in_force_at_its_start():
    published(terms(START, prices={"input": "6"}))

    assert by_class(only(draft(terms(START - timedelta(days=1)))))["input"][0] == 4
    assert by_class(only(draft(terms(START))))["input"][0] == 6


def test_a_stop_ends_every_price():
    change = only(draft(terms(START, prices={})))

    assert change.change == Change.ENDED
    assert {one.change for one in change.prices} == {Change.ENDED}
    assert change.falls_to is None


def test_a_stopped_contract_falls_to_the_list(contract):
    published(terms(NOW, prices={"input": "3"}), card=contract)

    change = only(draft(terms(START, prices={}), card=contract))

    assert by_class(change)["input"][:3] == (3, 4, "raised")
    assert change.falls_to is not None
    assert change.falls_to.publication.card.kind == "list"


def test_a_new_contract_is_held_against_the_list(contract):
    change = only(draft(terms(START, prices={"input": "3"}), card=contract))

    assert by_class(change)["input"][:3] == (4, 3, "lowered")


def test_a_new_tier_is_held_against_what_large_calls_cost():
    change = only(draft(terms(START, context_tier=500_000)))

    assert by_class(change)["input"][:3] == (4, 8, "raised")


def test_conditions_without_a_price_are_new():
    change = only(draft(terms(START, geo="mars", prices={"input": "8"})))

    assert by_class(change) == {"input": (None, 8, "new", None)}
    assert change.change == Change.NEW


def test_it_says_until_when():
    published(terms(START + timedelta(days=31)))

    assert only(draft(terms(START))).until == START + timedelta(days=31)
    assert only(draft(terms(START + timedelta(days=40)))).until is None
