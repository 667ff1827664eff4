"""The reports behind the pages."""

import json
import re
from decimal import Decimal
from typing import Any

import pytest

from billing.actions import budgets, post
from billing.actions.budgets import Terms
from billing.models import Alert, Budget, LanguageModel
from billing.pricing.budget_periods import PeriodKind
from billing.pricing.standing import Standing
from billing.reports import caching, overview, team_page
from billing.reports.team_page import TeamPage
from billing.reports.team_spend import Filters
from billing.web import display, pictures, sentences
from teams import isolation
from tests.builders import body, record
from tests.conftest import NOW, Cast, Service

pytestmark = pytest.mark.usefixtures("as_app")

NOVEMBER = {
    "since": NOW.date().replace(day=1),
    "until": NOW.date().replace(month=12, day=1),
}


def page(cast: Cast, **changes: Any) -> TeamPage:
    listed = team_page.budgets_of(cast.search, today=NOW.date(), now=NOW)
    with isolation.visible_teams([cast.search.pk]):
        return team_page.team_page(
            **{
                "team": cast.search,
                "visible_team_ids": [cast.search.pk],
                "listed": listed,
                "budget": listed[0] if listed else None,
                "filters": Filters(),
                "now": NOW,
                **NOVEMBER,
                **changes,
            }
        )


def cap(cast: Cast, amount: str, period: PeriodKind = PeriodKind.MONTH) -> Budget:
    return budgets.create(
        organization=cast.acme,
        team=cast.search,
        period=period,
        terms=Terms(Decimal(amount)),
        by="frank",
        now=NOW,
    )


def plain(html: str) -> str:
    words = html.replace("\N{NARROW NO-BREAK SPACE}", " ")
    while "<" in words and ">" in words:
        words = words[: words.index("<")] + words[words.index(">") + 1 :]
    return words


# --- The sentence -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("amount", "sentence"),
    [
        ("0.0189", "Search has used <$0.01 of $0.0189 (50 %) with 9 days left."),
        ("6000", "Search has used <$0.01 of $6,000 (<1 %) with 9 days left."),
        ("0", "Search has used <$0.01 against a cap of $0 with 9 days left."),
    ],
)
def test_the_headline(cast: Cast, spent: Service, amount: str, sentence: str):
    cap(cast, amount)

    said = sentences.of_team(page(cast), "USD").replace("&lt;", "‹")

    assert plain(said).replace("‹", "<").startswith(f"{sentence} Forecast ")


# Two days are over: 0.00945, then nothing. Their level is 0.00945 × 0.875 ÷ 1.875 a day,
# and eleven hours and eight days are to come: 0.0468 in all.
@pytest.mark.parametrize(
    ("amount", "judged"),
    [
        ("0.009", "over by about $0.0378"),
        ("0.0189", "likely over by about $0.0279"),
        ("0.0467", "about as likely over the cap as within it"),
        ("0.0469", "about as likely over the cap as within it"),
        ("6000", "likely within the cap"),
    ],
)
def test_the_headline_says_what_is_expected(
    cast: Cast, spent: Service, amount: str, judged: str
):
    cap(cast, amount)

    said = plain(sentences.of_team(page(cast), "USD").replace("&lt;", "‹"))

    its = said.replace("‹", "<").partition(" Forecast ")[2]
    assert re.fullmatch(
        rf"\$0\.0468 \(80 % range \$0\.[0-9]+–\$0\.[0-9]+\): {re.escape(judged)}\. "
        r"Low confidence: 2 days of data\.",
        its,
    )


def test_the_forecast_is_drawn_from_yesterday_on(cast: Cast, spent: Service):
    """To the last day of the period, and told in the words of its figures."""
    cap(cast, "0.0189")
    view = page(cast).budget

    assert view is not None
    drawn = pictures.burn_up_of(view, "USD", "Europe/Berlin")
    band = next(
        layer["data"]["values"]
        for layer in drawn["layer"]
        if layer["encoding"].get("y2", {}).get("field") == "high"
    )
    assert [row["day"] for row in band] == [f"2026-11-{day}" for day in range(21, 31)]
    assert band[0]["low"] == band[0]["high"] == 0.00945
    assert band[-1]["low"] < band[-1]["amount"] < band[-1]["high"]
    assert band[-1]["Forecast"] == "$0.0468"


