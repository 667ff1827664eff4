"""/budgets/{id}/raises, /raises, /budget-policy, /budgets/preview: what keys may do."""

import json
from collections.abc import Iterable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from billing.actions import budgets, post, raises
from billing.models import Budget, RaiseRequest
from teams.models.api_keys import Scope
from teams.reporting_days import ReportingDays
from tests.builders import body, record
from tests.conftest import Cast, Service, issue

pytestmark = pytest.mark.usefixtures("as_app")


@pytest.fixture
def finance(cast: Cast) -> Service:
    return Service(issue(cast.acme, scopes=[Scope.BUDGETS_READ, Scope.BUDGETS_WRITE])[1])


@pytest.fixture
def lead(cast: Cast) -> Service:
    scopes = [Scope.BUDGETS_READ, Scope.RAISES_WRITE]
    return Service(issue(cast.acme, team=cast.search, scopes=scopes)[1])


@pytest.fixture
def budget(finance: Service) -> str:
    made = finance.post("budgets", json.dumps({"amount": "100", "team": "search"}))
    return str(made.json()["id"])


def ask(service: Service, budget: str, **asked: Any) -> Any:
    content = {"amount": "150", "reason": "Two more countries."} | asked
    return service.post(f"budgets/{budget}/raises", json.dumps(content))


def decide(service: Service, asked: dict[str, Any], step: str, **said: Any) -> Any:
    return service.post(f"raises/{asked['id']}/{step}", json.dumps(said))


def shown(service: Service, budget: str) -> tuple[str, str, str | None]:
    one = service.get(f"budgets/{budget}").json()
    return one["amount"], one["cap"], one["raised_until"]


def test_a_raise_is_asked_for_and_approved(lead: Service, finance: Service, budget: str):
    reply = ask(lead, budget)
    asked = reply.json()

    assert reply.status_code == 201
    assert (asked["state"], asked["amount"], asked["until"]) == ("pending", "150", None)
    assert (asked["approvals"], asked["approvals_needed"]) == (0, 1)
    assert shown(lead, budget) == ("100", "100", None)

    approved = decide(finance, asked, "approve", note="Fine.").json()

    assert (approved["state"], approved["granted_amount"]) == ("approved", "150")
    (decision,) = approved["decisions"]
    assert (decision["approves"], decision["note"]) == (True, "Fine.")
    assert shown(lead, budget) == ("150", "150", None)
    assert lead.get(f"raises/{asked['id']}").json() == approved
    listed = lead.get(f"budgets/{budget}/raises").json()
    assert listed == {"data": [approved], "next_cursor": None}


def test_with_an_end_the_amount_stays_and_the_cap_is_higher(
    lead: Service, finance: Service, budget: str
):
    until = (timezone.now() + timedelta(days=2)).replace(microsecond=0)
    asked = ask(lead, budget, until=until.isoformat()).json()
    said = until.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert asked["until"] == said

    decide(finance, asked, "approve")

    assert shown(lead, budget) == ("100", "150", said)


def test_an_approval_may_say_other_terms(lead: Service, finance: Service, budget: str):
    until = (timezone.now() + timedelta(days=2)).isoformat()
    asked = ask(lead, budget, until=until).json()

    approved = decide(finance, asked, "approve", amount="120", until=None).json()

    assert (approved["granted_amount"], approved["granted_until"]) == ("120", None)
    assert shown(lead, budget) == ("120", "120", None)


def test_declined_and_withdrawn(lead: Service, finance: Service, budget: str):
    declined = decide(finance, ask(lead, budget).json(), "decline", note="No.").json()
    withdrawn = decide(lead, ask(lead, budget).json(), "withdraw").json()

    assert (declined["state"], withdrawn["state"]) == ("declined", "withdrawn")
    late = decide(finance, withdrawn, "approve")
    assert (late.status_code, late.json()["code"]) == (409, "not_possible")
    assert shown(lead, budget) == ("100", "100", None)


