"""Alerts on their way: each reaches its channel at least once, or is visibly given up.

A delivery is leased, sent outside of any transaction, and its result is written down
only while the lease is still ours. A sender that dies between the receiver's answer and
that note leaves a lease that ends: the message is sent again, with the same id. So a
duplicate is possible and recognizable; a silent miss is not.
"""

import logging
import random
import re
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.db import connection, transaction

from billing.actions import alert_messages, channels, deliveries
from billing.actions.alert_bodies import mail, pagerduty, slack, webhook
from billing.actions.alert_bodies.mail import Letter
from billing.charts import drawing
from billing.charts.drawing import Picture
from billing.connectors import outgoing
from billing.connectors.outgoing import NotSent, Reply
from billing.models import Alert, Channel, Delivery, DeliveryAttempt

logger = logging.getLogger(__name__)

# Sent side by side in one go, so that a receiver that hangs keeps no other waiting.
AT_ONCE = 10

# Longer than an attempt may take (outgoing.SECONDS), so that no two senders have one
# delivery at a time.
LEASE = timedelta(seconds=60)

# The waits after the first failed attempt, the second, … (Standard Webhooks); after the
# last one there are no more.
WAITS = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
ATTEMPTS = len(WAITS) + 1

# Each wait is longer or shorter by up to this part of it, so that what failed together
# does not come back together.
JITTER = 0.1
_random = random.SystemRandom()


def some_spread() -> float:
    """A part of a wait, drawn anew each time."""
    return _random.uniform(-JITTER, JITTER)


# A receiver may ask for more time than the schedule gives, up to this much.
MAX_RETRY_AFTER = timedelta(hours=24)
_BUSY = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)


# An attempt that draws a picture and comes to nothing may have failed of that: the ones
# after these go without.
_ATTEMPTS_WITH_PICTURE = 2

