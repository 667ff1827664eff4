"""List prices of OpenAI, Google and hosted Claude, against the published tables.

Nothing here is computed by the code under test. Prices are dollars per million tokens.
"""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from billing.pricing import money
from billing.pricing.token_classes import UNITS, TokenClass

TODAY = datetime(2026, 11, 22, tzinfo=UTC)
TICK = timedelta(microseconds=1)
TEXT = ("input", "cache_write_5m", "cache_read", "output")
CLAUDE = ("input", "cache_write_5m", "cache_write_1h", "cache_read", "output")


def prices(text: str) -> tuple[Decimal | None, ...]:
    """Amounts in the order of the classes; a dash: without a price."""
    return tuple(None if word == "-" else Decimal(word) for word in text.split())


def times(factor: str, amounts: tuple[Decimal | None, ...]) -> tuple[Decimal | None, ...]:
    return tuple(None if amount is None else Decimal(factor) * amount for amount in amounts)


@pytest.fixture
def listed(list_book):
    """Published prices of some classes under these conditions, or None without a rate."""

    def run(
        name: str,
        processing: str = "standard",
        speed: str = "standard",
        geo: str = "global",
        endpoint: str = "global",
        total_input: int = 1,
        at: datetime = TODAY,
        classes: tuple[str, ...] = TEXT,
    ) -> tuple[Decimal | None, ...] | None:
        provider, _, model = name.partition("/")
        rate = list_book.rate(
            list_book.model(provider, model),
            processing,
            speed,
            geo,
            endpoint,
            total_input,
            at,
        )
        if rate is None:
            return None
        by_class = dict(zip(TokenClass, rate.prices, strict=True))
        return tuple(
            None if (price := by_class[one]) is None else money.exact(price * UNITS[one])
            for one in map(TokenClass, classes)
        )

    return run


# --- OpenAI and Gemini: standard, and what a batch of it costs

STANDARD = [
    # name, standard, batch
    ("openai/gpt-3.5-turbo", "0.50 - - 1.50", "0.25 - - 0.75"),
    ("openai/gpt-3.5-turbo-1106", "1 - - 2", "1 - - 2"),
    ("openai/gpt-4o", "2.50 - 1.25 10", "1.25 - 1.25 5"),
    ("openai/gpt-4o-2024-05-13", "5 - - 15", "2.50 - - 7.50"),
    ("openai/gpt-4.1-nano", "0.10 - 0.025 0.40", "0.05 - 0.025 0.20"),
    ("openai/gpt-5", "1.25 - 0.125 10", "0.625 - 0.0625 5"),
    ("openai/gpt-5-mini", "0.25 - 0.025 2", "0.125 - 0.0125 1"),
    ("openai/gpt-5.4", "2.50 - 0.25 15", "1.25 - 0.13 7.50"),
    ("openai/gpt-5.6-sol", "4 5 0.40 20", "2 2.50 0.20 10"),
    ("openai/gpt-6-luna", "0.10 0.125 0.01 0.50", "0.05 0.0625 0.005 0.25"),
    ("openai/o1-mini", "1.10 - 0.55 4.40", None),
    ("openai/o3", "2 - 0.50 8", "1 - 0.50 4"),
    ("google/gemini-1.5-flash", "0.075 - 0.01875 0.30", None),
    ("google/gemini-2.0-flash", "0.10 - 0.025 0.40", None),
    ("google/gemini-2.5-flash", "0.30 - 0.03 2.50", "0.15 - 0.03 1.25"),
    ("google/gemini-2.5-pro", "1.25 - 0.125 10", "0.625 - 0.125 5"),
    ("google/gemini-3.1-flash-lite", "0.25 - 0.025 1.50", "0.125 - 0.0125 0.75"),
    ("google/gemini-3.5-flash-lite", "0.30 - 0.03 2.50", "0.15 - 0.02 1.25"),
    ("google/gemini-4-argon", "2 - 0.10 10", "1 - 0.05 5"),
]


@pytest.mark.parametrize(("name", "standard", "batch"), STANDARD)
def test_standard_price(listed, name, standard, batch) -> None:
    assert listed(name) == prices(standard)


@pytest.mark.parametrize(("name", "standard", "batch"), STANDARD)
@pytest.mark.parametrize("day", [TODAY, datetime(2026, 10, 13, tzinfo=UTC)])
def test_batch_price_is_older_than_the_package_knows(
    listed, name, standard, batch, day
) -> None:
    assert listed(name, "batch", at=day) == (prices(batch) if batch else None)


