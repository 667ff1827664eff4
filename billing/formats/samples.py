"""Records of past calls, as people have them at hand: what was used, and no text.

Taken are `usage` objects, whole responses of the providers' APIs, results of their
batches, lines of a coding tool's transcript, and what `POST /usage` takes; one, several
after each other, an array, one per line; or a table (`sample_columns`), as which flat
objects are read too. Of each the counts,
the model and the conditions are read. Prompts and answers are passed over: no part of them
is returned, or quoted in a problem. When a call took place makes no difference.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, NamedTuple

import msgspec

from billing.formats import registry, sample_columns, strict
from billing.formats.errors import BodyError, RecordError
from billing.formats.posted import decode_quote
from billing.formats.registry import LOCAL_MESSAGE
from billing.formats.sample_columns import Outline
from billing.pricing.model_names import SYNTHETIC, marks
from billing.pricing.rates import RateBook
from billing.pricing.token_classes import NOTHING, Quantities
from billing.pricing.usage import Processing, Step, Usage

MAX_ROWS = 10_000
MAX_BYTES = 10_000_000
CSV = "csv"

# Whose model it is, where nobody says so and several have one of this name.
_FIRST_ASKED = ("anthropic", "openai", "google", "aws", "azure")
_UNKNOWN = "unknown"
# Members that only one provider's usage has.
_TELLING = {"promptTokenCount": "google", "inputTokens": "aws"}
_BARE = frozenset(
    {"input_tokens", "prompt_tokens", "promptTokenCount", "inputTokens", "input", "output"}
)
_TIERS = (b'"flex"', b'"priority"')
_TIER_NAMES = frozenset({*Processing, "default", "auto", "on_demand"})


class Asked(NamedTuple):
    """What the person says for records that do not say it themselves.

    `columns` names the header of a table's column for fields of `sample_columns`, where it
    is not guessed rightly; `inclusive` whether its input counts what was cached.
    """

    provider: str | None = None
    model: str | None = None
    columns: Mapping[str, str] = {}
    inclusive: bool | None = None


NOTHING_SAID = Asked()


class Problem(NamedTuple):
    """Why a record was not read. It is the one of this number, or begins on this line."""

    number: int
    detail: str


class Reading(NamedTuple):
    """What was read. `unit` says what problems are numbered by: line or record.

    `read_as` counts records by format. `repeated` ones had the id of another and count
    once, as the last of them says. `flags` counts what records left open. `columns` has
    the header that each field of a table was read from.
    """

    usages: list[Usage]
    read_as: Mapping[str, int]
    unit: str
    problems: list[Problem]
    repeated: int = 0
    flags: Mapping[str, int] = {}
    columns: Mapping[str, str] = {}
    inclusive: bool = False


class _Entry(msgspec.Struct, frozen=True):
    """The members that are looked at. All others are passed over."""

    id: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    type: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    usage: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    provider: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    model: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    usage_format: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    processing: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    speed: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    geo: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    endpoint: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    product: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    stop_reason: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    content_empty: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    batch_result: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    # Of responses, and of what responses are wrapped in.
    content: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    service_tier: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    usage_metadata: msgspec.Raw | msgspec.UnsetType = msgspec.field(
        default=msgspec.UNSET, name="usageMetadata"
    )
    model_version: msgspec.Raw | msgspec.UnsetType = msgspec.field(
        default=msgspec.UNSET, name="modelVersion"
    )
    message: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    result: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    response: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    body: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


# Members of an entry that a quote has under the same name.
_SAME = (
    *("provider", "model", "usage_format", "processing", "speed", "geo", "endpoint"),
    *("product", "stop_reason", "content_empty", "batch_result"),
)

_ENTRY = msgspec.json.Decoder(_Entry)
_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ARRAY = msgspec.json.Decoder(list[msgspec.Raw])


class _Cut(NamedTuple):
    """A record that was cut out, with its number; or why it could not be."""

    number: int
    raw: bytes
    problem: str = ""


# --- Reading ------------------------------------------------------------------------


def read(content: bytes, asked: Asked, book: RateBook, at: datetime) -> Reading:
    """Read all records; `at` becomes the moment of each.

    Raises BodyError where there is nothing to read, or too much of it: a record that is
    wrong is a problem of its own.
    """
    text = _text(content)
    if text[:1] not in "{[":
        return _of_table(text, asked, book, at)
    cut, unit = _records(text)
    rows = _flat(cut, asked)
    if rows is not None:
        table = _of_table(sample_columns.written(rows), asked, book, at)
        return table._replace(unit=unit, problems=_of_cut(table.problems, cut, rows))
    if asked.columns:
        raise BodyError(
            400,
            "bad_table",
            "Columns can be said of a table, or of flat objects without a usage: these "
            "records have their counts elsewhere.",
        )
    return _of_json(cut, unit, asked, book, at)


def _of_table(text: str, asked: Asked, book: RateBook, at: datetime) -> Reading:
    table = sample_columns.read(text, asked.columns, asked.inclusive, MAX_ROWS)
    problems = [Problem(number, detail) for number, detail in table.problems]
    usages = []
    for row in table.rows:
        members = {name: msgspec.json.encode(value) for name, value in row.members.items()}
        try:
            usages.append(_usage(members, asked, book, at)[0])
        except RecordError as error:
            problems.append(Problem(row.line, _sentence(error)))
    return Reading(
        usages=usages,
        read_as={CSV: len(usages)} if usages else {},
        unit="line",
        problems=sorted(problems),
        columns=table.columns,
        inclusive=table.inclusive,
    )


def outline(content: bytes, asked: Asked, book: RateBook) -> Outline | None:
    """Return what there is to ask of a table before it is read; None where it is none.

    Raises BodyError as `read` does.
    """
    text = _text(content)
    if text[:1] in "{[":
        rows = _flat(_records(text)[0], asked)
        if rows is None:
            return None
        text = sample_columns.written(rows)

    def is_name(cell: str) -> bool:
        return cell in _FIRST_ASKED or cell in _TIER_NAMES or bool(book.providers_of(cell))

    return sample_columns.outline(text, asked.columns, is_name, MAX_ROWS)


def _text(content: bytes) -> str:
    if len(content) > MAX_BYTES:
        raise BodyError(413, "body_too_large", f"At most {MAX_BYTES:,} bytes are read.")
    try:
        text = content.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise BodyError(400, "bad_text", "The text is not UTF-8.") from None
    if "\0" in text:
        raise BodyError(400, "bad_text", "Text may not contain NUL.")
    if not text:
        raise BodyError(400, "empty_body", "There is nothing to read.")
    return text


def _of_json(
    cut: Sequence[_Cut], unit: str, asked: Asked, book: RateBook, at: datetime
) -> Reading:
    # By id, where there is one: the last one said what the call came to.
    found: dict[object, tuple[Usage, str]] = {}
    problems: list[Problem] = []
    repeated = 0
    for number, raw, problem in cut:
        if problem:
            problems.append(Problem(number, problem))
            continue
        try:
            members, identity = _members(raw)
            usage, name = _usage(members, asked, book, at)
        except RecordError as error:
            problems.append(Problem(number, _sentence(error)))
            continue
        key = identity or number
        repeated += key in found
        found[key] = usage, name
    return Reading(
        usages=[usage for usage, _ in found.values()],
        read_as=Counter(name for _, name in found.values()),
        unit=unit,
        problems=problems,
        repeated=repeated,
        flags=Counter(flag for usage, _ in found.values() for flag in usage.flags),
    )


def _sentence(error: RecordError) -> str:
    where = error.pointer.removeprefix("/").replace("/", ".")
    return f"{where}: {error.detail}" if where else error.detail


def too_many() -> BodyError:
    return BodyError(
        413, "too_many_records", f"At most {MAX_ROWS:,} records are read at once."
    )


# --- Cutting ------------------------------------------------------------------------


def _records(text: str) -> tuple[list[_Cut], str]:
    """The records, and what they are numbered by. Raises BodyError for too many."""
    data = text.encode()
    try:
        raws = _of_document(data)
    except (msgspec.DecodeError, RecursionError):
        cut, unit = list(islice(_of_text(text), MAX_ROWS + 1)), "line"
    else:
        cut = [_Cut(number, bytes(raw)) for number, raw in enumerate(raws, start=1)]
        unit = "record"
    if len(cut) > MAX_ROWS:
        raise too_many()
    return cut, unit


def _of_document(data: bytes) -> Sequence[msgspec.Raw | bytes]:
    if data[:1] == b"[":
        return _ARRAY.decode(data)
    members = _MEMBERS.decode(data)
    inside = members.get("records", members.get("data"))
    if inside is not None and "usage" not in members and bytes(inside)[:1] == b"[":
        return _ARRAY.decode(inside)
    return [data]


def _of_text(text: str) -> Iterator[_Cut]:
    lines = text.splitlines()
    filled = [line.lstrip() for line in lines if line.strip()]
    if len(filled) > 1 and all(line[0] in "{[" for line in filled):
        for number, line in enumerate(lines, start=1):
            if line.strip():
                yield _Cut(number, line.strip().encode())
        return
    yield from _one_after_another(text)


def _one_after_another(text: str) -> Iterator[_Cut]:
    """Values that stand behind each other, each over several lines, perhaps with commas."""
    decoder = json.JSONDecoder()
    place, line = 0, 1
    while True:
        begun = place
        while place < len(text) and (text[place].isspace() or text[place] == ","):
            place += 1
        line += text.count("\n", begun, place)
        if place == len(text):
            return
        try:
            _, end = decoder.raw_decode(text, place)
        except json.JSONDecodeError as error:
            where = f"line {error.lineno}, column {error.colno}"
            yield _Cut(line, b"", f"JSON is malformed at {where}: {error.msg}.")
            return
        except RecursionError:
            yield _Cut(line, b"", "It is nested too deeply.")
            return
        yield _Cut(line, text[place:end].encode())
        line += text.count("\n", place, end)
        place = end


# --- Flat objects -------------------------------------------------------------------

_FLAT = msgspec.json.Decoder(dict[str, int | float | str | bool | None])
_MALFORMED = "JSON is malformed."
# An input and an output.
_LEAST_COUNTS = 2

_Flat = Mapping[int, Mapping[str, Any] | None]


def _flat(cut: Sequence[_Cut], asked: Asked) -> _Flat | None:
    """The members of each record by its number, where all are objects of single values;
    None of what is malformed.

    None as a whole where they are no rows of a table: one has a usage or members of its
    own, or, as nothing is said of columns, it is a usage itself or has no two numbers.
    """
    rows: dict[int, Mapping[str, Any] | None] = {}
    for number, raw, problem in cut:
        try:
            rows[number] = None if problem else _FLAT.decode(raw)
        except (msgspec.ValidationError, RecursionError):
            return None
        except (msgspec.DecodeError, UnicodeDecodeError):
            rows[number] = None
    its = [row for row in rows.values() if row is not None]
    if any("usage" in row for row in its):
        return None
    if asked.columns:
        return rows if its else None
    counted = [{name for name in row if _is_count(row[name])} for row in its]
    is_table = any(len(names) >= _LEAST_COUNTS for names in counted)
    return rows if is_table and not any(names & _BARE for names in counted) else None


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _of_cut(problems: Sequence[Problem], cut: Sequence[_Cut], rows: _Flat) -> list[Problem]:
    """Problems of the table that was written of records, by the records' numbers."""
    malformed = {
        one.number: one.problem or _MALFORMED for one in cut if rows[one.number] is None
    }
    return [Problem(line - 1, malformed.get(line - 1, detail)) for line, detail in problems]


