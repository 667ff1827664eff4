"""Tables of past calls: which column is which count, and the rows as usage.

Exports of tools name their columns each in their own way. They are found by the names
below, or said; a row is then read as usage in the terms of the ledger. A cell that is no
whole number makes its row a problem: it is not rounded, and what is negative or missing
is not taken for 0.
"""

import csv
import re
from collections.abc import Callable, Mapping, Sequence
from io import StringIO
from itertools import islice
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
    # All that is written, for however long: what is none of the two below is the other.
    "cache_write": (
        *("cache_creation_input_tokens", "cache_creation_tokens", "cache_write_tokens"),
        *("cache_write_input_tokens", "cache_write", "cache_creation"),
    ),
    "cache_write_5m": (
        *("cache_write_5m", "ephemeral_5m_input_tokens", "cache_write_5m_tokens"),
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
# Of a model, a provider, a processing: one word, or a few as in “Claude Opus 5.5”.
_NAME = re.compile(r"[A-Za-z0-9][\w.:/@+-]{0,99}(?: [\w.]{1,20}){0,3}", re.ASCII)
_TEXT = "?"  # stands for one
_LONGEST_NAME = 200
_FIRST = 3
MOST_COLUMNS = 100
_NO_DELIMITER = re.compile(r"""[,;|"\s]+""")
# Of a table, in characters: what a form may carry.
MOST_CARRIED = 3_000_000
_SAME_AS = {"default": "standard", "auto": "standard", "on_demand": "standard"}


class Column(NamedTuple):
    """A column before it is read: its first values, and the field that it seems to be."""

    header: str
    field: str
    first: tuple[str, ...]


class Outline(NamedTuple):
    """What a person is asked about a table. `table` has the columns that a field could be
    read from, and of them the cells that are numbers or names alone; `dropped` are the
    headers of all others."""

    columns: list[Column]
    table: str
    dropped: list[str]


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

    `said` maps fields to headers, in place of those that would be guessed; to nothing
    where no column has it. `inclusive` says whether the input counts what was cached; None:
    as its name suggests. Raises BodyError when it has no such column, or more rows than
    `max_rows`.
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


def outline(
    text: str, said: Mapping[str, str], is_name: Callable[[str], bool], max_rows: int
) -> Outline:
    """Return which columns a table has, and the table without what could be a text.

    Carried are columns with a usual or said name, columns mostly of numbers, and columns
    mostly of names that are known. Lines stay where they are. Raises BodyError as `read`
    does, but for a field without a column.
    """
    lines = csv.reader(StringIO(text, newline=""), delimiter=_delimiter(text))
    try:
        headers = _distinct([header.strip() for header in next(lines)])
        rows = [
            (lines.line_num, [cell.strip() for cell in cells])
            for cells in lines
            if any(cell.strip() for cell in cells)
        ]
    except csv.Error as error:
        raise _refused(f"The table is malformed: {error}.") from None
    if not _names_columns(headers):
        raise _refused("The first line names no columns.")
    if len(rows) > max_rows:
        raise _too_many(max_rows)
    if len(headers) > MOST_COLUMNS:
        raise _refused(f"It has more than {MOST_COLUMNS} columns.")
    fields = {header: name for name, header in _guessed(headers).items()}
    fields |= {_found(header, headers): name for name, header in said.items() if header}
    whole = [cells for _, cells in rows if len(cells) == len(headers)]
    kept: dict[int, re.Pattern[str]] = {}
    for place, header in enumerate(headers):
        of_column = [cells[place] for cells in whole]
        pattern = _pattern(fields.get(header, ""), of_column, is_name)
        if pattern is not None:
            kept[place] = pattern
    table = _carried(headers, rows, kept)
    if len(table) > MOST_CARRIED:
        raise BodyError(413, "body_too_large", "Its counts are too many: take fewer rows.")
    return Outline(
        columns=_outlined(table, fields),
        table=table,
        dropped=[header for place, header in enumerate(headers) if place not in kept],
    )


def written(rows: Mapping[int, Mapping[str, Any] | None]) -> str:
    """Flat objects as a table, of which the one of number n ends on line n + 1.

    Its headers are their members. What is None has a text for every count. Raises
    BodyError where they have more members than a table has columns.
    """
    names = list(dict.fromkeys(name for row in rows.values() for name in row or ()))
    if len(names) > MOST_COLUMNS:
        raise _refused(f"It has more than {MOST_COLUMNS} columns.")
    table = StringIO(newline="")
    out = csv.writer(table, lineterminator="\n")
    out.writerow(_distinct([name.strip() for name in names]))
    line = 1
    for number, row in rows.items():
        table.write("\n" * (number - line))
        line = number + 1
        if row is None:
            out.writerow([_TEXT] * len(names))
        else:
            cells = [_cell(row.get(name)) for name in names]
            out.writerow(cells if any(cells) else [*cells[:-1], _TEXT])
    return table.getvalue()


def _cell(value: Any) -> str:
    """Of a text what may be a name: one line, and short."""
    cell = "" if value is None else str(value)
    return cell if len(cell) <= _LONGEST_NAME and cell.isprintable() else _TEXT


def columns_of(table: str, max_rows: int) -> list[Column]:
    """The columns of a table that `outline` returned. Raises BodyError for another one,
    and for one that is larger than any of those, before much is made of it."""
    if len(table) > MOST_CARRIED + max_rows:
        raise BodyError(413, "body_too_large", "Its counts are too many: take fewer rows.")
    lines = csv.reader(StringIO(table, newline=""))
    try:
        if len(next(lines)) > MOST_COLUMNS:
            raise _refused(f"It has more than {MOST_COLUMNS} columns.")
        if sum(1 for cells in lines if cells) > max_rows:
            raise _too_many(max_rows)
        return _outlined(table, {})
    except (csv.Error, StopIteration):
        raise _refused("This is no table that was outlined.") from None


def _outlined(table: str, fields: Mapping[str, str]) -> list[Column]:
    lines = csv.reader(StringIO(table, newline=""))
    headers = next(lines)
    whole = [cells for cells in lines if len(cells) == len(headers)]
    return [
        Column(
            header,
            fields.get(header, ""),
            tuple(islice((cells[place] for cells in whole if cells[place]), _FIRST)),
        )
        for place, header in enumerate(headers)
    ]


def _distinct(headers: Sequence[str]) -> list[str]:
    """One without a name, or with that of another one, is named by its number."""
    found: list[str] = []
    for number, written in enumerate(headers, start=1):
        header = _NO_DELIMITER.sub(" ", written)
        found.append(header if header and header not in found else f"column {number}")
    return found


def _pattern(
    field: str, cells: Sequence[str], is_name: Callable[[str], bool]
) -> re.Pattern[str] | None:
    """What its cells have to look like to be carried; None where none of them is."""
    if field:
        return _NAME if field in _TEXTS else _NUMERIC
    filled = [cell for cell in cells if cell]
    if sum(1 for cell in filled if _NUMERIC.fullmatch(cell)) * 2 > len(filled):
        return _NUMERIC
    different = set(filled)
    if sum(1 for cell in different if is_name(cell)) * 2 > len(different):
        return _NAME
    return None


def _carried(
    headers: Sequence[str],
    rows: Sequence[tuple[int, list[str]]],
    kept: Mapping[int, re.Pattern[str]],
) -> str:
    written = StringIO(newline="")
    out = csv.writer(written, lineterminator="\n")
    out.writerow(headers[place] for place in kept)
    line = 1
    for number, cells in rows:
        written.write("\n" * (number - line - 1))
        line = number
        if more := len(cells) - len(headers):
            # One that is too long or short stays so.
            out.writerow([_TEXT] * max(len(kept) + more, 1))
            continue
        safe = [_safe(cells[place], fits) for place, fits in kept.items()]
        # What had something in other columns is no empty line, and is missed.
        out.writerow(safe if any(safe) else [*safe[:-1], _TEXT])
    return written.getvalue()


def _safe(cell: str, fits: re.Pattern[str]) -> str:
    return cell if not cell or fits.fullmatch(cell) else _TEXT


def _delimiter(text: str) -> str:
    first = text.partition("\n")[0]
    return max(_DELIMITERS, key=first.count)


def _columns(headers: Sequence[str], said: Mapping[str, str]) -> dict[str, str]:
    """The header of each field that has a column."""
    columns = _guessed(headers)
    for name, header in said.items():
        if name not in FIELDS:
            raise _refused(f"{shown(name)} is none of {', '.join(FIELDS)}.")
        columns.pop(name, None)
        if header:
            columns[name] = _found(header, headers)
    missing = [name for name in _NEEDED if name not in columns]
    if missing:
        raise _refused(
            f"No column is known to have the {' and the '.join(missing)} tokens: say which "
            f"ones do. {_seen(headers)}"
        )
    return columns


def _found(said: str, headers: Sequence[str]) -> str:
    """The header that was said, perhaps in other letters."""
    alike = [header for header in headers if _plain(header) == _plain(said)]
    if said not in headers and not alike:
        raise _refused(f"No column is named {shown(said)!r}. {_seen(headers)}")
    return said if said in headers else alike[0]


def _guessed(headers: Sequence[str]) -> dict[str, str]:
    """The header of each field that has a column of a usual name."""
    by_name = {_plain(header): header for header in reversed(headers)}
    return {
        name: next(by_name[one] for one in names if one in by_name)
        for name, names in FIELDS.items()
        if by_name.keys() & set(names)
    }


def _seen(headers: Sequence[str]) -> str:
    """What the columns are called; a line that names none may be of a text, and is not
    said again."""
    if not _names_columns(headers):
        return "The first line names no columns."
    return f"The first line has: {shown(', '.join(headers), 400)}."


def _names_columns(headers: Sequence[str]) -> bool:
    return len(headers) > 1 and all(
        len(header.split()) <= _WORDS_OF_A_NAME for header in headers
    )


def _plain(header: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", header.strip().lower()).strip("_")


def _refused(detail: str) -> BodyError:
    return BodyError(400, "bad_table", detail)


def _too_many(max_rows: int) -> BodyError:
    return BodyError(
        413, "too_many_records", f"At most {max_rows:,} rows are read at once."
    )


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
            raise _too_many(max_rows)
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
    if cells.get("cache_write"):
        _divide(counts)
    counts.pop("cache_write", None)
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


def _divide(counts: dict[str, int]) -> None:
    """Into what is written for 5 minutes and for an hour: what no column has of the total
    is the other one; where both have theirs the rest lives for 5 minutes."""
    told = sum(counts.get(name, 0) for name in ("cache_write_5m", "cache_write_1h"))
    rest = counts["cache_write"] - told
    if rest < 0:
        raise _wrong("More was written to the cache for some time than in all.")
    is_known = "cache_write_5m" in counts and "cache_write_1h" not in counts
    lifetime = "cache_write_1h" if is_known else "cache_write_5m"
    counts[lifetime] = counts.get(lifetime, 0) + rest


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
