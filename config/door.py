"""Where services post usage, thousands of times a second, and ask before they spend."""

from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import ResolverMatch, URLResolver, include, path
from django.urls.resolvers import RegexPattern

_DOORS = frozenset({"/api/v1/usage", "/api/v1/holds", "/api/v1/budgets/verdict"})
_HOLD = "/api/v1/holds/"


def is_door(path: str) -> bool:
    return path in _DOORS or path.startswith(_HOLD)


class DoorHandler(WSGIHandler):
    """Django without what only pages need: sessions, cookies, forms, a content policy,
    and a hundred addresses to look for this one in.

    They take a third of the time of a request that asks for a verdict.
    """

    _resolver: URLResolver

    def load_middleware(self, is_async: bool = False) -> None:
        from billing import urls  # once the models are there

        door = (path("api/v1/", include(urls.door)),)
        self._resolver = URLResolver(RegexPattern(r"^/"), door)
        of_pages = settings.MIDDLEWARE
        # Read once, here; everybody else asks for the full list.
        settings.MIDDLEWARE = settings.DOOR_MIDDLEWARE
        try:
            super().load_middleware(is_async)
        finally:
            settings.MIDDLEWARE = of_pages

    def get_response(self, request: HttpRequest) -> HttpResponseBase:
        response = super().get_response(request)
        # An answer of no content has no length either (RFC 9110, section 8.6).
        if isinstance(response, HttpResponse) and "Content-Type" in response.headers:
            response.headers["Content-Length"] = str(len(response.content))
        return response

    def resolve_request(self, request: HttpRequest) -> ResolverMatch:
        request.resolver_match = self._resolver.resolve(request.path_info)
        return request.resolver_match
