"""What addresses may hold, and what a signed-in member of staff may see."""

from collections.abc import Callable

from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse

from teams import isolation
from teams.models import Team


def addresses_without_nul(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Refuse an address with NUL: PostgreSQL has no such text, so it cannot be looked up.

    The API says which of its parameters has one.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        of_a_page = not request.path.startswith("/api/")
        if of_a_page and ("\0" in request.path or "%00" in request.META["QUERY_STRING"]):
            raise BadRequest("The address holds a NUL character.")
        return get_response(request)

    return middleware


def staff_see_their_teams(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Open the ledger of every team they administer for requests under /admin/."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if not request.path.startswith("/admin/") or not request.user.is_staff:
            return get_response(request)
        team_ids = Team.objects.values_list("pk", flat=True)
        with isolation.visible_teams(team_ids):
            return get_response(request)

    return middleware
