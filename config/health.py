"""For supervisors and load balancers."""

from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse


def live(request: HttpRequest) -> JsonResponse:
    """The process answers. Says nothing of what it depends on."""
    return JsonResponse({"status": "ok"})


def ready(request: HttpRequest) -> JsonResponse:
    """The process can do its work: PostgreSQL answers, durably, with our schema."""
    problems = _problems()
    return JsonResponse(
        {"status": "unready" if problems else "ok", "problems": problems},
        status=503 if problems else 200,
    )


def _problems() -> list[str]:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SHOW synchronous_commit")
            durable = cursor.fetchone()[0] == "on"
            cursor.execute("SHOW fsync")
            durable = durable and cursor.fetchone()[0] == "on"
        executor = MigrationExecutor(connection)
        pending = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except Exception as error:  # noqa: BLE001  (whatever it is, it is the answer)
        return [f"database: {type(error).__name__}"]
    problems = []
    if not durable:
        problems.append("database: commits are not durable (fsync, synchronous_commit)")
    if pending:
        problems.append(f"database: {len(pending)} migrations are not applied")
    return problems
