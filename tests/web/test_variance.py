"""The page of estimate against actual: the report's figures, in a stranger's words."""

import json
import re
from datetime import date
from decimal import Decimal
from itertools import pairwise

import pytest
from django.test import Client

from billing.reports import variance
from teams import isolation
from tests.billing.spending import spend
from tests.billing.test_plans import approved, line
from tests.conftest import Cast, as_owner
from tests.web.conftest import read

pytestmark = pytest.mark.usefixtures("as_app")

PATH = "/teams/search/variance"
DAY = {"from": "2026-11-20", "through": "2026-11-20"}


@pytest.fixture
def used(cast: Cast) -> None:
    """Ten requests planned a day, 0.042 USD; twelve used, with longer answers."""
    with as_owner():
        approved(cast, line(300))
        spend(cast, 12, usage={"input_tokens": 1000, "output_tokens": 60})


@pytest.mark.usefixtures("used")
def test_the_page_shows_the_figures_of_the_report(cast: Cast, viewer: Client):
    page = read(viewer, PATH, **DAY)

    with isolation.visible_teams([cast.search.pk]):
        report = variance.variance(
            team=cast.search, since=date(2026, 11, 20), until=date(2026, 11, 21)
        )
    assert report.total is not None
    total = report.total
    shown = {Decimal(value) for value in page.values() if value}
    assert {total.planned, total.actual, total.difference} <= shown
    assert {amount for amount in total.effects.values() if amount} <= shown
    for driver in report.drivers:
        assert " ".join(driver.sentence.split()) in page.text
    assert "Search spent $0.0624 on 20 Nov 2026; planned were $0.042" in page.text


@pytest.mark.usefixtures("used")
def test_the_chart_goes_from_planned_to_actual(viewer: Client):
    html = viewer.get(PATH, DAY).content.decode()

    found = re.search(r'<script id="waterfall"[^>]*>(.*?)</script>', html, re.DOTALL)
    assert found is not None
    bars = json.loads(found[1])["data"]["values"]
    assert [bar["name"] for bar in bars] == ["Planned", "Volume", "Size: output", "Actual"]
    assert [bar["kind"] for bar in bars] == ["total", "more", "more", "total"]
    for before, after in pairwise(bars[:-1]):
        assert after["since"] == pytest.approx(before["until"])
    assert bars[-2]["until"] == pytest.approx(bars[-1]["until"])


def test_without_a_plan_the_page_says_what_one_would_tell(cast: Cast, viewer: Client):
    with as_owner():
        spend(cast, 1)

    page = read(viewer, PATH, **DAY)

    assert "No approved estimate for Search on 20 Nov 2026." in page.text
    assert "$0.0042" in page.text or "<$0.01" in page.text
    assert not any("waterfall" in str(attrs.get("id")) for _, attrs in page.elements)


def test_who_may_is_led_to_an_estimate(viewer: Client, finance: Client):
    address = "/estimates/new?team=search"

    assert address in {attrs.get("href") for _, attrs in read(finance, PATH).elements}
    assert address not in {attrs.get("href") for _, attrs in read(viewer, PATH).elements}


@pytest.mark.usefixtures("used")
def test_a_project_without_a_plan_of_its_own_says_so(viewer: Client):
    whole = read(viewer, PATH, **DAY)
    alone = read(viewer, PATH, **DAY, project="answers")

    assert "no plan of its own" in whole.text
    assert "No approved estimate for Answers" in alone.text
    assert "The plan of these days is of the team Search: its variance" in alone.text


def test_an_unplanned_project_of_an_unplanned_team_leads_to_no_plan(viewer: Client):
    alone = read(viewer, PATH, **DAY, project="answers")

    assert "Look at the whole team" in alone.text
    assert "The plan of these days" not in alone.text


@pytest.mark.usefixtures("used")
def test_a_sign_stays_with_its_amount(viewer: Client, cast: Cast):
    """No browser ends a line at a word joiner."""
    page = read(viewer, PATH, **{"from": "2026-11-01", "through": "2026-11-20"})

    assert "−\N{WORD JOINER}$" in page.text


def test_planned_days_to_come_are_said(cast: Cast, viewer: Client):
    with as_owner():
        approved(cast, line(310), month=date(2150, 1, 1))

    page = read(viewer, PATH, **{"from": "2150-01-01", "through": "2150-01-02"})

    assert "2 of these days are still to come" in page.text


@pytest.mark.usefixtures("used")
def test_days_without_a_plan_and_records_without_a_price_are_said(
    cast: Cast, viewer: Client
):
    with as_owner():
        spend(cast, 1, occurred_at="2026-10-30T10:00:00Z")
        spend(cast, 1, model="claude-unheard-of")

    page = read(viewer, PATH, **{"from": "2026-10-29", "through": "2026-11-20"})

    assert "from 1 to 20 Nov 2026; planned were" in page.text
    assert "29–31 Oct 2026 had no approved estimate, and cost <$0.01" in page.text
    assert "1 record without a price" in page.text
    assert "claude-unheard-of" in page.text


@pytest.mark.parametrize(
    "query",
    [
        {"from": "2026-11-20", "through": "yesterday"},
        {"project": "nothing"},
        {"range": "last"},
        {"range": "90d", "project": "triage"},
    ],
)
def test_whatever_is_asked_is_answered(viewer: Client, cast: Cast, query: dict[str, str]):
    assert viewer.get(PATH, query).status_code == 200


def test_other_teams_have_no_page(outsider: Client, viewer: Client, cast: Cast):
    assert outsider.get(PATH).status_code == 404
    assert viewer.get("/teams/support/variance").status_code == 404


@pytest.mark.usefixtures("used")
def test_the_team_page_draws_the_plan_and_leads_here(cast: Cast, viewer: Client):
    page = read(viewer, "/teams/search/", **DAY)

    assert PATH in {attrs.get("href") for _, attrs in page.elements}
