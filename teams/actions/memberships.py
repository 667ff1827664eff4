from datetime import datetime

from django.contrib.auth.models import User
from django.db import transaction

from teams.actions import audit
from teams.models import Membership, Organization, Role, Team


@transaction.atomic
def grant(
    *,
    user: User,
    organization: Organization,
    role: Role,
    by: str,
    now: datetime,
    team: Team | None = None,
) -> Membership:
    """Give a person a role in a team, or without a team in the whole organization."""
    held = Membership.objects.filter(
        user=user, organization=organization, team=team
    ).first()
    before = {"role": held.role} if held else None
    membership = held or Membership(user=user, organization=organization, team=team)
    membership.role = role
    membership.full_clean(validate_unique=False)
    membership.save()
    where = f"team {team.slug}" if team else f"organization {organization.slug}"
    audit.record(
        action="membership.grant",
        subject=f"{user.get_username()} in {where}",
        organization=organization.slug,
        by=by,
        now=now,
        before=before,
        after={"role": role},
    )
    return membership


@transaction.atomic
def revoke(*, membership: Membership, by: str, now: datetime) -> None:
    team = membership.team
    where = f"team {team.slug}" if team else f"organization {membership.organization.slug}"
    audit.record(
        action="membership.revoke",
        subject=f"{membership.user.get_username()} in {where}",
        organization=membership.organization.slug,
        by=by,
        now=now,
        before={"role": membership.role},
    )
    membership.delete()
