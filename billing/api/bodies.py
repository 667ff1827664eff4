"""Reading a request body of records, within its limits."""

import msgspec
from rest_framework.request import Request

from billing.api.problems import Refused
from billing.formats import body, encodings
from billing.formats.errors import BodyError

# As it comes and, of a compressed one, as it is after that.
MAX_BYTES = 2_000_000
MAX_RECORDS = 1_000

# A client that is still sending would see a broken pipe instead of our answer.
_DRAINED_BYTES = 20_000_000
_AT_ONCE = 65_536


def records_in(request: Request) -> list[msgspec.Raw]:
    """The posted records, not yet decoded. Raises Refused (400, 413, 415)."""
    check_length(request)
    encoding = request.headers.get("content-encoding", "identity")
    content = whole(request._request.body, request)
    try:
        content = encodings.inflate(content, encoding, MAX_BYTES)
        return body.split(content, request.headers.get("content-type", ""), MAX_RECORDS)
    except BodyError as error:
        raise _refused(error) from error


def _refused(error: BodyError) -> Refused:
    if error.code != "unsupported_encoding":
        return Refused(error.status, error.code, error.detail)
    # What would be read instead: RFC 9110, section 12.5.3.
    says = {"Accept-Encoding": ", ".join(encodings.NAMES)}
    return Refused(error.status, error.code, error.detail, headers=says)


def whole(content: bytes, request: Request) -> bytes:
    """`content`, if nothing of it is missing. Raises Refused (400).

    When a client goes away, the server hands over what has come until then; a body of
    lines may be cut between two of them and look whole.
    """
    if len(content) < int(request.headers.get("content-length") or "0"):
        raise Refused(400, "bad_length", "The body is shorter than its Content-Length.")
    return content


def check_length(request: Request) -> None:
    """Raises Refused (400, 413) for a body that is too long to be read."""
    # What the server says it will hand over; a body without a length reads as empty.
    length = request.headers.get("content-length") or "0"
    if not length.isdecimal():
        raise Refused(400, "bad_length", "Content-Length is not a number.")
    if int(length) > MAX_BYTES:
        _drain(request, min(int(length), _DRAINED_BYTES))
        raise Refused(
            413,
            "body_too_large",
            f"The body has {int(length)} bytes; at most {MAX_BYTES} are read at once.",
        )


def pass_over(request: Request) -> None:
    """Read and forget the body of a request that is answered without it."""
    length = request.headers.get("content-length") or "0"
    if length.isdecimal():
        _drain(request, min(int(length), _DRAINED_BYTES))


def _drain(request: Request, length: int) -> None:
    """Read and forget so much of the body."""
    while length > 0 and request._request.read(min(_AT_ONCE, length)):
        length -= _AT_ONCE
