"""What an API key can name in a request: the teams and projects it covers."""

from datetime import datetime
from typing import NamedTuple, TypeVar

from django.db.models import QuerySet
from django.utils import timezone

from billing.api.problems import Refused
from billing.models import Budget
from teams.models import ApiKey, Ownership, Project, Team

Place = TypeVar("Place", Team, Project)


class Covered(NamedTuple):
    """A team, a project, or (neither) the organization."""

    team: Team | None
    project: Project | None


def teams_of(key: ApiKey) -> "QuerySet[Team]":
    """The teams it covers as a whole: one bound to a project covers none."""
    return Team.objects.none() if key.project_id is not None else key.teams()


def projects_of(key: ApiKey) -> "QuerySet[Project]":
    """The projects whose budgets and channels are its own.

    Of a team's projects those it owns now; it may post late records for others too.
    """
    if key.team_id is not None:
        return Project.objects.owned_by(key.team_id, timezone.now())
    return key.projects()


def team_of(key: ApiKey, slug: str | None) -> Team:
    """The team asked for, or the only one. Raises Refused (400, 404)."""
    covered = teams_of(key).order_by("pk")
    if key.project_id is not None:
        raise Refused(404, "not_found", "This API key covers a project and no team.")
    if slug is not None:
        team = _named(covered, slug)
        if team is None:
            raise Refused(404, "not_found", f"This API key covers no team {slug!r}.")
        return team
    first = list(covered[:2])
    if len(first) != 1:
        raise Refused(400, "team_needed", "This API key covers several teams: add team=.")
    return first[0]


def scope_of(key: ApiKey, team: str | None, project: str | None) -> Covered:
    """What a new budget or channel is for; without a name, the thing the key is bound to.

    Raises Refused (400, 404). A key bound to a project reaches nothing of its team's.
    """
    if team is not None and project is not None:
        raise Refused(400, "one_scope", "Name a team or a project, not both.")
    if project is not None:
        found = _named(projects_of(key), project)
        if found is None:
            raise Refused(404, "not_found", f"This API key covers no project {project!r}.")
        return Covered(None, found)
    if team is not None and key.project_id is None:
        return Covered(team_of(key, team), None)
    if team is not None:
        raise Refused(404, "not_found", f"This API key covers no team {team!r}.")
    return Covered(key.team, key.project)


def _named(listed: QuerySet[Place], slug: str) -> Place | None:
    # No name has a NUL, and PostgreSQL takes none in a question either.
    return None if "\0" in slug else listed.filter(slug=slug).first()


def spender_of(
    key: ApiKey, team: str | None, project: str | None, at: datetime
) -> tuple[Team, Project | None]:
    """Whose spend is asked for: a team, or one project of it. A key bound to a project has
    that one alone; a project named without its team is asked of its owner at `at`.

    Raises Refused (400, 404).
    """
    if project is None and key.project is None:
        return team_of(key, team), None
    its = key.project if project is None else _named(key.projects(), project)
    if its is None:
        raise Refused(404, "not_found", f"This API key covers no project {project!r}.")
    owners = Ownership.objects.filter(project=its, team__in=key.teams())
    if team is not None:
        of_team = owners.filter(team__slug=team)
    else:
        of_team = owners.filter(effective_from__lte=at)
    owner = of_team.order_by("-effective_from").select_related("team").first()
    if owner is None:
        raise Refused(404, "not_found", f"This API key covers no team of {its.slug!r}.")
    return owner.team, its


def budgets_of(key: ApiKey) -> "list[int]":
    """Ids of the budgets a key may read and change: those of what it covers."""
    budgets = Budget.objects.filter(organization=key.organization_id)
    if key.project_id is not None:
        budgets = budgets.filter(project=key.project_id)
    elif key.team_id is not None:
        budgets = budgets.filter(team=key.team_id) | budgets.filter(
            project__in=projects_of(key)
        )
    return list(budgets.values_list("pk", flat=True))