def test_a_second_request_is_refused_while_the_first_waits(lead: Service, budget: str):
    first = ask(lead, budget).json()

    assert ask(lead, budget).json() == first
    refused = ask(lead, budget, amount="160")

    assert (refused.status_code, refused.json()["code"]) == (409, "not_possible")
    assert f"raise request {first['id']} waits" in refused.json()["detail"]


def asked_by(budget: str, people: Iterable[int]) -> None:
    for number in people:
        raises.ask(
            budget=Budget.objects.get(pk=budget),
            amount=Decimal(150),
            until=None,
            reason="Two more countries.",
            by=f"lead {number}",
            now=timezone.now(),
        )


def test_raises_are_read_page_by_page(lead: Service, budget: str):
    asked_by(budget, range(201))

    first = lead.get(f"budgets/{budget}/raises").json()
    rest = lead.get(f"budgets/{budget}/raises", cursor=first["next_cursor"]).json()

    assert [len(page["data"]) for page in (first, rest)] == [200, 1]
    assert rest["next_cursor"] is None
    newest = [one["asked_by"] for one in first["data"] + rest["data"]]
    assert newest == [f"lead {number}" for number in reversed(range(201))]
    assert lead.get(f"budgets/{budget}/raises", cursor="first").status_code == 400


def test_a_list_of_raises_asks_no_more_for_more_of_them(
    lead: Service, finance: Service, budget: str, cast: Cast
):
    raises.set_policy(
        organization=cast.acme, two_approvals_above=Decimal(1), by="x", now=timezone.now()
    )
    lead.get(f"budgets/{budget}/raises")  # whose key it is, is known from here on
    asked = []
    for numbers in (range(2), range(2, 9)):
        asked_by(budget, numbers)
        for request in RaiseRequest.objects.filter(decisions=None):
            person, _ = User.objects.get_or_create(username=f"approver {request.pk}")
            raises.approve(
                request=request,
                amount=request.amount,
                until=None,
                by=person.username,
                person=person,
                now=timezone.now(),
            )
        with CaptureQueriesContext(connection) as queries:
            assert lead.get(f"budgets/{budget}/raises").status_code == 200
        asked.append(len(queries))

    assert asked[0] == asked[1]


def test_scopes_say_who_asks_and_who_decides(
    lead: Service, finance: Service, budget: str, cast: Cast
):
    reader = Service(issue(cast.acme, scopes=[Scope.BUDGETS_READ])[1])
    asked = ask(lead, budget).json()

    assert ask(finance, budget).status_code == 403
    assert ask(reader, budget).status_code == 403
    for step in ("approve", "decline"):
        assert decide(lead, asked, step).status_code == 403
    assert decide(finance, asked, "withdraw").status_code == 403
    assert RaiseRequest.objects.get().state == "pending"


def test_no_key_decides_on_what_it_asked_for(cast: Cast, budget: str):
    both = Service(issue(cast.acme)[1])
    asked = ask(both, budget).json()

    for step in ("approve", "decline"):
        reply = decide(both, asked, step)
        assert (reply.status_code, reply.json()["code"]) == (409, "not_possible")


def test_no_other_key_withdraws(lead: Service, cast: Cast, budget: str):
    asked = ask(lead, budget).json()
    other = Service(issue(cast.acme)[1])

    assert decide(other, asked, "withdraw").status_code == 409


def test_what_a_key_does_not_cover_is_not_there(
    lead: Service, bob: Service, charlie: Service, budget: str
):
    asked = ask(lead, budget).json()

    for stranger in (bob, charlie):
        assert ask(stranger, budget).status_code == 404
        assert stranger.get(f"budgets/{budget}/raises").status_code == 404
        assert stranger.get(f"budgets/{budget}/revisions").status_code == 404
        assert stranger.get(f"raises/{asked['id']}").status_code == 404
        for step in ("approve", "decline", "withdraw"):
            assert decide(stranger, asked, step).status_code == 404
        preview = stranger.post("budgets/preview", json.dumps({"budget": budget}))
        assert preview.status_code == 404
    assert RaiseRequest.objects.get().state == "pending"


