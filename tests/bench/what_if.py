"""`python -m tests.bench.what_if`: how long a what-if takes on many records.

Starts a PostgreSQL of its own, migrated, with an organization of many teams and projects,
whose records, charges and sums SQL has made as counting would have. Then every lever is
pulled at once, of the whole organization: what can wait is told by the project, from the
sums alone, and by a tag, from the records of 31 days. Each question is asked several
times, with the rights of the web process. The last line is JSON: medians. The exit code
is 0 when both are answered in two seconds.
"""

import argparse
import json
import sys
from collections.abc import Sequence

from tests.bench import rerate
from tests.bench.ingest import world
from tests.chaos.service import Service

DAYS = ("2026-10-21", "2026-11-21")
AT_MOST_MS = 2_000
# A fifth of the records can wait; all of them carry tags.
TAGS = """
jsonb_build_object('env', 'prod', 'feature', 'feature-' || mod(made.n, 23),
    'job', (ARRAY['nightly', 'chat', 'chat', 'search', 'search'])[1 + mod(made.n, 5)])
"""

_ASK = """
import json, time
from statistics import median
from django.db import connection
from django.utils import timezone
from billing.formats import what_if as formats
from billing.reports import what_if
from teams import isolation
from teams.models import Organization
organization = Organization.objects.get(slug="bench")
teams = list(organization.teams.order_by("pk"))
now = timezone.now()
levers = dict(
    since="{since}", until="{until}",
    moves=[dict(model="claude-opus-5-5", to="claude-sonnet-5-5", percent=50),
           dict(model="claude-opus-5", to="claude-haiku-4-5", percent=30)],
    caching=dict(kind="on", share_percent=40, hit_percent=80),
    output_percent=-10, prices_on="2026-11-20",
)
projects = [team.slug + "-0" for team in teams]
asked = dict(
    rollup=dict(levers, batch=dict(percent=50, projects=projects)),
    tag=dict(levers, batch=dict(percent=50, tags=["job=nightly"])),
)
said = dict()
for name, question in asked.items():
    took = []
    for _ in range({times}):
        began = time.perf_counter()
        with isolation.visible_teams(team.pk for team in teams):
            found = what_if.answer(formats.read(question), organization=organization,
                                   teams=teams, now=now)
        took.append((time.perf_counter() - began) * 1000)
    said[name] = dict(ms=round(median(took[1:])), first_ms=round(took[0]),
                      before=str(found.before), after=str(found.after.mid),
                      waiting=[one.requests for one in found.effects][1])
print(json.dumps(said))
"""


def main(arguments: Sequence[str]) -> int:
    chosen = _parser().parse_args(arguments)
    service = Service()
    try:
        service.prepare()
        world.make(service)
        _say(f"{chosen.records:,} records from {DAYS[0]} to {DAYS[1]}, {world.SIZE}")
        rerate.fill(service, chosen.records, organization="bench", days=DAYS, tags=TAGS)
        script = _ASK.format(since=DAYS[0], until=DAYS[1], times=chosen.times + 1)
        found = json.loads(service.shell(script, role="app"))
    finally:
        service.end()
    for name, its in found.items():
        _say(f"{name}: {its}")
    taken = {f"{name}_answer_ms": its["ms"] for name, its in found.items()}
    _say(json.dumps({"records": chosen.records, **taken}))
    return 0 if max(taken.values()) <= AT_MOST_MS else 1


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.what_if", description=__doc__
    )
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--times", type=int, default=5)
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
