"""How much of a day's spend is of records of closed months, kept beside the sums."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import Any

from billing.models import DailySpend, bound
from billing.models.rollups import SPEND_KEY

_KEY = (*SPEND_KEY[1:], "day")
_KEY_TYPES = ("bigint", "bigint", "text", "text", "text", "text", "bigint", "date")
_ARRAYS = ", ".join(f"%b::{kind}[]" for kind in _KEY_TYPES)

_ADD = f"""
UPDATE {DailySpend._meta.db_table} kept SET adjustment = kept.adjustment + added.cost
FROM unnest({_ARRAYS}, %b::numeric[]) AS added ({", ".join(_KEY)}, cost)
WHERE kept.team_id = %b::bigint
    AND {" AND ".join(f"kept.{name} = added.{name}" for name in _KEY)}
"""


def add(team_id: int, amounts: Iterable[tuple[tuple[Any, ...], date, Decimal]]) -> None:
    """Add amounts, each with its rollup key (without the team) and day.

    The same transaction has added their charges to the sums, and so has those rows.
    """
    sums: dict[tuple[Any, ...], Decimal] = defaultdict(Decimal)
    for key, day, cost in amounts:
        sums[*key, day] += cost
    if sums:
        columns = zip(*((*key, cost) for key, cost in sums.items()), strict=True)
        with bound.cursor() as cursor:
            cursor.execute(_ADD, [*map(list, columns), team_id])
