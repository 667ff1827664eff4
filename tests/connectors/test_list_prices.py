"""Anthropic's list prices, against the published table as a person typed it off.

Nothing here is computed by the code under test. Prices are dollars per million tokens,
in the order input, 5-minute write, 1-hour write, cache read, output.
"""

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from billing.connectors import list_prices
from billing.connectors.package_prices import SINCE_EVER
from billing.connectors.proposals import ProposedRate
from billing.pricing import money
from billing.pricing.token_classes import UNITS, Quantities, TokenClass
from billing.pricing.usage import Processing, Speed

TODAY = datetime(2026, 11, 22, tzinfo=UTC)
TICK = timedelta(microseconds=1)
# The classes that Claude models are priced by.
TOKENS = (
    TokenClass.INPUT,
    TokenClass.CACHE_WRITE_5M,
    TokenClass.CACHE_WRITE_1H,
    TokenClass.CACHE_READ,
    TokenClass.OUTPUT,
)


def prices(text: str) -> tuple[Decimal, ...]:
    return tuple(map(Decimal, text.split()))


def times(factor: str, amounts: tuple[Decimal, ...]) -> tuple[Decimal, ...]:
    return tuple(Decimal(factor) * amount for amount in amounts)


@pytest.fixture
def listed(list_book):
    """Published prices of the tokens under these conditions, or None without a rate."""

    def run(
        name: str,
        processing: str = "standard",
        speed: str = "standard",
        geo: str = "global",
        total_input: int = 1,
        at: datetime = TODAY,
    ) -> tuple[Decimal, ...] | None:
        model = list_book.model("anthropic", name)
        rate = list_book.rate(
            model, Processing(processing), Speed(speed), geo, "global", total_input, at
        )
        if rate is None:
            return None
        by_class = dict(zip(TokenClass, rate.prices, strict=True))
        return tuple(money.exact(by_class[one] * UNITS[one]) for one in TOKENS)

    return run


@pytest.fixture
def search_price(list_book):
    """The published price of a thousand web searches, or None without one."""

    def run(name: str, processing: str = "standard", speed: str = "standard", geo="global"):
        model = list_book.model("anthropic", name)
        rate = list_book.rate(
            model, Processing(processing), Speed(speed), geo, "global", 1, TODAY
        )
        price = rate.prices[list(TokenClass).index(TokenClass.WEB_SEARCH)]
        return None if price is None else money.exact(price * UNITS[TokenClass.WEB_SEARCH])

    return run


# --- The table of all models. A dash: not offered.

TABLE = [
    # names, standard, batch input and output, fast input and output
    ("claude-3-haiku-20240307", "0.25 0.30 0.50 0.03 1.25", "0.125 0.625", "-"),
    ("claude-3-5-haiku", "0.80 1 1.60 0.08 4", "0.40 2", "-"),
    (
        "claude-3-sonnet claude-3-5-sonnet claude-3-7-sonnet claude-sonnet-4",
        "3 3.75 6 0.30 15",
        "1.50 7.50",
        "-",
    ),
    (
        "claude-3-opus claude-opus-4 claude-opus-4-1",
        "15 18.75 30 1.50 75",
        "7.50 37.50",
        "-",
    ),
    ("claude-haiku-4-5", "1 1.25 2 0.10 5", "0.50 2.50", "-"),
    ("claude-haiku-5-5", "0.10 0.125 0.20 0.01 0.50", "0.05 0.25", "-"),
    ("claude-sonnet-4-5", "3 3.75 6 0.30 15", "1.50 7.50", "-"),
    ("claude-sonnet-4-6", "3 3.75 6 0.30 15", "1.50 7.50", "-"),
    ("claude-sonnet-5", "2 2.50 4 0.20 10", "1 5", "-"),
    ("claude-sonnet-5-5", "2 2.50 4 0.10 10", "1 5", "-"),
    ("claude-opus-4-5", "5 6.25 10 0.50 25", "2.50 12.50", "-"),
    ("claude-opus-4-6 claude-opus-4-7", "5 6.25 10 0.50 25", "2.50 12.50", "-"),
    ("claude-opus-4-8 claude-opus-5", "5 6.25 10 0.50 25", "2.50 12.50", "10 50"),
    ("claude-opus-5-5", "4 5 8 0.20 20", "2 10", "8 40"),
    (
        "claude-fable-5 claude-mythos-5 claude-mythos-preview",
        "10 12.50 20 1 50",
        "5 25",
        "-",
    ),
    ("claude-fable-5-1 claude-mythos-5-1", "10 12.50 20 0.25 50", "5 25", "-"),
    ("claude-fable-5-2 claude-mythos-5-2", "8 10 16 0.20 40", "4 20", "16 80"),
]
ROWS = [(name, *row) for names, *row in TABLE for name in names.split()]


