"""Tables of past calls: which column is which count, and the rows as usage.

Exports of tools name their columns each in their own way. They are found by the names
below, or said; a row is then read as usage in the terms of the ledger. A cell that is no
whole number makes its row a problem: it is not rounded, and what is negative or missing
is not taken for 0.
"""

import csv
import re
from collections.abc import Mapping, Sequence
from io import StringIO
from typing import Any, NamedTuple

from billing.formats.errors import BodyError, RecordError
from billing.formats.native import Classes
from billing.formats.strict import shown

# Fields, each with the names that its column has, in small letters with _ between words.
# Of several that are there the first counts.
FIELDS: Mapping[str, tuple[str, ...]] = {
    "model": (
        *("model", "model_name", "model_id", "response_model", "gen_ai_response_model"),
        *("gen_ai_request_model", "llm", "model_group"),
    ),
    "provider": (
        *("provider", "vendor", "custom_llm_provider", "gen_ai_provider_name"),
        "gen_ai_system",
    ),
    "processing": ("processing", "service_tier", "tier"),
    "input": (
        *("input", "input_tokens", "uncached_input_tokens", "prompt_tokens", "tokens_in"),
        *("prompt_token_count", "gen_ai_usage_input_tokens", "usage_input_tokens"),
    ),
    "cache_write_5m": (
        *("cache_write_5m", "ephemeral_5m_input_tokens", "cache_write_5m_tokens"),
        *("cache_creation_input_tokens", "cache_creation_tokens", "cache_write_tokens"),
        *("cache_write_input_tokens", "cache_write", "cache_creation"),
    ),
    "cache_write_1h": (
        *("cache_write_1h", "ephemeral_1h_input_tokens", "cache_write_1h_tokens"),
    ),
    "cache_read": (
        *("cache_read", "cache_read_input_tokens", "cache_read_tokens", "cached_tokens"),
        *("cached_input_tokens", "input_cached_tokens", "cached_content_token_count"),
    ),
    "output": (
        *("output", "output_tokens", "completion_tokens", "tokens_out"),
        *("candidates_token_count", "gen_ai_usage_output_tokens", "usage_output_tokens"),
        "generated_tokens",
    ),
    "thinking": ("thinking", "thinking_tokens", "reasoning_tokens"),
    "web_search": ("web_search", "web_search_requests", "web_searches"),
}
_TEXTS = ("model", "provider", "processing")
_NEEDED = ("input", "output")
# What has more is no name of a column.
_WORDS_OF_A_NAME = 4
_CACHED = ("cache_write_5m", "cache_write_1h", "cache_read")
# Names of an input that counts what was cached, as OpenAI's does, and Google's.
_INCLUSIVE = frozenset({"prompt_tokens", "prompt_token_count", "gen_ai_usage_input_tokens"})

_DELIMITERS = ",;\t|"
_NUMBER = re.compile(r"\d{1,3}(?:[, _]\d{3})+|\d{1,13}", re.ASCII)
# What may be repeated to the person: a number of some kind, and no text.
_NUMERIC = re.compile(r"[-+]?[\d.,_ ]{1,20}(?:[eE][-+]?\d{1,3})?", re.ASCII)
_SAME_AS = {"default": "standard", "auto": "standard", "on_demand": "standard"}


class Row(NamedTuple):
    """A row of a table: the line it ends on, and the members of a quote."""

    line: int
    members: dict[str, Any]


class Table(NamedTuple):
    """What was read. `columns` has the header that each field was read from."""

    rows: list[Row]
    problems: list[tuple[int, str]]
    columns: dict[str, str]
    inclusive: bool


def read(
    text: str, said: Mapping[str, str], inclusive: bool | None, max_rows: int
) -> Table:
    """Read a table whose first line names the columns.

    `said` maps fields to headers, in place of those that would be guessed. `inclusive`
    says whether the input counts what was cached; None: as its name suggests. Raises
    BodyError when it has no such column, or more rows than `max_rows`.
    """
    lines = csv.reader(StringIO(text, newline=""), delimiter=_delimiter(text))
    try:
        headers = [header.strip() for header in next(lines)]
        columns = _columns(headers, said)
        if inclusive is None:
            inclusive = _plain(columns["input"]) in _INCLUSIVE
        return _rows(lines, headers, columns, inclusive, max_rows)
    except csv.Error as error:
        raise _refused(f"The table is malformed: {error}.") from None


