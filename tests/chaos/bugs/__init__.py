"""Products that are wrong: each of these modules changes one function of the real one.

A process loads it at its start (tests/chaos/startup); the product itself has no switch.
The storm has to find each, and find what it does to the ledger.
"""

from dataclasses import dataclass

from tests.chaos import faults
from tests.chaos.director import Outcome
from tests.chaos.faults import Fault, named
from tests.chaos.proxy import Point


@dataclass(frozen=True)
class Bug:
    """A module of this package, the faults that bring it out, and what it does."""

    name: str
    kinds: tuple[Fault, ...]
    does: str

    @property
    def module(self) -> str:
        return f"{__name__}.{self.name}"


BUGS = (
    Bug("no_key", named(faults.cut_web(Point.AFTER_COMMIT)), "doubled"),
    Bug("cursor", named(faults.late_commit), "lost"),
    Bug(
        "reply_first",
        named(
            faults.cut_web(Point.BEFORE_INSERT),
            faults.cut_web(Point.BEFORE_COMMIT),
            faults.kill_web,
        ),
        "lost",
    ),
    Bug(
        "seen_first",
        named(faults.cut_web(Point.BEFORE_INSERT), faults.cut_web(Point.BEFORE_COMMIT)),
        "lost",
    ),
    Bug("done_first", named(faults.cut_workers(Point.BEFORE_COMMIT)), "lost"),
    Bug("sums_apart", named(faults.kill_workers), "seen"),
)


def found(outcome: Outcome) -> dict[str, list[str]]:
    """What a run says is wrong, by kind."""
    kinds = {
        "lost": outcome.verdict.lost,
        "doubled": outcome.verdict.doubled,
        "seen": outcome.faults_seen,
    }
    return {kind: findings for kind, findings in kinds.items() if findings}
