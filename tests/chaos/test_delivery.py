"""Every alert arrives or shows red and goes by e-mail; nobody falls silent unseen.

Receivers of all habits, a mail server that first refuses, and a sender that is killed
at each step of a delivery. What waits is made due by the test, never by waiting.
"""

import json
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.chaos.service import Service, await_that
from tests.mail_server import MailServer, taking_mail
from tests.receivers import (
    Habit,
    Receiver,
    answers,
    drips,
    hangs,
    in_turn,
    receiving,
    resets,
)

# As tests/chaos/startup/dying_sender.py knows them; an alert for each.
MOMENTS = (
    "before the lease",
    "leased, not sent",
    "accepted, not noted",
    "noted, not committed",
    "noted and committed",
)
DRIP = drips(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
# What the first attempts of a message meet; those after them are accepted.
FIRST: dict[str, tuple[Habit, ...]] = {
    "at once": (),
    "after an error": (answers(500),),
    "after a pause": (answers(429, Retry_After="1"),),
    "after silence": (hangs,),
    "after two resets": (resets, resets),
    "after dripping": (DRIP,),
}
NEVER = {"error": answers(500), "gone": answers(410), "silent": hangs}
GIVEN_UP = {
    "error": "the receiver answered 500",
    "gone": "410: the receiver wants no more",
    "silent": "no complete reply within 1 seconds",
}
SECONDS = 30
SOON = 60

SET_UP = """
from datetime import timedelta
from django.contrib.auth.models import User
from django.utils import timezone
from billing.actions import alerts, channels
from billing.actions.alerts import Occasion
from billing.models import Alert, Channel
from teams.actions import memberships, organizations
from teams.models import Role
now = timezone.now()
made = {{"by": "tests", "now": now}}
organization = organizations.create(
    name="Delivery", slug="delivery", time_zone="UTC", **made)
user = User.objects.create_user("finance-of-delivery", email="finance@example.com")
memberships.grant(user=user, organization=organization, role=Role.FINANCE, **made)
for url in {urls!r}:
    channels.create(
        organization=organization, kind=Channel.Kind.WEBHOOK, target=url, **made)
alerts.keep(
    organization=organization, kind=Alert.Kind.UNPRICED_MODEL,
    holding=[Occasion(f"anthropic {{n}}", details={{"provider": "x", "name": str(n)}})
             for n in range({alerts})],
    now=now + timedelta(days=1))
"""


@pytest.fixture(scope="module")
def mail_server() -> Iterator[MailServer]:
    with taking_mail(refuses=1) as server:
        yield server


@pytest.fixture(scope="module")
def receivers() -> Iterator[dict[str, Receiver]]:
    arriving = {name: in_turn(*first, answers(204)) for name, first in FIRST.items()}
    habits = arriving | NEVER | {"deadman": answers(200)}
    with ExitStack() as running:
        yield {
            name: running.enter_context(receiving(habit)) for name, habit in habits.items()
        }


@pytest.fixture(scope="module")
def service(receivers: dict[str, Receiver], mail_server: MailServer) -> Iterator[Service]:
    with Service(
        ",".join(receiver.place for receiver in receivers.values()),
        plants=["dying_sender", "short_patience"],
        EMAIL_URL=mail_server.url,
        DEADMAN_URL=receivers["deadman"].url,
    ) as service:
        yield service


def test_every_alert_arrives_or_shows_red_whenever_the_sender_dies(
    service: Service, receivers: dict[str, Receiver], mail_server: MailServer
) -> None:
    urls = [receivers[name].url for name in (*FIRST, *NEVER)]
    service.shell(SET_UP.format(urls=urls, alerts=len(MOMENTS)))
    alerts = [pk for (pk,) in service.query("SELECT id FROM billing_alert ORDER BY id")]
    assert len(alerts) == len(MOMENTS)

    for alert, moment in zip(alerts, MOMENTS, strict=True):
        die(service, moment)
        make_due(service, f"alert_id = {alert}")
        await_that(lambda: not service.processes["sender"].alive(), SECONDS, moment)
        rescue(service)
        service.processes["sender"].start()
    await_that(lambda: all_ended(service), SECONDS * 4, "all have ended", pause=0.2)

    deaths, ids = len(MOMENTS), ids_of(service)
    for name, first in FIRST.items():
        met = seen(receivers[name])
        assert ids.get((receivers[name].url, "sent")) == set(met), name
        assert len(met) == len(alerts), name
        assert max(met.values()) - len(first) <= 1 + deaths, name
    reasons = reasons_of(service)
    for name, reason in GIVEN_UP.items():
        dead = ids[receivers[name].url, "dead"]
        assert len(dead) == len(alerts), name
        assert set(seen(receivers[name])) <= dead
        assert reason in reasons[receivers[name].url]
    by_mail = Counter(message["Message-ID"] for message in mail_server.messages)
    stood_in = service.query(
        "SELECT replace(message_id::text, '-', '') FROM billing_delivery"
        " WHERE instead_of_id IS NOT NULL AND state = 'sent'"
    )
    assert {f"<{uid}@localhost>" for (uid,) in stood_in} == set(by_mail)
    assert len(by_mail) == len(alerts)
    assert max(by_mail.values()) <= 1 + deaths


def seen(receiver: Receiver) -> Counter[str]:
    return Counter(request.headers["webhook-id"] for request in receiver.requests)


def ids_of(service: Service) -> dict[tuple[str, str], set[str]]:
    """By receiver and state, the ids that its messages have."""
    found: dict[tuple[str, str], set[str]] = {}
    for target, state, uid in service.query(
        "SELECT c.target, d.state, 'msg_' || replace(d.message_id::text, '-', '')"
        " FROM billing_delivery d JOIN billing_channel c ON c.id = d.channel_id"
    ):
        found.setdefault((target, state), set()).add(uid)
    return found


def reasons_of(service: Service) -> dict[str, set[str]]:
    """By receiver, why messages to it were given up."""
    found: dict[str, set[str]] = {}
    for target, error in service.query(
        "SELECT c.target, d.last_error FROM billing_delivery d"
        " JOIN billing_channel c ON c.id = d.channel_id WHERE d.state = 'dead'"
    ):
        found.setdefault(target, set()).add(error)
    return found


def die(service: Service, moment: str) -> None:
    (service.home.path / "death").write_text(moment)


def make_due(service: Service, where: str) -> None:
    service.query(
        "UPDATE billing_delivery SET due_at = now() WHERE state = 'waiting'"
        f" AND due_at > now() AND {where} RETURNING 1"
    )


def rescue(service: Service) -> None:
    """The lease of a sender that is dead ends now, and not in a minute."""
    service.query(
        "UPDATE billing_delivery SET due_at = now() WHERE state = 'sending' RETURNING 1"
    )


def all_ended(service: Service) -> bool:
    """Whether nothing is on its way; what waits for its next attempt need not wait."""
    make_due(service, "attempts > 0 OR instead_of_id IS NOT NULL")
    left = "SELECT count(*) FROM billing_delivery WHERE state IN ('waiting', 'sending')"
    return service.query(left) == [(0,)]


# --- Who is at work -----------------------------------------------------------------


def processes_of(service: Service) -> dict[str, Any]:
    url = f"http://127.0.0.1:{service.port}/readyz"
    with urllib.request.urlopen(url, timeout=10) as reply:
        said: dict[str, Any] = json.load(reply)
    return said["processes"]


def overdue(service: Service) -> set[str]:
    return {name for name, one in processes_of(service).items() if one["overdue"]}


RAISE = """
from django.utils import timezone
from billing.actions import channels
from billing.models import Channel
from teams.actions import organizations
made = {{"by": "tests", "now": timezone.now()}}
organization = organizations.create(
    name="{name}", slug="silent-{name}", time_zone="UTC", **made)
channel, _ = channels.create(
    organization=organization, kind=Channel.Kind.WEBHOOK, target="{url}", **made)
print(channels.send_test(channel=channel, **made).pk)
"""


def raised(service: Service, name: str, receiver: Receiver) -> str:
    """The id of a delivery that is due from now on."""
    return service.shell(RAISE.format(name=name, url=receiver.url)).strip()


def sent(service: Service, delivery: str) -> bool:
    state = "SELECT state FROM billing_delivery WHERE id = %s"
    return service.query(state, delivery) == [("sent",)]


CALL = "from billing import tasks; tasks.say_all_is_well()"


def calls(service: Service, receiver: Receiver) -> int:
    """How often the dead-man URL is called by what beat asks for each minute."""
    before = len(receiver.requests)
    service.shell(CALL, role="worker")
    return len(receiver.requests) - before


@pytest.mark.parametrize(
    ("name", "killed"),
    [
        ("worker", ("worker-1", "worker-2")),
        ("sender", ("sender",)),
        ("beat", ("beat",)),
    ],
)
def test_who_dies_is_missed_and_seen_again_when_back(
    service: Service, receivers: dict[str, Receiver], name: str, killed: tuple[str, ...]
) -> None:
    service.start_all()
    deadman = receivers["deadman"]
    await_that(lambda: not overdue(service), SOON, "all are at work")
    assert calls(service, deadman) >= 1

    for one in killed:
        service.processes[one].kill()
        service.processes[one].wanted = False
    # The minutes that nobody wants to wait for.
    service.query(
        "UPDATE billing_heartbeat SET at = at - interval '5 minutes' WHERE name = %s"
        " RETURNING 1",
        name,
    )

    delivery = raised(service, name, receivers["at once"])
    assert overdue(service) == {name}
    assert calls(service, deadman) == 0

    service.start_all()
    await_that(lambda: not overdue(service), SOON, f"{name} is seen again")
    await_that(lambda: sent(service, delivery), SOON, "what is due has left")
    assert calls(service, deadman) >= 1
