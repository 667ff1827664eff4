"""/holds and /budgets/verdict: what they answer, to whom, and what they refuse."""

import json
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone

from billing.actions import post
from billing.models import Hold
from teams.models.api_keys import Scope
from tests.builders import COST, body, record
from tests.conftest import Cast, Service, issue

pytestmark = pytest.mark.usefixtures("as_app")

CALL = {"model": "claude-opus-5-5", "prompt_tokens": 1000, "max_tokens": 100}
# 1,000 tokens written for an hour at 8 a million, 100 out at 20.
AMOUNT = "0.01"


def budget(service: Service, amount: str, **terms: Any) -> dict[str, Any]:
    terms = {"amount": amount, "hard": True, **terms}
    made = service.post("budgets", json.dumps(terms))
    assert made.status_code == 201, made.content
    return made.json()


def hold(service: Service, headers: dict[str, str] | None = None, **changes: Any) -> Any:
    wanted = {name: value for name, value in (CALL | changes).items() if value is not None}
    return service.post("holds", json.dumps(wanted), headers=headers or {})


def spend(service: Service, cast: Cast, **changes: Any) -> None:
    sent = record(occurred_at=timezone.now().isoformat(), **changes)
    assert service.post("usage", body(sent)).status_code == 202
    post.count(team_id=cast.search.pk, now=timezone.now())


def level(one: dict[str, Any]) -> tuple[str, ...]:
    return tuple(one[name] for name in ("scope", "cap", "spent", "held", "remaining"))


# --- Holds --------------------------------------------------------------------------


def test_a_granted_hold(alice: Service):
    cap = budget(alice, "0.025")

    answer = hold(alice)

    granted = answer.json()
    assert answer.status_code == 201
    assert (granted["granted"], granted["amount"]) == (True, AMOUNT)
    assert (granted["upper_bound"], granted["bound"]) == (False, None)
    assert (granted["refused_by"], granted["reason"]) == (None, None)
    left = datetime.fromisoformat(granted["expires_at"]) - timezone.now()
    assert 590 < left.total_seconds() <= 600
    (only,) = granted["remaining"]
    assert level(only) == ("project answers", "0.025", "0", AMOUNT, "0.015")
    assert (only["budget"], only["hard"], only["percent"]) == (cap["id"], True, "0")


def test_a_refused_hold(alice: Service):
    budget(alice, "0.015")
    hold(alice)

    answer = hold(alice)

    refused = answer.json()
    assert answer.status_code == 200
    assert (refused["granted"], refused["id"], refused["expires_at"]) == (False, None, None)
    assert refused["amount"] == AMOUNT
    assert level(refused["refused_by"])[3:] == (AMOUNT, "0.005")
    assert refused["reason"] == (
        "The hard month budget of project answers has 0.01 of 0.015 spent or held: 0.01 "
        "more would pass the cap."
    )
    assert datetime.fromisoformat(refused["resets_at"]) > timezone.now()


def test_an_unknown_model_says_that_it_is_a_bound(alice: Service):
    held = hold(alice, model="claude-next", provider="anthropic").json()

    assert (held["granted"], held["upper_bound"]) == (True, True)
    assert "claude-next" in held["bound"]
    assert Decimal(held["amount"]) > Decimal(AMOUNT)


def test_a_hold_is_settled_by_its_record(alice: Service, cast: Cast):
    budget(alice, "0.025")
    made = hold(alice).json()["id"]

    spend(alice, cast, hold=made, id="msg_settles")

    assert alice.get(f"holds/{made}").json()["state"] == "settled"
    assert alice.get("usage/msg_settles").json()["hold"] == made
    (only,) = hold(alice).json()["remaining"]
    assert level(only)[2:4] == (COST, AMOUNT)


def test_a_record_whose_hold_is_unknown_is_taken_and_says_so(alice: Service):
    sent = record(occurred_at=timezone.now().isoformat(), hold=str(uuid4()))

    answer = alice.post("usage", body(sent))

    assert answer.status_code == 202
    (result,) = answer.json()["results"]
    assert (result["status"], result["code"]) == ("accepted", "hold_not_settled")


