"""What a period will have cost: hand-worked series, and what holds for all of them."""

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.pricing import forecast as forecasts
from billing.pricing.forecast import GENERAL, Forecast, LowConfidence, Spread

TODAY = date(2026, 11, 16)  # a Monday
UNTIL = date(2026, 12, 1)
NOTHING = Decimal(0)


def chance_of(seed: int) -> Random:
    return Random(seed)  # noqa: S311 - the same days each time


def forecast(history: Sequence[Any], **changes: Any) -> Forecast | None:
    """Of 15 days, of which today has not begun; nothing is spent in the period yet."""
    return forecasts.forecast(
        **{
            "spent": NOTHING,
            "history": [Decimal(cost) for cost in history],
            "today": TODAY,
            "today_left": Decimal(1),
            "until": UNTIL,
            **changes,
        }
    )


def made(history: Sequence[Any], **changes: Any) -> Forecast:
    found = forecast(history, **changes)
    assert found is not None
    return found


def days_of(found: Forecast) -> list[Decimal]:
    """What each day from today on adds."""
    ends = [found.spent, *(ahead.expected for ahead in found.path())]
    return [end - begin for begin, end in pairwise(ends)]


# --- The centre ---------------------------------------------------------------------


def test_equal_days_go_on():
    found = made([10] * 28, spent=Decimal("150.5"))

    assert found.expected == Decimal("300.5")
    assert days_of(found) == [10] * 15


def test_a_week_repeats_itself():
    """Nothing on Saturdays and Sundays; the days known end on a Sunday."""
    expected = days_of(made([10, 10, 10, 10, 10, 0, 0] * 12))

    # One flat week is assumed beside the twelve that were seen.
    assert all(cost < 1 for cost in (*expected[5:7], *expected[12:14]))
    assert all(Decimal("9.5") < cost < 11 for cost in expected[:5])
    assert sum(expected[:7]) == pytest.approx(Decimal(50), abs=Decimal("1.5"))


def test_a_single_spike_moves_nothing():
    spiked = [10] * 20 + [10_000] + [10] * 7

    assert made(spiked).expected == made([10] * 28).expected


def test_a_single_refund_moves_nothing():
    assert made([10] * 24 + [-500] + [10] * 3).expected == made([10] * 28).expected


@pytest.mark.parametrize(("since", "followed"), [(3, 0.2), (7, 0.5), (14, 0.8)])
def test_a_step_is_followed(since: int, followed: float):
    """From 10 to 30 a day: how much of the difference has arrived after so many days."""
    found = made([10] * 40 + [30] * since)

    arrived = (found.expected - 150) / 300
    assert followed <= arrived <= 1


def test_a_project_starts_with_its_first_day():
    started = made([0] * 60 + [10] * 20)

    assert started.expected == 150
    assert started.seen == 20


def test_refunds_alone_expect_nothing_more():
    found = made([-5] * 20, spent=Decimal(-3))

    assert found.expected == found.low == found.high == -3


def test_amounts_without_end_are_carried():
    found = made(["123456789012"] * 30, spent=Decimal("0.000000000000001"))

    assert found.expected == Decimal(123456789012) * 15 + Decimal("0.000000000000001")


def test_a_single_day_is_a_forecast():
    found = made([10])

    assert found.expected == 150
    assert found.low_confidence is LowConfidence.FEW_DAYS


# --- Today --------------------------------------------------------------------------


def test_what_is_left_of_today_is_expected_as_far_as_it_is_left():
    found = made([10] * 28, spent=Decimal(7), today_left=Decimal("0.25"), until=UNTIL)

    assert days_of(found)[0] == Decimal("2.5")
    assert found.expected == 7 + Decimal("2.5") + 14 * 10


def test_at_the_end_of_the_last_day_all_is_known():
    found = made(
        [10] * 28, spent=Decimal(7), today_left=NOTHING, until=TODAY + timedelta(days=1)
    )

    assert found.low == found.expected == found.high == 7
    assert found.probability_over(Decimal("6.99")) == 1
    assert found.probability_over(Decimal(7)) == 0


# --- Where there is none, or little -------------------------------------------------


@pytest.mark.parametrize("history", [[], [0], [0] * 40])
def test_without_data_and_plan_there_is_no_forecast(history: list[int]):
    assert forecast(history) is None


def test_a_period_that_is_over_has_no_forecast():
    assert forecast([10] * 28, until=TODAY) is None


def test_before_the_first_day_it_is_the_plan():
    found = made([], planned_daily=Decimal(20))

    assert found.expected == 300
    assert found.low_confidence is LowConfidence.PLAN


def test_the_plan_gives_way_to_what_is_seen():
    """Of 20 planned and 10 spent a day: mostly the plan in week one, then less each day."""
    plan = Decimal(20)
    seen = [made([10] * days, planned_daily=plan).expected / 15 for days in range(15)]

    assert seen == sorted(seen, reverse=True)
    assert seen[6] > 15 >= seen[7]
    assert (seen[0], seen[14]) == (20, 10)


@pytest.mark.parametrize(
    ("days", "ahead", "why"),
    [
        (13, 15, LowConfidence.FEW_DAYS),
        (14, 15, None),
        (20, 80, None),
        (20, 81, LowConfidence.FAR),
    ],
)
def test_low_confidence_is_said(days: int, ahead: int, why: LowConfidence | None):
    found = made([10] * days, until=TODAY + timedelta(days=ahead))

    assert found.low_confidence is why


