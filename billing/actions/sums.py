"""What charges come to, added to the daily and hourly sums."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from operator import add as plus
from typing import Any, NamedTuple

from billing.actions import adjustments
from billing.actions.budget_totals import Spent
from billing.models import DailySpend, HourlySpend, unnest
from billing.models.months import is_adjustment
from billing.models.rollups import SPEND_KEY
from billing.pricing import money
from billing.pricing.rates import Prices
from billing.pricing.token_classes import TokenClass


class Place(NamedTuple):
    """Which sums of its team a charge belongs to."""

    project_id: int
    model_id: int
    processing: str
    speed: str
    geo: str
    endpoint: str
    context_tier: int
    day: date
    hour: datetime

    @property
    def key(self) -> tuple[Any, ...]:
        """Of a sum, without its team and its period."""
        return self[:_PERIODS]


_PERIODS = Place._fields.index("day")


class Total(NamedTuple):
    """What some charges come to; costs in 10⁻¹⁵ of the currency unit."""

    requests: int
    quantities: Sequence[int]
    costs: Sequence[int]  # by token class
    cost: int

    def plus(self, other: "Total") -> "Total":
        return Total(
            self.requests + other.requests,
            list(map(plus, self.quantities, other.quantities)),
            list(map(plus, self.costs, other.costs)),
            self.cost + other.cost,
        )


_SESSION = list(TokenClass).index(TokenClass.SESSION)


def total(*, requests: int, quantities: Sequence[int], cost: int, prices: Prices) -> Total:
    """The total of charges at one rate: of each class what was counted × its price.

    What a session costs is rounded in each charge, so it is what is left of the whole.
    """
    costs = [
        quantity * price if isinstance(price, int) else 0
        for quantity, price in zip(quantities, prices, strict=True)
    ]
    costs[_SESSION] = 0
    costs[_SESSION] = cost - sum(costs)
    return Total(requests, quantities, costs, cost)


def add(team_id: int, totals: Iterable[tuple[Place, Total]]) -> list[Spent]:
    """Add totals to a team's sums. Returns them as its budgets take them."""
    by_place: dict[Place, Total] = {}
    for place, its in totals:
        known = by_place.get(place)
        by_place[place] = known.plus(its) if known else its
    _add(team_id, DailySpend, "day", "date", by_place)
    _add(team_id, HourlySpend, "hour", "timestamptz", by_place)
    adjustments.add(
        team_id,
        [
            (place.key, place.day, money.exact(its.cost))
            for place, its in by_place.items()
            if is_adjustment(place.day, place.hour)
        ],
    )
    return [
        Spent(
            place.project_id,
            place.model_id,
            place.processing,
            place.day,
            money.exact(its.cost),
        )
        for place, its in by_place.items()
    ]


_KEY = SPEND_KEY[1:]
_KEY_TYPES = ("bigint", "bigint", "text", "text", "text", "text", "bigint")
_COSTS = tuple(f"{token_class}_cost" for token_class in TokenClass)
_COUNTS = ("requests", *TokenClass)
_SUMS = (*_COUNTS, *_COSTS, "cost")


def _add(
    team_id: int,
    model: type[DailySpend] | type[HourlySpend],
    period: str,
    period_type: str,
    totals: Mapping[Place, Total],
) -> None:
    by_key: dict[tuple[Any, ...], Total] = {}
    for place, its in totals.items():
        key = (*place.key, getattr(place, period))
        known = by_key.get(key)
        by_key[key] = known.plus(its) if known else its
    columns = (*_KEY, period)
    unnest.insert(
        table=model._meta.db_table,
        columns={
            **dict(zip(columns, (*_KEY_TYPES, period_type), strict=True)),
            **dict.fromkeys(_COUNTS, "bigint"),
            **dict.fromkeys((*_COSTS, "cost"), "numeric"),
        },
        rows=[
            (
                *key,
                its.requests,
                *its.quantities,
                *map(money.numeral, its.costs),
                money.numeral(its.cost),
            )
            for key, its in by_key.items()
        ],
        team_id=team_id,
        order_by=columns,
        then=(
            f"ON CONFLICT (team_id, {', '.join(columns)}) DO UPDATE SET "
            + ", ".join(f"{name} = kept.{name} + EXCLUDED.{name}" for name in _SUMS)
        ),
    )
