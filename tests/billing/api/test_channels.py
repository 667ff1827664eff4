"""/channels and /deliveries: made, tried, rotated, ended, sent again."""

import json
from datetime import timedelta

import pytest
from django.utils import timezone

from billing.actions import channels, deliver
from billing.models import Alert, Channel, Delivery
from tests.conftest import NOW, Cast, Service, issue

pytestmark = pytest.mark.usefixtures("as_app")

KEY = "0123456789abcdef0123456789abcDEF"
HOOK = "https://hooks.example.com/T0/secret"


@pytest.fixture
def finance(cast: Cast) -> Service:
    return Service(issue(cast.acme)[1])


def make(service: Service, **wanted: str):
    return service.post("channels", json.dumps(wanted))


@pytest.mark.parametrize(
    ("kind", "target", "shown"),
    [
        ("email", "lead@example.com", "lead@example.com"),
        ("slack", HOOK, "https://hooks.example.com/…"),
        ("webhook", HOOK, "https://hooks.example.com/…"),
        ("pagerduty", KEY, "…cDEF"),
    ],
)
def test_each_kind_is_made_and_never_shown_in_full(
    finance: Service, kind: str, target: str, shown: str
):
    made = make(finance, kind=kind, target=target)

    assert made.status_code == 201
    assert made.json()["target"] == shown
    assert ("secret" in made.json()) == (kind == "webhook")
    [listed] = finance.get("channels").json()["data"]
    assert listed == {
        name: value for name, value in made.json().items() if name != "secret"
    }


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        ("pagerduty", "0123"),
        ("pagerduty", KEY[:-1] + "é"),
        ("pagerduty", "https://events.example.com/"),
        ("slack", "lead@example.com"),
        ("slack", "http://hooks.slack.com/services/T0"),
        ("slack", "https://10.0.0.1/"),
    ],
)
def test_what_cannot_be_used_is_refused(finance: Service, kind: str, target: str):
    refused = make(finance, kind=kind, target=target)

    assert (refused.status_code, refused.json()["code"]) == (400, "invalid")
    assert not Channel.objects.exists()


def test_a_secret_is_replaced_and_the_old_one_signs_for_a_day(finance: Service):
    made = make(finance, kind="webhook", target=HOOK).json()
    before = timezone.now()

    rotated = finance.post(f"channels/{made['id']}/rotate", "").json()

    channel = Channel.objects.get()
    assert rotated["secret"] == channel.secret != made["secret"]
    assert channel.secrets(timezone.now()) == [rotated["secret"], made["secret"]]
    assert channel.secrets(timezone.now() + channels.ROTATION) == [rotated["secret"]]
    until = channel.previous_secret_until
    assert until is not None
    assert timedelta() <= until - before - channels.ROTATION < timedelta(minutes=1)
    assert "secret" not in finance.get("channels").json()["data"][0]


def test_only_what_is_signed_has_a_secret_to_replace(finance: Service):
    made = make(finance, kind="slack", target=HOOK).json()

    refused = finance.post(f"channels/{made['id']}/rotate", "")

    assert (refused.status_code, refused.json()["code"]) == (409, "not_possible")


def test_a_test_is_sent_and_told(finance: Service):
    made = make(finance, kind="email", target="lead@example.com").json()

    tried = finance.post(f"channels/{made['id']}/test", "")

    assert tried.status_code == 202
    assert tried.json() | {"due_at": None} == {
        "id": str(Delivery.objects.get().pk),
        "channel": made["id"],
        "kind": "email",
        "event": "fired",
        "state": "waiting",
        "attempts": 0,
        "attempts_log": [],
        "due_at": None,
        "sent_at": None,
        "last_error": None,
        "instead_of": None,
    }
    again = finance.post(f"channels/{made['id']}/test", "")
    assert (again.status_code, again.json()["code"]) == (429, "too_soon")
    assert 1 <= int(again["Retry-After"]) <= 10


def test_attempts_are_told_with_the_alert(finance: Service, cast: Cast):
    make(finance, kind="webhook", target="https://localhost/")
    channels.send_test(channel=Channel.objects.get(), by="tests", now=NOW)
    deliver.send_due(clock=lambda: NOW, spread=lambda: 0)

    [alert] = finance.get("alerts").json()["data"]

    [delivery] = alert["deliveries"]
    assert (delivery["state"], delivery["attempts"]) == ("dead", 1)
    assert delivery["attempts_log"] == [
        {
            "number": 1,
            "started_at": "2026-11-22T12:00:00Z",
            "ended_at": "2026-11-22T12:00:00Z",
            "outcome": "failed",
            "error": "the host is not on the public Internet",
        }
    ]


def test_what_was_given_up_is_sent_again(finance: Service):
    made = make(finance, kind="email", target="lead@example.com").json()
    delivery = finance.post(f"channels/{made['id']}/test", "").json()
    path = f"deliveries/{delivery['id']}/retry"

    assert finance.post(path, "").json()["code"] == "not_possible"
    Delivery.objects.update(state="dead", attempts=10)
    again = finance.post(path, "")

    assert (again.status_code, again.json()["state"]) == (202, "waiting")


def test_a_key_reaches_no_channel_but_its_own(
    finance: Service, alice: Service, bob: Service, charlie: Service, cast: Cast
):
    of_all = make(finance, kind="email", target="lead@example.com").json()
    of_team = make(bob, kind="email", target="bob@example.com").json()
    delivery = bob.post(f"channels/{of_team['id']}/test", "").json()
    Delivery.objects.update(state="dead")

    for service, channel in ((alice, of_team), (bob, of_all), (charlie, of_all)):
        for path in ("rotate", "test"):
            answer = service.post(f"channels/{channel['id']}/{path}", "")
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    for service in (alice, charlie):
        answer = service.post(f"deliveries/{delivery['id']}/retry", "")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert finance.post(f"deliveries/{delivery['id']}/retry", "").status_code == 202


def test_a_person_s_mail_is_theirs(finance: Service, cast: Cast, django_user_model):
    user = django_user_model.objects.create_user("vera", email="vera@example.com")
    Channel.objects.create(
        organization=cast.acme, kind="email", target="x", user=user, created_at=NOW
    )

    assert finance.get("channels").json()["data"] == []
    own = Channel.objects.get()
    assert finance.post(f"channels/{own.pk}/test", "").status_code == 404


def test_it_needs_the_right_to_write(cast: Cast, finance: Service):
    made = make(finance, kind="email", target="lead@example.com").json()
    reader = Service(issue(cast.acme, scopes=["budgets:read"])[1])

    for path in (f"channels/{made['id']}/test", f"channels/{made['id']}/rotate"):
        assert reader.post(path, "").status_code == 403
    assert not Alert.objects.exists()


def test_a_secret_is_replaced_once_while_the_one_before_signs_along(finance: Service):
    made = make(finance, kind="webhook", target=HOOK).json()
    finance.post(f"channels/{made['id']}/rotate", "")

    again = finance.post(f"channels/{made['id']}/rotate", "")

    assert (again.status_code, again.json()["code"]) == (409, "not_possible")
