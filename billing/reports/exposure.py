"""What records without a price could cost at most: shown beside spend, never added."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from django.db import connection

from billing.models import UnpricedRecord, UsageRecord, rate_book
from billing.models.rate_book import Book
from billing.pricing import money, worst_case
from billing.pricing.token_classes import Quantities, TokenClass
from teams.models import Organization, Project, Team


@dataclass(frozen=True, slots=True)
class Exposure:
    """So many records without a price cost at most so much.

    None where a class that was used has no price on any card: then nothing is known.
    """

    records: int = 0
    at_most: Decimal | None = Decimal()

    def plus(self, other: "Exposure") -> "Exposure":
        known = self.at_most is not None and other.at_most is not None
        return Exposure(
            self.records + other.records,
            self.at_most + other.at_most  # type: ignore[operator]
            if known
            else None,
        )

    def __bool__(self) -> bool:
        return bool(self.records)


class Place(NamedTuple):
    """Where records without a price are from, as far as budgets tell such apart.

    `model_id` is None where the name says none, or there are several; `tags` are those
    that were asked for.
    """

    team_id: int
    project_id: int
    model_id: int | None
    processing: str
    tags: tuple[tuple[str, str], ...]


class _Group(NamedTuple):
    """Records of one project that name one model in one UTC month."""

    team_id: int
    project_id: int
    provider: str
    model_name: str
    month: date
    reason: str
    processing: str
    several_models: bool
    tag_values: list[str | None]
    records: int
    first_seen: datetime
    last_seen: datetime
    quantities: Quantities


# The list is short, the ledger is not: it is asked only for what is listed.
_GROUPS = f"""
SELECT n.team_id, n.project_id, n.provider, n.model_name, n.month, n.reason,
    u.processing, u.verbatim IS NOT NULL, {{tag_values}}, count(*),
    min(u.occurred_at), max(u.occurred_at),
    {", ".join(f"sum(u.{name})::bigint" for name in TokenClass)}
FROM {UnpricedRecord._meta.db_table} n
JOIN {UsageRecord._meta.db_table} u
ON u.team_id = n.team_id AND u.month = n.month AND u.uid = n.record_uid
WHERE n.team_id = ANY(%(teams)s)
    AND (%(projects)s::bigint[] IS NULL OR n.project_id = ANY(%(projects)s))
    AND (%(since)s::timestamptz IS NULL
        OR (u.occurred_at >= %(since)s AND u.occurred_at < %(until)s))
GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
"""
_BEFORE_QUANTITIES = _Group._fields.index("quantities")


def _groups(
    team_ids: Sequence[int],
    project_ids: Sequence[int] | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    tag_keys: Sequence[str] = (),
) -> list[_Group]:
    values = ", ".join(f"u.tags ->> %(tag_{place})s" for place in range(len(tag_keys)))
    with connection.cursor() as cursor:
        cursor.execute(
            _GROUPS.format(tag_values=f"ARRAY[{values}]::text[]"),
            {
                **{f"tag_{place}": key for place, key in enumerate(tag_keys)},
                "teams": list(team_ids),
                "projects": None if project_ids is None else list(project_ids),
                "since": since,
                "until": until,
            },
        )
        return [
            _Group(
                *row[:_BEFORE_QUANTITIES],
                Quantities(*row[_BEFORE_QUANTITIES:]),  # type: ignore[call-arg]
            )
            for row in cursor.fetchall()
        ]


class _Bounds:
    """What is used costs at most, by the teams' rate book."""

    def __init__(self, team_id: int) -> None:
        organization = Organization.objects.get(teams=team_id)
        self._book: Book = rate_book.current(organization.pk)

    def of(self, group: _Group) -> Exposure:
        cost = worst_case.at_highest(
            group.quantities, self._book.rates, group.provider, group.month
        )
        return Exposure(group.records, None if cost is None else money.exact(cost))

    def model_id(self, group: _Group) -> int | None:
        """Of the model that the records name, if it is one that we know."""
        key = self._book.rates.model(group.provider, group.model_name)
        return None if key is None or group.several_models else self._book.model_ids[key]


