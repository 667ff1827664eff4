"""Arrays as PostgreSQL reads them, written at once.

The driver's own way asks each element for its type and its quotes: for a batch of
records that takes longer than to price them.
"""

from collections.abc import Collection, Iterable
from typing import Any

_QUOTED = frozenset({"text", "bytea"})


def literal(values: Collection[Any], kind: str) -> str:
    """The values, or None, as the text of an array of this PostgreSQL type.

    Numbers, dates, moments and uuids need no quotes; texts may have any character that a
    text column takes.
    """
    if kind not in _QUOTED:
        if None in values:
            return _joined("NULL" if one is None else str(one) for one in values)
        return _joined(map(str, values))
    if kind == "bytea":
        return _joined(
            "NULL" if one is None else f'"\\\\x{bytes(one).hex()}"' for one in values
        )
    return _texts(values)


def _texts(values: Collection[str | None]) -> str:
    if None not in values:
        whole = '","'.join(values)  # type: ignore[arg-type]
        # Mostly there is nothing in any of them that has to be escaped.
        if "\\" not in whole and whole.count('"') == 2 * (len(values) - 1):
            return f'{{"{whole}"}}'
    return _joined("NULL" if one is None else f'"{_escaped(one)}"' for one in values)


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')


def _joined(elements: Iterable[str]) -> str:
    return f"{{{','.join(elements)}}}"
