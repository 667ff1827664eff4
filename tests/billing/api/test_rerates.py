"""Re-rates over HTTP: a dry run by default, then start and reversal."""

import pytest

from billing.models import Rerate
from billing.reports import verification
from tests.billing.test_rerates import publish
from tests.builders import body, record
from tests.conftest import Cast, Service, issue

SCOPE = {"from": "2026-11-01", "to": "2026-12-01", "reason": "list price"}


@pytest.fixture
def finance(cast: Cast) -> Service:
    return Service(issue(cast.acme)[1])


@pytest.fixture
def dearer(finance: Service) -> None:
    """A record of 0.0042, whose model is 0.0082 now."""
    finance.post("usage", body(record()), headers={"prefer": "wait=5"})
    publish()


def ask(service: Service, path: str = "rerates", **content) -> tuple[int, dict]:
    reply = service._client.post(f"/api/v1/{path}", content, "application/json")
    return reply.status_code, reply.json()


def test_it_is_a_dry_run_until_it_is_started(finance: Service, dearer):
    status, planned = ask(finance, **SCOPE)

    assert (status, planned["state"], planned["executed"]) == (201, "ready", [])
    [total] = [one for one in planned["dry_run"] if one["records"]]
    assert total == {
        "team": "search",
        "finished": True,
        "records": 1,
        "changed": 1,
        "kept": 0,
        "before": "0.0042",
        "after": "0.0082",
        "difference": "0.004",
    }
    assert finance.get("reports/spend").json()["total"]["cost"] == "0.0042"


def test_started_it_charges_and_reversed_it_charges_back(finance: Service, dearer):
    _, planned = ask(finance, **SCOPE)

    status, done = ask(finance, f"rerates/{planned['id']}/start")
    assert (status, done["state"]) == (200, "done")
    assert finance.get("reports/spend").json()["total"]["cost"] == "0.0082"
    status, reversal = ask(finance, f"rerates/{done['id']}/reverse", reason="mistake")

    assert (status, reversal["state"], reversal["reverses"]) == (201, "done", done["id"])
    assert finance.get("reports/spend").json()["total"]["cost"] == "0.0042"
    first = finance.get(f"rerates/{done['id']}").json()
    assert (first["state"], first["reversed_by"]) == ("reversed", reversal["id"])
    listed = finance.get("rerates").json()["data"]
    assert [one["id"] for one in listed] == [reversal["id"], first["id"]]
    assert [check for check in verification.checks() if not check.ok] == []


def test_a_record_shows_the_charges_in_force(finance: Service, dearer):
    _, planned = ask(finance, **SCOPE)
    ask(finance, f"rerates/{planned['id']}/start")
    record_id = record()["id"]
    number = int(record_id.removeprefix("msg_")) - 1

    shown = finance.get(f"usage/msg_{number:06}", project="answers").json()

    assert (shown["state"], shown["cost"]) == ("priced", "0.0082")
    assert [charge["cost"] for charge in shown["charges"]] == ["0.0082"]


def test_what_cannot_be_is_said(finance: Service, dearer):
    _, planned = ask(finance, **SCOPE)
    ask(finance, f"rerates/{planned['id']}/start")

    again = ask(finance, f"rerates/{planned['id']}/start")
    backwards = ask(finance, **SCOPE | {"to": "2026-10-01"})
    nobody = ask(finance, **SCOPE, teams=["elsewhere"])
    nothing = ask(finance, **SCOPE, models=["claude-opus-99"])

    assert (again[0], again[1]["code"]) == (409, "not_possible")
    assert "is done" in again[1]["detail"]
    assert (backwards[0], backwards[1]["code"]) == (409, "not_possible")
    assert (nobody[0], nothing[0], nothing[1]["code"]) == (404, 400, "unknown_model")
    assert Rerate.objects.count() == 1


def test_it_can_be_narrowed(finance: Service, dearer):
    _, planned = ask(finance, **SCOPE, teams=["support"], models=["claude-opus-5-5"])

    assert (planned["teams"], planned["models"]) == (["support"], ["claude-opus-5-5"])
    assert [one["team"] for one in planned["dry_run"]] == ["support"]


def test_only_a_key_of_the_organization_may(
    finance: Service, alice: Service, bob: Service, charlie: Service, dearer
):
    _, planned = ask(finance, **SCOPE)

    for service in (alice, bob):
        status, refusal = ask(service, **SCOPE)
        assert (status, refusal["code"]) == (403, "organization_key_needed")
        assert service.get("rerates").json()["data"] == []
        assert service.get(f"rerates/{planned['id']}").status_code == 404
    assert charlie.get(f"rerates/{planned['id']}").status_code == 404
    assert ask(charlie, f"rerates/{planned['id']}/start")[0] == 404


def test_it_needs_its_scope(cast: Cast, dearer):
    reader = Service(issue(cast.acme, scopes=["reports:read", "budgets:write"])[1])

    status, refusal = ask(reader, **SCOPE)

    assert (status, refusal["code"]) == (403, "missing_scope")
