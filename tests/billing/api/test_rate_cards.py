"""/rate-cards: the whole life of a draft over the API, and who may lead it."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from billing.actions import proposals
from billing.models import Publication, RateCard
from teams.actions import memberships
from teams.models import AuditEvent, Role
from tests.billing.rates.conftest import (
    ROOT,
    contract,
    draft,
    listed,
    published,
    send,
    terms,
)
from tests.billing.rates.test_proposals import stated
from tests.builders import record
from tests.conftest import NOW, Cast, Service, issue

__all__ = ["contract", "send"]

pytestmark = pytest.mark.usefixtures("as_app")

# The API's clock is the real one.
FUTURE = "2190-01-01T00:00:00Z"
RATE = {
    "model": "claude-opus-5-5",
    "effective_from": FUTURE,
    "prices": {"input": "3", "output": "15.5"},
    "source": "Order form 7",
}


@pytest.fixture
def finance(cast: Cast) -> Service:
    """A key of the whole organization, with all scopes."""
    return Service(issue(cast.acme)[1])


def post(service: Service, path: str, body: Any = None) -> Any:
    return service.post(path, body if body is not None else {})


def made(service: Service, path: str, body: Any = None, status: int = 201) -> Any:
    response = post(service, path, body)
    assert response.status_code == status, response.content
    return response.json() if response.content else None


def started(service: Service, card: RateCard) -> str:
    publications = f"rate-cards/{card.pk}/publications"
    return f"{publications}/{made(service, publications, {'note': 'Why'})['id']}"


def test_a_contract_lives_from_draft_to_withdrawal(finance: Service, cast: Cast):
    card = made(finance, "rate-cards", {"provider": "anthropic", "name": "Deal"})
    assert (card["kind"], card["organization"], card["editable"]) == (
        "contract",
        "acme",
        True,
    )
    path = started(finance, RateCard.objects.get(pk=card["id"]))

    rate = made(finance, f"{path}/rates", RATE)
    assert rate["prices"]["output"] == {"price": "15.5", "per": 1_000_000}

    (change,) = finance.get(f"{path}/diff").json()["data"]
    shown = {one["token_class"]: one for one in change["prices"]}
    assert shown["output"] == {
        "token_class": "output",
        "per": 1_000_000,
        "old": "20",
        "new": "15.5",
        "difference": "-4.5",
        "percent": "-22.5",
        "change": "lowered",
    }
    assert change["change"] == "lowered"

    published = made(finance, f"{path}/publish", status=200)
    assert (published["state"], published["first_start"]) == ("published", FUTURE)
    assert published["published_by"].startswith("test (")
    again = post(finance, f"{path}/publish")
    assert (again.status_code, again.json()["code"]) == (400, "rate_card_refused")

    withdrawn = made(finance, f"{path}/withdraw", {"reason": "Off"}, status=200)
    assert withdrawn["state"] == "withdrawn"
    assert AuditEvent.objects.get(action="rate_card.withdraw").reason == "Off"


def test_the_impact_is_shown_with_exact_figures(
    finance: Service, cast: Cast, contract, send
):
    at = NOW - timedelta(hours=3)
    send(record(occurred_at=at.isoformat()))
    path = started(finance, contract)
    made(finance, f"{path}/rates", {**RATE, "prices": {"input": "2", "output": "10"}})

    found = finance.get(f"{path}/impact").json()

    assert found["throughout"] is True
    (of_acme,) = found["data"]
    assert of_acme["organization"] == "acme"
    assert of_acme["difference"] == "-0.0021"
    (month,) = of_acme["months"]
    assert (month["team"], month["before"], month["after"], month["percent"]) == (
        "search",
        "0.0042",
        "0.0021",
        "-50",
    )
    dated = finance.get(f"{path}/impact", throughout="false").json()
    assert dated["data"][0]["difference"] == "0"


def test_a_contract_is_filled_from_the_list(finance: Service, contract):
    path = started(finance, contract)

    filled = made(
        finance,
        f"{path}/fill",
        {"percent": "90", "models": {"claude-opus-5-5": "75"}, "source": "Form 7"},
        status=200,
    )

    prices = {
        rate["model"]: rate["prices"]["input"]["price"]
        for rate in filled["rates"]
        if (rate["processing"], rate["speed"], rate["geo"], rate["context_tier"])
        == ("standard", "standard", "global", 0)
    }
    assert (prices["claude-opus-5-5"], prices["claude-sonnet-5-5"]) == ("3", "1.8")
    assert filled["rate_count"] == len(filled["rates"]) > 50


def test_rates_are_copied_changed_and_taken_off(finance: Service, contract):
    published(terms(NOW - timedelta(days=2)), card=contract)
    path = started(finance, contract)

    body = {"models": ["claude-opus-5-5"], "at": FUTURE}
    (copied,) = made(finance, f"{path}/copy", body, status=200)["rates"]
    assert copied["effective_from"] == FUTURE
    made(finance, f"{path}/rates", RATE)
    (rate,) = finance.get(path).json()["rates"]
    assert rate["prices"]["input"]["price"] == "3"

    assert finance.delete(f"{path}/rates/{rate['id']}").status_code == 204
    assert finance.get(path).json()["rates"] == []
    assert finance.delete(f"{path}/rates/{rate['id']}").status_code == 404
    assert finance.patch(path, {"note": "Because"}).json()["note"] == "Because"
    assert finance.delete(path).status_code == 204
    assert finance.get(path).status_code == 404


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"prices": {"input": "0.000003"}}, "rate_card_refused"),
        ({"prices": {}}, "rate_card_refused"),
        ({"stop": True}, "rate_card_refused"),
        ({"model": "claude-x"}, "unknown_model"),
        ({"prices": {"tokens": "1"}}, "invalid"),
        ({"prices": {"input": "-1"}}, "invalid"),
        ({"prices": {"input": "NaN"}}, "invalid"),
        ({"effective_from": "2190-01-01T00:00:00"}, "invalid"),
        ({"source": None}, "invalid"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    finance: Service, contract, changes: dict[str, Any], code: str
):
    path = started(finance, contract)

    response = post(finance, f"{path}/rates", {**RATE, **changes})

    assert (response.status_code, response.json()["code"]) == (400, code)


def test_a_confirmed_price_is_taken(finance: Service, contract):
    path = started(finance, contract)

    free = {"prices": {"input": "0.000003"}, "confirmation": "It is nearly free."}
    made(finance, f"{path}/rates", {**RATE, **free})
    made(finance, f"{path}/publish", status=200)


# --- Who may --------------------------------------------------------------------------


def test_no_key_changes_list_prices_or_sees_their_drafts(finance: Service):
    card = listed()
    hidden = draft(terms(NOW))
    publications = f"rate-cards/{card.pk}/publications"

    assert post(finance, publications).status_code == 403
    assert finance.get(f"{publications}/{hidden.pk}").status_code == 404
    assert finance.get(f"{publications}/{hidden.pk}/impact").status_code == 404
    states = {one["state"] for one in finance.get(publications).json()["data"]}
    assert states == {"published"}
    first = card.publications.get(state="published")
    assert post(finance, f"{publications}/{first.pk}/withdraw").status_code == 403
    cards = finance.get("rate-cards").json()["data"]
    assert {(one["kind"], one["editable"]) for one in cards} == {("list", False)}


@pytest.mark.parametrize("bound", ["team", "project", "scope", "other"])
def test_a_contract_is_edited_by_keys_of_the_whole_organization_alone(
    cast: Cast, contract, bound: str
):
    organization, said = cast.acme, {}
    if bound == "team":
        said = {"team": cast.search}
    elif bound == "project":
        said = {"project": cast.answers}
    elif bound == "scope":
        said = {"scopes": ["prices:read"]}
    else:
        organization = cast.outsiders
    service = Service(issue(organization, **said)[1])

    response = post(service, f"rate-cards/{contract.pk}/publications")

    assert response.status_code == (404 if bound == "other" else 403)
    assert not Publication.objects.filter(card=contract).exists()


def as_person(user: User) -> Service:
    service = Service("")
    service._client = Client()
    service._client.force_login(user)
    return service


def test_who_runs_the_installation_publishes_list_prices(cast: Cast):
    root = as_person(User.objects.create_superuser("root"))
    path = started(root, listed())
    made(root, f"{path}/rates", RATE)

    assert made(root, f"{path}/publish", status=200)["published_by"] == "root"


def test_an_admin_edits_the_contract_of_their_organization_and_no_list(
    cast: Cast, contract
):
    people = {}
    for name, role, organization in (
        ("ada", Role.ADMIN, cast.acme),
        ("finn", Role.FINANCE, cast.acme),
        ("olga", Role.ADMIN, cast.outsiders),
    ):
        user = User.objects.create_user(name)
        memberships.grant(user=user, organization=organization, role=role, **ROOT)
        people[name] = as_person(user)
    publications = f"rate-cards/{contract.pk}/publications"

    assert post(people["ada"], publications).status_code == 201
    assert post(people["finn"], publications).status_code == 403
    assert post(people["olga"], publications).status_code == 404
    of_list = f"rate-cards/{listed().pk}/publications"
    assert post(people["ada"], of_list).status_code == 403


def test_a_session_alone_changes_nothing_from_another_site(cast: Cast):
    client = Client(enforce_csrf_checks=True)
    client.force_login(User.objects.create_superuser("root"))

    response = client.post(
        f"/api/v1/rate-cards/{listed().pk}/publications",
        {"note": ""},
        content_type="application/json",
    )

    assert response.status_code == 403


# --- Proposals ------------------------------------------------------------------------


def test_proposals_are_read_by_all_and_decided_by_who_may_publish(
    cast: Cast, finance: Service
):
    proposals.compare(card=listed(), rates=stated(), now=NOW)
    root = as_person(User.objects.create_superuser("root"))
    path = f"rate-cards/{listed().pk}/proposals"

    (one,) = finance.get(path).json()["data"]
    assert one["prices"] == {"input": {"price": "5", "per": 1_000_000}}
    named = {"proposals": [int(one["id"])]}
    assert post(finance, f"{path}/accept", named).status_code == 403

    accepted = made(root, f"{path}/accept", named, status=200)
    publication = Publication.objects.get(pk=accepted["publication"])
    assert (publication.state, publication.rates.count()) == ("draft", 1)
    assert finance.get(path).json()["data"] == []
    assert finance.get(path, state="accepted").json()["data"][0]["decided_by"] == "root"


def test_a_proposal_is_dismissed_with_a_reason(cast: Cast):
    proposals.compare(card=listed(), rates=stated(), now=NOW)
    root = as_person(User.objects.create_superuser("root"))
    path = f"rate-cards/{listed().pk}/proposals"
    named = {"proposals": [listed().proposals.get().pk]}

    assert post(root, f"{path}/dismiss", named).status_code == 400
    assert (
        post(root, f"{path}/dismiss", {"proposals": [10**9], "reason": "x"}).status_code
        == 404
    )
    made(root, f"{path}/dismiss", {**named, "reason": "Not ours."}, status=204)
