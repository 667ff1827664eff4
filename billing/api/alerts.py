"""`/alerts`: what has happened, who takes care of it, and whether it was delivered."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from billing.actions import alert_messages, alert_states
from billing.api import alert_schemas as schemas
from billing.api import lists, scopes
from billing.api.channels import delivery_json
from billing.api.problems import Refused
from billing.models import Alert
from billing.pricing import money
from billing.reports import alerts as reports
from teams.api.authentication import key_of
from teams.models import ApiKey
from teams.models.api_keys import Scope

_STATES = (*Alert.State.values, "open", "snoozed")


class NoteInput(serializers.Serializer[Any]):
    note = serializers.CharField(
        max_length=1000, required=False, default="", allow_blank=True
    )


class SnoozeInput(serializers.Serializer[Any]):
    until = serializers.DateTimeField()
    reason = serializers.CharField(max_length=1000)


class AlertsView(APIView):
    scopes = {"GET": Scope.BUDGETS_READ}

    @schemas.list_alerts
    def get(self, request: Request) -> Response:
        key, now = key_of(request), timezone.now()
        alerts = _narrowed(_covered(key), key, request, now)
        shown, next_cursor = lists.newest(_shown(alerts), request.query_params)
        return Response(
            {"data": [as_json(alert) for alert in shown], "next_cursor": next_cursor}
        )


class AlertView(APIView):
    scopes = {"GET": Scope.BUDGETS_READ}

    @schemas.get_alert
    def get(self, request: Request, alert_id: int) -> Response:
        return Response(as_json(_find(key_of(request), alert_id)))


class AcknowledgeView(APIView):
    scopes = {"POST": Scope.BUDGETS_WRITE}

    @schemas.acknowledge_alert
    def post(self, request: Request, alert_id: int) -> Response:
        return _with_a_note(request, alert_id, alert_states.acknowledge)


class UnacknowledgeView(APIView):
    scopes = {"POST": Scope.BUDGETS_WRITE}

    @schemas.unacknowledge_alert
    def post(self, request: Request, alert_id: int) -> Response:
        return _with_a_note(request, alert_id, alert_states.unacknowledge)


class SnoozeView(APIView):
    scopes = {"POST": Scope.BUDGETS_WRITE}

    @schemas.snooze_alert
    def post(self, request: Request, alert_id: int) -> Response:
        wanted = SnoozeInput(data=request.data)
        wanted.is_valid(raise_exception=True)
        key = key_of(request)
        return _done(key, alert_id, alert_states.snooze, **wanted.validated_data)


class UnsnoozeView(APIView):
    scopes = {"POST": Scope.BUDGETS_WRITE}

    @schemas.unsnooze_alert
    def post(self, request: Request, alert_id: int) -> Response:
        return _with_a_note(request, alert_id, alert_states.unsnooze)


def _with_a_note(request: Request, alert_id: int, act: Callable[..., None]) -> Response:
    wanted = NoteInput(data=request.data or {})
    wanted.is_valid(raise_exception=True)
    return _done(key_of(request), alert_id, act, **wanted.validated_data)


def _done(key: ApiKey, alert_id: int, act: Callable[..., None], **said: Any) -> Response:
    alert = _find(key, alert_id)
    try:
        act(alert=alert, by=str(key), now=timezone.now(), **said)
    except ValidationError as error:
        raise Refused(409, "not_possible", " ".join(error.messages)) from error
    return Response(as_json(_find(key, alert_id)))


# --- Which --------------------------------------------------------------------------


def _covered(key: ApiKey) -> QuerySet[Alert]:
    """A key sees the alerts of what it covers, not those above it."""
    covered = Alert.objects.filter(organization=key.organization_id)
    if key.project_id is not None:
        return covered.filter(project=key.project_id)
    if key.team_id is not None:
        return covered.filter(
            Q(team=key.team_id)
            | Q(concerned__contains=[key.team_id])
            | Q(project__in=scopes.projects_of(key))
        )
    return covered


def _shown(alerts: QuerySet[Alert]) -> QuerySet[Alert]:
    return reports.with_all_said(alerts).prefetch_related(
        "deliveries__channel", "deliveries__log"
    )


def _find(key: ApiKey, alert_id: int) -> Alert:
    alert = _shown(_covered(key)).filter(pk=alert_id).first()
    if alert is None:
        raise Refused(404, "not_found", f"This API key covers no alert {alert_id}.")
    return alert


def _narrowed(
    alerts: QuerySet[Alert], key: ApiKey, request: Request, now: datetime
) -> QuerySet[Alert]:
    """By the parameters. Raises Refused (400, 404)."""
    asked = request.query_params
    if "budget" in asked:
        alerts = alerts.filter(budget=lists.number("budget", asked["budget"]))
    if "kind" in asked:
        alerts = alerts.filter(kind=_one_of("kind", asked["kind"], Alert.Kind.values))
    if "state" in asked:
        alerts = _in_state(alerts, _one_of("state", asked["state"], _STATES), now)
    if "since" in asked:
        alerts = alerts.filter(fired_at__gte=_moment(asked["since"]))
    if "team" in asked:
        alerts = reports.of_team(alerts, scopes.team_of(key, asked["team"]), now)
    if "project" in asked:
        its = scopes.scope_of(key, None, asked["project"])
        alerts = alerts.filter(project=its.project)
    return alerts


def _one_of(name: str, value: str, values: Any) -> str:
    if value not in values:
        raise Refused(400, "invalid", f"{name}= is one of {', '.join(values)}.")
    return value


def _in_state(alerts: QuerySet[Alert], state: str, now: datetime) -> QuerySet[Alert]:
    match state:
        case Alert.State.FIRING:
            return reports.firing(alerts, now)
        case "snoozed":
            return reports.snoozed(alerts, now)
        case "open":
            return alerts.exclude(state=Alert.State.RESOLVED)
    return alerts.filter(state=state)


def _moment(value: str) -> datetime:
    refused = Refused(400, "invalid", "since= is a moment with its zone, of RFC 3339.")
    try:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None:
            raise refused
        # One at the end of time is past it in another zone.
        return moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise refused from error


# --- As JSON ------------------------------------------------------------------------


def as_json(alert: Alert) -> dict[str, Any]:
    return {
        "id": str(alert.pk),
        "kind": alert.kind,
        "sentence": alert_messages.sentence(alert),
        "team": alert.team.slug if alert.team else None,
        "project": alert.project.slug if alert.project else None,
        "budget": _id(alert.budget_id),
        "revision": alert.revision,
        "period_start": alert.period_start,
        "threshold": alert.threshold,
        "spent": None if alert.spent is None else money.plain(alert.spent),
        "cap": None if alert.cap is None else money.plain(alert.cap),
        "rerate": _id(alert.rerate_id),
        "subject": alert.subject,
        "occurrence": alert.occurrence,
        "details": alert.details,
        "provider": alert.details.get("provider"),
        "model": _unpriced_model(alert),
        "state": alert.state,
        "fired_at": alert.fired_at,
        "acknowledged_by": alert.acknowledged_by or None,
        "acknowledged_at": alert.acknowledged_at,
        "snoozed_until": alert.snoozed_until,
        "snoozed_by": alert.snoozed_by or None,
        "snooze_reason": alert.snooze_reason or None,
        "resolved_at": alert.resolved_at,
        "deliveries": [delivery_json(delivery) for delivery in alert.deliveries.all()],
    }


def _unpriced_model(alert: Alert) -> str | None:
    is_of_model = alert.kind == Alert.Kind.UNPRICED_MODEL
    return alert.details.get("name") if is_of_model else None


def _id(number: int | None) -> str | None:
    return None if number is None else str(number)
