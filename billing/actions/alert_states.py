"""What people do with an alert: say that they have seen it, or want to hear of it later.

It is resolved by nobody: it is when what it says no longer holds (`alerts`).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from billing.actions import deliveries
from billing.models import Alert, Delivery
from teams.actions import audit

LONGEST_SNOOZE = timedelta(days=30)


def acknowledge(*, alert: Alert, by: str, now: datetime, note: str = "") -> None:
    """Somebody has seen it and takes care of it. Twice is once; it ends a snooze.

    Raises ValidationError where it is resolved.
    """
    with _changed(alert, "alert.acknowledge", by=by, now=now, reason=note) as held:
        if held.state == Alert.State.ACKNOWLEDGED:
            return
        _end_snooze(held)
        held.state = Alert.State.ACKNOWLEDGED
        held.acknowledged_by, held.acknowledged_at = by, now
        deliveries.follow(alert=held, event=Delivery.Event.ACKNOWLEDGED, now=now)


def unacknowledge(*, alert: Alert, by: str, now: datetime, note: str = "") -> None:
    """It fires as if nobody had seen it. Raises ValidationError where it is resolved."""
    with _changed(alert, "alert.unacknowledge", by=by, now=now, reason=note) as held:
        _fire(held)


def snooze(*, alert: Alert, until: datetime, by: str, now: datetime, reason: str) -> None:
    """It is on no list of what is open until then; if it still holds, it fires again.

    Raises ValidationError for a moment that is past or too far, without a reason, and
    where it is resolved.
    """
    if not now < until <= now + LONGEST_SNOOZE:
        raise ValidationError(
            {"until": f"A moment to come, within {LONGEST_SNOOZE.days} days."}
        )
    if not reason.strip():
        raise ValidationError({"reason": "Say why, for those who look for it."})
    with _changed(alert, "alert.snooze", by=by, now=now, reason=reason) as held:
        _fire(held)
        held.snoozed_until, held.snoozed_by = until, by
        held.snooze_reason = reason


def unsnooze(*, alert: Alert, by: str, now: datetime, note: str = "") -> None:
    """It fires again at once. Raises ValidationError where it is resolved."""
    with _changed(alert, "alert.unsnooze", by=by, now=now, reason=note) as held:
        _end_snooze(held)


def _fire(alert: Alert) -> None:
    alert.state = Alert.State.FIRING
    alert.acknowledged_by, alert.acknowledged_at = "", None


def _end_snooze(alert: Alert) -> None:
    alert.snoozed_until = None
    alert.snoozed_by = alert.snooze_reason = ""


_FIELDS = (
    *("state", "acknowledged_by", "acknowledged_at"),
    *("snoozed_until", "snoozed_by", "snooze_reason"),
)


@contextmanager
def _changed(
    alert: Alert, action: str, *, by: str, now: datetime, reason: str
) -> Iterator[Alert]:
    """The alert as it is now, ours; what is changed of it is kept and written down."""
    with transaction.atomic():
        held = Alert.objects.select_related("organization").select_for_update(of=("self",))
        current = held.get(pk=alert.pk)
        if not current.is_open:
            raise ValidationError("It is resolved: what it says does not hold any more.")
        before = _said(current)
        yield current
        after = _said(current)
        if after != before:
            current.save(update_fields=_FIELDS)
            audit.record(
                action=action,
                subject=f"alert {alert.pk}",
                organization=current.organization.slug,
                by=by,
                now=now,
                reason=reason,
                before=before,
                after=after,
            )
    alert.refresh_from_db(fields=_FIELDS)


def _said(alert: Alert) -> dict[str, Any]:
    until = alert.snoozed_until
    return {
        "state": alert.state,
        "acknowledged_by": alert.acknowledged_by,
        "snoozed_until": until and until.isoformat(),
    }
