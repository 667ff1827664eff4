"""The caps that estimates are approved with: set at once where the plan has begun, else on
its first day."""

import logging
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError
from django.db import InterfaceError, OperationalError, transaction

from billing.actions import budgets
from billing.actions.budgets import ITSELF, Terms
from billing.models import Budget, Estimate, EstimateCap
from billing.models.estimate_caps import on_day
from billing.pricing import money
from billing.pricing.budget_periods import PeriodKind
from teams.actions import audit
from teams.models import Team
from teams.reporting_days import ReportingDays

logger = logging.getLogger(__name__)

State = EstimateCap.State


def keep(*, estimate: Estimate, amount: Decimal, by: str, now: datetime) -> EstimateCap:
    """The cap of an estimate, in the transaction that approves it.

    Where the plan has begun the monthly budget of its team or project has it from now on,
    and is made where there is none. Caps that wait, and that it takes the place of, lapse.
    Raises ValidationError.
    """
    # The project may have gone to another team, whose budget it is then.
    estimate.check_owner(now)
    today = ReportingDays(estimate.team.organization).day(now)
    cap = EstimateCap(
        estimate=estimate, amount=amount, holds_from=max(estimate.month, today)
    )
    cap.full_clean()
    cap.save()
    _let_lapse(estimate, now=now)
    if cap.holds_from <= today:
        _take_scope(estimate)
        _set(cap, by=by, now=now, reason=f"Estimate #{estimate.pk} approved.")
    return cap


def put_in_force(*, now: datetime) -> int:
    """Set the caps whose day has come, and let those lapse that a later decision took the
    place of; how many. Twice is once."""
    waiting = EstimateCap.objects.waiting().with_estimate().order_by("pk")
    return sum(_settle_ripe(cap, now) for cap in waiting)


def monthly_budget(estimate: Estimate) -> Budget | None:
    """The budget that its cap is for: of its team or project, by the month and of all that
    is spent there."""
    its = Budget.objects.active().monthly(team=estimate.team, project=estimate.project)
    return its.first()


def held(estimate: Estimate) -> EstimateCap | None:
    """Its cap as it is now, ours until the transaction ends."""
    rows = EstimateCap.objects.with_estimate().select_for_update(of=("self",))
    return rows.filter(estimate=estimate).first()


def settle(
    cap: EstimateCap, state: State, *, by: str, now: datetime, why: str = ""
) -> None:
    """Nothing becomes of it any more than this."""
    cap.state, cap.settled_by, cap.settled_at, cap.why = state, by, now, why
    cap.save()
    audit.record(
        action=f"estimate_cap.{state}",
        subject=f"estimate {cap.estimate_id} of {cap.estimate.scope}",
        organization=cap.estimate.team.organization.slug,
        by=by,
        now=now,
        reason=why,
        after={"cap": money.plain(cap.amount), "holds_from": cap.holds_from.isoformat()},
    )


def _let_lapse(approved: Estimate, *, now: datetime) -> None:
    """The caps that wait for the same budget and that this approval takes the place of."""
    waiting = EstimateCap.objects.waiting().of_scope(approved).with_estimate()
    # Before the scope, as where one is set: so nobody waits for another in a circle.
    for cap in waiting.select_for_update(of=("self",)).order_by("pk"):
        if why := cap.overtaken:
            settle(cap, State.LAPSED, by=ITSELF, now=now, why=why)


def _has_come(cap: EstimateCap, now: datetime) -> bool:
    return cap.holds_from <= ReportingDays(cap.estimate.team.organization).day(now)


def _settle_ripe(cap: EstimateCap, now: datetime) -> bool:
    try:
        if not (_has_come(cap, now) or cap.overtaken):
            return False
        with transaction.atomic():
            current = held(cap.estimate)
            if current is None or current.state != State.WAITING:
                return False
            _take_scope(current.estimate)
            # Again, now that nobody decides beside us.
            if why := current.overtaken or _refusal(current, now):
                settle(current, State.LAPSED, by=ITSELF, now=now, why=why)
            return True
    except (OperationalError, InterfaceError):
        logger.exception("the %s is put off", cap)
        return False


def _refusal(cap: EstimateCap, now: datetime) -> str:
    """Why it cannot be set; nothing where it is."""
    estimate = cap.estimate
    first = on_day(cap.holds_from)
    reason = f"Estimate #{estimate.pk} approved: its cap holds from {first}."
    try:
        with transaction.atomic():
            estimate.check_owner(now)
            _set(cap, by=estimate.approved_by, now=now, reason=reason)
    except ValidationError as error:
        return " ".join(error.messages)
    return ""


def _take_scope(estimate: Estimate) -> None:
    """One cap of a team at a time, so that two estimates do not make two budgets; and
    nobody changes a cap between the look at it and the change.

    It does not wait for whoever only names the team.
    """
    Team.objects.select_for_update(no_key=True).get(pk=estimate.team_id)
    its = Budget.objects.monthly(team=estimate.team, project=estimate.project)
    list(its.select_for_update(no_key=True).values_list("pk"))


def _set(cap: EstimateCap, *, by: str, now: datetime, reason: str) -> None:
    estimate = cap.estimate
    said: dict[str, Any] = {"by": by, "now": now, "reason": reason}
    before = monthly_budget(estimate)
    if before is None:
        after = budgets.create(
            organization=estimate.team.organization,
            team=None if estimate.project else estimate.team,
            project=estimate.project,
            period=PeriodKind.MONTH,
            terms=Terms(cap.amount),
            **said,
        )
    else:
        after = budgets.amend(budget=before, changes={"amount": cap.amount}, **said)
    if before is None or after.revision != before.revision:
        cap.revision = after.revisions.get(revision=after.revision)
    settle(cap, State.SET, by=by, now=now)
