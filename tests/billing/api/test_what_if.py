"""`/what-if`: asked over HTTP, kept, and made into an estimate."""

import json
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from billing.formats import what_if as formats
from billing.models import Estimate, RateCard, SavedWhatIf
from billing.reports import what_if
from teams import isolation
from teams.models import AuditEvent
from teams.models.api_keys import Scope
from tests.billing import test_rerates
from tests.billing.spending import spend
from tests.conftest import NOW, Cast, Service, as_owner, issue

USAGE = {"input_tokens": 1000, "output_tokens": 100}  # 0.006 USD on Claude Opus 5.5
DAYS = {"since": "2026-11-01", "until": "2026-12-01"}
MOVE = {"model": "claude-opus-5-5", "to": "claude-sonnet-5-5", "percent": 50}

pytestmark = pytest.mark.django_db


@pytest.fixture
def dora(cast: Cast) -> Service:
    """Bound to the team `search`."""
    return Service(issue(cast.acme, team=cast.search)[1])


def post(service: Service, path: str, **question: Any) -> Any:
    return service.post(f"what-if{path}", json.dumps(DAYS | question))


def test_a_question_is_answered(cast: Cast, dora: Service) -> None:
    spend(cast, 10, usage=USAGE)
    response = post(dora, "", moves=[MOVE], output_percent=-10)
    assert response.status_code == 200
    found = response.json()
    assert found["question"] == {
        **DAYS,
        "moves": [MOVE],
        "output_percent": -10,
    }
    assert (found["charged"], found["before"], found["difference"]) == ("0.06", "0.06", "0")
    # 5 × 0.006 + 5 × 0.003 = 0.045, of it 0.015 for output.
    assert found["after"]["mid"] == "0.0435"
    assert found["delta"]["mid"] == "-0.0165"
    assert found["percent"] == "-27.5"
    levers = {one["lever"]: one["effect"]["mid"] for one in found["levers"]}
    assert levers == {"models": "-0.015", "output": "-0.0015"}
    assert found["projects"][0]["project"] == "answers"
    assert found["models"][0]["quantities"]["output"] == 450
    assert "Price only" in found["assumptions"][0]


def test_the_address_can_hold_the_question(cast: Cast, dora: Service) -> None:
    spend(cast, 10, usage=USAGE)
    asked = DAYS | {"output_percent": -10}
    found = dora.get("what-if", question=json.dumps(asked)).json()
    assert found["delta"]["mid"] == "-0.002"
    assert dora.get("what-if").status_code == 200


def test_a_key_asks_about_what_it_covers(
    cast: Cast, alice: Service, bob: Service, dora: Service
) -> None:
    spend(cast, 1, usage=USAGE)
    spend(cast, 2, usage=USAGE, project="triage")
    whole = Service(issue(cast.acme)[1])
    charged = [post(service, "").json()["charged"] for service in (alice, bob, dora, whole)]
    assert charged == ["0.006", "0.012", "0.006", "0.018"]
    assert post(whole, "", team="support").json()["charged"] == "0.012"
    assert post(bob, "", team="search").status_code == 404
    assert post(alice, "", project="triage").status_code == 400


@pytest.mark.parametrize(
    ("question", "code"),
    [
        ({"moves": [MOVE | {"to": "gpt-nought"}]}, "unknown_model"),
        ({"lever": 1}, "unknown_field"),
        ({"batch": {"projects": ["none"]}}, "unknown_project"),
        ({"since": "2026-11-01", "until": "2026-10-01"}, "bad_time"),
    ],
    ids=["model", "field", "project", "days"],
)
def test_what_cannot_be_answered_is_a_problem(
    dora: Service, question: dict[str, Any], code: str
) -> None:
    response = post(dora, "", **question)
    assert (response.status_code, response.json()["code"]) == (400, code)


