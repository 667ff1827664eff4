"""What the alert of a review says. From its details alone, written when it was raised."""

from datetime import date
from decimal import Decimal
from typing import Any

from billing.pricing import figures
from billing.pricing.budget_periods import Period

Details = dict[str, Any]


def sentence(its: Details) -> str:
    """What has happened, in one plain sentence. Names in it are as they were typed."""
    spent = _money(its, "spent")
    days = Period(date.fromisoformat(its["since"]), date.fromisoformat(its["until"]))
    return (
        f"{its['name']} has been used for two weeks: {spent} {figures.from_to(days)}"
        f"{_against(its)}. Its review is open."
    )


def _against(its: Details) -> str:
    if its["planned"] is not None:
        return f", {_money(its, 'planned')} were planned"
    # Alerts that were raised before it was told apart do not say it.
    if its.get("planned_by_team"):
        return "; the plan is of its team, it has none of its own"
    return "; no plan"


def subject(its: Details) -> str:
    """The same in a few words."""
    return f"The first two weeks of {its['name']} are to be reviewed"


def _money(its: Details, name: str) -> str:
    return figures.with_currency(Decimal(its[name]), its["currency"])
