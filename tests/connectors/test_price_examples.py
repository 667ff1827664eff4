"""Recorded and worked-out records with their price, from posted JSON to dollars.

`recorded_usage.jsonl` are responses as the API gave them; `price_examples.json` are
these and others, of all providers and formats, worked out from published prices. One of
the latter brings a rate card of its own and says no day.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from billing.formats import posted, registry
from billing.pricing import money
from billing.pricing.engine import Charges, lines, price
from billing.pricing.rates import Rate, RateBook, prices_per_unit
from billing.pricing.token_classes import TokenClass
from billing.pricing.usage import Processing, Speed

DATA = Path(__file__).parent.parent / "data"


def recorded() -> Iterator[dict[str, Any]]:
    for line in (DATA / "recorded_usage.jsonl").read_text(encoding="utf-8").splitlines():
        yield json.loads(line)


def examples() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(
        (DATA / "price_examples.json").read_text(encoding="utf-8")
    )
    return found


def worked_out() -> Iterator[dict[str, Any]]:
    return (example for example in examples() if "rate_card_per_token" not in example)


def with_own_card() -> dict[str, Any]:
    (example,) = (one for one in examples() if "rate_card_per_token" in one)
    return example


def cases(given: Iterator[dict[str, Any]]) -> list[Any]:
    return [
        pytest.param(
            {name: value for name, value in example.items() if name != "expected_usd"},
            example["expected_usd"],
            id=example["id"],
        )
        for example in given
    ]


def priced(record: dict[str, Any], book) -> Charges:
    found = posted.decode(json.dumps(record).encode())
    result = price(registry.read(found), book)
    assert isinstance(result, Charges), result
    return result


def test_all_examples_are_there() -> None:
    assert len(cases(recorded())) == 124
    assert len(examples()) == 336
    assert len(cases(worked_out())) == 335


@pytest.mark.parametrize(("record", "expected_usd"), cases(recorded()))
def test_recorded_usage_costs_what_was_billed(list_book, record, expected_usd) -> None:
    assert money.text(priced(record, list_book).cost) == expected_usd


@pytest.mark.parametrize(("record", "expected_usd"), cases(worked_out()))
def test_worked_out_price(list_book, record, expected_usd) -> None:
    charges = priced(record, list_book)

    assert money.text(charges.cost) == expected_usd
    assert sum(line.cost for line in lines(charges)) == charges.cost


def test_price_by_a_card_of_its_own() -> None:
    """Prices in it are of one token."""
    example = with_own_card()
    million = {
        TokenClass(name): Decimal(price) * 10**6
        for name, price in example.pop("rate_card_per_token").items()
    }
    expected_usd = example.pop("expected_usd")
    day = datetime(2026, 11, 22, tzinfo=UTC)
    rate = Rate(
        id=1,
        model="custom/test-model",
        processing=Processing.STANDARD,
        speed=Speed.STANDARD,
        geo="global",
        endpoint="global",
        above=0,
        effective_from=day,
        prices=prices_per_unit(million),
    )
    book = RateBook([[rate]], {("custom", "test-model"): "custom/test-model"})

    charges = priced({**example, "occurred_at": day.isoformat()}, book)

    assert money.text(charges.cost) == expected_usd == "12.5"


def test_quote_of_an_example_is_the_same(list_book) -> None:
    example = next(worked_out())
    quote = posted.decode_quote(json.dumps(example).encode())

    result = price(registry.read(quote), list_book)

    assert money.text(result.cost) == quote.expected_usd


def test_bill_of_all_recorded_calls(list_book) -> None:
    expected = sum(money.whole(Decimal(one["expected_usd"])) for one in recorded())
    records = [record.values[0] for record in cases(recorded())]

    assert sum(priced(record, list_book).cost for record in records) == expected
