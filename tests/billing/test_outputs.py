"""What outputs cost of the whole, and which are long: Opus 5.5 costs 4 in, 20 out."""

from decimal import Decimal

import pytest

from billing.reports import outputs
from billing.reports.outputs import Outputs
from teams import isolation
from tests.billing.savings import NOVEMBER, call, counted, take_back
from tests.conftest import NOW, Cast

pytestmark = pytest.mark.usefixtures("as_app")


def reported(cast: Cast) -> Outputs:
    with isolation.visible_teams([cast.search.pk]):
        return outputs.of(team=cast.search, now=NOW, **NOVEMBER)


def test_share_is_of_all_that_it_cost(cast: Cast):
    counted(cast, [call(input_tokens=2_000, output_tokens=500)])

    (row,) = reported(cast).rows

    # 0.008 in, 0.01 out: at 5 times the price, 500 tokens out cost more than 2,000 in.
    assert row.output_cost == Decimal("0.01")
    assert row.percent == Decimal(1000) / 18
    assert row.mean == 500


def usual(output: int = 100) -> list[dict[str, object]]:
    """Twenty calls of nearly one size, and between them an hour."""
    return [call(place, output_tokens=output + place % 2) for place in range(20)]


def test_long_outputs_are_listed_by_size(cast: Cast):
    longer = [
        call(30, output_tokens=203, id="just-above"),
        call(31, output_tokens=202, id="at-the-bound"),
        call(32, output_tokens=5_000, id="far-above"),
    ]
    counted(cast, [*usual(), *longer])

    report = reported(cast)

    assert [one.record_id for one in report.longest] == ["far-above", "just-above"]
    assert report.longest[0].cost == 5_000 * Decimal("0.00002")
    (row,) = report.rows
    assert (row.bound, row.long_outputs) == (202, 2)
    assert row.beyond == (5_000 - 202 + 1) * Decimal("0.00002")


def test_few_records_say_nothing_of_what_is_usual(cast: Cast):
    counted(cast, [*usual()[:18], call(40, output_tokens=9_000)])

    (row,) = reported(cast).rows

    assert (row.bound, row.beyond) == (None, None)
    assert reported(cast).longest == []


def test_each_project_and_model_has_a_bound_of_its_own(cast: Cast):
    other = [
        call(place, output_tokens=9_000, model="claude-sonnet-5") for place in range(20)
    ]
    counted(cast, [*usual(), *other])

    assert reported(cast).longest == []
    assert {row.model.name: row.bound for row in reported(cast).rows} == {
        "claude-opus-5-5": 202,
        "claude-sonnet-5": 18_000,
    }


def test_what_was_taken_back_is_not_listed(cast: Cast):
    counted(cast, [*usual(), call(30, output_tokens=9_000, id="mistake")])
    assert [one.record_id for one in reported(cast).longest] == ["mistake"]

    take_back(cast, "mistake")

    assert reported(cast).longest == []


def test_what_the_ledger_does_not_count_says_nothing_of_what_is_usual(cast: Cast):
    """Of 21 the one that was taken back and the one without a price are none: 19 left."""
    unpriced = call(41, output_tokens=100, speed="fast", service_tier="batch")
    counted(cast, [*usual()[:19], call(40, output_tokens=100, id="mistake"), unpriced])
    take_back(cast, "mistake")

    (row,) = reported(cast).rows

    assert (row.requests, row.bound) == (19, None)


def test_quartiles_are_those_of_what_is_counted(cast: Cast):
    large = [
        call(50 + place, output_tokens=9_000, id=f"large-{place}") for place in range(9)
    ]
    counted(cast, [*usual(), *large])
    # More than a quarter of them is large: 9,000 × 90^1.5.
    assert reported(cast).rows[0].bound == 7_684_334

    for one in range(9):
        take_back(cast, f"large-{one}")

    assert reported(cast).rows[0].bound == 202


def test_as_many_as_fit_are_listed(cast: Cast):
    longer = [
        call(100 + place, output_tokens=5_000 + place // 2, id=f"long-{place:02}")
        for place in range(24)
    ]
    counted(cast, [*(call(one, output_tokens=100) for one in range(99)), *longer])

    report = reported(cast)

    assert report.rows[0].long_outputs == 24
    assert len(report.longest) == outputs.LISTED
    sizes = [one.output for one in report.longest]
    assert sizes == [5_011 - place // 2 for place in range(20)]


def test_a_size_that_is_usual_of_another_project_is_long_here(cast: Cast):
    large = [
        call(place, output_tokens=5_000, model="claude-sonnet-5") for place in range(20)
    ]
    counted(cast, [*usual(), *large, call(30, output_tokens=5_000, id="long")])

    assert [one.record_id for one in reported(cast).longest] == ["long"]
