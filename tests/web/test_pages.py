"""What pages show: the figures of the reports, and all that makes them trustworthy."""

import gzip
from decimal import Decimal
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders
from django.test import Client
from django.utils import timezone

from billing.actions import budgets, post
from billing.actions.budgets import Terms
from billing.models import Budget
from billing.pricing.budget_periods import PeriodKind
from teams.actions import organizations, teams
from teams.models import Team
from tests.builders import COST, body, record
from tests.conftest import NOW, Cast, Service, as_owner
from tests.web.conftest import NOVEMBER, read

pytestmark = pytest.mark.usefixtures("as_app")

TEAM = "/teams/search/"
PAGES = ("/", TEAM, "/prices")
API_NOVEMBER = {"from": "2026-11-01", "to": "2026-12-01"}


@pytest.fixture
def budget(cast: Cast, spent: Service) -> Budget:
    return budgets.create(
        organization=cast.acme,
        team=cast.search,
        period=PeriodKind.MONTH,
        terms=Terms(Decimal("0.0189")),
        by="frank",
        now=NOW,
        reason="A first cap",
    )


# --- The same figures everywhere ----------------------------------------------------


def test_the_team_page_shows_the_figures_of_the_api(finance: Client, spent: Service):
    report = spent.get("reports/spend", group_by="team,model", **API_NOVEMBER).json()
    its = [row for row in report["rows"] if row["team"] == "search"]

    values = read(finance, TEAM, **NOVEMBER).values()

    assert {row["cost"] for row in its} == {"0.0042", "0.00525"}
    assert {row["cost"] for row in its} <= values
    assert "0.00945" in values


def test_the_overview_shows_the_figures_of_the_api(finance: Client, spent: Service):
    report = spent.get("reports/spend", group_by="team", **API_NOVEMBER).json()

    values = read(finance, "/", **NOVEMBER).values()

    assert report["total"]["cost"] == "0.01365"
    assert {report["total"]["cost"], *(row["cost"] for row in report["rows"])} <= values


def test_a_budget_is_shown_as_the_api_shows_it(
    finance: Client, spent: Service, budget: Budget
):
    values = read(finance, TEAM, **NOVEMBER).values()

    assert {"0.00945", "0.0189"} <= values  # spent, and the cap; the same is left


def test_a_filter_narrows_the_spend_and_not_the_budget(
    finance: Client, spent: Service, budget: Budget
):
    page = read(finance, TEAM, family="Sonnet", **NOVEMBER)

    assert {"0.00525", "0.00945"} <= page.values()
    assert "0.0042" not in {*page.values()}
    assert "Family: Sonnet" in page.text


@pytest.mark.parametrize("name", ["project", "family", "model", "budget"])
def test_a_filter_for_nothing_there_is_left_out(finance: Client, spent: Service, name: str):
    page = read(finance, TEAM, **{name: "no'such<thing>"}, **NOVEMBER)

    assert "0.00945" in page.values()
    assert "no'such" not in page.text


# --- What is not in the totals ------------------------------------------------------


def test_unpriced_records_are_counted_marked_and_never_zero(
    finance: Client, spent: Service
):
    for path in ("/", TEAM):
        page = read(finance, path, **NOVEMBER)
        assert "claude-unheard-of" in page.text
        assert ("a", {"class": "unpriced", "href": "#not-counted"}) in page.elements


def test_nothing_unpriced_is_said_too(finance: Client, alice: Service, cast: Cast):
    alice.post("usage", body(record()))
    post.count(team_id=cast.search.pk, now=NOW)

    assert "every record has a price" in read(finance, "/", **NOVEMBER).text


def test_what_no_bill_confirms_is_called_so(finance: Client, spent: Service):
    assert (
        "not yet compared with the provider's bill" in read(finance, "/", **NOVEMBER).text
    )


def test_every_page_says_of_when_it_is(finance: Client, spent: Service):
    for path in ("/", TEAM):
        text = read(finance, path, **NOVEMBER).text
        assert "As of" in text
        assert "data through" in text
        assert "zone Europe/Berlin" in text


