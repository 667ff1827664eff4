"""`usage.iterations`: one response made by several model calls.

Each entry is a call at its own model. The totals beside the entries leave out
compaction, advisors and declined attempts, so they are not used, with one exception:
entries often carry no cache split, and then the split beside them is the only one.
"""

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple

from billing.formats.anthropic_payload import (
    Iteration,
    MessageUsage,
    Writes,
    cache_writes,
    quantities,
)
from billing.formats.errors import RecordError
from billing.pricing.model_names import same_model
from billing.pricing.usage import Step

INCOMPLETE_SPLIT = "cache_split_incomplete"
UNKNOWN_TYPE = "unknown_iteration_type"

# Entries that are an attempt at the answer: only these can be declined.
_ATTEMPTS = frozenset({"message", "fallback_message"})
# Entries that run at another model than the executor, which they have to name.
_NAMED = frozenset({"advisor_message", "fallback_message"})
_KNOWN = _ATTEMPTS | _NAMED | {"compaction"}


class _Call(NamedTuple):
    """An entry that is billed: the model it ran on and where it stands."""

    model: str
    entry: Iteration
    pointer: str


def billed_steps(
    model: str, payload: MessageUsage
) -> tuple[tuple[Step, ...], tuple[str, ...]]:
    """Return the steps of all billed entries and the flags of what was left open.

    `model` is the record's own: the executor, or the attempt that was served. An entry
    of an unknown type is billed, and flagged.
    Raises RecordError for an advisor or fallback without model.
    """
    calls = _billed_calls(model, payload.iterations or [])
    writes = [cache_writes(call.entry, call.pointer) for call in calls]
    _divide_own(model, payload, calls, writes)
    steps = [
        Step(call.model, quantities(call.entry, written))
        for call, written in zip(calls, writes, strict=True)
    ]
    flags = []
    if not all(written.complete for written in writes):
        flags.append(INCOMPLETE_SPLIT)
    if any(call.entry.type not in _KNOWN for call in calls):
        flags.append(UNKNOWN_TYPE)
    used = tuple(step for step in steps if any(step.quantities))
    return used or tuple(steps[-1:]), tuple(flags)


def _billed_calls(model: str, entries: Sequence[Iteration]) -> list[_Call]:
    calls = []
    for place, entry in enumerate(entries):
        pointer = f"/usage/iterations/{place}"
        if entry.model is None and entry.type in _NAMED:
            raise RecordError(
                "missing_field",
                f"{pointer}/model",
                f"An entry of type {entry.type} has to name its model.",
            )
        own = entry.model is None or same_model(entry.model, model)
        if not _declined(entry, entries[place + 1 :]):
            calls.append(_Call(model if own else str(entry.model), entry, pointer))
    return calls


def _declined(entry: Iteration, later: Sequence[Iteration]) -> bool:
    """Whether an attempt was refused before it wrote anything, which costs nothing.

    Then the next attempt is a fallback. An attempt that declines after it wrote has
    output, and is billed.
    """
    if entry.output_tokens or entry.type not in _ATTEMPTS:
        return False
    next_attempt = next((other for other in later if other.type in _ATTEMPTS), None)
    return next_attempt is not None and next_attempt.type == "fallback_message"


def _divide_own(
    model: str, payload: MessageUsage, calls: Sequence[_Call], writes: list[Writes]
) -> None:
    """Divide the writes of the executor's calls that have no split of their own.

    They are divided together, as the split beside the entries says after the calls
    that have their own are taken out of it. Writes at other models stay 5 minutes.
    """
    if payload.cache_creation is None:
        return
    own = [place for place, call in enumerate(calls) if call.model == model]
    divided = [place for place in own if calls[place].entry.cache_creation is not None]
    undivided = [place for place in own if calls[place].entry.cache_creation is None]
    beside = cache_writes(payload, "/usage")
    left = Writes(
        max(0, beside.five_minutes - sum(writes[n].five_minutes for n in divided)),
        max(0, beside.one_hour - sum(writes[n].one_hour for n in divided)),
        beside.complete,
    )
    totals = [writes[n].five_minutes for n in undivided]
    for place, share in zip(undivided, shares(totals, left), strict=True):
        writes[place] = share


def shares(totals: Sequence[int], split: Writes) -> list[Writes]:
    """Divide each of `totals` so that all together stand in the proportion of `split`.

    Every total is kept, and where the totals add up to the split so do the shares, to
    the token. Which call a single token of 1 hour falls to is decided by rounding the
    running sum down; it matters only where calls are priced by different tiers. Totals
    beyond the split (a compaction's) follow its proportion, and are not complete.
    """
    covered = split.five_minutes + split.one_hour
    written = sum(totals)
    complete = split.complete and written <= covered
    if not covered or not written:
        return [Writes(total, 0, complete or not total) for total in totals]
    one_hour = written * split.one_hour // covered
    reached = [0, *(one_hour * so_far // written for so_far in accumulate(totals))]
    return [
        Writes(total - (after - before), after - before, complete or not total)
        for total, (before, after) in zip(totals, pairwise(reached), strict=True)
    ]
