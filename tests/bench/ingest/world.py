"""An organization with many teams and projects, and a key for each team."""

import json

from tests.chaos.service import Service

TEAMS, PROJECTS_EACH = 50, 4
MODELS = (
    *("claude-opus-5-5", "claude-opus-5", "claude-opus-4-5"),
    *("claude-sonnet-5-5", "claude-sonnet-4-5", "claude-haiku-4-5"),
)
# A team's levels are reached one after the other while the load lasts.
CAPS = (2_000, 5_000, 10_000, 20_000, 50_000)
THRESHOLDS = (10, 20, 30, 40, 50, 60, 70, 80, 90, 100)

_WORLD = """
import json
from decimal import Decimal
from django.utils import timezone
from billing.actions import budgets
from billing.pricing.budget_periods import PeriodKind
from teams.actions import api_keys, organizations, projects, teams
from teams.models.api_keys import Scope
now = timezone.now()
said = dict(by="bench", now=now)
organization = organizations.create(name="Bench", slug="bench", time_zone="UTC", **said)
keys = []
for number in range({teams}):
    name = f"team-{{number:02}}"
    team = teams.create(organization=organization, name=name, slug=name, **said)
    slugs = [f"{{name}}-{{place}}" for place in range({projects})]
    for slug in slugs:
        projects.create(team=team, name=slug, slug=slug, **said)
    terms = budgets.Terms(
        amount=Decimal({caps}[number % len({caps})]), thresholds={thresholds}

    )
    budgets.create(organization=organization, team=team, period=PeriodKind.MONTH,
                   terms=terms, **said)
    _, secret = api_keys.issue(organization=organization, team=team, name=name,
                               scopes=[Scope.USAGE_WRITE], **said)
    keys.append((secret, slugs))
print(json.dumps(keys))
"""

SIZE = f"{TEAMS} teams, {TEAMS * PROJECTS_EACH} projects, {len(MODELS)} models"


def make(service: Service) -> list[tuple[str, list[str]]]:
    """For each team its key, and the slugs of its projects."""
    script = _WORLD.format(
        teams=TEAMS, projects=PROJECTS_EACH, caps=CAPS, thresholds=THRESHOLDS
    )
    made: list[tuple[str, list[str]]] = json.loads(service.shell(script))
    return made
