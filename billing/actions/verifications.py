"""What a verification found, written down for who looks at pages and probes."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import transaction

from billing.models import Verification

KEPT = 1_000  # hourly, six weeks


@transaction.atomic
def keep(
    *,
    started_at: datetime,
    finished_at: datetime,
    checks: Sequence[dict[str, Any]],
    problem: str = "",
) -> Verification:
    """Keep what was found, as a Verification says it; the oldest beyond KEPT go."""
    kept = Verification.objects.create(
        started_at=started_at,
        finished_at=finished_at,
        ok=not problem and all(check["ok"] for check in checks),
        checks=list(checks),
        problem=problem,
    )
    newest = Verification.objects.order_by("-pk").values_list("pk", flat=True)
    for too_old in newest[KEPT : KEPT + 1]:
        Verification.objects.filter(pk__lte=too_old).delete()
    return kept
