"""`python -m tests.bench.ingest.load`: clients that post as fast as they are answered, or
at a pace.

A process of its own, so that what it costs is no part of what it measures. It reads a
plan from its standard input and writes what was answered to its standard output, both
JSON. Bodies are made before the clock starts; only their ids differ from post to post.
"""

import json
import socket
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from random import Random
from typing import Any, NamedTuple, Self

# In every id, replaced by the number of the post; the phase's name stands before it.
_NUMBER = b"#########"
_TIMEOUT_SECONDS = 60
# How long ago the calls of a post were made.
_SECONDS_BACK = 7_200


@dataclass(frozen=True)
class Plan:
    """What to post: `teams` are API keys with the slugs of their projects."""

    phase: str
    port: int
    seconds: float
    clients: int
    records: int  # in one post
    models: list[str]
    teams: list[tuple[str, list[str]]]
    posts_per_second: float = 0  # of all clients; 0: as fast as they are answered


@dataclass
class Answers:
    """What one client was answered: post numbers with 202, and how long each took."""

    began: float = 0
    ended: float = 0
    accepted: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    others: list[str] = field(default_factory=list)


class Post(NamedTuple):
    """A request, whose ids have a place for the post's number."""

    head: bytes
    body: bytes

    def numbered(self, number: int) -> bytes:
        return self.head + self.body.replace(_NUMBER, b"%09d" % number)


def main() -> None:
    plan = Plan(**json.load(sys.stdin))
    posts = [list(_posts(plan, number)) for number in range(plan.clients)]
    numbers = count()
    answers = [Answers() for _ in range(plan.clients)]
    threads = [
        threading.Thread(target=_client, args=(plan, its_posts, numbers, its_answers))
        for its_posts, its_answers in zip(posts, answers, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    json.dump([asdict(one) for one in answers], sys.stdout)


def _client(
    plan: Plan, posts: Sequence[Post], numbers: Iterator[int], answers: Answers
) -> None:
    """Post after post over one connection, until the time is over."""
    pace = plan.posts_per_second and plan.clients / plan.posts_per_second
    with Connection(plan.port) as connection:
        answers.began = time.time()
        due = time.monotonic()
        end = due + plan.seconds
        turn = 0
        while (began := time.monotonic()) < end:
            if due > began:
                time.sleep(due - began)
                began = time.monotonic()
            due += pace
            number = next(numbers)
            status, body = connection.send(posts[turn % len(posts)].numbered(number))
            turn += 1
            answers.seconds.append(time.monotonic() - began)
            if status == 202 and json.loads(body)["accepted"] == plan.records:
                answers.accepted.append(number)
            else:
                answers.others.append(f"{status} {body[:200].decode(errors='replace')}")
        answers.ended = time.time()


class Connection:
    """One that stays open, for one request after the other."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), _TIMEOUT_SECONDS)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._socket.close()

    def ask(
        self, method: str, path: str, key: str, content: Any = None
    ) -> tuple[int, bytes]:
        """Status and body. `path` is below /api/v1/."""
        body = b"" if content is None else json.dumps(content).encode()
        return self.send(head(method, path, key, len(body)) + body)

    def send(self, request: bytes) -> tuple[int, bytes]:
        """Status and body. Raises OSError if there is no whole answer."""
        self._socket.sendall(request)
        text = b""
        while (end := text.find(b"\r\n\r\n")) < 0:
            text += self._received()
        its_head = text[:end].lower()
        length = its_head.partition(b"content-length:")[2].partition(b"\r\n")[0]
        while len(text) < end + 4 + int(length or 0):
            text += self._received()
        return int(its_head.split(None, 2)[1]), text[end + 4 :]

    def _received(self) -> bytes:
        if not (part := self._socket.recv(65_536)):
            raise ConnectionError("the server closed the connection")
        return part


# --- What is posted -----------------------------------------------------------------


def _posts(plan: Plan, client: int) -> Iterator[Post]:
    """One post of each team, in an order of the client's own."""
    chance = Random(f"{plan.phase}/{client}")  # noqa: S311 - always the same load
    now = datetime.fromtimestamp(time.time(), UTC)
    for key, projects in chance.sample(plan.teams, len(plan.teams)):
        records = [
            _record(f"{plan.phase}-{_NUMBER.decode()}-{place}", projects, plan, now, chance)
            for place in range(plan.records)
        ]
        body = json.dumps(records if plan.records > 1 else records[0]).encode()
        yield Post(head("POST", "usage", key, len(body)), body)


def head(method: str, path: str, key: str, length: int) -> bytes:
    return (
        f"{method} /api/v1/{path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Authorization: Bearer {key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    ).encode()


def _record(
    record_id: str, projects: Sequence[str], plan: Plan, now: datetime, chance: Random
) -> dict[str, Any]:
    """A call of the Messages API as its caller reports it."""
    back = timedelta(milliseconds=chance.randrange(_SECONDS_BACK * 1000))
    writes = chance.choice((0, 0, 0, chance.randrange(1_000, 20_000)))
    return {
        "id": record_id,
        "occurred_at": (now - back).isoformat(),
        "project": chance.choice(projects),
        "provider": "anthropic",
        "model": chance.choice(plan.models),
        "usage": {
            "input_tokens": chance.randrange(10, 8_000),
            "cache_creation_input_tokens": writes,
            "cache_creation": {
                "ephemeral_5m_input_tokens": writes,
                "ephemeral_1h_input_tokens": 0,
            },
            "cache_read_input_tokens": chance.choice((0, chance.randrange(40_000))),
            "output_tokens": chance.randrange(1, 4_000),
            "service_tier": "standard",
        },
    }


if __name__ == "__main__":
    main()
