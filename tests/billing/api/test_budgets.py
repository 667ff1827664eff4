"""/budgets, /alerts, /estimates: what a key covers, and the figures of the reports."""

import json
from datetime import date, timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from billing.actions import post
from billing.models import Budget
from teams.actions import projects
from teams.models import AuditEvent
from teams.models.api_keys import Scope
from tests.builders import COST, body, record
from tests.conftest import NOW, Cast, Service, issue

pytestmark = pytest.mark.usefixtures("as_app")


def now_record(**changes) -> dict:
    return record(occurred_at=timezone.now().isoformat(), **changes)


def make(service: Service, **terms):
    return service.post("budgets", json.dumps({"amount": "0.0084", **terms}))


def spend(service: Service, cast: Cast, records: int) -> None:
    service.post("usage", body(*(now_record() for _ in range(records))))
    post.count(team_id=cast.search.pk, now=timezone.now())


def test_a_budget_is_for_what_the_key_is_bound_to(alice: Service, bob: Service, cast: Cast):
    finance = Service(issue(cast.acme)[1])

    made = [make(service).json() for service in (alice, bob, finance)]

    assert [(one["team"], one["project"]) for one in made] == [
        (None, "answers"),
        ("support", None),
        (None, None),
    ]


def test_a_budget_shows_what_is_spent_and_what_is_reached(alice: Service, cast: Cast):
    budget = make(alice, thresholds=[40, 90]).json()
    spend(alice, cast, 1)

    shown = alice.get(f"budgets/{budget['id']}").json()

    assert shown["spent"] == shown["remaining"] == COST
    assert (shown["percent"], shown["firing"]) == ("50", [40])
    assert (shown["amount"], shown["currency"], shown["revision"]) == ("0.0084", "USD", 1)


YEAR = timezone.now().year
LIMITED = {
    "models": ["claude-opus-5-5"],
    "processing": ["standard"],
    "tag": {"key": "env", "values": ["prod", "staging"]},
    "period": "custom",
    "custom": {"first": f"{YEAR}-01-01", "until": f"{YEAR + 4}-01-01"},
    "expires_on": f"{YEAR + 3}-01-01",
    "exempt_free": False,
}


def test_a_budget_says_what_it_is_limited_to_and_when_it_runs(alice: Service, cast: Cast):
    budget = make(alice, **LIMITED).json()
    posted = (now_record(tags={"env": "prod"}), now_record(tags={"env": "dev"}))
    alice.post("usage", body(*posted))
    post.count(team_id=cast.search.pk, now=timezone.now())

    shown = alice.get(f"budgets/{budget['id']}").json()

    assert {name: shown[name] for name in LIMITED} == LIMITED
    assert (shown["spent"], shown["state"]) == (COST, "running")
    its = (shown["period_start"], shown["period_end"])
    assert its == (LIMITED["custom"]["first"], LIMITED["custom"]["until"])
    assert shown["scope"] == (
        "project answers, standard only, claude-opus-5-5, tag env=prod or staging"
    )


def test_a_budget_of_many_long_values_is_made(alice: Service):
    values = [f"{number:03}{'x' * 197}" for number in range(100)]

    made = make(alice, tag={"key": "env", "values": values})

    assert made.status_code == 201
    assert made.json()["tag"]["values"] == values
    (event,) = AuditEvent.objects.filter(action="budget.create")
    assert event.subject.startswith(f"budget {made.json()['id']} of project answers, tag")


