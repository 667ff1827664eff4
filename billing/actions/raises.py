"""Raises: asked for by a lead, decided by who may edit budgets, perhaps by two of them.

Whoever asks does not decide. What is approved is a revision of the budget; one with an
end ends by itself.
"""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import transaction

from billing.actions import budgets, raise_notices
from billing.models import Budget, BudgetPolicy, RaiseDecision, RaiseRequest
from billing.models.budgets import BudgetState
from billing.models.raises import may_decide
from billing.pricing import figures, money
from teams.actions import audit
from teams.models import Organization
from teams.reporting_days import ReportingDays

State = RaiseRequest.State
LONGEST = timedelta(days=3660)  # that a temporary raise may last


class NotPossible(ValidationError):
    """As things stand: it is decided, or this person is not the one to do it."""


@transaction.atomic
def ask(
    *,
    budget: Budget,
    amount: Decimal,
    until: datetime | None,
    reason: str,
    by: str,
    now: datetime,
    person: User | None = None,
) -> RaiseRequest:
    """A request for a higher cap, for good or until a moment. Twice is once.

    `person` is who asks; an API key is none. Raises ValidationError, NotPossible: whoever
    asks for something else has to withdraw what they asked for first.
    """
    budget = budgets.held(budget)
    _check_terms(budget, amount, until, now)
    if not reason.strip():
        raise ValidationError({"reason": "Say why: it is what the approver reads."})
    if (asked := RaiseRequest.objects.waiting(now).of(budget, by, person)) is not None:
        if (asked.amount, asked.until) == (amount, until):
            return asked
        raise NotPossible(
            f"You have asked for this budget already, and raise request {asked.pk} waits "
            "for a decision: withdraw it to ask for something else."
        )
    request = RaiseRequest(
        budget=budget,
        asked_by=by,
        asker=person,
        asked_at=now,
        amount=amount,
        until=until,
        reason=reason.strip(),
    )
    request.full_clean()
    request.save()
    _audit(request, "raise.ask", by=by, now=now, reason=reason, after=said(amount, until))
    raise_notices.asked(request, now=now)
    return request


@transaction.atomic
def approve(
    *,
    request: RaiseRequest,
    amount: Decimal,
    until: datetime | None,
    by: str,
    now: datetime,
    person: User | None = None,
    note: str = "",
) -> RaiseRequest:
    """Approve a request, at the terms asked for or at others. Twice is once.

    It takes effect when as many people as the organization's policy wants have approved
    the same terms, and may approve them still. Raises ValidationError, NotPossible.
    """
    request = _held(request)
    before = _said_by(request, by)
    has_approved = before is not None and before in request.approvals(amount, until)
    needed = BudgetPolicy.of(request.budget.organization_id).needed_for(amount)
    if has_approved and request.state_at(now) != State.PENDING:
        return request
    request.budget = budgets.held(request.budget)
    _check_decider(request, by, now, person)
    _check_terms(request.budget, amount, until, now)
    if needed > 1 and person is None:
        raise NotPossible("A cap above the policy's amount needs two people, signed in.")
    if not has_approved:
        _decide(request, True, by, now, person, note, amount=amount, until=until)
    # Counted whenever somebody approves: policy and roles may have changed since.
    approvals = _counting(request, request.approvals(amount, until), by, now)
    if len(approvals) >= needed:
        _grant(request, approvals, now)
    return request


@transaction.atomic
def decline(
    *,
    request: RaiseRequest,
    by: str,
    now: datetime,
    person: User | None = None,
    note: str = "",
) -> RaiseRequest:
    """Decline a request; the cap stays. Twice is once. Raises NotPossible."""
    request = _held(request)
    before = _said_by(request, by)
    if before is not None and not before.approves:
        return request
    _check_decider(request, by, now, person)
    decision = _decide(request, False, by, now, person, note)
    _end(request, State.DECLINED, now, decision)
    return request


@transaction.atomic
def withdraw(
    *, request: RaiseRequest, by: str, now: datetime, person: User | None = None
) -> RaiseRequest:
    """Take back what one has asked for. Twice is once. Raises NotPossible."""
    request = _held(request)
    if not _asked(request, by, person):
        raise NotPossible(f"Only {request.asked_by}, who asked, can withdraw this.")
    if request.state == State.WITHDRAWN:
        return request
    _check_pending(request, now)
    _end(request, State.WITHDRAWN, now)
    _audit(request, "raise.withdraw", by=by, now=now)
    return request


def expire(*, now: datetime) -> int:
    """Write down which requests can no longer be decided on; how many. Twice is once."""
    pending = RaiseRequest.objects.filter(state=State.PENDING)
    over = pending.difference(RaiseRequest.objects.waiting(now)).values_list("pk")
    return sum(_expire(pk, now) for (pk,) in over)


@transaction.atomic
def set_policy(
    *,
    organization: Organization,
    two_approvals_above: Decimal | None,
    by: str,
    now: datetime,
    reason: str = "",
) -> BudgetPolicy:
    """From which cap on two people have to approve a raise; None: one is enough."""
    policy, _ = BudgetPolicy.objects.get_or_create(organization=organization)
    policy = BudgetPolicy.objects.select_for_update().get(pk=policy.pk)
    before = policy.two_approvals_above
    if before == two_approvals_above:
        return policy
    policy.two_approvals_above = two_approvals_above
    policy.full_clean()
    policy.save()
    audit.record(
        action="budget_policy.change",
        subject=f"budget policy of {organization.slug}",
        organization=organization.slug,
        before={"two_approvals_above": _plain(before)},
        after={"two_approvals_above": _plain(two_approvals_above)},
        by=by,
        now=now,
        reason=reason,
    )
    return policy