@pytest.mark.parametrize(("name", "standard", "batch", "fast"), ROWS)
def test_standard_price(listed, name, standard, batch, fast) -> None:
    assert listed(name) == prices(standard)


@pytest.mark.parametrize(("name", "standard", "batch", "fast"), ROWS)
def test_batch_halves_every_class(listed, name, standard, batch, fast) -> None:
    found = listed(name, "batch")

    assert (found[0], found[-1]) == prices(batch)
    assert found == times("0.5", prices(standard))


@pytest.mark.parametrize(("name", "standard", "batch", "fast"), ROWS)
def test_fast_doubles_every_class_where_it_is_offered(
    listed, name, standard, batch, fast
) -> None:
    found = listed(name, speed="fast")

    if fast == "-":
        assert found is None
    else:
        assert (found[0], found[-1]) == prices(fast)
        assert found == times("2", prices(standard))


@pytest.mark.parametrize(("name", "standard", "batch", "fast"), ROWS)
def test_fast_is_not_offered_in_a_batch(listed, name, standard, batch, fast) -> None:
    assert listed(name, "batch", "fast") is None


# The models since Claude 4.6: the older ones refuse the choice of a geography.
WITH_GEO = {
    "claude-opus-4-6",
    "claude-opus-4-7",
    "claude-opus-4-8",
    "claude-opus-5",
    "claude-opus-5-5",
    "claude-sonnet-4-6",
    "claude-sonnet-5",
    "claude-sonnet-5-5",
    "claude-haiku-5-5",
    "claude-fable-5",
    "claude-fable-5-1",
    "claude-fable-5-2",
    "claude-mythos-preview",
    "claude-mythos-5",
    "claude-mythos-5-1",
    "claude-mythos-5-2",
}


@pytest.mark.parametrize(("name", "standard", "batch", "fast"), ROWS)
def test_us_only_costs_a_tenth_more(listed, name, standard, batch, fast) -> None:
    in_us = [listed(name, geo="us"), listed(name, "batch", geo="us")]
    in_us_fast = listed(name, speed="fast", geo="us")

    if name in WITH_GEO:
        assert in_us == [times("1.1", prices(standard)), times("0.55", prices(standard))]
    else:
        assert in_us == [None, None]
    if name in WITH_GEO and fast != "-":
        assert in_us_fast == times("2.2", prices(standard))
    else:
        assert in_us_fast is None


def test_table_has_every_model_but_the_two_oldest() -> None:
    proposed = {model.name for model in list_prices.list_models("anthropic")}
    named = {name.removesuffix("-20240307") for name, *_ in ROWS}

    assert proposed - named == {"claude-2", "claude-v1"}
    assert named <= proposed
    assert proposed >= WITH_GEO


def test_oldest_models_have_input_and_output_alone(list_book) -> None:
    for name in ("claude-2", "claude-2.1", "claude-v1"):
        model = list_book.model("anthropic", name)
        standard = (Processing.STANDARD, Speed.STANDARD, "global", "global", 1, TODAY)
        batch = (Processing.BATCH, *standard[1:])

        assert list_book.rate(model, *standard).prices == (
            8 * 10**9,
            None,
            None,
            None,
            24 * 10**9,
            *(None,) * 6,
        )
        assert list_book.rate(model, *batch) is None


# --- Context tiers


@pytest.mark.parametrize(
    ("name", "bound", "above", "at"),
    [
        ("claude-haiku-5-5", 100_000, "0.50 0.625 1 0.05 2.50", TODAY),
        ("claude-sonnet-4-5", 200_000, "6 7.50 12 0.60 22.50", TODAY),
        ("claude-sonnet-4", 200_000, "6 7.50 12 0.60 22.50", TODAY),
        (
            "claude-sonnet-4-6",
            200_000,
            "6 7.50 12 0.60 22.50",
            datetime(2026, 3, 12, tzinfo=UTC),
        ),
        (
            "claude-opus-4-6",
            200_000,
            "10 12.50 20 1 37.50",
            datetime(2026, 3, 12, tzinfo=UTC),
        ),
    ],
)
def test_tier_applies_strictly_above_its_bound(listed, name, bound, above, at) -> None:
    assert listed(name, total_input=bound, at=at) == listed(name, at=at)
    assert listed(name, total_input=bound + 1, at=at) == prices(above)
    assert listed(name, "batch", total_input=bound + 1, at=at) == times(
        "0.5", prices(above)
    )


def test_tier_is_for_us_only_inference_too(listed) -> None:
    above = prices("0.50 0.625 1 0.05 2.50")

    assert listed("claude-haiku-5-5", geo="us", total_input=100_001) == times("1.1", above)
    assert listed("claude-haiku-5-5", "batch", geo="us", total_input=100_001) == times(
        "0.55", above
    )