# --- One record ---------------------------------------------------------------------

# An OpenAI batch has its responses two members deep, and no API has them deeper.
_WRAPS = 2


def _members(raw: bytes, wraps: int = _WRAPS) -> tuple[dict[str, bytes], str]:
    """The members of a quote that a record has, and its id or nothing."""
    entry = _decode(raw)
    usage = _given(entry.usage) or _given(entry.usage_metadata)
    if not usage:
        return _bare(entry, raw) or _wrapped(entry, wraps)
    members = {name: value for name in _SAME if (value := _given(getattr(entry, name)))}
    members["usage"] = usage
    if model := _given(entry.model_version):
        members.setdefault("model", model)
    if _given(entry.content) == b"[]":
        members.setdefault("content_empty", b"true")
    if (tier := _given(entry.service_tier)) in _TIERS:
        members.setdefault("processing", tier)
    return members, _given(entry.id).decode()


def _decode(raw: bytes) -> _Entry:
    if raw[:1] != b"{":
        raise RecordError("wrong_type", "", "It is no JSON object.")
    try:
        return _ENTRY.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise RecordError("bad_json", "", "JSON is malformed.") from None
    except RecursionError:
        raise RecordError("too_deep", "", "It is nested too deeply.") from None


def _bare(entry: _Entry, raw: bytes) -> tuple[dict[str, bytes], str] | None:
    """An object that is the usage itself, with the model beside the counts perhaps."""
    if not _BARE & _MEMBERS.decode(raw).keys():
        return None
    model = _given(entry.model)
    members = {"usage": raw, "model": model} if model else {"usage": raw}
    return members, _given(entry.id).decode()


