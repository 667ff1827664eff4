"""`/routing-policies` and `GET /reports/routing-breaches`."""

import json
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone

from billing.actions import routing
from billing.models import LanguageModel, RoutingPolicy
from billing.models.routing import Tag
from tests.billing.savings import call, counted
from tests.conftest import Cast, Service, issue

pytestmark = pytest.mark.usefixtures("as_app")

NOVEMBER = {"from": "2026-11-01", "to": "2026-12-01"}


@pytest.fixture
def finance(cast: Cast) -> Service:
    return Service(issue(cast.acme, team=cast.search)[1])


def set_policy(service: Service, **rules: Any) -> Any:
    return service.post("routing-policies", json.dumps(rules))


def test_a_policy_is_set_and_read_back(cast: Cast, finance: Service):
    made = set_policy(
        finance,
        models=["claude-sonnet-5"],
        batch_only_tags=[{"key": "job", "value": "nightly"}],
        max_output=8_000,
        reason="Opus is for answers",
    )

    assert made.status_code == 201, made.json()
    said = finance.get("routing-policies").json()
    assert said["in_force"] == said["data"][0] == made.json()
    assert made.json()["models"] == ["claude-sonnet-5"]
    assert made.json()["batch_only_tags"] == [{"key": "job", "value": "nightly"}]
    assert made.json()["max_output"] == 8_000
    assert made.json()["reason"] == "Opus is for answers"


def test_a_change_is_another_policy(cast: Cast, finance: Service):
    set_policy(finance, max_output=8_000)
    set_policy(finance, effective_from="2199-12-31")

    said = finance.get("routing-policies").json()

    assert [one["max_output"] for one in said["data"]] == [None, 8_000]
    assert said["in_force"]["max_output"] == 8_000


def test_without_a_policy_there_is_none_in_force(cast: Cast, finance: Service):
    assert finance.get("routing-policies").json() == {
        "team": "search",
        "in_force": None,
        "data": [],
        "next_cursor": None,
    }


@pytest.mark.parametrize(
    ("rules", "code"),
    [
        ({"models": ["gpt-nothing"]}, "unknown_model"),
        ({"effective_from": "2020-01-01"}, "invalid"),
        ({"effective_from": "2200-01-01"}, "invalid"),
        ({"max_output": 0}, "invalid"),
        ({"max_output": 10**10}, "invalid"),
        ({"batch_only_tags": [{"key": "job"}]}, "invalid"),
        ({"batch_only_tags": [{"key": "job", "value": "x\0"}]}, "invalid"),
        (
            {"batch_only_tags": [{"key": str(n), "value": "x"} for n in range(21)]},
            "invalid",
        ),
        ({"team": "support"}, "not_found"),
    ],
)
def test_what_makes_no_sense_is_refused(
    cast: Cast, finance: Service, rules: dict[str, Any], code: str
):
    answer = set_policy(finance, **rules)

    assert answer.json()["code"] == code, answer.json()
    assert not RoutingPolicy.objects.exists()


def test_reading_does_not_let_set(cast: Cast):
    reading = Service(issue(cast.acme, team=cast.search, scopes=["budgets:read"])[1])

    assert reading.get("routing-policies").status_code == 200
    assert set_policy(reading, max_output=1).status_code == 403


def test_breaches_say_what_each_cost(cast: Cast, finance: Service):
    sonnet = LanguageModel.objects.filter(name="claude-sonnet-5")
    routing.set_policy(
        team=cast.search,
        model_ids=list(sonnet.values_list("pk", flat=True)),
        batch_only_tags=[Tag("job", "nightly")],
        max_output=1_000,
        by="frank",
        now=datetime(2026, 11, 1, 12, tzinfo=UTC),
    )
    counted(cast, [call(output_tokens=1_500, tags={"job": "nightly"}, id="wrong")])

    said = finance.get("reports/routing-breaches", **NOVEMBER).json()

    # 1,500 tokens out at 20 a million, half of that in a batch, 500 above the maximum.
    assert {(row["kind"], row["rule"], row["cost"]) for row in said["rows"]} == {
        ("model", None, "0.03"),
        ("not_batch", "job=nightly", "0.015"),
        ("long_output", "1,000 tokens", "0.01"),
    }
    assert {row["spent"] for row in said["rows"]} == {"0.03"}
    assert [one["id"] for one in said["examples"]] == ["wrong"] * 3
    (held,) = said["policies"]
    assert (held["since"], held["until"]) == ("2026-11-01", "2026-12-01")
    assert held["holds_from"] == "2026-11-01T12:00:00Z"
    assert held["holds_until"] == "2026-11-30T23:00:00Z"


def test_a_policy_of_today_holds_from_now(cast: Cast, finance: Service):
    before = timezone.now()
    made = set_policy(finance, max_output=8_000).json()
    coming = set_policy(finance, effective_from="2199-12-31").json()

    holds_from = datetime.fromisoformat(made["holds_from"])
    assert before <= holds_from <= timezone.now()
    its_day = holds_from.astimezone(ZoneInfo("Europe/Berlin")).date()
    assert made["effective_from"] == its_day.isoformat()
    assert coming["effective_from"] == "2199-12-31"
    assert coming["holds_from"] == "2199-12-30T23:00:00Z"


def test_policies_are_read_on_by_cursor(cast: Cast, finance: Service):
    first = set_policy(finance, max_output=1).json()
    second = set_policy(finance, max_output=2).json()

    rest = finance.get("routing-policies", cursor=second["id"]).json()

    assert [one["id"] for one in rest["data"]] == [first["id"]]
    assert rest["next_cursor"] is None
    assert finance.get("routing-policies", cursor="x").status_code == 400
