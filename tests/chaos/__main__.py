"""`python -m tests.chaos`: break a real Purser for a while, then see what is left.

Starts a PostgreSQL, a web server, a worker and a beat of its own, needs nothing else and
leaves nothing behind. The last line is JSON; the exit code is 0 when every promise held.
"""

import argparse
import json
import sys
from collections.abc import Sequence

from tests.chaos import faults
from tests.chaos.director import Outcome, report
from tests.chaos.service import Service
from tests.chaos.storm import storm


def main(arguments: Sequence[str]) -> int:
    chosen = _parser().parse_args(arguments)
    sys.stdout.write(f"seed {chosen.seed}, {chosen.seconds:g} s\n")
    sys.stdout.flush()
    with Service(proxied=True, jumping=True) as service:
        outcome = storm(service, chosen.seed, chosen.seconds, faults.ALL)
        if not outcome.ok:
            sys.stdout.write(service.logs())
    sys.stdout.write(f"{report(outcome)}\n{_last_line(outcome, chosen)}\n")
    return 0 if outcome.ok else 1


def _last_line(outcome: Outcome, chosen: argparse.Namespace) -> str:
    return json.dumps(
        {
            "seed": chosen.seed,
            "seconds": chosen.seconds,
            "acked": outcome.verdict.acked,
            "kills": dict(sorted(outcome.struck.items())),
            "lost": len(outcome.verdict.lost),
            "doubled": len(outcome.verdict.doubled),
            "deadlocks": len(outcome.deadlocks),
            "verify": "ok" if outcome.verified else "failed",
            "ok": outcome.ok,
        }
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="of faults (60)")
    parser.add_argument("--seed", type=int, default=1, help="of load and faults (1)")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
