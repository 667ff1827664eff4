"""What prompt caches cost and earned, per project and model, and when they would pay.

Amounts come from the daily rollups, as everywhere. What had expired and was written again
is an estimate from the records of the last 31 days of the range: a cache belongs to a
project and a model, and is one whole.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from operator import add
from typing import NamedTuple

from django.db import connection
from django.db.models import F, QuerySet, Sum

from billing.models import DailySpend, LanguageModel, UsageRecord, rate_book
from billing.models.rate_book import Book
from billing.pricing import cache_economics as economics
from billing.pricing import money, prefixes
from billing.pricing.cache_economics import BreakEven, CachePrices, Lifetime, Told, Uses
from billing.pricing.rates import Rate
from billing.pricing.token_classes import TokenClass
from billing.reports import caching, record_window, spend
from billing.reports.caching import CacheSaving
from billing.reports.record_window import UNCOUNTED, RecordWindow
from teams.models import Project, Team
from teams.reporting_days import ReportingDays

# A project on a model.
Place = tuple[int, int]

_HOUR = timedelta(hours=1)
_PLACES = {name: place for place, name in enumerate(TokenClass)}


@dataclass(frozen=True, slots=True)
class Rebuilds:
    """What had expired and was written again: an estimate, by the rates in force."""

    writes: int
    tokens: int
    cost: Decimal


@dataclass(frozen=True, slots=True)
class ModelCaching:
    """`break_even` has no lifetime that the rates in force cannot be told for.

    `minimum` is None where it is not known; `other_lifetime` says what the lifetime that
    is not used would have saved (negative: cost), where that can be estimated.
    """

    model: LanguageModel
    saving: CacheSaving
    requests: int
    break_even: dict[Lifetime, BreakEven]
    minimum: int | None
    rebuilds: Rebuilds | None
    other_lifetime: tuple[Lifetime, Decimal] | None
    currency: str

    @property
    def reads_per_write(self) -> Fraction | None:
        """How often each token written was read; None where nothing was written."""
        return _reads_per_write(self.saving)

    @property
    def prompt(self) -> int:
        """The mean of what went in, cached or not, of a request."""
        its = self.saving
        return (its.input + its.read + its.written) // self.requests if self.requests else 0

    @property
    def is_cached(self) -> bool:
        return bool(self.saving.read or self.saving.written)

    @property
    def too_short(self) -> bool:
        """Whether prompts are shorter on average than anything that is cached."""
        known = self.minimum is not None and not self.is_cached
        return known and 0 < self.prompt < (self.minimum or 0)

    @property
    def advice(self) -> str:
        used = (
            (Lifetime.FIVE_MINUTES, self.saving.written_5m),
            (Lifetime.ONE_HOUR, self.saving.written_1h),
        )
        return economics.advice(
            Told(
                cached=self.is_cached,
                reads=self.reads_per_write,
                net=self.saving.net,
                pays=self.break_even,
                used=tuple(lifetime for lifetime, written in used if written),
                prompt=self.prompt,
                minimum=self.minimum if self.too_short else None,
                other=self.other_lifetime,
                currency=self.currency,
            )
        )


@dataclass(slots=True)
class ProjectCaching:
    """A project's models, those with the largest effect of caching first."""

    project: Project
    saving: CacheSaving = field(default_factory=CacheSaving)
    models: list[ModelCaching] = field(default_factory=list)

    @property
    def reads_per_write(self) -> Fraction | None:
        return _reads_per_write(self.saving)

    @property
    def rebuilt(self) -> Decimal | None:
        """What writing again cost; None where nothing had expired, or no price is known."""
        known = [one.rebuilds.cost for one in self.models if one.rebuilds is not None]
        return sum(known, Decimal()) if known else None


@dataclass(frozen=True, slots=True)
class CacheEconomics:
    """The days [since, until); records were read from `records_from` on."""

    since: date
    until: date
    records_from: date
    rows: list[ProjectCaching]
    total: CacheSaving


