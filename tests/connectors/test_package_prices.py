"""What of the package can be said in rates and in exact names."""

from datetime import time
from decimal import Decimal

import pytest
from genai_prices.types import (
    ClauseContains,
    ClauseEquals,
    ClauseOr,
    ClauseRegex,
    ClauseStartsWith,
    ConditionalPrice,
    ModelInfo,
    ModelPrice,
    PriceVariant,
    TimeOfDateConstraint,
)

from billing.connectors import package_prices

TEXT = ModelPrice(input_mtok=Decimal(1), output_mtok=Decimal(2))
NIGHT = TimeOfDateConstraint(start_time=time(0), end_time=time(6))


def entry(**changes: object) -> ModelInfo:
    values = {"id": "one", "match": ClauseEquals("one"), "prices": TEXT}
    return ModelInfo(**{**values, **changes})


def test_price_of_text_can_be_expressed() -> None:
    searched = ModelPrice(input_mtok=Decimal(1), storage_searches_kcount=Decimal(2))

    assert package_prices.expressible(entry())
    assert package_prices.expressible(entry(prices=searched))


@pytest.mark.parametrize(
    "measure",
    ["input_image_mtok", "output_video_mtok", "audio_hours", "input_mchars"],
)
def test_price_by_another_measure_cannot(measure) -> None:
    """Not even where it is a variant's alone."""
    other = ModelPrice(input_mtok=Decimal(1), **{measure: Decimal(3)})
    batch = PriceVariant(when={"processing": "batch"}, prices=other)

    assert not package_prices.expressible(entry(prices=other))
    assert not package_prices.expressible(entry(price_variants=[batch]))


def test_price_that_depends_on_the_hour_cannot() -> None:
    nightly = [ConditionalPrice(prices=TEXT), ConditionalPrice(NIGHT, prices=TEXT)]
    variant = PriceVariant(when={"speed": "fast"}, prices=TEXT, constraint=NIGHT)

    assert not package_prices.expressible(entry(prices=nightly))
    assert not package_prices.expressible(entry(price_variants=[variant]))


def test_no_price_is_not_a_price_of_nothing() -> None:
    assert not package_prices.expressible(entry(prices=ModelPrice()))


def test_only_names_that_are_written_out_are_exact() -> None:
    clause = ClauseOr(
        [
            ClauseEquals("one"),
            ClauseStartsWith("one-"),
            ClauseContains("one"),
            ClauseRegex("one"),
            ClauseEquals("one-2026-01-01"),
        ]
    )

    assert list(package_prices.exact_names(entry())) == ["one"]
    assert list(package_prices.exact_names(entry(match=clause))) == [
        "one",
        "one-2026-01-01",
    ]
    assert list(package_prices.exact_names(entry(match=ClauseStartsWith("one")))) == []
