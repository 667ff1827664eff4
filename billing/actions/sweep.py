"""The safety net of alerts: whatever was missed, every budget is evaluated again."""

from collections import defaultdict
from datetime import datetime

from billing.actions import alerts, budgets
from billing.actions.alerts import UnpricedModel
from billing.models import Alert, Budget, UnpricedRecord
from teams.models import Organization, Team


def sweep(*, now: datetime) -> int:
    """Raise what the totals of all budgets have reached; how many alerts that were.

    A total can be reached without a counting transaction seeing it: over several teams,
    or when a process died before it looked, or when a new period has begun.
    """
    active = Budget.objects.active().with_scope()
    return sum(budgets.evaluate(budget, now=now) for budget in active)


def sweep_unpriced(*, now: datetime) -> int:
    """Raise and resolve alerts of models without a price; how many are new."""
    unpriced = _unpriced()
    concerned = {*unpriced, *_firing()}
    organizations = Organization.objects.filter(pk__in=concerned).order_by("pk")
    return sum(
        len(
            alerts.say_unpriced(
                organization=organization, unpriced=unpriced[organization.pk], now=now
            )
        )
        for organization in organizations
    )


def _unpriced() -> dict[int, dict[UnpricedModel, set[int]]]:
    """By organization: the models that records without a price name, and whose they are."""
    organizations = dict(Team.objects.values_list("pk", "organization_id"))
    found: dict[int, dict[UnpricedModel, set[int]]] = defaultdict(lambda: defaultdict(set))
    named = UnpricedRecord.objects.values_list("team_id", "provider", "model_name")
    for team_id, provider, name in named.distinct().order_by():
        found[organizations[team_id]][UnpricedModel(provider, name)].add(team_id)
    return found


def _firing() -> list[int]:
    firing = Alert.objects.filter(organization__isnull=False, state=Alert.State.FIRING)
    return list(firing.values_list("organization_id", flat=True).distinct())
