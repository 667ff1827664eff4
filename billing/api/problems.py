"""The errors of this API. `config.problems` writes them as RFC 9457 bodies."""

from collections.abc import Mapping
from typing import Any

from rest_framework.exceptions import APIException


class Refused(APIException):
    """A request that cannot be served as it stands.

    `headers` are the answer's own, `members` further ones of its body.
    """

    status_code = 400

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        **members: Any,
    ) -> None:
        super().__init__(detail, code)
        self.status_code = status
        self.headers = headers or {}
        self.members = members
