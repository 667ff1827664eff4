"""What a visitor may set something for, as the choices of a field: the organization,
teams, projects."""

from collections.abc import Iterable
from typing import NamedTuple

from django.db.models import QuerySet
from django.utils import timezone

from teams import permissions
from teams.models import Project, Team
from teams.permissions import Permission
from teams.web.visitors import Visitor

_WHOLE = "organization"


class Scope(NamedTuple):
    """A team or a project; neither: the organization."""

    team: Team | None
    project: Project | None


def editable_teams(
    visitor: Visitor, permission: Permission = Permission.EDIT_BUDGETS
) -> list[Team]:
    """Those whose budgets they may edit, or what else is said."""
    editable = permissions.teams_of(visitor.user, permission)
    ids = set(editable.values_list("pk", flat=True))
    return [team for team in visitor.teams if team.pk in ids]


def projects_of(teams: Iterable[Team]) -> QuerySet[Project]:
    """Those that any of the teams owns now."""
    owned = Project.objects.owned_by_any([team.pk for team in teams], timezone.now())
    return owned.order_by("name", "pk")


def choices(
    visitor: Visitor, teams: Iterable[Team], *, whole: str
) -> list[tuple[str, str]]:
    """Of these teams; the organization, in the words of `whole`, where they may edit it."""
    listed = list(teams)
    may_edit_all = visitor.may(Permission.EDIT_BUDGETS)
    return [
        *([(_WHOLE, whole)] if may_edit_all else []),
        *((f"team {team.pk}", f"team {team.name}") for team in listed),
        *((f"project {one.pk}", f"project {one.name}") for one in projects_of(listed)),
    ]


def chosen(choice: str) -> Scope:
    """What one of the choices means."""
    kind, _, pk = choice.partition(" ")
    return Scope(
        team=Team.objects.get(pk=pk) if kind == "team" else None,
        project=Project.objects.get(pk=pk) if kind == "project" else None,
    )
