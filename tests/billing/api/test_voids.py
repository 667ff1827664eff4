"""POST /usage/{id}/void, `corrects`, and what both and closed months look like."""

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from billing.actions import post
from teams.models import Team
from teams.models.api_keys import Scope
from tests.builders import COST, body, record
from tests.conftest import NOW, Cast, Service, as_owner, issue

pytestmark = pytest.mark.usefixtures("as_app")


def void(service: Service, record_id: str, reason: Any = "posted twice", **query: str):
    text = "&".join(f"{name}={value}" for name, value in query.items())
    return service.post(f"usage/{record_id}/void?{text}", {"reason": reason})


def count(cast: Cast) -> None:
    while post.count(team_id=cast.search.pk, now=NOW):
        pass


# --- Void ---------------------------------------------------------------------------


def test_a_record_is_taken_back(alice: Service, cast: Cast):
    alice.post("usage", body(record(id="msg_1")))
    count(cast)

    response = void(alice, "msg_1")

    assert response.status_code == 200
    reply = response.json()
    assert (reply["id"], reply["state"], reply["cost"]) == ("msg_1", "void", None)
    assert reply["detail"] == "posted twice"
    assert reply["void"]["reason"] == "posted twice"
    assert reply["void"]["by"].startswith("test (purser_")
    assert (reply["corrects"], reply["corrected_by"]) == (None, None)

    count(cast)

    shown = alice.get("usage/msg_1").json()
    assert shown["charges"] == []
    assert [(one["revision"], one["leg"], one["cost"]) for one in shown["history"]] == [
        (0, 0, COST),
        (1, -1, f"-{COST}"),
    ]
    assert {one["adjustment"] for one in shown["history"]} == {False}
    assert {one["day"] for one in shown["history"]} == {"2026-11-20"}
    report = alice.get("reports/spend", **{"from": "2026-11-01", "to": "2026-12-01"}).json()
    assert (report["total"]["cost"], report["total"]["requests"]) == ("0", 0)


def test_the_second_time_answers_the_same(alice: Service, cast: Cast):
    alice.post("usage", body(record(id="msg_1")))
    first = void(alice, "msg_1", "one reason").json()
    count(cast)

    second = void(alice, "msg_1", "another reason")

    assert second.status_code == 200
    assert (second.json()["state"], second.json()["void"]) == ("void", first["void"])
    assert post.batches_waiting() == {}


def test_a_record_that_waits_is_void_at_once(alice: Service):
    alice.post("usage", body(record(id="msg_1")))

    void(alice, "msg_1")

    shown = alice.get("usage/msg_1").json()
    assert (shown["state"], shown["charges"], shown["history"]) == ("void", [], [])


@pytest.mark.parametrize("content", [{}, {"reason": ""}, {"reason": "x" * 1001}])
def test_a_reason_is_needed(alice: Service, content: dict):
    alice.post("usage", body(record(id="msg_1")))

    response = alice.post("usage/msg_1/void", content)

    assert (response.status_code, response.json()["code"]) == (400, "invalid")
    assert alice.get("usage/msg_1").json()["state"] == "pending"


def test_it_needs_the_right_to_write(cast: Cast):
    reader = Service(issue(cast.acme, project=cast.answers, scopes=[Scope.USAGE_READ])[1])

    assert void(reader, "msg_1").json()["code"] == "missing_scope"


def test_what_is_not_there_is_not_found(alice: Service):
    assert void(alice, "msg_nowhere").status_code == 404


@pytest.mark.parametrize("query", [{}, {"project": "answers"}])
def test_another_teams_record_is_not_found(alice: Service, bob: Service, query: dict):
    alice.post("usage", body(record(id="msg_1")))

    assert void(bob, "msg_1", **query).status_code == 404
    assert alice.get("usage/msg_1").json()["state"] == "pending"


def test_another_organizations_record_is_not_found(alice: Service, charlie: Service):
    alice.post("usage", body(record(id="msg_1")))

    assert void(charlie, "msg_1", project="answers").status_code == 404


def test_the_project_is_asked_for_where_the_key_covers_several(alice, cast: Cast):
    alice.post("usage", body(record(id="msg_1")))
    finance = Service(issue(cast.acme)[1])

    assert void(finance, "msg_1").json()["code"] == "project_needed"
    assert void(finance, "msg_1", project="answers").json()["state"] == "void"


