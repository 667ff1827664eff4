"""Re-rates: asked for, tried without effect, carried out, taken back.

Each step is one chunk of one team in one transaction, with the place it has come to. A
process may die anywhere: what is committed is complete, and whoever goes on begins after
it. Any number of processes may try to: one at a time has the re-rate's row.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Max, Min, Q, Sum

from billing.actions import budget_totals, budgets, repricing, revisions
from billing.actions.batch import Batch
from billing.actions.repricing import Extent, Findings
from billing.models import (
    Budget,
    DailySpend,
    HourlySpend,
    LanguageModel,
    Rerate,
    RerateTotal,
    rate_book,
)
from billing.pricing import money
from billing.pricing.budget_periods import calendar_month
from teams import isolation
from teams.actions import audit
from teams.models import Organization, Team

# How much one transaction re-rates: it keeps the sums of these records from others.
RECORDS_AT_ONCE = 10_000

State = Rerate.State


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Whose records, charged on which models, of which days [since, until).

    Without an organization all of them; without teams or models every one.
    """

    organization: Organization | None
    since: date
    until: date
    teams: Sequence[Team] = ()
    models: Sequence[LanguageModel] = ()

    def covered(self) -> list[Team]:
        if self.teams:
            return sorted(self.teams, key=lambda team: team.pk)
        teams = Team.objects.all()
        if self.organization is not None:
            teams = teams.filter(organization=self.organization)
        return list(teams.order_by("pk"))


@transaction.atomic
def plan(*, scope: Scope, reason: str, by: str, now: datetime) -> Rerate:
    """A new re-rate, whose dry run can begin. Raises ValidationError."""
    check(scope, reason)
    rerate = Rerate.objects.create(
        organization=scope.organization,
        team_ids=sorted(team.pk for team in scope.teams),
        model_ids=sorted(model.pk for model in scope.models),
        since=scope.since,
        until=scope.until,
        reason=reason,
        book=rate_book.version(),
        created_by=by,
        created_at=now,
    )
    _add_totals(rerate, [team.pk for team in scope.covered()], executed=False)
    return rerate


_FIRST_DAY = date(2000, 1, 2)
_LAST_DAY = date(2200, 1, 1)


def check(scope: Scope, reason: str) -> None:
    """Raises ValidationError for what cannot be planned."""
    if not reason.strip():
        raise ValidationError({"reason": "Say why."})
    if not _FIRST_DAY <= scope.since < scope.until <= _LAST_DAY:
        raise ValidationError({"until": "The last day comes after the first one."})
    for team in scope.teams:
        if scope.organization and team.organization_id != scope.organization.pk:
            raise ValidationError({"teams": f"{team} is in another organization."})


def _add_totals(rerate: Rerate, team_ids: Iterable[int], *, executed: bool) -> None:
    RerateTotal.objects.bulk_create(
        RerateTotal(rerate=rerate, team_id=team_id, executed=executed)
        for team_id in team_ids
    )


# --- Started, cancelled, taken back -------------------------------------------------


@transaction.atomic
def start(*, rerate: Rerate, by: str, now: datetime) -> Rerate:
    """Carry out what the dry run found. Raises ValidationError.

    What was approved is what happens: prices that have changed since ask for another
    dry run.
    """
    rerate = _held(rerate)
    if rerate.state != State.READY:
        raise ValidationError(f"This re-rate is {_word(rerate)}: it cannot be started.")
    if rerate.book != rate_book.version():
        raise ValidationError(
            "Prices or aliases have changed since this dry run: make another one."
        )
    team_ids = rerate.totals.filter(executed=False).values_list("team_id", flat=True)
    _add_totals(rerate, list(team_ids.order_by("team_id")), executed=True)
    _begin(rerate, "rerate.start", by=by, now=now, after=_totals(rerate, executed=False))
    return rerate


@transaction.atomic
def reverse(*, rerate: Rerate, by: str, now: datetime, reason: str = "") -> Rerate:
    """Take back what a re-rate changed: another one, under way. Raises ValidationError.

    A record that was re-rated since keeps its charges, and is counted as kept.
    """
    rerate = _held(rerate)
    executed = rerate.totals.filter(executed=True)
    if rerate.state not in (State.DONE, State.CANCELLED) or not executed.exists():
        raise ValidationError(f"This re-rate is {_word(rerate)}: there is nothing to undo.")
    if Rerate.objects.filter(reverses=rerate).exists():
        raise ValidationError("This re-rate is being taken back already.")
    reversal = Rerate.objects.create(
        organization=rerate.organization,
        team_ids=rerate.team_ids,
        model_ids=[],
        since=rerate.since,
        until=rerate.until,
        reason=reason or f"Takes back {rerate}: {rerate.reason}",
        reverses=rerate,
        created_by=by,
        created_at=now,
    )
    team_ids = executed.order_by("team_id").values_list("team_id", flat=True)
    _add_totals(reversal, list(team_ids), executed=True)
    _begin(
        reversal,
        "rerate.reverse",
        by=by,
        now=now,
        before=_totals(rerate, executed=True),
    )
    return reversal


