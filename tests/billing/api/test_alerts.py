"""Alerts over the API: what a key sees, finds, and does with them."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
import yaml
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from billing.actions import alerts, budgets, channels, deliveries
from billing.actions.alerts import Occasion
from billing.actions.budgets import Limits, Terms
from billing.models import Alert, Channel, LanguageModel, VelocityRule
from billing.pricing.budget_periods import PeriodKind
from tests.conftest import NOW, Cast, Service, issue
from tests.docs.pages import CHECKOUT

pytestmark = pytest.mark.usefixtures("as_app")


@pytest.fixture
def anna(cast: Cast) -> Service:
    """Bound to the whole organization."""
    return Service(issue(cast.acme)[1])


def fire(cast: Cast, *occasions: Occasion, kind=Alert.Kind.BACKLOG, **more) -> list[int]:
    its = {"organization": cast.acme, "now": timezone.now()} | more
    return alerts.keep(kind=kind, holding=occasions, **its)


def silence(name: str, **bound: Any) -> Occasion:
    details = {"name": name, "last": "2026-11-20T15:00:00+01:00"}
    return Occasion(f"project {name}", "2026-11-20", details=details, **bound)


@pytest.fixture
def fired(cast: Cast) -> dict[str, int]:
    """One each of a project, of teams, of the organization and of another one."""
    kind = Alert.Kind.GONE_SILENT
    made = {
        "answers": silence("answers", project=cast.answers),
        "search": silence("search", team=cast.search),
        "support": silence("support", team=cast.support),
        "acme": silence("acme"),
    }
    fire(cast, *made.values(), kind=kind)
    fire(cast, silence("other"), kind=kind, organization=cast.outsiders)
    subjects = Alert.objects.values_list("details__name", "pk")
    return dict(subjects)


def names(reply: Any) -> set[str]:
    assert reply.status_code == 200, reply.content
    return {one["details"]["name"] for one in reply.json()["data"]}


def test_a_key_sees_the_alerts_of_what_it_covers(
    cast: Cast, fired, anna: Service, alice: Service, bob: Service, charlie: Service
):
    search = Service(issue(cast.acme, team=cast.search)[1])

    assert names(anna.get("alerts")) == {"answers", "search", "support", "acme"}
    assert names(search.get("alerts")) == {"answers", "search"}
    assert names(alice.get("alerts")) == {"answers"}
    assert names(bob.get("alerts")) == {"support"}
    assert names(charlie.get("alerts")) == {"other"}


@pytest.mark.parametrize("kind", Alert.Kind.values)
def test_each_kind_can_be_asked_for(fired, anna: Service, kind: str):
    listed = anna.get("alerts", kind=kind).json()["data"]

    assert {one["kind"] for one in listed} == {kind} & {"gone_silent"}


def test_a_test_is_listed_and_can_be_asked_for(cast: Cast, fired, anna: Service):
    made = {"organization": cast.acme, "by": "tests", "now": NOW}
    kind = Channel.Kind.EMAIL
    channel, _ = channels.create(kind=kind, target="ops@example.com", **made)
    test = channels.send_test(channel=channel, by="tests", now=timezone.now()).alert

    (listed,) = anna.get("alerts", kind="test").json()["data"]
    assert listed == anna.get("alerts").json()["data"][0]
    assert (listed["id"], listed["state"]) == (str(test.pk), "resolved")


def queries(service: Service) -> int:
    with CaptureQueriesContext(connection) as asked:
        shown = service.get("alerts").json()["data"]
    assert "claude-opus-5-5" in shown[0]["sentence"]
    return len(asked)


def test_queries_do_not_grow_with_alerts_of_limited_budgets(cast: Cast, anna: Service):
    opus = LanguageModel.objects.get(provider="anthropic", name="claude-opus-5-5")
    made = {"by": "tests", "now": NOW}
    kind = Channel.Kind.EMAIL
    channels.create(organization=cast.acme, kind=kind, target="a@example.com", **made)
    asked = []
    for number in range(3):
        budget = budgets.create(
            organization=cast.acme,
            limits=Limits(model_ids=(opus.pk,)),
            period=PeriodKind.MONTH,
            terms=Terms(Decimal(1 + number)),
            **made,
        )
        level = Alert.objects.create(
            organization=cast.acme,
            kind=Alert.Kind.CAP_REACHED,
            budget=budget,
            revision=1,
            threshold=100,
            period_start=date(2026, 11, 1),
            spent=5,
            cap=1 + number,
            fired_at=NOW,
        )
        deliveries.address([level.pk], Channel.objects.all(), NOW)
        asked.append(queries(anna))

    assert asked[1] == asked[2]


def test_the_documents_name_each_kind():
    document = yaml.safe_load((CHECKOUT / "docs" / "openapi.yaml").read_text())
    parameters = document["paths"]["/api/v1/alerts"]["get"]["parameters"]
    (kinds,) = [one["schema"]["enum"] for one in parameters if one["name"] == "kind"]
    words = (CHECKOUT / "docs" / "domain.md").read_text().partition("## Alerts\n")[2]

    assert set(kinds) == set(Alert.Kind.values)
    assert [kind for kind in kinds if f"`{kind}`" not in words.partition("\n## ")[0]] == []


def test_and_reaches_no_other(fired, alice: Service, bob: Service, charlie: Service):
    for service, name in ((alice, "search"), (bob, "acme"), (charlie, "support")):
        path = f"alerts/{fired[name]}"
        assert service.get(path).status_code == 404
        for act in ("acknowledge", "unacknowledge", "unsnooze"):
            assert service.post(f"{path}/{act}", {}).status_code == 404
        until = (timezone.now() + timedelta(hours=1)).isoformat()
        snooze = {"until": until, "reason": "Mine."}
        assert service.post(f"{path}/snooze", snooze).status_code == 404
    assert set(Alert.objects.values_list("state", flat=True)) == {"firing"}


def test_one_says_all_that_is_known(fired, alice: Service):
    shown = alice.get(f"alerts/{fired['answers']}").json()

    assert shown["sentence"].startswith("Nothing was heard of answers since Friday 20 Nov")
    assert (shown["kind"], shown["state"]) == ("gone_silent", "firing")
    assert (shown["team"], shown["project"]) == (None, "answers")
    assert (shown["subject"], shown["occurrence"]) == ("project answers", "2026-11-20")
    assert shown["budget"] is None
    assert shown["model"] is None


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"team": "search"}, {"answers", "search"}),
        ({"project": "answers"}, {"answers"}),
        ({"kind": "gone_silent"}, {"answers", "search", "support", "acme"}),
        ({"kind": "anomaly"}, set()),
        ({"state": "firing"}, {"answers", "search"}),
        ({"state": "acknowledged"}, {"support"}),
        ({"state": "snoozed"}, {"acme"}),
        ({"state": "open"}, {"answers", "search", "support", "acme"}),
        ({"state": "resolved"}, set()),
        ({"since": "2030-01-01T00:00:00Z"}, set()),
        ({"since": "2020-01-01T00:00:00+02:00", "project": "answers"}, {"answers"}),
    ],
)
def test_lists_are_narrowed(fired, anna: Service, query, expected):
    anna.post(f"alerts/{fired['support']}/acknowledge", {"note": "On it."})
    until = (timezone.now() + timedelta(days=1)).isoformat()
    anna.post(f"alerts/{fired['acme']}/snooze", {"until": until, "reason": "A test."})

    assert names(anna.get("alerts", **query)) == expected


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"state": "loud"}, 400),
        ({"kind": "weather"}, 400),
        ({"since": "yesterday"}, 400),
        ({"since": "2026-11-20T10:00:00"}, 400),
        ({"cursor": "x"}, 400),
        ({"budget": "-1"}, 400),
        ({"team": "elsewhere"}, 404),
        ({"project": "secret"}, 404),
        ({"team": "\0"}, 404),
        ({"project": "answers\0"}, 404),
        ({"since": "0001-01-01T00:00:00+23:59"}, 400),
        ({"since": "9999-12-31T23:59:59-23:59"}, 400),
    ],
)
def test_what_cannot_be_meant_is_refused(anna: Service, query, status: int):
    assert anna.get("alerts", **query).status_code == status


def test_a_long_list_goes_on_behind_a_cursor(cast: Cast, anna: Service):
    details = {"since": "2026-11-22T12:00:00+00:00"}
    fire(cast, *(Occasion(f"{number:03}", details=details) for number in range(250)))

    first = anna.get("alerts").json()
    second = anna.get("alerts", cursor=first["next_cursor"]).json()

    subjects = [one["subject"] for one in first["data"] + second["data"]]
    assert len(first["data"]) == 200
    assert subjects == [f"{number:03}" for number in reversed(range(250))]
    assert second["next_cursor"] is None


def test_it_is_acknowledged_and_given_back(fired, alice: Service):
    path = f"alerts/{fired['answers']}"

    seen = alice.post(f"{path}/acknowledge", {"note": "On it."}).json()
    back = alice.post(f"{path}/unacknowledge", {}).json()

    assert (seen["state"], back["state"]) == ("acknowledged", "firing")
    assert seen["acknowledged_by"].startswith("test (purser_")
    assert back["acknowledged_by"] is None


def test_it_is_snoozed_and_woken(fired, alice: Service):
    path = f"alerts/{fired['answers']}"
    until = (timezone.now() + timedelta(days=1)).isoformat()

    asleep = alice.post(f"{path}/snooze", {"until": until, "reason": "A load test."}).json()
    awake = alice.post(f"{path}/unsnooze", {}).json()

    assert (asleep["state"], asleep["snooze_reason"]) == ("firing", "A load test.")
    assert asleep["snoozed_until"] is not None
    assert awake["snoozed_until"] is None


@pytest.mark.parametrize("nothing", ["", None])
def test_a_tag_may_be_said_to_be_none(anna: Service, nothing: str | None):
    body = {"amount": "1", "tag_key": nothing, "tag_value": nothing}

    made = anna.post("velocity-rules", body)

    assert made.status_code == 201, made.content
    assert (made.json()["tag_key"], made.json()["tag_value"]) == (None, None)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (
            {"amount": "1", "minutes": 200},
            "More than 180 minutes are whole hours, and of all records: without a tag.",
        ),
        ({"amount": "0"}, "An amount is more than 0."),
        ({"amount": "1", "tag_key": "agent"}, "Say which value of the tag counts."),
        ({"amount": "1", "tag_value": "nightly"}, "Say which tag has this value."),
    ],
)
def test_a_refusal_says_what_a_rule_needs(anna: Service, body, sentence: str):
    refused = anna.post("velocity-rules", body)

    assert refused.status_code == 400
    assert refused.json()["detail"] == sentence


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"reason": "No end."}, 400),
        ({"until": "2100-01-01T00:00:00Z", "reason": "Too long."}, 409),
        ({"until": "2020-01-01T00:00:00Z", "reason": "Past."}, 409),
        ({"until": "9999-12-31T23:59:59-12:00", "reason": "Never."}, 400),
        ({"until": "2026-12-01T00:00:00Z", "reason": "\0"}, 400),
        ({"until": "2026-12-01T00:00:00Z"}, 400),
    ],
)
def test_a_snooze_needs_an_end_and_a_reason(fired, alice: Service, body, status: int):
    reply = alice.post(f"alerts/{fired['answers']}/snooze", body)

    assert reply.status_code == status


def test_what_is_resolved_is_nobodys(cast: Cast, fired, anna: Service):
    fire(cast, kind=Alert.Kind.GONE_SILENT)

    reply = anna.post(f"alerts/{fired['answers']}/acknowledge", {})

    assert (reply.status_code, reply.json()["code"]) == (409, "not_possible")


@pytest.mark.parametrize("act", ["acknowledge", "unacknowledge", "snooze", "unsnooze"])
def test_reading_is_not_enough_to_do_something(cast: Cast, fired, act: str):
    reader = Service(issue(cast.acme, scopes=["budgets:read"])[1])

    assert reader.post(f"alerts/{fired['acme']}/{act}", {}).status_code == 403


# --- Velocity rules -----------------------------------------------------------------


def test_a_rule_is_made_listed_and_ended(alice: Service, anna: Service, bob: Service):
    made = alice.post(
        "velocity-rules",
        {"amount": "12.50", "minutes": 15, "tag_key": "agent", "tag_value": "nightly"},
    )
    rule = made.json()

    assert made.status_code == 201
    assert (rule["project"], rule["amount"], rule["minutes"]) == ("answers", "12.5", 15)
    assert (rule["tag_key"], rule["tag_value"]) == ("agent", "nightly")
    assert [one["id"] for one in anna.get("velocity-rules").json()["data"]] == [rule["id"]]
    assert bob.get("velocity-rules").json()["data"] == []
    assert bob.delete(f"velocity-rules/{rule['id']}").status_code == 404

    assert alice.delete(f"velocity-rules/{rule['id']}").status_code == 204
    assert VelocityRule.objects.get().ended_at is not None


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"amount": "0"}, 400),
        ({"amount": "1", "minutes": 2}, 400),
        ({"amount": "1", "minutes": 100_000}, 400),
        ({"amount": "1", "tag_key": "agent"}, 400),
        ({"amount": "NaN"}, 400),
        ({"amount": "1", "project": "secret"}, 404),
        ({"amount": "1", "team": "search", "project": "answers"}, 400),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(anna: Service, body, status: int):
    assert anna.post("velocity-rules", body).status_code == status
