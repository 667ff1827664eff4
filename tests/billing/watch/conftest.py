"""Weeks of spend, written to the sums as counting would have."""

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest

from billing.models import Alert, DailySpend, HourlySpend, LanguageModel
from billing.pricing.token_classes import TokenClass
from billing.watch import rules
from teams import isolation
from teams.models import Project, Team
from tests.conftest import Cast

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

Spend = Callable[..., None]
Look = Callable[..., list[Alert]]


def _sums(team: Team, project: Project, model: LanguageModel, cost: str) -> dict[str, Any]:
    zeros = dict.fromkeys(TokenClass, 0)
    costs = {f"{name}_cost": Decimal() for name in TokenClass}
    return {
        "team": team,
        "project": project,
        "model": model,
        "processing": "standard",
        "speed": "standard",
        "geo": "global",
        "endpoint": "unstated",
        "context_tier": 0,
        "requests": 1,
        "cost": Decimal(cost),
        **zeros,
        **costs,
        "input_cost": Decimal(cost),
    }


@pytest.fixture
def spend(cast: Cast) -> Spend:
    """An amount of a project on a day, or in the hour of a moment.

    The adjustment is the part of a day's that is of closed months.
    """

    def spend(
        when: date | datetime,
        cost: str,
        *,
        team: Team = cast.search,
        project: Project = cast.answers,
        model: str = "claude-opus-5-5",
        adjustment: str = "0",
    ) -> None:
        used = LanguageModel.objects.get(provider="anthropic", name=model)
        its = _sums(team, project, used, cost)
        with isolation.visible_teams([team.pk]):
            if isinstance(when, datetime):
                HourlySpend.objects.create(hour=when, **its)
            else:
                DailySpend.objects.create(day=when, adjustment=Decimal(adjustment), **its)

    return spend


@pytest.fixture
def look(cast: Cast, as_worker: None) -> Look:
    """What a rule says now of the first organization: its open alerts."""

    def look(kind: Alert.Kind, now: datetime) -> list[Alert]:
        every = {**rules.EACH_MINUTE, **rules.EACH_QUARTER, **rules.EACH_HOUR}
        rules.look({kind: every[kind]}, now=now)
        its = Alert.objects.filter(kind=kind, organization=cast.acme)
        return list(its.exclude(state="resolved").order_by("subject", "occurrence"))

    return look


def midday(day: date) -> datetime:
    return datetime.combine(day, time(12), UTC)
