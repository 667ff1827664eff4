"""API keys as bearer tokens, and the scopes that views ask for."""

import time
from datetime import datetime
from typing import TYPE_CHECKING

from django.utils import timezone
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import (
    AuthenticationFailed,
    NotAuthenticated,
    PermissionDenied,
)
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from teams.actions import api_keys
from teams.models import ApiKey

if TYPE_CHECKING:  # rest_framework.views itself imports this module, by its settings
    from rest_framework.views import APIView

_NOTE_USE_EVERY_SECONDS = 60


class ApiKeyAuthentication(BaseAuthentication):
    """`Authorization: Bearer purser_…`. A key in a query string is not looked at."""

    # Per process: when it last noted the use of a key (monotonic seconds).
    _noted: dict[int, float] = {}

    def authenticate(self, request: Request) -> tuple[None, ApiKey] | None:
        header = request.headers.get("authorization", "")
        kind, _, secret = header.partition(" ")
        if not header:
            return None
        if kind.lower() != "bearer":
            raise AuthenticationFailed("Use Authorization: Bearer with an API key.")
        now = timezone.now()
        key = api_keys.find(secret=secret.strip(), now=now)
        if key is None:
            raise AuthenticationFailed("This API key is unknown, expired or revoked.")
        self._note_use(key, now)
        return None, key

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="purser"'

    def _note_use(self, key: ApiKey, now: datetime) -> None:
        moment = time.monotonic()
        if (
            moment - self._noted.get(key.pk, -_NOTE_USE_EVERY_SECONDS)
            < _NOTE_USE_EVERY_SECONDS
        ):
            return
        self._noted[key.pk] = moment
        api_keys.note_use(key=key, now=now)


class HasScope(BasePermission):
    """The key has the scope that the view names for the method.

    A method without a scope is one the view does not have: it is answered 405.
    """

    def has_permission(self, request: Request, view: "APIView") -> bool:
        key = request.auth
        if not isinstance(key, ApiKey):
            raise NotAuthenticated("Send an API key: Authorization: Bearer purser_…")
        method = "GET" if request.method == "HEAD" else request.method
        scope = view.scopes.get(method)  # type: ignore[attr-defined]
        if scope is not None and not key.has_scope(scope):
            raise PermissionDenied(
                f"This API key lacks the scope {scope}.", code="missing_scope"
            )
        return True


def key_of(request: Request) -> ApiKey:
    """The key that made this request, for views behind `HasScope`."""
    if not isinstance(request.auth, ApiKey):
        raise NotAuthenticated
    return request.auth
