"""Reviews: one opens after a project's first two weeks, others by hand; each is closed
once, with a decision."""

from collections.abc import Collection
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

from django.core.exceptions import ValidationError
from django.db import transaction

from billing.actions import alerts
from billing.formats.posted import FIRST_YEAR
from billing.models import Alert, DailySpend, Review
from billing.pricing.recommendations import Action
from teams.actions import audit
from teams.models import Organization, Project, Team
from teams.reporting_days import ReportingDays

DAYS = 14
# A project that began longer ago than this has been looked at otherwise.
_LATEST = 28
LONGEST = timedelta(days=366)
_ONE_DAY = timedelta(days=1)
_PURSER = "purser"


def subject(review: Review) -> str:
    """How alerts and the history name it."""
    return f"review {review.pk}"


def open_due(organization: Organization, *, now: datetime) -> list[Review]:
    """Open those of projects that were first used two weeks ago, and not four; the new
    ones. A project has one at most that opens by itself."""
    today = ReportingDays(organization).day(now)
    begun = _begun(
        list(organization.teams.values_list("pk", flat=True)),
        since=today - _LATEST * _ONE_DAY,
        until=today - (DAYS - 1) * _ONE_DAY,
    )
    known = Review.objects.filter(project__in=begun, by_itself=True)
    done = set(known.values_list("project_id", flat=True))
    projects = Project.objects.filter(archived_at=None).in_bulk(begun.keys() - done)
    opened = [
        _open_by_itself(project, begun[pk], now) for pk, project in sorted(projects.items())
    ]
    return [review for review in opened if review is not None]


class _Begun(NamedTuple):
    team_id: int
    day: date


def _begun(team_ids: Collection[int], *, since: date, until: date) -> dict[int, _Begun]:
    """By project, who used it first and when, of those that began in [since, until)."""
    used = DailySpend.objects.filter(team_id__in=team_ids, requests__gt=0)
    first: dict[int, _Begun] = {}
    within = used.filter(day__gte=since, day__lt=until).order_by("day", "team_id")
    rows = within.values_list("project_id", "team_id", "day").distinct()
    for project_id, team_id, day in rows:
        first.setdefault(project_id, _Begun(team_id, day))
    before = used.filter(project_id__in=first.keys(), day__lt=since).order_by()
    for project_id in before.values_list("project_id", flat=True).distinct():
        del first[project_id]
    return first


@transaction.atomic
def _open_by_itself(project: Project, begun: _Begun, now: datetime) -> Review | None:
    """None where another process, or a person for the same days, was first."""
    days = {"since": begun.day, "until": begun.day + DAYS * _ONE_DAY}
    made = Review.objects.bulk_create(
        [
            Review(
                team_id=begun.team_id,
                project=project,
                by_itself=True,
                opened_by=_PURSER,
                opened_at=now,
                **days,
            )
        ],
        ignore_conflicts=True,
    )
    review = Review.objects.filter(project=project, by_itself=True, opened_at=now).first()
    if review is None or not made:
        return None
    _audit(review, "review.open", by=_PURSER, now=now)
    return review


@transaction.atomic
def open_review(
    *, team: Team, project: Project, since: date, until: date, by: str, now: datetime
) -> Review:
    """Open one of the days [since, until). Raises ValidationError for days that make no
    range or are to come, and where there is one of the same days."""
    today = ReportingDays(team.organization).day(now)
    if not since < until or until - since > LONGEST:
        raise ValidationError(
            {"until": "It ends after its first day, and within 366 days."}
        )
    if since.year < FIRST_YEAR:
        raise ValidationError({"since": f"Records lie in {FIRST_YEAR} and later."})
    if until > today:
        raise ValidationError({"until": "Only days that are over can be reviewed."})
    review = Review(
        team=team, project=project, since=since, until=until, opened_by=by, opened_at=now
    )
    # One at a time of a team, so that the second one finds the first. It does not wait for
    # whoever only names the team.
    Team.objects.select_for_update(no_key=True).get(pk=team.pk)
    review.validate_constraints()
    review.save()
    _audit(review, "review.open", by=by, now=now)
    return review


@transaction.atomic
def close(
    *,
    review: Review,
    decision: Action,
    note: str,
    figures: dict[str, Any],
    by: str,
    now: datetime,
) -> Review:
    """Keep it with what was decided and the figures of now. Raises ValidationError for
    one that is closed."""
    locked = Review.objects.select_for_update().get(pk=review.pk)
    check_open(locked)
    locked.state = Review.State.KEPT
    locked.decision, locked.note, locked.figures = decision.value, note, figures
    locked.closed_by, locked.closed_at = by, now
    locked.save()
    alerts.end(kind=Alert.Kind.REVIEW_DUE, subject=subject(locked), now=now)
    _audit(locked, "review.close", by=by, now=now, reason=note, decision=decision.value)
    return locked


def check_open(review: Review) -> None:
    """Raises ValidationError for one that is closed."""
    if not review.is_open:
        raise ValidationError(
            f"This review is closed: {review.closed_by} decided. Nothing was changed."
        )


def _audit(
    review: Review, action: str, *, by: str, now: datetime, reason: str = "", **said: str
) -> None:
    audit.record(
        action=action,
        subject=subject(review),
        organization=review.team.organization.slug,
        by=by,
        now=now,
        reason=reason,
        after={
            "project": review.project.slug,
            "since": review.since.isoformat(),
            "until": review.until.isoformat(),
            **said,
        },
    )
