"""How right plans were, below the variance of a team."""

from datetime import UTC, datetime, time, timedelta

import pytest
from django.test import Client
from django.utils import timezone

from billing.actions import estimates
from tests.billing.test_plans import line
from tests.conftest import Cast
from tests.web.conftest import read


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
