"""`python -m tests.door.fuzz_api`: all that docs/openapi.yaml allows, and nearly allows.

Starts a PostgreSQL and a web server of its own, and asks with a key of each kind and
without one. What fails is printed once per operation. The last line is JSON; the exit
code is 0 when nothing failed.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence

from tests.door.api_cases import ApiCases
from tests.door.installation import Door

EXAMPLES_AT_ONCE = 5


def main(arguments: Sequence[str]) -> int:
    chosen = _parser().parse_args(arguments)
    with Door() as door:
        cases, end = ApiCases(door), time.monotonic() + chosen.seconds
        number = chosen.seed
        while time.monotonic() < end:
            cases.round(number, EXAMPLES_AT_ONCE)
            number += 1
    for (operation, title), detail in sorted(cases.failures.items()):
        sys.stdout.write(f"{operation}: {title}\n{detail}\n\n")
    found = {
        "cases": cases.cases,
        "failures": len(cases.failures),
        "statuses": dict(sorted(cases.statuses.items())),
    }
    sys.stdout.write(f"{json.dumps(found)}\n")
    return 1 if cases.failures else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.door.fuzz_api", description=__doc__
    )
    parser.add_argument("--seconds", type=float, default=180, help="at least (180)")
    parser.add_argument("--seed", type=int, default=1, help="of the first round (1)")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
