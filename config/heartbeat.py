"""A file that is touched while a process does its work: what a health check looks at.

It ages when the process hangs, waits for its broker, or has one task for too long.
"""

from pathlib import Path
from threading import Event, Thread
from typing import Any

from celery import bootsteps
from django.conf import settings

_SECONDS = 1.0


def touch() -> None:
    if settings.HEARTBEAT_FILE:
        Path(settings.HEARTBEAT_FILE).touch()


class Heartbeat(bootsteps.StartStopStep):
    """Has the loop that takes a worker's tasks touch the file, each second.

    A thread asks it to, which goes on while the loop hangs and so cannot do it itself.
    (Celery's timer could ask too, and would hold up the end of a worker that failed.)
    """

    def __init__(self, consumer: Any, **kwargs: Any) -> None:
        self._stopped = Event()
        super().__init__(consumer, **kwargs)

    def include_if(self, consumer: Any) -> bool:
        return bool(settings.HEARTBEAT_FILE)

    def start(self, consumer: Any) -> None:
        self._stopped = Event()
        asking = Thread(target=_ask, args=(consumer, self._stopped), daemon=True)
        asking.start()

    def stop(self, consumer: Any) -> None:
        self._stopped.set()


def _ask(consumer: Any, stopped: Event) -> None:
    while not stopped.wait(_SECONDS):
        consumer.call_soon(touch)
