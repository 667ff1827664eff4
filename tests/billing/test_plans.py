"""The plan of any days: which estimates make it, and what of them falls to a day."""

from datetime import date, timedelta
from decimal import Decimal

import pytest

from billing.actions import estimates
from billing.actions.budgets import Limits
from billing.models import Estimate, LanguageModel, rate_book
from billing.models.estimates import Scenario
from billing.models.planned import Line
from billing.pricing import money
from billing.pricing.budget_periods import Period, PeriodKind
from billing.pricing.plans import class_costs
from billing.pricing.token_classes import NOTHING, Quantities, TokenClass
from billing.pricing.usage import Processing
from billing.reports import budget_view, plans
from teams.actions import projects
from teams.models import Project
from tests.billing.spending import make
from tests.conftest import NOW, Cast

NOVEMBER = Period(date(2026, 11, 1), date(2026, 12, 1))


def line(requests: int, *, scenario: Scenario = Scenario.MEDIUM, **changes) -> Line:
    """Each request as in `builders.record`: 0.0042 USD."""
    model = LanguageModel.objects.get(provider="anthropic", name="claude-opus-5-5")
    tokens = NOTHING._replace(input=requests * 1000, output=requests * 10)
    return Line(model, scenario, requests, tokens, **changes)


def approved(cast: Cast, *lines: Line, later: int = 0, **changes) -> Estimate:
    """For November of team search, unless it says otherwise."""
    made = {"team": cast.search, "month": NOVEMBER.first, "by": "lead", "now": NOW}
    estimate = estimates.save(**made | {"lines": list(lines)} | changes)
    estimates.approve(estimate=estimate, by="finance", now=NOW + timedelta(minutes=later))
    return estimate


def cost(cast: Cast, asked: Period = NOVEMBER, project: Project | None = None) -> Decimal:
    return plans.plan(team=cast.search, project=project, asked=asked).cost


def test_some_days_have_their_part_of_a_month(cast: Cast):
    approved(cast, line(3000))

    plan = plans.plan(team=cast.search, asked=Period(date(2026, 11, 5), date(2026, 11, 15)))

    assert plan.cost == Decimal("4.2")
    assert [day for day, _, _ in plan.path] == [date(2026, 11, day) for day in range(5, 15)]
    assert {planned for _, planned, _ in plan.path} == {Decimal("0.42")}
    assert plan.path[-1].total == Decimal("4.2")
    assert plan.is_whole


def test_days_that_are_no_decimal_add_up_to_the_month(cast: Cast):
    """A thirty-first of 0.0042 USD has no end."""
    october = Period(date(2026, 10, 1), date(2026, 11, 1))
    approved(cast, line(1), month=october.first)

    plan = plans.plan(team=cast.search, asked=october)

    assert sum(planned for _, planned, _ in plan.path) == Decimal("0.0042")
    assert plan.path[0].planned == Decimal("0.000135483870968")


def test_the_planned_scenario_counts_and_no_other(cast: Cast):
    lines = [line(1000), line(2000, scenario=Scenario.HEAVY)]
    approved(cast, *lines, plan=Scenario.HEAVY)

    assert cost(cast) == Decimal("8.4")


def test_a_draft_is_no_plan(cast: Cast):
    estimates.save(
        team=cast.search, month=NOVEMBER.first, lines=[line(1)], by="lead", now=NOW
    )

    plan = plans.plan(team=cast.search, asked=NOVEMBER)

    assert (bool(plan), plan.cost, plan.path) == (False, Decimal(), [])
    assert plan.uncovered == [NOVEMBER]


def test_the_newest_approved_is_the_plan(cast: Cast):
    approved(cast, line(2000), later=1)
    approved(cast, line(1000))

    assert cost(cast) == Decimal("8.4")


def test_projects_make_the_plan_of_a_team_that_has_none(cast: Cast):
    other = projects.create(
        team=cast.search, name="Other", slug="other", by="tests", now=NOW
    )
    approved(cast, line(1000), project=cast.answers)
    approved(cast, line(500), project=other)

    assert cost(cast) == Decimal("6.3")
    assert cost(cast, project=other) == Decimal("2.1")

    approved(cast, line(3000))

    assert cost(cast) == Decimal("12.6")
    assert cost(cast, project=other) == Decimal("2.1")


def test_the_plan_of_the_team_is_none_of_its_projects(cast: Cast):
    approved(cast, line(1000))

    assert not plans.plan(team=cast.search, project=cast.answers, asked=NOVEMBER)


