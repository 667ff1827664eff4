"""The safety net of alerts: whatever was missed, every budget is looked at again."""

from collections import defaultdict
from datetime import datetime
from typing import NamedTuple

from billing.actions import alerts, budgets, estimate_caps, raises
from billing.actions.alerts import Occasion
from billing.models import Alert, Budget, UnpricedRecord
from teams import isolation
from teams.models import Organization, Team
from teams.reporting_days import ReportingDays


class _Named(NamedTuple):
    """A model as records name it."""

    provider: str
    name: str


def sweep(*, now: datetime) -> int:
    """Raise what the totals of all budgets have reached; how many alerts that were.

    A total can be reached without a counting transaction seeing it: over several teams,
    or when a process died before it looked, or when a temporary raise has ended or an
    estimate's cap begins. What was said of a period that is over is resolved.
    """
    budgets.end_raises(now=now)
    raises.expire(now=now)
    estimate_caps.put_in_force(now=now)
    alerts.resolve_past(now=now)
    return sum(budgets.evaluate(budget, now=now) for budget in _unsettled(now))


def _unsettled(now: datetime) -> list[Budget]:
    """The active budgets that something is to be done for: mostly none, of however many."""
    active: dict[Organization, list[Budget]] = defaultdict(list)
    for budget in Budget.objects.active().with_scope().order_by("pk"):
        active[budget.organization].append(budget)
    found: list[Budget] = []
    for organization, its in active.items():
        teams = Team.objects.filter(organization=organization).values_list("pk", flat=True)
        with isolation.visible_teams(teams):
            days = ReportingDays(organization)
            found += alerts.unsettled(its, days=days, now=now)
    return found


def sweep_unpriced(*, now: datetime) -> int:
    """Raise and resolve alerts of models without a price; how many are new."""
    unpriced = _unpriced()
    concerned = {*unpriced, *_firing()}
    organizations = Organization.objects.filter(pk__in=concerned).order_by("pk")
    return sum(
        len(
            alerts.keep(
                organization=organization,
                kind=Alert.Kind.UNPRICED_MODEL,
                holding=_occasions(unpriced[organization.pk]),
                now=now,
            )
        )
        for organization in organizations
    )


def _unpriced() -> dict[int, dict[_Named, set[int]]]:
    """By organization: the models that records without a price name, and whose they are."""
    organizations = dict(Team.objects.values_list("pk", "organization_id"))
    found: dict[int, dict[_Named, set[int]]] = defaultdict(lambda: defaultdict(set))
    named = UnpricedRecord.objects.values_list("team_id", "provider", "model_name")
    for team_id, provider, name in named.distinct().order_by():
        found[organizations[team_id]][_Named(provider, name)].add(team_id)
    return found


def _occasions(unpriced: dict[_Named, set[int]]) -> list[Occasion]:
    return [
        Occasion(
            subject=f"{model.provider} {model.name}",
            details=model._asdict(),
            concerned=frozenset(teams),
        )
        for model, teams in unpriced.items()
    ]


def _firing() -> list[int]:
    of_models = Alert.objects.filter(kind=Alert.Kind.UNPRICED_MODEL)
    firing = of_models.exclude(state=Alert.State.RESOLVED)
    return list(firing.values_list("organization_id", flat=True).distinct())
