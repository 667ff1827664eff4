"""Faults of many kinds upon a service under load, all as one seed says."""

import time
from collections.abc import Sequence
from random import Random

from tests.chaos.director import QUIET_SECONDS, Director, Outcome
from tests.chaos.faults import Fault
from tests.chaos.load import Load, Mix
from tests.chaos.service import Service

# From one fault to the next, and how long one lasts that ends by itself (seconds).
CALM = (0.1, 1.5)
LASTING = (0.2, 4.0)
# Nothing may stay away longer than this while it is tended.
STUCK_SECONDS = 30


def storm(
    service: Service,
    seed: int,
    seconds: float,
    kinds: Sequence[Fault],
    *,
    quiet_seconds: float = QUIET_SECONDS,
) -> Outcome:
    """Faults of these kinds, in the order and at the distances that the seed says.

    All kinds have had their turn before one has its second.
    """
    chance = Random(seed)  # noqa: S311 - the seed is the point
    load = Load(service, seed=seed, mix=Mix(pause_seconds=0.02))
    director = Director(service, load, quiet_seconds=quiet_seconds)
    director.begin()
    deck: list[Fault] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        deck = deck or chance.sample(kinds, len(kinds))
        director.strike(deck.pop(), lasting=chance.uniform(*LASTING))
        due = min(time.monotonic() + chance.uniform(*CALM), end)
        director.until(lambda due=due: time.monotonic() >= due, STUCK_SECONDS, "it goes on")
    return director.finish()
