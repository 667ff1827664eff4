"""Beat's scheduler: the schedule stands in code, and counting ticks do not pile up."""

import logging
from typing import Any

from celery.beat import ScheduleEntry, Scheduler
from kombu.exceptions import ChannelError

logger = logging.getLogger(__name__)


class OneTickScheduler(Scheduler):
    """Sends a counting tick only when none is waiting.

    While every worker is down or busy, one tick in the queue says all that a thousand
    would say. The state of the schedule is not stored: each entry is idempotent and may
    run once more after a restart.
    """

    def apply_async(self, entry: ScheduleEntry, *args: Any, **kwargs: Any) -> Any:
        queue = self.app.conf.task_routes.get(entry.task, {}).get("queue")
        if queue and self._waiting(queue):
            logger.debug("a tick is already waiting in %s", queue)
            return None
        return super().apply_async(entry, *args, **kwargs)

    def _waiting(self, queue: str) -> bool:
        try:
            channel: Any = self.producer.channel
            declared = channel.queue_declare(queue, passive=True)
        except ChannelError:  # the queue is made by its first message
            return False
        return bool(declared.message_count)
