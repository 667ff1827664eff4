"""`python -m tests.door.fuzz`: bodies of all kinds against the reader and a running door.

Starts a PostgreSQL and a web server of its own. A failure is printed with the smallest
body that shows it, and the run goes on. The last line is JSON; the exit code is 0 when
nothing failed and memory and processor time stayed within their bounds.
"""

import argparse
import json
import sys
import time
import traceback
from collections.abc import Callable, Sequence

from hypothesis import HealthCheck, given, seed, settings

from tests.door import bodies, fuzzing
from tests.door.fuzzing import Watch
from tests.door.installation import Door

EXAMPLES_AT_ONCE = 500
_STEADY = settings(
    deadline=None,
    database=None,
    max_examples=EXAMPLES_AT_ONCE,
    suppress_health_check=list(HealthCheck),
)


class Run:
    """Rounds of examples, each with a seed of its own, until the time is over."""

    def __init__(self, watch: Watch, first_seed: int) -> None:
        self._watch = watch
        self._seed = first_seed
        self.examples = 0
        self.failures = 0

    def until(self, end: float) -> None:
        while time.monotonic() < end:
            for check in (self._read, self._post):
                self._round(check)
            self._seed += 1

    def huge(self) -> None:
        for content in bodies.HUGE:
            self._attempt(lambda content=content: self._post(content, "application/json"))

    def _round(self, check: Callable[[bytes, str], None]) -> None:
        @seed(self._seed)
        @settings(_STEADY)
        @given(bodies.bodies, bodies.content_types)
        def examples(content: bytes, content_type: str) -> None:
            self.examples += 1
            check(content, content_type)

        self._attempt(examples)

    def _attempt(self, examples: Callable[[], None]) -> None:
        try:
            examples()
        except Exception:  # noqa: BLE001 - counted, printed, and the exit code
            self.failures += 1
            sys.stdout.write(f"seed {self._seed}\n{traceback.format_exc()}\n")

    def _read(self, content: bytes, content_type: str) -> None:
        fuzzing.check_reading(content, content_type)

    def _post(self, content: bytes, content_type: str) -> None:
        self._watch.check(content, content_type)
        self._watch.check_quote(content, content_type)


def main(arguments: Sequence[str]) -> int:
    chosen = _parser().parse_args(arguments)
    with Door() as door, door.sql() as connection:
        fuzzing.warm_up(Watch(door, connection))
        watch = Watch(door, connection)
        run = Run(watch, chosen.seed)
        run.huge()
        run.until(time.monotonic() + chosen.seconds)
        growth, slowest = watch.growth_mb, watch.slowest_seconds
    found = {
        "examples": run.examples,
        "failures": run.failures,
        "rss_growth_mb": round(growth, 1),
        "slowest_s": round(slowest, 2),
    }
    sys.stdout.write(f"{json.dumps(found)}\n")
    bounded = growth <= fuzzing.MAX_GROWTH_MB and slowest <= fuzzing.MAX_CPU_SECONDS
    return 0 if bounded and not run.failures else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.door.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=180, help="of examples (180)")
    parser.add_argument("--seed", type=int, default=1, help="of the first round (1)")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
