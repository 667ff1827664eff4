"""Beat's scheduler: the schedule stands in code, and counting ticks do not pile up."""

import logging
from typing import Any

from celery.beat import ScheduleEntry, Scheduler
from kombu.exceptions import ChannelError
from kombu.transport import pgmq

logger = logging.getLogger(__name__)


class OneTickScheduler(Scheduler):
    """Sends a counting tick only when none is waiting.

    While every worker is down or busy, one tick in the queue says all that a thousand
    would say. The state of the schedule is not stored: each entry is idempotent and may
    run once more after a restart.
    """

    def apply_async(self, entry: ScheduleEntry, *args: Any, **kwargs: Any) -> Any:
        queue = self.app.conf.task_routes.get(entry.task, {}).get("queue")
        try:
            if queue and self._waiting(queue):
                logger.debug("a tick is already waiting in %s", queue)
                return None
            return super().apply_async(entry, *args, **kwargs)
        except Exception:
            # A channel whose connection broke stays broken; the next entry takes another.
            self._disconnect()
            raise

    def _disconnect(self) -> None:
        self.__dict__.pop("producer", None)
        connection = self.__dict__.pop("connection", None)
        if connection is not None:
            connection.release()

    def _waiting(self, queue: str) -> bool:
        channel: Any = self.producer.channel
        try:
            declared = channel.queue_declare(queue, passive=True)
        except ChannelError:  # the queue is made by its first message
            return False
        if isinstance(channel, pgmq.Channel):
            # Its count includes what a worker has fetched. One that was killed since
            # would hold up every tick until the message becomes visible again.
            metrics = channel.pgmq.metrics(channel.canonical_queue_name(queue))
            return bool(metrics.queue_visible_length)
        return bool(declared.message_count)