def of(*, team: Team, since: date, until: date, now: datetime) -> CacheEconomics:
    """Of each project of a team that sent anything in, the largest loss first.

    The rates in force are those of now, or of the end of the range.
    """
    window = record_window.last_of(
        ReportingDays(team.organization), since, until, now, ahead=_HOUR
    )
    rows = spend.rows([team.pk], since, until, None, None)
    savings = caching.savings(
        organization_id=team.organization_id, rows=rows, by=("project_id", "model_id")
    )
    book = rate_book.current(team.organization_id)
    sent, uses = _sent(rows), _uses(team.pk, window, book)
    models = LanguageModel.objects.in_bulk({model_id for _, model_id in savings})
    projects = Project.objects.in_bulk({project_id for project_id, _ in savings})
    found = {pk: ProjectCaching(project) for pk, project in projects.items()}
    total = CacheSaving()
    for (project_id, model_id), saving in savings.items():
        place, model = (project_id, model_id), models[model_id]
        rate = _rate_in_force(sent[place], model, book, min(now, window.end))
        row = _row(team, model, saving, sent[place], rate, uses.get(place, Uses()))
        found[project_id].models.append(row)
        found[project_id].saving.plus(saving)
        total.plus(saving)
    for its in found.values():
        its.models.sort(key=lambda one: (-abs(one.saving.net), one.model.name))
    return CacheEconomics(
        since=since,
        until=until,
        records_from=window.first,
        rows=sorted(found.values(), key=_by_loss),
        total=total,
    )


def _by_loss(row: ProjectCaching) -> tuple[bool, Decimal, str]:
    """The largest loss first; what lost nothing comes after, the largest gain first."""
    net = row.saving.net
    return net >= 0, -abs(net), row.project.slug


def _row(
    team: Team,
    model: LanguageModel,
    saving: CacheSaving,
    sent: "_Sent",
    rate: Rate | None,
    uses: Uses,
) -> ModelCaching:
    prices = _cache_prices(rate)
    return ModelCaching(
        model=model,
        saving=saving,
        requests=sent.requests,
        break_even=_break_even(rate),
        minimum=prefixes.least(model.key),
        rebuilds=_rebuilds(uses, prices),
        other_lifetime=economics.with_other_lifetime(uses, prices) if prices else None,
        currency=team.organization.currency,
    )


def _reads_per_write(saving: CacheSaving) -> Fraction | None:
    return Fraction(saving.read, saving.written) if saving.written else None


# --- Rates in force -----------------------------------------------------------------


class _Sent(NamedTuple):
    """Requests of a place, and the conditions under which most of it went in."""

    requests: int
    conditions: tuple[str, str, str, str]


def _sent(rows: QuerySet[DailySpend]) -> dict[Place, _Sent]:
    grouped = rows.values("project_id", "model_id", *_CONDITIONS).order_by()
    requests: defaultdict[Place, int] = defaultdict(int)
    most: dict[Place, tuple[int, tuple[str, str, str, str]]] = {}
    for row in grouped.annotate(sum_requests=Sum("requests"), tokens=Sum(_WENT_IN)):
        place = (row["project_id"], row["model_id"])
        requests[place] += row["sum_requests"]
        conditions = tuple(row[name] for name in _CONDITIONS)
        most[place] = max(most.get(place, (-1, conditions)), (row["tokens"], conditions))
    return {place: _Sent(count, most[place][1]) for place, count in requests.items()}


_CONDITIONS = ("processing", "speed", "geo", "endpoint")
_WENT_IN = F("input") + F("cache_read") + F("cache_write_5m") + F("cache_write_1h")


def _rate_in_force(
    sent: _Sent, model: LanguageModel, book: Book, at: datetime
) -> Rate | None:
    return book.rates.rate(model.key, *sent.conditions, 1, at)


