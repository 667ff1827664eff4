"""What a signed-in member of staff may see through row-level security."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from teams import isolation
from teams.models import Team


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