# --- Beside budgets and sums --------------------------------------------------------


def exposure(
    *,
    team_ids: Sequence[int],
    since: datetime,
    until: datetime,
    project_ids: Sequence[int] | None = None,
) -> Exposure:
    """Of what these teams, of one organization, used in [since, until)."""
    whole = Exposure()
    for _, one in _bounded(_groups(team_ids, project_ids, since, until)):
        whole = whole.plus(one)
    return whole


def teams_with_unpriced(organization_ids: Iterable[int]) -> dict[int, list[int]]:
    """Of each of these organizations the teams that have any, if any has."""
    teams = Team.objects.filter(organization__in=list(organization_ids)).values("pk")
    having = UnpricedRecord.objects.filter(team_id__in=teams)
    team_ids = list(having.values_list("team_id", flat=True).distinct())
    found: dict[int, list[int]] = defaultdict(list)
    for team in Team.objects.filter(pk__in=team_ids) if team_ids else ():
        found[team.organization_id].append(team.pk)
    return found


def by_place(
    *,
    team_ids: Sequence[int],
    since: datetime,
    until: datetime,
    tag_keys: Sequence[str] = (),
) -> dict[Place, Exposure]:
    """The same by place, for several budgets at once: these tags tell places apart."""
    found: dict[Place, Exposure] = defaultdict(Exposure)
    groups = _groups(team_ids, None, since, until, tag_keys)
    if groups:
        bounds = _Bounds(groups[0].team_id)
        for group in groups:
            place = _place(group, bounds.model_id(group), tag_keys)
            found[place] = found[place].plus(bounds.of(group))
    return found


def _place(group: _Group, model_id: int | None, tag_keys: Sequence[str]) -> Place:
    values = zip(tag_keys, group.tag_values, strict=True)
    return Place(
        group.team_id,
        group.project_id,
        model_id,
        group.processing,
        tuple((key, value) for key, value in values if value is not None),
    )


def _bounded(groups: Sequence[_Group]) -> list[tuple[_Group, Exposure]]:
    if not groups:
        return []
    bounds = _Bounds(groups[0].team_id)
    return [(group, bounds.of(group)) for group in groups]


# --- Model by model -----------------------------------------------------------------


@dataclass(slots=True)
class UnpricedModel:
    """A name that records give their model, and that has no price."""

    provider: str
    name: str
    records: int = 0
    first_seen: datetime | None = None
    last_seen: datetime | None = None
    teams: set[str] = field(default_factory=set)
    projects: set[str] = field(default_factory=set)
    reasons: set[str] = field(default_factory=set)
    exposure: Exposure = Exposure()


def unpriced_models(
    *, team_ids: Sequence[int], project_ids: Sequence[int] | None = None
) -> list[UnpricedModel]:
    """All names without a price of teams of one organization, most records first."""
    groups = _groups(team_ids, project_ids)
    teams = Team.objects.in_bulk({group.team_id for group in groups})
    projects = Project.objects.in_bulk({group.project_id for group in groups})
    found: dict[tuple[str, str], UnpricedModel] = {}
    for group, one in _bounded(groups):
        key = (group.provider, group.model_name)
        model = found.setdefault(key, UnpricedModel(*key))
        model.records += group.records
        model.first_seen = min(model.first_seen or group.first_seen, group.first_seen)
        model.last_seen = max(model.last_seen or group.last_seen, group.last_seen)
        model.teams.add(teams[group.team_id].slug)
        model.projects.add(projects[group.project_id].slug)
        model.reasons.add(group.reason)
        model.exposure = model.exposure.plus(one)
    return sorted(found.values(), key=lambda one: (-one.records, one.provider, one.name))


def total(models: Iterable[UnpricedModel]) -> Exposure:
    whole = Exposure()
    for model in models:
        whole = whole.plus(model.exposure)
    return whole


def as_json(exposure: Exposure) -> dict[str, Any]:
    """As every answer of the API shows it."""
    at_most = exposure.at_most
    return {
        "records": exposure.records,
        "at_most": None if at_most is None else money.plain(at_most),
    }