# What an e-mail shows of an alert's figures; None where it has none.
ReadPicture = Callable[[Alert], Picture | None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an attempt. Without an error it was accepted."""

    error: str = ""
    # No further attempt is wanted.
    final: bool = False
    # The receiver wants nothing more at all.
    gone: bool = False
    # Not before.
    retry_at: datetime | None = None


def send_due(
    *,
    clock: Callable[[], datetime],
    picture: ReadPicture = lambda alert: None,
    limit: int = AT_ONCE,
    spread: Callable[[], float] = some_spread,
) -> int:
    """Make one attempt for each of the next `limit` deliveries; how many there were.

    Takes as long as the slowest. Any number of processes may do so at a time: each
    delivery is one's only. `picture` reads what an e-mail shows; it is drawn beside
    the others. `spread` gives the jitter of a wait, as a part of it.

    Raises OperationalError when the database cannot: leases end by themselves.
    """
    leased = _lease(now=clock(), limit=limit)
    if not leased:
        return 0
    with ThreadPoolExecutor(len(leased)) as pool:
        # Messages are written here and sent there: the threads use no database.
        sending: dict[Future[Outcome], tuple[Delivery, datetime]] = {}
        for one in leased:
            began = clock()
            attempt = _written(one, picture=picture, now=began)
            sending[pool.submit(attempt)] = (one, began)
        for future in as_completed(sending):
            delivery, began = sending[future]
            outcome = _outcome(future)
            _note(delivery, outcome, began=began, now=clock(), spread=spread())
    return len(leased)


# --- The lease ----------------------------------------------------------------------

_TABLE = Delivery._meta.db_table

_DUE = "state IN ('waiting', 'sending') AND due_at <= %(now)s"

# That an alert is resolved is said after it was said that it fires; that it fires again,
# after that.
_IN_TURN = f"""(event = 'fired' AND firing = 1) OR NOT EXISTS (
    SELECT FROM {_TABLE} AS before
    WHERE before.alert_id = one.alert_id AND before.channel_id = one.channel_id
        AND before.id < one.id AND before.state IN ('waiting', 'sending')
)"""

# Each channel's first before any one's second: many for one that hangs must not hold up
# the others. MATERIALIZED: the locking query runs once, so that its limit holds.
_LEASE = f"""
WITH due AS MATERIALIZED (
    SELECT delivery.id FROM {_TABLE} AS delivery
    JOIN (
        SELECT id, row_number() OVER (PARTITION BY channel_id ORDER BY due_at) AS place
        FROM {_TABLE} AS one WHERE {_DUE} AND ({_IN_TURN})
    ) AS queued USING (id)
    WHERE {_DUE}
    ORDER BY place, due_at LIMIT %(limit)s
    FOR UPDATE OF delivery SKIP LOCKED
)
UPDATE {_TABLE} AS leased
SET state = 'sending', attempts = attempts + 1, due_at = %(until)s
FROM due WHERE leased.id = due.id
RETURNING leased.id
"""


def _lease(*, now: datetime, limit: int) -> list[Delivery]:
    """Take what is due: what waits, and what another sender began and never ended.

    `attempts` counts leases; with it a sender knows later whether this one is still his.
    """
    with connection.cursor() as cursor:
        cursor.execute(_LEASE, {"now": now, "until": now + LEASE, "limit": limit})
        ids = [delivery_id for (delivery_id,) in cursor.fetchall()]
    deliveries = Delivery.objects.filter(pk__in=ids).select_related(
        "channel__organization",
        "channel__user",
        "instead_of__channel__user",
        "alert__budget__organization",
        "alert__budget__team",
        "alert__budget__project",
        "alert__organization",
        "alert__team",
        "alert__project",
        "alert__rerate",
    )
    return list(deliveries.order_by("pk"))


# --- The attempt --------------------------------------------------------------------


def _written(
    delivery: Delivery, *, picture: ReadPicture, now: datetime
) -> Callable[[], Outcome]:
    """The attempt, ready to be made. Whatever breaks here breaks this delivery alone."""
    if delivery.channel.disabled_at is not None:
        return partial(Outcome, channels.DISABLED, final=True)
    if _attempt(delivery) > ATTEMPTS:
        return partial(Outcome, "the last attempt had no result", final=True)
    try:
        if delivery.channel.kind == Channel.Kind.EMAIL:
            return partial(_mail, *_letter(delivery, picture))
        return _by_post(delivery, now)
    except Exception as error:
        logger.exception("delivery %s cannot be written", delivery.pk)
        return partial(Outcome, f"the message cannot be written: {type(error).__name__}")


def _attempt(delivery: Delivery) -> int:
    """The how many-th it is, since the delivery was made or sent again."""
    return delivery.attempts - delivery.attempts_before


def _letter(delivery: Delivery, picture: ReadPicture) -> tuple[Letter, Picture | None]:
    letter = mail.letter(delivery)
    if _attempt(delivery) > _ATTEMPTS_WITH_PICTURE:
        return letter, None
    try:
        return letter, picture(delivery.alert)
    except Exception:
        # Figures that cannot be read keep no mail from going.
        logger.exception("delivery %s goes without a picture", delivery.pk)
        return letter, None


def _mail(letter: Letter, picture: Picture | None) -> Outcome:
    message = letter.message(picture, _drawn(picture))
    try:
        message.send()
    except OSError as error:  # SMTP's own errors are some of these
        return Outcome(f"the mail server did not take it: {type(error).__name__}")
    return Outcome()


def _drawn(picture: Picture | None) -> bytes | None:
    if picture is None:
        return None
    try:
        return drawing.png(picture.spec)
    except Exception:
        # Nor does one that cannot be drawn.
        logger.exception("a picture cannot be drawn")
        return None


_JSON = {"Content-Type": "application/json", "User-Agent": "Purser"}


def _by_post(delivery: Delivery, now: datetime) -> Callable[[], Outcome]:
    url, headers = delivery.channel.target, _JSON
    if delivery.channel.kind == Channel.Kind.SLACK:
        body = slack.body(delivery)
    elif delivery.channel.kind == Channel.Kind.PAGERDUTY:
        url, body = settings.PAGERDUTY_URL, pagerduty.body(delivery)
    else:
        body = alert_messages.payload(delivery.alert)
        headers = _JSON | webhook.signed(delivery, body, at=now)
    return partial(_post, url, body, headers, allow=settings.OUTGOING_ALLOW, now=now)


def _post(
    url: str, body: bytes, headers: dict[str, str], *, allow: frozenset[str], now: datetime
) -> Outcome:
    try:
        return judge(outgoing.post(url, body, headers, allow=allow), now=now)
    except NotSent as error:
        return Outcome(str(error))


def judge(reply: Reply, *, now: datetime) -> Outcome:
    """What a reply means: 2xx is accepted, 410 ends the channel, all else is a failure,
    a redirect as well."""
    if HTTPStatus.OK <= reply.status < HTTPStatus.MULTIPLE_CHOICES:
        return Outcome()
    if reply.status == HTTPStatus.GONE:
        return Outcome("410: the receiver wants no more", final=True, gone=True)
    retry_at = None
    if reply.status in _BUSY:
        retry_at = _retry_at(reply.headers.get("retry-after", ""), now)
    return Outcome(f"the receiver answered {reply.status}", retry_at=retry_at)


def _retry_at(asked: str, now: datetime) -> datetime | None:
    """`Retry-After`: seconds or a date, bounded. Anything else says nothing."""
    latest = now + MAX_RETRY_AFTER
    if re.fullmatch(r"[0-9]{1,9}", asked):
        return min(now + timedelta(seconds=int(asked)), latest)
    try:
        date = parsedate_to_datetime(asked)
    except ValueError:
        return None
    return min(date if date.tzinfo else date.replace(tzinfo=UTC), latest)


def _outcome(future: Future[Outcome]) -> Outcome:
    try:
        return future.result()
    except Exception as error:
        logger.exception("an attempt broke")
        return Outcome(f"the attempt broke: {type(error).__name__}")


# --- The result ---------------------------------------------------------------------


@transaction.atomic
def _note(
    delivery: Delivery, outcome: Outcome, *, began: datetime, now: datetime, spread: float
) -> None:
    """Write the result down, unless the lease ended and another sender has it now."""
    ours = Delivery.objects.filter(
        pk=delivery.pk, state=Delivery.State.SENDING, attempts=delivery.attempts
    )
    changes = _changes(delivery, outcome, now, spread)
    if not ours.update(**changes):
        logger.warning("delivery %s outlived its lease", delivery.pk)
        return
    DeliveryAttempt.objects.create(
        delivery=delivery,
        number=delivery.attempts,
        started_at=began,
        ended_at=now,
        error=outcome.error,
    )
    if outcome.gone:
        channels.disable(
            channel=delivery.channel, by="purser", now=now, reason=outcome.error
        )
    if changes["state"] == Delivery.State.DEAD:
        deliveries.fall_back(delivery, now=now)


def _changes(
    delivery: Delivery, outcome: Outcome, now: datetime, spread: float
) -> dict[str, Any]:
    if not outcome.error:
        return {"state": Delivery.State.SENT, "sent_at": now, "last_error": ""}
    attempt = _attempt(delivery)
    # Whoever tries a channel looks at what came of it now.
    is_test = delivery.alert.kind == Alert.Kind.TEST
    if outcome.final or is_test or attempt >= ATTEMPTS:
        return {"state": Delivery.State.DEAD, "last_error": outcome.error}
    wait = WAITS[attempt - 1]
    due = now + wait + wait * spread
    return {
        "state": Delivery.State.WAITING,
        "due_at": max(due, outcome.retry_at or due),
        "last_error": outcome.error,
    }
