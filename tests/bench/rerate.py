"""`python -m tests.bench.rerate`: how long it takes to give many records other prices.

Starts a PostgreSQL of its own, migrated, with records and charges that SQL has made as
counting would have; publishes other prices for every model in use, so that each record
changes; and runs `manage.py rerate`. The last line is JSON. The exit code is 0 when the
ledger verifies before and after.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence

from billing.pricing.token_classes import UNITS, TokenClass
from tests.chaos.service import CHECKOUT, Service

FIRST, LAST = "2026-10-01", "2026-11-20"
MODELS = ("claude-opus-5-5", "claude-sonnet-5-5", "claude-haiku-4-5", "claude-opus-5")
CLASSES = [token_class.value for token_class in TokenClass]
# Small enough for the lowest context tier, and of each class that every rate has.
USED = {
    "input": "200 + mod(made.n, 1800)",
    "cache_write_5m": "mod(made.n, 7) * 100",
    "cache_read": "mod(made.n, 11) * 500",
    "output": "20 + mod(made.n, 400)",
}

PUBLISH = """
from django.utils import timezone
from billing.actions import rate_cards
from billing.models import Publication, Rate, RateCard
now = timezone.now()
card = RateCard.objects.get(kind="list", provider="anthropic")
publication = Publication.objects.create(card=card, created_by="bench", created_at=now)
published = Rate.objects.filter(publication__card=card, publication__state="published")
for rate in published.filter(model__name__in={models}):
    rate.pk, rate.publication = None, publication
    rate.output = rate.output * 2 if rate.output is not None else None
    rate.save()
rate_cards.publish(publication=publication, by="bench", now=now)
"""


def main(arguments: Sequence[str]) -> int:
    chosen = _parser().parse_args(arguments)
    service = Service()
    try:
        service.prepare()
        _say(f"{chosen.records:,} records of {FIRST} to {LAST}")
        fill(service, chosen.records)
        if not verified(service):
            return 1
        service.shell(PUBLISH.format(models=list(MODELS)))
        began = time.monotonic()
        rerate(
            service,
            *("--organization", "acme", "--from", FIRST, "--until", "2026-12-01"),
            *("--reason", "bench", "--dry-run"),
        )
        dry_run = time.monotonic() - began
        number = service.query("SELECT max(id) FROM billing_rerate")[0][0]
        began = time.monotonic()
        rerate(service, "--resume", str(number), "--yes")
        seconds = time.monotonic() - began
        ok = verified(service)
        ((records, changed),) = service.query(
            "SELECT sum(records), sum(changed) FROM billing_reratetotal WHERE executed"
        )
    finally:
        service.end()
    _say(
        json.dumps(
            {
                "records": int(records),
                "seconds": round(seconds, 1),
                "records_per_s": round(int(records) / seconds),
                "changed": int(changed),
                "dry_run_seconds": round(dry_run, 1),
                "verified": ok,
            }
        )
    )
    return 0 if ok else 1


def fill(
    service: Service,
    records: int,
    *,
    organization: str = "acme",
    days: tuple[str, str] = (FIRST, LAST),
    tags: str = "'{}'",
    output: str = USED["output"],
) -> None:
    """Records, their charges and the sums of these, of an organization that has none.

    They are spread evenly over its projects and over these days; `tags` is the SQL of what
    the n-th of them (`made.n`) carries, `output` that of how much it gave out.
    """
    first, last = days
    made = _RECORDS.format(tags=tags, output=output)
    with service.sql() as database:
        for month in ("2026-10-01", "2026-11-01"):
            database.execute("SELECT purser_make_partitions(%s::date)", [month])
        database.execute(_PLACES, [organization])
        database.execute(_RATES, [list(MODELS)])
        asked = {"records": records, "first": first, "last": last}
        database.execute(made, {**asked, "organization": organization})
        database.execute(_RECEIPTS)
        database.execute(_CHARGES)
        for table, period, of_charge in (
            ("billing_daily_spend", "day", "c.day"),
            ("billing_hourly_spend", "hour", "date_trunc('hour', c.occurred_at, 'UTC')"),
        ):
            database.execute(_sums(table, period, of_charge))
        database.execute("VACUUM ANALYZE")


def rerate(service: Service, *arguments: str) -> None:
    """As long as it takes; what it says is shown. Raises CalledProcessError."""
    subprocess.run(
        [sys.executable, "manage.py", "rerate", *arguments],
        env=service.variables() | {"DATABASE_ROLE": "owner"},
        cwd=CHECKOUT,
        check=True,
    )


def verified(service: Service) -> bool:
    done = service.manage("verify_ledger", check=False)
    _say(done.stdout)
    return done.returncode == 0


def _say(text: str) -> None:
    sys.stdout.write(f"{text.rstrip()}\n")
    sys.stdout.flush()


_PLACES = """
CREATE TEMPORARY TABLE place AS
SELECT row_number() OVER (ORDER BY o.project_id) - 1 AS n, o.team_id, o.project_id
FROM teams_ownership o JOIN teams_team t ON t.id = o.team_id
JOIN teams_organization g ON g.id = t.organization_id WHERE g.slug = %s
"""

_OF_PLACE = "team_id IN (SELECT team_id FROM place)"

_RATES = """
CREATE TEMPORARY TABLE priced AS
SELECT row_number() OVER (ORDER BY name) - 1 AS n, r.* FROM (
    SELECT DISTINCT ON (r.model_id) m.name, r.*
    FROM billing_rate r JOIN billing_languagemodel m ON m.id = r.model_id
    WHERE m.provider = 'anthropic' AND m.name = ANY(%s)
        AND r.processing = 'standard' AND r.speed = 'standard'
        AND r.geo = 'global' AND r.endpoint = 'global' AND r.context_tier = 0
        AND r.effective_from <= '2026-10-01' AND NOT r.stop
    ORDER BY r.model_id, r.effective_from DESC
) r
"""

_USED = {**USED, "output": "{output}"}
_QUANTITIES = ", ".join(f"({_USED.get(name, '0')})::bigint" for name in CLASSES)
_RECORDS = f"""
INSERT INTO billing_usage_record (team_id, project_id, record_id, month, uid, occurred_at,
    received_at, route, provider, model_name, usage_format, processing, speed, geo,
    endpoint, {", ".join(CLASSES)}, unbilled, thinking, flags, tags, fingerprint)
