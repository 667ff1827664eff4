"""What a person may do, and which teams they see.

A membership gives a role in one team or, without a team, in the whole organization; a
role is a set of permissions. Superusers run the installation and may do everything.
"""

from collections.abc import Collection
from enum import StrEnum

from django.contrib.auth.models import AnonymousUser, User
from django.db.models import Q, QuerySet

from teams.models import Membership, Organization, Role, Team

Person = User | AnonymousUser


class Permission(StrEnum):
    VIEW_SPEND = "view spend"
    EDIT_ESTIMATES = "edit estimates"
    HANDLE_ALERTS = "handle alerts"
    APPROVE_ESTIMATES = "approve estimates"
    REQUEST_RAISES = "request raises"
    EDIT_BUDGETS = "edit budgets"
    EDIT_RATES = "edit rates"
    MANAGE_PEOPLE = "manage people"


_VIEWER = frozenset({Permission.VIEW_SPEND})
_LEAD = _VIEWER | {
    Permission.EDIT_ESTIMATES,
    Permission.HANDLE_ALERTS,
    Permission.REQUEST_RAISES,
}
_FINANCE = _LEAD | {Permission.APPROVE_ESTIMATES, Permission.EDIT_BUDGETS}

ROLES: dict[Role, frozenset[Permission]] = {
    Role.VIEWER: _VIEWER,
    Role.LEAD: _LEAD,
    Role.FINANCE: _FINANCE,
    Role.ADMIN: _FINANCE | {Permission.EDIT_RATES, Permission.MANAGE_PEOPLE},
}


def has_permission(
    user: Person,
    permission: Permission,
    *,
    organization: Organization | None = None,
    team: Team | None = None,
) -> bool:
    """Whether a role of theirs, in the team or its whole organization, allows it.

    With an organization alone only roles in the whole of it count.
    """
    if not user.is_active:
        return False
    if user.is_superuser:
        return True
    roles = _memberships(user).filter(_reaching(organization, team))
    return roles.filter(role__in=_with(permission)).exists()


def people_with(
    permission: Permission, *, organization: Organization, team: Team | None = None
) -> QuerySet[User]:
    """Whom a role gives it, in the team or its whole organization; no superusers."""
    reaching = Membership.objects.filter(_reaching(organization, team))
    holders = reaching.filter(role__in=_with(permission)).values("user")
    return User.objects.filter(pk__in=holders, is_active=True)


def leads_of(teams: Collection[Team]) -> dict[int, list[User]]:
    """By team (its id) who leads it; where nobody does, who leads all of its organization.
    One query."""
    leading = Membership.objects.filter(
        organization__in={team.organization_id for team in teams},
        role=Role.LEAD,
        user__is_active=True,
    )
    of_team: dict[int, list[User]] = {}
    of_organization: dict[int, list[User]] = {}
    for one in leading.select_related("user").order_by("user_id"):
        if one.team_id is None:
            of_organization.setdefault(one.organization_id, []).append(one.user)
        else:
            of_team.setdefault(one.team_id, []).append(one.user)
    return {
        team.pk: of_team.get(team.pk) or of_organization.get(team.organization_id, [])
        for team in teams
    }


def holders(
    permission: Permission, people: Collection[User]
) -> dict[int, set[tuple[int, int | None]]]:
    """Where a role gives it to each of these people, by id: in an organization and a team
    of it, or (None) the whole of it. One query; superusers need no role."""
    active = [user.pk for user in people if user.is_active]
    held = Membership.objects.filter(user__in=active, role__in=_with(permission))
    found: dict[int, set[tuple[int, int | None]]] = {}
    for user_id, organization_id, team_id in held.values_list(
        "user", "organization", "team"
    ):
        found.setdefault(user_id, set()).add((organization_id, team_id))
    return found


def teams_of(
    user: Person, permission: Permission = Permission.VIEW_SPEND
) -> QuerySet[Team]:
    """The teams, of every organization, in which a role allows it: to see their spend,
    unless it says otherwise."""
    if not user.is_active:
        return Team.objects.none()
    if user.is_superuser:
        return Team.objects.all()
    held = _memberships(user).filter(role__in=_with(permission))
    return Team.objects.filter(
        Q(pk__in=held.filter(team__isnull=False).values("team"))
        | Q(organization__in=held.filter(team=None).values("organization"))
    )


def organizations_of(user: Person) -> QuerySet[Organization]:
    """The organizations in which they have any role."""
    if not user.is_active:
        return Organization.objects.none()
    if user.is_superuser:
        return Organization.objects.all()
    return Organization.objects.filter(pk__in=_memberships(user).values("organization"))


def _with(permission: Permission) -> list[Role]:
    return [role for role, held in ROLES.items() if permission in held]


def _memberships(user: Person) -> QuerySet[Membership]:
    return Membership.objects.filter(user=user.pk)


def _reaching(organization: Organization | None, team: Team | None) -> Q:
    if team is not None:
        return Q(team=team) | Q(team=None, organization=team.organization_id)
    if organization is not None:
        return Q(team=None, organization=organization)
    raise TypeError("Name the organization or the team.")


def people_who_see(*, organization: Organization, teams: Collection[int]) -> QuerySet[User]:
    """Who sees the spend of one of these teams (by id), superusers included; of no team,
    who sees all of the organization."""
    held = Membership.objects.filter(organization=organization).filter(
        Q(team=None) | Q(team__in=teams)
    )
    seeing = Q(is_superuser=True) | Q(pk__in=held.values("user"))
    return User.objects.filter(seeing, is_active=True)