def test_a_period_that_is_over_has_no_forecast(cast: Cast, spent: Service):
    cap(cast, "500")
    october = {
        "since": NOW.date().replace(month=10, day=1),
        "until": NOW.date().replace(day=1),
    }

    view = page(cast, **october).budget

    assert view is not None
    assert view.forecast is None
    assert "y2" not in json.dumps(pictures.burn_up_of(view, "USD", "UTC"))


def test_the_headline_of_an_empty_budget(cast: Cast):
    cap(cast, "500")

    assert plain(sentences.of_team(page(cast), "USD")) == (
        "Search has used nothing yet of $500 with 9 days left."
    )


def test_a_period_that_is_over_has_no_days_left(cast: Cast, spent: Service):
    cap(cast, "500")
    october = {
        "since": NOW.date().replace(month=10, day=1),
        "until": NOW.date().replace(day=1),
    }

    report = page(cast, **october)

    assert report.budget is not None
    assert (report.budget.days_left, report.budget.running) == (0, False)
    assert report.budget.safe_daily is None
    said = plain(sentences.of_team(report, "USD"))
    assert said == "Search used nothing of $500 in October 2026."
    assert display.status(Standing.NO_DATA, running=False)["word"] == "No usage"


# --- The budget ---------------------------------------------------------------------


def test_the_line_ends_at_what_is_spent(cast: Cast, spent: Service):
    cap(cast, "1")

    view = page(cast).budget

    assert view is not None
    assert [point.day.day for point in view.points] == list(range(1, 23))
    assert view.points[-1].total == view.status.spent == Decimal("0.00945")
    assert view.points[19].spent == Decimal("0.00945")  # all of it on the 20th
    assert view.safe_daily == (1 - Decimal("0.00945")) / 9


def test_what_happened_to_a_budget_is_told_latest_first(cast: Cast, spent: Service):
    budget = cap(cast, "0.015")
    budgets.change(
        budget=budget, terms=Terms(Decimal("0.01")), by="frank", now=NOW, reason="Less"
    )

    view = page(cast).budget

    assert view is not None
    assert sorted(alert.threshold for alert in view.alerts) == [50, 50, 80]
    revisions = [event for event in view.timeline if event.revision]
    assert [event.revision.revision for event in revisions if event.revision] == [2, 1]
    assert revisions[0].before is not None
    assert revisions[0].before.amount == Decimal("0.015")


def test_team_caps_add_up_over_one_period(cast: Cast, spent: Service):
    """Of each team its lowest cap of that period, whichever budget stands worst."""
    for amount, period in (("90", "month"), ("60", "month"), ("0.001", "day")):
        cap(cast, amount, PeriodKind(period))
    budgets.create(
        organization=cast.acme,
        period=PeriodKind.MONTH,
        terms=Terms(Decimal(50)),
        by="frank",
        now=NOW,
    )

    assert overview_of(cast).caps == 60


def test_an_alert_is_drawn_on_its_day_of_the_reporting_zone(cast: Cast, spent: Service):
    """At 23:30 UTC it is the next day in Berlin."""
    budget = cap(cast, "0.0189")
    late = NOW.replace(day=20, hour=23, minute=30)
    Alert.objects.filter(budget=budget).update(fired_at=late)

    view = page(cast).budget
    drawn = json.dumps(pictures.burn_up_of(view, "USD", "Europe/Berlin"))

    assert view.alerts
    assert re.findall(r'"day": "([0-9-]+)", [^}]*reached', drawn) == ["2026-11-21"]


def test_the_team_s_month_comes_first(cast: Cast):
    cap(cast, "9", PeriodKind.QUARTER)
    month = cap(cast, "3")

    assert page(cast).budgets[0][0].budget == month


# --- The spend ----------------------------------------------------------------------


def test_every_breakdown_sums_to_the_total(cast: Cast, spent: Service):
    its = page(cast).spent

    for groups in (its.projects, its.families, its.models):
        assert sum(group.sums.cost for group in groups) == its.total.cost
        assert sum(group.sums.requests for group in groups) == its.total.requests
    assert sum(row.cost for row in its.classes) == its.total.cost
    assert sum(day.total for day in its.days) == its.total.cost
    assert sum(cost for day in its.days for cost in day.costs.values()) == its.total.cost


# --- Caching ------------------------------------------------------------------------


