"""Routing: the policy of a team, and what was not as it says."""

from datetime import date, datetime, timedelta
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone

from billing.actions import routing as actions
from billing.models import DailySpend, LanguageModel, RoutingPolicy
from billing.models.routing import MOST_OUTPUT, Tag, in_force
from billing.pricing import figures
from billing.pricing.budget_periods import Period, calendar_month
from billing.reports import completeness, routing
from billing.reports.routing import BreachKind, RoutingBreaches
from billing.web import links, lists, ranges
from billing.web.fields import LastDayField, add_errors
from teams.models import Team
from teams.permissions import Permission
from teams.reporting_days import ReportingDays
from teams.web.visitors import Visitor, form_page

_ONE_DAY = timedelta(days=1)
# What was used in so many days stands first in the list of models.
_LATELY = timedelta(days=90)
_KINDS = {
    BreachKind.MODEL: "Models that may not be used",
    BreachKind.NOT_BATCH: "Not in a batch",
    BreachKind.LONG_OUTPUT: "Longer than the maximum",
}
# What a policy calls them, and we.
_NAMES = {"model_ids": "models", "batch_only_tags": "tags"}


class PolicyForm(forms.Form):
    """What a policy says; of a model its name, whoever serves it."""

    models = forms.MultipleChoiceField(
        label="Models that may be used",
        widget=forms.SelectMultiple(attrs={"size": 8}),
        required=False,
        help_text="None chosen: all.",
    )
    tags = forms.CharField(
        label="Tags that have to be in batches",
        widget=forms.Textarea(attrs={"rows": 3, "placeholder": "job=nightly"}),
        required=False,
        help_text="One in each line, such as job=nightly.",
    )
    max_output = forms.IntegerField(
        label="Maximum output, in tokens",
        min_value=1,
        max_value=MOST_OUTPUT,
        required=False,
        help_text="Of one call. Empty: any.",
    )
    effective_from = LastDayField(
        label="From",
        help_text="Today: from now on. A later day: from its start, in the reporting zone.",
    )
    reason = forms.CharField(
        widget=forms.Textarea(attrs={"rows": 2}),
        max_length=1000,
        help_text="Why. It stands in the history beside your name.",
        error_messages={"required": "Say why: who reads it later will ask."},
    )

    def __init__(
        self, data: Any, *, team: Team, policy: RoutingPolicy | None, today: date
    ) -> None:
        super().__init__(data, initial=_initial(policy, today))
        self.fields["models"].choices = _choices(team, today)  # type: ignore[attr-defined]
        self.fields["effective_from"].widget.attrs["min"] = today.isoformat()

    def clean_tags(self) -> list[Tag]:
        lines = [line.strip() for line in self.cleaned_data["tags"].splitlines()]
        tags = []
        for line in filter(None, lines):
            key, equals, value = (part.strip() for part in line.partition("="))
            if not equals:
                raise forms.ValidationError(f"Write {line!r} as name=value.")
            tags.append(Tag(key, value))
        return tags


def _initial(policy: RoutingPolicy | None, today: date) -> dict[str, Any]:
    if policy is None:
        return {"effective_from": today}
    return {
        "models": policy.model_names,
        "tags": "\n".join(map(str, policy.tags)),
        "max_output": policy.max_output,
        "effective_from": today,
    }


def _choices(team: Team, today: date) -> list[tuple[str, list[tuple[str, str]]]]:
    """All models by name, those that the team has used lately first."""
    lately = DailySpend.objects.filter(team_id=team.pk, day__gte=today - _LATELY)
    used = set(lately.values_list("model_id", flat=True).distinct())
    names = dict.fromkeys(LanguageModel.objects.order_by("name").values_list("name", "pk"))
    theirs = sorted({name for name, pk in names if pk in used})
    others = sorted({name for name, _ in names} - set(theirs))
    return [
        ("Used in the last 90 days", [(name, name) for name in theirs]),
        ("Others", [(name, name) for name in others]),
    ]


@form_page
def routing_policy(request: HttpRequest, visitor: Visitor, slug: str) -> HttpResponse:
    """The policy, its history and its breaches; to who may edit budgets, a form."""
    now = timezone.now()
    team = visitor.team(slug)
    days = ReportingDays(team.organization)
    today = days.day(now)
    may_edit = visitor.may(Permission.EDIT_BUDGETS, team)
    if request.method == "POST" and not may_edit:
        raise PermissionDenied
    policy = in_force(team, now)
    form = PolicyForm(request.POST or None, team=team, policy=policy, today=today)
    if form.is_valid() and _set(form, team, visitor, now):
        messages.success(request, "The policy is set.")
        return redirect("routing", slug=slug)
    month = calendar_month(today)
    shown = ranges.chosen(
        request.GET, today=today, this=month, before=calendar_month(month.first - _ONE_DAY)
    )
    report = routing.breaches(team=team, since=shown.since, until=shown.until, now=now)
    history, older = lists.newest(routing.history(team), request.GET)
    zone = days.zone(now).key
    return render(
        request,
        "billing/routing.html",
        {
            "visitor": visitor,
            "page": {"team": team},
            "team": team,
            "currency": visitor.organization.currency,
            "zone": zone,
            "range": shown,
            "presets": links.presets(request.GET, shown),
            "kept": links.kept(request.GET),
            "span": figures.span(Period(shown.since, shown.until)),
            "records_span": figures.span(Period(report.records_from, shown.until)),
            "policy": policy,
            "history": history,
            "older": older,
            "now": now,
            "form": form,
            "may_edit": may_edit,
            "report": report,
            "kinds": _kinds(report),
            "freshness": completeness.freshness(
                team_ids=[team.pk], now=now, time_zone=zone
            ),
        },
    )


def _set(form: PolicyForm, team: Team, visitor: Visitor, now: datetime) -> bool:
    asked = form.cleaned_data
    named = LanguageModel.objects.filter(name__in=asked["models"])
    try:
        actions.set_policy(
            team=team,
            effective_from=asked["effective_from"],
            model_ids=list(named.values_list("pk", flat=True)),
            batch_only_tags=asked["tags"],
            max_output=asked["max_output"],
            reason=asked["reason"],
            by=visitor.user.get_username(),
            now=now,
        )
    except ValidationError as error:
        add_errors(form, error, _NAMES)
        return False
    return True


def _kinds(report: RoutingBreaches) -> list[dict[str, Any]]:
    """Each kind of breach, with its rows and examples."""
    return [
        {
            "name": name,
            "kind": kind.value,
            "requests": report.requests.get(kind, 0),
            "cost": report.costs.get(kind),
            "rows": [row for row in report.rows if row.kind is kind],
            "examples": [one for one in report.examples if one.kind is kind],
        }
        for kind, name in _KINDS.items()
    ]
