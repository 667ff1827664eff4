"""What an alert of a raise says: that it is asked for, and what was decided.

From its details alone, which were written when it was raised.
"""

from datetime import datetime, time, timedelta
from decimal import Decimal
from typing import Any

from billing.models import RaiseDecision, RaiseRequest
from billing.pricing import figures, money
from teams.reporting_days import ReportingDays

Details = dict[str, Any]

_ENDED = {
    RaiseRequest.State.DECLINED: "was declined",
    RaiseRequest.State.EXPIRED: "was not decided in time",
}


def details(request: RaiseRequest, decision: RaiseDecision | None = None) -> Details:
    """What is true of a request now: text, whole numbers, amounts as text."""
    budget = request.budget
    amount, until = request.amount, request.until
    if request.granted_amount is not None:
        amount, until = request.granted_amount, request.granted_until
    days = ReportingDays(budget.organization)
    return {
        "raise": str(request.pk),
        "state": str(request.state),
        "name": str(budget.project or budget.team or budget.organization),
        "period": str(budget.period),
        "asked_by": request.asked_by,
        "decided_by": decision.decided_by if decision else "",
        "asked_for": money.plain(request.amount),
        "amount": money.plain(amount),
        "until": None if until is None else until.astimezone(days.zone(until)).isoformat(),
        "cap": money.plain(budget.cap(request.asked_at)),
        "currency": budget.organization.currency,
        "why": (decision.note if decision else "") or request.reason,
    }


def sentence(its: Details) -> str:
    """What has happened, in one plain sentence. Names in it are as they were typed."""
    end = _end(its["until"])
    if its["state"] == RaiseRequest.State.PENDING:
        return (
            f"{its['asked_by']} asks for a cap of {_money(its, 'amount')} instead of "
            f"{_money(its, 'cap')} for {its['name']}, {end}."
        )
    if its["state"] == RaiseRequest.State.APPROVED:
        return (
            f"{its['decided_by']} approved a cap of {_money(its, 'amount')} for "
            f"{its['name']}, {end}."
        )
    by = f" by {its['decided_by']}" if its["decided_by"] else ""
    return (
        f"The cap of {_money(its, 'asked_for')} that {its['asked_by']} asked for, for "
        f"{its['name']}, {_ENDED[RaiseRequest.State(its['state'])]}{by}."
    )


def subject(its: Details) -> str:
    """The same in a few words."""
    if its["state"] == RaiseRequest.State.PENDING:
        return f"{its['asked_by']} asks for a raise for {its['name']}"
    return f"The raise for {its['name']} is {its['state']}"


def _end(until: str | None) -> str:
    """Through a day that it ends with; until a moment that is no midnight."""
    if until is None:
        return "for good"
    local = datetime.fromisoformat(until)
    if local.time() != time():
        return f"until {local.day} {local:%b %Y, %H:%M}"
    last = local - timedelta(days=1)
    return f"through {last.day} {last:%b %Y}"


def _money(its: Details, name: str) -> str:
    return figures.with_currency(Decimal(its[name]), its["currency"])
