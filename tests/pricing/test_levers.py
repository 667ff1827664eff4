"""Levers come to whole requests and tokens, which add up."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.pricing import levers
from billing.pricing.levers import Levers, Part, Share, Ttl, multiplied
from billing.pricing.token_classes import BESIDE_TEXT, Quantities, TokenClass

APRIL = date(2026, 4, 1)
SONNET, HAIKU = "anthropic/claude-sonnet-5", "anthropic/claude-haiku-4-5"
ALL_SONNET = [Share(SONNET)]


def shape(**changes: Any) -> Levers:
    """A thousand requests on each of April's thirty days."""
    given_: dict[str, Any] = {
        "requests_per_day": Decimal(1000),
        "input_tokens": 500,
        "output_tokens": 100,
    }
    return Levers(**{**given_, **changes})


def only(its: Levers, *shares: Share) -> Part:
    (part,) = multiplied(its, shares or ALL_SONNET, APRIL, 1)
    return part


def test_a_month_is_its_days_times_what_each_day_has():
    part = only(shape())

    assert (part.month, part.requests) == (APRIL, 30_000)
    assert part.quantities == Quantities(input=15_000_000, output=3_000_000)


@pytest.mark.parametrize(("days", "counted"), [(31, 30), (30, 30), (22, 22), (1, 1)])
def test_a_short_month_has_as_many_active_days_as_it_has(days: int, counted: int):
    assert only(shape(active_days=days)).requests == counted * 1000


def test_each_user_makes_so_many_requests():
    its = shape(requests_per_day=Decimal("2.5"), users=40, active_days=20)

    assert only(its).requests == 2000


def test_no_users_make_none():
    assert only(shape(users=0)).requests == 0


def test_growth_compounds_from_month_to_month_and_is_rounded_once():
    its = shape(requests_per_day=Decimal(1), active_days=10, growth_percent=Decimal(15))

    parts = multiplied(its, ALL_SONNET, APRIL, 4)

    # 10, 11.5, 13.225, 15.20875
    assert [part.requests for part in parts] == [10, 12, 13, 15]
    assert parts[-1].month == date(2026, 7, 1)


def test_it_may_shrink_to_nothing():
    parts = multiplied(shape(growth_percent=Decimal(-100)), ALL_SONNET, APRIL, 2)

    assert [part.requests for part in parts] == [30_000, 0]


def test_models_divide_the_requests_and_add_up_to_them():
    third = Decimal("33.333333333")
    its = shape(requests_per_day=Decimal(1), active_days=10)
    shares = [Share("a", third), Share("b", third), Share("c", 100 - 2 * third)]

    parts = multiplied(its, shares, APRIL, 1)

    assert [(part.model, part.requests) for part in parts] == [("a", 3), ("b", 3), ("c", 4)]


def test_a_model_without_a_share_has_no_part():
    parts = multiplied(shape(), [Share(SONNET), Share(HAIKU, Decimal(0))], APRIL, 1)

    assert [part.model for part in parts] == [SONNET]


def test_shares_are_a_hundred_percent():
    with pytest.raises(ValueError, match="100"):
        multiplied(shape(), [Share(SONNET, Decimal(99))], APRIL, 1)


def test_a_part_of_it_goes_by_batch():
    standard, batch = multiplied(shape(batch_percent=Decimal(25)), ALL_SONNET, APRIL, 1)

    assert (standard.processing, standard.requests) == ("standard", 22_500)
    assert (batch.processing, batch.requests) == ("batch", 7_500)
    assert batch.quantities == Quantities(input=3_750_000, output=750_000)


def test_all_of_it_may():
    assert only(shape(batch_percent=Decimal(100))).processing == "batch"


def test_what_finds_the_prefix_reads_it_and_the_others_write_it():
    its = shape(prefix_tokens=8000, cache_ttl=Ttl.FIVE_MINUTES, hit_percent=Decimal(90))

    assert only(its).quantities == Quantities(
        input=15_000_000,
        cache_write_5m=3_000 * 8_000,
        cache_read=27_000 * 8_000,
        output=3_000_000,
    )


def test_of_half_of_the_requests_half_begin_with_the_prefix():
    its = shape(
        prefix_tokens=8000,
        prefix_percent=Decimal(50),
        cache_ttl=Ttl.FIVE_MINUTES,
        hit_percent=Decimal(90),
    )

    assert only(its).quantities == Quantities(
        input=15_000_000,
        cache_write_5m=1_500 * 8_000,
        cache_read=13_500 * 8_000,
        output=3_000_000,
    )
    plain = only(its._replace(cache_ttl=Ttl.NONE)).quantities
    assert plain.input == 15_000_000 + 15_000 * 8_000


def test_a_model_with_levers_of_its_own_takes_the_volume_alone_from_the_scenario():
    own = shape(requests_per_day=Decimal(7), input_tokens=90, output_tokens=3)
    own = own._replace(batch_percent=Decimal(50), prefix_tokens=10)

    standard, batch = multiplied(
        shape(searches_per_1000=5), [Share(HAIKU, own=own)], APRIL, 1
    )

    assert (standard.requests, batch.requests) == (15_000, 15_000)
    assert standard.quantities == Quantities(input=15_000 * 100, output=15_000 * 3)


