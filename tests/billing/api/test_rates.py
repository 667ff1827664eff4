"""GET /rates and /rates/timeline: what costs what, for every key and every person."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from teams.actions import memberships
from teams.models import Role
from tests.billing.rates.conftest import ROOT, contract, published, terms
from tests.conftest import NOW, Cast, Service, issue

__all__ = ["contract"]

pytestmark = pytest.mark.usefixtures("as_app")

LATER = NOW + timedelta(days=400)


def rates(service: Any, **query: str) -> list[dict[str, Any]]:
    response = service.get("rates", provider="anthropic", **query)
    assert response.status_code == 200, response.content
    return response.json()["data"]


def plain(found: list[dict[str, Any]]) -> dict[str, Any]:
    (rate,) = [
        one
        for one in found
        if (one["processing"], one["speed"], one["geo"], one["context_tier"])
        == ("standard", "standard", "global", 0)
    ]
    return rate


def opus(service: Any, **query: str) -> dict[str, Any]:
    return plain(rates(service, model="claude-opus-5-5", **query))


def test_a_rate_says_price_unit_start_and_source(alice: Service):
    rate = opus(alice)

    assert rate["prices"]["input"] == {"price": "4", "per": 1_000_000}
    assert rate["prices"]["web_search"] == {"price": "10", "per": 1_000}
    assert (rate["provider"], rate["currency"], rate["kind"]) == (
        "anthropic",
        "USD",
        "list",
    )
    assert rate["card"] == "Anthropic list prices"
    assert (rate["stop"], rate["until"]) == (False, None)
    assert rate["source"].startswith("genai-prices")
    assert rate["observed_on"] == "2026-11-22"
    assert rate["publication"].isdigit()


def test_the_list_is_of_the_moment_asked_for(alice: Service):
    """Sonnet 5.5's cache reads cost half from 7 October on, which began in UTC."""
    sonnet = {"model": "claude-sonnet-5-5"}

    before = plain(rates(alice, at="2026-10-06T23:59:59Z", **sonnet))
    day = plain(rates(alice, at="2026-10-07", **sonnet))
    same = plain(rates(alice, at="2026-10-07T02:00:00+02:00", **sonnet))

    assert before["prices"]["cache_read"]["price"] == "0.2"
    assert day["prices"]["cache_read"]["price"] == "0.1"
    assert day == same
    assert before["until"] == day["effective_from"] == "2026-10-07T00:00:00Z"


def test_every_context_tier_in_force_has_a_row(alice: Service):
    found = rates(alice, model="claude-haiku-5-5")

    standard = [one for one in found if one["processing"] == "standard"]
    assert {
        one["context_tier"]: one["prices"]["input"]["price"]
        for one in standard
        if one["geo"] == "global"
    } == {0: "0.1", 100_000: "0.5"}


def test_a_contract_stands_before_the_list_for_its_organization_alone(
    alice: Service, charlie: Service, contract
):
    published(
        terms(NOW - timedelta(days=1), prices={"input": "3"}),
        terms(LATER, prices={}),
        card=contract,
    )

    rate = opus(alice)
    assert (rate["card"], rate["kind"]) == ("Acme contract", "contract")
    assert (rate["prices"], rate["until"]) == (
        {"input": {"price": "3", "per": 1_000_000}},
        LATER.isoformat().replace("+00:00", "Z"),
    )
    assert opus(charlie)["prices"]["input"]["price"] == "4"
    assert opus(alice, at=LATER.isoformat())["kind"] == "list"


def test_a_contract_without_a_tier_prices_large_calls_too(alice: Service, contract):
    """As the engine does: the list's tier is not what they cost."""
    stated = terms(NOW - timedelta(days=1), name="claude-haiku-5-5", prices={"input": "3"})
    published(stated, card=contract)

    found = rates(alice, model="claude-haiku-5-5")

    standard = [one for one in found if one["processing"] == "standard"]
    tiers = [one["context_tier"] for one in standard if one["geo"] == "global"]
    assert tiers == [0]


def test_any_key_may_read_and_nobody_without(cast: Cast, client: Client):
    key = Service(issue(cast.acme, scopes=["usage:write"])[1])

    assert opus(key)["prices"]["input"]["price"] == "4"
    response = client.get("/api/v1/rates")
    assert response.status_code == 401
    assert response["www-authenticate"].startswith("Bearer")


def test_a_signed_in_person_may_read_with_their_session(cast: Cast, client: Client):
    vera = User.objects.create_user("vera")
    memberships.grant(
        user=vera, organization=cast.acme, role=Role.VIEWER, team=cast.search, **ROOT
    )
    client.force_login(vera)

    response = client.get(
        "/api/v1/rates", {"provider": "anthropic", "model": "claude-opus-5-5"}
    )

    assert response.status_code == 200
    assert plain(response.json()["data"])["prices"]["output"]["price"] == "20"


def test_who_is_in_several_organizations_names_one(cast: Cast, client: Client):
    client.force_login(User.objects.create_superuser("root"))

    several = client.get("/api/v1/rates")
    assert (several.status_code, several.json()["code"]) == (400, "organization_needed")
    assert client.get("/api/v1/rates", {"organization": "acme"}).status_code == 200
    assert client.get("/api/v1/rates", {"organization": "none"}).status_code == 404


@pytest.mark.parametrize(
    "at", ["yesterday", "2026-11-22T10:00:00", "2026-13-01", "1999-01-01", "9999-12-31"]
)
def test_a_moment_that_cannot_be_read_is_refused(alice: Service, at: str):
    response = alice.get("rates", at=at)

    assert response.status_code == 400
    assert response.json()["errors"][0]["parameter"] == "at"


# --- The timeline ------------------------------------------------------------------------


def line(service: Any, kind: str = "list") -> list[dict[str, Any]]:
    response = service.get("rates/timeline", model="claude-opus-5-5")
    assert response.status_code == 200
    (found,) = [
        one
        for one in response.json()["data"]
        if one["kind"] == kind and not one["conditions"]
    ]
    return found["rates"]


def test_past_current_and_coming_rates_stand_on_a_line(alice: Service):
    start = NOW - timedelta(days=1)
    published(terms(start, prices={"input": "5"}))
    published(terms(start, prices={"input": "6"}))
    published(terms(LATER, prices={}))

    found = line(alice)

    assert [(one["place"], one["stop"]) for one in found] == [
        ("coming", True),
        ("in force", False),
        ("replaced", False),
        ("past", False),
    ]
    inputs = [one["prices"].get("input", {}).get("price") for one in found]
    assert inputs == [None, "6", "5", "4"]
    assert [one["published_by"] for one in found] == ["root", "root", "root", "tests"]
    assert found[1]["until"] == found[0]["effective_from"]


def test_a_line_shows_no_contract_of_others(alice: Service, charlie: Service, contract):
    published(terms(datetime(2026, 1, 1, tzinfo=UTC)), card=contract)

    assert len(line(alice, "contract")) == 1
    of_others = charlie.get("rates/timeline", model="claude-opus-5-5").json()["data"]
    assert {one["kind"] for one in of_others} == {"list"}


def test_a_model_is_found_by_an_alias_and_an_unknown_one_is_not(alice: Service):
    by_alias = alice.get("rates/timeline", model="claude-haiku-4-5-20251001")

    assert by_alias.json()["model"] == "claude-haiku-4-5"
    assert alice.get("rates/timeline", model="claude-x").status_code == 404
    assert alice.get("rates/timeline").status_code == 400