@pytest.mark.parametrize("body", [b"{", b"[]", b'"x"', b"\xff"], ids=repr)
def test_what_is_no_question_is_a_problem(dora: Service, body: bytes) -> None:
    assert dora.post("what-if", body).status_code == 400
    assert dora.get("what-if", question=body.decode("latin-1")).status_code == 400


def test_a_question_is_kept_and_forgotten(cast: Cast, dora: Service, bob: Service) -> None:
    kept = post(dora, "/saved", name="Half on Sonnet", moves=[MOVE])
    assert kept.status_code == 201
    saved = kept.json()
    assert saved["question"] == {**DAYS, "moves": [MOVE]}
    assert (saved["team"], saved["name"]) == ("search", "Half on Sonnet")
    path = f"what-if/saved/{saved['id']}"
    assert dora.get(path).json() == saved
    assert dora.get("what-if/saved").json() == {"data": [saved], "next_cursor": None}
    after = dora.get("what-if/saved", cursor=saved["id"]).json()
    assert after == {"data": [], "next_cursor": None}
    again = post(dora, "/saved", name="Half on Sonnet")
    assert (again.status_code, again.json()["code"]) == (400, "invalid")
    # Another team's key sees none of it.
    assert bob.get("what-if/saved").json()["data"] == []
    assert bob.delete(path).status_code == bob.get(path).status_code == 404
    assert dora.delete(path).status_code == 204
    assert dora.get(path).status_code == 404
    actions = AuditEvent.objects.filter(action__startswith="what_if").order_by("pk")
    assert [one.action for one in actions] == ["what_if.save", "what_if.forget"]


def test_what_could_not_be_answered_is_not_kept(dora: Service) -> None:
    assert post(dora, "/saved", name="x", moves=[MOVE | {"to": "no"}]).status_code == 400
    assert post(dora, "/saved").json()["code"] == "missing_field"
    assert not SavedWhatIf.objects.exists()


def test_it_becomes_a_draft_of_a_month(cast: Cast, dora: Service) -> None:
    spend(cast, 10, usage=USAGE)
    response = post(
        dora,
        "/estimate",
        since="2026-11-01",
        until="2026-11-21",
        month="2027-01",
        batch={"percent": 40, "projects": ["answers"]},
        project="answers",
    )
    assert response.status_code == 201, response.json()
    estimate = Estimate.objects.get()
    assert (estimate.state, f"{estimate.month}") == ("draft", "2027-01-01")
    assert (estimate.team, estimate.project) == (cast.search, cast.answers)
    lines = estimate.lines.filter(scenario="medium").order_by("processing")
    # All was used on the last of these days: 31 days of it.
    assert [(one.processing, one.requests, one.input) for one in lines] == [
        ("batch", 4 * 31, 4_000 * 31),
        ("standard", 6 * 31, 6_000 * 31),
    ]
    assert sum(one.cost for one in lines) == 31 * (Decimal("0.036") + Decimal("0.012"))


def test_a_day_is_told_by_those_that_are_over(cast: Cast, dora: Service) -> None:
    """Used on 18 and 20 Nov; asked on 22 Nov, of all November: 4 days, up to 21."""
    for day, records in (("18", 3), ("20", 5), ("22", 50)):
        spend(cast, records, usage=USAGE, occurred_at=f"2026-11-{day}T09:00:00Z")
    question = formats.read(DAYS)
    with isolation.visible_teams([cast.search.pk]):
        found = what_if.of_whole_days(
            question, organization=cast.acme, teams=[cast.search], now=NOW
        )
    assert found is not None
    assert (found.since, found.until) == (date(2026, 11, 18), date(2026, 11, 22))
    assert found.before == 8 * Decimal("0.006")


def test_days_that_have_not_ended_tell_nothing(cast: Cast, dora: Service) -> None:
    with isolation.visible_teams([cast.search.pk]):
        for since in ("2026-11-22", "2027-01-01"):
            question = formats.read({"since": since, "until": "2027-02-01"})
            assert not what_if.of_whole_days(
                question, organization=cast.acme, teams=[cast.search], now=NOW
            )
    days = {"since": "2199-11-01", "until": "2199-12-01"}
    response = post(dora, "/estimate", **days)
    assert (response.status_code, response.json()["code"]) == (400, "invalid")


