"""`python -m tests.bench.holds`: verdicts and holds beside ingest, then all at once.

Starts a PostgreSQL of its own with `fsync` on, and web, worker and beat as `make up`
does. While 5,000 records a second are posted for 50 teams, 200 requests a second ask for
verdicts and holds of the same teams, each under three hard budgets; what is granted is
settled by a record, or released. Then 64 clients ask at one moment, in 20 rounds for a
cap of a project, of a team and of an organization each. The last line is JSON; the exit
code is 0 when no cap was passed, as much was granted as fits, and nothing failed.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from decimal import Decimal
from typing import Any, NamedTuple

from tests.bench.holds import barrier, load
from tests.bench.holds.barrier import Rounds
from tests.bench.holds.load import Answers
from tests.bench.ingest import ledger, processor, world
from tests.bench.ingest.load import Plan as IngestPlan
from tests.chaos.service import CHECKOUT, Service, await_that

RECORDS_PER_SECOND, BATCH, POSTERS = 5_000, 100, 4
REQUESTS_PER_SECOND = 200
WARM_SECONDS = 10
REST_SECONDS = 60

_CAPS = """
from decimal import Decimal
from django.utils import timezone
from billing.actions import budgets
from billing.pricing.budget_periods import PeriodKind
from teams.models import Organization, Project, Team
organization = Organization.objects.get(slug="bench")
said = dict(organization=organization, period=PeriodKind.MONTH, by="bench",
            terms=budgets.Terms(amount=Decimal(10**9), hard=True), now=timezone.now())
budgets.create(**said)
for team in Team.objects.filter(organization=organization):
    budgets.create(team=team, **said)
for project in Project.objects.filter(organization=organization):
    budgets.create(project=project, **said)
"""

_BARRIER = """
import json
from decimal import Decimal
from django.utils import timezone
from billing.actions import budgets
from billing.pricing.budget_periods import PeriodKind
from teams.actions import api_keys, organizations, projects, teams
from teams.models.api_keys import Scope
said = dict(by="bench", now=timezone.now())
keys = {{}}
for level in ("project", "team", "organization"):
    organization = organizations.create(name=level, slug=f"at-{{level}}", time_zone="UTC",
                                        **said)
    team = teams.create(organization=organization, name=level, slug=level, **said)
    project = projects.create(team=team, name=level, slug=level, **said)
    scope = {{"project": dict(project=project), "team": dict(team=team)}}
    budgets.create(organization=organization, period=PeriodKind.MONTH,
                   terms=budgets.Terms(amount=Decimal("{cap}"), hard=True),
                   **scope.get(level, {{}}), **said)
    _, keys[level] = api_keys.issue(organization=organization, name=level,
                                    scopes=[Scope.USAGE_WRITE], **said)
