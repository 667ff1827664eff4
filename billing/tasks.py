"""What workers are asked to do. Each finds its work in the database, does one kind of
it through one action, and may be asked too often without harm."""

import logging
import time
from dataclasses import asdict
from http import HTTPStatus
from threading import Thread
from typing import Any

from celery import shared_task
from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection
from django.utils import timezone
from psycopg_pool import PoolTimeout

from billing.actions import (
    deliver,
    forecasts,
    heartbeats,
    holds,
    parked,
    partitions,
    post,
    proposals,
    rerates,
    reviews,
    sweep,
    verifications,
)
from billing.charts.drawing import Picture
from billing.connectors import outgoing
from billing.models import Alert, Heartbeat, Rerate
from billing.reports import alert_picture, processes, verification
from billing.reports import forecasts as forecast_reports
from billing.watch import rules
from teams.models import Organization

logger = logging.getLogger(__name__)

_UNAVAILABLE = (DatabaseError, InterfaceError, PoolTimeout)

_SECONDS_OF_COUNTING = 20
# Little, so that what waits behind it, counting above all, waits little.
_SECONDS_OF_RERATING = 2


@shared_task
def count_postings(**kwargs: Any) -> None:
    """Count all that waits at its beginning, a batch of each team in turn.

    What comes meanwhile is left to the next tick: of single records many are counted at
    once, and not each as it comes. It ends by itself, with work left over if need be:
    nothing else can stop it.
    """
    enough = time.monotonic() + _SECONDS_OF_COUNTING
    waiting = post.batches_waiting()
    while waiting and time.monotonic() < enough:
        waiting = _round(waiting)
    heartbeats.touch(Heartbeat.Name.WORKER, now=timezone.now())


def _round(waiting: dict[int, int]) -> dict[int, int]:
    """Count a batch of each team; those that have more, in how many batches.

    A team whose postings another process holds is left to it.
    """
    this = post.Round()
    try:
        return {
            team_id: batches - 1
            for team_id, batches in waiting.items()
            if _count(this, team_id) and batches > 1
        }
    finally:
        _end(this)


def _end(this: post.Round) -> None:
    try:
        this.end(now=timezone.now())
    except _UNAVAILABLE:
        logger.exception("what several teams have reached is left to the next sweep")


def _count(this: post.Round, team_id: int) -> int:
    try:
        return this.count(team_id=team_id, now=timezone.now())
    except _UNAVAILABLE:
        # A deadlock, a lock held too long, a server gone: its postings are still there,
        # and the next tick is a second away. The other teams go on.
        logger.exception("counting of team %s is put off", team_id)
        return 0


@shared_task
def deliver_alerts(**kwargs: Any) -> None:
    """One attempt for what is due; what is left over waits for the next tick."""
    deliver.send_due(clock=timezone.now, picture=_picture)
    heartbeats.touch(Heartbeat.Name.SENDER, now=timezone.now())


def _picture(alert: Alert) -> Picture | None:
    return alert_picture.of_alert(alert, now=timezone.now())


@shared_task
def evaluate_budgets(**kwargs: Any) -> None:
    """Raise what counting did not see: over several teams, or in a new period."""
    sweep.sweep(now=timezone.now())


@shared_task
def watch(**kwargs: Any) -> None:
    """What has to be said at once: fast spend, deliveries, counting, the ledger."""
    rules.look(rules.EACH_MINUTE, now=timezone.now())


@shared_task
def watch_spend(**kwargs: Any) -> None:
    """Unusual spend, and projects that have gone silent."""
    rules.look(rules.EACH_QUARTER, now=timezone.now())


@shared_task
def watch_prices(**kwargs: Any) -> None:
    """What is days ahead or behind: price changes, API keys that expire, reviews."""
    rules.look(rules.EACH_HOUR, now=timezone.now())


@shared_task
def open_reviews(**kwargs: Any) -> None:
    """Open the review of each project that has been used for two weeks."""
    for organization in Organization.objects.order_by("pk"):
        reviews.open_due(organization, now=timezone.now())


@shared_task
def say_unpriced(**kwargs: Any) -> None:
    """Raise alerts of models without a price, resolve those that have one."""
    sweep.sweep_unpriced(now=timezone.now())


@shared_task
def go_on_rerating(**kwargs: Any) -> None:
    """Some chunks of the re-rate that has waited longest and that nobody is at."""
    enough = time.monotonic() + _SECONDS_OF_RERATING
    for rerate in rerates.under_way():
        left = enough - time.monotonic()
        if left > 0:
            _rerate(rerate, left)


def _rerate(rerate: Rerate, seconds: float) -> None:
    try:
        rerates.advance(rerate=rerate, clock=timezone.now, seconds=seconds)
    except _UNAVAILABLE:
        logger.exception("%s is put off", rerate)


@shared_task
def retry_unpriced(**kwargs: Any) -> None:
    """Post unpriced records again where prices have changed since they were tried."""
    for team_id in parked.teams_with_unpriced():
        parked.retry(team_id=team_id, now=timezone.now())


@shared_task
def keep_partitions(**kwargs: Any) -> None:
    """Months ahead have their partitions; what lay in the default one is moved out."""
    partitions.keep(now=timezone.now())


@shared_task
def measure_forecasts(**kwargs: Any) -> None:
    """How far forecasts of each organization's teams were off, for its next ones."""
    for organization in Organization.objects.order_by("pk"):
        now = timezone.now()
        spread = forecast_reports.errors_of(organization, now=now)
        forecasts.keep_errors(organization=organization, spread=spread, now=now)


@shared_task
def forget_holds(**kwargs: Any) -> None:
    """Delete holds that ended a day ago; nothing depends on when."""
    while holds.forget():
        pass


@shared_task
def propose_rates(**kwargs: Any) -> None:
    """Where the installed price data says something else than a list card, say so."""
    proposals.propose(now=timezone.now())


@shared_task
def verify_ledger(**kwargs: Any) -> None:
    """Begin a verification beside the worker's other tasks, and do not wait for it.

    It may take minutes, in which nothing would be counted here. Its queries are work of
    the server; this process only waits for their answers.
    """
    Thread(target=_verify, name="verification", daemon=True).start()


def _verify() -> None:
    try:
        found = verification.verify(clock=timezone.now, alone=True)
        kept = verifications.keep(**asdict(found))
        if not kept.ok:
            wrong = kept.problem or "; ".join(kept.disagreeing)
            logger.error("the ledger does not verify: %s", wrong)
    except verification.UnderWay:
        logger.info("another process verifies the ledger")
    except _UNAVAILABLE:
        logger.exception("what a verification found is lost")
    finally:
        connection.close()  # it is this thread's own


@shared_task
def say_all_is_well(**kwargs: Any) -> None:
    """Call the address that expects to be called, and do not wait for its answer.

    Whoever is behind it notices when nobody calls: when beat is dead no one asks for
    this, when a worker or the sender is, or the ledger is wrong, it is not done.
    """
    if settings.DEADMAN_URL and processes.all_is_well(now=timezone.now()):
        Thread(target=_call, args=(settings.DEADMAN_URL,), name="deadman").start()


def _call(url: str) -> None:
    try:
        reply = outgoing.get(url, allow=settings.OUTGOING_ALLOW)
    except outgoing.NotSent as error:
        logger.warning("the dead-man URL was not reached: %s", error)
        return
    if reply.status >= HTTPStatus.BAD_REQUEST:
        logger.warning("the dead-man URL answered %s", reply.status)
