"""Deliveries: at least once to each channel, with one id, or visibly given up."""

import json
import re
import socket
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from django.core import mail
from django.core.checks import run_checks
from django.core.mail import EmailMultiAlternatives
from django.db import connection
from django.test.utils import CaptureQueriesContext
from standardwebhooks.webhooks import Webhook

from billing import tasks
from billing.actions import alert_messages, budgets, channels, deliver, sweep
from billing.actions.alert_bodies import mail as letter
from billing.actions.budgets import Limits, Terms
from billing.connectors import outgoing
from billing.connectors.outgoing import Reply
from billing.models import Alert, Budget, BudgetTotal, Channel, Delivery
from billing.pricing.budget_periods import Period, PeriodKind
from config.celery import app
from teams import isolation
from teams.models import AuditEvent
from tests.conftest import NOW, Cast
from tests.receivers import (
    Habit,
    Handler,
    Receiver,
    answers,
    hangs_up,
    receiving,
    resets,
)

UID = UUID("0199a1b2-c3d4-7e5f-8a6b-7c8d9e0f1a2b")


def make_budget(cast: Cast, **more) -> Budget:
    more.setdefault("team", cast.search)
    terms = Terms(Decimal(more.pop("amount", "100")), hard=more.pop("hard", False))
    return budgets.create(
        organization=cast.acme,
        period=more.pop("period", PeriodKind.MONTH),
        terms=terms,
        by="tests",
        now=NOW,
        **more,
    )


@pytest.fixture
def budget(cast: Cast) -> Budget:
    return make_budget(cast)


def raise_alert(budget: Budget, threshold: int = 80, spent: str = "84.2") -> Alert:
    return Alert.objects.create(
        kind=Alert.Kind.CAP_REACHED if threshold == 100 else Alert.Kind.THRESHOLD,
        organization=budget.organization,
        team=budget.team,
        budget=budget,
        revision=budget.revision,
        period_start=NOW.date().replace(day=1),
        threshold=threshold,
        spent=Decimal(spent),
        cap=budget.amount,
        fired_at=NOW,
    )


@pytest.fixture
def alert(budget: Budget) -> Alert:
    return raise_alert(budget)


def address(alert: Alert, channel: Channel, uid: UUID = UID, **more) -> Delivery:
    return Delivery.objects.create(
        alert=alert, channel=channel, message_id=uid, **{"due_at": NOW, **more}
    )


@pytest.fixture
def by_mail(cast: Cast, alert: Alert) -> Delivery:
    channel, _ = channels.create(
        organization=cast.acme,
        kind=Channel.Kind.EMAIL,
        target="lead@example.com",
        by="tests",
        now=NOW,
    )
    return address(alert, channel)


def hook(cast: Cast, url: str) -> Channel:
    channel, _ = channels.create(
        organization=cast.acme, kind=Channel.Kind.WEBHOOK, target=url, by="tests", now=NOW
    )
    return channel


@pytest.fixture
def by_hook(cast: Cast, alert: Alert, settings) -> Iterator[Callable[[Habit], tuple]]:
    """Address the alert to a receiver with this habit."""
    running = []

    def start(habit: Habit) -> tuple[Receiver, Delivery]:
        running.append(receiving(habit))
        receiver = running[-1].__enter__()
        settings.OUTGOING_ALLOW |= {receiver.place}
        return receiver, address(alert, hook(cast, receiver.url))

    yield start
    for receiver in running:
        receiver.__exit__(None, None, None)


def letter_of(alert: Alert, cast: Cast) -> EmailMultiAlternatives:
    channel, _ = channels.create(
        organization=cast.acme,
        kind=Channel.Kind.EMAIL,
        target="lead@example.com",
        by="tests",
        now=NOW,
    )
    return letter.letter(address(alert, channel)).message(None, None)


def send(now: datetime = NOW, limit: int = 10, spread: float = 0) -> int:
    return deliver.send_due(clock=lambda: now, limit=limit, spread=lambda: spread)


