"""Contract cards: a share of the list prices, written out as rates."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from billing.actions import drafts, rate_cards
from billing.models import Rate, RateCard
from teams.models import AuditEvent
from tests.billing.rates.conftest import ROOT, draft, listed, published, terms
from tests.conftest import Cast

pytestmark = pytest.mark.django_db

START = datetime(2026, 12, 1, tzinfo=UTC)
LATER = START + timedelta(days=31)


def fill(contract: RateCard, percent: str | None = "85", **said: Any) -> list[Rate]:
    by_model = {name: Decimal(one) for name, one in said.pop("by_model", {}).items()}
    return drafts.fill_from_list(
        publication=draft(card=contract),
        percent=None if percent is None else Decimal(percent),
        by_model=by_model,
        at=said.pop("at", START),
        source=said.pop("source", "Order form 2026-7"),
        **said,
        **ROOT,
    )


def plain(rates: list[Rate], name: str) -> list[Rate]:
    return [
        rate
        for rate in rates
        if rate.model.name == name
        and (rate.processing, rate.speed, rate.geo) == ("standard", "standard", "global")
    ]


def test_a_contract_is_made_for_an_organization(cast: Cast, contract: RateCard):
    assert (contract.kind, contract.organization, contract.currency) == (
        "contract",
        cast.acme,
        "USD",
    )
    assert AuditEvent.objects.get(action="rate_card.make").organization == "acme"


def test_a_contract_needs_list_prices_and_a_name_of_its_own(cast: Cast, contract: RateCard):
    asked = {"organization": cast.acme, **ROOT}

    with pytest.raises(ValidationError, match="no list prices of nobody"):
        rate_cards.make_contract(provider="nobody", name="X", **asked)
    with pytest.raises(ValidationError, match="already exists"):
        rate_cards.make_contract(provider="anthropic", name=contract.name, **asked)


def test_amounts_are_not_converted(cast: Cast):
    cast.acme.currency = "EUR"

    with pytest.raises(ValidationError, match="amounts are not converted"):
        rate_cards.make_contract(
            organization=cast.acme, provider="anthropic", name="X", **ROOT
        )


def test_a_share_of_every_list_price_is_written_out(contract: RateCard):
    rates = fill(contract)

    (opus,) = plain(rates, "claude-opus-5-5")
    assert (opus.input, opus.output, opus.cache_read) == (
        Decimal("3.4"),
        Decimal(17),
        Decimal("0.17"),
    )
    assert opus.effective_from == START
    assert opus.source.startswith("Order form 2026-7; 85 % of list rate ")
    assert opus.source.endswith("rounded to nine places, half to even")
    tiers = {one.context_tier: one.input for one in plain(rates, "claude-haiku-5-5")}
    assert tiers == {0: Decimal("0.085"), 100_000: Decimal("0.425")}
    conditions = {(one.processing, one.speed, one.geo) for one in rates}
    assert {("batch", "standard", "us"), ("standard", "fast", "global")} <= conditions


def test_a_model_can_have_a_share_of_its_own(contract: RateCard):
    rates = fill(contract, by_model={"claude-opus-5-5": "50"})

    assert plain(rates, "claude-opus-5-5")[0].input == 2
    assert plain(rates, "claude-sonnet-5-5")[0].input == Decimal("1.7")


def test_without_a_share_for_all_only_named_models_are_on_it(contract: RateCard):
    rates = fill(contract, None, by_model={"claude-opus-5-5": "50"})

    assert {rate.model.name for rate in rates} == {"claude-opus-5-5"}


@pytest.mark.parametrize(
    ("price", "share", "rounded"),
    [
        ("3.000000005", "50", "1.500000002"),  # 1.5000000025: to the even one
        ("3.000000007", "50", "1.500000004"),  # 1.5000000035: to the even one
        ("4", "33.333333", "1.33333332"),
    ],
)
def test_shares_are_rounded_half_to_even(
    contract: RateCard, price: str, share: str, rounded: str
):
    published(terms(START, prices={"input": price}))

    rates = fill(contract, share, at=START + timedelta(days=1))

    assert plain(rates, "claude-opus-5-5")[0].input == Decimal(rounded)


def test_what_the_list_has_scheduled_comes_with_it(contract: RateCard):
    published(terms(LATER), terms(LATER, name="claude-sonnet-5-5", prices={}))

    rates = fill(contract)

    now, later = plain(rates, "claude-opus-5-5")
    assert (now.effective_from, now.input) == (START, Decimal("3.4"))
    assert (later.effective_from, later.input) == (LATER, Decimal("6.8"))
    stop = plain(rates, "claude-sonnet-5-5")[1]
    assert (stop.effective_from, stop.stop) == (LATER, True)


def test_a_stopped_list_rate_is_not_on_it(contract: RateCard):
    published(terms(START - timedelta(days=1), prices={}))

    assert not plain(fill(contract), "claude-opus-5-5")


@pytest.mark.parametrize("percent", ["-1", "1001", "NaN"])
def test_a_share_is_a_percentage(contract: RateCard, percent: str):
    with pytest.raises(ValidationError, match="0 to 1,000 percent"):
        fill(contract, percent)


def test_a_model_without_list_rate_is_named(contract: RateCard):
    with pytest.raises(ValidationError, match="no rate of claude-x"):
        fill(contract, by_model={"claude-x": "80"})


def test_the_list_itself_is_not_filled():
    with pytest.raises(ValidationError, match="Only a contract"):
        fill(listed())
