"""`/channels`: where alerts are sent, and `/deliveries`: what became of it."""

from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from billing.actions import channels, deliveries
from billing.api import budget_schemas as schemas
from billing.api import scopes
from billing.api.problems import Refused
from billing.models import Channel, Delivery
from billing.reports import deliveries as reports
from teams.api.authentication import key_of
from teams.models import ApiKey
from teams.models.api_keys import Scope


class ChannelInput(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(Channel.Kind.choices)
    target = serializers.CharField(max_length=500)
    team = serializers.SlugField(required=False)
    project = serializers.SlugField(required=False)


class ChannelsView(APIView):
    scopes = {"GET": Scope.BUDGETS_READ, "POST": Scope.BUDGETS_WRITE}

    @schemas.list_channels
    def get(self, request: Request) -> Response:
        listed = _covered(key_of(request)).select_related("team", "project")
        return Response({"data": [as_json(channel) for channel in listed.order_by("pk")]})

    @schemas.create_channel
    def post(self, request: Request) -> Response:
        key = key_of(request)
        wanted = ChannelInput(data=request.data)
        wanted.is_valid(raise_exception=True)
        asked = wanted.validated_data
        scope = scopes.scope_of(key, asked.get("team"), asked.get("project"))
        try:
            channel, secret = channels.create(
                organization=key.organization,
                team=scope.team,
                project=scope.project,
                kind=Channel.Kind(asked["kind"]),
                target=asked["target"],
                by=str(key),
                now=timezone.now(),
            )
        except ValidationError as error:
            raise Refused(400, "invalid", " ".join(error.messages)) from error
        shown = as_json(channel) | ({"secret": secret} if secret else {})
        return Response(shown, status=201)


class ChannelView(APIView):
    scopes = {"DELETE": Scope.BUDGETS_WRITE}

    @schemas.disable_channel
    def delete(self, request: Request, channel_id: int) -> Response:
        key = key_of(request)
        channel = _channel(key, channel_id)
        channels.disable(channel=channel, by=str(key), now=timezone.now())
        return Response(status=204)


class ChannelSecretView(APIView):
    scopes = {"POST": Scope.BUDGETS_WRITE}

    @schemas.rotate_channel
    def post(self, request: Request, channel_id: int) -> Response:
        key = key_of(request)
        channel = _channel(key, channel_id)
        try:
            secret = channels.rotate(channel=channel, by=str(key), now=timezone.now())
        except ValidationError as error:
            raise Refused(409, "not_possible", " ".join(error.messages)) from error
        until = {"previous_secret_until": channel.previous_secret_until}
        return Response(as_json(channel) | {"secret": secret} | until)


class ChannelTestView(APIView):
    scopes = {"POST": Scope.BUDGETS_WRITE}

    @schemas.test_channel
    def post(self, request: Request, channel_id: int) -> Response:
        key = key_of(request)
        channel = _channel(key, channel_id)
        try:
            delivery = channels.send_test(channel=channel, by=str(key), now=timezone.now())
        except ValidationError as error:
            raise Refused(409, "not_possible", " ".join(error.messages)) from error
        except channels.TooSoon as error:
            wait = {"Retry-After": str(error.seconds)}
            raise Refused(429, "too_soon", str(error), headers=wait) from error
        return Response(delivery_json(delivery), status=202)


class DeliveryRetryView(APIView):
    scopes = {"POST": Scope.BUDGETS_WRITE}

    @schemas.retry_delivery
    def post(self, request: Request, delivery_id: int) -> Response:
        key = key_of(request)
        its = Delivery.objects.filter(pk=delivery_id, channel__in=_covered(key))
        delivery = its.select_related("channel__organization").first()
        if delivery is None:
            said = f"This API key covers no delivery {delivery_id}."
            raise Refused(404, "not_found", said)
        try:
            deliveries.send_again(delivery=delivery, by=str(key), now=timezone.now())
        except ValidationError as error:
            raise Refused(409, "not_possible", " ".join(error.messages)) from error
        return Response(delivery_json(delivery), status=202)


def _channel(key: ApiKey, channel_id: int) -> Channel:
    channel = _covered(key).filter(pk=channel_id).first()
    if channel is None:
        raise Refused(404, "not_found", f"This API key covers no channel {channel_id}.")
    return channel


def _covered(key: ApiKey) -> "QuerySet[Channel]":
    """A key sees the channels of what it covers, not those above it, nor a person's."""
    covered = Channel.objects.filter(organization=key.organization_id, user=None)
    if key.project_id is not None:
        return covered.filter(project=key.project_id)
    if key.team_id is not None:
        return covered.filter(Q(team=key.team_id) | Q(project__in=scopes.projects_of(key)))
    return covered


def as_json(channel: Channel) -> dict[str, Any]:
    return {
        "id": str(channel.pk),
        "kind": channel.kind,
        "target": channels.shown_target(channel),
        "team": channel.team.slug if channel.team else None,
        "project": channel.project.slug if channel.project else None,
        "created_at": channel.created_at,
        "disabled_at": channel.disabled_at,
    }


def delivery_json(delivery: Delivery) -> dict[str, Any]:
    """With each attempt; one without a result is of a sender that ended meanwhile."""
    return {
        "id": str(delivery.pk),
        "channel": str(delivery.channel_id),
        "kind": delivery.channel.kind,
        "event": delivery.event,
        "state": delivery.state,
        "attempts": delivery.attempts,
        "attempts_log": [
            {
                "number": attempt.number,
                "started_at": attempt.started_at,
                "ended_at": attempt.ended_at,
                "outcome": attempt.outcome,
                "error": attempt.error or None,
            }
            for attempt in reports.attempts(delivery)
        ],
        "due_at": delivery.due_at if delivery.is_under_way else None,
        "sent_at": delivery.sent_at,
        "last_error": delivery.last_error or None,
        "instead_of": None
        if delivery.instead_of_id is None
        else str(delivery.instead_of_id),
    }
