"""POST /usage: how much of it is taken, and what is said of that."""

import re
from collections.abc import Iterator
from threading import BoundedSemaphore

import pytest
from django.core.checks import run_checks
from django.test.client import FakePayload

from billing.actions import post
from billing.api import admission
from billing.api.backlog import Backlog
from billing.models import Posting, UsageRecord
from billing.reports import waiting
from tests.builders import body, record
from tests.conftest import NOW, Cast, Service, as_owner, issue

pytestmark = pytest.mark.usefixtures("as_app")

SECOND = 1_000_000_000


def limited(cast: Cast, limit: int) -> Service:
    _, secret = issue(cast.acme, project=cast.answers, records_per_minute=limit)
    return Service(secret)


def many(number: int, **changes: str) -> bytes:
    return body(*(record(**changes) for _ in range(number)))


def says(response) -> tuple[str, int, int]:
    """The policy, what is left and when all of it is back."""
    fields = re.fullmatch(r'"records";r=(\d+);t=(\d+)', response["ratelimit"])
    assert fields
    return response["ratelimit-policy"], int(fields[1]), int(fields[2])


class Clock:
    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        return self.now


# --- What a key may post ------------------------------------------------------------


def test_an_answer_says_how_much_more_may_be_posted(cast: Cast):
    response = limited(cast, 60).post("usage", many(10))

    assert says(response) == ('"records";q=60;w=60', 50, 10)


def test_a_key_without_a_limit_of_its_own_has_that_of_the_installation(
    alice: Service, settings
):
    settings.RATE_LIMIT = 60_000

    assert says(alice.post("usage", many(1)))[0] == '"records";q=60000;w=60'


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (lambda: body(record(), record(id=None)), {}, 207),
        (lambda: body(record(id=None)), {}, 422),
        (lambda: b"{", {}, 400),
        (lambda: b" " * 2_000_001, {}, 413),
        (lambda: body(record()), {"content-encoding": "br"}, 415),
    ],
    ids=["207", "422", "400", "413", "415"],
)
def test_every_answer_says_it(alice: Service, content, headers: dict, status: int):
    response = alice.post("usage", content(), headers=headers)

    assert response.status_code == status
    assert says(response)


def test_who_may_not_post_is_told_nothing(cast: Cast):
    reader = Service(issue(cast.acme, scopes=["usage:read"])[1])

    for service, status in ((reader, 403), (Service("purser_wrong"), 401)):
        response = service.post("usage", body(record()))
        assert response.status_code == status
        assert "ratelimit" not in response


def test_more_than_is_left_is_refused_whole_and_says_when_to_come_back(cast: Cast):
    service = limited(cast, 60)
    assert service.post("usage", many(50)).status_code == 202

    response = service.post("usage", many(30))

    assert response.status_code == 429
    assert response["content-type"] == "application/problem+json"
    assert response.json()["code"] == "rate_limited"
    assert response["retry-after"] == "20"
    assert says(response)[:2] == ('"records";q=60;w=60', 10)
    with as_owner():
        assert UsageRecord.objects.count() == 50
    assert service.post("usage", many(10)).status_code == 202


def test_what_is_refused_record_by_record_counts_too(cast: Cast):
    service = limited(cast, 2)

    service.post("usage", body(record(id=None), record(id=None)))

    assert service.post("usage", body(record())).status_code == 429


def test_a_full_batch_can_be_posted_whatever_the_limit(cast: Cast):
    service = limited(cast, 60)

    taken, refused = service.post("usage", many(1_000)), service.post("usage", many(1))

    assert (taken.status_code, says(taken)[1]) == (202, 0)
    assert refused.status_code == 429
    assert 900 < int(refused["retry-after"]) <= 941


def test_a_body_that_cannot_be_read_costs_nothing(cast: Cast):
    service = limited(cast, 1)

    assert service.post("usage", b"{").status_code == 400
    assert service.post("usage", many(1)).status_code == 202


def test_refusals_are_said_once_and_not_for_each(cast: Cast, caplog):
    service = limited(cast, 1)

    statuses = [service.post("usage", many(1)).status_code for _ in range(5)]

    assert statuses == [202, 429, 429, 429, 429]
    (line,) = caplog.messages
    assert line.startswith("posted usage is refused: rate_limited, API key purser_")


# --- Who is worked on ---------------------------------------------------------------


def test_without_a_turn_nothing_is_asked_and_nothing_taken(
    alice: Service, monkeypatch: pytest.MonkeyPatch, django_assert_num_queries
):
    turns = BoundedSemaphore(1)
    monkeypatch.setattr(admission, "_turns", turns)
    turns.acquire()

    with django_assert_num_queries(0):
        response = alice.post("usage", body(record()))

    assert (response.status_code, response.json()["code"]) == (503, "overloaded")
    assert int(response["retry-after"]) > 0
    turns.release()
    assert alice.post("usage", body(record())).status_code == 202