def send_in_earnest() -> None:
    """Now, by the clock that libraries read themselves."""
    real = datetime.now(UTC)  # noqa: TID251
    Delivery.objects.update(due_at=real)
    assert send(real) == 1


def state_of(delivery: Delivery) -> tuple[str, int, str]:
    delivery.refresh_from_db()
    return delivery.state, delivery.attempts, delivery.last_error


# --- Webhooks -----------------------------------------------------------------------


def test_a_webhook_is_sent_signed_once(cast: Cast, by_hook, alert: Alert):
    receiver, delivery = by_hook(answers(204))

    assert send() == 1
    assert send(NOW + timedelta(days=3)) == 0

    assert state_of(delivery) == ("sent", 1, "")
    assert delivery.sent_at == NOW
    [request] = receiver.requests
    assert request.headers["content-type"] == "application/json"
    assert request.headers["webhook-id"] == f"msg_{UID.hex}"
    assert request.headers["webhook-timestamp"] == str(int(NOW.timestamp()))
    assert json.loads(request.body) == {
        "type": "alert.fired",
        "timestamp": "2026-11-22T12:00:00Z",
        "data": {
            "id": str(alert.pk),
            "kind": "threshold",
            "threshold": 80,
            "budget": {
                "id": str(alert.budget_id),
                "scope": "team search",
                "period": "month",
                "period_start": "2026-11-01",
                "cap": "100",
                "hard": False,
                "revision": 1,
            },
            "spent": "84.2",
            "currency": "USD",
            "organization": "acme",
            "url": f"http://localhost:8000/alerts/{alert.pk}?organization=acme",
        },
    }


def test_the_receiver_can_check_the_signature(cast: Cast, by_hook):
    receiver, delivery = by_hook(answers(200))

    send_in_earnest()

    [request] = receiver.requests
    Webhook(delivery.channel.secret).verify(request.body, request.headers)


def test_while_a_secret_is_replaced_both_sign(by_hook):
    receiver, delivery = by_hook(answers(200))
    old = delivery.channel.secret
    real = datetime.now(UTC)  # noqa: TID251
    new = channels.rotate(channel=delivery.channel, by="tests", now=real)

    send_in_earnest()

    [request] = receiver.requests
    for secret in (old, new):
        Webhook(secret).verify(request.body, request.headers)


def test_every_attempt_has_the_same_id_and_body_and_its_own_time(by_hook):
    receiver, delivery = by_hook(answers(500))

    send()
    send(NOW + timedelta(minutes=1))

    first, second = receiver.requests
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body
    assert first.headers["webhook-timestamp"] != second.headers["webhook-timestamp"]
    assert state_of(delivery) == ("waiting", 2, "the receiver answered 500")


@pytest.mark.parametrize(
    ("habit", "error"),
    [
        (answers(302, Location="https://hooks.example.com/"), "the receiver answered 302"),
        (answers(400, b"token=hunter2"), "the receiver answered 400"),
        (answers(500, b"token=hunter2"), "the receiver answered 500"),
        (resets, "the connection failed: Connection reset by peer"),
        (hangs_up, "the connection was closed without a reply"),
    ],
)
def test_a_failure_is_tried_again_and_told_without_the_reply(by_hook, habit, error: str):
    _, delivery = by_hook(habit)

    send()

    assert state_of(delivery) == ("waiting", 1, error)
    assert delivery.due_at == NOW + timedelta(seconds=5)


def test_a_huge_reply_is_a_reply(by_hook):
    _, delivery = by_hook(answers(200, b"a" * 5_000_000))

    send()

    assert state_of(delivery) == ("sent", 1, "")


def test_an_address_that_became_private_is_not_called(cast: Cast, alert: Alert):
    """Names are judged at each attempt, not when the channel is made."""
    delivery = address(alert, hook(cast, "https://localhost/"))

    send()

    assert state_of(delivery) == ("waiting", 1, "the host is not on the public Internet")