@pytest.mark.parametrize(
    ("name", "day", "before", "after"),
    [
        ("openai/o3", datetime(2025, 6, 10, tzinfo=UTC), "10 - 0.50 40", "2 - 0.50 8"),
        (
            "openai/gpt-5.6-sol",
            datetime(2026, 8, 21, tzinfo=UTC),
            "5 6.25 0.50 30",
            "4 5 0.40 20",
        ),
        (
            "google/gemini-4-argon",
            datetime(2026, 12, 1, tzinfo=UTC),
            "2 - 0.10 10",
            "4 - 0.20 20",
        ),
    ],
)
def test_price_changes_on_its_day(listed, name, day, before, after) -> None:
    assert listed(name, at=day - TICK) == prices(before)
    assert listed(name, at=day) == prices(after)


def test_batch_of_an_older_price_has_its_share(listed) -> None:
    cut = datetime(2025, 6, 10, tzinfo=UTC)
    sol = datetime(2026, 8, 21, tzinfo=UTC)

    assert listed("openai/o3", "batch", at=cut - TICK) == prices("5 - 0.50 20")
    assert listed("openai/o3", "batch", at=cut) == prices("1 - 0.50 4")
    assert listed("openai/gpt-5.6-sol", "batch", at=sol - TICK) == prices(
        "2.50 3.125 0.25 15"
    )
    assert listed(
        "openai/gpt-5.6-sol", "batch", total_input=272_001, at=sol - TICK
    ) == prices("5 6.25 0.50 22.50")


# --- Service tiers


@pytest.mark.parametrize(
    ("name", "flex", "priority", "fast"),
    [
        ("gpt-4o", None, "4.25 - 2.125 17", "4.25 - 2.125 17"),
        ("gpt-5", "0.625 - 0.0625 5", "2.50 - 0.25 20", "2.50 - 0.25 20"),
        ("gpt-5-nano", "0.025 - 0.0025 0.20", None, None),
        ("gpt-5.5", "2.50 - 0.25 15", "12.50 - 1.25 75", "12.50 - 1.25 75"),
        ("gpt-6.1-terra", "0.50 0.625 0.025 2.50", "2 2.50 0.10 10", "2 2.50 0.10 10"),
        ("o1", None, None, None),
    ],
)
def test_service_tiers_have_prices_of_their_own(listed, name, flex, priority, fast) -> None:
    def stated(text: str | None) -> tuple[Decimal | None, ...] | None:
        return prices(text) if text else None

    assert listed(f"openai/{name}", "flex") == stated(flex)
    assert listed(f"openai/{name}", "priority") == stated(priority)
    assert listed(f"openai/{name}", speed="fast") == stated(fast)
    assert listed(f"openai/{name}", "batch", "fast") is None


def test_service_tier_has_no_price_before_it_was_known(listed) -> None:
    known = datetime(2026, 10, 12, tzinfo=UTC)

    assert listed("openai/gpt-5", "flex", at=known) is not None
    assert listed("openai/gpt-5", "flex", at=known - TICK) is None


# --- Context tiers


@pytest.mark.parametrize(
    ("name", "bound", "above"),
    [
        ("openai/gpt-5.4", 272_000, "5 - 0.50 22.50"),
        ("openai/gpt-5.6-sol", 272_000, "8 10 0.80 30"),
        ("google/gemini-1.5-flash", 128_000, "0.15 - 0.0375 0.60"),
        ("google/gemini-2.5-pro", 200_000, "2.50 - 0.25 15"),
    ],
)
def test_tier_is_a_cliff(listed, name, bound, above) -> None:
    assert listed(name, total_input=bound) == listed(name)
    assert listed(name, total_input=bound + 1) == prices(above)


def test_tier_without_a_batch_price_of_its_own(listed) -> None:
    """Only base rates are published for a batch of gpt-5.5-pro."""
    assert listed("openai/gpt-5.5-pro", total_input=272_001) == prices("60 - - 270")
    assert listed("openai/gpt-5.5-pro", "batch", total_input=272_001) == prices("15 - - 90")


# --- Geographies


@pytest.mark.parametrize("geo", ["eu", "us"])
def test_data_residency_costs_a_tenth_more(listed, geo) -> None:
    def in_geo(*conditions: str, **more: int) -> tuple[Decimal | None, ...] | None:
        return listed("openai/gpt-5.6-sol", *conditions, geo=geo, **more)

    assert in_geo() == prices("4.4 5.5 0.44 22")
    assert in_geo("batch") == prices("2.2 2.75 0.22 11")
    assert in_geo("flex") == prices("2.2 2.75 0.22 11")
    assert in_geo(total_input=272_001) == prices("8.8 11 0.88 33")


