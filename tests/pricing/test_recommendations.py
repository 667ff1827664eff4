"""What past days recommend: a cap, and what would have cost less."""

from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.pricing import recommendations
from billing.pricing.budget_periods import PeriodKind
from billing.pricing.forecast import Forecast, LowConfidence, forecast
from billing.pricing.recommendations import Action, Seen, Verdict

TODAY = date(2026, 11, 22)
SEEN = Seen(14, 1200)


def of(expected: int, *, deviation: float = 0.2, low: LowConfidence | None = None):
    """A period that costs as much in the middle, give or take."""
    rests = ((TODAY, float(expected)),)
    return Forecast(Decimal(), rests, deviation, deviation, 30, low)


def verdict(expected: int, cap: str | None, **its) -> Verdict:
    return recommendations.of_cap(
        of(expected, **its),
        None if cap is None else Decimal(cap),
        kind=PeriodKind.MONTH,
        currency="USD",
        seen=SEEN,
    )


@pytest.mark.parametrize(
    ("expected", "cap"),
    [
        # The ninth decile of a lognormal of 0.2: × e^(1.2816 × 0.2) = 1.2922.
        (4000, "5200"),
        (1000, "1300"),
        (77, "100"),
        (3, "3.9"),
    ],
)
def test_cap_is_what_one_period_in_ten_passes_rounded_up(expected: int, cap: str):
    found = recommendations.cap_for(of(expected))

    assert str(found) == cap


@given(
    expected=st.integers(1, 10**9),
    deviation=st.floats(0.01, 1.5),
    percent=st.integers(1, 50),
)
def test_a_recommended_cap_is_passed_no_more_often(expected, deviation, percent):
    its = of(expected, deviation=deviation)
    risk = Decimal(percent) / 100

    cap = recommendations.cap_for(its, risk)

    assert its.probability_over(cap) <= risk
    assert its.quantile(1 - risk) <= cap <= its.quantile(1 - risk) * Decimal("1.1") + 1


@pytest.mark.parametrize(
    ("probability", "said"),
    [
        ("0", "in fewer than 1 month of 100"),
        ("0.01", "in 1 month of 100"),
        ("0.02", "in 1 month of 50"),
        ("0.04", "in 1 month of 20"),
        ("0.09", "in 1 month of 10"),
        ("0.1", "in 1 month of 10"),
        ("0.25", "in 1 month of 4"),
        ("0.26", "in 3 months of 10"),
        ("0.34", "in 4 months of 10"),  # three of ten would be too low
        ("0.5", "in 5 months of 10"),
        ("0.68", "in 7 months of 10"),
        ("0.9", "in 9 months of 10"),
        ("0.91", "in more than 9 months of 10"),
        ("0.98", "in more than 9 months of 10"),
        # No forecast is certain.
        ("0.99", "in almost every month"),
        ("1", "in almost every month"),
    ],
)
def test_odds_are_said_in_periods(probability: str, said: str):
    assert recommendations.odds(Decimal(probability), PeriodKind.MONTH) == said


@pytest.mark.parametrize(
    ("cap", "action", "amount"),
    [
        (None, Action.SET_CAP, "5200"),
        ("3000", Action.RAISE_CAP, "5200"),
        ("4500", Action.RAISE_CAP, "5200"),  # passed in 28 of 100
        ("4800", Action.KEEP_CAP, "4800"),  # in 18 of 100
        ("5200", Action.KEEP_CAP, "5200"),
        ("7000", Action.KEEP_CAP, "7000"),  # never, and not half as large again
        ("9000", Action.LOWER_CAP, "5200"),
    ],
)
def test_what_to_do_about_a_cap(cap: str | None, action: Action, amount: str):
    found = verdict(4000, cap)

    assert (found.action, found.amount) == (action, Decimal(amount))


def test_a_verdict_says_how_often_and_what_it_rests_on():
    found = verdict(4000, "3000")

    assert found.sentence == (
        "The cap of $3,000.00 is passed in more than 9 months of 10; $5,200.00 is passed "
        "in 1 month of 10."
    )
    assert found.rests_on == (
        "1,200 records on 14 days; the next month is expected to cost $4,000.00 "
        "($3,095.61 to $5,168.61 in 8 of 10)."
    )
    assert not found.low_confidence
    assert verdict(4000, None, low=LowConfidence.FEW_DAYS).low_confidence


def test_little_is_not_worth_it_and_the_largest_comes_first():
    def saving(amount: str) -> Verdict:
        return Verdict(Action.BATCH_THAT, Decimal(amount), "", "")

    found = recommendations.worth_it(map(saving, ["4.99", "5", "80"]), spent=Decimal(100))
    assert [one.amount for one in found] == [80, 5]
    # Five percent of little is less than anybody changes a program for.
    assert recommendations.worth_it([saving("0.99")], spent=Decimal(2)) == []


def test_the_days_before_the_period_are_not_in_it():
    whole = forecast(
        spent=Decimal(70),
        history=[Decimal(10)] * 28,
        today=TODAY,
        today_left=Decimal("0.5"),
        until=date(2026, 12, 31),
    )
    assert whole is not None

    december = whole.beginning(date(2026, 12, 1))

    assert december.expected == 300  # 30 days of ten, whatever November costs
    assert next(one.day for one in december.path()) == date(2026, 12, 1)
    assert december.exhausted_on(Decimal(100)) == date(2026, 12, 1) + timedelta(days=9)


def test_of_days_without_spend_nothing_is_claimed():
    nothing = recommendations.nothing_stands_out(Decimal(), currency="USD", seen=Seen(0, 0))
    little = recommendations.nothing_stands_out(Decimal(2), currency="USD", seen=SEEN)

    assert nothing.sentence == "Nothing was spent on these days."
    assert little.sentence.endswith("% of the $2.00 that was spent.")
