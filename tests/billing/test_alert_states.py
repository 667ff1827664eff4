"""What people do with an alert, and what becomes of it by itself."""

from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError

from billing.actions import alert_states, alerts, channels
from billing.actions.alerts import Occasion
from billing.models import Alert, Channel, Delivery
from teams.models import AuditEvent
from tests.conftest import NOW, Cast

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
BY = {"by": "lea", "now": NOW}


def keep(cast: Cast, *subjects: str, now=NOW) -> None:
    alerts.keep(
        organization=cast.acme,
        kind=Alert.Kind.BACKLOG,
        holding=[Occasion(subject) for subject in subjects],
        now=now,
    )


@pytest.fixture
def alert(cast: Cast) -> Alert:
    keep(cast, "one")
    return Alert.objects.get()


def audited() -> list[tuple[str, str, str]]:
    events = AuditEvent.objects.filter(action__startswith="alert.").order_by("pk")
    return list(events.values_list("action", "actor", "reason"))


def test_somebody_has_seen_it(alert: Alert):
    alert_states.acknowledge(alert=alert, note="On it.", **BY)
    alert_states.acknowledge(alert=alert, by="bob", now=NOW + HOUR)

    assert (alert.state, alert.acknowledged_by, alert.acknowledged_at) == (
        "acknowledged",
        "lea",
        NOW,
    )
    assert audited() == [("alert.acknowledge", "lea", "On it.")]
    event = AuditEvent.objects.get(action="alert.acknowledge")
    assert event.subject == f"alert {alert.pk}"
    assert (event.before["state"], event.after["state"]) == ("firing", "acknowledged")


def test_pagerduty_is_told_that_somebody_has_seen_it(cast: Cast):
    for kind, target in (("pagerduty", "a" * 32), ("email", "ops@example.com")):
        channels.create(
            organization=cast.acme, kind=Channel.Kind(kind), target=target, **BY
        )
    keep(cast, "one")

    alert_states.acknowledge(alert=Alert.objects.get(), **BY)

    sent = Delivery.objects.order_by("pk").values_list("channel__kind", "event")
    assert list(sent) == [
        ("pagerduty", "fired"),
        ("email", "fired"),
        ("pagerduty", "acknowledged"),
    ]


def test_it_can_be_given_back(alert: Alert):
    alert_states.acknowledge(alert=alert, **BY)
    alert_states.unacknowledge(alert=alert, **BY)

    assert (alert.state, alert.acknowledged_by, alert.acknowledged_at) == (
        "firing",
        "",
        None,
    )


def test_a_snooze_ends_by_itself(alert: Alert):
    alert_states.acknowledge(alert=alert, **BY)
    alert_states.snooze(alert=alert, until=NOW + DAY, reason="A load test.", **BY)

    assert (alert.state, alert.snoozed_by) == ("firing", "lea")
    assert alert.is_snoozed(NOW)
    assert not alert.is_snoozed(NOW + DAY)


def test_or_sooner(alert: Alert):
    alert_states.snooze(alert=alert, until=NOW + DAY, reason="A load test.", **BY)
    alert_states.unsnooze(alert=alert, **BY)

    assert not alert.is_snoozed(NOW)
    assert alert.snooze_reason == ""
    assert [action for action, *_ in audited()] == ["alert.snooze", "alert.unsnooze"]


def test_who_takes_care_of_it_ends_the_snooze(alert: Alert):
    alert_states.snooze(alert=alert, until=NOW + DAY, reason="A load test.", **BY)
    alert_states.acknowledge(alert=alert, **BY)

    assert alert.state == "acknowledged"
    assert not alert.is_snoozed(NOW)


@pytest.mark.parametrize(
    ("until", "reason"),
    [
        (NOW, "Past."),
        (NOW + 30 * DAY + timedelta(seconds=1), "Too long."),
        (NOW + DAY, " "),
    ],
)
def test_a_snooze_says_why_and_has_an_end(alert: Alert, until, reason: str):
    with pytest.raises(ValidationError):
        alert_states.snooze(alert=alert, until=until, reason=reason, **BY)

    assert not alert.is_snoozed(NOW)


def test_a_resolved_one_is_nobodys_any_more(cast: Cast, alert: Alert):
    keep(cast, now=NOW + HOUR)

    for act in (alert_states.acknowledge, alert_states.unsnooze):
        with pytest.raises(ValidationError, match="resolved"):
            act(alert=alert, **BY)
    assert audited() == []


def test_a_snoozed_one_is_resolved_as_any(cast: Cast, alert: Alert):
    alert_states.snooze(alert=alert, until=NOW + DAY, reason="A load test.", **BY)
    keep(cast, now=NOW + HOUR)
    alert.refresh_from_db()

    assert (alert.state, alert.is_snoozed(NOW + HOUR)) == ("resolved", False)


def test_who_has_seen_it_is_not_asked_again(cast: Cast, alert: Alert):
    alert_states.acknowledge(alert=alert, **BY)
    keep(cast, now=NOW + HOUR)
    keep(cast, "one", now=NOW + 2 * HOUR)
    alert.refresh_from_db()

    assert alert.state == "acknowledged"


def test_only_what_holds_or_is_open_is_read(cast: Cast, django_assert_num_queries):
    """A year of resolved alerts costs nothing."""
    for number in range(30):
        keep(cast, f"old {number}")
    keep(cast)

    with django_assert_num_queries(3):  # a savepoint, one look, its end
        keep(cast)
