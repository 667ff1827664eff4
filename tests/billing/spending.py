"""Budgets with something spent against them: each record of it costs `COST`."""

from decimal import Decimal
from typing import Any

from billing.actions import budgets, post, receive
from billing.actions.budgets import Terms
from billing.formats.body import split
from billing.models import Alert, Budget, BudgetTotal
from billing.pricing.budget_periods import PeriodKind
from tests.builders import body, record
from tests.conftest import NOW, Cast, issue


def make(cast: Cast, amount: str, **more: Any) -> Budget:
    """Of team search by the month; `team=None` for the organization, or a `project`."""
    if not more.keys() & {"team", "project"}:
        more["team"] = cast.search
    return budgets.create(
        organization=cast.acme,
        period=more.pop("period", PeriodKind.MONTH),
        terms=Terms(Decimal(amount), thresholds=more.pop("thresholds", (50, 80))),
        by="tests",
        now=NOW,
        **more,
    )


def spend(cast: Cast, records: int, *, project: str = "answers", **changes: Any) -> None:
    """Post and count so many records."""
    now = changes.pop("now", NOW)
    key, _ = issue(cast.acme)
    bodies = body(*(record(project=project, **changes) for _ in range(records)))
    receive.receive(key=key, raws=split(bodies, "application/json", 1000), now=now)
    for team_id in post.batches_waiting():
        post.count(team_id=team_id, now=now)


def fired(budget: Budget) -> list[int]:
    """The levels that hold, of the revision in force."""
    of_revision = Alert.objects.filter(budget=budget, revision=budget.revision)
    return sorted(of_revision.filter(state="firing").values_list("threshold", flat=True))


def total(budget: Budget) -> Decimal:
    kept = BudgetTotal.objects.filter(budget=budget)
    return sum(kept.values_list("spent", flat=True), Decimal())