@transaction.atomic
def cancel(*, rerate: Rerate, by: str, now: datetime) -> None:
    """Go no further. What was charged stays, and can be taken back."""
    rerate = _held(rerate)
    if rerate.state not in (State.DRY_RUN, State.READY, State.RUNNING):
        raise ValidationError(f"This re-rate is {_word(rerate)}: it cannot be cancelled.")
    rerate.state, rerate.finished_at = State.CANCELLED, now
    rerate.save(update_fields=["state", "finished_at"])
    after = _totals(rerate, executed=True)
    _audit(rerate, "rerate.cancel", by=by, now=now, after=after)


def _held(rerate: Rerate) -> Rerate:
    return Rerate.objects.select_for_update(of=("self",)).get(pk=rerate.pk)


def _word(rerate: Rerate) -> str:
    return State(rerate.state).label.lower()


def _begin(rerate: Rerate, action: str, *, by: str, now: datetime, **said: object) -> None:
    rerate.state, rerate.started_by, rerate.started_at = State.RUNNING, by, now
    rerate.save(update_fields=["state", "started_by", "started_at"])
    _audit(rerate, action, by=by, now=now, **said)


def _audit(rerate: Rerate, action: str, **said: object) -> None:
    audit.record(
        action=action,
        subject=str(rerate),
        organization=rerate.organization.slug if rerate.organization else "",
        reason=rerate.reason,
        **said,  # type: ignore[arg-type]
    )


def _totals(rerate: Rerate, *, executed: bool) -> dict[str, object]:
    """What audit says of it: amounts per team, before and after."""
    totals = rerate.totals.filter(executed=executed).select_related("team")
    return {
        one.team.slug: {
            "records": one.records,
            "changed": one.changed,
            "kept": one.kept,
            "before": money.plain(one.before),
            "after": money.plain(one.cost),
        }
        for one in totals.order_by("team_id")
        if one.records
    }


# --- Step by step -------------------------------------------------------------------


def under_way() -> list[Rerate]:
    """Those that some process should go on with, the oldest first."""
    states = (State.DRY_RUN, State.RUNNING)
    return list(Rerate.objects.filter(state__in=states).order_by("pk"))


def advance(
    *,
    rerate: Rerate,
    clock: Callable[[], datetime],
    seconds: float | None = None,
    wait: bool = False,
    seen: Callable[[int], None] = lambda records: None,
) -> Rerate:
    """Go on with a re-rate until it ends, or for so long; the re-rate as it is then.

    Where another process has it, leaves it to that one or, with `wait`, takes turns.
    `seen` is told how many records each step looked at.

    Raises OperationalError when the database cannot: the step is not done then.
    """
    deadline = None if seconds is None else clock() + timedelta(seconds=seconds)
    while deadline is None or clock() < deadline:
        records = _step(rerate, now=clock(), wait=wait)
        if records is None:
            break
        seen(records)
    return Rerate.objects.get(pk=rerate.pk)


def _step(rerate: Rerate, *, now: datetime, wait: bool) -> int | None:
    """One chunk, or the end; None when there is nothing (more) to do here."""
    total = _next(rerate)
    if total is None:
        return _finish(rerate, now=now, wait=wait)
    with isolation.visible_teams([total.team_id]):
        current = _taken(rerate, wait=wait)
        if current is None or not current.under_way:
            return None
        total = RerateTotal.objects.get(pk=total.pk)
        if total.finished or total.executed != (current.state == State.RUNNING):
            return 0  # another process was faster
        batch = _batch(total, now)
        if not _has_current_prices(current, batch):
            return 0
        return _chunk(current, total, batch)


def _next(rerate: Rerate) -> RerateTotal | None:
    current = Rerate.objects.get(pk=rerate.pk)
    executed = current.state == State.RUNNING
    unfinished = current.totals.filter(executed=executed, finished=False)
    return unfinished.order_by("team_id").first()


def _taken(rerate: Rerate, *, wait: bool) -> Rerate | None:
    """The re-rate, held for this transaction; None while another process has it."""
    held = Rerate.objects.select_for_update(of=("self",), skip_locked=not wait)
    return held.filter(pk=rerate.pk).first()


def _batch(total: RerateTotal, now: datetime) -> Batch:
    """What the chunk has in common; what charges has the team's ledger, as counting has.

    So two re-rates of one team take turns, and no counter is left that read the prices
    before they changed: what it counted is re-rated too.
    """
    if total.executed:
        budget_totals.take_ledger(total.team_id)
    return Batch.of_team(total.team_id, now)


