"""Seeding: the demo's records on the way every record goes, through the door and counted.

Days pass as they did: budgets are set when their month begins, each part of a day is
counted with the clock of its last call, so that alerts fire when they would have fired, and
reviews open when they are due.

Every record has an id that the plan decides, and a team's days are posted in their order.
So a start that was interrupted is continued by the next one where the ledger ends: what
is posted a second time is a duplicate.
"""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from datetime import date, datetime

from django.core.management.base import OutputWrapper
from django.db import connection, transaction
from django.db.models import Max

from billing.actions import partitions
from billing.demo import estimates, policies, posting, prices, stories
from billing.demo.caps import Caps
from billing.demo.helper import second_process
from billing.demo.people import BY
from billing.demo.plan import Day, Plan, Wanted
from billing.demo.posting import Job, SeedingFailed
from billing.demo.progress import Progress
from billing.demo.reviews import Reviews
from billing.models import UsageRecord
from teams import isolation
from teams.actions import api_keys, audit
from teams.models import ApiKey, AuditEvent, Organization, Team
from teams.models.api_keys import Scope

# Before the running month nothing looks at the clock of counting: a week at once.
_DAYS_AT_ONCE = 7
# The second process takes a second to start.
_WORTH_A_HELPER = 30_000
_HELPERS_TEAMS = ("support", "data-platform")

_BEGUN, _DONE = "demo.begin", "demo.seed"
_KEY = "Demo seeding"


def is_done(organization: Organization) -> bool:
    return _event(organization, _DONE) is not None


def seed(organization: Organization, wanted: Wanted, stream: OutputWrapper) -> None:
    """Seed all there is to it, or the rest of it. Raises SeedingFailed.

    A demo that was begun is finished as it was begun: other parameters come too late.
    """
    with _alone():
        plan = Plan(_begin(organization, wanted))
        _keep_partitions(plan)
        prices.ensure_change(organization, plan)
        estimates.ensure(organization, plan)
        policies.ensure(organization, plan)
        progress = Progress(stream, plan.total)
        key = _key(organization, plan.wanted.now)
        with _helper(plan) as helper:
            _Seeding(organization, plan, key, progress, helper).run()
        _end(organization, plan, key)
        progress.end()


# --- Its beginning and its end ----------------------------------------------------------


@contextmanager
def _alone() -> Iterator[None]:
    """One seeding at a time: two would set every budget twice. Raises SeedingFailed."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(hashtext(%s))", [_BEGUN])
        if not cursor.fetchone()[0]:
            raise SeedingFailed("The demo is being seeded already, by another process.")
        try:
            yield
        finally:
            cursor.execute("SELECT pg_advisory_unlock(hashtext(%s))", [_BEGUN])


def _event(organization: Organization, action: str) -> AuditEvent | None:
    return AuditEvent.objects.filter(
        subject=_subject(organization), action=action, actor=BY
    ).first()


def _subject(organization: Organization) -> str:
    return f"organization {organization.slug}"


def _note(organization: Organization, action: str, wanted: Wanted) -> None:
    audit.record(
        action=action,
        subject=_subject(organization),
        organization=organization.slug,
        by=BY,
        now=wanted.now,
        after=wanted.as_json(),
    )


def _begin(organization: Organization, wanted: Wanted) -> Wanted:
    begun = _event(organization, _BEGUN)
    if begun is not None:
        return Wanted.from_json(begun.after or {})
    _note(organization, _BEGUN, wanted)
    return wanted


@transaction.atomic
def _end(organization: Organization, plan: Plan, key: ApiKey) -> None:
    api_keys.revoke(key=key, by=BY, now=plan.wanted.now, reason="Everything is posted.")
    _note(organization, _DONE, plan.wanted)


def _key(organization: Organization, now: datetime) -> ApiKey:
    """A key that nobody is shown, from an earlier start or new; for seeding alone."""
    key = ApiKey.objects.filter(
        organization=organization, name=_KEY, created_by=BY, revoked_at=None
    ).first()
    if key is None:
        scopes = [Scope.USAGE_WRITE, Scope.IMPORT]
        key, _ = api_keys.issue(
            organization=organization, name=_KEY, scopes=scopes, by=BY, now=now
        )
    return key


def _keep_partitions(plan: Plan) -> None:
    """Before anything is written to their months: moving rows later costs more."""
    for day in plan.days[::60]:
        partitions.keep(now=day.start)


@contextmanager
def _helper(plan: Plan) -> Iterator[Executor | None]:
    """A second process where it is worth it, and can see what this one writes."""
    if plan.total < _WORTH_A_HELPER or os.cpu_count() == 1 or connection.in_atomic_block:
        yield None
        return
    with second_process() as pool:
        yield pool


# --- The days -------------------------------------------------------------------------


class _Seeding:
    """One run over the days of a plan."""

    def __init__(
        self,
        organization: Organization,
        plan: Plan,
        key: ApiKey,
        progress: Progress,
        helper: Executor | None,
    ) -> None:
        self._plan = plan
        self._key = key
        self._progress = progress
        self._helper = helper
        self._caps = Caps(organization, plan)
        self._reviews = Reviews(organization, plan)
        self._teams = dict(
            Team.objects.filter(
                organization=organization, slug__in=[one.slug for one in stories.TEAMS]
            )
            .order_by("pk")
            .values_list("slug", "pk")
        )
        self._reached: dict[str, date] = {}

    def run(self) -> None:
        for team in self._teams:
            self._find_place(team)
        month = self._plan.today.replace(day=1)
        before = [day for day in self._plan.days if day.date < month]
        for start in range(0, len(before), _DAYS_AT_ONCE):
            week = before[start : start + _DAYS_AT_ONCE]
            self._post(week, in_parts=False)
            self._reviews.until(week)
        for day in self._plan.days[len(before) :]:
            self._caps.until(day.date)
            self._post([day], in_parts=True)
            self._reviews.until([day])

    def _find_place(self, team: str) -> None:
        """Where an earlier start was interrupted; what it had posted is counted."""
        team_id = self._teams[team]
        with isolation.visible_teams([team_id]):
            ours = UsageRecord.objects.filter(team_id=team_id, route=posting.ROUTE)
            last = ours.aggregate(last=Max("occurred_at"))["last"]
        if last is not None:
            posting.count(team_id, last)
            self._reached[team] = last.astimezone(stories.ZONE).date()

    def _post(self, days: Sequence[Day], *, in_parts: bool) -> None:
        """These days of every team, the helper's beside ours."""
        jobs = [self._job(team, days, in_parts) for team in self._teams]
        others = []
        if self._helper is not None:
            others = [
                self._helper.submit(posting.run, job)
                for job in jobs
                if job.team in _HELPERS_TEAMS
            ]
            jobs = [job for job in jobs if job.team not in _HELPERS_TEAMS]
        for job in jobs:
            self._progress.advance(posting.run(job))
        for other in others:
            self._progress.advance(other.result())

    def _job(self, team: str, days: Sequence[Day], in_parts: bool) -> Job:
        """What of these days is not there yet: a later one says that one is complete."""
        dates = [day.date for day in days]
        reached = self._reached.get(team, dates[0])
        self._progress.skip(
            sum(self._plan.records_of(team, day) for day in dates if day < reached)
        )
        return Job(
            wanted=self._plan.wanted,
            key_id=self._key.pk,
            team=team,
            team_id=self._teams[team],
            dates=tuple(day for day in dates if day >= reached),
            in_parts=in_parts,
        )
