"""Reviews: what days of a project cost against their plan, and what is decided of it."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode

from billing.actions import reviews as actions
from billing.formats import what_if as formats
from billing.models import Review
from billing.pricing import figures, money
from billing.pricing.recommendations import Action, Verdict
from billing.reports import accuracy, cheaper, reviews
from billing.reports.cheaper import Asked
from billing.reports.reviews import EffectFigure, PlanFigures, ReviewFigures
from billing.web.fields import LastDayField, add_errors
from teams.models import Project, Team
from teams.permissions import Permission
from teams.reporting_days import ReportingDays
from teams.web.visitors import Visitor, form_page, page

_ONE_DAY = timedelta(days=1)
_ID = re.compile("[0-9]{1,18}")
_NAMES = {
    Action.KEEP_CAP: "Keep the cap",
    Action.RAISE_CAP: "Raise the cap",
    Action.LOWER_CAP: "Lower the cap",
    Action.SET_CAP: "Set a cap",
    Action.CHANGE_MODEL: "Change the model",
    Action.CACHE_THIS: "Change caching",
    Action.BATCH_THAT: "Use batches",
    Action.NOTHING_STANDS_OUT: "Nothing else to change",
}
_EFFECTS = {
    "volume": "Volume",
    "mix": "Mix",
    "input_size": "Size: input",
    "output_size": "Size: output",
    "tool_size": "Size: tools",
    "caching": "Caching",
    "processing": "Processing",
    "price": "Price",
}
# What is about the cap alone.
_OF_CAPS = (Action.KEEP_CAP, Action.RAISE_CAP, Action.LOWER_CAP, Action.SET_CAP)


class CloseForm(forms.Form):
    decision = forms.ChoiceField(
        label="Decision", choices=[(one.value, name) for one, name in _NAMES.items()]
    )
    note = forms.CharField(
        widget=forms.Textarea(attrs={"rows": 3}),
        max_length=1000,
        required=False,
        help_text="Why, and who does it. It stays with the figures of today.",
    )


class NewReviewForm(forms.Form):
    project = forms.ChoiceField()
    since = LastDayField(label="First day")
    through = LastDayField(label="Last day", help_text="It must be over.")

    def __init__(self, data: Any, *, projects: list[Project], today: Any) -> None:
        initial = {"since": today - actions.DAYS * _ONE_DAY, "through": today - _ONE_DAY}
        super().__init__(data, initial=initial)
        self.fields["project"] = forms.ChoiceField(
            choices=[(one.slug, one.name) for one in projects]
        )


@page
def review_list(request: HttpRequest, visitor: Visitor) -> HttpResponse:
    """All that the visitor sees, those that are open first."""
    found = reviews.listed(
        _seen(visitor),
        open_before=_id(request.GET.get("open_before", "")),
        before=_id(request.GET.get("before", "")),
    )
    return render(
        request,
        "billing/reviews.html",
        {
            **_common(visitor, timezone.now()),
            "open": found.open,
            "older_open": found.older_open,
            "kept": [(one, _kept_figures(one)) for one in found.closed],
            "older": found.older,
            "may_open": bool(_leads(visitor)),
        },
    )


def _id(text: str) -> int | None:
    return int(text) if _ID.fullmatch(text) else None


@form_page
def new_review(request: HttpRequest, visitor: Visitor) -> HttpResponse:
    now = timezone.now()
    teams = _leads(visitor)
    if not teams:
        raise PermissionDenied
    owners = {
        project: team
        for team in teams
        for project in Project.objects.owned_by(team, now).order_by("name")
    }
    today = ReportingDays(visitor.organization).day(now)
    form = NewReviewForm(request.POST or None, projects=list(owners), today=today)
    if form.is_valid():
        asked = form.cleaned_data
        project = next(one for one in owners if one.slug == asked["project"])
        try:
            review = actions.open_review(
                team=owners[project],
                project=project,
                since=asked["since"],
                until=asked["through"] + _ONE_DAY,
                by=visitor.user.get_username(),
                now=now,
            )
        except ValidationError as error:
            add_errors(form, error, {"until": "through"})
        else:
            return redirect("review", review.pk)
    context = {**_common(visitor, now), "form": form}
    return render(
        request, "billing/new_review.html", context, status=400 if form.errors else 200
    )


@form_page
def review_page(request: HttpRequest, visitor: Visitor, review_id: int) -> HttpResponse:
    now = timezone.now()
    review = _find(visitor, review_id)
    may_close = visitor.may(Permission.EDIT_ESTIMATES, review.team)
    form, problem = CloseForm(request.POST or None), ""
    if request.method == "POST":
        if not may_close:
            raise PermissionDenied
        try:
            actions.check_open(review)
            if form.is_valid():
                _close(review, form, visitor, now)
                messages.success(request, "Closed, with its figures as they are now.")
                return redirect("review", review.pk)
        except ValidationError as error:
            problem = " ".join(error.messages)
            # Whoever closed it may have done so while this was being worked out.
            review = _find(visitor, review_id)
    found = reviews.figures(review, now=now)
    form.initial = {"decision": found.verdicts[0].action.value}
    asked = reviews.asked_of(review, found, now=now)
    return render(
        request,
        "billing/review.html",
        {
            **_common(visitor, now),
            "team": review.team,
            "review": review,
            "found": found,
            "headline": _headline(review, found),
            "effects": _effects(found.plan),
            "team_effects": _effects(found.team_plan),
            "compared": _compared(review, found),
            "accuracy": accuracy.accuracy(team=review.team, now=now),
            "verdicts": [_shown(one, asked, visitor, found) for one in found.verdicts],
            "decision": _NAMES[Action(review.decision)] if review.decision else "",
            "form": form if may_close and review.is_open else None,
            "may_plan": may_close,
            "problem": problem,
        },
        status=409 if problem else 400 if form.errors else 200,
    )


def _close(review: Review, form: CloseForm, visitor: Visitor, now: datetime) -> None:
    """Raises ValidationError for one that was closed meanwhile."""
    actions.close(
        review=review,
        decision=Action(form.cleaned_data["decision"]),
        note=form.cleaned_data["note"],
        figures=reviews.kept(review, now=now),
        by=visitor.user.get_username(),
        now=now,
    )


def _seen(visitor: Visitor) -> Any:
    its = Review.objects.filter(team__in=visitor.teams)
    return its.select_related("team__organization", "project")


def _find(visitor: Visitor, review_id: int) -> Review:
    """Raises Http404 for one that is not theirs, and for none alike."""
    review: Review | None = _seen(visitor).filter(pk=review_id).first()
    if review is None:
        raise Http404
    return review


def _leads(visitor: Visitor) -> list[Team]:
    return [team for team in visitor.teams if visitor.may(Permission.EDIT_ESTIMATES, team)]


def _common(visitor: Visitor, now: datetime) -> dict[str, Any]:
    return {
        "visitor": visitor,
        "currency": visitor.organization.currency,
        "zone": ReportingDays(visitor.organization).zone(now).key,
        "section": "reviews",
    }


def _kept_figures(review: Review) -> tuple[str, Decimal]:
    found = reviews.figures(review, now=review.opened_at)
    return _NAMES[Action(review.decision)], found.spent


# --- What is shown --------------------------------------------------------------------


def _effects(plan: PlanFigures | None) -> list[tuple[str, EffectFigure]]:
    return [(_EFFECTS[one.effect], one) for one in (plan.effects if plan else [])]


def _compared(review: Review, found: ReviewFigures) -> str:
    """The days that the plan is about, where these are not all of them."""
    plan = found.plan or found.team_plan
    stretches = plan.planned_days if plan else []
    if stretches == [review.days]:
        return ""
    return " and ".join(map(figures.span, stretches))


@dataclass(frozen=True, slots=True)
class Shown:
    """A verdict by its name, and where it is acted on."""

    name: str
    verdict: Verdict
    is_of_cap: bool
    href: str
    label: str


def _shown(verdict: Verdict, asked: Asked, visitor: Visitor, found: ReviewFigures) -> Shown:
    is_of_cap = verdict.action in _OF_CAPS
    href, label = (
        _to_cap(verdict, asked, visitor, found)
        if is_of_cap
        else _to_what_if(verdict, asked)
    )
    return Shown(_NAMES[verdict.action], verdict, is_of_cap, href, label)


def _to_cap(
    verdict: Verdict, asked: Asked, visitor: Visitor, found: ReviewFigures
) -> tuple[str, str]:
    """The editor, filled in; for who may not change budgets, the raise."""
    if found.cap is None or verdict.amount is None or verdict.action is Action.KEEP_CAP:
        return "", ""
    amount = {"amount": money.plain(verdict.amount)}
    may_edit = visitor.may(Permission.EDIT_BUDGETS, asked.team)
    if found.cap.budget is None:
        if not may_edit:
            return "", ""
        path = reverse("new-team-budget", args=[asked.team.slug])
        query = urlencode(amount | {"project": asked.project.slug})
        return f"{path}?{query}", "Set this cap"
    if may_edit:
        path = reverse("edit-budget", args=[found.cap.budget])
        return f"{path}?{urlencode(amount)}", "Change the cap"
    may_ask = visitor.may(Permission.REQUEST_RAISES, asked.team)
    if verdict.action is Action.RAISE_CAP and may_ask:
        path = reverse("ask-for-raise", args=[found.cap.budget])
        return f"{path}?{urlencode(amount)}", "Ask for a raise"
    return "", ""


def _to_what_if(verdict: Verdict, asked: Asked) -> tuple[str, str]:
    question = cheaper.question(asked, verdict)
    if question is None:
        return "", ""
    said = msgspec.json.encode(formats.plain(question)).decode()
    path = reverse("team-what-if", args=[asked.team.slug])
    label = "See it in what-if"
    if question.since != asked.days.first:
        label = f"See the last {formats.LONGEST_OF_TAGS.days} days in what-if"
    return f"{path}?{urlencode({'question': said})}", label


def _headline(review: Review, found: ReviewFigures) -> str:
    """Answers cost $1,240 from 1 to 14 Nov 2026, $240 (24 %) more than planned."""

    def amount(value: Decimal) -> str:
        return figures.with_currency(value, found.currency)

    days = figures.from_to(review.days)
    said = f"{review.project.name} cost {amount(found.spent)} {days}"
    plan = found.plan
    if plan is None and found.team_plan is not None:
        return f"{said}. It has no plan of its own: the plan is of the team."
    if plan is None:
        return f"{said}. It has no plan for these days."
    if not plan.difference:
        return f"{said}: exactly what was planned."
    percent = "" if plan.percent is None else f" ({figures.percent(abs(plan.percent))})"
    more = "more" if plan.difference > 0 else "less"
    return f"{said}: {amount(abs(plan.difference))}{percent} {more} than planned."
