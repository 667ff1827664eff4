"""For supervisors and load balancers."""

from typing import Any

from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from django.utils import timezone

from billing.reports import verified


def live(request: HttpRequest) -> JsonResponse:
    """The process answers. Says nothing of what it depends on."""
    return JsonResponse({"status": "ok"})


def ready(request: HttpRequest) -> JsonResponse:
    """The process can do its work: PostgreSQL answers, durably, with our schema.

    A ledger that does not add up is said here, and makes no process unready: it takes
    records as well as ever, and turning them away would mend no sum.
    """
    try:
        problems, ledger = _found()
    except Exception as error:  # noqa: BLE001  (whatever it is, it is the answer)
        problems, ledger = [f"database: {type(error).__name__}"], None
    return JsonResponse(
        {
            "status": "unready" if problems else "ok",
            "problems": problems,
            "ledger": ledger,
        },
        status=503 if problems else 200,
    )


def _found() -> tuple[list[str], dict[str, Any] | None]:
    """What keeps the process from its work, and what the last verification found."""
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
        return problems, None  # its table may not be there yet
    return problems, _ledger()


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
