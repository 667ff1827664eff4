"""`python -m tests.chaos.disk`: PostgreSQL's disk runs full under load, again and again.

Where nobody may mount a tmpfs, this starts itself once more in a namespace of its own
user and mounts. Nothing may be answered but what is true, reading goes on, and when
there is room again everything does, with nobody's help.
"""

import argparse
import contextlib
import json
import os
import sys
from collections.abc import Sequence

import psycopg

from tests.chaos.director import Director, Outcome, report
from tests.chaos.faults import Relief, named
from tests.chaos.load import Load, Mix
from tests.chaos.service import Service

MEGABYTES = 400
TIMES = 4  # by turns
LASTING_SECONDS = 6
# Until a full disk is noticed, and until all goes on when there is room again.
NOTICED_SECONDS = 30
RECOVERED_SECONDS = 60


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.disk", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="of the load (1)")
    seed = parser.parse_args(arguments).seed
    if os.geteuid() != 0:
        again = [*_AS_ROOT, sys.executable, "-m", "tests.chaos.disk", *arguments]
        os.execvp("unshare", again)  # noqa: S606 - no shell is wanted
    with Service(proxied=True, disk_megabytes=MEGABYTES) as service:
        outcome, reads = fill_over_and_over(service, seed)
        panics = service.logs_of("postgres").count("PANIC")
        if not outcome.ok:
            sys.stdout.write(service.logs())
    last = {
        "seed": seed,
        "acked": outcome.verdict.acked,
        "kills": dict(outcome.struck),
        "refused": outcome.answers["503"],
        "reads_while_full": reads,
        "panics": panics,
        "lost": len(outcome.verdict.lost),
        "doubled": len(outcome.verdict.doubled),
        "verify": "ok" if outcome.verified else "failed",
        "ok": outcome.ok and reads == TIMES // 2,
    }
    sys.stdout.write(f"{report(outcome)}\n{json.dumps(last)}\n")
    return 0 if last["ok"] else 1


_AS_ROOT = ("unshare", "--user", "--map-root-user", "--mount")


def fill_over_and_over(service: Service, seed: int) -> tuple[Outcome, int]:
    """What came of it, and how often a record could be read while no table could grow."""
    load = Load(service, seed=seed, mix=Mix(pause_seconds=0.02))
    director = Director(service, load)
    director.begin()
    reads = 0
    for number in range(TIMES):
        fault = FAULTS[number % len(FAULTS)]
        posts = load.log.posts
        director.until(
            lambda posts=posts: load.log.posts > posts + 20, RECOVERED_SECONDS, "it goes on"
        )
        refused = load.log.answers["503"]
        director.strike(fault, lasting=LASTING_SECONDS)
        director.until(
            lambda refused=refused: load.log.answers["503"] > refused,
            NOTICED_SECONDS,
            "a post is refused because the disk is full",
        )
        reads += fault.strike is full_disk and can_read(service, load)
        director.until(lambda: not director.lasting, NOTICED_SECONDS, "there is room again")
    return director.finish(), reads


def full_disk(service: Service) -> Relief:
    """No table can grow."""
    service.disk.fill()
    return service.disk.free


def full_disk_and_log(service: Service) -> Relief:
    """Nor can the log go on: PostgreSQL gives up, and cannot start either."""
    superuser = service.postgres.url(user="postgres")
    with psycopg.connect(superuser, autocommit=True) as connection:
        service.disk.fill()
        with contextlib.suppress(psycopg.OperationalError):
            connection.execute("SELECT pg_switch_wal()")
    return service.disk.free


FAULTS = named(full_disk, full_disk_and_log)


def can_read(service: Service, load: Load) -> bool:
    (newest,) = load.log.latest(1)
    project = service.query(
        "SELECT p.slug FROM billing_usage_record r JOIN teams_project p "
        "ON p.id = r.project_id WHERE r.record_id = %s",
        newest,
    )[0][0]
    return service.client().get(f"usage/{newest}?project={project}").status == 200


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