# --- What may be asked and decided --------------------------------------------------


def _check_terms(
    budget: Budget, amount: Decimal, until: datetime | None, now: datetime
) -> None:
    state = budget.state(ReportingDays(budget.organization).day(now))
    if state in (BudgetState.ARCHIVED, BudgetState.ENDED):
        raise NotPossible("This budget has ended: its cap is not raised any more.")
    if state is BudgetState.EXPIRED:
        raise NotPossible("This budget has expired: it needs a later end, and no raise.")
    if until is not None and until <= now:
        raise ValidationError({"until": "The raise would be over already."})
    if until is not None and until - now > LONGEST:
        raise ValidationError({"until": "That is so far away: ask for it for good."})
    lowest = budget.amount if until is None else budget.cap(now)
    has_it = (budget.raised_to, budget.raised_until) == (amount, until)
    if amount <= budget.amount or amount < lowest or has_it:
        cap = figures.with_currency(lowest, budget.organization.currency)
        raise ValidationError({"amount": f"A raise is above the cap there is: {cap}."})


def _check_pending(request: RaiseRequest, now: datetime) -> None:
    state = request.state_at(now)
    if state != State.PENDING:
        raise NotPossible(f"This request is {state} already.")


def _check_decider(
    request: RaiseRequest, by: str, now: datetime, person: User | None
) -> None:
    _check_pending(request, now)
    if _asked(request, by, person):
        raise NotPossible("Who asks does not decide: somebody else has to.")


def _asked(request: RaiseRequest, by: str, person: User | None) -> bool:
    return request.asked_by == by or (person is not None and request.asker_id == person.pk)


def _counting(
    request: RaiseRequest, approvals: list[RaiseDecision], by: str, now: datetime
) -> list[RaiseDecision]:
    """Those of who approves now, and of the people who still may."""
    people = [(one.decider, request) for one in approvals if one.decider is not None]
    may = may_decide(people, now)
    return [
        one
        for one in approvals
        if one.decided_by == by or (one.decider_id, request.pk) in may
    ]


def _said_by(request: RaiseRequest, by: str) -> RaiseDecision | None:
    return next((one for one in request.last_decisions if one.decided_by == by), None)


# --- What becomes of it -------------------------------------------------------------


def _held(request: RaiseRequest) -> RaiseRequest:
    rows = RaiseRequest.objects.with_budget().select_for_update(of=("self",))
    return rows.get(pk=request.pk)


def _decide(
    request: RaiseRequest,
    approves: bool,
    by: str,
    now: datetime,
    person: User | None,
    note: str,
    amount: Decimal | None = None,
    until: datetime | None = None,
) -> RaiseDecision:
    decision = RaiseDecision(
        request=request,
        decided_by=by,
        decider=person,
        decided_at=now,
        approves=approves,
        amount=amount,
        until=until,
        note=note.strip(),
    )
    decision.full_clean()
    decision.save()
    _audit(
        request,
        "raise.approve" if approves else "raise.decline",
        by=by,
        now=now,
        reason=note,
        before=said(request.amount, request.until),
        after=None if amount is None else said(amount, until),
    )
    return decision


def _grant(request: RaiseRequest, approvals: list[RaiseDecision], now: datetime) -> None:
    """The revision, by who approved last."""
    *others, last = approvals
    changes: dict[str, Any] = {"amount": last.amount}
    if last.until is not None:
        changes = {"raised_to": last.amount, "raised_until": last.until}
    asked = f"Asked for by {request.asked_by}: {request.reason}"
    too = [f"Approved by {one.decided_by} too." for one in others]
    budgets.amend(
        budget=request.budget,
        changes=changes,
        by=last.decided_by,
        now=now,
        reason=" ".join([asked, *too]),
    )
    request.granted_amount, request.granted_until = last.amount, last.until
    _end(request, State.APPROVED, now, last)


def _end(
    request: RaiseRequest,
    state: State,
    now: datetime,
    decision: RaiseDecision | None = None,
) -> None:
    request.state, request.ended_at = state, now
    request.save(update_fields=["state", "ended_at", "granted_amount", "granted_until"])
    raise_notices.ended(request, now=now, decision=decision)


@transaction.atomic
def _expire(pk: int, now: datetime) -> bool:
    request = _held(RaiseRequest(pk=pk))
    if request.state != State.PENDING:
        return False
    _end(request, State.EXPIRED, now)
    _audit(request, "raise.expire", by=budgets.ITSELF, now=now)
    return True


# --- What is said of it -------------------------------------------------------------


def said(amount: Decimal, until: datetime | None) -> dict[str, str | None]:
    return {
        "amount": money.plain(amount),
        "until": None if until is None else until.isoformat(),
    }


def _plain(amount: Decimal | None) -> str | None:
    return None if amount is None else money.plain(amount)


def _audit(request: RaiseRequest, action: str, **recorded: Any) -> None:
    audit.record(
        action=action,
        subject=f"raise request {request.pk} of budget {request.budget_id}",
        organization=request.budget.organization.slug,
        **recorded,
    )
