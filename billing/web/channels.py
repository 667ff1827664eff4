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
from teams import permissions
from teams.models import Project, Team
from teams.permissions import Permission
from teams.reporting_days import ReportingDays
from teams.web.visitors import Visitor, form_page

_WHOLE = "organization"


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

    def __init__(self, scopes: list[tuple[str, str]], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["scope"].choices = scopes  # type: ignore[attr-defined]


@form_page
def channel_list(request: HttpRequest, visitor: Visitor) -> HttpResponse:
    editable = _teams(visitor)
    scopes = _scopes(visitor, editable)
    form = ChannelForm(scopes, request.POST or None)
    if request.method == "POST":
        if not scopes:
            raise PermissionDenied
        if form.is_valid() and _created(request, visitor, form):
            return redirect("channel-list")
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
        "may_add": bool(scopes),
        "listens": personal_channels.of(visitor.user, visitor.organization) is not None,
    }
    return render(request, "billing/channels.html", context)


def _created(request: HttpRequest, visitor: Visitor, form: ChannelForm) -> bool:
    asked = form.cleaned_data
    kind, _, pk = asked["scope"].partition(" ")
    try:
        channel, secret = channels.create(
            organization=visitor.organization,
            team=Team.objects.get(pk=pk) if kind == "team" else None,
            project=Project.objects.get(pk=pk) if kind == "project" else None,
            kind=Channel.Kind(asked["kind"]),
            target=asked["target"],
            by=visitor.user.get_username(),
            now=timezone.now(),
        )
    except ValidationError as error:
        for message in error.messages:
            form.add_error("target", message)
        return False
    _say_secret(request, channel, secret)
    return True


def _say_secret(request: HttpRequest, channel: Channel, secret: str) -> None:
    place = f"{channel.get_kind_display()} to {channels.shown_target(channel)}"
    if secret:
        said = f"{place} is signed with {secret} – copy it now, it is not shown again."
        messages.warning(request, said)
    else:
        messages.success(request, f"{place} is added. Send a test to see that it works.")


# --- What may be done with one ------------------------------------------------------

_Done = Callable[[HttpRequest, Visitor, Channel], None]


def _on_channel(request: HttpRequest, visitor: Visitor, pk: int, do: _Done) -> HttpResponse:
    covered = _covered(visitor, _teams(visitor))
    channel = get_object_or_404(covered.select_related("organization"), pk=pk)
    try:
        do(request, visitor, channel)
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    except channels.TooSoon as error:
        unit = "second" if error.seconds == 1 else "seconds"
        messages.error(request, f"{error} Again in {error.seconds} {unit}.")
    return redirect("channel-list")


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


def _rotate(request: HttpRequest, visitor: Visitor, channel: Channel) -> None:
    by = visitor.user.get_username()
    secret = channels.rotate(channel=channel, by=by, now=timezone.now())
    hours = channels.ROTATION.total_seconds() // 3600
    messages.warning(
        request,
        f"The new secret is {secret} – copy it now, it is not shown again. The one before "
        f"signs along for {hours:.0f} hours.",
    )


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
    covered = _covered(visitor, _teams(visitor))
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


def _teams(visitor: Visitor) -> list[Team]:
    """Those whose budgets they may edit."""
    editable = permissions.teams_of(visitor.user, Permission.EDIT_BUDGETS)
    ids = set(editable.values_list("pk", flat=True))
    return [team for team in visitor.teams if team.pk in ids]


def _projects(teams: list[Team]) -> QuerySet[Project]:
    owned = Project.objects.owned_by_any([team.pk for team in teams], timezone.now())
    return owned.order_by("name", "pk")


def _covered(visitor: Visitor, teams: list[Team]) -> QuerySet[Channel]:
    its = Channel.objects.filter(organization=visitor.organization, user=None)
    if visitor.may(Permission.EDIT_BUDGETS):
        return its
    return its.filter(Q(team__in=teams) | Q(project__in=_projects(teams)))


def _scopes(visitor: Visitor, teams: list[Team]) -> list[tuple[str, str]]:
    whole = [(_WHOLE, f"all alerts of {visitor.organization.name}")]
    return [
        *(whole if visitor.may(Permission.EDIT_BUDGETS) else []),
        *((f"team {team.pk}", f"team {team.name}") for team in teams),
        *((f"project {one.pk}", f"project {one.name}") for one in _projects(teams)),
    ]