def test_records_that_wait_are_mentioned(finance: Client, spent: Service):
    spent.post("usage", body(record(id="late"), record(id="later")))

    assert "2 records waiting" in read(finance, TEAM, **NOVEMBER).text


# --- Empty, and wrong ---------------------------------------------------------------


def test_an_empty_team_is_shown_how_to_fill_it(finance: Client, cast: Cast):
    text = read(finance, TEAM, **NOVEMBER).text

    assert "Nothing was posted" in text
    assert "/api/v1/usage" in text


def test_an_empty_organization_is_shown_how_to_fill_it(outsider: Client, cast: Cast):
    teams.create(
        organization=cast.outsiders, name="Second", slug="second", by="tests", now=NOW
    )

    assert "Nothing was posted" in read(outsider, "/", **NOVEMBER).text


def test_an_organization_without_teams_says_what_comes_first(root: Client, cast: Cast):
    organizations.create(name="New", slug="new", time_zone="UTC", by="tests", now=NOW)

    assert "No team yet" in read(root, "/", organization="new").text


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"from": "x", "through": "2026-11-02"}, "could not be read"),
        ({"from": "2026-11-02", "through": "2026-11-01"}, "ends before it begins"),
        ({"from": "2020-01-01", "through": "2026-11-01"}, "366 days at most"),
        ({"range": "custom"}, "could not be read"),
    ],
)
def test_a_range_that_cannot_be_is_named(
    finance: Client, cast: Cast, query: dict[str, str], said: str
):
    for path in ("/", TEAM):
        assert said in read(finance, path, **query).text


@pytest.mark.parametrize("day", ["0001-01-01", "1970-01-01", "1999-12-31", "9999-12-31"])
@pytest.mark.parametrize("path", ["/", TEAM])
def test_days_at_the_ends_of_the_calendar_open(
    finance: Client, budget: Budget, path: str, day: str
):
    assert read(finance, path, **{"from": day, "through": day})


@pytest.mark.parametrize("preset", ["period", "last", "7d", "30d", "90d", "none"])
def test_each_preset_opens(finance: Client, spent: Service, preset: str):
    for path in ("/", TEAM):
        read(finance, path, range=preset)


def test_names_are_never_markup(finance: Client, cast: Cast, spent: Service):
    cast.search.name = cast.answers.name = "<script>alert(1)</script>"
    cast.search.save()
    cast.answers.save()

    for path in ("/", TEAM):
        assert "<script>alert" not in finance.get(path, NOVEMBER).content.decode()


# --- Prices -------------------------------------------------------------------------


def test_prices_stand_by_family_with_context_and_source(viewer: Client):
    page = read(viewer, "/prices")

    for words in ("Opus", "Sonnet", "Haiku", "Fable", "Batch", "200,000 input tokens"):
        assert words in page.text
    assert "genai-prices" in page.text
    titles = {attrs.get("title") for _, attrs in page.elements}
    assert {"1,000,000 tokens", "200,000 tokens"} <= titles


def test_prices_say_whose_they_are(viewer: Client):
    own, other, hosted = (
        read(viewer, "/prices", provider=one).text for one in ("", "openai", "aws")
    )

    for words in ("Opus Anthropic ·", "Amazon Bedrock", "Google", "OpenAI"):
        assert words in own
    assert "gpt-4o" in other
    assert "gpt-4o" not in own
    assert "Regional endpoint" in hosted


def test_the_newest_model_of_a_family_comes_first(viewer: Client):
    text = read(viewer, "/prices").text

    assert text.index("Claude Opus 5.5") < text.index("Claude Opus 5 ")
    assert text.index("Claude Opus 5 ") < text.index("Claude Opus 4.8")


# --- How pages are made -------------------------------------------------------------


@pytest.mark.parametrize("path", PAGES)
def test_nothing_is_inline_and_nothing_from_elsewhere(
    finance: Client, budget: Budget, path: str
):
    response = finance.get(path, NOVEMBER)
    policy = response["content-security-policy"]

    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy + ";"
    assert "unsafe" not in policy
    for tag, attrs in read(finance, path, **NOVEMBER).elements:
        assert tag != "style"
        assert "style" not in attrs
        assert not [name for name in attrs if name.startswith("on")]
        if tag == "script":
            assert "src" in attrs or attrs["type"] == "application/json"
        for name in ("src", "href", "action"):
            assert "//" not in (attrs.get(name) or "")


