"""A sender that is killed at a chosen moment, once.

The moment stands in the file `death` of its home; whoever comes to it first takes the file
away and dies on the spot, as by `kill -9`.
"""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

TARGET = "billing.actions.deliver"

_FILE = Path(os.environ["PURSER_HOME"]) / "death"


def die(moment: str) -> None:
    try:
        if _FILE.read_text() != moment:
            return
        _FILE.unlink()
    except FileNotFoundError:
        return
    os.kill(os.getpid(), signal.SIGKILL)


def plant(deliver: ModuleType) -> None:
    lease, note, attempts = deliver._lease, deliver._note, deliver.DeliveryAttempt

    def leased(**given: Any) -> Any:
        found = lease(**given)
        if found:
            die("leased, not sent")
        return found

    def noted(delivery: Any, outcome: Any, **given: Any) -> None:
        if not outcome.error:
            die("accepted, not noted")
        note(delivery, outcome, **given)
        die("noted and committed")

    def create(**given: Any) -> Any:
        made = attempts.objects.create(**given)
        die("noted, not committed")
        return made

    deliver._lease = _after(lambda: die("before the lease"), leased)
    deliver._note = noted
    deliver.DeliveryAttempt = SimpleNamespace(objects=SimpleNamespace(create=create))


def _after(first: Callable[[], None], then: Callable[..., Any]) -> Callable[..., Any]:
    def both(*arguments: Any, **given: Any) -> Any:
        first()
        return then(*arguments, **given)

    return both
