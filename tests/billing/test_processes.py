"""Who is at work: touched by each, said by /readyz and the overview, called outside."""

import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from billing import tasks
from billing.actions import heartbeats, verifications
from billing.models import Heartbeat
from billing.reports import processes
from config.celery import app
from teams.models import Organization
from tests.conftest import NOW, Cast
from tests.receivers import Receiver, answers, receiving

pytestmark = pytest.mark.django_db

WORKER, SENDER, BEAT = Heartbeat.Name
MINUTE = timedelta(minutes=1)


def all_at_work(now=NOW) -> None:
    for name in Heartbeat.Name:
        Heartbeat.objects.update_or_create(name=name, defaults={"at": now})


def at(name: Heartbeat.Name):
    return Heartbeat.objects.get(name=name).at


def overdue(now=NOW) -> set[str]:
    return {one.name for one in processes.silent(now=now)}


def test_it_is_written_down_every_ten_seconds_at_most():
    all_at_work()

    heartbeats.touch(WORKER, now=NOW + timedelta(seconds=9))
    assert at(WORKER) == NOW

    heartbeats.touch(WORKER, now=NOW + timedelta(seconds=10))
    assert at(WORKER) == NOW + timedelta(seconds=10)
    assert at(SENDER) == NOW


def test_a_clock_that_was_set_back_is_followed():
    """Else nobody would be missed until it is that late again."""
    all_at_work(NOW + timedelta(hours=1))

    heartbeats.touch(BEAT, now=NOW)

    assert at(BEAT) == NOW


def test_the_first_of_its_kind_begins():
    Heartbeat.objects.all().delete()

    heartbeats.touch(SENDER, now=NOW)

    assert overdue() == {WORKER, BEAT}


def test_three_minutes_are_too_long():
    all_at_work()

    assert overdue(NOW + 3 * MINUTE) == set()
    assert overdue(NOW + 3 * MINUTE + timedelta(microseconds=1)) == set(Heartbeat.Name)


def test_each_task_says_who_does_it(as_worker):
    long_ago = NOW - timedelta(days=400)
    all_at_work(long_ago)

    tasks.count_postings()
    assert [at(name) == long_ago for name in (WORKER, SENDER, BEAT)] == [False, True, True]

    tasks.deliver_alerts()
    assert at(SENDER) != long_ago


def test_the_probe_names_who_is_silent_as_no_problem_of_its_own(client: Client):
    all_at_work(timezone.now())
    Heartbeat.objects.filter(name=SENDER).update(at=timezone.now() - 4 * MINUTE)
    Heartbeat.objects.filter(name=BEAT).delete()

    response = client.get("/readyz")

    assert not any("sender" in problem for problem in response.json()["problems"])
    said = response.json()["processes"]
    assert {name: one["overdue"] for name, one in said.items()} == {
        "worker": False,
        "sender": True,
        "beat": True,
    }
    assert said["beat"]["seen_at"] is None


@pytest.fixture
def deadman(settings) -> Iterator[Receiver]:
    with receiving(answers(200)) as receiver:
        settings.DEADMAN_URL = receiver.url
        settings.OUTGOING_ALLOW = frozenset([receiver.place])
        yield receiver


def call() -> None:
    """What beat asks for each minute, to its end."""
    tasks.say_all_is_well()
    for thread in threading.enumerate():
        if thread.name == "deadman":
            thread.join()


def verified(ok: bool, now=None) -> None:
    now = now or timezone.now()
    checks = [{"name": "sums", "ok": ok, "found": "", "examples": []}]
    verifications.keep(started_at=now, finished_at=now, checks=checks)


def test_all_is_well(deadman: Receiver):
    all_at_work(timezone.now())

    call()
    verified(True)
    call()

    assert [request.path for request in deadman.requests] == ["/hook", "/hook"]


@pytest.mark.parametrize("name", Heartbeat.Name)
def test_nobody_calls_while_one_is_silent(deadman: Receiver, name: Heartbeat.Name):
    all_at_work(timezone.now())
    Heartbeat.objects.filter(name=name).update(at=timezone.now() - 4 * MINUTE)

    call()

    assert deadman.connections == 0


def test_nobody_calls_while_the_ledger_is_wrong(deadman: Receiver):
    all_at_work(timezone.now())
    verified(False)

    call()

    assert deadman.connections == 0


def test_nobody_calls_while_the_ledger_is_verified_no_more(cast: Cast, deadman: Receiver):
    now = timezone.now()
    all_at_work(now)

    call()
    assert deadman.connections == 1  # there is nothing older than the verifier's turn
    Organization.objects.filter(pk=cast.acme.pk).update(created_at=now - 121 * MINUTE)
    call()
    verified(True, now - 121 * MINUTE)
    call()
    assert deadman.connections == 1
    verified(True)
    call()
    assert deadman.connections == 2


def test_a_call_that_fails_is_logged_without_the_address(settings, caplog):
    all_at_work(timezone.now())
    with receiving(answers(404)) as receiver:
        settings.DEADMAN_URL = f"http://{receiver.place}/secret"
        settings.OUTGOING_ALLOW = frozenset([receiver.place])
        call()
    settings.OUTGOING_ALLOW = frozenset()
    call()

    assert "the dead-man URL answered 404" in caplog.text
    assert "was not reached: the URL has to start with https" in caplog.text
    assert "secret" not in caplog.text


def test_without_an_address_nobody_is_called(settings):
    all_at_work(timezone.now())
    assert settings.DEADMAN_URL == ""

    call()


def test_it_is_asked_for_each_minute():
    entries = {one["task"]: one["schedule"] for one in app.conf.beat_schedule.values()}

    assert entries["billing.tasks.say_all_is_well"] == 60.0


def test_the_overview_says_who_is_missing(cast: Cast, django_user_model, as_app):
    with connection.cursor() as cursor:
        cursor.execute("RESET ROLE")
    all_at_work(timezone.now())
    Heartbeat.objects.filter(name=SENDER).update(at=NOW - timedelta(days=1))
    root = django_user_model.objects.create_superuser("root", password="x")
    client = Client()
    client.force_login(root)

    html = " ".join(client.get("/").content.decode().split())

    assert "Sender: not seen at work since" in html
    assert "Alerts are raised, and not sent until it is back." in html
    assert "Worker: not seen" not in html
