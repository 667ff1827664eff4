from datetime import datetime
from typing import Any

from django.utils.text import Truncator

from teams.models import AuditEvent

_LONGEST_SUBJECT = 300


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
    ("project search-api"), cut where it is longer than is kept; `before` and `after` hold
    only what changed.
    """
    return AuditEvent.objects.create(
        occurred_at=now,
        actor=by,
        action=action,
        subject=Truncator(subject).chars(_LONGEST_SUBJECT),
        organization=organization,
        before=before,
        after=after,
        reason=reason,
    )
