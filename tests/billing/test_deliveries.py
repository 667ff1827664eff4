"""What a channel cannot deliver goes by e-mail; each attempt is written down."""

import json
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from decimal import Decimal
from uuid import UUID, uuid4

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.core.exceptions import ValidationError

from billing.actions import (
    alert_states,
    alerts,
    budgets,
    channels,
    deliver,
    deliveries,
    personal_channels,
)
from billing.actions.alert_bodies import pagerduty
from billing.actions.alerts import Occasion
from billing.actions.budgets import Terms
from billing.models import Alert, BudgetTotal, Channel, Delivery, DeliveryAttempt
from billing.pricing.budget_periods import PeriodKind
from billing.reports import deliveries as reports
from billing.reports.deliveries import Health
from teams import isolation
from teams.actions import memberships
from teams.models import AuditEvent, Role, Team
from tests.conftest import NOW, Cast
from tests.receivers import Habit, Receiver, answers, receiving, resets

KEY = "0123456789abcdef0123456789abcDEF"
SECOND = timedelta(seconds=1)


def make(cast: Cast, kind: str, target: str, **more) -> Channel:
    channel, _ = channels.create(
        organization=cast.acme,
        kind=Channel.Kind(kind),
        target=target,
        by="tests",
        now=NOW,
        **more,
    )
    return channel


def person(
    name: str, role: Role | None, cast: Cast, team: Team | None = None, **more
) -> User:
    more.setdefault("email", f"{name}@example.com")
    user = User.objects.create_user(name, **more)
    if role:
        memberships.grant(
            user=user, organization=cast.acme, team=team, role=role, by="tests", now=NOW
        )
    return user


def happen(cast: Cast, team: Team | None = None, name: str = "x", **more) -> Alert:
    """Something that all channels of the team and above it hear of."""
    details = {"provider": "anthropic", "name": name}
    occasion = Occasion(f"anthropic {name}", details=details, team=team, **more)
    kind = Alert.Kind.UNPRICED_MODEL
    alerts.keep(organization=cast.acme, kind=kind, holding=[occasion], now=NOW)
    return Alert.objects.get(organization=cast.acme, subject=occasion.subject)


@pytest.fixture
def receivers(settings) -> Iterator[Callable[[Habit], Receiver]]:
    running = []

    def start(habit: Habit) -> Receiver:
        running.append(receiving(habit))
        receiver: Receiver = running[-1].__enter__()
        settings.OUTGOING_ALLOW |= {receiver.place}
        return receiver

    yield start
    for receiver in running:
        receiver.__exit__(None, None, None)


def send(now=NOW) -> int:
    return deliver.send_due(clock=lambda: now, spread=lambda: 0)


def send_all(now=NOW) -> None:
    """Until nothing is due any more, each attempt when it is."""
    while due := Delivery.objects.filter(state="waiting").order_by("due_at").first():
        send(max(now, due.due_at))


def states(alert: Alert) -> dict[str, str]:
    its = Delivery.objects.filter(alert=alert).select_related("channel__user")
    return {str(one.channel): one.state for one in its}


# --- Falling back -------------------------------------------------------------------


def test_what_a_webhook_refuses_for_days_goes_to_the_mail_that_listens(
    cast: Cast, receivers
):
    hook = make(cast, "webhook", receivers(answers(500)).url)
    alert = happen(cast)
    make(cast, "email", "lead@example.com")  # after it: it does not have this one

    send_all()

    assert states(alert) == {str(hook): "dead", "email lead@example.com": "sent"}
    [message] = mail.outbox
    assert message.to == ["lead@example.com"]
    for said in (message.body, message.alternatives[0][0]):
        assert (
            "Signed webhook (127.0.0.1) was to say this and could not: the receiver "
            "answered 500." in said
        )


def test_who_has_it_by_mail_already_gets_it_once(cast: Cast, receivers):
    make(cast, "email", "lead@example.com")
    make(cast, "webhook", receivers(answers(410)).url)
    happen(cast)

    send_all()

    assert len(mail.outbox) == 1


