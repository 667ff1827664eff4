"""Live usage: records of calls that happen now, posted to a running service.

They are the demo's own kinds of calls, for the project that its key covers. A request
without an answer is sent again as it was: what had arrived is a duplicate then.
"""

import json
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from http.client import HTTPException
from itertools import accumulate
from random import Random
from typing import Any
from uuid import uuid4

from billing.demo import stories, usage

MAX_RATE = 5_000
_AT_ONCE = 1_000
_TICKS_A_SECOND = 5
_TIMEOUT_SECONDS = 15
_WAIT_SECONDS = 5
# A restart of the service is waited for; without a first answer nothing is.
_PATIENCE_SECONDS = 30


class NoAnswer(Exception):
    """Nothing answers, or not in a way that sending again could help."""


@dataclass(slots=True)
class Tally:
    """What became of the records of some requests."""

    counts: Counter[str] = field(default_factory=Counter)
    cost: Decimal = Decimal()
    unanswered: int = 0

    def add(self, other: "Tally") -> None:
        self.counts += other.counts
        self.cost += other.cost
        self.unanswered += other.unanswered

    @property
    def refused(self) -> int:
        return sum(self.counts[why] for why in ("conflicts", "rejected", "try_again"))


class Service:
    """A running Purser, as a service that posts usage knows it."""

    def __init__(self, url: str, key: str, *, wait: bool) -> None:
        if not url.startswith(("http://", "https://")):
            raise NoAnswer(f"{url!r} is no address of a service: give http://host:port.")
        self._url = f"{url.rstrip('/')}/api/v1/usage"
        self._headers = {
            "Authorization": f"Bearer {key}",
            "Content-Type": "application/json",
            **({"Prefer": f"wait={_WAIT_SECONDS}"} if wait else {}),
        }
        # Asked directly, past any proxy: the demo is on this machine or near it.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def post(self, records: Sequence[dict[str, Any]]) -> Tally:
        """Raises NoAnswer where the answer is another one, OSError where there is none."""
        body = json.dumps({"records": records}).encode()
        request = urllib.request.Request(  # noqa: S310 - http or https, checked above
            self._url, body, self._headers
        )
        try:
            with self._opener.open(request, timeout=_TIMEOUT_SECONDS) as response:
                return _tally(json.load(response))
        except urllib.error.HTTPError as error:
            return self._answered(error)
        except (HTTPException, ValueError) as error:
            raise OSError(str(error)) from error

    def _answered(self, error: urllib.error.HTTPError) -> Tally:
        with error:
            text = error.read()
        try:
            answer = json.loads(text)
        except ValueError:
            answer = {}
        if "received" in answer:
            return _tally(answer)  # of records that are all refused
        if error.code >= 500:
            raise OSError(f"HTTP {error.code}")
        detail = answer.get("detail", error.reason)
        raise NoAnswer(f"{self._url} answers {error.code}: {detail}")


def _tally(answer: dict[str, Any]) -> Tally:
    names = ("accepted", "duplicates", "conflicts", "rejected", "try_again")
    costs = (result.get("cost") for result in answer["results"])
    return Tally(
        Counter({name: answer.get(name, 0) for name in names}),
        sum((Decimal(cost) for cost in costs if cost is not None), Decimal()),
    )


class Sender:
    """Posts at a steady rate; one tally each second, until told to end."""

    def __init__(
        self,
        service: Service,
        rate: int,
        *,
        now: Callable[[], datetime],
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._service = service
        self._rate = rate
        self._now = now
        self._clock = clock
        self._sleep = sleep
        self._random = Random()  # noqa: S311 - nothing here is a secret
        self._waiting: list[dict[str, Any]] = []
        self._answered_at: float | None = None

    def seconds(self, seconds: int | None) -> Iterator[Tally]:
        """One tally a second, `seconds` of them or without end. Raises NoAnswer."""
        started, sent, second = self._clock(), 0, 0
        while seconds is None or second < seconds:
            second += 1
            tally = Tally()
            for tick in range(1, _TICKS_A_SECOND + 1):
                due = started + second - 1 + tick / _TICKS_A_SECOND
                until_now = self._rate * ((second - 1) * _TICKS_A_SECOND + tick)
                number = until_now // _TICKS_A_SECOND - sent
                sent += number
                self._sleep(max(due - self._clock(), 0))
                self._send(number, tally)
            yield tally

    def _send(self, number: int, tally: Tally) -> None:
        """So many new records, and those that had no answer yet."""
        self._waiting += [self._record() for _ in range(number)]
        while self._waiting:
            batch = self._waiting[:_AT_ONCE]
            try:
                tally.add(self._service.post(batch))
            except OSError as error:
                self._lose_patience(error)
                tally.unanswered += 1
                return
            self._answered_at = self._clock()
            del self._waiting[: len(batch)]

    def _lose_patience(self, error: OSError) -> None:
        answered = self._answered_at
        if answered is None or self._clock() - answered > _PATIENCE_SECONDS:
            why = getattr(error, "reason", error)
            raise NoAnswer(
                f"The service does not answer ({why}): start it with `make up`, or check "
                "--url."
            ) from error

    def _record(self) -> dict[str, Any]:
        place = self._random.randrange(_ENDS[-1])
        kind = next(one for one, end in zip(_KINDS, _ENDS, strict=True) if place < end)
        return {
            "id": f"msg_demo_live_{uuid4().hex}",
            "occurred_at": self._now().isoformat(),
            **usage.record(kind, kind.call, self._random),
        }


# What people do by hand: no batches.
_KINDS = tuple(kind for kind in stories.WORKLOADS if not kind.batch)
_ENDS = tuple(accumulate(kind.share for kind in _KINDS))