def test_gone_disables_the_channel(by_hook, budget: Budget):
    _, delivery = by_hook(answers(410))
    other = address(
        raise_alert(budget, 50),
        delivery.channel,
        UUID(int=1),
        due_at=NOW + timedelta(days=1),
    )

    send()

    assert state_of(delivery) == ("dead", 1, "410: the receiver wants no more")
    assert state_of(other) == ("dead", 0, "the channel is disabled")
    assert Channel.objects.get(pk=delivery.channel.pk).disabled_at == NOW
    event = AuditEvent.objects.get(action="channel.disable")
    assert (event.actor, event.reason) == ("purser", "410: the receiver wants no more")


def test_a_disabled_channel_gets_nothing(by_hook):
    receiver, delivery = by_hook(answers(200))
    Channel.objects.filter(pk=delivery.channel.pk).update(disabled_at=NOW)

    send()

    assert receiver.connections == 0
    assert state_of(delivery) == ("dead", 1, "the channel is disabled")


# --- When it is tried again ---------------------------------------------------------


def test_the_schedule_to_its_end(by_hook):
    """0 s, 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h: then it is given up."""
    receiver, delivery = by_hook(answers(500))
    now, waits = NOW, []

    while send(now):
        delivery.refresh_from_db()
        assert send(delivery.due_at - timedelta(microseconds=1)) == 0
        waits.append(delivery.due_at - now)
        now = delivery.due_at

    hours = [timedelta(hours=hour) for hour in (2, 5, 10, 14, 20, 24)]
    minutes = [timedelta(minutes=minute) for minute in (5, 30)]
    assert waits[:-1] == [timedelta(seconds=5), *minutes, *hours]
    assert state_of(delivery) == ("dead", 10, "the receiver answered 500")
    assert len(receiver.requests) == 10
    assert len({request.headers["webhook-id"] for request in receiver.requests}) == 1
    assert send(now + timedelta(days=100)) == 0


@pytest.mark.parametrize(("spread", "seconds"), [(-0.1, 4.5), (0.1, 5.5)])
def test_a_wait_is_spread(by_hook, spread: float, seconds: float):
    _, delivery = by_hook(answers(500))

    send(spread=spread)

    delivery.refresh_from_db()
    assert delivery.due_at == NOW + timedelta(seconds=seconds)


def test_the_spread_is_a_tenth_at_most():
    drawn = {deliver.some_spread() for _ in range(1000)}

    assert len(drawn) > 900
    assert all(-0.1 <= part <= 0.1 for part in drawn)


@pytest.mark.parametrize(
    ("status", "asked", "wait"),
    [
        (429, "120", timedelta(minutes=2)),
        (503, "120", timedelta(minutes=2)),
        (429, "Sun, 22 Nov 2026 13:00:00 GMT", timedelta(hours=1)),
        # Bounded, and never sooner than the schedule says.
        (429, "999999999", timedelta(hours=24)),
        (429, "Sun, 22 Nov 2126 12:00:00 GMT", timedelta(hours=24)),
        (429, "0", timedelta(seconds=5)),
        (429, "Sun, 22 Nov 2020 12:00:00 GMT", timedelta(seconds=5)),
        # Says nothing.
        (429, "soon", timedelta(seconds=5)),
        (429, "-3", timedelta(seconds=5)),
        (429, "9" * 5000, timedelta(seconds=5)),
        (429, "١٢٠", timedelta(seconds=5)),
        (500, "120", timedelta(seconds=5)),
    ],
)
def test_a_busy_receiver_says_when(by_hook, status: int, asked: str, wait: timedelta):
    reply = Reply(status, {"retry-after": asked}, b"")

    outcome = deliver.judge(reply, now=NOW)

    assert max(outcome.retry_at or NOW, NOW + timedelta(seconds=5)) == NOW + wait