def _delimiter(text: str) -> str:
    first = text.partition("\n")[0]
    return max(_DELIMITERS, key=first.count)


def _columns(headers: Sequence[str], said: Mapping[str, str]) -> dict[str, str]:
    """The header of each field that has a column."""
    by_name = {_plain(header): header for header in reversed(headers)}
    columns = {
        name: next(by_name[one] for one in names if one in by_name)
        for name, names in FIELDS.items()
        if by_name.keys() & set(names)
    }
    for name, header in said.items():
        if name not in FIELDS:
            raise _refused(f"{shown(name)} is none of {', '.join(FIELDS)}.")
        if _plain(header) not in by_name:
            raise _refused(f"No column is named {shown(header)!r}. {_seen(headers)}")
        columns[name] = by_name[_plain(header)]
    missing = [name for name in _NEEDED if name not in columns]
    if missing:
        raise _refused(
            f"No column is known to have the {' and the '.join(missing)} tokens: say which "
            f"ones do. {_seen(headers)}"
        )
    return columns


def _seen(headers: Sequence[str]) -> str:
    """What the columns are called; a line that names none may be of a text, and is not
    said again."""
    if len(headers) < 2 or any(
        len(header.split()) > _WORDS_OF_A_NAME for header in headers
    ):
        return "The first line names no columns."
    return f"The first line has: {shown(', '.join(headers), 400)}."


def _plain(header: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", header.strip().lower()).strip("_")


def _refused(detail: str) -> BodyError:
    return BodyError(400, "bad_table", detail)


def _rows(
    lines: Any,
    headers: Sequence[str],
    columns: dict[str, str],
    inclusive: bool,
    max_rows: int,
) -> Table:
    places = {name: headers.index(header) for name, header in columns.items()}
    table = Table([], [], columns, inclusive)
    for cells in lines:
        if not any(cell.strip() for cell in cells):
            continue
        if len(table.rows) + len(table.problems) == max_rows:
            raise BodyError(
                413, "too_many_records", f"At most {max_rows:,} rows are read at once."
            )
        try:
            if len(cells) != len(headers):
                raise _wrong(f"It has {len(cells)} cells, the first line {len(headers)}.")
            its = {name: cells[place].strip() for name, place in places.items()}
            table.rows.append(Row(lines.line_num, _members(its, inclusive)))
        except RecordError as error:
            table.problems.append((lines.line_num, error.detail))
    return table


def _wrong(detail: str) -> RecordError:
    return RecordError("bad_value", "", detail)


def _members(cells: Mapping[str, str], inclusive: bool) -> dict[str, Any]:
    counts = {
        name: _count(name, cell) for name, cell in cells.items() if name not in _TEXTS
    }
    if inclusive:
        counts["input"] -= sum(counts.get(name, 0) for name in _CACHED)
        if counts["input"] < 0:
            raise _wrong("More was cached than the input that counts it.")
    members = {name: cells[name] for name in _TEXTS if cells.get(name)}
    if "processing" in members:
        tier = _plain(members["processing"])
        members["processing"] = _SAME_AS.get(tier, tier)
    used = {name: counts[name] for name in Classes.__struct_fields__ if name in counts}
    return {**members, "usage": used, "usage_format": "native"}


def _count(name: str, cell: str) -> int:
    if _NUMBER.fullmatch(cell):
        return int(re.sub(r"[, _]", "", cell))
    if not cell:
        if name in _NEEDED:
            raise _wrong(f"The {name} is missing.")
        return 0
    if not _NUMERIC.fullmatch(cell):
        raise _wrong(f"The {name} is no number.")
    raise _wrong(f"The {name} is {cell}, which is no whole number of 0 or more.")