def test_weeks_and_fiscal_years_are_said(alice: Service):
    week = make(alice, period="week", week_starts_on=6).json()
    year = make(alice, period="year", fiscal_starts_in=4).json()

    assert week["week_starts_on"] == 6
    assert date.fromisoformat(week["period_start"]).weekday() == 6
    assert year["fiscal_starts_in"] == 4
    assert year["period_start"].endswith("-04-01")


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"models": ["claude-unheard-of"]}, "unknown_model"),
        ({"processing": ["overnight"]}, "invalid"),
        ({"tag": {"key": "env", "values": []}}, "invalid"),
        ({"tag": {"key": "env\x00", "values": ["a"]}}, "invalid"),
        ({"period": "custom"}, "invalid"),
        ({"period": "custom", "custom": {"first": "2026-11-02"}}, "invalid"),
        (
            {"period": "custom", "custom": {"first": "0001-01-01", "until": "2026-11-02"}},
            "invalid",
        ),
        ({"period": "month", "week_starts_on": 3}, "invalid"),
        ({"period": "week", "fiscal_starts_in": 3}, "invalid"),
        ({"expires_on": "2020-01-01"}, "invalid"),
    ],
)
def test_nonsense_is_refused(alice: Service, said, code):
    refused = make(alice, **said)

    assert (refused.status_code, refused.json()["code"]) == (400, code)


def test_the_day_of_expiry_is_a_term(alice: Service):
    budget = make(alice).json()

    changed = alice.patch(f"budgets/{budget['id']}", {"expires_on": "2199-01-01"}).json()
    lifted = alice.patch(f"budgets/{budget['id']}", {"expires_on": None}).json()

    assert (changed["revision"], changed["expires_on"]) == (2, "2199-01-01")
    assert (lifted["revision"], lifted["expires_on"]) == (3, None)


def test_budgets_are_read_page_by_page(alice: Service, cast: Cast):
    first_of = {"organization": cast.acme, "project": cast.answers, "created_at": NOW}
    made = Budget.objects.bulk_create(Budget(amount=1, **first_of) for _ in range(201))

    first = alice.get("budgets").json()
    rest = alice.get("budgets", cursor=first["next_cursor"]).json()

    listed = [one["id"] for one in first["data"] + rest["data"]]
    assert listed == [str(one.pk) for one in made]
    assert (len(rest["data"]), rest["next_cursor"]) == (1, None)
    assert alice.get("budgets", cursor="x").status_code == 400


def test_a_list_of_budgets_asks_no_more_for_more_of_them(alice: Service, cast: Cast):
    spend(alice, cast, 1)
    alice.get("budgets")  # whose key it is, is known from here on
    asked = []
    for count in (2, 6):
        for _ in range(count):
            make(alice)
            make(alice, models=["claude-opus-5-5"])
            make(alice, processing=["standard"], tag={"key": "env", "values": ["prod"]})
        with CaptureQueriesContext(connection) as queries:
            assert alice.get("budgets").status_code == 200
        asked.append(len(queries))

    assert asked[0] == asked[1]


def test_the_forecast_alert_is_a_term(alice: Service):
    made = make(alice).json()
    changed = alice.patch(f"budgets/{made['id']}", {"forecast_alert": 75}).json()
    without = alice.patch(f"budgets/{made['id']}", {"forecast_alert": None}).json()

    said = [one["forecast_alert"] for one in (made, changed, without)]
    assert said == [50, 75, None]
    revisions = alice.get(f"budgets/{made['id']}/revisions").json()["data"]
    assert [one["forecast_alert"] for one in revisions] == [None, 75, 50]
    event = AuditEvent.objects.filter(action="budget.change").order_by("pk")[0]
    assert (event.before["forecast_alert"], event.after["forecast_alert"]) == (50, 75)


@pytest.mark.parametrize("said", [0, 100, "half", 50.5])
def test_a_forecast_alert_is_from_1_to_99(alice: Service, said: object):
    assert make(alice, forecast_alert=said).status_code == 400


def test_the_audit_log_says_what_a_budget_was_made_for(alice: Service):
    make(alice, **LIMITED)

    after = AuditEvent.objects.get(action="budget.create").after
    assert {name: after[name] for name in LIMITED} == LIMITED
    assert (after["week_starts_on"], after["fiscal_starts_in"]) == (0, 1)
    assert after["amount"] == "0.0084"


def test_alerts_are_listed_with_their_deliveries(alice: Service, cast: Cast):
    budget = make(alice).json()
    spend(alice, cast, 2)

    alerts = alice.get("alerts", budget=budget["id"]).json()["data"]

    assert [(one["threshold"], one["kind"]) for one in alerts] == [
        (100, "cap_reached"),
        (80, "threshold"),
        (50, "threshold"),
    ]
    assert alerts[0]["deliveries"] == []


