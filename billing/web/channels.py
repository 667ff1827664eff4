"""Where alerts are sent: each channel with what became of its last messages."""

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST

from billing.actions import channels, deliveries, personal_channels
from billing.models import Channel, Delivery
from billing.reports import deliveries as reports
from billing.web import scopes
from teams.models import Team
from teams.permissions import Permission
from teams.reporting_days import ReportingDays
from teams.web.visitors import Visitor, form_page


class ChannelForm(forms.Form):
    kind = forms.ChoiceField(choices=Channel.Kind.choices, label="Kind")
    target = forms.CharField(
        max_length=500,
        label="To",
        help_text="An e-mail address; the https URL of a webhook, of Slack too; or the "
        "32 characters of a PagerDuty routing key.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    scope = forms.ChoiceField(label="Hears of")

    def __init__(self, choices: list[tuple[str, str]], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["scope"].choices = choices  # type: ignore[attr-defined]


@form_page
def channel_list(request: HttpRequest, visitor: Visitor) -> HttpResponse:
    editable = scopes.editable_teams(visitor)
    choices = scopes.choices(
        visitor, editable, whole=f"all alerts of {visitor.organization.name}"
    )
    form = ChannelForm(choices, request.POST or None)
    if request.method == "POST":
        if not choices:
            raise PermissionDenied
        if form.is_valid() and (created := _created(visitor, form)):
            return _told_of(request, visitor, *created)
    now = timezone.now()
    listed = _covered(visitor, editable).select_related("team", "project")
    states = reports.of_channels(listed.order_by("disabled_at", "pk"))
    context = {
        "visitor": visitor,
        "section": "channels",
        "now": now,
        "zone": ReportingDays(visitor.organization).zone(now).key,
        "states": [one for one in states if one.channel.disabled_at is None],
        "ended": [one for one in states if one.channel.disabled_at is not None],
        "form": form,
        "may_add": bool(choices),
        "listens": personal_channels.of(visitor.user, visitor.organization) is not None,
    }
    return render(request, "billing/channels.html", context)


def _created(visitor: Visitor, form: ChannelForm) -> tuple[Channel, str] | None:
    """The channel and its secret; None where the form has to be shown again."""
    asked = form.cleaned_data
    scope = scopes.chosen(asked["scope"])
    try:
        return channels.create(
            organization=visitor.organization,
            team=scope.team,
            project=scope.project,
            kind=Channel.Kind(asked["kind"]),
            target=asked["target"],
            by=visitor.user.get_username(),
            now=timezone.now(),
        )
    except ValidationError as error:
        for message in error.messages:
            form.add_error("target", message)
        return None


def _told_of(
    request: HttpRequest, visitor: Visitor, channel: Channel, secret: str
) -> HttpResponse:
    if secret:
        return _shown_once(request, visitor, channel, secret)
    place = f"{channel.get_kind_display()} to {channels.shown_target(channel)}"
    messages.success(request, f"{place} is added. Send a test to see that it works.")
    return redirect("channel-list")


def _shown_once(
    request: HttpRequest, visitor: Visitor, channel: Channel, secret: str, *, hours: int = 0
) -> HttpResponse:
    """In the answer itself: a message would lie in a cookie until it is shown."""
    context = {
        "visitor": visitor,
        "section": "channels",
        "place": channels.shown_target(channel),
        "secret": secret,
        "hours": hours,
    }
    return render(request, "billing/channel_secret.html", context)


# --- What may be done with one ------------------------------------------------------

# Without an answer of its own, the list is shown again.
_Done = Callable[[HttpRequest, Visitor, Channel], HttpResponse | None]


def _on_channel(request: HttpRequest, visitor: Visitor, pk: int, do: _Done) -> HttpResponse:
    covered = _covered(visitor, scopes.editable_teams(visitor))
    channel = get_object_or_404(covered.select_related("organization"), pk=pk)
    answer = None
    try:
        answer = do(request, visitor, channel)
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    except channels.TooSoon as error:
        unit = "second" if error.seconds == 1 else "seconds"
        messages.error(request, f"{error} Again in {error.seconds} {unit}.")
    return answer or redirect("channel-list")


@require_POST
@form_page
def try_channel(request: HttpRequest, visitor: Visitor, channel_id: int) -> HttpResponse:
    return _on_channel(request, visitor, channel_id, _try)


def _try(request: HttpRequest, visitor: Visitor, channel: Channel) -> None:
    by = visitor.user.get_username()
    channels.send_test(channel=channel, by=by, now=timezone.now())
    messages.success(request, "A test is on its way. Load the page again to see its end.")


@require_POST
@form_page
def rotate_channel(request: HttpRequest, visitor: Visitor, channel_id: int) -> HttpResponse:
    return _on_channel(request, visitor, channel_id, _rotate)


def _rotate(request: HttpRequest, visitor: Visitor, channel: Channel) -> HttpResponse:
    by = visitor.user.get_username()
    secret = channels.rotate(channel=channel, by=by, now=timezone.now())
    hours = int(channels.ROTATION.total_seconds()) // 3600
    return _shown_once(request, visitor, channel, secret, hours=hours)


@require_POST
@form_page
def end_channel(request: HttpRequest, visitor: Visitor, channel_id: int) -> HttpResponse:
    return _on_channel(request, visitor, channel_id, _end)


def _end(request: HttpRequest, visitor: Visitor, channel: Channel) -> None:
    by = visitor.user.get_username()
    channels.disable(channel=channel, by=by, now=timezone.now())
    messages.success(request, "The channel is ended: nothing more is sent there.")


@require_POST
@form_page
def send_again(request: HttpRequest, visitor: Visitor, delivery_id: int) -> HttpResponse:
    """One that was given up, from the beginning."""
    covered = _covered(visitor, scopes.editable_teams(visitor))
    its = Delivery.objects.filter(channel__in=covered)
    delivery = get_object_or_404(
        its.select_related("channel__organization"), pk=delivery_id
    )
    by = visitor.user.get_username()
    try:
        deliveries.send_again(delivery=delivery, by=by, now=timezone.now())
        messages.success(request, "It is sent again.")
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    return redirect("channel-list")


@require_POST
@form_page
def mail_me(request: HttpRequest, visitor: Visitor) -> HttpResponse:
    """Everybody decides for themselves whether alerts come to their own address."""
    user, organization, now = visitor.user, visitor.organization, timezone.now()
    try:
        if request.POST.get("listen") == "yes":
            personal_channels.listen(user=user, organization=organization, now=now)
            messages.success(request, f"Alerts come to {user.email} now.")
        else:
            personal_channels.stop(user=user, organization=organization, now=now)
            messages.success(request, "Alerts come to your address no more.")
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    return redirect("channel-list")


# --- Whose channels they see --------------------------------------------------------


def _covered(visitor: Visitor, teams: list[Team]) -> QuerySet[Channel]:
    its = Channel.objects.filter(organization=visitor.organization, user=None)
    if visitor.may(Permission.EDIT_BUDGETS):
        return its
    return its.filter(Q(team__in=teams) | Q(project__in=scopes.projects_of(teams)))
