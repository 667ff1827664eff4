"""Velocity rules: made and ended by a named person."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import transaction

from billing.models import VelocityRule
from teams.actions import audit
from teams.models import Organization, Project, Team


@transaction.atomic
def create(
    *,
    organization: Organization,
    amount: Decimal,
    minutes: int,
    by: str,
    now: datetime,
    team: Team | None = None,
    project: Project | None = None,
    tag_key: str = "",
    tag_value: str = "",
    reason: str = "",
) -> VelocityRule:
    """Tell when so much is spent within so many minutes. Raises ValidationError."""
    rule = VelocityRule(
        organization=organization,
        team=team,
        project=project,
        tag_key=tag_key,
        tag_value=tag_value,
        amount=amount,
        minutes=minutes,
        created_by=by,
        created_at=now,
    )
    rule.full_clean()
    rule.save()
    _audit(rule, "velocity_rule.create", by=by, now=now, reason=reason, after=_said(rule))
    return rule


@transaction.atomic
def end(*, rule: VelocityRule, by: str, now: datetime, reason: str = "") -> None:
    """It tells nothing more; its alert is resolved when it is looked at next."""
    ended = VelocityRule.objects.filter(pk=rule.pk, ended_at=None).update(ended_at=now)
    rule.refresh_from_db(fields=["ended_at"])
    if ended:
        _audit(rule, "velocity_rule.end", by=by, now=now, reason=reason)


def _audit(rule: VelocityRule, action: str, **said: Any) -> None:
    audit.record(
        action=action,
        subject=f"velocity rule {rule.pk}",
        organization=rule.organization.slug,
        **said,
    )


def _said(rule: VelocityRule) -> dict[str, Any]:
    return {
        "amount": f"{rule.amount.normalize():f}",
        "minutes": rule.minutes,
        "team": rule.team and rule.team.slug,
        "project": rule.project and rule.project.slug,
        "tag": f"{rule.tag_key}={rule.tag_value}" if rule.tag_key else None,
    }
