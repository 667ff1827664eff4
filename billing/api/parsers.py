"""Reading a request body of parameters; `bodies` reads those of records."""

import json
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import IO, Any, NoReturn

from rest_framework.parsers import BaseParser

from billing.api import bodies
from billing.api.problems import Refused


class JsonParser(BaseParser):
    """JSON in UTF-8, whatever charset the client names, and numbers as they are written."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """Raises Refused (400, 413)."""
        request = (parser_context or {})["request"]
        bodies.check_length(request)
        content = bodies.whole(stream.read(), request)
        try:
            return json.loads(
                content.decode(), parse_float=Decimal, parse_constant=_no_number
            )
        except UnicodeDecodeError:
            raise Refused(400, "bad_text", "The body is not UTF-8.") from None
        except RecursionError:
            raise Refused(400, "too_deep", "The body is nested too deeply.") from None
        except (ValueError, InvalidOperation) as error:
            raise Refused(400, "bad_json", f"JSON is malformed: {error}") from None


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")
