"""Budgets that are expected to end above their cap: told before they do."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.test.utils import CaptureQueriesContext

from billing.actions import alert_messages, budgets
from billing.actions.budgets import Terms
from billing.models import Alert, Budget
from billing.pricing.budget_periods import PeriodKind
from billing.watch import forecasts
from tests.billing.watch.conftest import DAY, Look, Spend, midday
from tests.conftest import Cast

KIND = Alert.Kind.FORECAST_OVER_CAP
TODAY = date(2026, 11, 20)


def steady(spend: Spend, days: int = 60) -> None:
    """A hundred dollars a day: 1,900 of November so far, 3,000 at its end."""
    for day in range(1, days):
        spend(TODAY - day * DAY, "100")


def make(cast: Cast, amount: str, **terms: Any) -> Budget:
    return budgets.create(
        organization=cast.acme,
        team=cast.search,
        period=PeriodKind.MONTH,
        terms=Terms(Decimal(amount), **terms),
        by="tests",
        now=midday(TODAY),
    )


def test_a_cap_that_will_be_passed_is_told_with_what_drives_it(
    cast: Cast, spend: Spend, look: Look
):
    steady(spend)
    budget = make(cast, "2500")

    (alert,) = look(KIND, midday(TODAY))

    assert (alert.budget, alert.team) == (budget, cast.search)
    assert alert.subject == f"budget {budget.pk} revision 1"
    assert alert.occurrence == "2026-11-01"
    said = alert_messages.sentence(alert)
    assert said.startswith("Search is expected to spend $2,945.83 this month: 100")
    assert "likely to be above the cap of $2,500.00" in said
    assert said.endswith("; most by claude-opus-5-5 in answers, input.")


def test_a_cap_that_will_hold_is_not(cast: Cast, spend: Spend, look: Look):
    steady(spend)
    make(cast, "4000")

    assert look(KIND, midday(TODAY)) == []


def test_nor_one_that_is_reached(cast: Cast, spend: Spend, look: Look):
    steady(spend)
    make(cast, "1900")

    assert look(KIND, midday(TODAY)) == []


def test_nor_what_few_days_say(cast: Cast, spend: Spend, look: Look):
    steady(spend, days=4)
    make(cast, "500")

    assert look(KIND, midday(TODAY)) == []


def amend(budget: Budget, **changes: Any) -> None:
    budgets.amend(budget=budget, changes=changes, by="tests", now=midday(TODAY))


def test_how_likely_is_a_term_of_the_budget(cast: Cast, spend: Spend, look: Look):
    steady(spend)
    budget = make(cast, "3000", forecast_alert=1)
    (told,) = look(KIND, midday(TODAY))
    percent = int(Decimal(told.details["probability"]) * 100)
    assert 20 < percent < 50

    told.delete()
    amend(budget, forecast_alert=percent + 1)
    assert look(KIND, midday(TODAY)) == []
    amend(budget, forecast_alert=percent)
    assert len(look(KIND, midday(TODAY))) == 1


def test_what_fires_holds_until_it_is_ten_points_less_likely(
    cast: Cast, spend: Spend, look: Look
):
    steady(spend)
    budget = make(cast, "3000", forecast_alert=1)
    (told,) = look(KIND, midday(TODAY))
    percent = int(Decimal(told.details["probability"]) * 100)

    amend(budget, forecast_alert=percent + 10)
    assert look(KIND, midday(TODAY)) == [told]
    amend(budget, forecast_alert=percent + 11)
    assert look(KIND, midday(TODAY)) == []


def test_without_the_term_it_is_not_told(cast: Cast, spend: Spend, look: Look):
    steady(spend)
    budget = make(cast, "2500")
    assert len(look(KIND, midday(TODAY))) == 1

    amend(budget, forecast_alert=None)

    assert look(KIND, midday(TODAY)) == []
    assert Alert.objects.get(kind=KIND).state == "resolved"


@pytest.mark.parametrize("level", [0, 100])
def test_it_is_a_percentage_of_a_probability(cast: Cast, level: int):
    with pytest.raises(ValidationError):
        make(cast, "2500", forecast_alert=level)


def test_a_higher_cap_resolves_it(cast: Cast, spend: Spend, look: Look):
    steady(spend)
    budget = make(cast, "2500")
    look(KIND, midday(TODAY))

    budgets.change(budget=budget, terms=Terms(Decimal(5000)), by="tests", now=midday(TODAY))

    assert look(KIND, midday(TODAY)) == []
    assert Alert.objects.get(kind=KIND).state == "resolved"


def test_an_edit_tells_nothing_twice(cast: Cast, spend: Spend, look: Look):
    steady(spend)
    budget = make(cast, "2500")
    (told,) = look(KIND, midday(TODAY))

    terms = Terms(Decimal(2400), thresholds=(90,))
    budgets.change(budget=budget, terms=terms, by="tests", now=midday(TODAY))

    assert look(KIND, midday(TODAY)) == [told]
    assert Alert.objects.filter(kind=KIND).count() == 1


def test_a_new_cap_that_will_be_passed_too_is_told_again(
    cast: Cast, spend: Spend, look: Look
):
    steady(spend)
    budget = make(cast, "2500")
    look(KIND, midday(TODAY))
    for amount in (5000, 2400):
        terms = Terms(Decimal(amount))
        budgets.change(budget=budget, terms=terms, by="tests", now=midday(TODAY))
        look(KIND, midday(TODAY))

    told = Alert.objects.filter(kind=KIND).order_by("pk")
    assert [(one.subject[-1], one.state) for one in told] == [
        ("1", "resolved"),
        ("3", "firing"),
    ]


def test_looking_at_what_fires_asks_no_more_for_many(cast: Cast, spend: Spend, look: Look):
    steady(spend)
    asked = []
    for amount in ("2500", "2400", "2300"):
        make(cast, amount)
        fires = look(KIND, midday(TODAY))
        with CaptureQueriesContext(connection) as queries:
            assert look(KIND, midday(TODAY)) == fires
        asked.append(len(queries))

    assert len(fires) == 3
    assert asked[0] == asked[-1]
    assert all(alert.details["drivers"] for alert in fires)


def test_what_is_to_be_told_is_found_as_fast_for_many(
    cast: Cast, spend: Spend, as_worker: None
):
    steady(spend)
    asked = []
    for amount in ("2500", "2400", "2300"):
        make(cast, amount)
        with CaptureQueriesContext(connection) as queries:
            found = forecasts.holding(cast.acme, midday(TODAY))
        asked.append(len(queries))

    assert len(found) == 3
    assert asked[0] == asked[-1]
    assert all(one.details["drivers"]["project"] == "answers" for one in found)
