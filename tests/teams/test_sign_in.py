"""How often signing in may fail, for one name and from one address, and for how long."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.utils import timezone

from teams.places import Places
from teams.web import sign_in
from teams.web.sign_in import PLACES_OF_A_NAME, PLACES_OF_AN_ADDRESS

pytestmark = pytest.mark.usefixtures("as_app")

Attempt = Callable[..., Any]


@pytest.fixture
def vera(db: None) -> User:
    return User.objects.create_user("vera", password="pass-vera")


@pytest.fixture
def attempt(vera: User) -> Attempt:
    def made(
        name: str = "vera",
        right: bool = False,
        path: str = "/login/",
        peer: str = "192.0.2.1",
        **headers: str,
    ) -> Any:
        form = {"username": name, "password": f"pass-{name}" if right else "wrong"}
        return Client(REMOTE_ADDR=peer).post(path, form, follow=True, headers=headers)

    return made


def later(by: timedelta) -> None:
    """Let the places that are taken now come free so much sooner."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE purser_cache SET expires = expires - %s", [by])


def test_a_name_fails_so_often_and_then_waits(attempt: Attempt):
    for _ in range(PLACES_OF_A_NAME):
        assert attempt().status_code == 200

    refused = attempt()

    assert refused.status_code == 429
    assert "Try again in 10 minutes." in refused.content.decode()
    assert 595 <= int(refused["retry-after"]) <= 600
    assert "do not match" not in refused.content.decode()


def test_the_right_password_waits_too_and_then_signs_in(attempt: Attempt):
    for _ in range(PLACES_OF_A_NAME):
        attempt()

    assert attempt(right=True).status_code == 429
    later(timedelta(minutes=10, seconds=1))
    assert attempt(right=True).redirect_chain[0] == ("/", 302)


def test_waiting_is_not_made_longer_by_trying(attempt: Attempt):
    for _ in range(PLACES_OF_A_NAME):
        attempt()
    later(timedelta(minutes=9))
    for _ in range(3):
        assert attempt().status_code == 429

    later(timedelta(minutes=1, seconds=1))

    assert attempt(right=True).redirect_chain[0] == ("/", 302)


def test_a_name_that_nobody_has_waits_alike(attempt: Attempt):
    answers = [attempt(name="nobody") for _ in range(PLACES_OF_A_NAME + 1)]

    assert [answer.status_code for answer in answers[-2:]] == [200, 429]
    known = [attempt() for _ in range(PLACES_OF_A_NAME + 1)][-1]
    assert _words(known) == _words(answers[-1])


def _words(answer: Any) -> str:
    html = answer.content.decode()
    return html[html.index('role="alert"') :].split("</p>")[0]


@pytest.mark.parametrize("written", ["VERA", " vera ", "ｖera"])
def test_a_name_written_otherwise_is_the_same(attempt: Attempt, written: str):
    for _ in range(PLACES_OF_A_NAME):
        attempt(name=written)

    assert attempt().status_code == 429


def test_other_names_and_those_who_sign_in_are_not_held_up(attempt: Attempt):
    User.objects.create_user("olga", password="pass-olga")
    for _ in range(PLACES_OF_A_NAME):
        attempt()

    for _ in range(PLACES_OF_AN_ADDRESS):
        answer = attempt(name="olga", right=True)
        assert answer.redirect_chain[0] == ("/", 302)


def test_an_address_fails_so_often_under_any_name(attempt: Attempt):
    for number in range(PLACES_OF_AN_ADDRESS):
        assert attempt(name=f"name-{number}").status_code == 200

    assert attempt(name="another").status_code == 429
    assert attempt(name="another", peer="192.0.2.2").status_code == 200


def test_an_attempt_refused_for_its_name_takes_no_place_of_its_address(attempt: Attempt):
    for _ in range(PLACES_OF_A_NAME + PLACES_OF_AN_ADDRESS):
        attempt()

    assert attempt(name="another").status_code == 200


def test_the_admin_counts_with_the_pages(attempt: Attempt):
    led = attempt(path="/admin/login/?next=/admin/")
    assert led.redirect_chain == [("/login/?next=/admin/", 302)]
    for _ in range(PLACES_OF_A_NAME):
        attempt(path="/login/?next=/admin/")

    assert attempt(path="/login/?next=/admin/").status_code == 429


@pytest.mark.parametrize(
    ("behind", "peer", "forwarded", "counted"),
    [
        (False, "192.0.2.1", "", "192.0.2.1"),
        (False, "192.0.2.1", "198.51.100.7", "192.0.2.1"),
        (True, "10.0.0.1", "198.51.100.7", "198.51.100.7"),
        (True, "10.0.0.1", "203.0.113.9, 198.51.100.7", "198.51.100.7"),
        (True, "10.0.0.1", "", "10.0.0.1"),
        (False, "2001:db8:1:2:3::4", "", "2001:db8:1:2::/64"),
        (False, "::ffff:192.0.2.1", "", "192.0.2.1"),
        (False, "", "", ""),
    ],
)
def test_which_address_counts(
    rf: Any, settings: Any, behind: bool, peer: str, forwarded: str, counted: str
):
    settings.BEHIND_PROXY = behind
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}
    request = rf.post("/login/", REMOTE_ADDR=peer, headers=headers)

    assert sign_in._address(request) == counted


def test_what_was_typed_is_not_in_the_cache(attempt: Attempt):
    attempt(name="my-password-by-mistake")

    with connection.cursor() as cursor:
        cursor.execute("SELECT cache_key || value FROM purser_cache")
        kept = " ".join(row[0] for row in cursor.fetchall())
    assert kept
    assert "mistake" not in kept


def test_of_two_attempts_at_once_one_gets_the_last_place(db: None):
    places = Places("sign-in", "name vera", 2, sign_in.FREE_AFTER)
    now = timezone.now()
    first = places.claim(now)
    assert first is not None
    second = next(key for key in places._keys() if key != first)
    # Another process takes it after this one has looked.
    assert cache.add(second, now.isoformat(), 60)

    assert places.claim(now) is None