def _wrapped(entry: _Entry, wraps: int) -> tuple[dict[str, bytes], str]:
    """A response inside of a batch's result, an event, a line of a transcript."""
    if _given(entry.type) == b'"message_start"':
        raise _no_usage("The beginning of a stream has no final counts.")
    for name in ("result", "response", "body", "message"):
        inside = _given(getattr(entry, name))
        if wraps and inside[:1] == b"{":
            members, identity = _members(inside, wraps - 1)
            if name == "result":
                members.setdefault("batch_result", b'"succeeded"')
            if name == "body":  # OpenAI's batches are the only ones with one
                members.setdefault("processing", b'"batch"')
            return members, identity
    raise _no_usage("It has no usage.")


def _no_usage(sentence: str) -> RecordError:
    return RecordError("missing_field", "", sentence)


def _given(raw: msgspec.Raw | msgspec.UnsetType) -> bytes:
    """A member as it is written; nothing where there is none, or null."""
    written = b"" if raw is msgspec.UNSET else bytes(raw).strip()
    return b"" if written == b"null" else written


def _usage(
    members: Mapping[str, bytes], asked: Asked, book: RateBook, at: datetime
) -> tuple[Usage, str]:
    """The usage of a record with these members, and the name of its format."""
    said = dict(members)
    if "model" not in said:
        if not asked.model:
            raise RecordError(
                "missing_field", "", "It names no model: say which one it was."
            )
        said["model"] = msgspec.json.encode(asked.model)
    if "provider" not in said and asked.provider:
        said["provider"] = msgspec.json.encode(asked.provider)
    if "provider" not in said:
        said |= _guessed(said, book)
    said["occurred_at"] = msgspec.json.encode(at)
    quote = decode_quote(
        msgspec.json.encode({name: msgspec.Raw(value) for name, value in said.items()})
    )
    try:
        name = registry.name_of(quote)
    except RecordError as error:
        if "usage_format" in said:
            raise
        sentence = "Its members do not tell whose usage it is: say which provider's."
        raise RecordError(error.code, "", sentence) from error
    usage = registry.read(quote)
    if usage.unbilled == LOCAL_MESSAGE or quote.model == SYNTHETIC:
        raise _no_usage("The tool made this message up itself: nothing was called.")
    return usage, name


