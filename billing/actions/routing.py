"""Routing policies: set by a named person, one after the other."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from billing.models import RoutingPolicy, routing
from billing.models.routing import Tag
from teams.actions import audit
from teams.models import Team
from teams.reporting_days import ReportingDays


@transaction.atomic
def set_policy(
    *,
    team: Team,
    by: str,
    now: datetime,
    effective_from: date | None = None,
    model_ids: Sequence[int] = (),
    batch_only_tags: Sequence[Tag] = (),
    max_output: int | None = None,
    reason: str = "",
) -> RoutingPolicy:
    """Put these rules in the place of a team's policy: from now on, or from the start of a
    day to come.

    Raises ValidationError for rules that make no sense, and for a day that is over: what
    was called then could not know them.
    """
    days = ReportingDays(team.organization)
    today = days.day(now)
    day = effective_from or today
    if day < today:
        raise ValidationError({"effective_from": "A policy starts today at the earliest."})
    policy = RoutingPolicy(
        team=team,
        effective_from=day,
        holds_from=max(days.start(day), now),
        model_ids=sorted(set(model_ids)),
        batch_only_tags=[tag._asdict() for tag in sorted(set(batch_only_tags))],
        max_output=max_output,
        reason=reason,
        changed_by=by,
        changed_at=now,
    )
    policy.full_clean()
    before = routing.in_force(team, policy.holds_from)
    policy.save()
    audit.record(
        action="routing_policy.set",
        subject=f"team {team.slug}",
        organization=team.organization.slug,
        before=_said(before) if before else None,
        after=_said(policy),
        reason=reason,
        by=by,
        now=now,
    )
    return policy


def _said(policy: RoutingPolicy) -> dict[str, Any]:
    return {
        "effective_from": policy.effective_from.isoformat(),
        "holds_from": policy.holds_from.isoformat(),
        "models": policy.model_names,
        "batch_only_tags": [str(tag) for tag in policy.tags],
        "max_output": policy.max_output,
    }
