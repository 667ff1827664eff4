from importlib.metadata import version

import msgspec
import pytest

from billing.connectors import list_prices, package_prices
from billing.connectors.corrections import Corrections, corrections
from billing.pricing.token_classes import TokenClass


def test_installed_package_is_the_one_that_was_checked() -> None:
    # When this fails: read what changed in the package, correct corrections.toml, and
    # write the new version there.
    assert version("genai-prices") == corrections().package.version


def test_every_statement_has_a_source_and_a_day() -> None:
    known = corrections()
    statements = [
        known.batch,
        known.geo,
        *known.earlier,
        *known.tier,
        *known.fast_end,
        *known.model,
    ]

    assert len(statements) > 30
    for one in statements:
        assert one.source
        assert one.observed >= known.package.observed.replace(month=1, day=1)


def test_every_correction_is_about_a_model_that_exists() -> None:
    known = corrections()
    models = {model.name for model in list_prices.list_models()}
    named = [
        *known.batch.without,
        *known.geo.models,
        *(one.model for one in (*known.earlier, *known.tier, *known.fast_end)),
        *(model.same_as for model in known.model if model.same_as),
    ]

    assert set(named) <= models


def test_every_correction_is_needed() -> None:
    """A model that the package has learned of is not copied from another any more."""
    known = {model.id for model in package_prices.models()}
    copied = {model.name for model in corrections().model if model.same_as}

    assert not copied & known


def test_package_agrees_with_the_batch_rule() -> None:
    """What it says on the day it learned of batch prices is what the rule says."""
    batch = [rate for rate in list_prices.list_rates() if rate.processing == "batch"]
    stated = {
        model.id: model.price_variants
        for model in package_prices.models()
        if package_prices.has_variant(model, {"processing": "batch"})
    }

    assert len(stated) >= 14
    assert not [rate for rate in batch if str(rate.effective_from.date()) == "2026-10-14"]


def test_misspelt_member_is_an_error() -> None:
    written = msgspec.to_builtins(corrections())
    written["tier"][0]["abvoe"] = written["tier"][0].pop("above")

    with pytest.raises(msgspec.ValidationError, match="abvoe"):
        msgspec.convert(written, Corrections)


def test_prices_are_written_by_class() -> None:
    assert set(corrections().tier[0].prices) <= set(TokenClass)
