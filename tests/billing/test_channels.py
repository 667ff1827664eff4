"""Channels: made for a place that may be called, ended by name, both written down."""

from uuid import uuid4

import pytest
from django.core.exceptions import ValidationError
from standardwebhooks.webhooks import Webhook

from billing.actions import channels
from billing.models import Alert, Budget, Channel, Delivery
from teams.models import AuditEvent
from tests.conftest import NOW, Cast


def make(cast: Cast, kind: str = "webhook", target: str = "", **more) -> tuple:
    usual = {"webhook": "https://hooks.example.com/T0/secret", "email": "lead@example.com"}
    return channels.create(
        organization=more.pop("organization", cast.acme),
        kind=Channel.Kind(kind),
        target=target or usual[kind],
        by="finance",
        now=NOW,
        **more,
    )


def test_a_webhook_gets_a_secret_of_its_own(cast: Cast):
    channel, secret = make(cast)
    _, other = make(cast, target="https://hooks.example.com/T1/other")

    assert secret == Channel.objects.get(pk=channel.pk).secret
    assert secret != other
    Webhook(secret)  # the library can use it


def test_an_address_needs_no_secret(cast: Cast):
    channel, secret = make(cast, "email", team=cast.search)

    assert (channel.secret, secret) == ("", "")
    assert channel.team == cast.search


def test_making_one_is_written_down_without_what_is_secret(cast: Cast):
    channel, _ = make(cast, project=cast.answers)

    event = AuditEvent.objects.get(action="channel.create")
    assert (event.actor, event.organization) == ("finance", "acme")
    assert event.subject == f"channel {channel.pk}"
    assert event.after == {"kind": "webhook", "target": "https://hooks.example.com/…"}


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        ("email", "lead"),
        ("email", "lead@example.com\nBcc: all@example.com"),
        ("email", "a@example.com, b@example.com"),
        ("email", "https://hooks.example.com/"),
        ("webhook", "lead@example.com"),
        ("webhook", "http://hooks.example.com/"),
        ("webhook", "https://169.254.169.254/latest"),
        ("webhook", "https://hooks.example.com:22/"),
        ("webhook", "https://user:word@hooks.example.com/"),
        ("webhook", "https://hooks.example.com/" + "a" * 500),
    ],
)
def test_a_target_that_cannot_be_used_is_refused(cast: Cast, kind: str, target: str):
    with pytest.raises(ValidationError) as caught:
        make(cast, kind, target)

    assert list(caught.value.message_dict) == ["target"]
    assert not Channel.objects.exists()


def test_an_empty_target_is_refused(cast: Cast):
    with pytest.raises(ValidationError) as caught:
        channels.create(
            organization=cast.acme, kind=Channel.Kind.WEBHOOK, target="", by="x", now=NOW
        )

    assert list(caught.value.message_dict) == ["target"]


def test_in_development_a_private_place_can_be_allowed(cast: Cast, settings):
    settings.OUTGOING_ALLOW = frozenset(["127.0.0.1:9000"])

    channel, _ = make(cast, target="http://127.0.0.1:9000/hook")

    assert channel.pk


@pytest.mark.parametrize("bound", ["team", "project"])
def test_a_channel_is_for_something_of_its_organization(cast: Cast, bound: str):
    foreign = {"team": cast.elsewhere, "project": cast.secret_project}[bound]

    with pytest.raises(ValidationError, match="of its organization"):
        make(cast, **{bound: foreign})


def test_a_channel_listens_to_one_thing(cast: Cast):
    with pytest.raises(ValidationError):
        make(cast, team=cast.search, project=cast.answers)


@pytest.fixture
def budget(cast: Cast) -> Budget:
    return Budget.objects.create(
        organization=cast.acme, team=cast.search, amount=1, created_at=NOW
    )


def delivery(budget: Budget, channel: Channel, state: str, threshold: int) -> Delivery:
    alert = Alert.objects.create(
        kind=Alert.Kind.THRESHOLD,
        organization=budget.organization,
        team=budget.team,
        budget=budget,
        revision=1,
        period_start=NOW.date(),
        threshold=threshold,
        spent=1,
        cap=1,
        fired_at=NOW,
    )
    return Delivery.objects.create(
        alert=alert, channel=channel, message_id=uuid4(), state=state, due_at=NOW
    )


def test_disabling_gives_up_what_is_waiting_and_nothing_else(cast: Cast, budget: Budget):
    channel, _ = make(cast)
    other, _ = make(cast, target="https://hooks.example.com/T1/other")
    made = [
        delivery(budget, channel, "waiting", 1),
        delivery(budget, channel, "sending", 2),
        delivery(budget, channel, "sent", 3),
        delivery(budget, other, "waiting", 4),
    ]

    channels.disable(channel=channel, by="finance", now=NOW, reason="moved")

    assert channel.disabled_at == NOW
    states = [Delivery.objects.get(pk=one.pk).state for one in made]
    assert states == ["dead", "sending", "sent", "waiting"]
    assert Delivery.objects.get(pk=made[0].pk).last_error == "the channel is disabled"


def test_disabling_is_written_down_once(cast: Cast):
    channel, _ = make(cast)
    stale = Channel.objects.get(pk=channel.pk)

    channels.disable(channel=channel, by="finance", now=NOW, reason="moved")
    channels.disable(channel=stale, by="other", now=NOW)

    event = AuditEvent.objects.get(action="channel.disable")
    assert (event.actor, event.reason) == ("finance", "moved")
    assert event.after["disabled_at"] == NOW.isoformat()
    assert stale.disabled_at == NOW


def test_the_roles_of_the_service_may_do_it(cast: Cast, as_app):
    channel, _ = make(cast)
    channels.disable(channel=channel, by="finance", now=NOW)