def test_nothing_is_planned_of_nothing(dora: Service) -> None:
    response = post(dora, "/estimate")
    assert (response.status_code, response.json()["code"]) == (400, "invalid")
    assert post(dora, "/estimate", month="2027-13").status_code == 400


def test_it_needs_its_scopes(cast: Cast) -> None:
    reader = Service(issue(cast.acme, team=cast.search, scopes=[Scope.REPORTS_READ])[1])
    assert post(reader, "").status_code == 200
    assert post(reader, "/saved", name="x").status_code == 403
    assert post(reader, "/estimate").status_code == 403
    writer = Service(issue(cast.acme, team=cast.search, scopes=[Scope.BUDGETS_WRITE])[1])
    assert post(writer, "").status_code == 403


# --- Every lever, by hand ---------------------------------------------------------------
# Opus 5.5 costs 4 in, 5 and 8 to write for 5 minutes and an hour, 0.2 to read, 20 out, a
# million; in a batch half of it.

CACHED = {
    "input_tokens": 1000,
    "cache_read_input_tokens": 2000,
    "cache_creation_input_tokens": 500,
    "output_tokens": 100,
}  # 0.004 + 0.0004 + 0.0025 + 0.002 = 0.0089
FOR_AN_HOUR = CACHED | {
    "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 500}
}  # 0.0104


@pytest.mark.parametrize(
    ("usage", "lever", "before", "after"),
    [
        # 3,500 in.
        (CACHED, {"caching": {"kind": "off"}}, "0.0089", "0.016"),
        # Of 1,000 in 500 repeat: 400 are read, 100 written.
        (
            USAGE,
            {"caching": {"kind": "on", "share_percent": 50, "hit_percent": 80}},
            "0.006",
            "0.00458",
        ),
        (
            USAGE,
            {
                "caching": {
                    "kind": "on",
                    "share_percent": 50,
                    "hit_percent": 80,
                    "ttl": "1h",
                }
            },
            "0.006",
            "0.00488",
        ),
        (CACHED, {"caching": {"kind": "1h"}}, "0.0089", "0.0104"),
        (FOR_AN_HOUR, {"caching": {"kind": "5m"}}, "0.0104", "0.0089"),
        (CACHED, {"output_percent": -20}, "0.0089", "0.0085"),
        (CACHED, {"output_percent": 50}, "0.0089", "0.0099"),
        (CACHED, {"batch": {"projects": ["answers"]}}, "0.0089", "0.00445"),
        # Sonnet 5.5 costs half, and its tokenizer is the same.
        (CACHED, {"moves": [MOVE | {"percent": 100}]}, "0.0089", "0.00445"),
    ],
    ids=["off", "on", "on-1h", "1h", "5m", "shorter", "longer", "batch", "model"],
)
def test_each_lever_is_as_worked_by_hand(
    cast: Cast, dora: Service, usage: Any, lever: dict[str, Any], before: str, after: str
) -> None:
    spend(cast, 1, usage=usage)
    found = post(dora, "", **lever).json()
    assert (found["charged"], found["before"]) == (before, before)
    assert found["after"] == {"low": after, "mid": after, "high": after}
    (effect,) = found["levers"]
    delta = Decimal(after) - Decimal(before)
    assert Decimal(effect["effect"]["mid"]) == Decimal(found["delta"]["mid"]) == delta
    assert effect["requests"] == 1
    assert effect["missing"] == []


