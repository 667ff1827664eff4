"""What one record says was used, in the terms that prices are stated in."""

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from billing.pricing.token_classes import NOTHING, Quantities

GLOBAL = "global"

# Endpoints beside the global one. Where a cloud bills them apart and the record does not
# say which it was, none is guessed: no list has a rate for an unstated one.
REGIONAL = "regional"
UNSTATED = "unstated"


class Processing(StrEnum):
    """How the provider queued the call."""

    STANDARD = "standard"
    BATCH = "batch"
    FLEX = "flex"
    PRIORITY = "priority"


class Speed(StrEnum):
    """Which of the model's speeds was billed."""

    STANDARD = "standard"
    FAST = "fast"


class Step(NamedTuple):
    """One model call inside a record: a context tier looks at one step alone."""

    model: str  # the name as seen
    quantities: Quantities


class Usage(NamedTuple):
    """One usage record, normalised: disjoint classes and the conditions of its price.

    `model` is the name as seen; aliases belong to the rate book. `unbilled` is the
    code of the reason why the provider bills nothing, or "". `thinking` is a part of
    the output and is never priced. `processing` and `speed` are words of `Processing`
    and `Speed`, or a newer one that no rate is stated for. `endpoint` is global,
    regional or unstated, or a place that is billed apart. `flags` say what the record
    left open. `occurred_at` has a zone.
    """

    provider: str
    model: str
    occurred_at: datetime
    steps: tuple[Step, ...]
    processing: str = Processing.STANDARD
    speed: str = Speed.STANDARD
    geo: str = GLOBAL
    endpoint: str = GLOBAL
    unbilled: str = ""
    thinking: int = 0
    flags: tuple[str, ...] = ()

    @property
    def quantities(self) -> Quantities:
        """The sum over all steps, whichever model they ran on."""
        if len(self.steps) == 1:
            return self.steps[0].quantities
        total = NOTHING
        for step in self.steps:
            total = total.plus(step.quantities)
        return total

    @property
    def reproducible(self) -> bool:
        """Whether `model` and `quantities` alone give the same price again.

        False for several steps, or one at another model: then the verbatim `usage`
        object has to be kept beside the columns.
        """
        return len(self.steps) == 1 and self.steps[0].model == self.model
