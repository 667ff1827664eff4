"""Inputs 32 and 33 of the fault catalogue: bodies whose length is not what is said."""

import http.client
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager

import pytest

from tests.builders import body, record
from tests.door.installation import Answer, Door, answered

SECONDS = 10
# More than there are connections to the database.
SLOW_CLIENTS = 40


@contextmanager
def opened(door: Door, *headers: str, path: str = "usage") -> Iterator[socket.socket]:
    """A connection on which the head of a request has been sent."""
    head = [
        f"POST /api/v1/{path} HTTP/1.1",
        "Host: 127.0.0.1",
        f"Authorization: Bearer {door.keys['project']}",
        "Content-Type: application/json",
        *headers,
    ]
    address = ("127.0.0.1", door.port)
    with closing(socket.create_connection(address, timeout=SECONDS)) as connection:
        connection.sendall("\r\n".join([*head, "", ""]).encode())
        yield connection


def answer_on(connection: socket.socket) -> Answer:
    reply = http.client.HTTPResponse(connection, method="POST")
    reply.begin()
    return answered(reply)


def chunked(content: bytes) -> bytes:
    return b"%x\r\n%s\r\n0\r\n\r\n" % (len(content), content)


CUT = ["usage", "prices/quote", "budgets"]


@pytest.mark.parametrize("path", CUT)
def test_a_body_that_breaks_off_is_refused_though_it_looks_whole(door: Door, path: str):
    """32: a client that says more than it sends, and stops. Lines can end anywhere."""
    content = {"budgets": b'{"amount": "1"}'}.get(path, body(record()))
    length = f"Content-Length: {len(content) + 1}"

    with opened(door, length, path=path) as connection:
        connection.sendall(content)
        connection.shutdown(socket.SHUT_WR)
        answer = answer_on(connection)

    assert answer.problem == (400, "bad_length")
    assert door.taken() == []


def test_a_client_that_goes_away_in_its_body_leaves_nothing(door: Door):
    """32"""
    content = body(record())

    for _ in range(3):
        with opened(door, f"Content-Length: {len(content) + 1}") as connection:
            connection.sendall(content)

    # One after the other: a request that is served later has been begun later.
    assert door.send(body(one := record())).status == 202
    assert [stored.id for stored in door.taken()] == [one["id"]]
    assert door.taken() == []


def test_what_follows_a_body_of_the_length_said_is_not_part_of_it(door: Door):
    """32"""
    content = body(record())

    with opened(door, f"Content-Length: {len(content) - 2}") as connection:
        connection.sendall(content)
        answer = answer_on(connection)

    assert answer.problem == (400, "bad_json")
    assert door.taken() == []


@pytest.mark.parametrize(
    "headers",
    [
        ["Content-Length: x"],
        ["Content-Length: -5"],
        ["Content-Length: +195"],
        ["Content-Length: 0xc3"],
        ["Content-Length: 99999999999999999999999"],
        ["Content-Length: 195", "Content-Length: 196"],
        ["Content-Length: 195, 195"],
        ["Transfer-Encoding: gzip"],
    ],
    ids=lambda headers: "; ".join(headers),
)
def test_a_length_that_is_none_is_400(door: Door, headers: list[str]):
    """32"""
    with opened(door, *headers) as connection:
        connection.sendall(body(record()))
        answer = answer_on(connection)

    assert answer.status == 400
    assert door.taken() == []


@pytest.mark.parametrize("length", [2_000_001, 7_000_000, 10**12])
def test_a_length_over_the_limit_is_413_at_once(door: Door, length: int):
    """32: whoever sends its body first is heard out, as far as that is 20 MB."""
    with opened(door, f"Content-Length: {length}") as connection:
        for _ in range(min(length, 20_000_000) // 100_000):
            connection.sendall(b"x" * 100_000)
        if length < 20_000_000:
            connection.sendall(b"x" * (length % 100_000))
        else:
            connection.shutdown(socket.SHUT_WR)
        answer = answer_on(connection)

    assert answer.problem == (413, "body_too_large")
    assert door.taken() == []


def test_slow_clients_hold_up_nobody(door: Door):
    """32: the last byte of each body is not sent."""
    content = body(record())

    with ExitStack() as slow:
        connections = [
            slow.enter_context(opened(door, f"Content-Length: {len(content)}"))
            for _ in range(SLOW_CLIENTS)
        ]
        for connection in connections:
            connection.sendall(content[:-1])
        beside = [door.send(body(record())) for _ in range(10)]
        taken = door.taken()
        for connection in connections:
            connection.sendall(content[-1:])
        late = [answer_on(connection) for connection in connections]

    assert {answer.status for answer in beside} == {202}
    assert len(taken) == len(beside)
    # One and the same record, all of a sudden: it counts once.
    assert {answer.status for answer in late} == {202}
    assert sum(answer.body["accepted"] for answer in late) == 1
    assert len(door.taken()) == 1


@pytest.mark.parametrize(
    "headers",
    [
        ["Transfer-Encoding: chunked"],
        ["Content-Length: 5", "Transfer-Encoding: chunked"],
    ],
    ids=["alone", "beside a length"],
)
def test_a_chunked_body_is_never_a_wrong_yes(door: Door, headers: list[str]):
    """33: a body without a length reads as empty, and that is said."""
    with opened(door, *headers) as connection:
        connection.sendall(chunked(body(record())))
        answer = answer_on(connection)

    assert answer.problem == (400, "empty_body")
    assert door.taken() == []


@pytest.mark.parametrize(
    "sent", [b"zz\r\n[]", b"5\r\n[{}", b""], ids=["bad", "cut", "none"]
)
def test_broken_chunks_are_400(door: Door, sent: bytes):
    """33"""
    with opened(door, "Transfer-Encoding: chunked") as connection:
        connection.sendall(sent)
        answer = answer_on(connection)

    assert answer.status == 400
    assert door.taken() == []


def test_a_body_without_length_is_empty(door: Door):
    """33"""
    with opened(door) as connection:
        answer = answer_on(connection)

    assert answer.problem == (400, "empty_body")
