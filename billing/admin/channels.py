"""Channels, and what became of each delivery, attempt by attempt."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from billing.actions import channels, deliveries
from billing.admin.access import ReadOnly, said
from billing.models import Channel, Delivery, DeliveryAttempt
from billing.reports import deliveries as reports
from teams.admin import Kept, ReadOnlyInline


class ChannelForm(forms.ModelForm):
    class Meta:
        model = Channel
        fields = ("organization", "team", "project", "kind", "target")

    def clean(self) -> dict[str, Any]:
        """The rules of `channels.create`, asked for beforehand; nothing is made yet."""
        data = super().clean() or {}
        if not self.errors:
            channels.check(Channel(**data))
        return data


@admin.register(Channel)
class ChannelAdmin(Kept):
    form = ChannelForm
    list_display = ("kind", "place", "listens_to", "health", "created_at", "disabled_at")
    list_filter = (
        "kind",
        "organization",
        "team",
        ("disabled_at", admin.EmptyFieldListFilter),
    )
    list_select_related = ("organization", "team", "project", "user")
    ordering = ("-pk",)
    actions = ("send_test", "rotate", "disable")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """What it is made of stays; the actions ask for this without an object."""
        return obj is None and super().has_change_permission(request, obj)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            return ChannelForm.Meta.fields
        shown = ("kind", "place", "listens_to", "health", "created_at", "disabled_at")
        return ("organization", *shown)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return () if obj is None else ("place", "listens_to", "health")

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        data = form.cleaned_data
        made, secret = channels.create(**data, **said(request))
        obj.pk, obj.created_at, obj.secret = made.pk, made.created_at, secret

    def response_add(
        self, request: HttpRequest, obj: Any, post_url_continue: str | None = None
    ) -> HttpResponse:
        if obj.secret:
            return self._shown_once(request, [(channels.shown_target(obj), obj.secret)])
        return super().response_add(request, obj, post_url_continue)

    def _shown_once(
        self, request: HttpRequest, secrets: list[tuple[str, str]]
    ) -> HttpResponse:
        """In the answer itself: a message would lie in a cookie until it is shown."""
        context = {
            **self.admin_site.each_context(request),
            "title": "Copy this secret now",
            "secrets": secrets,
        }
        return TemplateResponse(request, "admin/billing/channel/secrets.html", context)

    @admin.action(description="Send a test", permissions=["change"])
    def send_test(self, request: HttpRequest, queryset: QuerySet[Channel]) -> None:
        for channel in queryset:
            try:
                channels.send_test(channel=channel, **said(request))
            except (ValidationError, channels.TooSoon) as error:
                messages.error(request, f"{channel}: {_sentence(error)}")
            else:
                messages.success(request, f"{channel}: a test is on its way.")

    @admin.action(description="Make a new secret", permissions=["change"])
    def rotate(
        self, request: HttpRequest, queryset: QuerySet[Channel]
    ) -> HttpResponse | None:
        secrets = []
        for channel in queryset:
            try:
                secret = channels.rotate(channel=channel, **said(request))
            except ValidationError as error:
                messages.error(request, f"{channel}: {_sentence(error)}")
            else:
                secrets.append((channels.shown_target(channel), secret))
        return self._shown_once(request, secrets) if secrets else None

    @admin.action(description="End", permissions=["change"])
    def disable(self, request: HttpRequest, queryset: QuerySet[Channel]) -> None:
        for channel in queryset:
            channels.disable(channel=channel, **said(request))

    @admin.display(description="to")
    def place(self, channel: Channel) -> str:
        return channels.shown_target(channel)

    @admin.display(description="hears of")
    def listens_to(self, channel: Channel) -> str:
        if channel.stand_in:
            return "what other channels cannot deliver"
        if channel.user is not None:
            return f"what {channel.user} may see"
        return f"{channel.project or channel.team or channel.organization}"

    @admin.display(description="state")
    def health(self, channel: Channel) -> str:
        (state,) = reports.of_channels([channel])
        return state.health


def _sentence(error: Exception) -> str:
    return " ".join(error.messages) if isinstance(error, ValidationError) else str(error)


class ShowsChannel:
    @admin.display(description="channel", ordering="channel")
    def channel_shown(self, delivery: Delivery) -> str:
        channel = delivery.channel
        return f"{channel.get_kind_display()} to {channels.shown_target(channel)}"


class AttemptInline(ReadOnlyInline):
    model = DeliveryAttempt
    verbose_name_plural = "attempts that came to an end"
    fields = ("number", "started_at", "ended_at", "error")
    ordering = ("number",)


@admin.register(Delivery)
class DeliveryAdmin(ShowsChannel, ReadOnly):
    fields = (
        "alert",
        "event",
        "channel_shown",
        "instead_of",
        "message_id",
        "state",
        "attempts",
        "due_at",
        "last_error",
        "sent_at",
    )
    readonly_fields = ("channel_shown",)
    list_display = (
        "alert",
        "event",
        "channel_shown",
        "state",
        "attempts",
        "due_at",
        "sent_at",
        "last_error",
    )
    list_filter = ("state", "event", "channel__kind")
    list_select_related = ("alert", "channel__user")
    ordering = ("-pk",)
    inlines = (AttemptInline,)
    actions = ("send_again",)

    @admin.action(description="Send again what was given up", permissions=["send"])
    def send_again(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> None:
        for delivery in queryset.select_related("channel__organization"):
            try:
                deliveries.send_again(delivery=delivery, **said(request))
            except ValidationError as error:
                messages.error(request, f"{delivery}: {_sentence(error)}")

    def has_send_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("billing.change_channel")
