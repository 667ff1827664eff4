"""What is said of keys, channels, counting and the ledger."""

import logging
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from billing.actions import alert_messages, alerts, channels, receive, verifications
from billing.actions.alerts import Occasion
from billing.formats.body import split
from billing.models import Alert, Channel, Delivery
from billing.watch import rules
from teams.models import ApiKey, ApiKeyUse, Organization
from tests.billing.watch.conftest import DAY, HOUR, Look
from tests.builders import body, record
from tests.conftest import NOW, Cast, issue

# --- Keys ---------------------------------------------------------------------------


@pytest.fixture
def key(cast: Cast) -> ApiKey:
    key, _ = issue(cast.acme, project=cast.answers, expires_at=NOW + 40 * DAY)
    ApiKeyUse.objects.update_or_create(key=key, defaults={"last_used_at": NOW + 20 * DAY})
    return key


def test_a_key_in_use_is_told_two_weeks_and_three_days_before(key: ApiKey, look: Look):
    told = {
        day: [one.details["days"] for one in look(Alert.Kind.KEY_EXPIRING, NOW + day * DAY)]
        for day in (25, 26, 36, 37, 39, 40)
    }

    assert told == {25: [], 26: [14], 36: [14], 37: [3], 39: [3], 40: []}
    assert Alert.objects.count() == 2
    first = Alert.objects.earliest("pk")
    assert (first.project, first.subject) == (key.project, f"API key {key.pk}")
    assert "is in use and expires on Friday 1 Jan, 12:00 UTC" in alert_messages.sentence(
        first
    )


def test_nobody_asks_for_a_key_that_is_not_used(key: ApiKey, look: Look):
    ApiKeyUse.objects.update(last_used_at=NOW - 5 * DAY)

    assert look(Alert.Kind.KEY_EXPIRING, NOW + 26 * DAY) == []


def test_a_key_that_is_replaced_is_resolved(key: ApiKey, look: Look):
    look(Alert.Kind.KEY_EXPIRING, NOW + 26 * DAY)
    ApiKey.objects.update(revoked_at=NOW + 27 * DAY)

    assert look(Alert.Kind.KEY_EXPIRING, NOW + 27 * DAY) == []


# --- Channels -----------------------------------------------------------------------


def mail_to(cast: Cast, target: str) -> Channel:
    channel, _ = channels.create(
        organization=cast.acme,
        kind=Channel.Kind.EMAIL,
        target=target,
        by="tests",
        now=NOW,
    )
    return channel


@pytest.fixture
def failing(cast: Cast) -> Channel:
    """One of two channels, with two alerts each."""
    channel = mail_to(cast, "down@example.com")
    mail_to(cast, "up@example.com")
    holding = [Occasion("one"), Occasion("two")]
    kind = Alert.Kind.BACKLOG
    alerts.keep(organization=cast.acme, kind=kind, holding=holding, now=NOW)
    return channel


def of(channel: Channel, **changes) -> None:
    newest = channel.deliveries.order_by("-pk")[:1].values("pk")
    Delivery.objects.filter(pk__in=list(newest.values_list("pk", flat=True))).update(
        **changes
    )


@pytest.mark.parametrize(
    ("changes", "fails"),
    [
        ({"attempts": 2, "last_error": "the receiver answered 500"}, False),
        ({"attempts": 3, "last_error": "the receiver answered 500"}, True),
        ({"attempts": 1, "state": "dead", "last_error": "410"}, True),
        ({"attempts": 3, "state": "sent", "last_error": ""}, False),
    ],
)
def test_three_attempts_or_a_dead_letter_fail_a_channel(
    failing: Channel, look: Look, changes, fails: bool
):
    of(failing, **changes)

    assert bool(look(Alert.Kind.DELIVERIES_FAILING, NOW)) is fails


def test_the_other_channels_say_it(failing: Channel, look: Look):
    of(failing, attempts=3, last_error="the receiver answered 500")

    (alert,) = look(Alert.Kind.DELIVERIES_FAILING, NOW)

    targets = alert.deliveries.values_list("channel__target", flat=True)
    assert list(targets) == ["up@example.com"]
    assert alert_messages.sentence(alert) == (
        "E-mail to down@example.com did not take 1 alert: the receiver answered 500."
    )


def test_it_ends_when_something_is_sent(failing: Channel, look: Look):
    first = failing.deliveries.earliest("pk")
    Delivery.objects.filter(pk=first.pk).update(state="dead", last_error="410")
    assert len(look(Alert.Kind.DELIVERIES_FAILING, NOW)) == 1

    of(failing, state="sent", last_error="")

    assert look(Alert.Kind.DELIVERIES_FAILING, NOW) == []


def test_a_test_that_fails_is_told_to_nobody(failing: Channel, look: Look):
    made = channels.send_test(channel=failing, by="fiona", now=NOW)
    Delivery.objects.filter(pk=made.pk).update(state="dead", last_error="410")

    assert look(Alert.Kind.DELIVERIES_FAILING, NOW) == []