def test_lowering_the_cap_is_a_revision_that_fires(alice: Service, cast: Cast):
    budget = make(alice, amount="10").json()
    spend(alice, cast, 1)

    changed = alice.patch(f"budgets/{budget['id']}", {"amount": "0.005", "reason": "less"})

    assert changed.json()["revision"] == 2
    assert changed.json()["firing"] == [50, 80]


def test_an_archived_budget_is_no_longer_listed(alice: Service):
    budget = make(alice).json()

    assert alice.delete(f"budgets/{budget['id']}").status_code == 204
    assert alice.get("budgets").json()["data"] == []


def test_an_archived_budget_does_not_change(alice: Service):
    budget = make(alice).json()
    alice.delete(f"budgets/{budget['id']}")

    changed = alice.patch(f"budgets/{budget['id']}", {"amount": "1"})

    assert (changed.status_code, changed.json()["code"]) == (400, "invalid")


@pytest.mark.parametrize("budget", ["1" * 5000, "1" * 30, "²", "-1"])
def test_what_is_no_id_of_a_budget_finds_none(alice: Service, budget: str):
    response = alice.get("alerts", budget=budget)

    assert response.status_code in {200, 400}
    assert response.json().get("data", []) == []


def test_a_project_that_moved_is_its_new_owners(cast: Cast, lead: Service, bob: Service):
    """Its budgets and channels too, and nobody else's any more."""
    budget = make(lead, project="answers", period="year").json()
    channel = subscribe(lead, project="answers").json()
    an_hour_ago = timezone.now() - timedelta(hours=1)
    lead.post("usage", body(record(occurred_at=an_hour_ago.isoformat())))
    post.count(team_id=cast.search.pk, now=timezone.now())
    projects.move(
        project=cast.answers,
        team=cast.support,
        effective_from=timezone.now() - timedelta(minutes=1),
        by="tests",
        now=an_hour_ago,
    )

    paths = (f"budgets/{budget['id']}", f"channels/{channel['id']}")
    assert lead.get(paths[0]).status_code == 404
    assert make(lead, project="answers").status_code == 404
    assert [lead.delete(path).status_code for path in paths] == [404, 404]
    owners = bob.get(paths[0]).json()
    assert (owners["partial"], owners["spent"]) == (True, "0")
    whole = Service(issue(cast.acme)[1]).get(paths[0]).json()
    assert (whole["partial"], whole["spent"]) == (False, COST)
    assert [bob.delete(path).status_code for path in paths] == [204, 204]


def test_another_teams_budget_is_404(alice: Service, bob: Service, charlie: Service):
    budget = make(alice).json()

    for service in (bob, charlie):
        assert service.get(f"budgets/{budget['id']}").status_code == 404
        assert service.patch(f"budgets/{budget['id']}", {"amount": "1"}).status_code == 404
        assert service.get("alerts", budget=budget["id"]).json()["data"] == []
        assert service.get("budgets").json()["data"] == []


@pytest.mark.parametrize(
    "terms",
    [
        {"amount": "-1"},
        {"amount": "NaN"},
        {"amount": "much"},
        {"thresholds": [0]},
        {"period": "fortnight"},
    ],
)
def test_bad_terms_are_refused(alice: Service, terms: dict):
    response = make(alice, **terms)

    assert response.status_code == 400
    assert response.json()["errors"][0]["parameter"].split(".")[0] in terms


def test_a_project_key_makes_no_budget_of_its_team(alice: Service):
    assert make(alice, team="search").status_code == 404


def test_reading_needs_no_right_to_write(cast: Cast):
    reader = Service(issue(cast.acme, scopes=[Scope.BUDGETS_READ])[1])

    assert reader.get("budgets").status_code == 200
    assert make(reader).status_code == 403


PLAN = {
    "model": "claude-opus-5-5",
    "requests": 1000,
    "quantities": {"input": 1_000_000, "output": 10_000},
}


