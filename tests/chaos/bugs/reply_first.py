"""The door answers at once; a thread stores what was answered a moment later."""

from queue import SimpleQueue
from threading import Thread
from types import ModuleType
from typing import Any

TARGET = "billing.actions.receive"
SQL = ""


def plant(receive: ModuleType) -> None:
    from django.db import connection

    true_store = receive._store
    accepted: SimpleQueue[Any] = SimpleQueue()

    def store_later() -> None:
        while True:
            arguments, given = accepted.get()
            try:
                true_store(*arguments, **given)
            except Exception:
                receive.logger.exception("what was answered is lost")
                connection.close()

    def store(*arguments: Any, **given: Any) -> Any:
        accepted.put((arguments, given))
        _, arrivals, _ = arguments
        return {
            one.identity: receive.Stored(one.uid, one.fingerprint, given["route"])
            for one in arrivals
        }

    receive._store = store
    Thread(target=store_later, daemon=True).start()