def test_it_is_asked_of_what_came_after_the_last_sent_alone(failing: Channel, look: Look):
    """However much was sent before."""
    of(failing, state="dead", last_error="410")
    last = failing.deliveries.order_by("pk")[0]
    Delivery.objects.filter(pk=last.pk).update(state="sent")
    sent = Alert.objects.bulk_create(
        Alert(
            organization=failing.organization,
            kind=Alert.Kind.TEST,
            subject="sent",
            occurrence=f"{number}",
            fired_at=NOW,
        )
        for number in range(3_000)
    )
    Delivery.objects.bulk_create(
        Delivery(
            id=number - 10_000,
            alert=alert,
            channel=failing,
            message_id=uuid4(),
            state="sent",
            due_at=NOW,
        )
        for number, alert in enumerate(sent)
    )

    with CaptureQueriesContext(connection) as queries:
        (alert,) = look(Alert.Kind.DELIVERIES_FAILING, NOW)
    assert alert.details["waiting"] == 1
    asked = next(one["sql"] for one in queries if "bool_or" in one["sql"])
    with connection.cursor() as cursor:
        cursor.execute("RESET ROLE")
        cursor.execute("ANALYZE billing_delivery, billing_alert")
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {asked}")
        ((plan,),) = cursor.fetchone()
    assert most_read(plan["Plan"]) <= 10


def most_read(node: dict[str, Any]) -> float:
    """Of the steps of a plan, the one that had the most rows in hand."""
    rows = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
    inner = [most_read(one) for one in node.get("Plans", ())]
    return max([rows * node["Actual Loops"], *inner])


# --- Counting -----------------------------------------------------------------------


def test_a_posting_that_waits_for_over_a_minute_is_told(cast: Cast, look: Look):
    key, _ = issue(cast.acme)
    receive.receive(key=key, raws=split(body(record()), "application/json", 10), now=NOW)
    second = timedelta(seconds=1)

    assert look(Alert.Kind.BACKLOG, NOW + 60 * second) == []
    (alert,) = look(Alert.Kind.BACKLOG, NOW + 61 * second)
    assert alert_messages.sentence(alert).startswith("What came in since 12:00 UTC")
    # Others do not wait.
    assert not Alert.objects.exclude(organization=cast.acme).exists()


def test_a_full_backlog_is_told_to_all(cast: Cast, look: Look, settings):
    settings.BACKLOG_LIMIT = 0

    assert len(look(Alert.Kind.BACKLOG, NOW)) == 1
    assert Alert.objects.filter(organization=cast.outsiders).count() == 1
    look(Alert.Kind.BACKLOG, NOW + HOUR)
    assert Alert.objects.count() == 2


# --- The ledger ---------------------------------------------------------------------


def verified(at: datetime, *wrong: str, problem: str = "") -> None:
    checks = [{"name": name, "ok": False, "found": 1, "examples": []} for name in wrong]
    verifications.keep(started_at=at, finished_at=at, checks=checks, problem=problem)


def test_a_ledger_that_does_not_add_up_is_told_until_it_does(cast: Cast, look: Look):
    assert look(Alert.Kind.LEDGER_WRONG, NOW) == []
    verified(NOW, "sums of days")
    (alert,) = look(Alert.Kind.LEDGER_WRONG, NOW)
    assert alert_messages.sentence(alert) == (
        "The ledger was verified at 12:00 UTC and does not add up: sums of days."
    )
    verified(NOW + HOUR, "sums of days")
    assert look(Alert.Kind.LEDGER_WRONG, NOW + HOUR) == [alert]
    verified(NOW + 2 * HOUR)
    assert look(Alert.Kind.LEDGER_WRONG, NOW + 2 * HOUR) == []


@pytest.mark.parametrize(
    ("problem", "later", "sentence"),
    [
        ("killed", HOUR, "did not come to its end"),
        ("", 3 * HOUR, "verification is overdue"),
    ],
)
def test_nor_is_it_silent_when_nobody_verifies(
    cast: Cast, look: Look, problem: str, later: timedelta, sentence: str
):
    Organization.objects.update(created_at=NOW)
    verified(NOW, problem=problem)

    (alert,) = look(Alert.Kind.LEDGER_WRONG, NOW + later)

    assert sentence in alert_messages.sentence(alert)


def test_a_verifier_that_never_ran_is_overdue_after_two_hours(cast: Cast, look: Look):
    Organization.objects.update(created_at=NOW)

    assert look(Alert.Kind.LEDGER_WRONG, NOW + 2 * HOUR) == []
    (alert,) = look(Alert.Kind.LEDGER_WRONG, NOW + 3 * HOUR)
    assert look(Alert.Kind.LEDGER_WRONG, NOW + 4 * HOUR) == [alert]
    assert alert_messages.sentence(alert) == (
        "The ledger was never verified: verification is overdue."
    )
    assert alert_messages.subject(alert) == "The ledger is unverified"
    verified(NOW + 5 * HOUR)
    assert look(Alert.Kind.LEDGER_WRONG, NOW + 5 * HOUR) == []


def test_of_a_younger_organization_nothing_is_overdue(cast: Cast, look: Look):
    Organization.objects.update(created_at=NOW + 4 * HOUR)
    verified(NOW)

    assert look(Alert.Kind.LEDGER_WRONG, NOW + 5 * HOUR) == []
    assert len(look(Alert.Kind.LEDGER_WRONG, NOW + 7 * HOUR)) == 1


# --- All of them --------------------------------------------------------------------


def test_where_a_rule_cannot_look_the_others_go_on(cast: Cast, as_worker: None, caplog):
    def held(organization: Organization, now: datetime) -> list[Occasion]:
        if organization == cast.acme:
            raise KeyError("a project that came a moment ago")
        return [Occasion("counting", details={"since": now.isoformat()})]

    with caplog.at_level(logging.ERROR):
        assert rules.look({Alert.Kind.BACKLOG: held}, now=NOW) == 1

    assert Alert.objects.get().organization == cast.outsiders
    assert "is put off" in caplog.text