@pytest.fixture
def lead(cast: Cast) -> Service:
    """Bound to the team `search`."""
    return Service(issue(cast.acme, team=cast.search)[1])


@pytest.fixture
def plan(lead: Service) -> dict:
    lines = [
        {**PLAN, "scenario": scenario, "requests": size * 1000}
        for size, scenario in enumerate(("light", "medium", "heavy"), 1)
    ]
    month = timezone.now().strftime("%Y-%m")
    response = lead.post("estimates", json.dumps({"month": month, "lines": lines}))
    assert response.status_code == 201
    return response.json()


def test_an_estimate_is_priced_by_the_same_rates(plan: dict):
    assert plan["state"] == "draft"
    assert plan["totals"]["medium"] == "4.2"  # 1,000 records of 0.0042


def test_estimate_and_actual_stand_side_by_side(
    alice: Service, lead: Service, plan: dict, cast: Cast
):
    lead.post(f"estimates/{plan['id']}/approve", b"")
    spend(alice, cast, 3)
    alice.post("usage", body(now_record(model="claude-sonnet-5")))
    post.count(team_id=cast.search.pk, now=timezone.now())

    report = lead.get("reports/estimate-vs-actual", team="search").json()

    planned, unplanned = report["rows"]
    assert report["estimate"]["state"] == "approved"
    assert (planned["model"], planned["estimate"]) == ("claude-opus-5-5", "4.2")
    assert Decimal(planned["actual"]) == 3 * Decimal(COST)
    assert Decimal(planned["variance"]) == Decimal(planned["actual"]) - Decimal("4.2")
    assert (unplanned["model"], unplanned["estimate"]) == ("claude-sonnet-5", None)
    total = Decimal(planned["actual"]) + Decimal(unplanned["actual"])
    assert Decimal(report["total"]["actual"]) == total


def test_a_month_without_an_estimate_has_no_variance(lead: Service):
    report = lead.get("reports/estimate-vs-actual", month="2026-01").json()

    assert (report["estimate"], report["rows"]) == (None, [])
    assert report["total"]["variance"] is None


@pytest.mark.parametrize("month", ["0000-01", "9999-12", "2026-13", "٢٠٢٦-11"])
def test_a_month_that_cannot_be_is_refused(bob: Service, month: str):
    lines = [{**PLAN, "scenario": "light"}]

    report = bob.get("reports/estimate-vs-actual", month=month)
    saved = bob.post("estimates", json.dumps({"month": month, "lines": lines}))

    assert (report.status_code, saved.status_code) == (400, 400)


@pytest.mark.parametrize(
    "lines",
    [
        [PLAN | {"scenario": "light"}] * 2,
        [PLAN | {"scenario": "light", "quantities": {"web_search": 10**15}}],
        [PLAN | {"scenario": "light", "model": "claude-unheard-of"}],
    ],
    ids=["twice", "too dear", "unknown"],
)
def test_lines_that_cannot_be_kept_are_refused(bob: Service, lines: list[dict]):
    saved = bob.post("estimates", json.dumps({"month": "2026-11", "lines": lines}))

    assert saved.status_code == 400


def test_a_projects_key_sees_no_estimate_of_its_team(alice: Service, plan: dict):
    lines = [{**PLAN, "scenario": "light"}]
    plans = json.dumps({"month": "2026-11", "lines": lines})

    assert alice.get("reports/estimate-vs-actual").status_code == 404
    assert alice.get("reports/estimate-vs-actual", team="search").status_code == 404
    assert alice.post("estimates", plans).status_code == 404
    assert alice.post(f"estimates/{plan['id']}/approve", b"").status_code == 404
    assert alice.get("estimates").json()["data"] == []


def test_another_teams_report_is_404(bob: Service):
    assert bob.get("reports/estimate-vs-actual", team="search").status_code == 404


# --- Channels -----------------------------------------------------------------------


def subscribe(service: Service, **channel):
    channel = {"kind": "webhook", "target": "https://hooks.example.com/a/b"} | channel
    return service.post("channels", json.dumps(channel))


