"""For supervisors and load balancers."""

from typing import Any

from django.conf import settings
from django.db import OperationalError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from django.utils import timezone

from billing.reports import verified, waiting


def live(request: HttpRequest) -> JsonResponse:
    """The process answers. Says nothing of what it depends on."""
    return JsonResponse({"status": "ok"})


def ready(request: HttpRequest) -> JsonResponse:
    """The process can do its work: PostgreSQL answers, durably, with our schema.

    A ledger that does not add up is said here, and makes no process unready: it takes
    records as well as ever, and turning them away would mend no sum. Nor does a full
    backlog: everything but `POST /usage` goes on.
    """
    try:
        problems, ledger, backlog = _found()
    except Exception as error:  # noqa: BLE001  (whatever it is, it is the answer)
        problems, ledger, backlog = [f"database: {type(error).__name__}"], None, None
    return JsonResponse(
        {
            "status": "unready" if problems else "ok",
            "problems": problems,
            "ledger": ledger,
            "backlog": backlog,
        },
        status=503 if problems else 200,
    )


_Found = tuple[list[str], dict[str, Any] | None, dict[str, Any] | None]


def _found() -> _Found:
    """What keeps the process from its work, what the last verification found, and whether
    counting falls behind."""
    with connection.cursor() as cursor:
        cursor.execute("SHOW synchronous_commit")
        durable = cursor.fetchone()[0] == "on"
        cursor.execute("SHOW fsync")
        durable = durable and cursor.fetchone()[0] == "on"
    executor = MigrationExecutor(connection)
    pending = executor.migration_plan(executor.loader.graph.leaf_nodes())
    problems = []
    if not durable:
        problems.append("database: commits are not durable (fsync, synchronous_commit)")
    if pending:
        problems.append(f"database: {len(pending)} migrations are not applied")
        return problems, None, None  # what they make may not be there yet
    return problems, _ledger(), {"full": _backlog_is_full()}


def _backlog_is_full() -> bool | None:
    """None while postings are locked, by a migration perhaps: nobody can say."""
    try:
        return waiting.records() >= int(settings.BACKLOG_LIMIT)
    except OperationalError:
        return None


def _ledger() -> dict[str, Any] | None:
    """Names of checks and no figure: whoever asks is not known."""
    last = verified.last(now=timezone.now())
    if last is None:
        return None
    return {
        "verified_at": last.at,
        "ok": last.ok,
        "disagreeing": last.disagreeing,
        "overdue": last.overdue,
    }
