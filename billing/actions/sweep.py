"""The safety net of alerts: whatever was missed, every budget is evaluated again."""

from datetime import datetime

from billing.actions import budgets
from billing.models import Budget


def sweep(*, now: datetime) -> int:
    """Raise what the totals of all budgets have reached; how many alerts that were.

    A total can be reached without a counting transaction seeing it: over several teams,
    or when a process died before it looked, or when a new period has begun.
    """
    active = Budget.objects.active().with_scope()
    return sum(budgets.evaluate(budget, now=now) for budget in active)