def test_the_policy_holds_for_the_admin_and_the_api(root: Client, client: Client):
    for response in (root.get("/admin/"), client.get("/api/v1/nothing")):
        assert "unsafe" not in response["content-security-policy"]


@pytest.mark.parametrize("path", ["/", TEAM])
def test_every_chart_has_its_figures_in_a_table(finance: Client, budget: Budget, path: str):
    html = finance.get(path, NOVEMBER).content.decode()
    figures = html.split("<figure")[1:]

    assert len(figures) == html.count("data-chart=")
    for figure in figures:
        name = figure.partition('data-chart="')[2].partition('"')[0]
        inside = figure.partition("</figure>")[0]
        assert f'<script id="{name}" type="application/json">' in inside
        assert "<caption" in inside.partition("<table")[2]
        assert 'role="img" aria-label="' in inside


@pytest.mark.parametrize("path", ["/", TEAM, "/prices"])
def test_the_number_of_queries_does_not_grow(
    finance: Client,
    spent: Service,
    budget: Budget,
    cast: Cast,
    path: str,
    django_assert_max_num_queries,
):
    models = ("claude-haiku-4-5", "claude-fable-5-1", "claude-opus-4-8")
    spent.post(
        "usage",
        body(
            *(
                record(model=model, occurred_at=f"2026-11-{day:02}T10:00:00Z")
                for model in models
                for day in range(1, 20)
            )
        ),
    )
    post.count(team_id=cast.search.pk, now=NOW)

    with django_assert_max_num_queries(55):
        read(finance, path, **NOVEMBER)


def test_the_chart_library_is_sent_compressed():
    """Both files come from one run of `manage.py build_charts`."""
    plain, compressed = (
        Path(finders.find(f"purser/vega.js{ending}")) for ending in ("", ".gz")
    )

    assert gzip.decompress(compressed.read_bytes()) == plain.read_bytes()
    assert plain.stat().st_size < 1_200_000


@pytest.mark.parametrize(
    "address",
    [
        f"{TEAM}?project=%00",
        f"{TEAM}?family=a%00b",
        f"{TEAM}?model=%00",
        "/prices/anthropic/%00",
        "/prices/%00/claude-opus-5",
        "/admin/billing/budget/?period__exact=%00",
    ],
)
def test_an_address_with_nul_is_refused_and_breaks_nothing(root: Client, address: str):
    response = root.get(address)

    assert response.status_code == 400
    assert "Bad Request" in response.content.decode()


def test_an_address_that_is_not_there_is_a_page(client: Client):
    response = client.get("/nothing<b>")

    assert response.status_code == 404
    assert response["content-type"].startswith("text/html")
    assert "<b>" not in response.content.decode()


# --- Closed months ------------------------------------------------------------------


def test_what_adjusts_earlier_months_is_said(finance: Client, spent: Service, cast: Cast):
    with as_owner():
        Team.objects.update(created_at="2026-01-15T00:00:00Z")
    before = read(finance, TEAM, **NOVEMBER)
    spent.post("usage", body(record(occurred_at="2026-10-20T10:00:00Z")))
    post.count(team_id=cast.search.pk, now=NOW)

    page = read(finance, TEAM, **NOVEMBER)

    assert "adjusts earlier months" not in before.text
    assert "adjusts earlier months" in page.text
    assert COST in page.values()


def test_a_range_says_whether_its_figures_can_change(
    finance: Client, spent: Service, cast: Cast
):
    now = timezone.now()
    last_year = {"from": "2025-12-01", "through": "2025-12-31"}
    moments = "2025-12-20T10:00:00Z", now.isoformat()
    spent.post("usage", body(*(record(occurred_at=one) for one in moments)))
    post.count(team_id=cast.search.pk, now=now)

    closed = read(finance, TEAM, **last_year)
    still_open = read(finance, TEAM)

    assert "The books of these days are closed" in closed.text
    assert "is open until the end of 3" in still_open.text