print(json.dumps(keys))
"""


class Measured(NamedTuple):
    answers: Answers
    records_per_second: float
    missing: int  # records that the door accepted and nobody counted


def main(arguments: Sequence[str]) -> int:
    chosen = _parser().parse_args(arguments)
    service = Service()
    try:
        service.prepare()
        ledger.note_commits(service)
        teams = world.make(service)
        service.shell(_CAPS)
        keys = json.loads(service.shell(_BARRIER.format(cap=barrier.CAP)))
        service.start_all()
        _say(f"{world.SIZE}; {RECORDS_PER_SECOND} records/s, {REQUESTS_PER_SECOND} asked/s")
        _together(service, teams, WARM_SECONDS, "warm")
        measured = _together(service, teams, chosen.seconds, "load")
        at_once = {level: _at_once(service, level, key) for level, key in keys.items()}
        ok = _verified(service)
    except BaseException:
        _say(service.logs())
        raise
    finally:
        service.end()
    figures, fine = _figures(measured, at_once)
    _say(json.dumps(figures))
    return 0 if ok and fine else 1


# --- Beside ingest --------------------------------------------------------------------


def _together(service: Service, teams: Any, seconds: float, phase: str) -> Measured:
    """Ingest, and those who ask; wait until all is counted."""
    posting = IngestPlan(
        f"{phase}",
        service.port,
        seconds + 1,
        POSTERS,
        BATCH,
        list(world.MODELS),
        teams,
        RECORDS_PER_SECOND / BATCH,
    )
    asking = load.Plan(
        service.port, seconds, REQUESTS_PER_SECOND, list(world.MODELS), teams
    )
    before = processor.seconds(service)
    with _running("tests.bench.ingest.load", posting) as posted:
        with _running("tests.bench.holds.load", asking) as asked:
            answers = Answers(**json.loads(asked.communicate()[0]))
        others = json.loads(posted.communicate()[0])
    with service.sql() as database:
        await_that(
            lambda: not ledger.waiting(database), REST_SECONDS, "all is counted", 0.1
        )
        numbers = [number for one in others for number in one["accepted"]]
        counted = ledger.counted(database, phase, numbers, BATCH)
    used = processor.seconds(service)
    shares = ", ".join(f"{name} {used[name] - before[name]:.1f} s" for name in used)
    _say(f"{phase}, {seconds:g} s: processor {shares}")
    took = max(one["ended"] for one in others) - min(one["began"] for one in others)
    answers.others += [other for one in others for other in one["others"]]
    return Measured(answers, len(numbers) * BATCH / took, counted.missing)


@contextmanager
def _running(module: str, plan: Any) -> Iterator["subprocess.Popen[str]"]:
    """A load in a process of its own, that has its plan."""
    with subprocess.Popen(
        [sys.executable, "-m", module],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=CHECKOUT,
        text=True,
    ) as process:
        assert process.stdin is not None
        process.stdin.write(json.dumps(asdict(plan)))
        process.stdin.close()
        process.stdin = None
        yield process


# --- At once --------------------------------------------------------------------------


def _at_once(service: Service, level: str, key: str) -> Rounds:
    found = barrier.rounds(service.port, key, level)
    _say(
        f"{barrier.CLIENTS} clients at a barrier × {barrier.ROUNDS}, cap of a {level}: "
        f"{found.overshoot} granted above it, {found.left_over} less than fits"
    )
    return found


# --- The figures ----------------------------------------------------------------------


def _figures(measured: Measured, at_once: dict[str, Rounds]) -> tuple[dict[str, Any], bool]:
    answers = measured.answers
    asked = len(answers.verdicts) + len(answers.holds)
    for name in ("verdicts", "holds", "ends"):
        took = sorted(getattr(answers, name))
        shown = ", ".join(
            f"p{percent} {_at(took, percent):.1f} ms" for percent in (50, 90, 99)
        )
        _say(f"  {len(took)} {name}: {shown}, at most {took[-1] * 1000:.1f} ms")
    _say(
        f"  beside {measured.records_per_second:,.0f} records/s; {answers.refused} holds "
        f"refused, {measured.missing} records lost, {len(answers.others)} other answers"
    )
    for other in answers.others[:3]:
        _say(f"  {other}")
    overshoot = sum((one.overshoot for one in at_once.values()), Decimal())
    left_over = sum((one.left_over for one in at_once.values()), Decimal())
    figures = {
        "hold_p99_ms": round(_at(sorted(answers.holds), 99), 1),
        "verdict_p99_ms": round(_at(sorted(answers.verdicts), 99), 1),
        "requests_per_s": round(asked / (answers.ended - answers.began)),
        "overshoot": f"{overshoot.normalize():f}",
        "clients": barrier.CLIENTS,
    }
    wrong = overshoot or left_over or answers.others or answers.refused or measured.missing
    return figures, not wrong


def _at(took: Sequence[float], percent: int) -> float:
    """A percentile, in milliseconds."""
    return took[len(took) * percent // 100] * 1000


def _verified(service: Service) -> bool:
    done = service.manage("verify_ledger", check=False)
    _say(done.stdout.rstrip())
    return done.returncode == 0


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.holds", description=__doc__
    )
    parser.add_argument("--seconds", type=float, default=60, help="beside ingest (60)")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