def test_without_a_mail_channel_it_goes_to_who_may_act(cast: Cast, receivers):
    person("vera", Role.VIEWER, cast)
    person("lars", Role.LEAD, cast, cast.search)
    fiona = person("fiona", Role.FINANCE, cast, cast.search)
    person("adam", Role.ADMIN, cast)
    person("other", Role.FINANCE, cast, cast.support)
    person("mute", Role.ADMIN, cast, email="")
    person("gone", Role.ADMIN, cast, is_active=False)
    person("root", None, cast, is_superuser=True)
    make(cast, "webhook", receivers(answers(410)).url, team=cast.search)
    happen(cast, cast.search)

    send_all()

    assert {to for one in mail.outbox for to in one.to} == {
        "fiona@example.com",
        "adam@example.com",
    }
    assert personal_channels.of(fiona, cast.acme) is None
    assert Channel.objects.get(user=fiona).stand_in


def test_where_nobody_may_act_it_goes_to_who_runs_the_installation(cast: Cast, receivers):
    person("vera", Role.VIEWER, cast)
    person("root", None, cast, is_superuser=True)
    make(cast, "webhook", receivers(answers(410)).url)
    happen(cast)

    send_all()

    assert [message.to for message in mail.outbox] == [["root@example.com"]]


def test_a_stand_in_hears_of_nothing_by_itself(cast: Cast, receivers):
    adam = person("adam", Role.ADMIN, cast)
    personal_channels.reaching(adam, cast.acme, now=NOW)
    make(cast, "webhook", receivers(answers(200)).url)

    assert states(happen(cast)).keys() == {"webhook 127.0.0.1"}


def test_a_channel_that_ends_hands_on_what_is_waiting(cast: Cast):
    hook = make(cast, "webhook", "https://a.example.com/")
    person("adam", Role.ADMIN, cast)
    alert = happen(cast)

    channels.disable(channel=hook, by="tests", now=NOW)

    assert states(alert) == {str(hook): "dead", "email adam@example.com": "waiting"}
    instead = Delivery.objects.get(alert=alert, channel__kind="email")
    assert instead.instead_of == Delivery.objects.get(alert=alert, channel=hook)


def test_what_a_sender_has_taken_is_left_to_it(cast: Cast):
    """It is given up when it comes back with nothing, and not before."""
    hook = make(cast, "webhook", "https://a.example.com/")
    person("adam", Role.ADMIN, cast)
    alert = happen(cast)
    Delivery.objects.update(state="sending", attempts=1, due_at=NOW)

    channels.disable(channel=hook, by="tests", now=NOW)
    assert states(alert) == {str(hook): "sending"}
    send()

    assert states(alert)[str(hook)] == "dead"
    assert states(alert).keys() == {str(hook), "email adam@example.com"}