def test_search_costs_the_same_in_every_geography(listed) -> None:
    for geo in ("global", "eu", "us"):
        assert listed("openai/gpt-5.6-sol", geo=geo, classes=("web_search",)) == (10,)


def test_older_model_has_no_geography(listed) -> None:
    assert listed("openai/gpt-5", geo="eu") is None
    assert listed("google/gemini-2.5-pro", geo="us") is None


# --- Sounds and pictures

SENSES = ("input_audio", "cache_read_audio", "output_audio", "output_image")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        # Prices of their own.
        ("openai/gpt-audio", "32 - 64 10"),
        ("openai/gpt-4o-realtime-preview", "40 2.50 80 20"),
        ("google/gemini-2.5-flash", "1 0.10 2.50 2.50"),
        ("google/gemini-2.5-flash-image", "0.30 - 2.50 30"),
        ("google/gemini-3-pro-image-preview", "2 - 12 120"),
        # None stated: those of the text.
        ("openai/gpt-4o-audio-preview", "2.50 - 10 10"),
        ("openai/gpt-4o", "2.50 1.25 10 10"),
        ("google/gemini-2.5-pro", "1.25 0.125 10 10"),
    ],
)
def test_sounds_and_pictures(listed, name, expected) -> None:
    assert listed(name, classes=SENSES) == prices(expected)


def test_sound_in_a_batch(listed) -> None:
    assert listed("google/gemini-2.5-flash", "batch", classes=SENSES) == prices(
        "0.50 0.10 1.25 1.25"
    )
    assert listed("openai/gpt-4o", "batch", classes=SENSES) == prices("1.25 1.25 5 5")


def test_claude_has_no_price_for_them(listed) -> None:
    for name in ("anthropic/claude-opus-5", "google/claude-opus-5"):
        assert listed(name, classes=SENSES) == (None,) * 4


# --- Claude on Bedrock and Vertex

HOSTED = [
    # name, standard at the global endpoint
    ("claude-haiku-4-5", "1 1.25 2 0.10 5"),
    ("claude-haiku-5-5", "0.10 0.125 0.20 0.01 0.50"),
    ("claude-sonnet-4-5", "3 3.75 6 0.30 15"),
    ("claude-sonnet-4-6", "3 3.75 6 0.30 15"),
    ("claude-sonnet-5", "2 2.50 4 0.20 10"),
    ("claude-sonnet-5-5", "2 2.50 4 0.10 10"),
    ("claude-opus-4-5", "5 6.25 10 0.50 25"),
    ("claude-opus-4-6", "5 6.25 10 0.50 25"),
    ("claude-opus-4-7", "5 6.25 10 0.50 25"),
    ("claude-opus-4-8", "5 6.25 10 0.50 25"),
    ("claude-opus-5", "5 6.25 10 0.50 25"),
    ("claude-opus-5-5", "4 5 8 0.20 20"),
    ("claude-fable-5", "10 12.50 20 1 50"),
    ("claude-fable-5-1", "10 12.50 20 0.25 50"),
    ("claude-fable-5-2", "8 10 16 0.20 40"),
]


@pytest.mark.parametrize(("name", "standard"), HOSTED)
@pytest.mark.parametrize("provider", ["aws", "google"])
def test_hosted_claude_costs_a_tenth_more_at_regional_endpoints(
    listed, provider, name, standard
) -> None:
    def at(endpoint: str) -> tuple[Decimal | None, ...] | None:
        return listed(f"{provider}/{name}", endpoint=endpoint, classes=CLAUDE)

    assert at("global") == prices(standard)
    assert at("regional") == times("1.1", prices(standard))
    assert at("unstated") is None


@pytest.mark.parametrize(("name", "standard"), HOSTED)
def test_batch_on_vertex_halves_every_class(listed, name, standard) -> None:
    def at(endpoint: str) -> tuple[Decimal | None, ...] | None:
        return listed(f"google/{name}", "batch", endpoint=endpoint, classes=CLAUDE)

    assert at("global") == times("0.5", prices(standard))
    assert at("regional") == times("0.55", prices(standard))


def test_batch_on_bedrock_is_known_of_two_models(listed) -> None:
    offered = {name for name, _ in HOSTED if listed(f"aws/{name}", "batch") is not None}

    assert offered == {"claude-haiku-4-5", "claude-sonnet-4-5"}
    assert listed("aws/claude-haiku-4-5", "batch", classes=CLAUDE) == prices(
        "0.50 - - - 2.50"
    )
    assert listed(
        "aws/claude-haiku-4-5", "batch", endpoint="regional", classes=CLAUDE
    ) == prices("0.55 - - - 2.75")