def test_a_busy_receiver_is_obeyed(by_hook):
    _, delivery = by_hook(answers(429, Retry_After="3600"))

    send()

    assert state_of(delivery) == ("waiting", 1, "the receiver answered 429")
    assert delivery.due_at == NOW + timedelta(hours=1)


# --- One sender ---------------------------------------------------------------------


def test_what_is_not_due_waits(by_mail: Delivery):
    Delivery.objects.update(due_at=NOW + timedelta(seconds=1))

    assert send() == 0
    assert send(NOW + timedelta(seconds=1)) == 1


def test_what_another_sender_has_is_left_to_him(by_mail: Delivery):
    Delivery.objects.update(state="sending", attempts=1, due_at=NOW + timedelta(seconds=1))

    assert send() == 0
    assert state_of(by_mail) == ("sending", 1, "")


def test_a_lease_that_ended_is_taken_over(by_mail: Delivery):
    """The sender before died: after the receiver's answer, for all we know."""
    Delivery.objects.update(state="sending", attempts=1, due_at=NOW)

    assert send() == 1

    assert state_of(by_mail) == ("sent", 2, "")
    assert mail.outbox[0].extra_headers["Message-ID"].startswith(f"<{UID.hex}@")


def test_a_lease_lasts_longer_than_an_attempt_can(by_hook):
    _, delivery = by_hook(answers(200))
    asked = iter([NOW, NOW, NOW + timedelta(seconds=15)])  # lease, attempt, result

    deliver.send_due(clock=lambda: next(asked))

    delivery.refresh_from_db()
    assert delivery.sent_at == NOW + timedelta(seconds=15)
    assert delivery.due_at == NOW + timedelta(seconds=60)
    assert timedelta(seconds=outgoing.SECONDS) < deliver.LEASE / 2


@pytest.mark.parametrize("status", [200, 500, 410])
def test_who_outlived_his_lease_changes_nothing(by_hook, caplog, status: int):
    """The clock is what moves between the lease and the result: a second sender, with
    his own lease, comes in there."""
    _, delivery = by_hook(answers(status))
    asked = 0

    def clock() -> datetime:
        nonlocal asked
        asked += 1
        if asked == 3:  # the reply is there, its result not yet written down
            Delivery.objects.update(attempts=2, due_at=NOW + timedelta(seconds=120))
        return NOW

    deliver.send_due(clock=clock)

    assert state_of(delivery) == ("sending", 2, "")
    assert Channel.objects.get(pk=delivery.channel.pk).disabled_at is None
    assert "outlived its lease" in caplog.text


def test_a_result_that_came_before_is_kept(by_hook):
    _, delivery = by_hook(answers(500))
    asked = 0

    def clock() -> datetime:
        nonlocal asked
        asked += 1
        if asked == 3:
            Delivery.objects.update(state="sent", sent_at=NOW)
        return NOW

    deliver.send_due(clock=clock)

    assert state_of(delivery) == ("sent", 1, "")


def test_a_message_that_kills_its_sender_is_given_up(by_mail: Delivery):
    Delivery.objects.update(state="sending", attempts=10, due_at=NOW)

    send()

    assert mail.outbox == []
    assert state_of(by_mail) == ("dead", 11, "the last attempt had no result")


def test_the_longest_due_are_sent_first(cast: Cast, budget: Budget, by_mail: Delivery):
    later = address(
        raise_alert(budget, 50),
        by_mail.channel,
        UUID(int=1),
        due_at=NOW - timedelta(seconds=1),
    )

    assert send(limit=1) == 1

    assert state_of(later)[0] == "sent"
    assert state_of(by_mail)[0] == "waiting"