def test_mail_that_cannot_be_sent_shows_and_goes_nowhere(cast: Cast, settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9
    channel = make(cast, "email", "lead@example.com")
    person("adam", Role.ADMIN, cast)
    alert = happen(cast)

    send_all()

    assert states(alert) == {"email lead@example.com": "dead"}
    [state] = reports.of_channels([channel])
    assert (state.health, state.is_red) == (Health.DEAD, True)


def test_giving_up_and_the_mail_instead_are_one_commit(cast: Cast, receivers, monkeypatch):
    make(cast, "webhook", receivers(answers(410)).url)
    make(cast, "email", "lead@example.com", team=cast.support)
    alert = happen(cast)

    def broken(*arguments: object, **more: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(deliveries, "address", broken)
    person("adam", Role.ADMIN, cast)
    with pytest.raises(RuntimeError):
        send()

    assert states(alert) == {"webhook 127.0.0.1": "sending"}
    assert Channel.objects.get(kind="webhook").disabled_at is None


# --- Attempts -----------------------------------------------------------------------


def test_each_attempt_is_written_down(cast: Cast, receivers):
    make(cast, "webhook", receivers(resets).url)
    happen(cast)
    make(cast, "email", "lead@example.com")
    asked = iter([NOW, NOW, NOW + 2 * SECOND])

    deliver.send_due(clock=lambda: next(asked), spread=lambda: 0)

    delivery = Delivery.objects.get()
    [attempt] = reports.attempts(delivery)
    assert (attempt.number, attempt.outcome) == (1, "failed")
    assert attempt.error == "the connection failed: Connection reset by peer"
    assert (attempt.started_at, attempt.milliseconds) == (NOW, 2000)

    send_all()

    assert DeliveryAttempt.objects.filter(delivery=delivery).count() == 10


def test_an_attempt_whose_sender_died_is_not_left_out(cast: Cast, receivers):
    make(cast, "webhook", receivers(answers(200)).url)
    happen(cast)
    Delivery.objects.update(state="sending", attempts=1, due_at=NOW)

    send()

    delivery = Delivery.objects.get()
    outcomes = [attempt.outcome for attempt in reports.attempts(delivery)]
    assert outcomes == ["unknown", "accepted"]


# --- Once more ----------------------------------------------------------------------


def given_up(cast: Cast, url: str) -> Delivery:
    make(cast, "webhook", url)
    happen(cast)
    Delivery.objects.update(state="dead", attempts=10, last_error="the receiver is ill")
    return Delivery.objects.get()


def test_what_was_given_up_can_be_sent_again(cast: Cast, receivers):
    receiver = receivers(answers(200))
    delivery = given_up(cast, receiver.url)
    uid = delivery.message_id

    deliveries.send_again(delivery=delivery, by="finance", now=NOW)
    send()

    delivery.refresh_from_db()
    assert (delivery.state, delivery.attempts) == ("sent", 11)
    [request] = receiver.requests
    assert request.headers["webhook-id"] == f"msg_{uid.hex}"
    event = AuditEvent.objects.get(action="delivery.send_again")
    assert (event.actor, event.subject) == ("finance", f"delivery {delivery.pk}")


def test_it_has_the_whole_schedule_again(cast: Cast, receivers):
    receiver = receivers(answers(500))
    delivery = given_up(cast, receiver.url)

    deliveries.send_again(delivery=delivery, by="finance", now=NOW)
    send_all()

    delivery.refresh_from_db()
    assert (delivery.state, delivery.attempts) == ("dead", 20)
    assert len(receiver.requests) == 10


@pytest.mark.parametrize("state", ["waiting", "sending", "sent"])
def test_only_what_was_given_up_is_sent_again(cast: Cast, state: str):
    delivery = given_up(cast, "https://a.example.com/")
    Delivery.objects.update(state=state)

    with pytest.raises(ValidationError, match="given up"):
        deliveries.send_again(delivery=delivery, by="finance", now=NOW)


def test_nothing_is_sent_again_to_a_channel_that_ended(cast: Cast):
    delivery = given_up(cast, "https://a.example.com/")
    channels.disable(channel=delivery.channel, by="tests", now=NOW)

    with pytest.raises(ValidationError, match="disabled"):
        deliveries.send_again(delivery=delivery, by="finance", now=NOW)


# --- Slack --------------------------------------------------------------------------


def test_slack_gets_a_text_that_pings_nobody(cast: Cast, receivers):
    cast.acme.name = "<!channel> & <@U024BE7LH>"
    cast.acme.save()
    receiver = receivers(answers(200, b"ok"))
    channel = make(cast, "slack", receiver.url)

    delivery = channels.send_test(channel=channel, by="<!here>", now=NOW)
    send()

    assert Delivery.objects.get(pk=delivery.pk).state == "sent"
    [request] = receiver.requests
    text = json.loads(request.body)["text"]
    assert "&lt;!channel&gt; &amp; &lt;@U024BE7LH&gt;" in text
    assert "<!" not in text
    assert "<@" not in text
    page = f"http://localhost:8000/alerts/{delivery.alert_id}?organization=acme"
    assert text.endswith(f"\n<{page}|Open Purser> · alert {delivery.alert_id}")
    assert "webhook-signature" not in request.headers


# --- PagerDuty ----------------------------------------------------------------------


@pytest.fixture
def pager(cast: Cast, receivers, settings) -> Receiver:
    receiver = receivers(answers(202, b'{"status":"success"}'))
    settings.PAGERDUTY_URL = receiver.url
    make(cast, "pagerduty", KEY)
    return receiver


def paged(receiver: Receiver) -> list[tuple[str, str]]:
    bodies = [json.loads(request.body) for request in receiver.requests]
    return [(one["event_action"], one["dedup_key"]) for one in bodies]


def test_pagerduty_opens_an_incident_and_closes_it(cast: Cast, pager: Receiver):
    alert = happen(cast)
    key = f"purser-acme-alert-{alert.pk}"
    send()
    assert paged(pager) == [("trigger", key)]
    body = json.loads(pager.requests[0].body)
    assert body["routing_key"] == KEY
    assert body["payload"]["summary"].startswith("anthropic x has no price")
    assert body["payload"]["severity"] == "warning"

    alert_states.acknowledge(alert=alert, by="lars", now=NOW)
    send()
    kind = Alert.Kind.UNPRICED_MODEL
    alerts.keep(organization=cast.acme, kind=kind, holding=[], now=NOW)
    send()

    assert paged(pager) == [(one, key) for one in ("trigger", "acknowledge", "resolve")]


def test_an_edit_leaves_the_incident_of_a_level_as_it_is(cast: Cast, pager: Receiver):
    budget = budgets.create(
        organization=cast.acme,
        team=cast.search,
        period=PeriodKind.MONTH,
        terms=Terms(Decimal(100), thresholds=()),
        by="tests",
        now=NOW,
    )
    with isolation.visible_teams([cast.search.pk]):
        BudgetTotal.objects.create(
            team=cast.search,
            budget=budget,
            period_start=NOW.date().replace(day=1),
            spent=120,
        )
        alerts.evaluate(budget, now=NOW)
    send()
    alert_states.acknowledge(alert=Alert.objects.get(), by="lars", now=NOW)
    send()

    for amount in (110, 500):
        terms = Terms(Decimal(amount), thresholds=())
        budgets.change(budget=budget, terms=terms, by="tests", now=NOW)
        while send():
            pass
        if amount == 110:
            known = Alert.objects.get(revision=2)
            assert (known.state, known.acknowledged_by) == ("acknowledged", "lars")

    key = f"purser-acme-budget-{budget.pk}-2026-11-01-100"
    assert paged(pager) == [(one, key) for one in ("trigger", "acknowledge", "resolve")]


def test_what_came_of_an_alert_waits_until_it_was_said(cast: Cast, pager: Receiver):
    """An incident that is closed before it is opened stays open."""
    happen(cast)
    Delivery.objects.update(due_at=NOW + 5 * SECOND)
    kind = Alert.Kind.UNPRICED_MODEL
    alerts.keep(organization=cast.acme, kind=kind, holding=[], now=NOW)

    assert send() == 0
    assert send(NOW + 5 * SECOND) == 1
    assert send(NOW + 5 * SECOND) == 1

    assert [action for action, _ in paged(pager)] == ["trigger", "resolve"]


def end_it(cast: Cast) -> None:
    kind = Alert.Kind.UNPRICED_MODEL
    alerts.keep(organization=cast.acme, kind=kind, holding=[], now=NOW)


def test_it_is_opened_and_closed_as_often_as_it_holds(cast: Cast, pager: Receiver):
    """One after the other, though all are due at once."""
    for _ in range(3):
        alert = happen(cast)
        end_it(cast)
    while send():
        pass

    key = f"purser-acme-alert-{alert.pk}"
    assert paged(pager) == 3 * [("trigger", key), ("resolve", key)]


def test_it_is_opened_again_as_somebody_takes_care_of_it(cast: Cast, pager: Receiver):
    alert_states.acknowledge(alert=happen(cast), by="lars", now=NOW)
    end_it(cast)
    assert happen(cast).state == "acknowledged"
    while send():
        pass

    once = ["trigger", "acknowledge"]
    assert [action for action, _ in paged(pager)] == [*once, "resolve", *once]


def test_what_re_opens_is_news_to_no_other_channel(cast: Cast, pager: Receiver):
    make(cast, "email", "lead@example.com")
    make(cast, "webhook", "https://a.example.com/")
    for _ in range(2):
        alert = happen(cast)
        end_it(cast)

    sent = Delivery.objects.filter(alert=alert).values_list("channel__kind", "event")
    assert sorted(sent) == [
        ("email", "fired"),
        *[("pagerduty", "fired")] * 2,
        *[("pagerduty", "resolved")] * 2,
        ("webhook", "fired"),
    ]


def test_what_cannot_be_opened_again_goes_to_mail_that_has_it_not(
    cast: Cast, pager: Receiver
):
    happen(cast)
    end_it(cast)
    while send():
        pass
    make(cast, "email", "lead@example.com")
    for _ in range(2):
        alert = happen(cast)
        waiting = Delivery.objects.filter(state="waiting", channel__kind="pagerduty")
        deliveries.give_up(waiting, error="410", now=NOW)
        end_it(cast)

    mails = alert.deliveries.filter(channel__kind="email")
    assert [(one.firing, one.instead_of.event) for one in mails] == [(1, "fired")]


def test_a_level_that_is_reached_again_opens_its_incident_again(
    cast: Cast, pager: Receiver
):
    budget = budgets.create(
        organization=cast.acme,
        team=cast.search,
        period=PeriodKind.MONTH,
        terms=Terms(Decimal(100), thresholds=()),
        by="tests",
        now=NOW,
    )
    its = {"team": cast.search, "budget": budget, "period_start": date(2026, 11, 1)}
    with isolation.visible_teams([cast.search.pk]):
        for spent in (120, 80, 120):
            BudgetTotal.objects.update_or_create(**its, defaults={"spent": spent})
            alerts.evaluate(budget, now=NOW)
    while send():
        pass

    key = f"purser-acme-budget-{budget.pk}-2026-11-01-100"
    assert paged(pager) == [(one, key) for one in ("trigger", "resolve", "trigger")]


def test_only_what_keeps_incidents_is_told_of_the_end(cast: Cast):
    make(cast, "email", "lead@example.com")
    make(cast, "webhook", "https://a.example.com/")
    make(cast, "slack", "https://b.example.com/")
    alert = happen(cast)

    deliveries.follow(alert=alert, event=Delivery.Event.RESOLVED, now=NOW)

    assert set(Delivery.objects.values_list("event", flat=True)) == {"fired"}


@pytest.mark.parametrize("kind", Alert.Kind)
def test_each_kind_has_a_severity(kind: Alert.Kind):
    words = {"critical", "error", "warning", "info"}

    assert pagerduty.severity(Alert(kind=kind)) in words


def test_a_cap_that_is_reached_is_critical():
    assert pagerduty.severity(Alert(kind="cap_reached")) == "critical"


# --- Tests --------------------------------------------------------------------------


def test_a_test_goes_the_way_of_an_alert(cast: Cast, receivers):
    receiver = receivers(answers(204))
    channel = make(cast, "webhook", receiver.url)
    other = make(cast, "webhook", f"{receiver.url}/other")

    delivery = channels.send_test(channel=channel, by="finance", now=NOW)
    send()

    delivery.refresh_from_db()
    assert (delivery.state, delivery.channel) == ("sent", channel)
    assert not Delivery.objects.filter(channel=other).exists()
    said = json.loads(receiver.requests[0].body)["data"]
    assert (said["kind"], said["test"]) == ("test", True)
    assert delivery.alert.state == "resolved"
    assert AuditEvent.objects.get(action="channel.test").actor == "finance"


def test_a_test_that_fails_is_red_at_once_and_bothers_nobody(cast: Cast, receivers):
    person("adam", Role.ADMIN, cast)
    channel = make(cast, "slack", receivers(answers(404, b"no_service")).url)

    channels.send_test(channel=channel, by="finance", now=NOW)
    send()

    [state] = reports.of_channels([channel])
    assert state.health == Health.DEAD
    assert state.last is not None
    assert state.last.last_error == "the receiver answered 404"
    assert Delivery.objects.count() == 1


def test_a_test_opens_no_incident_that_stays(cast: Cast, pager: Receiver):
    channels.send_test(channel=Channel.objects.get(), by="finance", now=NOW)
    while send():
        pass

    assert [action for action, _ in paged(pager)] == ["trigger", "resolve"]


def test_a_channel_is_tried_every_ten_seconds(cast: Cast):
    channel = make(cast, "email", "lead@example.com")
    channels.send_test(channel=channel, by="finance", now=NOW)

    with pytest.raises(channels.TooSoon) as caught:
        channels.send_test(channel=channel, by="finance", now=NOW + 9 * SECOND)
    channels.send_test(channel=channel, by="finance", now=NOW + 10 * SECOND)

    assert caught.value.seconds == 1
    assert Alert.objects.filter(kind="test").count() == 2


def test_a_channel_that_ended_is_not_tried(cast: Cast):
    channel = make(cast, "email", "lead@example.com")
    channels.disable(channel=channel, by="finance", now=NOW)

    with pytest.raises(ValidationError, match="disabled"):
        channels.send_test(channel=channel, by="finance", now=NOW)


def test_a_test_by_mail_says_so(cast: Cast):
    channel = make(cast, "email", "lead@example.com")
    channels.send_test(channel=channel, by="finance", now=NOW)
    send()

    [message] = mail.outbox
    assert message.subject == "[Purser] A test of this channel"
    assert "finance tries this channel of Acme: nothing has happened." in message.body


# --- Somebody's own -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "team", "hears"),
    [
        (Role.VIEWER, None, {"search", "support", "whole"}),
        (Role.VIEWER, "search", {"search"}),
        (None, None, set()),
    ],
)
def test_a_person_hears_of_what_they_may_see(
    cast: Cast, role: Role | None, team: str | None, hears: set[str]
):
    vera = person("vera", role, cast, getattr(cast, team) if team else None)
    personal_channels.listen(user=vera, organization=cast.acme, now=NOW)
    told = {
        name
        for name, of in (
            ("search", cast.search),
            ("support", cast.support),
            ("whole", None),
        )
        if states(happen(cast, of, name))
    }

    assert told == hears


def test_they_hear_of_projects_that_their_team_owns(cast: Cast):
    vera = person("vera", Role.VIEWER, cast, cast.search)
    personal_channels.listen(user=vera, organization=cast.acme, now=NOW)

    assert states(happen(cast, cast.search, project=cast.answers))


def test_so_do_the_channels_of_that_team(cast: Cast):
    vera = person("vera", Role.VIEWER, cast, cast.search)
    personal_channels.listen(user=vera, organization=cast.acme, now=NOW)
    make(cast, "email", "search@example.com", team=cast.search)
    make(cast, "email", "support@example.com", team=cast.support)

    told = states(happen(cast, project=cast.answers))

    assert told.keys() == {"email vera@example.com", "email search@example.com"}


def test_who_left_hears_nothing_more(cast: Cast):
    vera = person("vera", Role.VIEWER, cast)
    personal_channels.listen(user=vera, organization=cast.acme, now=NOW)
    vera.is_active = False
    vera.save()

    assert not states(happen(cast))


def test_mail_goes_to_the_address_of_the_account_as_it_is_now(cast: Cast):
    vera = person("vera", Role.VIEWER, cast)
    personal_channels.listen(user=vera, organization=cast.acme, now=NOW)
    happen(cast)
    vera.email = "vera@new.example.com"
    vera.save()

    send()

    assert mail.outbox[0].to == ["vera@new.example.com"]


def test_it_is_switched_on_and_off_and_stays_one(cast: Cast):
    vera = person("vera", Role.VIEWER, cast)
    whose = {"user": vera, "organization": cast.acme, "now": NOW}
    for _ in range(2):
        personal_channels.listen(**whose)
    personal_channels.stop(**whose)
    assert not states(happen(cast))
    personal_channels.stop(**whose)
    personal_channels.listen(**whose)

    assert Channel.objects.count() == 1
    assert states(happen(cast, name="y"))


def test_nobody_hears_without_an_address(cast: Cast):
    vera = person("vera", Role.VIEWER, cast, email="")

    with pytest.raises(ValidationError, match="no e-mail address"):
        personal_channels.listen(user=vera, organization=cast.acme, now=NOW)


# --- How a channel does -------------------------------------------------------------


@pytest.mark.parametrize(
    ("made", "health", "red"),
    [
        ([], Health.UNUSED, False),
        (["sent"], Health.WORKS, False),
        (["waiting"], Health.WAITING, False),
        (["failed"], Health.FAILING, True),
        (["sent", "failed", "waiting"], Health.FAILING, True),
        (["dead"], Health.DEAD, True),
        (["dead", "waiting"], Health.DEAD, True),
        (["dead", "sent"], Health.WORKS, False),
    ],
)
def test_a_channel_is_red_until_something_arrives(
    cast: Cast, made: list[str], health: Health, red: bool
):
    channel = make(cast, "webhook", "https://a.example.com/")
    for number, state in enumerate(made):
        Delivery.objects.filter(alert=happen(cast, name=str(number))).update(
            state="waiting" if state == "failed" else state,
            last_error="it is ill" if state in ("failed", "dead") else "",
        )

    [state] = reports.of_channels([channel])

    assert (state.health, state.is_red) == (health, red)


def test_the_worker_may_do_all_of_it(cast: Cast, receivers, as_worker):
    person("adam", Role.ADMIN, cast)
    make(cast, "webhook", receivers(answers(410)).url)
    happen(cast)

    send_all()

    assert mail.outbox[0].to == ["adam@example.com"]


def test_ids_are_new_for_each(cast: Cast):
    make(cast, "email", "a@example.com")
    make(cast, "email", "b@example.com")
    happen(cast)

    ids: set[UUID] = set(Delivery.objects.values_list("message_id", flat=True))
    assert len(ids | {uuid4()}) == 3