def test_months_without_a_plan_are_told_apart(cast: Cast):
    approved(cast, line(3000))
    approved(cast, line(3100), month=date(2027, 1, 1))

    plan = plans.plan(team=cast.search, asked=Period(date(2026, 10, 20), date(2027, 1, 11)))

    assert plan.covered == [NOVEMBER, Period(date(2027, 1, 1), date(2027, 1, 11))]
    assert plan.uncovered == [
        Period(date(2026, 10, 20), date(2026, 11, 1)),
        Period(date(2026, 12, 1), date(2027, 1, 1)),
    ]
    assert plan.cost == Decimal("12.6") + Decimal("4.2")


def test_an_estimate_of_several_months_is_read_month_by_month(cast: Cast):
    december = date(2026, 12, 1)
    approved(cast, line(3000), line(6200, month=december), months=2)

    plan = plans.plan(team=cast.search, asked=Period(date(2026, 11, 30), date(2026, 12, 2)))

    assert [planned for _, planned, _ in plan.path] == [Decimal("0.42"), Decimal("0.84")]
    assert plan.covered == [plan.asked]


def test_other_teams_plans_are_not_read(cast: Cast):
    approved(cast, line(3000), team=cast.support)

    assert not plans.plan(team=cast.search, asked=NOVEMBER)


def test_the_cost_of_a_line_falls_to_its_classes_as_they_are_priced(cast: Cast):
    tokens = Quantities(input=10**6, cache_read=10**6, output=10**5, web_search=100)
    batched = line(100, processing=Processing.BATCH)
    approved(cast, line(100)._replace(quantities=tokens), batched)

    side = plans.plan(team=cast.search, asked=NOVEMBER).side(
        rate_book.current(cast.acme.pk)
    )

    classes = {
        (cell.conditions.processing, name): money.exact(money.nearest(part))
        for cell, its in side.items()
        for name, part in zip(TokenClass, its.costs, strict=True)
        if part
    }
    assert classes == {
        ("standard", "input"): Decimal(4),
        ("standard", "cache_read"): Decimal("0.2"),
        ("standard", "output"): Decimal(2),
        ("standard", "web_search"): Decimal(1),
        ("batch", "input"): Decimal("0.2"),
        ("batch", "output"): Decimal("0.01"),
    }


def test_several_scopes_are_read_at_once(cast: Cast, django_assert_num_queries):
    approved(cast, line(1000), project=cast.answers)
    approved(cast, line(3000))
    scopes = [
        plans.Scope(cast.search.pk),
        plans.Scope(cast.search.pk, cast.answers.pk),
        plans.Scope(cast.support.pk),
    ]

    with django_assert_num_queries(2):
        found = plans.plans_of(scopes, NOVEMBER)

    assert [found[scope].cost for scope in scopes] == [
        Decimal("12.6"),
        Decimal("4.2"),
        Decimal(),
    ]


@pytest.mark.parametrize("prices", [None, (None,) * len(TokenClass)])
def test_without_prices_a_cost_falls_to_the_quantities(prices):
    parts = class_costs(100, NOTHING._replace(input=3, output=1), prices)

    assert (parts[0], parts[4], sum(parts)) == (75, 25, 100)


# --- The line of the burn-up ----------------------------------------------------------


def line_of(cast: Cast, **budget) -> list[tuple[date, Decimal]]:
    made = make(cast, "100", **budget)
    view = budget_view.running_view(
        made, team=cast.search, visible_team_ids=[cast.search.pk], now=NOW
    )
    return [(one.day, one.total) for one in view.plan]


def test_the_line_of_a_budget_is_the_plan_of_its_days(cast: Cast):
    approved(cast, line(3000))
    approved(cast, line(1500), project=cast.answers)

    month, day = line_of(cast), line_of(cast, project=cast.answers, period=PeriodKind.DAY)

    assert (month[0], month[-1]) == (
        (date(2026, 11, 1), Decimal("0.42")),
        (date(2026, 11, 30), Decimal("12.6")),
    )
    assert day == [(date(2026, 11, 22), Decimal("0.21"))]


def test_a_budget_of_a_part_or_of_unplanned_days_has_no_line(cast: Cast):
    approved(cast, line(3000))
    opus = LanguageModel.objects.get(provider="anthropic", name="claude-opus-5-5")

    assert line_of(cast, period=PeriodKind.QUARTER) == []
    assert line_of(cast, limits=Limits(model_ids=(opus.pk,))) == []
    assert line_of(cast, project=cast.answers) == []
