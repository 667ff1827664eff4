"""Decoding one JSON object into a struct, with an error that names the place.

Errors of the decoder become `RecordError` here and nowhere else: its messages are
read in one place, and whatever it can raise is caught in one place.
"""

import re
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from billing.formats.errors import RecordError

T = TypeVar("T")

# One escape in JSON text. A pair of UTF-16 surrogates is one character, half a pair is
# not text. The last branch consumes the rest, so that the text `\\u0000` is left alone.
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|(?P<half>u[dD][89a-fA-F][0-9a-fA-F]{2})|(?P<nul>u0000)|.)",
    re.DOTALL,
)

# The decoder's message, as far as it depends on nothing that was sent, gives the code.
_CODES = (
    ("Object missing required field", "missing_field"),
    ("Invalid RFC3339", "bad_time"),
    ("Invalid enum value", "bad_value"),
    ("Integer value out of range", "out_of_range"),
    ("Number out of range", "out_of_range"),
)
_LENGTH = re.compile(r"Expected `\w+` of length [<>]= \d+")
_RANGE = re.compile(r"Expected `\w+` [<>]=? -?\d+")
_PLACE = re.compile(r" - at (?:`key` in )?`\$(?P<path>[^`]*)`\Z")
_MISSING = re.compile(r"Object missing required field `(?P<name>\w+)`")
# The name was sent to us and may look like a place. There is none after it: only a
# record itself refuses unknown members.
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<name>.*)`\Z", re.DOTALL)
_STEP = re.compile(r"\.(?P<name>\w+)|\[(?P<index>\d+)\]")


def decode(decoder: msgspec.json.Decoder[T], data: bytes, pointer: str = "") -> T:
    """Decode `data` with `decoder`; `pointer` is where it stands in the record.

    Raises RecordError whatever the bytes are: malformed, too deep, not UTF-8, with
    NUL or half a surrogate pair in any text, or not of the decoder's type.
    """
    try:
        if not data.isascii():
            data.decode()
        if b"\\u" in data:
            _refuse_bad_text(data, pointer)
        return decoder.decode(data)
    except msgspec.ValidationError as error:
        raise _located(str(error), pointer) from None
    except msgspec.DecodeError as error:
        raise RecordError("bad_json", pointer, f"{shown(str(error))}.") from None
    except UnicodeDecodeError:
        raise RecordError("bad_text", pointer, "The text is not UTF-8.") from None
    except RecursionError:
        raise RecordError("too_deep", pointer, "It is nested too deeply.") from None


def whole_escapes(data: bytes) -> bytes:
    """Replace each half of a surrogate pair by NUL, keeping every byte's position.

    The decoder gives up on the whole text at such an escape, and with it on all the
    other records of a body. NUL it lets pass, and both are refused as `bad_text`.
    """
    if b"\\ud" not in data and b"\\uD" not in data:
        return data
    return _ESCAPE.sub(lambda found: rb"\u0000" if found["half"] else found[0], data)


def escaped(name: str) -> str:
    """Return a member's name as a step of a JSON pointer (RFC 6901)."""
    return shown(name).replace("~", "~0").replace("/", "~1")


def shown(text: str, limit: int = 200) -> str:
    """Return text that was sent to us, cut and printable, to quote it in an error."""
    return "".join(mark if mark.isprintable() else "\ufffd" for mark in text[:limit])


def _located(message: str, pointer: str) -> RecordError:
    """Return the error of a decoder's complaint about a place below `pointer`."""
    unknown = _UNKNOWN.match(message)
    if unknown is not None:
        pointer = f"{pointer}/{escaped(unknown['name'])}"
        return RecordError("unknown_field", pointer, f"{shown(message)}.")
    place = _PLACE.search(message)
    if place is not None:
        message = message[: place.start()]
        pointer += _pointer(place["path"])
    missing = _MISSING.match(message)
    if missing is not None:
        pointer += f"/{missing['name']}"
    return RecordError(_code(message), pointer, f"{shown(message)}.")


def _code(message: str) -> str:
    for beginning, code in _CODES:
        if message.startswith(beginning):
            return code
    if _LENGTH.match(message):
        return "bad_length"
    return "out_of_range" if _RANGE.match(message) else "wrong_type"


def _pointer(path: str) -> str:
    return "".join(f"/{step['name'] or step['index']}" for step in _STEP.finditer(path))


def _refuse_bad_text(data: bytes, pointer: str) -> None:
    whole = whole_escapes(data)
    if b"\\u0000" not in whole:
        return
    if not any(escape["nul"] for escape in _ESCAPE.finditer(whole)):
        return
    # Of members with one name only the last is found again: then the place is unknown.
    place = _nul(msgspec.json.decode(whole)) or ""
    raise RecordError(
        "bad_text",
        pointer + place,
        "Text may not contain NUL or half of a surrogate pair.",
    )


def _nul(value: Any) -> str | None:
    """Return the pointer of the first text with NUL in it, or None."""
    if isinstance(value, str):
        return "" if "\0" in value else None
    members: Mapping[Any, Any] = {}
    if isinstance(value, dict):
        members = value
    elif isinstance(value, list):
        members = dict(enumerate(value))
    for name, member in members.items():
        place = "" if "\0" in str(name) else _nul(member)
        if place is not None:
            return f"/{escaped(str(name))}{place}"
    return None
