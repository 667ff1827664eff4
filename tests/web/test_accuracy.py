"""How right plans were, below the variance of a team."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from tests.billing.test_plans import approved, line
from tests.conftest import Cast
from tests.web.conftest import read


@pytest.mark.usefixtures("as_app")
def test_without_a_planned_month_it_is_not_on_the_page(viewer: Client):
    assert "How right plans were" not in read(viewer, "/teams/search/variance").text


def test_past_months_stand_below_the_variance(viewer: Client, cast: Cast):
    last = (timezone.now().date().replace(day=1) - timedelta(days=10)).replace(day=1)
    approved(cast, line(1000), month=last)

    page = read(viewer, "/teams/search/variance")

    said = "How right plans were One planned month is over: it was 100 % off."
    assert said in page.text
    assert {"4.2", "-4.2"} <= page.values()
