import re
from datetime import UTC, datetime
from importlib.metadata import version

import msgspec
import pytest

from billing.connectors import list_prices, package_prices
from billing.connectors.corrections import Corrections, corrections
from billing.pricing import money
from billing.pricing.rates import prices_per_unit
from billing.pricing.token_classes import TokenClass
from billing.pricing.usage import Processing, Speed


def test_installed_package_is_the_one_that_was_checked() -> None:
    # When this fails: read what changed in the package, correct corrections.toml, and
    # write the new version there.
    assert version("genai-prices") == corrections().package.version


def test_every_statement_has_a_source_and_a_day() -> None:
    known = corrections()
    statements = [
        *known.batch,
        *known.batch_history,
        *known.geo,
        known.regional,
        known.one_hour,
        known.session,
        *known.earlier,
        *known.tier,
        *known.fast_end,
        *known.unnamed,
        *known.missing,
        *known.model,
    ]

    assert len(statements) > 50
    for one in statements:
        assert one.source
        assert one.observed >= known.package.observed.replace(month=1, day=1)


def test_every_correction_is_about_a_model_that_exists() -> None:
    known = corrections()
    models = {(model.provider, model.name) for model in list_prices.list_models()}
    hosted = {name for provider, name in models if provider in ("aws", "google")}
    named = {
        *(
            (one.provider, name)
            for one in known.batch
            for name in (*one.without, *(one.models or ()))
        ),
        *((one.provider, name) for one in known.geo for name in one.models),
        *(("anthropic", name) for name in known.session.without),
        *(
            (provider, one.model)
            for one in (*known.earlier, *known.tier)
            for provider in one.providers
        ),
        *(("anthropic", one.model) for one in known.fast_end),
        *((one.provider, one.name) for one in known.missing),
        *(
            (provider, name)
            for one in known.model
            for provider in one.providers
            for name in (one.name, one.same_as or one.name)
        ),
    }

    assert named <= models
    assert set(known.regional.models) <= hosted


def test_every_correction_is_needed() -> None:
    """A model that the package has learned of is not added to it any more."""
    known = corrections()
    entries = {
        provider: {entry.id for entry in package_prices.models(provider)}
        for provider in list_prices.PROVIDERS
    }
    added = [
        *((one.provider, one.name) for one in known.missing),
        *(
            (provider, one.name)
            for one in known.model
            if one.same_as
            for provider in one.providers
        ),
    ]

    assert len(added) == 7
    for provider, name in added:
        assert (
            not {
                name,
                f"global.anthropic.{name}",
                f"global.anthropic.{name}-v1:0",
            }
            & entries[provider]
        )
    for one in known.unnamed:
        assert set(one.entries) <= entries[one.provider]


def test_package_agrees_with_the_batch_rule() -> None:
    """What it says on the day it learned of batch prices is what the rule says."""
    rates = list_prices.list_rates("anthropic")
    batch = [rate for rate in rates if rate.processing == "batch"]
    stated = {
        model.id: model.price_variants
        for model in package_prices.models("anthropic")
        if package_prices.has_variant(model, {"processing": "batch"})
    }

    assert len(stated) >= 14
    assert not [rate for rate in batch if str(rate.effective_from.date()) == "2026-10-14"]


def test_package_agrees_with_the_rule_of_regional_endpoints(list_book) -> None:
    """Its regional entries on Bedrock cost today what the rule makes of the global ones."""
    today = datetime(2026, 11, 22, tzinfo=UTC)
    compared = 0
    for entry in package_prices.models("aws"):
        name = re.fullmatch(r"regional\.anthropic\.(claude.+?)(-v\d:\d)?", entry.id)
        if name is None:
            continue
        for row in package_prices.rows(entry, {}):
            rate = list_book.rate(
                list_book.model("aws", name[1]),
                Processing.STANDARD,
                Speed.STANDARD,
                "global",
                "regional",
                row.above + 1,
                today,
            )
            by_class = dict(zip(TokenClass, rate.prices, strict=True))
            for token_class, published in row.prices.items():
                assert by_class[token_class] == money.whole(published) // 10**6, entry.id
                compared += 1

    assert compared > 100


def test_package_agrees_with_the_batch_rule_on_vertex(list_book) -> None:
    """It has batch prices of one Claude model there, for every token class."""
    (entry,) = [
        entry
        for entry in package_prices.models("google")
        if entry.id.startswith("claude-")
        and package_prices.has_variant(entry, {"processing": "batch"})
    ]
    (row,) = package_prices.rows(entry, {"processing": "batch"})
    rate = list_book.rate(
        f"google/{entry.id}",
        Processing.BATCH,
        Speed.STANDARD,
        "global",
        "global",
        1,
        datetime(2026, 11, 22, tzinfo=UTC),
    )

    assert rate.prices == prices_per_unit(row.prices)


def test_misspelt_member_is_an_error() -> None:
    written = msgspec.to_builtins(corrections())
    written["tier"][0]["abvoe"] = written["tier"][0].pop("above")

    with pytest.raises(msgspec.ValidationError, match="abvoe"):
        msgspec.convert(written, Corrections)


def test_prices_are_written_by_class() -> None:
    assert set(corrections().tier[0].prices) <= set(TokenClass)
