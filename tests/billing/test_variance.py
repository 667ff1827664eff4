"""Variance of a team: what the plan says, what the rollups say, and why they differ."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from billing.models import LanguageModel
from billing.models.estimates import Scenario
from billing.models.planned import Line
from billing.pricing.token_classes import NOTHING, TokenClass
from billing.pricing.variance import Effect
from billing.reports import variance
from billing.reports.variance import Compared, VarianceReport
from teams.actions import projects
from tests.billing.spending import spend
from tests.billing.test_plans import approved
from tests.conftest import NOW, Cast

# Of the month that the plan is for, the day that `builders.record` is of.
DAY = date(2026, 11, 20)


def line(requests: int, *, output: int = 100, name: str = "claude-opus-5-5") -> Line:
    """Requests of a month, of 1,000 tokens in and (on Opus) 4 + 2 thousandths of a USD."""
    model = LanguageModel.objects.get(provider="anthropic", name=name)
    tokens = NOTHING._replace(input=requests * 1000, output=requests * output)
    return Line(model, Scenario.MEDIUM, requests, tokens)


def use(cast: Cast, records: int, *, output: int = 100, **changes: Any) -> None:
    usage = {"input_tokens": 1000, "output_tokens": output}
    spend(cast, records, usage=usage, **changes)


def report(cast: Cast, **changes: Any) -> VarianceReport:
    """Of one day: a thirtieth of November."""
    asked = {"team": cast.search, "since": DAY, "until": date(2026, 11, 21)}
    return variance.variance(**asked | changes)


def effects(its: Compared | None) -> dict[str, Decimal]:
    assert its is not None
    return {str(name): amount for name, amount in its.effects.items() if amount}


@pytest.fixture
def planned(cast: Cast) -> None:
    """Ten requests a day, of 0.006 USD: 0.06."""
    approved(cast, line(300))


@pytest.mark.usefixtures("planned")
def test_more_requests_than_planned_are_volume(cast: Cast):
    use(cast, 12)

    found = report(cast)

    assert found.total is not None
    assert (found.total.planned, found.total.actual) == (Decimal("0.06"), Decimal("0.072"))
    assert (found.total.planned_requests, found.total.requests) == (10, 12)
    assert effects(found.total) == {"volume": Decimal("0.012")}
    assert found.total.percent == 20
    (driver,) = found.drivers
    assert driver.sentence == (
        "There were 20\N{NARROW NO-BREAK SPACE}% more requests than planned, 12 instead "
        "of 10: +$0.012."
    )


@pytest.mark.usefixtures("planned")
def test_drivers_are_told_the_largest_first(cast: Cast):
    use(cast, 8, output=250)

    found = report(cast)

    assert [(one.effect, one.amount) for one in found.drivers] == [
        (Effect.OUTPUT_SIZE, Decimal("0.024")),
        (Effect.VOLUME, Decimal("-0.012")),
    ]
    thin = "\N{NARROW NO-BREAK SPACE}"
    assert [one.sentence for one in found.drivers] == [
        f"Output was 150{thin}% longer than planned per request: +$0.024.",
        f"There were 20{thin}% fewer requests than planned, 8 instead of 10: −$0.012.",
    ]
    assert found.drivers[0].percent == 40


def test_a_model_that_nobody_planned_is_named(cast: Cast):
    approved(cast, line(300, name="claude-sonnet-5"))
    use(cast, 6, model="claude-sonnet-5")
    use(cast, 4)

    found = report(cast)

    assert effects(found.total) == {"mix": Decimal("0.012")}
    assert found.drivers[0].sentence == (
        "Claude Opus 5.5 was not planned, and had 4 requests: +$0.012."
    )
    rows = {row.model.name: row.compared for row in found.models}
    assert (rows["claude-opus-5-5"].planned, rows["claude-opus-5-5"].actual) == (
        0,
        Decimal("0.024"),
    )
    assert found.total is not None
    assert sum(row.difference for row in rows.values()) == found.total.difference


@pytest.mark.usefixtures("planned")
def test_of_other_models_the_one_with_the_largest_part_is_named(cast: Cast):
    use(cast, 6)
    use(cast, 4, model="claude-sonnet-5")

    thin = "\N{NARROW NO-BREAK SPACE}"
    assert report(cast).drivers[0].sentence == (
        "Requests went to other models than planned: Claude Opus 5.5 had "
        f"60{thin}% of them instead of 100{thin}%: −$0.012."
    )


@pytest.mark.usefixtures("planned")
def test_batches_are_processing(cast: Cast):
    use(cast, 5)
    usage = {"input_tokens": 1000, "output_tokens": 100, "service_tier": "batch"}
    spend(cast, 5, usage=usage)

    found = report(cast)

    assert effects(found.total) == {"processing": Decimal("-0.015")}
    assert found.drivers[0].sentence == (
        "How requests were processed was cheaper than planned: "
        "50\N{NARROW NO-BREAK SPACE}% of the requests with processing batch instead of "
        "0\N{NARROW NO-BREAK SPACE}%: −$0.015."
    )


@pytest.mark.usefixtures("planned")
def test_rows_by_class_and_day_add_up_to_the_total(cast: Cast):
    use(cast, 7, output=333)
    use(cast, 3, occurred_at="2026-11-19T10:00:00Z")

    found = report(cast, since=date(2026, 11, 18), until=date(2026, 11, 22))

    assert found.total is not None
    for rows in (found.classes, found.days):
        assert sum(row.planned for row in rows) == found.total.planned
        assert sum(row.actual for row in rows) == found.total.actual
    assert [row.token_class for row in found.classes] == [
        TokenClass.INPUT,
        TokenClass.OUTPUT,
    ]
    assert [(row.day.day, row.planned) for row in found.days] == [
        (day, Decimal("0.06")) for day in (18, 19, 20, 21)
    ]
    assert (found.days[-1].planned_total, found.days[-1].actual_total) == (
        found.total.planned,
        found.total.actual,
    )
    assert (found.classes[1].planned_quantity, found.classes[1].quantity) == (4000, 2631)


def test_classes_of_a_plan_that_is_no_decimal_add_up(cast: Cast):
    """Of thirty days seven, of three requests."""
    approved(cast, line(3), line(5, name="claude-sonnet-5"))
    use(cast, 1)

    found = report(cast, until=date(2026, 11, 27))

    assert found.total is not None
    assert sum(row.planned for row in found.classes) == found.total.planned
    assert sum(row.planned for row in found.days) == found.total.planned
    assert sum(row.compared.planned for row in found.models) == found.total.planned
    assert sum(found.total.effects.values()) == found.total.difference


def test_a_project_has_its_own_variance_where_it_has_its_own_plan(cast: Cast):
    other = projects.create(
        team=cast.search, name="Other", slug="other", by="tests", now=NOW
    )
    approved(cast, line(300), project=cast.answers)
    use(cast, 12)
    use(cast, 1, project="other")

    found = report(cast)

    assert found.total is not None
    assert effects(found.total) == {"volume": Decimal("0.018")}
    rows = {row.project.slug: row for row in found.projects}
    assert effects(rows["answers"].compared) == {"volume": Decimal("0.012")}
    assert (rows["other"].compared, rows["other"].actual) == (None, Decimal("0.006"))
    alone = report(cast, project=other)
    assert (alone.total, alone.spent, alone.outside) == (
        None,
        Decimal("0.006"),
        Decimal("0.006"),
    )
    assert effects(report(cast, project=cast.answers).total) == {"volume": Decimal("0.012")}


def test_without_a_plan_nothing_is_compared(cast: Cast):
    use(cast, 2)

    found = report(cast)

    assert (found.total, found.models, found.days, found.drivers) == (None, [], [], [])
    assert (found.spent, found.outside) == (Decimal("0.012"), Decimal("0.012"))
    assert [row.actual for row in found.projects] == [Decimal("0.012")]


@pytest.mark.usefixtures("planned")
def test_days_of_a_month_without_a_plan_are_beside(cast: Cast):
    use(cast, 10)
    use(cast, 4, occurred_at="2026-10-30T10:00:00Z")

    found = report(cast, since=date(2026, 10, 29))

    assert found.total is not None
    assert found.total.actual == Decimal("0.06")
    assert (found.spent, found.outside) == (Decimal("0.084"), Decimal("0.024"))
    assert [row.actual for row in found.projects] == [Decimal("0.06")]


@pytest.mark.usefixtures("planned")
def test_other_teams_spend_is_not_in_it(cast: Cast):
    use(cast, 10, project="triage")

    found = report(cast)

    assert effects(found.total) == {"volume": Decimal("-0.06")}
    assert found.drivers[0].sentence == ("There were no requests; planned were 10: −$0.06.")


@pytest.mark.usefixtures("planned")
def test_records_without_a_price_are_said_and_not_zero(cast: Cast):
    spend(cast, 1, model="claude-unheard-of")

    found = report(cast)

    assert found.gaps.unpriced_records == 1
    assert found.exposure.records == 1


@pytest.mark.usefixtures("planned")
@pytest.mark.parametrize(
    ("today", "to_come"),
    [(date(2026, 11, 30), 0), (date(2026, 11, 20), 10), (date(2026, 10, 31), 30)],
)
def test_days_to_come_are_counted(cast: Cast, today: date, to_come: int):
    found = report(cast, since=date(2026, 11, 1), until=date(2026, 12, 1))

    assert found.days_to_come(today) == to_come


@pytest.mark.usefixtures("planned")
def test_as_many_queries_whatever_there_is(cast: Cast, django_assert_max_num_queries):
    for number in range(4):
        slug = f"project-{number}"
        made = projects.create(team=cast.search, name=slug, slug=slug, by="tests", now=NOW)
        approved(cast, line(300), project=made)
        use(cast, 1, project=slug)

    with django_assert_max_num_queries(14):
        report(cast, since=date(2026, 9, 1), until=date(2026, 12, 1))