SELECT p.team_id, p.project_id, 'bench-' || made.n, date_trunc('month', at)::date,
    (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0')
        || '7' || left(made.hash, 3) || 'a' || right(made.hash, 15))::uuid,
    at AT TIME ZONE 'UTC', at AT TIME ZONE 'UTC', 'api', 'anthropic', m.name,
    'anthropic', 'standard', 'standard', 'global', 'global', {_QUANTITIES}, '', 0,
    '{{{{}}}}', {{tags}}, ''
FROM (
    SELECT n, md5(%(organization)s || n) AS hash, %(first)s::timestamp
        + (%(last)s::timestamp - %(first)s::timestamp) * (n::float8 / %(records)s) AS at
    FROM generate_series(0, %(records)s::bigint - 1) n
) made
JOIN place p ON p.n = mod(made.n, (SELECT count(*) FROM place))
JOIN priced m ON m.n = mod(made.n / 7, (SELECT count(*) FROM priced))
"""

_RECEIPTS = f"""
INSERT INTO billing_receipt (team_id, hour, api_key, route, received, accepted,
    duplicates, conflicts, rejected)
SELECT team_id, date_trunc('hour', received_at, 'UTC'), 0, route,
    count(*), count(*), 0, 0, 0
FROM billing_usage_record WHERE {_OF_PLACE} GROUP BY 1, 2, 3, 4
"""

_COST = " + ".join(
    f"coalesce(u.{name} * m.{name} / {UNITS[TokenClass(name)]}, 0)" for name in CLASSES
)
_CHARGES = f"""
INSERT INTO billing_charge (team_id, record_uid, month, revision, leg, posted_at,
    project_id, model_id, rate_id, processing, speed, geo, endpoint, context_tier,
    occurred_at, day, {", ".join(CLASSES)}, cost, reason)
SELECT u.team_id, u.uid, u.month, 0, 0, u.received_at, u.project_id, r.model_id, r.id,
    u.processing, u.speed, u.geo, u.endpoint, 0, u.occurred_at,
    (u.occurred_at AT TIME ZONE z.time_zone)::date,
    {", ".join(f"u.{name}" for name in CLASSES)}, {_COST}, ''
FROM billing_usage_record u
JOIN billing_languagemodel l ON l.provider = u.provider AND l.name = u.model_name
JOIN teams_team t ON t.id = u.team_id
JOIN teams_reportingzone z ON z.organization_id = t.organization_id
JOIN LATERAL (
    SELECT m.* FROM billing_rate m WHERE m.model_id = l.id AND m.processing = 'standard'
        AND m.speed = 'standard' AND m.geo = 'global' AND m.endpoint = 'global'
        AND m.context_tier = 0 AND m.effective_from <= u.occurred_at
    ORDER BY m.effective_from DESC, m.id DESC LIMIT 1
) m ON true
JOIN billing_rate r ON r.id = m.id
WHERE u.{_OF_PLACE}
"""


def _sums(table: str, period: str, of_charge: str) -> str:
    key = "team_id, project_id, model_id, processing, speed, geo, endpoint, context_tier"
    keys = ", ".join(f"c.{name}" for name in key.split(", "))
    costs = ", ".join(
        f"coalesce(sum(c.{name} * m.{name} / {UNITS[TokenClass(name)]}), 0)"
        for name in CLASSES
    )
    return f"""
    INSERT INTO {table} ({key}, {period}, requests, {", ".join(CLASSES)},
        {", ".join(f"{name}_cost" for name in CLASSES)}, cost)
    SELECT {keys}, {of_charge}, count(*),
        {", ".join(f"sum(c.{name})" for name in CLASSES)}, {costs}, sum(c.cost)
    FROM billing_charge c JOIN billing_rate m ON m.id = c.rate_id
    WHERE c.{_OF_PLACE}
    GROUP BY {keys}, {of_charge}
    """


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.rerate", description=__doc__
    )
    parser.add_argument("--records", type=int, default=1_000_000)
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