def _break_even(rate: Rate | None) -> dict[Lifetime, BreakEven]:
    if rate is None:
        return {}
    pays = {lifetime: economics.break_even(rate.prices, lifetime) for lifetime in Lifetime}
    return {lifetime: its for lifetime, its in pays.items() if its is not None}


def _cache_prices(rate: Rate | None) -> CachePrices | None:
    """None where one of them is missing."""
    classes = (*(one.written for one in Lifetime), TokenClass.CACHE_READ)
    prices = [rate.prices[_PLACES[name]] for name in classes] if rate else []
    known = [money.exact(money.nearest(price)) for price in prices if price is not None]
    return CachePrices(*known) if len(known) == len(classes) else None


# --- What had expired ---------------------------------------------------------------

# `before` is what the use before had in the cache, `gap` how long ago that was where it is
# more than five minutes. A place's records of the hour before are read too, so that the
# first ones have one before them. A number stands for the place, for the sorting of many
# records by names takes most of the time.
_USES = f"""
WITH used AS (
    SELECT place, project_id, provider, model_name, occurred_at,
        cache_read, cache_write_5m, cache_write_1h,
        lag(cache_read + cache_write_5m + cache_write_1h) OVER its AS before,
        CASE WHEN occurred_at > lag(occurred_at) OVER its + interval '5 minutes'
            THEN occurred_at - lag(occurred_at) OVER its END AS gap
    FROM (
        SELECT hashtextextended(u.provider || '/' || u.model_name, u.project_id) AS place,
            u.project_id, u.provider, u.model_name, u.occurred_at,
            u.cache_read, u.cache_write_5m, u.cache_write_1h
        FROM {UsageRecord._meta.db_table} u
        WHERE u.team_id = %(team)s AND u.month = ANY (%(months)s::date[])
            AND u.occurred_at >= %(first)s AND u.occurred_at < %(end)s
            AND u.unbilled = '' AND u.uid NOT IN ({UNCOUNTED})
            AND greatest(u.cache_read, u.cache_write_5m, u.cache_write_1h) > 0
    ) uses
    WINDOW its AS (PARTITION BY place ORDER BY occurred_at)
)
SELECT any_value(project_id), any_value(provider), any_value(model_name),
    sum(cache_write_5m)::bigint, sum(cache_write_1h)::bigint,
    count(*) FILTER (WHERE cache_write_5m > 0 AND gap IS NOT NULL
        OR cache_write_1h > 0 AND gap > '1 hour'),
    coalesce(sum(least(cache_write_5m, before)) FILTER (WHERE gap IS NOT NULL), 0)::bigint,
    coalesce(sum(least(cache_write_5m, before)) FILTER (WHERE gap <= '1 hour'), 0)::bigint,
    coalesce(sum(least(cache_write_1h, before)) FILTER (WHERE gap > '1 hour'), 0)::bigint,
    coalesce(sum(cache_read) FILTER (WHERE gap <= '1 hour'), 0)::bigint
FROM used WHERE occurred_at >= %(since)s
GROUP BY place
"""


def _uses(team_id: int, window: RecordWindow, book: Book) -> dict[Place, Uses]:
    found: defaultdict[Place, Uses] = defaultdict(Uses)
    with connection.cursor() as cursor:
        cursor.execute(
            _USES,
            {
                "team": team_id,
                "months": window.months,
                "first": window.since - _HOUR,
                "since": window.since,
                "end": window.end,
            },
        )
        for project_id, provider, name, *counts in cursor.fetchall():
            model_id = book.model_id(provider, name)
            if model_id is not None:
                place = (project_id, model_id)
                found[place] = Uses(*map(add, found[place], counts))
    return found


def _rebuilds(uses: Uses, prices: CachePrices | None) -> Rebuilds | None:
    """None where nothing had expired, or what it cost is not known."""
    if prices is None or not uses.writes_again:
        return None
    cost = economics.rebuilt_cost(uses, prices)
    return Rebuilds(uses.writes_again, uses.again_5m + uses.again_1h, cost)