def test_a_channel_with_many_lets_the_others_in(cast: Cast, budget: Budget, settings):
    """Else one that hangs would hold up all for each ten of its own."""
    settings.OUTGOING_ALLOW = frozenset({"127.0.0.1:9"})
    many, one = hook(cast, "http://127.0.0.1:9/many"), hook(cast, "http://127.0.0.1:9/one")
    for level in range(1, 13):
        earlier = NOW - timedelta(minutes=level)
        address(raise_alert(budget, level), many, uuid4(), due_at=earlier)
    late = address(raise_alert(budget, 99), one, uuid4())

    assert send(limit=10) == 10

    assert state_of(late)[1] == 1


def test_the_admin_names_a_webhook_by_its_host(cast: Cast):
    """The path of a URL may be a secret."""
    assert str(hook(cast, "https://hooks.example.com/T0/secret")) == (
        "webhook hooks.example.com"
    )


def test_one_that_breaks_does_not_keep_the_others(
    cast: Cast, budget: Budget, by_mail: Delivery, caplog
):
    broken = address(
        raise_alert(budget, 50), hook(cast, "https://a.example.com/"), UUID(int=1)
    )
    Channel.objects.filter(pk=broken.channel.pk).update(secret="whsec_short")

    assert send() == 2

    assert state_of(by_mail)[0] == "sent"
    assert state_of(broken) == ("waiting", 1, "the message cannot be written: ValueError")
    assert "cannot be written" in caplog.text


def test_a_receiver_that_hangs_keeps_no_other_waiting(
    cast: Cast, budget: Budget, by_hook, settings
):
    """The first answers only when the second has been heard."""
    with receiving(answers(200)) as other:

        def waits_for_the_other(handler: Handler) -> None:
            while not other.requests and not handler.over.wait(0.01):
                pass
            answers(200)(handler)

        _, first = by_hook(waits_for_the_other)
        settings.OUTGOING_ALLOW |= {other.place}
        second = address(raise_alert(budget, 50), hook(cast, other.url), UUID(int=1))

        assert send() == 2

    assert state_of(first)[0] == state_of(second)[0] == "sent"


def test_the_worker_may_do_it(by_mail: Delivery, by_hook, as_worker):
    send()

    assert state_of(by_mail)[0] == "sent"


# --- E-mail -------------------------------------------------------------------------


def test_an_email_says_it_in_a_sentence(by_mail: Delivery, alert: Alert):
    assert send() == 1

    [message] = mail.outbox
    assert message.to == ["lead@example.com"]
    assert message.from_email == "Purser <purser@localhost>"
    assert message.subject == "[Purser] Search has reached 80 % of its monthly budget"
    assert message.body == (
        "Search has spent 84.20 USD, 84 % of the 100.00 USD of its monthly budget.\n"
        "\n"
        "Organization: Acme\n"
        "Period:       from 2026-11-01 until before 2026-12-01\n"
        f"Alert:        {alert.pk}, of budget {alert.budget_id} in its revision 1\n"
        "\n"
        f"http://localhost:8000/alerts/{alert.pk}?organization=acme\n"
    )
    [(html, kind)] = message.alternatives
    assert kind == "text/html"
    assert "84.20 USD, 84 % of the 100.00 USD" in html
    assert message.extra_headers == {
        "Message-ID": f"<{UID.hex}@localhost>",
        "Auto-Submitted": "auto-generated",
    }


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {"period": PeriodKind.DAY, "amount": "0.0050"},
            ("0.0042", "has spent 0.004 USD, 84 % of the 0.005 USD of its daily budget."),
        ),
        (
            {"period": PeriodKind.WEEK, "amount": "12000"},
            (
                "11999.999",
                "has spent 11,999.99 USD, 99 % of the 12,000.00 USD of its weekly budget.",
            ),
        ),
        (
            {"period": PeriodKind.QUARTER, "amount": "1.25"},
            ("2.5", "has spent 2.50 USD, 200 % of the 1.25 USD of its quarterly budget."),
        ),
        (
            {"period": PeriodKind.YEAR, "amount": "0"},
            ("0.000001", "has spent 0.000001 USD; its yearly budget is 0."),
        ),
    ],
)
def test_amounts_are_rounded_down_to_the_places_of_the_cap(cast: Cast, change, sentence):
    spent, expected = sentence

    said = alert_messages.sentence(raise_alert(make_budget(cast, **change), 80, spent))

    assert said.endswith(expected)


