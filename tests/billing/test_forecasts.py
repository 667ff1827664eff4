"""The forecast of a budget: from its own days, its plan, and the errors of all teams."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from django.test.utils import CaptureQueriesContext

from billing import tasks
from billing.actions import budgets, estimates, forecasts, post
from billing.actions.budgets import Limits, Terms
from billing.models import Budget, ForecastErrors, LanguageModel
from billing.models.estimates import Scenario
from billing.models.planned import Line
from billing.pricing.budget_periods import PeriodKind
from billing.pricing.forecast import LowConfidence, Spread
from billing.pricing.token_classes import Quantities, TokenClass
from billing.reports import forecasts as reports
from billing.reports.budgets import BudgetStatus, statuses, statuses_on
from billing.reports.forecasts import BudgetForecast, Drivers
from teams import isolation
from teams.actions import projects
from teams.models import Organization, Team
from tests.builders import body, record
from tests.conftest import NOW, Cast, Service, issue

pytestmark = pytest.mark.usefixtures("as_app")

COST = Decimal("0.0042")  # of a record
TODAY = NOW.date()
LEFT = Decimal(11) / 24  # of today: it is 13:00 in Berlin


@pytest.fixture
def finance(cast: Cast) -> Service:
    return Service(issue(cast.acme)[1])


def spend(service: Service, cast: Cast, days_ago: Iterable[int], **changes: Any) -> None:
    """A record on each of these days, counted."""
    at = [NOW.replace(hour=9) - timedelta(days=ago) for ago in days_ago]
    service.post(
        "usage", body(*(record(occurred_at=one.isoformat(), **changes) for one in at))
    )
    for team in (cast.search, cast.support):
        post.count(team_id=team.pk, now=NOW)


def cap(cast: Cast, amount: Any = 1, **scope: Any) -> Budget:
    return budgets.create(
        organization=cast.acme,
        period=scope.pop("period", PeriodKind.MONTH),
        terms=Terms(Decimal(amount)),
        by="frank",
        now=NOW,
        **(scope or {"team": cast.search}),
    )


def status_of(budget: Budget, day: date | None = None) -> BudgetStatus:
    listed = Budget.objects.filter(pk=budget.pk).with_scope()
    found = statuses_on(listed, day=day, now=NOW) if day else statuses(listed, now=NOW)
    return found[0]


def forecast(cast: Cast, budget: Budget) -> BudgetForecast | None:
    with isolation.visible_teams([cast.search.pk, cast.support.pk]):
        return reports.of_budget(status_of(budget), now=NOW)


def made(cast: Cast, budget: Budget) -> BudgetForecast:
    found = forecast(cast, budget)
    assert found is not None
    return found


def about(amount: Decimal) -> Any:
    return pytest.approx(amount, abs=Decimal("0.000002"))


# --- From days ----------------------------------------------------------------------


def test_equal_days_go_on_to_the_end_of_the_month(finance: Service, cast: Cast):
    """21 days of November are over, 8 are to come, and 11 hours of today."""
    spend(finance, cast, range(1, 41))

    found = made(cast, cap(cast, "0.1"))

    assert found.forecast.spent == 21 * COST
    assert found.forecast.expected == about(COST * (21 + 8 + LEFT))
    assert found.over == about(COST * (21 + 8 + LEFT) - Decimal("0.1"))
    assert found.forecast.seen == 40
    assert not found.low_confidence


def test_what_is_spent_today_counts_and_its_rest_is_expected(finance: Service, cast: Cast):
    spend(finance, cast, range(41))

    assert made(cast, cap(cast)).forecast.expected == about(COST * (22 + 8 + LEFT))


def test_a_budget_has_days_of_its_own_only(finance: Service, cast: Cast):
    spend(finance, cast, range(1, 21))
    spend(finance, cast, range(1, 21), project="triage")
    spend(finance, cast, range(1, 21), project="triage")

    rest = 8 + LEFT
    expected = {
        "team": (cap(cast, team=cast.search), 1),
        "project": (cap(cast, project=cast.triage), 2),
        "organization": (cap(cast, project=None), 3),
    }
    for budget, records in expected.values():
        found = made(cast, budget)
        assert found.forecast.expected == about(records * COST * (20 + rest))


def test_a_limited_budget_has_the_days_of_what_it_is_limited_to(
    finance: Service, cast: Cast
):
    """Of 20 days with one record: 20 of Opus, and on top 20 batches and 20 with a tag."""
    spend(finance, cast, range(1, 21), model="claude-sonnet-5")
    spend(finance, cast, range(1, 21), processing="batch")
    spend(finance, cast, range(1, 21), tags={"env": "prod"})
    opus = LanguageModel.objects.get(provider="anthropic", name="claude-opus-5-5")
    limits = {
        "models": Limits(model_ids=(opus.pk,)),
        "batch": Limits(processing=("batch",)),
        "tag": Limits(tag_key="env", tag_values=("prod", "test")),
    }
    listed = {name: cap(cast, team=cast.search, limits=its) for name, its in limits.items()}
    expected = {"models": COST * 3 / 2, "batch": COST / 2, "tag": COST}

    for name, budget in listed.items():
        found = made(cast, budget)
        assert found.forecast.expected == about(expected[name] * (20 + 8 + LEFT)), name
    with isolation.visible_teams([cast.search.pk]):
        driven = reports.drivers(list(listed.values()), now=NOW)
    assert driven == {
        listed["models"].pk: Drivers("answers", "claude-opus-5-5", TokenClass.INPUT),
        listed["batch"].pk: Drivers("answers", "claude-opus-5-5", TokenClass.INPUT),
    }


def test_a_short_period_has_the_days_before_it_too(finance: Service, cast: Cast):
    spend(finance, cast, range(1, 21))

    found = made(cast, cap(cast, period=PeriodKind.DAY))

    assert (found.forecast.spent, found.forecast.seen) == (0, 20)
    assert found.forecast.expected == about(COST * LEFT)


def test_a_long_period_says_that_its_end_is_far(finance: Service, cast: Cast):
    spend(finance, cast, range(1, 15))

    found = made(cast, cap(cast, period=PeriodKind.YEAR))
    assert found.forecast.low_confidence is None  # 40 days are to come

    later = cap(cast, project=cast.answers, period=PeriodKind.QUARTER)
    assert made(cast, later).forecast.expected == found.forecast.expected


def test_what_belongs_to_closed_months_is_no_day(finance: Service, cast: Cast):
    """Twelve late records of September are charged on two days of November."""
    Team.objects.update(created_at="2026-01-15T00:00:00Z")
    spend(finance, cast, range(1, 31))
    before = made(cast, cap(cast))
    late = [record(occurred_at="2026-09-10T09:00:00Z") for _ in range(12)]
    for day, records in ((12, late[:6]), (13, late[6:])):
        finance.post("usage", body(*records))
        post.count(team_id=cast.search.pk, now=NOW.replace(day=day))

    after = made(cast, cap(cast))

    assert after.forecast.spent == before.forecast.spent + 12 * COST
    assert after.forecast.expected == before.forecast.expected + 12 * COST


def test_without_data_there_is_no_forecast(cast: Cast):
    assert forecast(cast, cap(cast)) is None


def test_a_period_that_does_not_run_has_no_forecast(finance: Service, cast: Cast):
    spend(finance, cast, range(1, 41))
    october = date(2026, 10, 31)

    with isolation.visible_teams([cast.search.pk]):
        status = status_of(cap(cast), october)
        assert status.spent
        assert reports.of_budget(status, now=NOW) is None


def test_several_budgets_take_no_more_queries_than_one(finance: Service, cast: Cast):
    spend(finance, cast, range(1, 21))
    listed = [cap(cast) for _ in range(5)]
    with isolation.visible_teams([cast.search.pk]):
        its = [status_of(budget) for budget in listed]
        with CaptureQueriesContext(connection) as one:
            reports.of_budget(its[0], now=NOW)
        with CaptureQueriesContext(connection) as several:
            found = reports.of_budgets(its, now=NOW)

    assert len(found) == 5
    assert len(one) == len(several) <= 4


def test_many_limited_budgets_are_forecast_as_each_alone(finance: Service, cast: Cast):
    """In as many queries as a few of them."""
    spend(finance, cast, range(1, 21))
    spend(finance, cast, range(1, 11), processing="batch")
    spend(finance, cast, range(1, 6), project="triage", tags={"env": "prod"})
    model = LanguageModel.objects.get(provider="anthropic", name="claude-opus-5-5")
    listed = [
        cap(cast, amount, limits=limits, **scope)
        for amount in (1, 2)
        for scope in ({"team": cast.search}, {"project": cast.triage}, {"project": None})
        for limits in (
            Limits(),
            Limits(model_ids=(model.pk,)),
            Limits(processing=("batch",)),
            Limits(model_ids=(model.pk,), processing=("standard",)),
            Limits(tag_key="env", tag_values=("prod",)),
        )
    ]
    its = Budget.objects.filter(pk__in=[one.pk for one in listed]).order_by("pk")
    statuses_ = statuses(its.with_scope(), now=NOW)

    asked = []
    with isolation.visible_teams([cast.search.pk, cast.support.pk]):
        for several in (statuses_[:15], statuses_):
            with CaptureQueriesContext(connection) as queries:
                together = reports.of_budgets(several, now=NOW)
            asked.append(len(queries))
        alone = {
            one.budget.pk: found
            for one in statuses_
            if (found := reports.of_budget(one, now=NOW)) is not None
        }

    assert together == alone
    assert len({one.forecast.expected for one in alone.values()}) > 4
    assert asked[0] == asked[1]


# --- The cap ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("amount", "day", "chance"),
    [
        ("0.04", date(2026, 11, 10), 1),  # the tenth record
        ("0.0882", date(2026, 11, 21), 1),
        ("0.0903", TODAY + timedelta(days=1), None),
        ("0.5", None, 0),
    ],
)
def test_the_day_that_a_cap_is_reached_on(
    finance: Service, cast: Cast, amount: str, day: date | None, chance: int | None
):
    spend(finance, cast, range(1, 41))

    found = made(cast, cap(cast, amount))

    assert found.exhausted_on == day
    assert chance is None or found.probability_over_cap == chance


# --- The plan -----------------------------------------------------------------------


def plan(cast: Cast, *, approved: bool) -> Decimal:
    model = LanguageModel.objects.get(provider="anthropic", name="claude-opus-5-5")
    lines = [
        Line(model, scenario, 1000 * times, Quantities(input=1_000_000 * times))
        for scenario, times in ((Scenario.LIGHT, 1), (Scenario.MEDIUM, 3))
    ]
    made = estimates.save(
        team=cast.search,
        month=date(2026, 11, 1),
        plan=Scenario.MEDIUM,
        lines=lines,
        by="lena",
        now=NOW,
    )
    if approved:
        estimates.approve(estimate=made, by="frank", now=NOW)
    return Decimal(12)  # 3 million at 4


def test_before_the_first_day_it_is_the_approved_estimate(cast: Cast):
    planned = plan(cast, approved=True)

    found = made(cast, cap(cast))

    assert found.forecast.expected == about(planned / 30 * (8 + LEFT))
    assert found.forecast.low_confidence is LowConfidence.PLAN


def test_a_draft_is_no_plan(cast: Cast):
    plan(cast, approved=False)

    assert forecast(cast, cap(cast)) is None


def test_the_plan_is_of_the_whole_team_s_month(cast: Cast):
    plan(cast, approved=True)

    batch = Limits(processing=("batch",))
    assert forecast(cast, cap(cast, team=cast.search, limits=batch)) is None
    assert forecast(cast, cap(cast, project=cast.answers)) is None
    assert forecast(cast, cap(cast, period=PeriodKind.QUARTER)) is None


# --- The errors of others -----------------------------------------------------------


def measure(organization: Organization) -> None:
    with worker():
        spread = reports.errors_of(organization, now=NOW)
        forecasts.keep_errors(organization=organization, spread=spread, now=NOW)


@contextmanager
def worker() -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL ROLE purser_worker")
        yield
        cursor.execute("SET LOCAL ROLE purser_app")


def test_workers_measure_what_every_viewer_leans_on(finance: Service, cast: Cast):
    """The team that is seen is calm, and so is the other one that is not."""
    spend(finance, cast, range(1, 16))
    budget = cap(cast)
    wide = made(cast, budget).forecast
    spend(finance, cast, range(1, 60), project="triage")

    measure(cast.acme)
    kept = ForecastErrors.objects.get(organization=cast.acme)
    with isolation.visible_teams([cast.search.pk]):
        alone = reports.of_budget(status_of(budget), now=NOW)

    assert kept.stretches > 1
    assert kept.down < Decimal("0.01") > kept.up
    narrow = made(cast, budget).forecast
    assert wide.low < narrow.low
    assert narrow.high < wide.high
    assert alone is not None
    assert alone.forecast == narrow


def test_errors_are_kept_of_every_organization(cast: Cast):
    for _ in range(2):
        with worker():
            tasks.measure_forecasts()

    kept = ForecastErrors.objects.filter(organization__in=[cast.acme, cast.outsiders])
    assert [one.stretches for one in kept] == [0, 0]


def test_pages_do_not_measure(cast: Cast):
    with pytest.raises(DatabaseError), transaction.atomic():
        forecasts.keep_errors(
            organization=cast.acme, spread=Spread(*[Decimal(1)] * 3), now=NOW
        )


# --- Drivers ------------------------------------------------------------------------


def test_drivers_are_what_grew(finance: Service, cast: Cast):
    """`answers` is larger; `more` began to write with another model this week."""
    made = {"team": cast.search, "by": "tests", "now": NOW - timedelta(days=9)}
    projects.create(name="More", slug="more", **made)
    spend(finance, cast, range(1, 36), usage={"input_tokens": 90_000, "output_tokens": 10})
    spend(
        finance,
        cast,
        range(1, 7),
        project="more",
        model="claude-sonnet-5",
        usage={"input_tokens": 10, "output_tokens": 900},
    )

    with isolation.visible_teams([cast.search.pk]):
        (found,) = reports.drivers([cap(cast)], now=NOW).values()

    assert found == Drivers("more", "claude-sonnet-5", TokenClass.OUTPUT)


def test_the_model_is_one_of_the_project_that_drives(finance: Service, cast: Cast):
    """`triage` grew more than the model that all of `answers` changed to."""
    for ago, model in ((range(8, 36), "claude-opus-5"), (range(1, 8), "claude-sonnet-5")):
        spend(
            finance,
            cast,
            ago,
            model=model,
            usage={"input_tokens": 9000, "output_tokens": 10},
        )
    big = {"input_tokens": 40_000, "output_tokens": 10}
    spend(finance, cast, range(1, 36), project="triage")
    spend(finance, cast, range(1, 8), project="triage", usage=big)

    with isolation.visible_teams([cast.search.pk, cast.support.pk]):
        (found,) = reports.drivers([cap(cast, project=None)], now=NOW).values()

    assert found == Drivers("triage", "claude-opus-5-5", TokenClass.INPUT)


def test_where_nothing_grew_the_largest_part_is_named(finance: Service, cast: Cast):
    spend(finance, cast, range(1, 36), project="triage")
    spend(finance, cast, range(1, 36), usage={"input_tokens": 9000, "output_tokens": 10})

    with isolation.visible_teams([cast.search.pk, cast.support.pk]):
        (found,) = reports.drivers([cap(cast, project=None)], now=NOW).values()

    assert found == Drivers("answers", "claude-opus-5-5", TokenClass.INPUT)


def test_without_spend_lately_nothing_drives(finance: Service, cast: Cast):
    spend(finance, cast, range(8, 30))

    with isolation.visible_teams([cast.search.pk]):
        assert reports.drivers([cap(cast)], now=NOW) == {}
