"""`/what-if`: asked over HTTP, kept, and made into an estimate."""

import json
from decimal import Decimal
from typing import Any

import pytest

from billing.models import Estimate, SavedWhatIf
from teams.models import AuditEvent
from teams.models.api_keys import Scope
from tests.billing.spending import spend
from tests.conftest import Cast, Service, issue

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
        month="2027-01",
        batch={"percent": 40, "projects": ["answers"]},
        project="answers",
    )
    assert response.status_code == 201, response.json()
    estimate = Estimate.objects.get()
    assert (estimate.state, f"{estimate.month}") == ("draft", "2027-01-01")
    assert (estimate.team, estimate.project) == (cast.search, cast.answers)
    lines = estimate.lines.filter(scenario="medium").order_by("processing")
    # Of 30 days, made 31: 6 × 31 ÷ 30 and 4 × 31 ÷ 30, in whole numbers.
    assert [(one.processing, one.requests, one.input) for one in lines] == [
        ("batch", 4, 4133),
        ("standard", 6, 6200),
    ]
    assert sum(one.cost for one in lines) == Decimal("0.0372") + Decimal("0.012396")


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