def test_it_names_the_days_of_a_custom_period_and_what_is_limited(cast: Cast):
    budget = make_budget(
        cast,
        period=PeriodKind.CUSTOM,
        custom=Period(date(2026, 11, 1), date(2026, 11, 15)),
        limits=Limits(processing=("batch",), tag_key="env", tag_values=("a\r\nb",)),
    )
    alert = raise_alert(budget)

    named = "its budget from 1 to 14 Nov 2026 (batch only, tag env=a b)"
    assert alert_messages.sentence(alert).endswith(f", 84 % of the 100.00 USD of {named}.")
    subject = letter_of(alert, cast).subject
    assert subject == f"[Purser] Search has reached 80 % of {named}"


@pytest.mark.parametrize(
    ("scope", "name"), [("project", "Answers"), ("team", "Search"), (None, "Acme")]
)
def test_it_names_what_the_budget_is_for(cast: Cast, scope: str | None, name: str):
    bound = {"project": cast.answers, "team": cast.search}
    budget = make_budget(cast, **{"team": None} | ({scope: bound[scope]} if scope else {}))

    assert alert_messages.sentence(raise_alert(budget)).startswith(f"{name} has spent")


def test_it_links_to_its_page_where_people_reach_it(cast: Cast, settings):
    settings.PUBLIC_URL = "https://purser.example.com"
    alert = raise_alert(make_budget(cast, team=None))

    said = json.loads(alert_messages.payload(alert))["data"]

    page = f"https://purser.example.com/alerts/{alert.pk}?organization=acme"
    assert said["url"] == page
    assert said["budget"]["scope"] == "organization acme"


def test_a_hard_budget_that_is_used_up_says_what_follows(cast: Cast):
    alert = raise_alert(make_budget(cast, hard=True), 100, "100")
    message = letter_of(alert, cast)

    assert message.subject == "[Purser] Search has reached its monthly budget"
    assert "calls above the cap are to be refused" in message.body
    assert "calls above the cap are to be refused" in message.alternatives[0][0]
    assert json.loads(alert_messages.payload(alert))["data"]["kind"] == "cap_reached"


def test_it_says_what_held_when_the_alert_was_raised(cast: Cast, alert: Alert):
    terms = Terms(Decimal(500), hard=True)
    budgets.change(budget=alert.budget, terms=terms, by="tests", now=NOW)
    alert = Alert.objects.get(pk=alert.pk)

    said = json.loads(alert_messages.payload(alert))["data"]["budget"]

    assert (said["cap"], said["hard"], said["revision"]) == ("100", False, 1)
    assert "84.20 USD, 84 % of the 100.00 USD" in alert_messages.sentence(alert)


def test_a_name_cannot_write_headers_or_markup(by_mail: Delivery, cast: Cast):
    cast.search.name = "Search\r\nBcc: all@example.com\n<b>&\u202egnp.exe"
    cast.search.save()

    send()

    assert state_of(by_mail)[0] == "sent"
    [message] = mail.outbox
    assert message.subject.startswith(
        "[Purser] Search Bcc: all@example.com <b>& gnp.exe has"
    )
    assert message.recipients() == ["lead@example.com"]
    assert "Bcc" not in message.message()
    assert "<b>" in message.body
    assert "&lt;b&gt;&amp; gnp.exe" in message.alternatives[0][0]
    assert "<b>" not in message.alternatives[0][0]


def test_without_a_mail_server_there_are_files(by_mail: Delivery, settings, tmp_path: Path):
    settings.EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    settings.EMAIL_FILE_PATH = tmp_path / "mail"

    send()

    assert state_of(by_mail)[0] == "sent"
    [file] = (tmp_path / "mail").iterdir()
    assert f"Message-ID: <{UID.hex}@localhost>" in file.read_text()


