"""The demo's routing policy: what one team agreed on, and does not quite keep to."""

from datetime import datetime, time, timedelta

from billing.actions import routing
from billing.demo import stories
from billing.demo.plan import Plan
from billing.models import LanguageModel, RoutingPolicy
from teams.models import Organization, Team

_TEAM, _BY = "research", "finance"
_DAYS_AGO = 16
_MODELS = (stories.OPUS, stories.SONNET, stories.HAIKU)
_MOST_OUTPUT = 3_000
_REASON = "Model lab tries models on the small set first, and cuts long answers."


def ensure(organization: Organization, plan: Plan) -> None:
    if RoutingPolicy.objects.filter(team__organization=organization).exists():
        return
    day = plan.today - timedelta(days=_DAYS_AGO)
    allowed = LanguageModel.objects.filter(name__in=_MODELS)
    routing.set_policy(
        team=Team.objects.get(organization=organization, slug=_TEAM),
        model_ids=list(allowed.values_list("pk", flat=True)),
        max_output=_MOST_OUTPUT,
        reason=_REASON,
        by=_BY,
        now=datetime.combine(day, time(9), stories.ZONE),
    )
