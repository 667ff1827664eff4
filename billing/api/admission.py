"""Whether posted usage is taken just now; if not, when to send it again.

Nothing here waits for the database while a client waits for us. What has to be asked
there is asked after an answer, and holds for the next ones.
"""

import logging
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore

from django.conf import settings
from rest_framework.request import Request
from rest_framework.response import Response

from billing.api import bodies
from billing.api.backlog import Backlog
from billing.api.problems import Refused
from billing.reports import waiting
from teams.actions.rate_limits import RateLimits
from teams.models import ApiKey
from teams.token_buckets import SECOND, WINDOW, WINDOW_SECONDS

logger = logging.getLogger(__name__)

# A backlog of millions is not gone in a moment.
_BACKLOG_RETRY_SECONDS = 10

# More at once would not be done sooner. It is a little less than there are connections
# (config/databases.py), so that pages and reports find one.
_AT_ONCE = 8
# Who waits longer than this waits for others who will wait longer still.
_PATIENCE_SECONDS = 0.3
_BUSY_RETRY_SECONDS = 2

# Of this process.
_noted: dict[str, int] = {}
_turns = BoundedSemaphore(_AT_ONCE)
# Who waits for the counting of one team keeps others' records from being taken.
_waits = BoundedSemaphore(_AT_ONCE // 2)
_limits = RateLimits()
_backlog = Backlog(ask=waiting.records, clock=time.monotonic_ns)


@contextmanager
def turn(request: Request) -> Iterator[None]:
    """Be one of the few requests that are worked on. Raises Refused (503)."""
    if not _turns.acquire(timeout=_PATIENCE_SECONDS):
        _note("overloaded")
        bodies.pass_over(request)
        raise Refused(
            503,
            "overloaded",
            "More is posted just now than can be taken. Nothing of this request was taken: "
            "send it again a little later.",
            headers={"Retry-After": str(_BUSY_RETRY_SECONDS)},
        )
    try:
        yield
    finally:
        _turns.release()


@contextmanager
def wait_for_prices() -> Iterator[bool]:
    """Whether a request may keep its turn until it is counted: half of them may."""
    is_free = _waits.acquire(blocking=False)
    try:
        yield is_free
    finally:
        if is_free:
            _waits.release()


def check_backlog(request: Request) -> None:
    """Raises Refused (503) while too much waits to be counted."""
    if _backlog.records >= settings.BACKLOG_LIMIT:
        _note("backlog_full")
        bodies.pass_over(request)
        raise Refused(
            503,
            "backlog_full",
            "Too many records wait to be counted. Nothing of this request was taken: send "
            "it again later.",
            headers={"Retry-After": str(_BACKLOG_RETRY_SECONDS)},
        )


def take(key: ApiKey, records: int) -> None:
    """Raises Refused (429) where the key has posted too much of late for so many more."""
    level = _limits.take(key=key, records=records, at=time.monotonic_ns())
    if level.wait:
        _note(f"rate_limited, API key {key.prefix}…")
        raise Refused(
            429,
            "rate_limited",
            f"This API key may post {level.limit} records a minute, and {level.left} of "
            f"them now. Nothing of this request ({records}) was taken.",
            headers={"Retry-After": str(_seconds(level.wait))},
        )


def headers(key: ApiKey) -> dict[str, str]:
    """`RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers)."""
    level = _limits.look(key=key, at=time.monotonic_ns())
    return {
        "RateLimit-Policy": f'"records";q={level.limit};w={WINDOW_SECONDS}',
        "RateLimit": f'"records";r={level.left};t={_seconds(level.full_in)}',
    }


def log_seldom(answer: Response) -> None:
    """Have Django write no line for it: one for each refusal would fill the disk, and who
    refuses has said so."""
    if answer.status_code in (429, 503):
        answer._has_been_logged = True  # type: ignore[attr-defined]


def look_after(answer: Response) -> None:
    """Once this answer has been sent, ask the database what there is to know."""
    # They are called before the request's connection is given back.
    answer._resource_closers.append(_ask)  # type: ignore[attr-defined]


def _ask() -> None:
    _limits.reconcile(at=time.monotonic_ns())
    _backlog.look()


def _note(refusal: str) -> None:
    """Say in the log that such requests are refused, once a minute."""
    at = time.monotonic_ns()
    if at - _noted.get(refusal, -WINDOW) >= WINDOW:
        _noted[refusal] = at
        logger.warning("posted usage is refused: %s", refusal)


def _seconds(nanoseconds: int) -> int:
    return math.ceil(nanoseconds / SECOND)
