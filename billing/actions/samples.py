"""Samples: taken from what people have at hand, or from a project's own records."""

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from billing.formats import samples as formats
from billing.formats.samples import Asked, Problem, Reading
from billing.models import Sample, rate_book, recorded
from billing.models.samples import Source
from teams import isolation
from teams.actions import audit
from teams.models import Project, Team
from teams.reporting_days import ReportingDays

MOST_DAYS = 31
_SHOWN_PROBLEMS = 20
_ONE_DAY = timedelta(days=1)


@transaction.atomic
def read(
    *,
    team: Team,
    content: bytes,
    source: Source,
    by: str,
    now: datetime,
    asked: Asked = formats.NOTHING_SAID,
    name: str = "",
    project: Project | None = None,
) -> Sample:
    """Keep what was used by the calls of a text, and nothing else of it.

    Raises BodyError where it cannot be read at all, ValidationError where not one record
    of it can: it says why the first ones cannot.
    """
    book = rate_book.current(team.organization_id).rates
    reading = formats.read(content, asked, book, now)
    if not reading.usages:
        raise ValidationError(_nothing_read(reading))
    sample = Sample(
        team=team,
        project=project,
        name=name or f"{source.label} on {now:%-d %b %Y}",
        source=source,
        records=len(reading.usages),
        of_records=len(reading.usages),
        not_read=len(reading.problems),
        reading=_kept(reading),
        rows=formats.packed(reading.usages),
    )
    return _keep(sample, by, now)


@transaction.atomic
def of_project(
    *, team: Team, project: Project, days: int, by: str, now: datetime, name: str = ""
) -> Sample:
    """Keep what a project's own records used: those of its last whole days, or as many of
    them, chosen evenly, as a sample has at most.

    Raises ValidationError for more than `MOST_DAYS`, and where there are none.
    """
    if not 1 <= days <= MOST_DAYS:
        raise ValidationError({"days": f"Choose 1 to {MOST_DAYS} days."})
    calendar = ReportingDays(team.organization)
    until = calendar.day(now)
    since = until - days * _ONE_DAY
    with isolation.visible_teams([team.pk]):
        found = recorded.sampled(
            team_id=team.pk,
            project_id=project.pk,
            since=calendar.start(since),
            until=calendar.start(until),
            most=formats.MAX_ROWS,
        )
    if not found.usages:
        raise ValidationError(
            {"days": f"{project.name} has no record of its last {days} days before today."}
        )
    sample = Sample(
        team=team,
        project=project,
        name=name or f"{project.name}, {days} days before {until:%-d %b %Y}",
        source=Source.PROJECT,
        records=len(found.usages),
        of_records=found.of,
        since=since,
        until=until,
        reading=_kept(Reading(found.usages, {}, "record", [])),
        rows=formats.packed(found.usages),
    )
    return _keep(sample, by, now)


@transaction.atomic
def delete(*, sample: Sample, by: str, now: datetime) -> None:
    """Forget it. Raises ProtectedError while something is built on it."""
    said = _audited(sample)
    sample.delete()
    audit.record(action="sample.delete", by=by, now=now, before=said[1], **said[0])


def _keep(sample: Sample, by: str, now: datetime) -> Sample:
    sample.created_by, sample.created_at = by, now
    sample.full_clean()
    sample.save()
    who, what = _audited(sample)
    audit.record(action="sample.create", by=by, now=now, after=what, **who)
    return sample


def _audited(sample: Sample) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the history says it is of, and what it was."""
    return (
        {
            "subject": f"sample {sample.pk} of team {sample.team.slug}",
            "organization": sample.team.organization.slug,
        },
        {"name": sample.name, "source": sample.source, "records": sample.records},
    )


def _kept(reading: Reading) -> dict[str, Any]:
    return {
        "read_as": dict(reading.read_as),
        "unit": reading.unit,
        "problems": [list(one) for one in _first(reading.problems)],
        "repeated": reading.repeated,
        "flags": dict(reading.flags),
        "columns": dict(reading.columns),
        "inclusive": reading.inclusive,
    }


def _first(problems: list[Problem]) -> list[tuple[int, str, int]]:
    """Each kind of problem once: the first of it, and how many there are."""
    counts = Counter(problem.detail for problem in problems)
    found: dict[str, tuple[int, str, int]] = {}
    for number, detail in problems:
        found.setdefault(detail, (number, detail, counts[detail]))
    return list(found.values())[:_SHOWN_PROBLEMS]


def _nothing_read(reading: Reading) -> list[str]:
    return [
        f"{reading.unit.capitalize()} {number}: {detail}"
        + (f" The same of {count - 1:,} more." if count > 1 else "")
        for number, detail, count in _first(reading.problems)[:5]
    ] or ["There is no record in it."]
