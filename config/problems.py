"""Errors: of the API as `application/problem+json` (RFC 9457), of pages as a page."""

import logging
from http import HTTPStatus
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import InterfaceError, OperationalError
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    JsonResponse,
)
from django.template import loader
from psycopg_pool import PoolTimeout
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import set_rollback

logger = logging.getLogger(__name__)

_API = "/api/"
CONTENT_TYPE = "application/problem+json"
_UNREACHABLE = (OperationalError, InterfaceError, PoolTimeout)
_RETRY_AFTER_SECONDS = 2


def body(status: int, code: str, detail: str, **members: Any) -> dict[str, Any]:
    """`code` is stable and for programs; `detail` is a sentence for people."""
    return {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": _sayable(detail),
        **members,
    }


def _sayable(detail: str) -> str:
    """What was sent and is quoted may hold half a surrogate pair, which no answer can."""
    return detail.encode(errors="replace").decode()


def answer(error: Exception, context: dict[str, Any]) -> Response | None:
    """REST framework's exception handler. None hands the error on to Django."""
    if isinstance(error, _UNREACHABLE):
        return _unavailable(error)
    problem = error if isinstance(error, exceptions.APIException) else _translated(error)
    if problem is None:
        return None
    set_rollback()
    return _problem(problem)


def _translated(error: Exception) -> exceptions.APIException | None:
    if isinstance(error, Http404):
        return exceptions.NotFound()
    if isinstance(error, PermissionDenied):
        return exceptions.PermissionDenied()
    return None


def _problem(error: exceptions.APIException) -> Response:
    code, detail = error.get_codes(), str(error.detail)
    members: dict[str, Any] = dict(getattr(error, "members", {}))
    if not isinstance(code, str):  # a validation error of several parameters
        members["errors"] = _parameter_errors(error.detail)
        code, detail = error.default_code, "Some parameters are not usable; see errors."
    headers: dict[str, str] = dict(getattr(error, "headers", {}))
    if challenge := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = challenge
    return Response(
        body(error.status_code, code, detail, **members),
        status=error.status_code,
        headers=headers,
        content_type=CONTENT_TYPE,
    )


def _parameter_errors(detail: Any) -> list[dict[str, str]]:
    if not isinstance(detail, dict):
        return [{"parameter": "", "code": "invalid", "detail": _sayable(str(detail))}]
    return [
        {
            "parameter": name,
            "code": getattr(one, "code", "invalid"),
            "detail": _sayable(str(one)),
        }
        for name, errors in detail.items()
        for one in (errors if isinstance(errors, list) else [errors])
    ]


def _unavailable(error: Exception) -> Response:
    logger.warning("database unavailable: %s", error)
    return Response(
        body(
            503,
            "unavailable",
            "The ledger cannot be reached just now. Nothing is lost by sending the "
            "same request again.",
        ),
        status=503,
        headers={"Retry-After": str(_RETRY_AFTER_SECONDS)},
        content_type=CONTENT_TYPE,
    )


def _page(request: HttpRequest, status: int, code: str, detail: str) -> HttpResponseBase:
    if request.path.startswith(_API):
        return JsonResponse(
            body(status, code, detail), status=status, content_type=CONTENT_TYPE
        )
    # Neither the database nor the session is asked: they may be what failed.
    words = {"title": HTTPStatus(status).phrase, "detail": detail}
    return HttpResponse(loader.render_to_string("error.html", words), status=status)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    return _page(request, 400, "bad_request", "The request could not be read.")


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    return _page(request, 403, "permission_denied", "You are not allowed to do this.")


def not_found(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    return _page(request, 404, "not_found", f"There is nothing at {request.path}.")


def server_error(request: HttpRequest) -> HttpResponseBase:
    return _page(
        request, 500, "internal_error", "Something failed here. It has been logged."
    )
