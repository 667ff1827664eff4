"""`python -m tests.chaos.bugs`: every planted bug has to make the storm fail.

The last line is JSON; the exit code is 0 when each was found by what it does.
"""

import argparse
import importlib
import json
import sys
from collections.abc import Sequence

from tests.chaos.bugs import BUGS, Bug, found
from tests.chaos.director import Outcome
from tests.chaos.service import Service
from tests.chaos.storm import storm

# A wrong product may never come to rest: it is waited for a little.
QUIET_SECONDS = 5


def main(arguments: Sequence[str]) -> int:
    chosen = _parser().parse_args(arguments)
    wanted = [bug for bug in BUGS if bug.name in (chosen.only or bug.name)]
    results = {}
    for bug in wanted:
        findings = found(run(bug, chosen.seed, chosen.seconds))
        results[bug.name] = "found" if bug.does in findings else "missed"
        said = ", ".join(f"{kind} {len(ids)}" for kind, ids in findings.items())
        sys.stdout.write(f"{bug.name:12} {bug.does:8} {said or 'nothing'}\n")
        sys.stdout.flush()
    ok = set(results.values()) == {"found"}
    last = {"seed": chosen.seed, "seconds": chosen.seconds, "bugs": results, "ok": ok}
    sys.stdout.write(json.dumps(last) + "\n")
    return 0 if ok else 1


def run(bug: Bug, seed: int, seconds: float) -> Outcome:
    """A storm over a service that has the bug in all its processes."""
    module = importlib.import_module(bug.module)
    with Service(proxied=True, plants=[bug.module], before_start=module.SQL) as service:
        return storm(service, seed, seconds, bug.kinds, quiet_seconds=QUIET_SECONDS)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.bugs", description=__doc__)
    parser.add_argument("--seconds", type=float, default=10, help="of each storm (10)")
    parser.add_argument("--seed", type=int, default=1, help="of load and faults (1)")
    parser.add_argument("--only", action="append", help="names of bugs (all)")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