def _guessed(said: Mapping[str, bytes], book: RateBook) -> dict[str, bytes]:
    """The provider by the model's name and the members of the usage, and the format."""
    usage = said["usage"]
    found = strict.decode(_MEMBERS, usage, "/usage").keys() if usage[:1] == b"{" else ()
    named = strict.decode(_NAME, said["model"], "/model")
    by_members = [provider for member, provider in _TELLING.items() if member in found]
    known = book.providers_of(named)
    by_name = [provider for provider in _FIRST_ASKED if provider in known]
    unknown = "anthropic" if marks(named).claude else _UNKNOWN
    provider = next(iter([*by_members, *by_name, *known]), unknown)
    guessed = {"provider": msgspec.json.encode(provider)}
    if "usage_format" not in said and (one := registry.only_fitting(found)):
        # A gateway tells of any provider's calls in one format.
        guessed["usage_format"] = msgspec.json.encode(one)
    return guessed


_NAME = msgspec.json.Decoder(str)


# --- Keeping ------------------------------------------------------------------------

_CONDITIONS = ("provider", "model", "processing", "speed", "geo", "endpoint", "unbilled")


def packed(usages: Iterable[Usage]) -> dict[str, Any]:
    """Usages as JSON takes them, in as little space: no time, no id, no text."""
    conditions: dict[tuple[str, ...], int] = {}
    rows = []
    for usage in usages:
        its = tuple(str(getattr(usage, name)) for name in _CONDITIONS)
        place = conditions.setdefault(its, len(conditions))
        steps = [
            [*([] if step.model == usage.model else [step.model]), *_short(step.quantities)]
            for step in usage.steps
        ]
        rows.append([place, usage.thinking, *steps])
    return {"conditions": [list(its) for its in conditions], "rows": rows}


def unpacked(kept: Mapping[str, Any], at: datetime) -> list[Usage]:
    """What `packed` was given, as if called at this moment."""
    conditions = [dict(zip(_CONDITIONS, its, strict=True)) for its in kept["conditions"]]
    return [
        Usage(
            occurred_at=at,
            steps=tuple(_step(step, conditions[place]["model"]) for step in steps),
            thinking=thinking,
            **conditions[place],
        )
        for place, thinking, *steps in kept["rows"]
    ]


def _short(quantities: Quantities) -> list[int]:
    """Without the zeros at the end."""
    counts = list(quantities)
    while counts and not counts[-1]:
        counts.pop()
    return counts


def _step(kept: Sequence[Any], model: str) -> Step:
    if kept and isinstance(kept[0], str):
        model, *kept = kept
    return Step(model, Quantities(*kept) if kept else NOTHING)
