"""Who hears of an alert: the channels of its scope, and people who want its mail."""

from collections.abc import Collection
from datetime import datetime

from django.contrib.auth.models import User
from django.db.models import Q

from billing.models import Alert, Channel
from teams import permissions
from teams.models import Organization, Project, Team
from teams.permissions import Permission


def channels_of(
    *, organization: Organization, teams: Collection[int], project: Project | None
) -> list[Channel]:
    """All that listen to something of these teams (by id), or of this project.

    Of something that is of no team, the organization's channels hear, and the people who
    see all of it.
    """
    scope = Q(team=None, project=None) | Q(team__in=teams)
    if project is not None:
        scope |= Q(project=project)
    people = permissions.people_who_see(organization=organization, teams=teams)
    listening = (Q(user=None) & scope) | Q(
        stand_in=False, user__in=people.exclude(email="")
    )
    channels = Channel.objects.filter(listening, organization=organization)
    return list(channels.filter(disabled_at=None).select_related("user").order_by("pk"))


def owner_of(project: Project, at: datetime) -> int | None:
    """The id of the team that owned it then."""
    owners = project.ownerships.filter(effective_from__lte=at)
    owner = owners.order_by("effective_from").last()
    return owner.team_id if owner else None


def teams_at(team_id: int | None, project: Project | None, at: datetime) -> set[int]:
    """Whose it is (by id): this team's, or the team's that owned the project then."""
    owner = owner_of(project, at) if project is not None else None
    return {team for team in (team_id, owner) if team is not None}


def teams_of(alert: Alert) -> set[int]:
    """Whose alert it is: of its team, or of the team that owned its project."""
    return teams_at(alert.team_id, alert.project, alert.fired_at)


def may_act_on(
    alert: Alert, permission: Permission = Permission.EDIT_BUDGETS
) -> list[User]:
    """The people who have a permission there, to change its budgets unless it says
    otherwise, and can be written to; where there are none, those who run the
    installation."""
    team = Team.objects.filter(pk__in=teams_of(alert)).first()
    allowed = permissions.people_with(
        permission, organization=alert.organization, team=team
    )
    running = User.objects.filter(is_superuser=True, is_active=True)
    reached = [people.exclude(email="").order_by("pk") for people in (allowed, running)]
    return list(reached[0]) or list(reached[1])
