"""What was used, in the cells that what-if prices: from the daily sums, and by tag from
the records.

A cell is one place, model and set of conditions between two changes of prices. Its rates
are those in force at noon UTC of its days.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from django.db import connection
from django.db.models import Min, QuerySet

from billing.models import Charge, DailySpend, UsageRecord
from billing.models.rate_book import Book
from billing.models.rates import PRICE_FIELDS
from billing.pricing.rates import Key, RateBook
from billing.pricing.token_classes import Quantities
from billing.pricing.what_if import Cell
from billing.reports.spend import Extent

_ONE_DAY = timedelta(days=1)


def noon(day: date) -> datetime:
    """The moment whose rates price a day."""
    return datetime.combine(day, time(12), UTC)


class CanWait(NamedTuple):
    """Whose calls may be answered a day later: all of some projects (by id), and those
    that carry one of these tags."""

    projects: frozenset[int] = frozenset()
    tags: tuple[tuple[str, str], ...] = ()


NOBODY = CanWait()


class Used(NamedTuple):
    """A cell, and what was charged for it; of that, for closed months."""

    cell: Cell
    charged: Decimal
    adjustment: Decimal


class _Key(NamedTuple):
    """What the sums of usage are told apart by; `stretch` numbers the days between two
    changes of prices."""

    team_id: int
    project_id: int
    model_id: int
    processing: str
    speed: str
    geo: str
    endpoint: str
    context_tier: int
    stretch: int


class _Sum(NamedTuple):
    requests: int
    quantities: Quantities
    charged: Decimal
    adjustment: Decimal

    def less(self, other: "_Sum") -> "_Sum":
        return _Sum(
            self.requests - other.requests,
            Quantities(*(one - its for one, its in zip(self[1], other[1], strict=True))),
            self.charged - other.charged,
            self.adjustment - other.adjustment,
        )


_KEY = ("project_id", "model_id", "processing", "speed", "geo", "endpoint", "context_tier")
_SUMS = ", ".join(f"sum({name})::bigint" for name in PRICE_FIELDS)
_DAILY = f"""
SELECT team_id, {", ".join(_KEY)}, width_bucket(day, %(starts)s::date[]) AS stretch,
    sum(requests)::bigint, {_SUMS}, sum(cost), sum(adjustment)
FROM {DailySpend._meta.db_table}
WHERE team_id = ANY (%(teams)s::bigint[]) AND day >= %(since)s AND day < %(until)s
    AND (%(projects)s::bigint[] IS NULL OR project_id = ANY (%(projects)s::bigint[]))
GROUP BY team_id, {", ".join(_KEY)}, stretch
"""

# Of one team, and of records of these months alone: what was charged on these days for
# older ones stays with what cannot wait. The charges are looked for by all uids at once: a
# search for each takes longer, and how many there are statistics do not tell.
_TAGGED = f"""
SELECT c.team_id, {", ".join(f"c.{name}" for name in _KEY)},
    width_bucket(c.day, %(starts)s::date[]) AS stretch,
    count(*) FILTER (WHERE c.leg = 0) - count(*) FILTER (WHERE c.leg = -1),
    {", ".join(f"sum(c.{name})::bigint" for name in PRICE_FIELDS)}, sum(c.cost), 0
FROM {Charge._meta.db_table} c
WHERE c.team_id = %(team)s AND c.month = ANY (%(months)s::date[])
    AND c.day >= %(since)s AND c.day < %(until)s
    AND c.record_uid = ANY (ARRAY(
        SELECT u.uid FROM {UsageRecord._meta.db_table} u
        WHERE u.team_id = %(team)s AND u.month = ANY (%(months)s::date[])
            AND (%(projects)s::bigint[] IS NULL
                OR u.project_id = ANY (%(projects)s::bigint[]))
            AND ({{carried}})
    ))