def test_another_tokenizer_makes_a_range(cast: Cast, dora: Service) -> None:
    """Opus 4.6 costs 5 and 25: 0.075. On Opus 5.5 10,000 in and 1,000 out are 1.2, 1.35,
    1.5 times as many: 0.06 for as many."""
    spend(cast, 10, usage=USAGE, model="claude-opus-4-6")
    move = {"model": "claude-opus-4-6", "to": "claude-opus-5-5"}
    found = post(dora, "", moves=[move]).json()
    assert found["before"] == "0.075"
    assert found["after"] == {"low": "0.072", "mid": "0.081", "high": "0.09"}
    said = " ".join(found["levers"][0]["sentences"])
    assert "fewer than 1.25 times the tokens: it may or may not" in said
    assert "Price only: quality is not judged." in said


def test_only_what_carries_the_tag_waits(cast: Cast, dora: Service) -> None:
    spend(cast, 4, usage=USAGE, tags={"job": "nightly", "env": "prod"})
    spend(cast, 5, usage=USAGE, tags={"job": "chat"})
    spend(cast, 1, usage=USAGE)
    found = post(dora, "", batch={"percent": 50, "tags": ["job=nightly"]}).json()
    assert (found["before"], found["after"]["mid"]) == ("0.06", "0.054")
    assert found["levers"][0]["requests"] == 2
    nobody = post(dora, "", batch={"tags": ["job=weekly"]}).json()
    assert nobody["delta"]["mid"] == "0"


def test_prices_of_another_day(cast: Cast, dora: Service) -> None:
    test_rerates.publish(since="2026-12-01", input="8", output="10")
    spend(cast, 1, usage=USAGE)
    found = post(dora, "", prices_on="2026-12-02").json()
    # 1,000 at 8, 100 at 10.
    assert (found["before"], found["after"]["mid"]) == ("0.006", "0.009")
    assert post(dora, "", prices_on="2026-11-20").json()["delta"]["mid"] == "0"


def test_of_no_records_everything_is_nothing(dora: Service) -> None:
    levers = {"moves": [MOVE], "batch": {"tags": ["a=b"]}, "caching": {"kind": "off"}}
    found = post(dora, "", **levers, output_percent=-10, prices_on="2026-11-20").json()
    assert (found["charged"], found["before"], found["percent"]) == ("0", "0", None)
    assert found["after"] == found["delta"] == {"low": "0", "mid": "0", "high": "0"}
    assert (found["projects"], found["models"]) == ([], [])
    assert [one["requests"] for one in found["levers"]] == [0] * 5


def test_what_has_no_price_is_said_and_on_neither_side(cast: Cast, dora: Service) -> None:
    spend(cast, 2, usage=USAGE)
    spend(cast, 3, usage=USAGE, model="claude-opus-99")
    found = post(dora, "", moves=[MOVE | {"percent": 100}]).json()
    assert (found["before"], found["after"]["mid"]) == ("0.012", "0.006")
    assert found["unpriced_records"] == 3


def test_prices_in_another_currency_are_not_converted(cast: Cast, dora: Service) -> None:
    with as_owner():
        RateCard.objects.filter(kind="list", provider="anthropic").update(currency="EUR")
    response = post(dora, "", moves=[MOVE])
    assert (response.status_code, response.json()["code"]) == (400, "bad_value")
    assert "are in EUR, Acme counts in USD" in response.json()["detail"]


def test_another_organization_sees_nothing_of_it(cast: Cast, dora: Service) -> None:
    spend(cast, 1, usage=USAGE)
    saved = post(dora, "/saved", name="Ours", moves=[MOVE]).json()
    stranger = Service(issue(cast.outsiders)[1])
    assert post(stranger, "").json()["charged"] == "0"
    for path in ("", "/saved", "/estimate"):
        asked = {"name": "x"} if path == "/saved" else {}
        assert post(stranger, path, team="search", **asked).status_code == 404
    assert post(stranger, "", project="answers").json()["code"] == "unknown_project"
    batch = {"projects": ["answers"]}
    assert post(stranger, "", batch=batch).json()["code"] == "unknown_project"
    assert stranger.get("what-if/saved").json()["data"] == []
    path = f"what-if/saved/{saved['id']}"
    assert stranger.get(path).status_code == stranger.delete(path).status_code == 404
    assert SavedWhatIf.objects.count() == 1