def test_of_an_id_in_two_months_the_latest_or_the_one_named(alice: Service):
    twice = [record(id="msg_1", occurred_at=f"2026-{m}-20T10:00:00Z") for m in (10, 11)]
    alice.post("usage", body(*twice))

    assert void(alice, "msg_1").json()["occurred_at"].startswith("2026-11")
    assert alice.get("usage/msg_1", month="2026-10").json()["state"] == "pending"
    assert void(alice, "msg_1", month="2026-10").json()["state"] == "void"
    assert void(alice, "msg_1", month="2026-09").status_code == 404
    assert void(alice, "msg_1", month="October").json()["code"] == "invalid"


def test_an_id_may_end_like_the_address(alice: Service):
    alice.post("usage", body(record(id="msg_1/void")))

    assert alice.get("usage/msg_1/void").json()["id"] == "msg_1/void"
    assert void(alice, "msg_1/void").json()["state"] == "void"


# --- Corrections --------------------------------------------------------------------


def test_a_correction_is_shown_from_both_sides(alice: Service, cast: Cast):
    alice.post("usage", body(record(id="msg_1")))
    response = alice.post("usage", body(record(id="msg_2", corrects="msg_1")))
    count(cast)

    assert response.status_code == 202
    old, new = (alice.get(f"usage/{one}").json() for one in ("msg_1", "msg_2"))
    assert (old["state"], old["corrected_by"], old["corrects"]) == ("void", "msg_2", None)
    assert old["void"]["reason"] == "Corrected"
    assert (new["state"], new["corrected_by"], new["corrects"]) == ("priced", None, "msg_1")
    assert new["cost"] == COST


def test_prefer_wait_says_the_price_of_a_correction(alice: Service):
    records = body(record(id="msg_1"), record(id="msg_2", corrects="msg_1"))

    response = alice.post("usage", records, headers={"prefer": "wait=5"})

    found = [(one["id"], one["state"], one["cost"]) for one in response.json()["results"]]
    assert found == [("msg_1", "void", None), ("msg_2", "priced", COST)]


def test_refused_corrections_say_why(alice: Service):
    alice.post("usage", body(record(id="msg_1"), record(id="msg_2", corrects="msg_1")))
    alice.post("usage", body(record(id="msg_3")))
    void(alice, "msg_3")

    response = alice.post(
        "usage",
        body(
            record(id="msg_4", corrects="msg_1"),
            record(id="msg_5", corrects="msg_3"),
            record(id="msg_6", corrects="msg_nowhere"),
            record(id="msg_7", corrects="msg_7"),
        ),
    )

    assert response.status_code == 422
    results = response.json()["results"]
    assert [(one["status"], one["code"]) for one in results] == [
        ("conflict", "already_corrected"),
        ("conflict", "already_void"),
        ("rejected", "unknown_record"),
        ("rejected", "corrects_itself"),
    ]
    assert {one["pointer"] for one in results} == {"/corrects"}


# --- Closed months ------------------------------------------------------------------


def test_a_late_record_shows_on_which_day_it_counts(alice: Service, cast: Cast):
    with as_owner():
        Team.objects.update(created_at="2026-01-15T00:00:00Z")
    alice.post("usage", body(record(id="msg_1", occurred_at="2026-10-30T10:00:00Z")))
    alice.post("usage", body(record(id="msg_2")))
    count(cast)

    (late,) = alice.get("usage/msg_1").json()["charges"]
    (timely,) = alice.get("usage/msg_2").json()["charges"]
    report = alice.get("reports/spend", **{"from": "2026-11-01", "to": "2026-12-01"}).json()

    assert (late["day"], late["adjustment"]) == ("2026-11-22", True)
    assert (timely["day"], timely["adjustment"]) == ("2026-11-20", False)
    assert (report["total"]["cost"], report["total"]["adjustment"]) == ("0.0084", COST)
    assert [row["adjustment"] for row in report["rows"]] == [COST]


def test_a_report_says_which_month_is_open(alice: Service):
    report = alice.get("reports/spend").json()

    as_of = datetime.fromisoformat(report["as_of"]).astimezone(ZoneInfo("Europe/Berlin"))
    first = (as_of.date() - timedelta(days=3)).replace(day=1)
    next_month = (first + timedelta(days=31)).replace(day=1)
    assert report["open_months"] == {
        "first": f"{first}",
        "until": f"{next_month + timedelta(days=3)}",
    }
