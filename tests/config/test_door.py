"""The door answers as the same address does through all of Django."""

import gc
import io
import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from django.test import Client
from django.urls import resolve

from billing import urls
from config import wsgi
from config.door import DoorHandler, is_door
from teams.models.api_keys import Scope
from tests.builders import body, record
from tests.conftest import Cast, issue

VERDICT, HOLDS, USAGE = "/api/v1/budgets/verdict", "/api/v1/holds", "/api/v1/usage"
HOLD = f"{HOLDS}/01990000-0000-7000-8000-000000000000"
SAID = ("allow", "content-type", "content-length", "www-authenticate", "cache-control")


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    content: bytes


def at_the_door(
    method: str, path: str, query: str, content: bytes, **headers: str
) -> Answer:
    """What a client gets of the WSGI application."""
    said: list[Any] = []
    environ = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "SERVER_NAME": "testserver",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(content),
        "CONTENT_LENGTH": str(len(content)),
        "CONTENT_TYPE": "application/json",
        **headers,
    }
    answer = wsgi.application(environ, lambda *begun: said.append(begun))
    written = b"" if method == "HEAD" else b"".join(answer)  # as servers do
    answer.close()  # type: ignore[attr-defined]
    status, its_headers = said[0]
    named = {name.lower(): value for name, value in its_headers}
    return Answer(int(status[:3]), named, written)


def through_django(
    method: str, path: str, query: str, content: bytes, **headers: str
) -> Answer:
    response = Client().generic(
        method, path, content, "application/json", QUERY_STRING=query, **headers
    )
    named = {name.lower(): value for name, value in response.headers.items()}
    return Answer(response.status_code, named, response.content)


ASKED = [
    ("GET", VERDICT, "project=answers&model=any&estimate=0.1", b""),
    ("GET", VERDICT, "project=nothing", b""),
    ("GET", VERDICT, "estimate=much", b""),
    ("HEAD", VERDICT, "project=answers", b""),
    ("OPTIONS", VERDICT, "", b""),
    ("POST", VERDICT, "", b"{}"),
    ("BREW", VERDICT, "", b""),
    ("POST", HOLDS, "", b'{"project": "answers", "model": "any"}'),
    ("POST", HOLDS, "", b"{"),
    ("POST", HOLDS, "", b'{"project": "\\ud800", "model": "any"}'),
    ("GET", HOLD, "", b""),
    ("DELETE", HOLD, "", b""),
    ("GET", f"{HOLDS}/none", "", b""),
    ("GET", f"{HOLDS}/", "", b""),
    ("GET", USAGE, "", b""),
    ("POST", USAGE, "", b"[{}]"),
]


@pytest.fixture(autouse=True)
def one_connection() -> Iterator[None]:
    """Requests use the test's own, whose transaction is open all the time."""
    ends = (request_started, request_finished)
    for signal in ends:
        signal.disconnect(close_old_connections)
    yield
    for signal in ends:
        signal.connect(close_old_connections)


@pytest.fixture
def secret(cast: Cast) -> str:
    return issue(cast.acme, scopes=[Scope.USAGE_WRITE])[1]


@pytest.mark.parametrize(("method", "path", "query", "content"), ASKED)
def test_an_answer_is_the_same(
    secret: str, method: str, path: str, query: str, content: bytes
):
    asked = (method, path, query, content)
    key = {"HTTP_AUTHORIZATION": f"Bearer {secret}"}
    assert is_door(path)

    door, django = at_the_door(*asked, **key), through_django(*asked, **key)

    assert (door.status, door.content) == (django.status, django.content)
    for name in SAID:
        assert door.headers.get(name) == django.headers.get(name), name
    assert door.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"HTTP_AUTHORIZATION": "Bearer purser_nonsense"},
        {"HTTP_AUTHORIZATION": "Basic YTpi"},
        {"HTTP_ACCEPT": "text/html"},
        {"HTTP_ACCEPT": "application/*;q=0.5"},
        {"HTTP_ACCEPT": "application/json-patch+json"},
    ],
)
@pytest.mark.parametrize("path", [VERDICT, HOLD])
def test_a_refusal_is_the_same(db: None, path: str, headers: dict[str, str]):
    door = at_the_door("GET", path, "", b"", **headers)
    django = through_django("GET", path, "", b"", **headers)

    assert (door.status, door.content) == (django.status, django.content)
    for name in SAID:
        assert door.headers.get(name) == django.headers.get(name), name


def test_what_does_not_accept_json_is_told(secret: str):
    said = {"HTTP_AUTHORIZATION": f"Bearer {secret}", "HTTP_ACCEPT": "text/html"}

    answer = at_the_door("GET", VERDICT, "project=answers", b"", **said)

    assert answer.status == 406
    assert json.loads(answer.content)["code"] == "not_acceptable"


def test_a_hold_is_made_and_released_at_the_door(secret: str):
    key = {"HTTP_AUTHORIZATION": f"Bearer {secret}"}
    wanted = json.dumps({"project": "answers", "model": "any", "estimate": "1"}).encode()

    made = at_the_door("POST", HOLDS, "", wanted, **key)
    its = f"{HOLDS}/{json.loads(made.content)['id']}"
    released = at_the_door("DELETE", its, "", b"", **key)
    found = at_the_door("GET", its, "", b"", **key)

    assert (made.status, released.status, released.content) == (201, 204, b"")
    assert not {"content-type", "content-length"} & released.headers.keys()
    assert json.loads(found.content)["state"] == "released"


def test_a_record_is_taken_at_the_door(secret: str):
    key = {"HTTP_AUTHORIZATION": f"Bearer {secret}"}

    taken = at_the_door("POST", USAGE, "", body(record()), **key)

    assert (taken.status, json.loads(taken.content)["accepted"]) == (202, 1)
    assert taken.headers["content-length"] == str(len(taken.content))
    assert "ratelimit" in taken.headers


def test_the_door_has_the_addresses_that_it_knows():
    for path in (VERDICT, HOLDS, USAGE, HOLD):
        handler = DoorHandler()
        handler.load_middleware()
        found = handler._resolver.resolve(path)
        assert found.func is resolve(path).func
    assert len(urls.door) == 4


@pytest.mark.parametrize(("method", "path", "query", "content"), ASKED[:1] + ASKED[7:12])
def test_nothing_of_a_request_waits_for_the_collection_of_garbage(
    secret: str, method: str, path: str, query: str, content: bytes
):
    """What refers to itself does, and to collect it stops everything for a while."""
    key = {"HTTP_AUTHORIZATION": f"Bearer {secret}"}
    for _ in range(2):
        at_the_door(method, path, query, content, **key)
    gc.collect()
    gc.disable()
    try:
        at_the_door(method, path, query, content, **key)
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
    finally:
        gc.set_debug(0)
        gc.enable()
    kept = [type(one).__qualname__ for one in gc.garbage]
    gc.garbage.clear()

    assert not {"WSGIRequest", "Request", "VerdictView"} & set(kept)