def test_a_channel_shows_its_secret_once(alice: Service):
    made = subscribe(alice)

    assert made.status_code == 201
    assert made.json()["secret"].startswith("whsec_")
    (listed,) = alice.get("channels").json()["data"]
    assert "secret" not in listed
    assert (listed["kind"], listed["project"]) == ("webhook", "answers")


def test_a_budgets_alerts_wait_for_its_channels(alice: Service, cast: Cast):
    channel = subscribe(alice, kind="email", target="lead@example.com").json()
    make(alice, thresholds=[])
    spend(alice, cast, 2)

    (alert,) = alice.get("alerts").json()["data"]

    (delivery,) = alert["deliveries"]
    assert (delivery["channel"], delivery["state"]) == (channel["id"], "waiting")


def test_a_disabled_channel_gets_nothing_more(alice: Service, cast: Cast):
    channel = subscribe(alice).json()

    assert alice.delete(f"channels/{channel['id']}").status_code == 204
    make(alice)
    spend(alice, cast, 2)

    assert all(not one["deliveries"] for one in alice.get("alerts").json()["data"])


@pytest.mark.parametrize(
    "target",
    ["http://hooks.example.com/", "https://user:pw@example.com/", "ftp://x", "not a url"],
)
def test_a_target_that_may_not_be_reached_is_refused(alice: Service, target: str):
    assert subscribe(alice, target=target).status_code == 400


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("channels", {"kind": "\ud800", "target": "lead@example.com"}),
        ("estimates", {"month": "2026-11", "lines": [], "plan": "\ud800"}),
        ("budgets", {"amount": "\ud800", "period": "\ud800"}),
    ],
)
def test_what_is_refused_is_quoted_as_far_as_it_can_be(bob: Service, path: str, sent: dict):
    """Half a surrogate pair is JSON text that no answer can hold."""
    reply = bob.post(path, json.dumps(sent).encode())

    assert reply.status_code == 400
    assert reply.json()["code"] == "invalid"


def test_another_teams_channel_is_404(alice: Service, bob: Service):
    channel = subscribe(alice).json()

    assert bob.delete(f"channels/{channel['id']}").status_code == 404
    assert bob.get("channels").json()["data"] == []


def test_a_budget_shows_its_forecast(alice: Service, cast: Cast):
    """Without a whole day there is none; then the plan of a day of the report."""
    budget = make(alice, amount="1").json()
    spend(alice, cast, 1)
    assert alice.get(f"budgets/{budget['id']}").json()["forecast"] is None

    moments = [timezone.now() - timedelta(days=ago) for ago in range(1, 21)]
    alice.post("usage", body(*(record(occurred_at=one.isoformat()) for one in moments)))
    post.count(team_id=cast.search.pk, now=timezone.now())

    listed = alice.get("budgets").json()["data"][0]
    forecast = listed["forecast"]
    assert (
        alice.get(f"budgets/{budget['id']}").json()["forecast"]["low_confidence"] is False
    )
    assert set(forecast) == {
        "amount",
        "low",
        "high",
        "probability_over_cap",
        "exhausted_on",
        "low_confidence",
    }
    spent, low, amount, high = (
        Decimal(one)
        for one in (listed["spent"], forecast["low"], forecast["amount"], forecast["high"])
    )
    assert spent <= low <= amount <= high < 1
    assert (forecast["probability_over_cap"], forecast["exhausted_on"]) == ("0", None)


def test_a_forecast_over_the_cap_says_when(alice: Service, cast: Cast):
    moments = [timezone.now() - timedelta(days=ago) for ago in range(20)]
    alice.post("usage", body(*(record(occurred_at=one.isoformat()) for one in moments)))
    post.count(team_id=cast.search.pk, now=timezone.now())

    shown = make(alice, amount="0.0105", period="day").json()["forecast"]
    over = make(alice, amount="0.001", period="year").json()["forecast"]

    assert Decimal(shown["amount"]) >= Decimal(COST)
    assert over["probability_over_cap"] == "1"
    assert over["exhausted_on"] <= timezone.now().date().isoformat()
