"""What outputs cost of the whole, and which are long beside the others of their kind.

Shares come from the daily rollups; long outputs from the records of the last 31 days of
the range, those that the sums hold too.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection
from django.db.models import F, Sum

from billing.models import Charge, LanguageModel, UsageRecord, rate_book
from billing.models.rate_book import Book
from billing.pricing import long_outputs
from billing.reports import record_window, spend
from billing.reports.record_window import UNCOUNTED, RecordWindow
from teams.models import Project, Team
from teams.reporting_days import ReportingDays

# So many of the longest are listed.
LISTED = 20


@dataclass(frozen=True, slots=True)
class OutputShare:
    """Of one project on one model. `beyond` is what the tokens above the bound cost.

    `bound` is None where there are too few records, or none in the days that are read.
    """

    project: Project
    model: LanguageModel
    cost: Decimal
    output_cost: Decimal
    output: int
    requests: int
    bound: int | None
    long_outputs: int
    beyond: Decimal | None

    @property
    def percent(self) -> Decimal:
        """What outputs cost in percent of all; 0 where nothing cost anything."""
        return self.output_cost * 100 / self.cost if self.cost else Decimal()

    @property
    def mean(self) -> int:
        return self.output // self.requests if self.requests else 0


@dataclass(frozen=True, slots=True)
class LongOutput:
    """A record whose output is long; `cost` is that of all of it, None without a price."""

    project: Project
    model: LanguageModel
    record_id: str
    month: date
    occurred_at: datetime
    output: int
    bound: int
    cost: Decimal | None


@dataclass(frozen=True, slots=True)
class Outputs:
    """The days [since, until); records were read from `records_from` on."""

    since: date
    until: date
    records_from: date
    rows: list[OutputShare]
    longest: list[LongOutput]


# A project on a model.
Place = tuple[int, int]


def of(*, team: Team, since: date, until: date, now: datetime) -> Outputs:
    """Of each project and model of a team that gave anything out, the dearest first."""
    window = record_window.last_of(ReportingDays(team.organization), since, until, now)
    book = rate_book.current(team.organization_id)
    sizes = _sizes(team.pk, window)
    places = _places(sizes, book)
    sums = _sums(team.pk, since, until)
    projects = Project.objects.in_bulk({row["project_id"] for row in sums})
    models = LanguageModel.objects.in_bulk({row["model_id"] for row in sums})
    rows = [
        _share(
            projects[row["project_id"]],
            models[row["model_id"]],
            row,
            places.get((row["project_id"], row["model_id"]), _NOT_LONG),
        )
        for row in sums
    ]
    return Outputs(
        since=since,
        until=until,
        records_from=window.first,
        rows=sorted(rows, key=lambda one: (-one.output_cost, one.project.slug)),
        longest=_longest(team.pk, window, sizes, book),
    )


# --- Shares -------------------------------------------------------------------------

_COST = F("output_cost") + F("output_audio_cost") + F("output_image_cost")


def _sums(team_id: int, since: date, until: date) -> list[Mapping[str, Any]]:
    rows = spend.rows([team_id], since, until, None, None)
    grouped = rows.values("project_id", "model_id").order_by()
    sums = grouped.annotate(
        tokens=Sum("output"),
        text_cost=Sum("output_cost"),
        sum_output_cost=Sum(_COST),
        sum_cost=Sum("cost"),
        sum_requests=Sum("requests"),
    )
    return [row for row in sums if row["sum_output_cost"]]


class _Long(NamedTuple):
    bound: int | None = None
    records: int = 0
    tokens: int = 0  # above the bound


_NOT_LONG = _Long()


def _share(
    project: Project, model: LanguageModel, row: Mapping[str, Any], its: _Long
) -> OutputShare:
    price = row["text_cost"] / row["tokens"] if row["tokens"] else None
    return OutputShare(
        project=project,
        model=model,
        cost=row["sum_cost"],
        output_cost=row["sum_output_cost"],
        output=row["tokens"],
        requests=row["sum_requests"],
        bound=its.bound,
        long_outputs=its.records,
        beyond=None if price is None or its.bound is None else its.tokens * price,
    )


# --- Long outputs -------------------------------------------------------------------

# A project, and a model as its records name it.
_Named = tuple[int, str, str]

_OF_WINDOW = f"""
    u.team_id = %(team)s AND u.month = ANY (%(months)s::date[])
    AND u.occurred_at >= %(since)s AND u.occurred_at < %(end)s
    AND u.unbilled = '' AND u.output > 0 AND u.uid NOT IN ({UNCOUNTED})