@pytest.mark.parametrize(
    "wrong",
    [
        {"amount": "100"},
        {"amount": "NaN"},
        {"amount": None},
        {"amount": "1" * 14},
        {"reason": " "},
        {"until": "2026-01-01"},
        {"until": "2026-01-01T00:00:00"},
        {"until": "9999-12-31T23:59:59-12:00"},
        {"until": 5},
    ],
)
def test_what_is_no_raise_is_refused(lead: Service, budget: str, wrong: dict[str, Any]):
    reply = ask(lead, budget, **wrong)

    assert (reply.status_code, reply.json()["code"]) == (400, "invalid")
    assert not RaiseRequest.objects.exists()


def test_where_two_people_are_wanted_a_key_is_none(
    lead: Service, finance: Service, budget: str
):
    said = finance._client.put(
        "/api/v1/budget-policy",
        {"two_approvals_above": "120"},
        content_type="application/json",
    )
    assert said.json() == {"two_approvals_above": "120"}
    assert lead.get("budget-policy").json() == {"two_approvals_above": "120"}
    asked = ask(lead, budget).json()
    assert asked["approvals_needed"] == 2

    assert decide(finance, asked, "approve").status_code == 409
    assert decide(finance, asked, "approve", amount="120").json()["state"] == "approved"


def test_a_policy_is_for_keys_of_the_organization(lead: Service, cast: Cast):
    bound = Service(issue(cast.acme, team=cast.search)[1])

    reply = bound._client.put(
        "/api/v1/budget-policy",
        {"two_approvals_above": None},
        content_type="application/json",
    )

    assert (reply.status_code, reply.json()["code"]) == (403, "organization_key_needed")
    assert lead.get("budget-policy").json() == {"two_approvals_above": None}


def test_revisions_say_who_when_and_why(finance: Service, budget: str):
    finance.patch(f"budgets/{budget}", {"amount": "120", "reason": "Growth."})

    after, before = finance.get(f"budgets/{budget}/revisions").json()["data"]

    assert (after["revision"], after["amount"], after["reason"]) == (2, "120", "Growth.")
    assert (before["revision"], before["amount"], before["reason"]) == (1, "100", "")
    assert after["changed_by"].startswith("test (purser_")


def test_a_change_of_terms_keeps_a_temporary_raise(
    lead: Service, finance: Service, budget: str
):
    until = (timezone.now() + timedelta(days=2)).isoformat()
    decide(finance, ask(lead, budget, until=until).json(), "approve")

    finance.patch(f"budgets/{budget}", {"hard": True})
    assert shown(lead, budget)[:2] == ("100", "150")
    finance.patch(f"budgets/{budget}", {"amount": "160"})
    assert shown(lead, budget) == ("160", "160", None)


# --- Preview ------------------------------------------------------------------------


@pytest.fixture
def yesterday(cast: Cast) -> str:
    """Two records, 0.0084, the day before today; that day."""
    at = timezone.now() - timedelta(days=1)
    service = Service(issue(cast.acme)[1])
    service.post("usage", body(*(record(occurred_at=at.isoformat()) for _ in range(2))))
    post.count(team_id=cast.search.pk, now=timezone.now())
    return str(at.astimezone(cast.acme.reporting_zones.get().zone).date())


def test_a_preview_of_a_new_budget(finance: Service, yesterday: str):
    terms = {"amount": "0.0084", "team": "search", "period": "day", "thresholds": [60]}

    preview = finance.post("budgets/preview", json.dumps(terms)).json()

    before = preview["before"]
    assert [one["spent"] for one in before] == ["0", "0", "0.0084"]
    assert before[-1]["period_start"] == yesterday
    assert before[-1]["alerts"] == [{"threshold": 60, "day": yesterday}]
    assert before[-1]["over_on"] == yesterday
    assert (preview["running"]["spent"], preview["percent"]) == ("0", "0")
    assert "would have alerted on" in preview["summary"]
    assert not Budget.objects.exists()


