"""Whether posted usage is taken just now; if not, when to send it again.

Nothing here waits for the database while a client waits for us. What has to be asked
there is asked after an answer, and holds for the next ones.
"""

import math
import time

from django.conf import settings
from rest_framework.request import Request
from rest_framework.response import Response

from billing.api import bodies
from billing.api.backlog import Backlog
from billing.api.problems import Refused
from billing.reports import waiting
from teams.actions.rate_limits import RateLimits
from teams.models import ApiKey
from teams.token_buckets import SECOND, WINDOW_SECONDS

# A backlog of millions is not gone in a moment.
_BACKLOG_RETRY_SECONDS = 10

# Of this process.
_limits = RateLimits()
_backlog = Backlog(ask=waiting.records, clock=time.monotonic_ns)


def check_backlog(request: Request) -> None:
    """Raises Refused (503) while too much waits to be counted."""
    if _backlog.records >= settings.BACKLOG_LIMIT:
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


def look_after(answer: Response) -> None:
    """Once this answer has been sent, ask the database what there is to know."""
    # They are called before the request's connection is given back.
    answer._resource_closers.append(_ask)  # type: ignore[attr-defined]


def _ask() -> None:
    _limits.reconcile(at=time.monotonic_ns())
    _backlog.look()


def _seconds(nanoseconds: int) -> int:
    return math.ceil(nanoseconds / SECOND)
