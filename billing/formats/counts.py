"""Counts as they are reported, and how those that include each other are made disjoint.

Where a part exceeds what it is a part of, the record is refused. It is never clamped:
the parts or the total would be wrong, and nobody could say which.
"""

from collections.abc import Mapping
from typing import Annotated

import msgspec

from billing.formats.errors import contradiction

# Strictly a whole number: no bool, no 1.0, no "7".
Count = Annotated[int, msgspec.Meta(ge=0, le=10**12)]


def rest(total: int, parts: Mapping[str, int], of: str) -> int:
    """Return what is left of `total` without its parts, which are given by pointer.

    `of` says in words what the total counts. Raises RecordError when the parts exceed
    it, at the first part with which they do.
    """
    left = total
    for pointer, count in parts.items():
        left -= count
        if left < 0:
            others = "" if count > total else " with the other parts"
            raise contradiction(
                pointer, f"{count} tokens{others} exceed the {total} of {of}."
            )
    return left


def check_total(total: int | None, counted: int, pointer: str) -> None:
    """Raise RecordError when a reported total is not the sum of what it is a total of."""
    if total is not None and total != counted:
        raise contradiction(
            pointer, f"The total is {total}, what it counts adds up to {counted}."
        )
