"""The demo's usage records, as a service would post them. A seed decides everything."""

from bisect import bisect_right
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import accumulate
from random import Random
from typing import Any, NamedTuple

import msgspec

from billing.demo import stories
from billing.demo.plan import SECONDS_A_DAY, Day, Plan, generator
from billing.demo.stories import Call, Workload

# Sizes differ from call to call: 32 quantiles of a log-normal distribution in percent of
# the mean. A table, because the logarithms of two machines may differ in a last bit.
_SPREAD = (
    30, 38, 43, 48, 51, 55, 58, 61, 65, 68, 71, 74, 77, 80, 83, 87,
    90, 94, 97, 101, 106, 110, 115, 121, 127, 134, 142, 151, 163, 179, 204, 259,
)  # fmt: skip

_ADVISOR = stories.FABLE
_FAILURES = ("errored", "expired", "canceled")
_TAGS = {"env": "production"}


class Posted(NamedTuple):
    """A record on its way in, and when its call happened."""

    at: datetime
    raw: msgspec.Raw


def records(plan: Plan, team: str, day: Day) -> list[Posted]:
    """A team's records of one day, in the order of their calls."""
    calls = sorted(
        (
            call
            for workload in stories.workloads_of(team)
            for call in _calls(plan, workload, day)
        ),
        key=lambda call: call[0],
    )
    first = plan.first_number(team, day.date)
    return [
        Posted(at, _raw(f"msg_demo_{team}_{number:06}", at, record))
        for number, (at, record) in enumerate(calls, start=first)
    ]


def _raw(record_id: str, at: datetime, record: dict[str, Any]) -> msgspec.Raw:
    posted = {"id": record_id, "occurred_at": at, **record}
    return msgspec.Raw(msgspec.json.encode(posted))


def _calls(
    plan: Plan, workload: Workload, day: Day
) -> Iterator[tuple[datetime, dict[str, Any]]]:
    random = generator(plan.wanted.seed, workload.name, day.date)
    call = workload.call_on(day.date, plan.today)
    count = plan.records(workload, day.date)
    for at in _moments(random, count, workload.hours, day):
        yield at, {"project": workload.project, **record(workload, call, random)}


def _moments(
    random: Random, count: int, hours: stories.Hours, day: Day
) -> Iterator[datetime]:
    """Moments of the part of the day that has passed, more of them in busy hours."""
    passed = day.passed
    begins = list(accumulate((busy * 3600 for busy in hours), initial=0))
    last = min(passed // 3600, len(hours) - 1)
    until = begins[last] + hours[last] * (passed - last * 3600)
    for _ in range(count):
        place = random.getrandbits(40) % until if until else 0
        hour = bisect_right(begins, place) - 1
        second = hour * 3600 + (place - begins[hour]) // hours[hour]
        # A day that has 23 or 25 hours is stretched.
        yield day.start + timedelta(
            seconds=second * day.length // SECONDS_A_DAY,
            milliseconds=random.getrandbits(16) % 1000 if second < passed - 1 else 0,
        )


# --- One call -------------------------------------------------------------------------


def record(workload: Workload, call: Call, random: Random) -> dict[str, Any]:
    """What a service knows of one call, but its id, its moment and its project."""
    posted: dict[str, Any] = {
        "provider": stories.PROVIDER,
        "model": workload.model,
        "tags": _TAGS,
    }
    if workload.batch:
        posted["processing"] = "batch"
        posted["batch_result"] = "succeeded"
        if _happens(random, call.failed):
            posted["batch_result"] = _FAILURES[random.getrandbits(8) % len(_FAILURES)]
            return {**posted, "usage": {}}
    return {**posted, "usage": _usage(workload, call, random)}


def _usage(workload: Workload, call: Call, random: Random) -> dict[str, Any]:
    """The `usage` object of the Messages API."""
    usage = _counts(call, random)
    usage["output_tokens_details"] = {
        "thinking_tokens": usage["output_tokens"] * call.thinking // 1000
    }
    usage["service_tier"] = "batch" if workload.batch else "standard"
    usage["inference_geo"] = "us" if _happens(random, call.us) else "global"
    if _happens(random, call.fast):
        usage["speed"] = "fast"
    if _happens(random, call.searches):
        usage["server_tool_use"] = {"web_search_requests": 1 + random.getrandbits(1)}
    if _happens(random, call.iterations):
        usage["iterations"] = _iterations(usage, random)
    return usage


def _counts(call: Call, random: Random) -> dict[str, Any]:
    fresh = _size(random, call.input)
    prefix = call.system or _size(random, call.prefix)
    read = written = 0
    how = random.getrandbits(20) % 1000
    if how < call.warm:
        # Of a conversation the end is cached anew.
        read, written = prefix, 0 if call.system else fresh // 8
        fresh -= written
    elif how < call.warm + call.uncached:
        fresh += prefix
    else:
        written = prefix
    one_hour = written if _happens(random, call.one_hour) else 0
    return {
        "input_tokens": fresh,
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": written - one_hour,
            "ephemeral_1h_input_tokens": one_hour,
        },
        "output_tokens": _size(random, call.output),
    }


def _iterations(usage: dict[str, Any], random: Random) -> list[dict[str, Any]]:
    """The call itself, after an advisor of another model or a compaction was asked."""
    members = (
        "input_tokens",
        "cache_creation_input_tokens",
        "cache_read_input_tokens",
        "cache_creation",
        "output_tokens",
    )
    own = {"type": "message", **{name: usage[name] for name in members}}
    before: dict[str, Any] = {
        "type": "compaction",
        "input_tokens": _size(random, 9_000),
        "output_tokens": _size(random, 700),
    }
    if random.getrandbits(1):
        before |= {"type": "advisor_message", "model": _ADVISOR}
    return [before, own]


def _size(random: Random, mean: int) -> int:
    spread = _SPREAD[random.getrandbits(5)]
    return mean * spread // 100 + random.getrandbits(4) if mean else 0


def _happens(random: Random, chance: int) -> bool:
    return bool(chance) and random.getrandbits(20) % 1000 < chance
