"""The errors of this API. `config.problems` writes them as RFC 9457 bodies."""

from typing import Any

from rest_framework.exceptions import APIException


class Refused(APIException):
    """A request that cannot be served as it stands."""

    status_code = 400

    def __init__(self, status: int, code: str, detail: str, **members: Any) -> None:
        super().__init__(detail, code)
        self.status_code = status
        self.members = members
