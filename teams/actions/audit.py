from datetime import datetime
from typing import Any

from teams.models import AuditEvent


def record(
    *,
    action: str,
    subject: str,
    by: str,
    now: datetime,
    organization: str = "",
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    reason: str = "",
) -> AuditEvent:
    """Write down a change, in the transaction that makes it.

    `action` is a noun and a verb ("api_key.revoke"), `subject` names one thing
    ("project search-api"); `before` and `after` hold only what changed.
    """
    return AuditEvent.objects.create(
        occurred_at=now,
        actor=by,
        action=action,
        subject=subject,
        organization=organization,
        before=before,
        after=after,
        reason=reason,
    )
