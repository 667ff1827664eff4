"""Who looks at a page, and the rows that page may read."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Concatenate, ParamSpec

from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from teams import isolation, permissions
from teams.models import Organization, Team
from teams.permissions import Permission

_CHOSEN = "organization"

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, "Visitor", P], HttpResponse]


@dataclass(frozen=True, slots=True)
class Visitor:
    """A signed-in person in one of their organizations, with the teams they see of it."""

    user: User
    organization: Organization
    organizations: list[Organization]
    teams: list[Team]
    sees_organization: bool

    def team(self, slug: str) -> Team:
        """Raises Http404 for a team that is not theirs, and for none alike."""
        for team in self.teams:
            if team.slug == slug:
                return team
        raise Http404

    def may(self, permission: Permission, team: Team | None = None) -> bool:
        return permissions.has_permission(
            self.user, permission, organization=self.organization, team=team
        )


Page = Callable[Concatenate[HttpRequest, P], HttpResponse]


def page(view: View[P]) -> Page[P]:
    """A page for signed-in people, kept by no cache: the view is given the visitor.

    Row-level security shows it the teams of that visitor and no others; without this
    decorator a view sees no team at all.
    """
    return require_safe(_of_visitor(view))


def form_page(view: View[P]) -> Page[P]:
    """The same for a page with a form, which is posted back to it."""
    return require_http_methods(["GET", "HEAD", "POST"])(_of_visitor(view))


def patient_form_page(view: View[P]) -> Page[P]:
    """The same for a page that shows no team's rows: it may wait for others meanwhile,
    for no transaction waits with it."""
    return require_http_methods(["GET", "HEAD", "POST"])(_of_visitor(view, rows=False))


def _of_visitor(view: View[P], *, rows: bool = True) -> Page[P]:
    @wraps(view)
    def wrapped(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        visitor = _visitor(request)
        if visitor is None:
            return render(request, "teams/no_membership.html", status=403)
        if not rows:
            return view(request, visitor, *args, **kwargs)
        with isolation.visible_teams(team.pk for team in visitor.teams):
            return view(request, visitor, *args, **kwargs)

    return never_cache(login_required(wrapped))


def _visitor(request: HttpRequest) -> Visitor | None:
    user = request.user
    if not isinstance(user, User):
        return None
    organizations = list(permissions.organizations_of(user).order_by("name", "pk"))
    if not organizations:
        return None
    organization = _chosen(request, organizations)
    teams = permissions.teams_of(user).filter(organization=organization)
    teams = teams.select_related("organization")
    return Visitor(
        user=user,
        organization=organization,
        organizations=organizations,
        teams=list(teams.order_by("name", "pk")),
        sees_organization=permissions.has_permission(
            user, Permission.VIEW_SPEND, organization=organization
        ),
    )


def _chosen(request: HttpRequest, organizations: list[Organization]) -> Organization:
    """The one asked for in the address, else the one looked at last, else the first."""
    by_slug = {organization.slug: organization for organization in organizations}
    asked = request.GET.get(_CHOSEN)
    if asked in by_slug:
        request.session[_CHOSEN] = asked
    return by_slug.get(request.session.get(_CHOSEN, ""), organizations[0])
