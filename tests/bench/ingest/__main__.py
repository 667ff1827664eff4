"""`python -m tests.bench.ingest`: batches, then single records, from HTTP to counted.

Starts a PostgreSQL of its own with `fsync` on, and web, worker and beat as `make up`
does. 4 clients post for 50 teams with 200 projects and 6 models over connections that
stay open; each batch is of one team. Rates count what is charged at the end. The last
line is JSON; the exit code is 0 when nothing was lost, doubled or refused and the ledger
verifies.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from tests.bench.ingest import copying, ledger, processor, world
from tests.bench.ingest.ledger import Counted
from tests.bench.ingest.load import Answers, Plan
from tests.chaos.service import CHECKOUT, Service, await_that

CLIENTS = 4
BATCH = 1_000
COPIED = 500_000
REST_SECONDS = 120


def main(arguments: Sequence[str]) -> int:
    chosen = _parser().parse_args(arguments)
    service = Service()
    try:
        service.prepare()
        ledger.note_commits(service)
        _say(world.SIZE)
        teams = world.make(service)
        service.start_all()
        _load(service, _plan("warm", service, teams, 3, BATCH))
        batch = _phase(service, _plan("batch", service, teams, chosen.seconds, BATCH))
        single = _phase(service, _plan("single", service, teams, chosen.seconds, 1))
        figures = _figures(service, batch, single)
        ok = _verified(service) and not (figures["lost"] or figures["doubled"])
    except BaseException:
        _say(service.logs())
        raise
    finally:
        service.end()
    _say(json.dumps(figures))
    return 0 if ok and not (batch["refused"] or single["refused"]) else 1


def _plan(phase: str, service: Service, teams: Any, seconds: float, records: int) -> Plan:
    return Plan(phase, service.port, seconds, CLIENTS, records, list(world.MODELS), teams)


# --- A phase --------------------------------------------------------------------------


def _phase(service: Service, plan: Plan) -> dict[str, Any]:
    """Post for a while, wait until all is counted, and say what it came to."""
    _say(f"{plan.phase}: {plan.records} records a post, {plan.seconds:g} s")
    before = processor.seconds(service)
    answers, spent_loading = _load(service, plan)
    with service.sql() as database:
        await_that(
            lambda: not ledger.waiting(database), REST_SECONDS, "all is counted", 0.1
        )
        used = processor.seconds(service)
        numbers = [number for one in answers for number in one.accepted]
        counted = ledger.counted(database, plan.phase, numbers, plan.records)
    spent = {name: used[name] - before[name] for name in used} | {"load": spent_loading}
    return _summary(plan, answers, counted, spent)


def _load(service: Service, plan: Plan) -> tuple[list[Answers], float]:
    """What the clients were answered, and the processor time that they took."""
    before = os.times()
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.ingest.load"],
        input=json.dumps(asdict(plan)),
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    after = os.times()
    used = after.children_user + after.children_system
    used -= before.children_user + before.children_system
    return [Answers(**one) for one in json.loads(done.stdout)], used


def _summary(
    plan: Plan, answers: list[Answers], counted: Counted, spent: dict[str, float]
) -> dict[str, Any]:
    began = min(one.began for one in answers)
    took = sorted(seconds for one in answers for seconds in one.seconds)
    posts = sum(len(one.accepted) for one in answers)
    others = [other for one in answers for other in one.others]
    posting = max(one.ended for one in answers) - began
    phase = {
        "records": counted.records,
        "records_per_s": counted.records / (counted.last_at - began),
        "requests_per_s": posts / posting,
        # Of what is counted, by the time that it was posted in.
        "counted_per_s": counted.records / posting,
        "p50_ms": took[len(took) // 2] * 1000,
        "p99_ms": took[len(took) * 99 // 100] * 1000,
        "counted_p99_s": counted.p99_seconds,
        "lost": counted.missing,
        "doubled": counted.doubled,
        "refused": len(others),
    }
    each = 1e6 / max(counted.records, 1)
    _say(
        f"  {counted.records:,} records counted, {phase['records_per_s']:,.0f} /s; "
        f"{phase['requests_per_s']:,.0f} requests/s, p50 {phase['p50_ms']:.1f} ms, "
        f"p99 {phase['p99_ms']:.1f} ms; counted after p99 {counted.p99_seconds:.2f} s"
    )
    shares = ", ".join(
        f"{name} {seconds:.1f} s ({seconds * each:.1f} µs a record)"
        for name, seconds in sorted(spent.items(), key=lambda one: -one[1])
    )
    _say(f"  processor: {shares}")
    for other in others[:3]:
        _say(f"  not accepted: {other}")
    return phase


# --- The figures ----------------------------------------------------------------------


def _figures(
    service: Service, batch: dict[str, Any], single: dict[str, Any]
) -> dict[str, Any]:
    with service.sql() as database:
        alerts = ledger.alerted(database)
        _say(f"{alerts.alerts} alerts, {alerts.missing} missing")
        copied = copying.rows_per_second(database, COPIED)
    return {
        "batch_records_per_s": round(batch["records_per_s"]),
        "copy_rows_per_s": round(copied),
        "ratio_to_copy": round(batch["records_per_s"] / copied, 3),
        "single_requests_per_s": round(single["counted_per_s"]),
        "single_p99_ms": round(single["p99_ms"], 1),
        "accept_to_counted_p99_s": round(
            max(batch["counted_p99_s"], single["counted_p99_s"]), 2
        ),
        "accept_to_alert_p99_s": alerts.p99_seconds and round(alerts.p99_seconds, 2),
        "lost": batch["lost"] + single["lost"],
        "doubled": batch["doubled"] + single["doubled"],
        "cores": len(os.sched_getaffinity(0)),
    }


def _verified(service: Service) -> bool:
    began = time.monotonic()
    done = service.manage("verify_ledger", check=False)
    _say(f"{done.stdout.rstrip()}\nverified in {time.monotonic() - began:.1f} s")
    return done.returncode == 0


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.ingest", description=__doc__
    )
    parser.add_argument("--seconds", type=float, default=60, help="of each phase (60)")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