# --- The cap ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cap", "day"),
    [
        ("5", date(2026, 11, 16)),
        ("10", date(2026, 11, 16)),
        ("10.01", date(2026, 11, 17)),
        ("75", date(2026, 11, 23)),
        ("150", date(2026, 11, 30)),
        ("150.01", None),
    ],
)
def test_the_day_that_a_cap_is_reached_on(cap: str, day: date | None):
    assert made([10] * 28).exhausted_on(Decimal(cap)) == day


def test_half_of_the_outcomes_lie_above_the_centre():
    found = made([10] * 28, spent=Decimal(100))

    assert found.probability_over(found.expected) == Decimal("0.50")
    assert found.probability_over(found.low) == Decimal("0.90")
    assert found.probability_over(found.high) == Decimal("0.10")
    assert found.probability_over(Decimal(99)) == 1


# --- The band -----------------------------------------------------------------------


def test_calm_days_make_a_narrow_band():
    calm = made([10] * 90)
    chance = chance_of(1)
    wild = made([chance.choice((0, 5, 40)) for _ in range(90)])

    assert calm.high - calm.low < calm.expected
    assert (wild.high - wild.low) / wild.expected > (
        calm.high - calm.low
    ) / calm.expected * 2


def test_few_days_lean_on_what_is_known_of_others():
    calm = Spread(Decimal("0.02"), Decimal("0.03"), Decimal(40))
    wild = Spread(Decimal("0.8"), Decimal("0.9"), Decimal(40))
    narrow, usual, wide = (
        made([10] * 14, others=others) for others in (calm, GENERAL, wild)
    )

    assert narrow.low > usual.low > wide.low
    assert narrow.high < usual.high < wide.high
    assert narrow.expected == usual.expected == wide.expected


def test_the_path_opens_from_what_is_spent():
    path = made([10] * 28, spent=Decimal(50), today_left=NOTHING).path()

    assert path[0][1:] == (50, 50, 50)
    widths = [ahead.high - ahead.low for ahead in path]
    assert widths == sorted(widths)
    assert path[-1].day == UNTIL - timedelta(days=1)


def test_errors_of_others_are_measured_where_enough_was_seen():
    short, calm = [Decimal(10)] * 15, [Decimal(10)] * 60
    chance = chance_of(2)
    wild = [Decimal(chance.choice((0, 5, 40))) for _ in range(60)]

    assert forecasts.spread([short]) == forecasts.UNKNOWN
    assert forecasts.spread([calm])[:2] == (0, 0)
    assert min(forecasts.spread([wild])[:2]) > Decimal("0.1")
    both = forecasts.spread([calm, wild])
    assert both.up < forecasts.spread([wild]).up
    each = [forecasts.spread([one]).stretches for one in (calm, wild)]
    assert both.stretches == pytest.approx(sum(each), abs=Decimal("0.0002"))


def test_the_band_holds_what_comes():
    """About 80 % of 200 teams, with days that scatter as the generator says."""
    held = 0
    for seed in range(200):
        chance = chance_of(seed)
        days = [Decimal(chance.lognormvariate(2, 0.8)) for _ in range(60)]
        known, coming = days[:45], days[45:]
        found = made(known)
        held += found.low <= sum(coming) <= found.high

    assert 140 <= held <= 194


# --- What holds for all -------------------------------------------------------------

COSTS = st.lists(
    st.decimals(min_value=0, max_value=10**9, places=6), min_size=1, max_size=60
)
ANY_COSTS = st.lists(
    st.decimals(min_value=-(10**6), max_value=10**9, places=6), min_size=1, max_size=60
)
SHARES = st.decimals(min_value=0, max_value=1, places=4)
SPENT = st.decimals(min_value=0, max_value=10**9, places=9)
PROBABILITIES = [Decimal(percent) / 100 for percent in (1, 10, 30, 50, 70, 90, 99)]


@given(ANY_COSTS, SPENT, SHARES)
def test_nothing_that_is_spent_comes_back(
    history: list[Decimal], spent: Decimal, left: Decimal
):
    found = forecast(history, spent=spent, today_left=left)

    if found is not None:
        assert spent <= found.low <= found.expected <= found.high
        ends = [ahead.expected for ahead in found.path()]
        assert ends == sorted(ends)
        assert ends[-1] == found.expected


@given(COSTS, SPENT)
def test_quantiles_and_probabilities_rise_and_fall(history: list[Decimal], spent: Decimal):
    found = forecast(history, spent=spent)
    if found is None:
        return

    quantiles = [found.quantile(probability) for probability in PROBABILITIES]
    above = [found.probability_over(amount) for amount in quantiles]

    assert quantiles == sorted(quantiles)
    assert above == sorted(above, reverse=True)
    assert all(0 <= probability <= 1 for probability in above)


@given(COSTS, SPENT, st.decimals(min_value=0, max_value=10**10, places=2))
def test_a_cap_is_reached_on_the_first_day_that_reaches_it(
    history: list[Decimal], spent: Decimal, cap: Decimal
):
    found = forecast(history, spent=spent)
    if found is None:
        return

    day = found.exhausted_on(cap)

    reached = {ahead.day for ahead in found.path() if ahead.expected >= cap}
    assert day == (min(reached) if reached else None)


@given(COSTS, st.integers(min_value=2, max_value=1000))
def test_the_unit_does_not_matter(history: list[Decimal], times: int):
    one = forecast(history)
    many = forecast([cost * times for cost in history])

    assert (one is None) == (many is None)
    if one is not None and many is not None:
        assert float(many.expected) == pytest.approx(
            float(one.expected * times), rel=1e-6, abs=1e-3
        )
        assert (many.up, many.down) == pytest.approx((one.up, one.down))