def test_a_hold_is_released(alice: Service):
    budget(alice, "0.01")
    made = hold(alice).json()["id"]

    answers = [alice.delete(f"holds/{made}").status_code for _ in range(2)]

    assert answers == [204, 204]
    assert alice.get(f"holds/{made}").json()["state"] == "released"
    assert hold(alice).status_code == 201


def test_a_hold_whose_time_is_over_says_so(alice: Service):
    made = hold(alice, expires_in=1).json()["id"]
    Hold.objects.update(expires_at=datetime.fromisoformat("2026-01-01T00:00:00Z"))

    shown = alice.get(f"holds/{made}").json()

    assert (shown["state"], shown["amount"]) == ("expired", AMOUNT)
    assert (shown["team"], shown["project"]) == ("search", "answers")


def test_a_retry_is_the_same_hold_and_another_request_is_not(alice: Service):
    retry = {"idempotency-key": "call-7"}

    first, again = hold(alice, retry), hold(alice, retry)
    other = hold(alice, retry, max_tokens=101)

    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json()["id"] == first.json()["id"]
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


def test_others_see_no_hold(alice: Service, bob: Service, charlie: Service):
    made = hold(alice).json()["id"]

    for service in (bob, charlie):
        assert service.get(f"holds/{made}").status_code == 404
        assert service.delete(f"holds/{made}").status_code == 404
    assert hold(bob, project="answers").status_code == 404
    assert alice.get(f"holds/{made}").json()["state"] == "held"


def test_an_estimate_of_ones_own(alice: Service):
    held = hold(alice, prompt_tokens=None, max_tokens=None, estimate="0.25").json()

    assert (held["amount"], held["upper_bound"]) == ("0.25", False)


@pytest.mark.parametrize(
    ("changes", "code", "pointer"),
    [
        ({"max_tokens": None, "prompt_tokens": None}, "missing_field", "/usage"),
        ({"prompt_tokens": None}, "missing_field", "/prompt_tokens"),
        ({"max_tokens": None}, "missing_field", "/usage"),
        ({"estimate": "1"}, "contradiction", "/estimate"),
        ({"usage": {"input_tokens": 1, "output_tokens": 1}}, "contradiction", "/max_"),
        ({"max_tokens": 0}, "out_of_range", "/max_tokens"),
        ({"prompt_tokens": -1}, "out_of_range", "/prompt_tokens"),
        ({"max_tokens": 10**13}, "out_of_range", "/max_tokens"),
        ({"max_tokens": "7"}, "wrong_type", "/max_tokens"),
        ({"expires_in": 0}, "out_of_range", "/expires_in"),
        ({"expires_in": 3601}, "out_of_range", "/expires_in"),
        ({"model": None}, "missing_field", "/model"),
        ({"model": "a\0b"}, "bad_text", "/model"),
        ({"cost": 1}, "unknown_field", "/cost"),
        ({"processing": "tomorrow"}, "bad_value", "/processing"),
    ],
)
def test_a_call_that_cannot_be_read(alice: Service, changes: Any, code: str, pointer: str):
    answer = hold(alice, **changes)

    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert answer.json()["detail"].startswith(pointer)
    assert not Hold.objects.exists()


@pytest.mark.parametrize(
    "estimate",
    [
        *("NaN", "1e400", "-1", "much", "1E-20", "Infinity", "1e12"),
        *("1_000", " 1", "1 ", "1e3", "+1", "٣", "１"),
    ],
)
def test_an_estimate_that_is_no_amount(alice: Service, estimate: str):
    only = {"prompt_tokens": None, "max_tokens": None}

    assert hold(alice, **only, estimate=estimate).status_code == 400
    assert alice.get("budgets/verdict", estimate=estimate).status_code == 400


@pytest.mark.parametrize("key", ["x" * 201, "a\tb"])
def test_an_idempotency_key_that_is_none(alice: Service, key: str):
    answer = hold(alice, {"idempotency-key": key})

    assert answer.json()["code"] == "bad_idempotency_key"