def test_batch_read_in_the_us_is_the_finest_price(listed) -> None:
    assert listed("claude-haiku-5-5", "batch", geo="us")[3] == Decimal("0.0055")


def test_no_other_model_has_a_tier(listed) -> None:
    tiered = {"claude-haiku-5-5", "claude-sonnet-4-5", "claude-sonnet-4"}

    for name, standard, _, _ in ROWS:
        if name not in tiered:
            assert listed(name, total_input=10**6) == prices(standard), name


# --- Dates


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("claude-opus-4-6", "10 12.50 20 1 37.50", "5 6.25 10 0.50 25"),
        ("claude-sonnet-4-6", "6 7.50 12 0.60 22.50", "3 3.75 6 0.30 15"),
    ],
)
@pytest.mark.parametrize(
    ("processing", "geo", "factor"),
    [("standard", "global", "1"), ("batch", "global", "0.5"), ("batch", "us", "0.55")],
)
def test_4_6_loses_its_tier(listed, name, before, after, processing, geo, factor) -> None:
    end = datetime(2026, 3, 13, tzinfo=UTC)
    long_call = {"processing": processing, "geo": geo, "total_input": 200_001}

    assert listed(name, **long_call, at=end - TICK) == times(factor, prices(before))
    assert listed(name, **long_call, at=end) == times(factor, prices(after))


@pytest.mark.parametrize("name", ["claude-sonnet-4", "claude-sonnet-4-5"])
def test_tier_outlives_the_beta_of_long_context(listed, name) -> None:
    for day in (date(2026, 4, 29), date(2026, 4, 30), date(2026, 5, 1), date(2030, 1, 1)):
        at = datetime(day.year, day.month, day.day, tzinfo=UTC)

        assert listed(name, total_input=200_001, at=at)[0] == 6


def test_sonnet_5_was_never_raised(listed) -> None:
    end = datetime(2026, 9, 1, tzinfo=UTC)

    assert listed("claude-sonnet-5", at=end - TICK) == listed("claude-sonnet-5", at=end)
    assert listed("claude-sonnet-5", at=end) == prices("2 2.50 4 0.20 10")


@pytest.mark.parametrize(
    ("processing", "geo", "factor"),
    [("standard", "global", "1"), ("batch", "global", "0.5"), ("standard", "us", "1.1")],
)
def test_sonnet_5_5_reads_become_cheaper(listed, processing, geo, factor) -> None:
    start = datetime(2026, 10, 7, tzinfo=UTC)
    call = {"processing": processing, "geo": geo}
    before = listed("claude-sonnet-5-5", **call, at=start - TICK)
    after = listed("claude-sonnet-5-5", **call, at=start)

    assert before == times(factor, prices("2 2.50 4 0.20 10"))
    assert after == times(factor, prices("2 2.50 4 0.10 10"))


def test_batch_was_half_before_the_package_knew_it(listed) -> None:
    learned = datetime(2026, 10, 14, tzinfo=UTC)

    for name, standard, _, _ in ROWS:
        if name != "claude-sonnet-5-5":
            half = times("0.5", prices(standard))
            assert listed(name, "batch", at=learned - TICK) == half, name
            assert listed(name, "batch", at=learned) == half, name


@pytest.mark.parametrize("geo", ["global", "us"])
def test_opus_4_8_loses_fast_mode(listed, geo) -> None:
    end = datetime(2026, 11, 30, tzinfo=UTC)

    assert listed("claude-opus-4-8", speed="fast", geo=geo, at=end - TICK) is not None
    assert listed("claude-opus-4-8", speed="fast", geo=geo, at=end) is None
    assert listed("claude-opus-5", speed="fast", geo=geo, at=end) is not None
    assert listed("claude-opus-4-8", geo=geo, at=end) is not None


def test_retired_models_keep_their_prices(listed) -> None:
    later = datetime(2028, 1, 1, tzinfo=UTC)

    for name, *_ in ROWS:
        assert listed(name, at=later) is not None, name


# --- Web searches


@pytest.mark.parametrize(
    ("processing", "speed", "geo"),
    [
        ("standard", "standard", "global"),
        ("batch", "standard", "global"),
        ("standard", "fast", "global"),
        ("standard", "standard", "us"),
        ("batch", "standard", "us"),
        ("standard", "fast", "us"),
    ],
)
def test_search_costs_the_same_everywhere(search_price, processing, speed, geo) -> None:
    assert search_price("claude-opus-5", processing, speed, geo) == 10


def test_search_has_a_price_since_3_5(search_price) -> None:
    without = {name for name, *_ in ROWS if search_price(name) is None}

    assert without == {"claude-3-haiku-20240307", "claude-3-sonnet", "claude-3-opus"}
    assert search_price("claude-haiku-4-5") == 10


