"""What an alert of an estimate says: that it is submitted, and what was decided.

From its details alone, which were written when it was raised.
"""

from decimal import Decimal
from typing import Any

from django.db.models import F, Sum

from billing.models import Estimate
from billing.pricing import figures, money

Details = dict[str, Any]


def details(estimate: Estimate, by: str) -> Details:
    """What is true of an estimate now: text, whole numbers, amounts as text."""
    planned = estimate.lines.filter(scenario=F("estimate__plan")).aggregate(
        total=Sum("cost", default=Decimal())
    )
    return {
        "estimate": str(estimate.pk),
        "state": str(estimate.state),
        "name": str(estimate.project or estimate.team),
        "period": figures.span(estimate.period),
        "by": by,
        "total": money.plain(planned["total"]),
        "currency": estimate.team.organization.currency,
        "why": estimate.decision_note or estimate.note,
    }


def sentence(its: Details) -> str:
    """What has happened, in one plain sentence. Names in it are as they were typed."""
    plan = (
        f"estimate #{its['estimate']} of {_total(its)} for {its['name']}, {its['period']}"
    )
    if its["state"] == Estimate.State.SUBMITTED:
        return f"{its['by']} submits {plan}."
    if its["state"] == Estimate.State.APPROVED:
        return f"{its['by']} approved {plan}."
    return f"{its['by']} sent back {plan}."


def subject(its: Details) -> str:
    """The same in a few words."""
    if its["state"] == Estimate.State.SUBMITTED:
        return f"{its['by']} submits an estimate for {its['name']}"
    decided = "approved" if its["state"] == Estimate.State.APPROVED else "sent back"
    return f"The estimate for {its['name']} is {decided}"


def _total(its: Details) -> str:
    return figures.with_currency(Decimal(its["total"]), its["currency"])
