"""How fast may be spent before it is told: the rules of velocity, made and ended."""

from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST

from billing.actions import velocity_rules
from billing.models import Alert, VelocityRule
from billing.models.velocity_rules import LONGEST, LONGEST_READ, SHORTEST
from billing.web import scopes
from billing.web.fields import AmountField, add_errors
from teams.permissions import Permission
from teams.reporting_days import ReportingDays
from teams.web.visitors import Visitor, form_page


class VelocityForm(forms.Form):
    scope = forms.ChoiceField(label="For")
    amount = AmountField(label="Tell when so much is spent", help_text="Or more.")
    minutes = forms.IntegerField(
        label="Within so many minutes",
        initial=60,
        min_value=SHORTEST,
        max_value=LONGEST,
        help_text=f"{SHORTEST} to {LONGEST:,}. Above {LONGEST_READ} whole hours, and "
        "without a tag.",
    )
    tag_key = forms.CharField(
        label="Only records with the tag",
        required=False,
        max_length=64,
        help_text="Such as agent. Empty: all that is spent.",
    )
    tag_value = forms.CharField(label="Which has the value", required=False, max_length=200)
    reason = forms.CharField(
        label="Why",
        required=False,
        max_length=1000,
        help_text="It stands in the history beside your name.",
    )

    def __init__(self, choices: list[tuple[str, str]], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["scope"].choices = choices  # type: ignore[attr-defined]


@form_page
def velocity_list(request: HttpRequest, visitor: Visitor) -> HttpResponse:
    """Those of what the visitor sees; to who may edit its budgets, a form for one more."""
    choices = scopes.choices(
        visitor,
        scopes.editable_teams(visitor),
        whole=f"all of {visitor.organization.name}",
    )
    form = VelocityForm(choices, request.POST or None)
    if request.method == "POST":
        if not choices:
            raise PermissionDenied
        if form.is_valid() and _created(request, visitor, form):
            return redirect("velocity")
    now = timezone.now()
    its = _seen(visitor).select_related("team", "project").order_by("pk")
    running = list(its.filter(ended_at=None))
    mine = set(_editable(visitor).values_list("pk", flat=True))
    told = _told(visitor)
    context = {
        "visitor": visitor,
        "section": "alerts",
        "currency": visitor.organization.currency,
        "zone": ReportingDays(visitor.organization).zone(now).key,
        "rules": [(one, told.get(_subject(one)), one.pk in mine) for one in running],
        "ended": its.exclude(ended_at=None).order_by("-ended_at"),
        "form": form,
        "may_add": bool(choices),
    }
    return render(request, "billing/velocity.html", context)


def _created(request: HttpRequest, visitor: Visitor, form: VelocityForm) -> bool:
    asked = dict(form.cleaned_data)
    scope = scopes.chosen(asked.pop("scope"))
    try:
        velocity_rules.create(
            organization=visitor.organization,
            team=scope.team,
            project=scope.project,
            by=visitor.user.get_username(),
            now=timezone.now(),
            **asked,
        )
    except ValidationError as error:
        add_errors(form, error)
        return False
    messages.success(request, "The rule is set. It is looked at each minute.")
    return True


@require_POST
@form_page
def end_velocity(request: HttpRequest, visitor: Visitor, rule_id: int) -> HttpResponse:
    rule = get_object_or_404(_seen(visitor).select_related("organization"), pk=rule_id)
    if not _editable(visitor).filter(pk=rule_id).exists():
        raise PermissionDenied
    by = visitor.user.get_username()
    velocity_rules.end(rule=rule, by=by, now=timezone.now())
    messages.success(request, "The rule has ended.")
    return redirect("velocity")


# --- Whose rules they see -----------------------------------------------------------


def _seen(visitor: Visitor) -> QuerySet[VelocityRule]:
    its = VelocityRule.objects.filter(organization=visitor.organization)
    if visitor.sees_organization:
        return its
    owned = scopes.projects_of(visitor.teams)
    return its.filter(Q(team__in=visitor.teams) | Q(project__in=owned))


def _editable(visitor: Visitor) -> QuerySet[VelocityRule]:
    its = VelocityRule.objects.filter(organization=visitor.organization)
    if visitor.may(Permission.EDIT_BUDGETS):
        return its
    teams = scopes.editable_teams(visitor)
    owned = scopes.projects_of(teams)
    return its.filter(Q(team__in=teams) | Q(project__in=owned))


def _subject(rule: VelocityRule) -> str:
    return f"velocity rule {rule.pk}"


def _told(visitor: Visitor) -> dict[str, int]:
    """By subject, the alert that says that it is too fast now."""
    its = Alert.objects.filter(
        organization=visitor.organization, kind=Alert.Kind.SPEND_VELOCITY
    )
    still_open = its.exclude(state=Alert.State.RESOLVED)
    return dict(still_open.values_list("subject", "pk"))