def test_who_posts_usage_may_hold_and_ask(cast: Cast):
    writer, reader, none = (
        Service(issue(cast.acme, project=cast.answers, scopes=scopes)[1])
        for scopes in ([Scope.USAGE_WRITE], [Scope.BUDGETS_READ], [Scope.USAGE_READ])
    )

    held = [hold(service).status_code for service in (writer, reader, none)]
    asked = [service.get("budgets/verdict").status_code for service in (writer, reader)]

    assert (held, asked) == ([201, 403, 403], [200, 200])
    assert none.get("budgets/verdict").json()["code"] == "missing_scope"


# --- Verdicts -----------------------------------------------------------------------


def ask(service: Service, **parameters: str) -> dict[str, Any]:
    answer = service.get("budgets/verdict", **parameters)
    assert answer.status_code == 200, answer.content
    found: dict[str, Any] = answer.json()
    seconds = found["cacheable_seconds"]
    assert answer.headers["cache-control"] == f"private, max-age={seconds}"
    assert 0 <= seconds <= 10
    return found


def test_without_budgets_everything_is_allowed(alice: Service):
    found = ask(alice, estimate="1000")

    assert (found["verdict"], found["levels"], found["remaining"]) == ("allow", [], None)


def test_a_hard_cap_denies_what_would_pass_it(alice: Service):
    budget(alice, "0.025")
    hold(alice)

    found = ask(alice, estimate="0.015000001")

    assert ask(alice, estimate="0.015")["verdict"] == "allow"
    assert found["verdict"] == "deny"
    assert (found["remaining"], found["currency"]) == ("0.015", "USD")
    assert "project answers" in found["reason"]
    assert datetime.fromisoformat(found["resets_at"]) > timezone.now()


def test_without_an_estimate_it_denies_when_nothing_is_left(alice: Service):
    budget(alice, "0.01")
    assert ask(alice, model="claude-opus-5-5")["verdict"] == "allow"

    hold(alice)

    assert ask(alice, model="claude-opus-5-5")["verdict"] == "deny"


def test_a_cap_of_nothing_denies(alice: Service):
    budget(alice, "0")

    assert ask(alice)["verdict"] == "deny"


def test_a_soft_cap_warns(alice: Service):
    budget(alice, "0.01", hard=False)

    found = ask(alice, estimate="0.02")

    assert found["verdict"] == "warn"
    assert "soft" in found["reason"]


def test_a_threshold_that_is_reached_warns(alice: Service, cast: Cast):
    budget(alice, "0.0084", thresholds=[50])
    spend(alice, cast)

    found = ask(alice, estimate="0.001")

    assert (found["verdict"], found["levels"][0]["percent"]) == ("warn", "50")
    assert "50 % of the cap is reached" in found["reason"]


def test_the_tightest_level_is_said(alice: Service, cast: Cast):
    everything = Service(issue(cast.acme)[1])
    budget(alice, "5")
    budget(everything, "3", team="search")
    budget(everything, "4")

    found = ask(alice)

    assert [one["scope"] for one in found["levels"]] == [
        "project answers",
        "team search",
        "organization acme",
    ]
    assert found["remaining"] == "3"


def test_a_changed_budget_is_seen_at_once(alice: Service):
    made = budget(alice, "1")
    assert ask(alice, estimate="2")["verdict"] == "deny"

    alice.patch(f"budgets/{made['id']}", {"amount": "3"})
    assert ask(alice, estimate="2")["verdict"] == "allow"

    alice.delete(f"budgets/{made['id']}")
    assert ask(alice, estimate="200")["levels"] == []


def test_a_project_that_is_not_covered(alice: Service, cast: Cast):
    assert alice.get("budgets/verdict", project="triage").status_code == 404
    everything = Service(issue(cast.acme)[1])
    assert everything.get("budgets/verdict").status_code == 404
    assert everything.get("budgets/verdict", project="triage").status_code == 200