def test_a_mail_server_that_is_down_is_tried_again(by_mail: Delivery, settings):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", port

    send()

    assert state_of(by_mail) == (
        *("waiting", 1),
        "the mail server did not take it: ConnectionRefusedError",
    )


def test_a_message_id_is_of_the_domain_that_sends(cast: Cast, alert: Alert, settings):
    settings.DEFAULT_FROM_EMAIL = "Purser <alerts@example.org>"

    message = letter_of(alert, cast)

    assert message.message()["Message-ID"] == f"<{UID.hex}@example.org>"
    assert message.message()["From"] == "Purser <alerts@example.org>"


# --- The sweep ----------------------------------------------------------------------


def test_the_sweep_raises_what_nobody_saw(cast: Cast, budget: Budget, as_worker):
    wide = make_budget(cast, team=None)
    archived = make_budget(cast)
    budgets.archive(budget=archived, by="tests", now=NOW)
    for one, spent in ((budget, 60), (wide, 85), (archived, 100)):
        with isolation.visible_teams([cast.search.pk]):
            BudgetTotal.objects.create(
                team_id=cast.search.pk,
                budget=one,
                period_start=NOW.date().replace(day=1),
                spent=spent,
            )

    assert sweep.sweep(now=NOW) == 3
    assert sweep.sweep(now=NOW) == 0

    raised = Alert.objects.order_by("budget", "threshold")
    assert list(raised.values_list("budget", "threshold")) == [
        (budget.pk, 50),
        (wide.pk, 50),
        (wide.pk, 80),
    ]


def test_the_sweep_asks_no_more_for_more_budgets(cast: Cast, budget: Budget):
    def queries() -> int:
        with CaptureQueriesContext(connection) as asked:
            sweep.sweep(now=NOW)
        return len(asked)

    sweep.sweep(now=NOW)
    one = queries()
    for amount in (1000, 2000, 3000):
        budgets.create(
            organization=cast.acme,
            team=cast.search,
            period=PeriodKind.MONTH,
            terms=Terms(Decimal(amount)),
            by="tests",
            now=NOW,
        )

    assert 0 < queries() <= one


def test_the_sweep_goes_by_what_a_budget_says_now(cast: Cast, budget: Budget):
    with isolation.visible_teams([cast.search.pk]):
        BudgetTotal.objects.create(
            team_id=cast.search.pk,
            budget=budget,
            period_start=NOW.date().replace(day=1),
            spent=60,
        )
    Budget.objects.filter(pk=budget.pk).update(revision=2, amount=1000)

    assert sweep.sweep(now=NOW) == 0


# --- Wiring -------------------------------------------------------------------------


def test_beat_asks_for_it_each_second_on_a_queue_of_its_own():
    entries = {
        entry["task"]: entry["schedule"] for entry in app.conf.beat_schedule.values()
    }

    assert entries["billing.tasks.deliver_alerts"] == 1.0
    assert entries["billing.tasks.evaluate_budgets"] == 60.0
    assert app.conf.task_routes["billing.tasks.deliver_alerts"] == {"queue": "deliver"}
    assert "deliver" in {queue.name for queue in app.conf.task_queues}


def test_the_tasks_do_it(by_mail: Delivery):
    Delivery.objects.update(due_at=NOW - timedelta(days=400))  # by any clock

    tasks.deliver_alerts()
    tasks.evaluate_budgets()

    assert state_of(by_mail)[0] == "sent"


@pytest.mark.parametrize(("allow", "found"), [([], []), (["a:1"], ["billing.E001"])])
def test_an_exception_for_development_fails_the_deployment_check(settings, allow, found):
    settings.OUTGOING_ALLOW = frozenset(allow)

    said = run_checks(include_deployment_checks=True)

    assert [one.id for one in said if re.match("billing.E", one.id or "")] == found