def test_a_preview_of_a_cap_above_the_raise_there_is(finance: Service):
    made = finance.post("budgets", json.dumps({"amount": "100"})).json()["id"]
    now = timezone.now()
    until = now + timedelta(days=9)
    budgets.amend(
        budget=Budget.objects.get(pk=made),
        changes={"raised_to": Decimal(200), "raised_until": until},
        by="tests",
        now=now,
    )

    caps = [
        finance.post(
            "budgets/preview", json.dumps({"budget": made, "amount": amount})
        ).json()["cap"]
        for amount in ("150", "500")
    ]

    assert caps == ["200", "500"]


@pytest.mark.parametrize("day", ["2020-01-01", "today"])
def test_a_preview_refuses_what_saving_refuses(
    finance: Service, budget: str, cast: Cast, day: str
):
    today = ReportingDays(cast.acme).day(timezone.now()).isoformat()
    expires_on = today if day == "today" else day
    new = {"amount": "100", "team": "search", "expires_on": expires_on}
    other = {"budget": budget, "expires_on": expires_on}

    previews = [
        finance.post("budgets/preview", json.dumps(asked)) for asked in (new, other)
    ]
    saved = [
        finance.post("budgets", json.dumps(new)),
        finance.patch(f"budgets/{budget}", {"expires_on": expires_on}),
    ]

    for preview, save in zip(previews, saved, strict=True):
        assert (preview.status_code == 200) == (save.status_code < 300)
    assert previews[0].status_code == 400
    assert previews[0].json()["detail"] == saved[0].json()["detail"]


def test_a_preview_of_other_terms(finance: Service, cast: Cast):
    budget = finance.post(
        "budgets", json.dumps({"amount": "0.0126", "team": "search"})
    ).json()["id"]  # three records
    now = timezone.now().isoformat()
    Service(issue(cast.acme)[1]).post(
        "usage", body(*(record(occurred_at=now) for _ in range(2)))
    )
    post.count(team_id=cast.search.pk, now=timezone.now())

    preview = finance.post(
        "budgets/preview", json.dumps({"budget": budget, "amount": "0.0105"})
    ).json()  # 80 %

    assert (preview["said"], preview["due"]) == ([50], [80])
    assert preview["percent"] == "80"
    percent = "\N{NARROW NO-BREAK SPACE}%"
    assert preview["outlook"] == (
        f"This month is already at 80{percent}: 50{percent} will not alert again, "
        f"80{percent} will alert at once."
    )
    assert Budget.objects.get().revision == 1


WRITTEN = ["1_000", " 200", "2e3", "٢٠٠", "+200", "200.", True, [200]]


@pytest.mark.parametrize("amount", WRITTEN)
def test_an_amount_is_written_plainly(
    lead: Service, finance: Service, budget: str, amount: Any
):
    asked = ask(lead, budget).json()
    refused = [
        finance.post("budgets", json.dumps({"amount": amount, "team": "search"})),
        finance.patch(f"budgets/{budget}", {"amount": amount}),
        ask(lead, budget, amount=amount),
        decide(finance, asked, "approve", amount=amount),
        finance.post("velocity-rules", json.dumps({"amount": amount, "team": "search"})),
    ]

    sentence = b"Expected an amount such as"
    assert [one.status_code for one in refused] == [400] * len(refused)
    assert all(sentence in one.content for one in refused)


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        [],
        {"amount": "x"},
        {"amount": "5", "period": "custom"},
        {"amount": "5", "team": "nowhere"},
        {"budget": "x"},
        {"budget": None},
        {"budget": "999999999999999999"},
    ],
)
def test_a_preview_of_nonsense_is_refused(finance: Service, wrong: Any):
    assert finance.post("budgets/preview", json.dumps(wrong)).status_code in (400, 404)
