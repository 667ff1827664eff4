"""Beat's scheduler: the schedule stands in code, and ticks do not pile up."""

import logging
from datetime import datetime
from typing import Any

from celery.beat import ScheduleEntry, Scheduler
from django.db import Error, connection
from django.utils import timezone
from kombu.exceptions import ChannelError
from kombu.transport import pgmq
from psycopg_pool import PoolTimeout

from billing.actions import heartbeats
from billing.models import Heartbeat
from config import heartbeat

logger = logging.getLogger(__name__)


def _at_work() -> None:
    """Say so to whoever asks; that it cannot be said stops no tick."""
    try:
        heartbeats.touch(Heartbeat.Name.BEAT, now=timezone.now())
    except (Error, PoolTimeout):
        logger.warning("beat cannot say that it is at work", exc_info=True)
        connection.close()


class OneTickScheduler(Scheduler):
    """Sends no more ticks to a queue than there are kinds of them.

    While every worker is down or busy, one tick in the queue says all that a thousand
    would say. A queue does not tell its ticks apart: of a queue for several kinds, one
    that is not sent now is sent when it is due again.

    The state of the schedule is not stored: each entry is idempotent and may run once
    more after a restart.
    """

    _looked_at: datetime | None = None

    def tick(self, *args: Any, **kwargs: Any) -> Any:
        self._follow_clock()
        return super().tick(*args, **kwargs)

    def _follow_clock(self) -> None:
        """Begin anew when the clock was set back.

        What last ran in the future is otherwise not due until that has come.
        """
        now = self.app.now()
        if self._looked_at is not None and now < self._looked_at:
            for entry in self.schedule.values():
                entry.last_run_at = now
            self._heap = None
        self._looked_at = now

    def apply_async(self, entry: ScheduleEntry, *args: Any, **kwargs: Any) -> Any:
        queue = self._queue(entry.task)
        kinds = sum(self._queue(one.task) == queue for one in self.schedule.values())
        sent = None
        try:
            if self._waiting(queue) >= kinds:
                logger.debug("enough ticks are already waiting in %s", queue)
            else:
                sent = super().apply_async(entry, *args, **kwargs)
        except Exception:
            # A channel whose connection broke stays broken; the next entry takes another.
            self._disconnect()
            raise
        heartbeat.touch()
        _at_work()
        return sent

    def _disconnect(self) -> None:
        self.__dict__.pop("producer", None)
        connection = self.__dict__.pop("connection", None)
        if connection is not None:
            connection.release()

    def _queue(self, task: str | None) -> str:
        route = self.app.conf.task_routes.get(task, {})
        return str(route.get("queue", self.app.conf.task_default_queue))

    def _waiting(self, queue: str) -> int:
        channel: Any = self.producer.channel
        try:
            declared = channel.queue_declare(queue, passive=True)
        except ChannelError:  # the queue is made by its first message
            return 0
        if isinstance(channel, pgmq.Channel):
            # Its count includes what a worker has fetched. One that was killed since
            # would hold up every tick until the message becomes visible again.
            metrics = channel.pgmq.metrics(channel.canonical_queue_name(queue))
            return int(metrics.queue_visible_length)
        return int(declared.message_count)
