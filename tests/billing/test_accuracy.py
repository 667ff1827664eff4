"""How right plans were, month by month."""

from datetime import date, datetime
from decimal import Decimal

from billing.reports import accuracy
from billing.reports.accuracy import Accuracy, PastMonth
from tests.billing.spending import spend
from tests.billing.test_plans import approved, line
from tests.conftest import NOW, Cast

IN_JANUARY = datetime(2027, 1, 10, tzinfo=NOW.tzinfo)
THIN = "\N{NARROW NO-BREAK SPACE}"


def month(number: int, planned: str, actual: str) -> PastMonth:
    return PastMonth(date(2026, number, 1), Decimal(planned), Decimal(actual))


def test_months_that_are_over_are_held_against_their_plans(cast: Cast):
    approved(cast, line(10))  # November, 0.042 USD
    spend(cast, 12)

    found = accuracy.accuracy(team=cast.search, now=IN_JANUARY)

    (only,) = found.months
    assert (only.planned, only.actual) == (Decimal("0.042"), Decimal("0.0504"))
    assert (only.difference, only.percent) == (Decimal("0.0084"), 20)
    assert found.sentence == f"One planned month is over: it was 20{THIN}% off."
    # November is not over, and no plan is the other team's.
    assert not accuracy.accuracy(team=cast.search, now=NOW).months
    assert not accuracy.accuracy(team=cast.support, now=IN_JANUARY).months


def test_of_a_project_it_is_its_own_plan(cast: Cast):
    approved(cast, line(10))
    approved(cast, line(20), project=cast.answers, later=1)
    spend(cast, 12)

    found = accuracy.accuracy(team=cast.search, project=cast.answers, now=IN_JANUARY)

    assert [one.planned for one in found.months] == [Decimal("0.084")]


def test_a_plan_of_a_month_that_is_over_is_no_plan_of_it(cast: Cast):
    spend(cast, 12)
    approved(cast, line(12), later=30 * 24 * 60)  # in December, as much as November cost

    assert not accuracy.accuracy(team=cast.search, now=IN_JANUARY).months

    approved(cast, line(10))
    (only,) = accuracy.accuracy(team=cast.search, now=IN_JANUARY).months
    assert only.planned == Decimal("0.042")


def test_what_months_have_in_common_is_the_bias():
    found = Accuracy([month(9, "100", "130"), month(10, "200", "190")])

    assert (found.mean_error, found.bias) == (Decimal("17.5"), Decimal("12.5"))
    assert found.sentence == (
        f"Plans were 12{THIN}% too low on average, and 17{THIN}% off, whichever way, in 2 "
        "months."
    )


def test_the_last_three_are_said_one_by_one():
    off = [month(10, "100", "112"), month(9, "100", "100.4"), month(8, "100", "60")]
    older = month(7, "100", "500")

    assert Accuracy([*off, older]).recent == (
        f"The last three planned months were 12{THIN}% over, within 1{THIN}% of and "
        f"40{THIN}% under their plans, newest first."
    )
    assert Accuracy(off[:1]).recent == (
        f"The last planned month was 12{THIN}% over its plan."
    )
    assert "two planned months" in Accuracy(off[:2]).recent
    assert Accuracy([]).recent == ""


def test_errors_both_ways_are_no_bias():
    found = Accuracy([month(9, "100", "110"), month(10, "100", "90")])

    assert found.sentence.startswith("Plans were neither too low nor too high on average")


def test_a_plan_of_nothing_has_no_percent():
    found = Accuracy([month(9, "0", "10")])

    assert (found.mean_error, found.bias) == (None, None)