"""
# One reading tells how many records there are of each size, and so the quartiles; beside
# these the sizes that may be long.
_SIZES = f"""
WITH sizes AS (
    SELECT u.project_id, u.provider, u.model_name, u.output, count(*) AS records
    FROM {UsageRecord._meta.db_table} u WHERE {_OF_WINDOW}
    GROUP BY u.project_id, u.provider, u.model_name, u.output
),
counted AS (
    SELECT project_id, provider, model_name, output,
        sum(records) OVER (place ORDER BY output) AS up_to,
        sum(records) OVER place AS of_all
    FROM sizes WINDOW place AS (PARTITION BY project_id, provider, model_name)
),
quartiles AS (
    SELECT project_id, provider, model_name,
        min(output) FILTER (WHERE up_to * 4 >= of_all) AS lower,
        min(output) FILTER (WHERE up_to * 4 >= of_all * 3) AS upper
    FROM counted GROUP BY project_id, provider, model_name
    HAVING max(of_all) >= {long_outputs.ENOUGH}
)
SELECT q.project_id, q.provider, q.model_name, q.lower, q.upper, s.output, s.records
FROM quartiles q LEFT JOIN sizes s
ON s.project_id = q.project_id AND s.provider = q.provider
    AND s.model_name = q.model_name AND s.output > q.upper * {long_outputs.AT_LEAST}
"""
_LONGEST = f"""
SELECT u.project_id, u.provider, u.model_name, u.uid, u.record_id, u.month,
    u.occurred_at, u.output, usual.bound
FROM {UsageRecord._meta.db_table} u
JOIN unnest(%(projects)s::bigint[], %(providers)s::text[], %(names)s::text[],
    %(bounds)s::bigint[]) AS usual (project_id, provider, model_name, bound)
ON usual.project_id = u.project_id AND usual.provider = u.provider
    AND usual.model_name = u.model_name
WHERE {_OF_WINDOW} AND u.output >= %(least)s AND u.output > usual.bound
ORDER BY u.output DESC, u.uid LIMIT {LISTED}
"""


class _Sizes(NamedTuple):
    """Above which size an output is long, and how many records there are of each such
    size."""

    bound: int
    longer: dict[int, int]


def _sizes(team_id: int, window: RecordWindow) -> dict[_Named, _Sizes]:
    found: dict[_Named, _Sizes] = {}
    for *columns, lower, upper, output, records in _read(_SIZES, team_id, window):
        project_id, provider, name = columns
        bound = long_outputs.bound(lower, upper)
        its = found.setdefault((project_id, provider, name), _Sizes(bound, {}))
        if output is not None and output > bound:
            its.longer[output] = records
    return found


def _places(sizes: Mapping[_Named, _Sizes], book: Book) -> dict[Place, _Long]:
    """By model; of one that is seen under several names the highest bound is told."""
    found: defaultdict[Place, _Long] = defaultdict(_Long)
    for (project_id, provider, name), its in sizes.items():
        model_id = book.model_id(provider, name)
        if model_id is not None:
            known = found[project_id, model_id]
            above = sum((size - its.bound) * count for size, count in its.longer.items())
            found[project_id, model_id] = _Long(
                max(known.bound or 0, its.bound),
                known.records + sum(its.longer.values()),
                known.tokens + above,
            )
    return found


def _least(sizes: Mapping[_Named, _Sizes]) -> int | None:
    """The size of the shortest output that is listed; None where none is long."""
    longer: Counter[int] = Counter()
    for its in sizes.values():
        longer.update(its.longer)
    least, records = None, 0
    for size in sorted(longer, reverse=True):
        if records < LISTED:
            least, records = size, records + longer[size]
    return least


def _longest(
    team_id: int, window: RecordWindow, sizes: Mapping[_Named, _Sizes], book: Book
) -> list[LongOutput]:
    least = _least(sizes)
    if least is None:
        return []
    rows = _read(
        _LONGEST,
        team_id,
        window,
        projects=[project_id for project_id, _, _ in sizes],
        providers=[provider for _, provider, _ in sizes],
        names=[name for _, _, name in sizes],
        bounds=[its.bound for its in sizes.values()],
        least=least,
    )
    costs = _costs(team_id, [(row[3], row[5]) for row in rows])
    projects = Project.objects.in_bulk({row[0] for row in rows})
    models = LanguageModel.objects.in_bulk()
    found = []
    for project_id, provider, name, uid, record_id, month, at, output, bound in rows:
        model_id = book.model_id(provider, name)
        if model_id is not None:
            found.append(
                LongOutput(
                    project=projects[project_id],
                    model=models[model_id],
                    record_id=record_id,
                    month=month,
                    occurred_at=at,
                    output=output,
                    bound=bound,
                    cost=costs.get(uid),
                )
            )
    return found


def _costs(team_id: int, records: list[tuple[UUID, date]]) -> dict[UUID, Decimal]:
    charges = Charge.objects.filter(
        team_id=team_id,
        month__in={month for _, month in records},
        record_uid__in=[uid for uid, _ in records],
    )
    return dict(charges.values_list("record_uid").annotate(Sum("cost")))


def _read(
    statement: str, team_id: int, window: RecordWindow, **more: Any
) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(
            statement,
            {
                "team": team_id,
                "months": window.months,
                "since": window.since,
                "end": window.end,
                **more,
            },
        )
        return list(cursor.fetchall())