def test_sound_pictures_and_sessions_are_so_many_in_a_thousand_requests():
    its = shape(
        input_audio_per_1000=12,
        cache_read_audio_per_1000=1,
        output_audio_per_1000=34,
        output_image_per_1000=56,
        session_per_1000=78,
    )

    # Of another tokenizer too: they are no text.
    used = only(its, Share(HAIKU, token_factor=Decimal("1.3"))).quantities
    assert used[6:] == (360, 30, 1_020, 1_680, 2_340)
    without = frozenset({TokenClass.OUTPUT_IMAGE, TokenClass.SESSION})
    assert only(its, Share(HAIKU, without=without)).quantities[6:] == (360, 30, 1_020, 0, 0)


def test_an_hour_is_another_class():
    its = shape(prefix_tokens=8000, cache_ttl=Ttl.ONE_HOUR, hit_percent=Decimal(90))

    used = only(its).quantities

    assert (used.cache_write_5m, used.cache_write_1h) == (0, 24_000_000)


def test_without_caching_the_prefix_is_plain_input():
    its = shape(prefix_tokens=8000, hit_percent=Decimal(90))

    assert only(its).quantities == Quantities(input=30_000 * 8_500, output=3_000_000)


@pytest.mark.parametrize(
    ("model", "prefix", "caches"),
    [
        ("anthropic/claude-haiku-4-5", 4_095, False),
        ("anthropic/claude-haiku-4-5", 4_096, True),
        ("anthropic/claude-sonnet-5", 1_024, True),
        ("anthropic/claude-opus-5-5", 511, False),
        ("anthropic/claude-opus-5-5", 512, True),
        ("acme/unknown", 1_023, False),
        ("acme/unknown", 1_024, True),
    ],
)
def test_what_is_shorter_than_the_model_caches_is_plain_input(
    model: str, prefix: int, caches: bool
):
    its = shape(prefix_tokens=prefix, cache_ttl=Ttl.FIVE_MINUTES, hit_percent=Decimal(100))

    used = only(its, Share(model)).quantities

    assert (used.cache_read > 0) is caches
    assert used.total_input == 30_000 * (prefix + 500)


def test_another_tokenizer_counts_more_of_everything_and_may_reach_the_least_prefix():
    its = shape(prefix_tokens=3_200, cache_ttl=Ttl.FIVE_MINUTES, hit_percent=Decimal(100))

    used = only(its, Share(HAIKU, token_factor=Decimal("1.3"))).quantities

    assert used == Quantities(
        input=30_000 * 650, cache_read=30_000 * 4_160, output=30_000 * 130
    )


def test_searches_are_so_many_in_a_thousand_requests():
    assert only(shape(searches_per_1000=25)).quantities.web_search == 750


@pytest.mark.parametrize(
    ("per_day", "ttl", "lapses"),
    [
        (288, Ttl.FIVE_MINUTES, False),
        (287, Ttl.FIVE_MINUTES, True),
        (24, Ttl.ONE_HOUR, False),
        (23, Ttl.ONE_HOUR, True),
        (1, Ttl.NONE, False),
    ],
)
@pytest.mark.parametrize("times", [1, 4])
def test_requests_further_apart_than_the_cache_lives_are_told(
    per_day: int, ttl: Ttl, lapses: bool, times: int
):
    """Of four times as many of which a fourth has it, it is the same."""
    its = shape(
        requests_per_day=Decimal(per_day * times),
        prefix_tokens=8000,
        prefix_percent=Decimal(100 // times),
        cache_ttl=ttl,
    )

    assert its.lapses is lapses


def test_thinking_is_a_part_of_the_output():
    its = shape(thinking_percent=Decimal(40))

    assert its.thinking_tokens == 40
    assert only(its).quantities == only(shape()).quantities


@given(
    st.integers(0, 10**12),
    st.lists(st.decimals(0, 100, places=9), min_size=1, max_size=8).filter(any),
)
def test_the_parts_of_a_division_add_up_and_are_at_most_one_off(
    total: int, weights: list[Decimal]
):
    parts = levers.divided(total, weights)

    assert sum(parts) == total
    for part, weight in zip(parts, weights, strict=True):
        assert abs(part * sum(weights) - total * weight) < sum(weights)


percents = st.decimals(0, 100, places=2)


@given(
    st.builds(
        Levers,
        requests_per_day=st.decimals(0, 100_000, places=3),
        input_tokens=st.integers(0, 100_000),
        output_tokens=st.integers(0, 100_000),
        users=st.none() | st.integers(0, 100),
        active_days=st.integers(1, 31),
        growth_percent=st.decimals(-100, 100, places=2),
        batch_percent=percents,
        prefix_tokens=st.integers(0, 100_000),
        prefix_percent=percents,
        cache_ttl=st.sampled_from(Ttl),
        hit_percent=percents,
        searches_per_1000=st.integers(0, 5_000),
        thinking_percent=percents,
        **{f"{name}_per_1000": st.integers(0, 10**6) for name in BESIDE_TEXT},
    ),
    percents,
    st.integers(1, 12),
)
def test_nothing_is_lost_between_months_models_and_processings(
    its: Levers, first: Decimal, months: int
):
    shares = [Share(SONNET, first), Share(HAIKU, 100 - first)]

    parts = multiplied(its, shares, APRIL, months)

    for number, month in enumerate(sorted({part.month for part in parts})):
        of_month = [part for part in parts if part.month == month]
        assert sum(part.requests for part in of_month) == levers.requests(
            its, month, number
        )
        for part in of_month:
            used, rest = part.quantities, part.requests * its.input_tokens
            of_text = used.input + used.cached
            repeating = of_text - rest
            share = part.requests * its.prefix_percent * its.prefix_tokens
            assert abs(repeating * 100 - share) <= 50 * its.prefix_tokens
            assert part.quantities.output == part.requests * its.output_tokens
            assert min(part.quantities) >= 0
