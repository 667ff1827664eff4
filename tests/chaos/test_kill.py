"""kill -9 of workers and of PostgreSQL, over and over, under load.

The seed drives what is posted and what is killed: PURSER_SEED=… repeats a run, as far as
a machine repeats itself.
"""

import os
import sys
from random import Random

import pytest

from tests.chaos import faults
from tests.chaos.director import Director, Outcome, report
from tests.chaos.load import Load, Mix
from tests.chaos.service import Service

WORKER_KILLS = 20
POSTGRES_KILLS = 5
WEB_KILLS = 3
POSTS_BETWEEN = 20
SECONDS_BETWEEN = 30


def killed_over_and_over(service: Service, seed: int) -> Outcome:
    """Kill whenever enough was posted since the last time and a worker is counting."""
    load = Load(service, seed=seed, mix=Mix(pause_seconds=0.03))
    director = Director(service, load)
    director.begin()
    for fault in plan(seed):
        enough = load.log.posts + POSTS_BETWEEN
        director.until(
            lambda enough=enough: load.log.posts >= enough and service.counting() > 0,
            SECONDS_BETWEEN,
            f"{POSTS_BETWEEN} more posts, and a worker that counts",
        )
        director.strike(fault)
    return director.finish()


def plan(seed: int) -> list[faults.Fault]:
    chance = Random(seed)  # noqa: S311 - the seed is the point
    postgres = [faults.kill_postgres, faults.kill_postmaster]
    strikes = [faults.kill_workers] * WORKER_KILLS + [faults.kill_web] * WEB_KILLS
    strikes += [postgres[number % 2] for number in range(POSTGRES_KILLS)]
    chance.shuffle(strikes)
    return [faults.Fault(strike.__name__, strike) for strike in strikes]


@pytest.mark.xdist_group("kill")
def test_what_was_acknowledged_is_counted_once_whatever_is_killed() -> None:
    seed = int(os.environ.get("PURSER_SEED", "1"))
    with Service() as service:
        outcome = killed_over_and_over(service, seed)
        said = f"PURSER_SEED={seed}\n{report(outcome)}"
        assert outcome.ok, f"{said}\n{service.logs()}"
    sys.stdout.write(f"\n{said}\n")
    assert outcome.struck["kill_workers"] == WORKER_KILLS
    assert outcome.posts >= 500
    assert outcome.looks > 0