@pytest.mark.parametrize("provider", ["aws", "google"])
def test_hosted_claude_has_no_fast_mode_and_no_geography(listed, provider) -> None:
    assert listed(f"{provider}/claude-opus-5", speed="fast") is None
    assert listed(f"{provider}/claude-opus-5", geo="us") is None


@pytest.mark.parametrize(
    ("name", "standard"),
    [
        ("claude-3-5-haiku", "0.80 1 1.60 0.08 4"),
        ("claude-3-5-sonnet", "3 3.75 6 0.30 15"),
        ("claude-3-7-sonnet", "3 3.75 6 0.30 15"),
        ("claude-sonnet-4", "3 3.75 6 0.30 15"),
        ("claude-opus-4", "15 18.75 30 1.50 75"),
        ("claude-opus-4-1", "15 18.75 30 1.50 75"),
    ],
)
def test_older_claude_costs_the_same_at_both_endpoints(listed, name, standard) -> None:
    for endpoint in ("global", "regional"):
        assert listed(f"google/{name}", endpoint=endpoint, classes=CLAUDE) == prices(
            standard
        )
    assert listed(f"aws/{name}", endpoint="regional", classes=CLAUDE) == prices(standard)
    assert listed(f"google/{name}", "batch") is None


def test_model_without_caching_has_no_price_for_it(listed) -> None:
    assert listed("aws/claude-3-haiku", endpoint="regional", classes=CLAUDE) == prices(
        "0.25 - - - 1.25"
    )


def test_older_claude_has_no_global_endpoint_on_bedrock(listed) -> None:
    assert listed("aws/claude-opus-4-1", endpoint="global") is None
    assert listed("aws/claude-sonnet-4", endpoint="global") is not None


def test_hosted_mythos_costs_what_fable_does(listed) -> None:
    assert listed("aws/claude-mythos-5-1", endpoint="regional", classes=CLAUDE) == prices(
        "11 13.75 22 0.275 55"
    )
    assert listed("aws/claude-mythos-5-2", classes=CLAUDE) == prices("8 10 16 0.20 40")


@pytest.mark.parametrize("provider", ["aws", "google"])
@pytest.mark.parametrize(("endpoint", "factor"), [("global", "1"), ("regional", "1.1")])
@pytest.mark.parametrize(
    ("name", "bound", "above", "at"),
    [
        ("claude-haiku-5-5", 100_000, "0.50 0.625 1 0.05 2.50", TODAY),
        ("claude-sonnet-4-5", 200_000, "6 7.50 12 0.60 22.50", TODAY),
        (
            "claude-sonnet-4-6",
            200_000,
            "6 7.50 12 0.60 22.50",
            datetime(2026, 3, 13, tzinfo=UTC) - TICK,
        ),
        (
            "claude-opus-4-6",
            200_000,
            "10 12.50 20 1 37.50",
            datetime(2026, 3, 13, tzinfo=UTC) - TICK,
        ),
    ],
)
def test_hosted_tiers(listed, provider, endpoint, factor, name, bound, above, at) -> None:
    call = {"endpoint": endpoint, "classes": CLAUDE}
    hosted = f"{provider}/{name}"

    assert listed(hosted, total_input=bound, at=at, **call) == listed(hosted, at=at, **call)
    assert listed(hosted, total_input=bound + 1, at=at, **call) == times(
        factor, prices(above)
    )


@pytest.mark.parametrize("provider", ["aws", "google"])
@pytest.mark.parametrize("name", ["claude-sonnet-4-6", "claude-opus-4-6"])
def test_hosted_4_6_loses_its_tier(listed, provider, name) -> None:
    end = datetime(2026, 3, 13, tzinfo=UTC)
    long_call = {"total_input": 200_001, "at": end, "classes": CLAUDE}

    for endpoint in ("global", "regional"):
        assert listed(f"{provider}/{name}", endpoint=endpoint, **long_call) == listed(
            f"{provider}/{name}", endpoint=endpoint, classes=CLAUDE
        )


@pytest.mark.parametrize("provider", ["aws", "google"])
@pytest.mark.parametrize(("endpoint", "factor"), [("global", "1"), ("regional", "1.1")])
def test_hosted_sonnet_5_5_reads_become_cheaper(listed, provider, endpoint, factor) -> None:
    start = datetime(2026, 10, 7, tzinfo=UTC)
    call = {"endpoint": endpoint, "classes": ("cache_read",)}
    hosted = f"{provider}/claude-sonnet-5-5"

    assert listed(hosted, at=start - TICK, **call) == times(factor, prices("0.20"))
    assert listed(hosted, at=start, **call) == times(factor, prices("0.10"))