@pytest.mark.parametrize("reason", ["overloaded", "backlog_full"])
def test_who_is_refused_has_sent_all_there_is(
    alice: Service, monkeypatch: pytest.MonkeyPatch, settings, reason: str
):
    """Otherwise a client that is still sending sees a broken pipe and no answer."""
    alice.post("usage", body(record()))
    if reason == "overloaded":
        monkeypatch.setattr(admission, "_turns", BoundedSemaphore(1))
        admission._turns.acquire()
    else:
        known = Backlog(ask=waiting.records, clock=Clock())
        known.look()
        monkeypatch.setattr(admission, "_backlog", known)
        settings.BACKLOG_LIMIT = 1
    sent = FakePayload(many(200))

    response = alice.post("usage", b"x" * len(sent), **{"wsgi.input": sent})

    assert response.json()["code"] == reason
    assert not len(sent)


@pytest.mark.parametrize("content", [b"{", b"[]"])
def test_a_turn_is_given_back_whatever_happens(
    alice: Service, monkeypatch: pytest.MonkeyPatch, content: bytes
):
    monkeypatch.setattr(admission, "_turns", BoundedSemaphore(1))

    for service, status in ((Service("purser_wrong"), 401), (alice, 400), (alice, 400)):
        assert service.post("usage", content).status_code == status


def test_not_every_turn_may_wait_for_prices(
    alice: Service, monkeypatch: pytest.MonkeyPatch
):
    waits = BoundedSemaphore(1)
    monkeypatch.setattr(admission, "_waits", waits)
    waits.acquire()

    response = alice.post("usage", body(record()), headers={"prefer": "wait=5"})

    (result,) = response.json()["results"]
    assert (response.status_code, result["state"]) == (202, "pending")
    waits.release()
    response = alice.post("usage", body(record()), headers={"prefer": "wait=5"})
    (result,) = response.json()["results"]
    assert result["state"] == "priced"
    assert waits.acquire(blocking=False)


# --- What waits to be counted -------------------------------------------------------


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    """Of a web process that has just begun."""
    clock = Clock()
    known = Backlog(ask=waiting.records, clock=clock)
    monkeypatch.setattr(admission, "_backlog", known)
    return clock


def test_nothing_is_taken_while_too_much_waits(
    alice: Service, bob: Service, clock: Clock, settings
):
    settings.BACKLOG_LIMIT = 100
    assert alice.post("usage", many(99)).status_code == 202
    clock.now += SECOND
    assert bob.post("usage", many(1, project="triage")).status_code == 202

    response = alice.post("usage", body(record()))

    assert response.status_code == 503
    assert response["content-type"] == "application/problem+json"
    assert response.json()["code"] == "backlog_full"
    assert int(response["retry-after"]) > 0
    assert says(response)
    with as_owner():
        assert sum(Posting.objects.values_list("records", flat=True)) == 100


def test_it_is_taken_again_when_enough_is_counted(
    alice: Service, cast: Cast, clock: Clock, settings
):
    settings.BACKLOG_LIMIT = 1
    alice.post("usage", body(record()))
    assert alice.post("usage", body(record())).status_code == 503
    with as_owner():
        post.count(team_id=cast.search.pk, now=NOW)
    clock.now += SECOND

    refused, taken = (alice.post("usage", body(record())) for _ in range(2))

    # The first one is answered by what is known, and what is known is renewed after it.
    assert (refused.status_code, taken.status_code) == (503, 202)


def test_the_body_is_not_looked_at_while_too_much_waits(
    alice: Service, clock: Clock, settings
):
    settings.BACKLOG_LIMIT = 1
    alice.post("usage", body(record()))

    assert alice.post("usage", b"{not json").json()["code"] == "backlog_full"


def test_how_much_waits_is_the_sum_over_all_teams(alice: Service, bob: Service):
    alice.post("usage", many(3))
    bob.post("usage", many(2, project="triage"))

    assert waiting.records() == 5


def test_readiness_says_so_and_stays(alice: Service, client, settings):
    alice.post("usage", many(2))

    settings.BACKLOG_LIMIT = 3
    assert client.get("/readyz").json()["backlog"] == {"full": False}
    settings.BACKLOG_LIMIT = 2
    response = client.get("/readyz").json()
    assert response["backlog"] == {"full": True}
    assert not any("backlog" in problem for problem in response["problems"])


@pytest.mark.parametrize("name", ["RATE_LIMIT", "BACKLOG_LIMIT"])
def test_a_limit_that_lets_nothing_through_is_found_by_the_check(settings, name: str):
    setattr(settings, name, 0)

    assert [one.id for one in run_checks()] == ["billing.E002"]
