"""How right plans were: below the variance of a team, and where plans are made."""

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from billing.actions import estimates, reviews
from teams.models import Role
from tests.billing.test_plans import approved, line
from tests.conftest import NOW, Cast
from tests.web.conftest import Browser, read


@pytest.mark.usefixtures("as_app")
def test_without_a_planned_month_it_is_not_on_the_page(viewer: Client):
    assert "How right plans were" not in read(viewer, "/teams/search/variance").text


def test_past_months_stand_below_the_variance(viewer: Client, cast: Cast):
    last = (timezone.now().date().replace(day=1) - timedelta(days=10)).replace(day=1)
    # Made before the month was over: later it would be no plan of it.
    in_it = datetime.combine(last, time(12), UTC) + timedelta(days=5)
    estimate = estimates.save(
        team=cast.search, month=last, lines=[line(1000)], by="lead", now=in_it
    )
    estimates.approve(estimate=estimate, by="finance", now=in_it)

    page = read(viewer, "/teams/search/variance")

    said = "How right plans were One planned month is over: it was 100 % off."
    assert said in page.text
    assert {"4.2", "-4.2"} <= page.values()


def test_the_next_plan_is_made_beside_how_right_the_last_ones_were(
    cast: Cast, person: Callable[..., User], browser: Browser
):
    last = (timezone.now().date().replace(day=1) - timedelta(days=10)).replace(day=1)
    in_it = datetime.combine(last, time(12), UTC) + timedelta(days=5)
    estimate = estimates.save(
        team=cast.search, month=last, lines=[line(1000)], by="lead", now=in_it
    )
    estimates.approve(estimate=estimate, by="finance", now=in_it)
    lead = browser(person("lea", Role.LEAD, cast.acme, cast.search))
    other = browser(person("sue", Role.LEAD, cast.acme, cast.support))

    said = "The last planned month was 100\N{NARROW NO-BREAK SPACE}% under its plan."
    assert " ".join(said.split()) in read(lead, "/estimates/new").text
    assert "planned month" not in read(other, "/estimates/new").text
    review = reviews.open_review(
        team=cast.search,
        project=cast.answers,
        since=date(2026, 11, 8),
        until=date(2026, 11, 22),
        by="lead",
        now=NOW,
    )
    approved(cast, line(900), project=cast.answers)
    assert " ".join(said.split()) in read(lead, f"/reviews/{review.pk}").text