def cached(cast: Cast, service: Service, **usage: Any) -> caching.CacheSaving:
    """What Claude Opus 5.5 saves: input 4, writes 5 and 8, reads 0.2 a million tokens."""
    service.post("usage", body(record(usage={"output_tokens": 1, **usage})))
    post.count(team_id=cast.search.pk, now=NOW)
    with isolation.visible_teams([cast.search.pk]):
        return caching.cache_saving(
            organization_id=cast.acme.pk, team_ids=[cast.search.pk], **NOVEMBER
        )


MILLION = 1_000_000


def test_model_is_the_same_whoever_serves_it(cast: Cast, alice: Service):
    hosted = record(provider="google", geo="global", usage_format="anthropic")
    alice.post("usage", body(record(), hosted, record(model="claude-opus-5")))
    post.count(team_id=cast.search.pk, now=NOW)

    for provider in ("anthropic", "google"):
        model = LanguageModel.objects.get(provider=provider, name="claude-opus-5-5")
        spent = page(cast, filters=Filters(model=model)).spent
        assert [(group.key, group.sums.requests) for group in spent.models] == [
            ("claude-opus-5-5", 2)
        ]


def test_reads_save_and_writes_cost(cast: Cast, alice: Service):
    saving = cached(
        cast,
        alice,
        input_tokens=10,
        cache_read_input_tokens=3 * MILLION,
        cache_creation_input_tokens=2 * MILLION,
        cache_creation={
            "ephemeral_5m_input_tokens": MILLION,
            "ephemeral_1h_input_tokens": MILLION,
        },
    )

    assert saving.read_saving == 3 * (4 - Decimal("0.2"))
    assert saving.write_premium == (5 - 4) + (8 - 4)
    assert saving.net == Decimal("6.4")
    assert (saving.read, saving.written) == (3 * MILLION, 2 * MILLION)


def test_without_uncached_input_the_rate_in_force_is_taken(cast: Cast, alice: Service):
    saving = cached(cast, alice, input_tokens=0, cache_read_input_tokens=MILLION)

    assert saving.net == 4 - Decimal("0.2")
    assert saving.hit_percent == 100
    assert saving.unknown_tokens == 0


def test_writes_that_nobody_reads_cost(cast: Cast, alice: Service):
    saving = cached(cast, alice, input_tokens=1, cache_creation_input_tokens=MILLION)

    assert saving.net == -1


def test_without_a_cache_nothing_is_saved(cast: Cast, alice: Service):
    saving = cached(cast, alice, input_tokens=1000)

    assert (saving.net, saving.hit_percent) == (0, 0)


# --- The overview -------------------------------------------------------------------


def overview_of(cast: Cast, *, whole: bool = True) -> overview.Overview:
    teams = [cast.search, cast.support]
    with isolation.visible_teams(team.pk for team in teams):
        return overview.overview(
            organization=cast.acme, teams=teams, whole=whole, now=NOW, **NOVEMBER
        )


def test_teams_stand_by_risk(cast: Cast, spent: Service):
    cap(cast, "0.001")

    rows = overview_of(cast).teams

    assert [(row.team.slug, row.standing) for row in rows] == [
        ("search", Standing.OVER),
        ("support", Standing.NO_BUDGET),
    ]


def test_teams_stand_with_their_forecast(cast: Cast, spent: Service):
    """The one that the team's page shows; without a budget there is none."""
    cap(cast, "0.0189")

    rows = {row.team.slug: row for row in overview_of(cast).teams}

    view = page(cast).budget
    assert view is not None
    assert view.forecast is not None
    assert rows["search"].forecast == view.forecast
    assert rows["support"].forecast is None


def test_the_budget_of_the_organization_is_for_those_who_see_all_of_it(
    cast: Cast, spent: Service
):
    budgets.create(
        organization=cast.acme,
        period=PeriodKind.MONTH,
        terms=Terms(Decimal("0.0273")),
        by="frank",
        now=NOW,
    )

    assert [status.spent for status, _ in overview_of(cast).budgets] == [Decimal("0.01365")]
    assert overview_of(cast, whole=False).budgets == []


def test_nothing_is_reconciled_yet(cast: Cast, spent: Service):
    report = overview_of(cast)

    assert report.not_reconciled == report.total.cost == Decimal("0.01365")
    assert report.gaps.unpriced_records == 1
