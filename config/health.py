"""For supervisors and load balancers."""

from typing import Any

from django.conf import settings
from django.db import OperationalError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from django.utils import timezone

from billing.reports import processes, verified, waiting


def live(request: HttpRequest) -> JsonResponse:
    """The process answers. Says nothing of what it depends on."""
    return JsonResponse({"status": "ok"})


def ready(request: HttpRequest) -> JsonResponse:
    """The process can do its work: PostgreSQL answers, durably, with our schema.

    A ledger that does not add up is said here, and makes no process unready: it takes
    records as well as ever, and turning them away would mend no sum. Nor does a full
    backlog: everything but `POST /usage` goes on. Nor does the silence of others: when
    the last was seen of workers, sender and beat is said here as well.
    """
    unknown = {"ledger": None, "backlog": None, "processes": None}
    try:
        problems, found = _found()
    except Exception as error:  # noqa: BLE001  (whatever it is, it is the answer)
        problems, found = [f"database: {type(error).__name__}"], {}
    return JsonResponse(
        {
            "status": "unready" if problems else "ok",
            "problems": problems,
            **unknown,
            **found,
        },
        status=503 if problems else 200,
    )


def _found() -> tuple[list[str], dict[str, Any]]:
    """What keeps the process from its work; and what the last verification found, whether
    counting falls behind, who is at work."""
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
        return problems, {}  # what they make may not be there yet
    return problems, {
        "ledger": _ledger(),
        "backlog": {"full": _backlog_is_full()},
        "processes": _processes(),
    }


def _processes() -> dict[str, Any]:
    return {
        one.name: {"seen_at": one.at, "overdue": one.overdue}
        for one in processes.seen(now=timezone.now())
    }


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