def _has_current_prices(rerate: Rerate, batch: Batch) -> bool:
    """Begin again when prices have changed meanwhile, so that all get the same ones."""
    if rerate.reverses_id is not None or rerate.book == batch.book.version:
        return True
    rerate.book = batch.book.version
    rerate.save(update_fields=["book"])
    executed = rerate.state == State.RUNNING
    afresh: dict[str, Any] = {"month": None, "after_uid": None, "finished": False}
    afresh |= {"records": 0, "kept": 0, "cost": 0}
    if not executed:
        afresh |= {"changed": 0, "difference": 0}
    rerate.totals.filter(executed=executed).update(**afresh)
    return False


def _chunk(rerate: Rerate, total: RerateTotal, batch: Batch) -> int:
    extent = _extent(rerate, total, batch)
    if rerate.reverses_id is not None:
        found = repricing.at_former_prices(batch.team_id, extent, rerate.reverses_id)
    else:
        found = repricing.at_current_prices(batch, extent)
    if total.executed:
        revisions.write(batch, extent, found, rerate.pk)
    _note(total, extent, found)
    return found.records


def _extent(rerate: Rerate, total: RerateTotal, batch: Batch) -> Extent:
    since, until = _hours(rerate, batch)
    month = total.month or since.astimezone(UTC).date().replace(day=1)
    above = str(total.after_uid) if total.after_uid else repricing.LOWEST_UID
    return Extent(
        month=month,
        above=above,
        upto=repricing.bound(batch.team_id, month, above, RECORDS_AT_ONCE),
        since=since,
        until=until,
        model_ids=frozenset(rerate.model_ids),
    )


_HOUR = timedelta(hours=1)


def _hours(rerate: Rerate, batch: Batch) -> tuple[datetime, datetime]:
    """When the records lie that it is about: nothing is looked for before and after."""
    since, until = batch.days.start(rerate.since), batch.days.start(rerate.until)
    counted = HourlySpend.objects.filter(team_id=batch.team_id)
    span = counted.aggregate(first=Min("hour"), last=Max("hour"))
    if span["first"] is None:
        return since, since
    return max(since, span["first"]), min(until, span["last"] + _HOUR)


def _note(total: RerateTotal, extent: Extent, found: Findings) -> None:
    """Write down what was found, and from where to go on."""
    total.records += found.records
    total.changed += len(found.uids)
    total.kept += found.kept
    total.cost += found.cost
    total.difference += found.difference
    total.month, total.after_uid = extent.month, UUID(extent.upto)
    if extent.upto == repricing.HIGHEST_UID:
        total.month, total.after_uid = calendar_month(extent.month).until, None
        total.finished = _beginning(total.month) >= extent.until
    total.save()


def _beginning(month: date) -> datetime:
    return datetime.combine(month, time(), UTC)


def _finish(rerate: Rerate, *, now: datetime, wait: bool) -> int | None:
    """The end: what the budgets have reached is said once, and who did it is audited."""
    if Rerate.objects.get(pk=rerate.pk).state == State.RUNNING:
        _evaluate(rerate, now)
    with transaction.atomic():
        current = _taken(rerate, wait=wait)
        if current is None or not current.under_way:
            return None
        unfinished = current.totals.filter(
            executed=current.state == State.RUNNING, finished=False
        )
        if unfinished.exists():  # prices have changed while it ended
            return 0
        if current.state == State.DRY_RUN:
            current.state = State.READY
        else:
            current.state, current.finished_at = State.DONE, now
            after = _totals(current, executed=True)
            _audit(current, "rerate.finish", by=current.started_by, now=now, after=after)
            reversed_one = Rerate.objects.filter(reversed_by=current)
            reversed_one.update(state=State.REVERSED)
        current.save(update_fields=["state", "finished_at"])
    return None


def _evaluate(rerate: Rerate, now: datetime) -> None:
    """Raise what the totals have reached, of each budget over a team that changed."""
    changed = rerate.totals.filter(executed=True, changed__gt=0)
    over_changed = Q(pk__in=[])
    for team_id in changed.values_list("team_id", flat=True):
        budgets_over = Budget.objects.active().over_team(team_id)
        over_changed |= Q(pk__in=list(budgets_over.values_list("pk", flat=True)))
    for budget in Budget.objects.filter(over_changed).with_scope().order_by("pk"):
        budgets.evaluate(budget, now=now)


def expected(rerate: Rerate) -> int:
    """About how many records it covers, by the rollups: for a progress bar.

    A reversal covers those alone that were changed.
    """
    if rerate.reverses is not None:
        executed = rerate.reverses.totals.filter(executed=True)
        return executed.aggregate(changed=Sum("changed"))["changed"] or 0
    team_ids = list(rerate.totals.values_list("team_id", flat=True).distinct())
    with isolation.visible_teams(team_ids):
        days = DailySpend.objects.filter(
            team_id__in=team_ids, day__gte=rerate.since, day__lt=rerate.until
        )
        if rerate.model_ids:
            days = days.filter(model_id__in=rerate.model_ids)
        return days.aggregate(records=Sum("requests"))["records"] or 0
