"""Cutting a request body into records, without decoding what is in them.

Four forms are taken: one record, an array of records, `{"records": […]}`, and one
record per line. The body shows which one it is; the content type has to be right, but
lines are recognised under `application/json` too. A record that is wrong is an error
of its own later. Only what leaves no records to look at is refused here.
"""

import re
from collections.abc import Callable, Sequence
from functools import partial
from io import BytesIO
from typing import NamedTuple

import msgspec

from billing.formats.errors import BodyError
from billing.formats.strict import shown, whole_escapes

# A missing content type is taken as JSON: small clients forget it.
_JSON_TYPES = frozenset({"", "application/json"})
_LINE_TYPES = frozenset({"application/x-ndjson", "application/ndjson"})

# How deep a body may be nested. A record needs five levels, inside of at most two.
MAX_DEPTH = 16
# More than a full batch of long records has. It keeps a body of a few million tiny
# values from becoming as many objects before they can be counted.
MAX_MEMBERS = 300_000

# What changes the level of nesting, and the texts in which the same signs do not.
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', re.DOTALL)


class _Envelope(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    records: list[msgspec.Raw]


class _Object(msgspec.Struct, frozen=True):
    records: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_ENVELOPE = msgspec.json.Decoder(_Envelope)
_OBJECT = msgspec.json.Decoder(_Object)
_ARRAY = msgspec.json.Decoder(list[msgspec.Raw])
_VALUE = msgspec.json.Decoder(msgspec.Raw)


class _Cut(NamedTuple):
    """The records of a body, and how many levels of nesting stand around them."""

    records: list[msgspec.Raw]
    levels: int


def split(body: bytes, content_type: str, max_records: int = 1000) -> list[msgspec.Raw]:
    """Cut `body` into one to `max_records` records, in their order.

    Of two members with one name the last counts. Raises BodyError and nothing else:
    415 for another content type, 413 for too many records, 400 for a body that is
    empty, not UTF-8, not JSON, no form of records, or nested too deeply.
    """
    lines = partial(_lines, enough=max_records + 1)
    cut = lines if _is_lines(content_type) else partial(_document, lines=lines)
    _check_size(body)
    _check_text(body)
    body = whole_escapes(body)
    try:
        records, levels = cut(body)
    except msgspec.DecodeError as error:
        raise _bad_body("bad_json", f"{shown(str(error))}.") from None
    except RecursionError:
        raise _too_deep() from None
    if not records:
        raise _bad_body("empty_body", "The body contains no record.")
    if len(records) > max_records:
        raise BodyError(
            413, "too_many_records", f"A body may contain at most {max_records} records."
        )
    _check_depth(body, records, MAX_DEPTH - levels)
    return records


def _is_lines(content_type: str) -> bool:
    """Whether the content type says lines. Its parameters (charset) are ignored."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind not in _JSON_TYPES | _LINE_TYPES:
        raise BodyError(
            415,
            "unsupported_media_type",
            f"{shown(kind)} is not taken: send application/json or application/x-ndjson.",
        )
    return kind in _LINE_TYPES


def _check_size(body: bytes) -> None:
    if not body.strip():
        raise _bad_body("empty_body", "The body is empty.")
    if body.count(b",") + body.count(b"\n") > MAX_MEMBERS:
        raise BodyError(
            413,
            "too_many_members",
            f"The body has more than {MAX_MEMBERS} members: send it in parts.",
        )


def _check_text(body: bytes) -> None:
    # The decoder checks the text it decodes, but not the text that it skips.
    if body.isascii():
        return
    try:
        body.decode()
    except UnicodeDecodeError:
        raise _bad_body("bad_text", "The body is not UTF-8.") from None


def _document(body: bytes, lines: Callable[[bytes], _Cut]) -> _Cut:
    """Cut a body that should be one JSON document, or else lines."""
    try:
        if body.lstrip()[:1] == b"[":
            return _Cut(_ARRAY.decode(body), levels=1)
        return _object(body)
    except msgspec.DecodeError:
        if b"\n" not in body.strip():
            raise
        # The first complaint is the better one when the lines are no records either.
        try:
            return lines(body)
        except msgspec.DecodeError:
            pass
        raise


def _object(body: bytes) -> _Cut:
    try:
        return _Cut(_ENVELOPE.decode(body).records, levels=2)
    except msgspec.ValidationError:
        # Not this envelope. It costs little to find out: the decoder stops at once.
        found = _OBJECT.decode(body)
    if found.records is not msgspec.UNSET:
        raise _bad_body("bad_envelope", "`records` has to be an array and the only member.")
    return _Cut([_VALUE.decode(body)], levels=0)


def _lines(body: bytes, enough: int) -> _Cut:
    """Cut lines, and no further than to this number of records."""
    records: list[msgspec.Raw] = []
    for number, line in enumerate(BytesIO(body), start=1):
        if not line.strip():
            continue
        if len(records) == enough:
            break
        try:
            records.append(_VALUE.decode(line))
        except msgspec.DecodeError as error:
            raise msgspec.DecodeError(f"Line {number}: {error}") from None
    return _Cut(records, levels=0)


def _check_depth(body: bytes, records: Sequence[msgspec.Raw], limit: int) -> None:
    if _opened(body) <= limit:
        return
    for record in records:
        data = bytes(record)
        # Counting is quick and nearly always enough: no depth without that many.
        if _opened(data) > limit and _depth(data) > limit:
            raise _too_deep()


def _opened(data: bytes) -> int:
    return data.count(b"[") + data.count(b"{")


def _depth(data: bytes) -> int:
    deepest = level = 0
    for token in _TOKEN.finditer(data):
        if token[0] in b"[{":
            level += 1
            deepest = max(deepest, level)
        elif token[0] in b"]}":
            level -= 1
    return deepest


def _bad_body(code: str, detail: str) -> BodyError:
    return BodyError(400, code, detail)


def _too_deep() -> BodyError:
    return _bad_body("too_deep", f"The body is nested deeper than {MAX_DEPTH} levels.")
