"""What totals do not contain (yet), and how fresh they are."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.db.models import Count, Max, Min, Sum

from billing.models import HourlySpend, Posting, QuarantinedRecord, UnpricedRecord
from teams.models import Project

_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Freshness:
    """What was received before `through` is counted; `waiting` records came after it.

    `latest_usage` is the end of the last hour that anything was used in, or None.
    """

    as_of: datetime
    through: datetime
    waiting: int
    latest_usage: datetime | None
    time_zone: str


@dataclass(frozen=True, slots=True)
class UnpricedGroup:
    """Records of one model name that have no price for one reason."""

    provider: str
    model_name: str
    project: str
    detail: str
    records: int


@dataclass(frozen=True, slots=True)
class Gaps:
    """Records that were accepted and are in no total: never counted as zero."""

    unpriced: list[UnpricedGroup]
    quarantined: int

    @property
    def unpriced_records(self) -> int:
        return sum(group.records for group in self.unpriced)

    def __bool__(self) -> bool:
        return bool(self.unpriced or self.quarantined)


def freshness(*, team_ids: Sequence[int], now: datetime, time_zone: str) -> Freshness:
    waiting = Posting.objects.filter(team_id__in=team_ids).aggregate(
        oldest=Min("received_at"), records=Sum("records")
    )
    latest = HourlySpend.objects.filter(team_id__in=team_ids).aggregate(at=Max("hour"))
    return Freshness(
        as_of=now,
        through=waiting["oldest"] or now,
        waiting=waiting["records"] or 0,
        # An hour that still runs ends later than now.
        latest_usage=min(latest["at"] + _HOUR, now) if latest["at"] else None,
        time_zone=time_zone,
    )


def gaps(
    *,
    team_ids: Sequence[int],
    since: date,
    until: date,
    project_ids: Sequence[int] | None = None,
) -> Gaps:
    """Of [since, until), by UTC month as in the spend report: they have no day yet."""
    its = {
        "team_id__in": team_ids,
        "month__gte": since.replace(day=1),
        "month__lt": until,
    }
    if project_ids is not None:
        its["project_id__in"] = project_ids
    return Gaps(
        unpriced=_unpriced(its),
        quarantined=QuarantinedRecord.objects.filter(**its).count(),
    )


def _unpriced(its: dict[str, object]) -> list[UnpricedGroup]:
    groups = list(
        UnpricedRecord.objects.filter(**its)
        .values_list("provider", "model_name", "project_id")
        .annotate(why=Min("detail"), records=Count("*"))
        .order_by("-records", "model_name", "project_id")
    )
    names = Project.objects.in_bulk({project_id for *_, project_id, _, _ in groups})
    return [
        UnpricedGroup(provider, model_name, names[project_id].name, detail, records)
        for provider, model_name, project_id, detail, records in groups
    ]
