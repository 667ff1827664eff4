"""Views that services ask thousands of times a second (config/door.py).

They speak JSON with API keys and nothing else, so that there is little to find out about
a request: what the REST framework does for that takes longer than most answers.
"""

from typing import Any, NoReturn

import msgspec
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from rest_framework.permissions import BasePermission
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from teams.api.authentication import ApiKeyAuthentication, HasScope

_JSON, _ANY = "application/json", "*/*"

_authentication = ApiKeyAuthentication()
_permission: BasePermission = HasScope()


class DoorView(APIView):
    format_kwarg = None

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        asked = self.request = Request(request)
        self.headers = {"Allow": ", ".join(self.allowed_methods)}
        try:
            self.initial(asked, *args, **kwargs)
            response = self._handler(asked)(asked, *args, **kwargs)
        except Exception as error:  # noqa: BLE001  (answered, or raised again)
            response = self.handle_exception(error)
        answer = self.finalize_response(asked, response, *args, **kwargs)
        self._break_circles(asked)
        return answer

    def _break_circles(self, request: Request) -> None:
        """Let all of a request go with its last reference.

        What refers to itself waits for the collection of garbage, and after a thousand
        requests that stops everything for a tenth of a second.
        """
        request.parser_context.clear()
        self.__dict__.pop("head", None)  # Django's View has its own method there

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        if request._request.META.get("HTTP_ACCEPT", _ANY) not in (_ANY, _JSON):
            self.perform_content_negotiation(request)
        found = _authentication.authenticate(request)
        request.auth = found and found[1]
        _permission.has_permission(request, self)

    def raise_uncaught_exception(self, exc: Exception) -> NoReturn:
        raise exc

    def _handler(self, request: Request) -> Any:
        name = (request.method or "").lower()
        if name not in self.http_method_names:
            return self.http_method_not_allowed
        return getattr(self, name, self.http_method_not_allowed)

    def finalize_response(
        self, request: Request, response: Response, *args: Any, **kwargs: Any
    ) -> Response:
        response.content = _written(response)
        for name, value in self.headers.items():
            response.headers[name] = value
        if response.data is None:
            del response.headers["Content-Type"]
        else:
            its_type = response.content_type or _JSON
            response.headers["Content-Type"] = its_type
        return response


def _written(response: Response) -> bytes:
    if response.data is None:
        return b""
    if response.exception:
        # It may quote what no other writer takes: half of a surrogate pair.
        return bytes(JSONRenderer().render(response.data))
    return msgspec.json.encode(response.data)