GROUP BY c.team_id, {", ".join(f"c.{name}" for name in _KEY)}, stretch
"""


def used(
    extent: Extent, book: Book, *, also: Iterable[str] = (), can_wait: CanWait = NOBODY
) -> list[Used]:
    """The usage of teams that are visible now. The place of a cell is team and project.

    It is cut where prices change of the models that were used, and of those in `also`.
    """
    keys = {model_id: key for key, model_id in book.model_ids.items()}
    starts = _starts(extent, {keys[one] for one in _models(extent)} | {*also}, book.rates)
    sums = _read(_DAILY, extent, starts, {})
    waiting = _tagged(extent, starts, can_wait.tags) if can_wait.tags else {}
    moments = [noon(extent["since"]), *map(noon, starts)]
    rows: list[Used] = []
    for key, whole in sums.items():
        of = (key, keys[key.model_id], moments[key.stretch], book.rates)
        if key.project_id in can_wait.projects:
            rows.append(_used(*of, whole, deferrable=True))
        elif key in waiting:
            rows.append(_used(*of, waiting[key], deferrable=True))
            rows.append(_used(*of, whole.less(waiting[key])))
        else:
            rows.append(_used(*of, whole))
    return rows


def first_day(extent: Extent) -> date | None:
    """The first of these days on which anything was used."""
    days = _daily(extent).filter(requests__gt=0)
    project_ids = extent.get("project_ids")
    if project_ids is not None:
        days = days.filter(project_id__in=project_ids)
    first: date | None = days.aggregate(Min("day"))["day__min"]
    return first


def _daily(extent: Extent) -> QuerySet[DailySpend]:
    return DailySpend.objects.filter(
        team_id__in=extent["team_ids"], day__gte=extent["since"], day__lt=extent["until"]
    )


def _models(extent: Extent) -> list[int]:
    days = _daily(extent)
    return list(days.order_by().values_list("model_id", flat=True).distinct())


def _starts(extent: Extent, models: set[str], rates: RateBook) -> list[date]:
    """The days after the first from which on another rate may count."""
    first, last = noon(extent["since"]), noon(extent["until"] - _ONE_DAY)
    found: set[date] = set()
    for key in rates.every_key():
        schedule = rates.schedule(key) if key[0] in models else None
        for start in schedule.starts if schedule else ():
            if first < start <= last:
                day = start.astimezone(UTC).date()
                found.add(day if start <= noon(day) else day + _ONE_DAY)
    return sorted(found)


def _tagged(
    extent: Extent, starts: Sequence[date], tags: Sequence[tuple[str, str]]
) -> dict[_Key, _Sum]:
    """The part of the same sums that carries one of the tags."""
    # A reporting day may begin in the UTC month before, or end in the next.
    months = _months(extent["since"] - _ONE_DAY, extent["until"] + _ONE_DAY)
    asked: dict[str, Any] = {"months": list(months)}
    for number, (key, value) in enumerate(tags):
        asked |= {f"key{number}": key, f"value{number}": value}
    carried = " OR ".join(
        f"u.tags ->> %(key{number})s = %(value{number})s" for number, _ in enumerate(tags)
    )
    statement = _TAGGED.format(carried=carried)
    found: dict[_Key, _Sum] = {}
    for team_id in extent["team_ids"]:
        found |= _read(statement, extent, starts, asked | {"team": team_id})
    return found


def _read(
    statement: str, extent: Extent, starts: Sequence[date], more: dict[str, Any]
) -> dict[_Key, _Sum]:
    project_ids = extent.get("project_ids")
    asked = {
        "teams": list(extent["team_ids"]),
        "projects": None if project_ids is None else list(project_ids),
        "since": extent["since"],
        "until": extent["until"],
        "starts": list(starts),
    }
    with connection.cursor() as cursor:
        cursor.execute(statement, asked | more)
        rows = cursor.fetchall()
    size = len(_Key._fields)
    return {
        _Key(*row[:size]): _Sum(row[size], Quantities(*row[size + 1 : -2]), *row[-2:])
        for row in rows
    }


def _months(first: date, last: date) -> Iterator[date]:
    month = first.replace(day=1)
    while month <= last:
        yield month
        month = (month + timedelta(days=31)).replace(day=1)


def _used(
    key: _Key,
    model: str,
    at: datetime,
    rates: RateBook,
    its: _Sum,
    *,
    deferrable: bool = False,
) -> Used:
    conditions = (key.processing, key.speed, key.geo, key.endpoint)
    cell = Cell(
        place=(key.team_id, key.project_id),
        model=model,
        processing=key.processing,
        speed=key.speed,
        geo=key.geo,
        endpoint=key.endpoint,
        size=_size((model, *conditions), key.context_tier, its, rates, at),
        at=at,
        deferrable=deferrable,
        requests=its.requests,
        quantities=its.quantities,
    )
    return Used(cell, its.charged, its.adjustment)


def _size(key: Key, tier: int, its: _Sum, rates: RateBook, at: datetime) -> int:
    """The input of the average call, within the context tier that they were priced in:
    a record of several steps has more, and each of them was priced apart."""
    total = its.quantities.total_input
    average = -(-total // its.requests) if its.requests > 0 else 0
    return max(tier + 1, min(average, _largest(key, tier, rates, at) or average))


def _largest(key: Key, tier: int, rates: RateBook, at: datetime) -> int | None:
    """The largest input that a tier's rate prices; None where there is no end to it."""
    schedule = rates.schedule(key)
    for bound in schedule.bounds if schedule else ():
        if bound > tier:
            above = rates.rate(*key, bound + 1, at)
            if above is not None and above.above > tier:
                return bound
    return None