@pytest.mark.parametrize(
    "name", ["claude-sonnet-4", "claude-sonnet-4-5", "claude-haiku-5-5"]
)
def test_search_has_a_price_in_every_tier(list_book, name) -> None:
    model = list_book.model("anthropic", name)
    standard = (Processing.STANDARD, Speed.STANDARD, "global", "global")

    assert list_book.rate(model, *standard, 10**6, TODAY).prices[5] == 10**13


# --- Sessions of managed agents


@pytest.fixture
def session_price(list_book):
    """The published price of an hour, or None without one."""

    def run(name: str, processing: str = "standard", speed: str = "standard", geo="global"):
        model = list_book.model("anthropic", name)
        rate = list_book.rate(
            model, Processing(processing), Speed(speed), geo, "global", 1, TODAY
        )
        price = rate.prices[list(TokenClass).index(TokenClass.SESSION)]
        return None if price is None else money.exact(price * UNITS[TokenClass.SESSION])

    return run


@pytest.mark.parametrize(
    ("speed", "geo"),
    [("standard", "global"), ("standard", "us"), ("fast", "global"), ("fast", "us")],
)
def test_hour_of_a_session_costs_the_same_everywhere(session_price, speed, geo) -> None:
    assert session_price("claude-opus-5", "standard", speed, geo) == Decimal("0.08")


def test_there_are_no_sessions_in_a_batch(session_price) -> None:
    assert session_price("claude-opus-5", "batch") is None
    assert session_price("claude-opus-5", "batch", geo="us") is None


def test_every_model_since_claude_3_runs_in_sessions(session_price) -> None:
    assert {session_price(name) for name, *_ in ROWS} == {Decimal("0.08")}


# --- Form


PROVIDERS = ("anthropic", "openai", "google", "aws")


def series(rate: ProposedRate) -> tuple[object, ...]:
    return (
        rate.model,
        rate.processing,
        rate.speed,
        rate.geo,
        rate.endpoint,
        rate.above,
    )


def test_no_provider_is_left_out() -> None:
    assert tuple(list_prices.PROVIDERS) == PROVIDERS
    assert {rate.provider for rate in list_prices.list_rates()} == set(PROVIDERS)
    assert {model.provider for model in list_prices.list_models()} == set(PROVIDERS)


def test_prices_of_another_provider_are_refused() -> None:
    with pytest.raises(KeyError):
        list_prices.list_rates("azure")


@pytest.mark.parametrize("provider", PROVIDERS)
def test_every_rate_can_be_published(provider) -> None:
    for rate in list_prices.list_rates(provider):
        assert rate.provider == provider
        assert rate.effective_from.tzinfo is UTC
        assert rate.effective_from >= SINCE_EVER
        assert rate.stop is not bool(rate.prices)
        assert rate.source
        assert len(rate.source) <= 300
        assert rate.observed == date(2026, 11, 22)
        for price in rate.prices.values():
            assert price > 0
            assert price == price.quantize(Decimal("1E-9"))


@pytest.mark.parametrize("provider", PROVIDERS)
def test_every_model_can_be_added(provider) -> None:
    for model in list_prices.list_models(provider):
        assert model.provider == provider
        assert 0 < len(model.family) <= 40
        assert 0 < len(model.display_name) <= 200


def test_endpoints_are_of_hosted_models_alone() -> None:
    endpoints = {(rate.provider, rate.endpoint) for rate in list_prices.list_rates()}

    assert endpoints == {
        ("anthropic", "global"),
        ("openai", "global"),
        ("google", "global"),
        ("google", "regional"),
        ("aws", "global"),
        ("aws", "regional"),
    }


@pytest.mark.parametrize("provider", PROVIDERS)
def test_no_two_rates_start_together(provider) -> None:
    starts = Counter(
        (*series(rate), rate.effective_from) for rate in list_prices.list_rates(provider)
    )

    assert starts.most_common(1)[0][1] == 1


@pytest.mark.parametrize("provider", PROVIDERS)
def test_every_rate_says_something_new(provider) -> None:
    said: dict[tuple[object, ...], object] = {}
    for rate in list_prices.list_rates(provider):
        assert said.get(series(rate)) != rate.prices, rate
        said[series(rate)] = rate.prices


def test_derived_rate_names_both_sources() -> None:
    batch = next(
        rate
        for rate in list_prices.list_rates("anthropic")
        if (rate.model, rate.processing) == ("claude-opus-5", "batch")
    )

    assert "genai-prices 0.2.3" in batch.source
    assert "batch-processing" in batch.source


@pytest.mark.parametrize("provider", PROVIDERS)
def test_every_model_with_rates_is_proposed(provider) -> None:
    models = [model.name for model in list_prices.list_models(provider)]

    assert models == sorted({rate.model for rate in list_prices.list_rates(provider)})


def test_quantities_and_prices_are_in_one_order() -> None:
    assert (*TOKENS, "web_search") == Quantities._fields[:6]
