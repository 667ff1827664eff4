"""`GET /alerts`: what was reached, and whether it was delivered."""

import re
from typing import Any

from django.db.models import Q
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from billing.api import budget_schemas as schemas
from billing.api import scopes
from billing.api.channels import delivery_json
from billing.api.problems import Refused
from billing.models import Alert
from billing.pricing import money
from teams.api.authentication import key_of
from teams.models.api_keys import Scope

_LIMIT = 200
_ID = re.compile(r"[0-9]{1,18}")


class AlertsView(APIView):
    scopes = {"GET": Scope.BUDGETS_READ}

    @schemas.list_alerts
    def get(self, request: Request) -> Response:
        key = key_of(request)
        of_its = Q(budget__in=scopes.budgets_of(key))
        if key.team_id is None and key.project_id is None:
            of_its |= Q(organization=key.organization_id, budget=None)
        alerts = Alert.objects.filter(of_its)
        budget = request.query_params.get("budget")
        if budget is not None:
            if not _ID.fullmatch(budget):
                raise Refused(400, "invalid", "budget= is the id of a budget.")
            alerts = alerts.filter(budget=int(budget))
        state = request.query_params.get("state")
        if state is not None:
            alerts = alerts.filter(state=state)
        its = ("deliveries__channel", "deliveries__log")
        newest = alerts.prefetch_related(*its).order_by("-pk")[:_LIMIT]
        return Response({"data": [as_json(alert) for alert in newest]})


def as_json(alert: Alert) -> dict[str, Any]:
    return {
        "id": str(alert.pk),
        "kind": alert.kind,
        "budget": _id(alert.budget_id),
        "revision": alert.revision,
        "period_start": alert.period_start,
        "threshold": alert.threshold,
        "state": alert.state,
        "spent": None if alert.spent is None else money.plain(alert.spent),
        "cap": None if alert.cap is None else money.plain(alert.cap),
        "rerate": _id(alert.rerate_id),
        "provider": alert.details.get("provider"),
        "model": alert.details.get("name"),
        "fired_at": alert.fired_at,
        "resolved_at": alert.resolved_at,
        "deliveries": [delivery_json(delivery) for delivery in alert.deliveries.all()],
    }


def _id(number: int | None) -> str | None:
    return None if number is None else str(number)
