"""Estimates: a list, the builder, and one of them with what is decided of it."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone

from billing.actions import estimates as actions
from billing.models import Estimate, LanguageModel, Sample, rate_book
from billing.models.estimates import Scenario
from billing.pricing.budget_periods import calendar_month
from billing.pricing.levers import Ttl
from billing.reports import accuracy, estimate_caps, estimate_view
from billing.reports import estimates as reports
from billing.reports.estimate_view import EstimateView
from billing.reports.sampled import Sampled, sampled
from billing.web import estimate_sentences as sentences
from billing.web.estimate_forms import (
    Builder,
    DecisionForm,
    initial_of,
    initial_of_sample,
)
from billing.web.fields import add_errors
from teams import permissions
from teams.models import Organization, Project, Team
from teams.permissions import Permission
from teams.reporting_days import ReportingDays
from teams.web.visitors import Visitor, form_page, page

State = Estimate.State
_ID = re.compile("[0-9]{1,18}")

# A system prompt of 8,000 tokens: what an empty builder can be filled in with.
_EXAMPLE: dict[str, Any] = {
    "input_tokens": 1_200,
    "output_tokens": 1_300,
    "prefix_tokens": 8_000,
    "cache_ttl": Ttl.FIVE_MINUTES,
    "hit_percent": 90,
    "active_days": 30,
}
_EXAMPLE_REQUESTS = {Scenario.LIGHT: 500, Scenario.MEDIUM: 1_000, Scenario.HEAVY: 2_500}
_EXAMPLE_MODELS = ("claude-sonnet-5", "claude-opus-5-5", "claude-haiku-4-5")


@page
def estimate_list(request: HttpRequest, visitor: Visitor) -> HttpResponse:
    """All of the visitor's teams: what waits, drafts, and what was approved."""
    now = timezone.now()
    rows = reports.listed(visitor.teams)
    return render(
        request,
        "billing/estimates.html",
        {
            **_common(visitor, now),
            "scenarios": Scenario.choices,
            "groups": [
                (title, [row for row in rows if row.estimate.state == state])
                for state, title in (
                    (State.SUBMITTED, "Waiting for approval"),
                    (State.DRAFT, "Drafts"),
                    (State.APPROVED, "Approved"),
                )
            ],
            "rows": rows,
            "may_make": bool(_editable(visitor)),
        },
    )


@form_page
def new_estimate(request: HttpRequest, visitor: Visitor) -> HttpResponse:
    now = timezone.now()
    teams = _editable(visitor)
    if not teams:
        raise PermissionDenied
    scopes = _scopes(teams, now)
    builder = _builder(
        request, visitor, scopes, _initial(request, visitor, scopes, now), now
    )
    return _build(request, visitor, builder, None, now)


@form_page
def edit_estimate(request: HttpRequest, visitor: Visitor, estimate_id: int) -> HttpResponse:
    now = timezone.now()
    estimate = _find(visitor, estimate_id)
    if not visitor.may(Permission.EDIT_ESTIMATES, estimate.team):
        raise PermissionDenied
    # What somebody has typed is not thrown away, whatever has become of the draft.
    changes_here = estimate.state == State.DRAFT and estimate.shapes.exists()
    if request.method != "POST" and not changes_here:
        messages.info(request, "Only a draft that was made here changes here.")
        return redirect("estimate", estimate_id=estimate.pk)
    scopes = _scopes([estimate.team], now)
    builder = _builder(request, visitor, scopes, initial_of(estimate), now)
    return _build(request, visitor, builder, estimate, now)


@form_page
def estimate_page(request: HttpRequest, visitor: Visitor, estimate_id: int) -> HttpResponse:
    """What it comes to; to who may, the buttons that submit and decide it."""
    now = timezone.now()
    estimate = _find(visitor, estimate_id)
    view = estimate_view.of(estimate)
    edits = visitor.may(Permission.EDIT_ESTIMATES, estimate.team)
    decides = visitor.may(Permission.APPROVE_ESTIMATES, estimate.team)
    approval = estimate_caps.approval(estimate, view, now=now)
    form = DecisionForm(
        request.POST or None,
        approval=approval,
        cap=view.proposed_cap if view.planned else None,
    )
    if request.method == "POST":
        step = request.POST.get("step", "")
        if not (edits if step == "submit" else decides):
            raise PermissionDenied
        try:
            version = request.POST.get("version", "")
            done = _take(step, estimate, form, visitor, version, now)
        except ValidationError as error:
            add_errors(form, error, {"amount": "cap"})
        else:
            if done:
                messages.success(request, done)
                return redirect("estimate", estimate_id=estimate.pk)
    return render(
        request,
        "billing/estimate.html",
        {
            **_common(visitor, now),
            "estimate": estimate,
            "view": view,
            "balances": sentences.of_balances(view),
            "lines": estimate.lines.select_related("model").order_by(
                "month", "scenario", "model__name", "processing"
            ),
            "approval": approval,
            "people": estimate_caps.of_people(estimate, approval, visitor.user),
            "cap": estimate_caps.of(estimate),
            "form": form,
            "edits": edits,
            "decides": decides,
            "sets_caps": visitor.may(Permission.EDIT_BUDGETS, estimate.team),
            "planned_months": reports.planned_months(estimate),
        },
    )


def _take(
    step: str,
    estimate: Estimate,
    form: DecisionForm,
    visitor: Visitor,
    version: str,
    now: datetime,
) -> str:
    """Take a step, and say what is done; nothing where the form says what is wrong."""
    by = visitor.user.get_username()
    if step == "take_back_cap":
        actions.take_back_cap(estimate=estimate, by=by, now=now)
        return "The cap is taken back. The plan stays."
    if step == "submit":
        actions.submit(
            estimate=estimate, by=by, person=visitor.user, now=now, version=version
        )
        return "Submitted. Those who may approve it have been told."
    form.full_clean()
    if step == "send_back" and "note" not in form.errors:
        note = form.cleaned_data["note"]
        actions.send_back(estimate=estimate, note=note, by=by, now=now, version=version)
        return "Sent back: it is a draft again."
    if step != "approve" or not form.is_valid():
        return ""
    cap = form.cleaned_data["cap"]
    if cap is not None and not visitor.may(Permission.EDIT_BUDGETS, estimate.team):
        raise PermissionDenied
    actions.approve(
        estimate=estimate,
        by=by,
        now=now,
        cap=cap,
        version=version,
        person=visitor.user,
    )
    return "Approved: it is the plan of its months."


# --- The builder --------------------------------------------------------------------


def _build(
    request: HttpRequest,
    visitor: Visitor,
    builder: Builder,
    estimate: Estimate | None,
    now: datetime,
) -> HttpResponse:
    """What is typed stays; it is kept when that is asked for and nothing is wrong."""
    view: EstimateView | None = None
    step = request.POST.get("step", "")
    seen = request.POST.get("version", "")
    is_stale = (
        request.method == "POST" and estimate is not None and seen != estimate.version
    )
    if step == "words":
        builder.fill_in_words()
    elif step == "add_model":
        builder.add_model()
    elif request.method == "POST" and builder.is_valid():
        try:
            view = estimate_view.compute(builder.wanted, now=now)
            if step == "save" and not is_stale:
                kept = _save(builder, visitor, estimate, now)
                messages.success(request, "Saved as a draft.")
                return redirect("estimate", estimate_id=kept.pk)
        except ValidationError as error:
            builder.add_error(error)
    return render(
        request,
        "billing/estimate_builder.html",
        {
            **_common(visitor, now),
            "builder": builder,
            "estimate": estimate,
            "is_stale": is_stale,
            "view": view,
            "balances": sentences.of_balances(view) if view else [],
            "team": builder.team,
            "accuracy": accuracy.accuracy(team=builder.team, now=now),
        },
    )


def _save(
    builder: Builder, visitor: Visitor, estimate: Estimate | None, now: datetime
) -> Estimate:
    team, project = builder.scope
    wanted = builder.wanted
    return actions.save_shapes(
        team=team,
        project=project,
        month=wanted.month,
        months=wanted.months,
        shapes=wanted.shapes,
        models=wanted.models,
        plan=wanted.plan,
        contingency_percent=wanted.contingency_percent,
        source=wanted.source,
        reference=wanted.reference,
        sample=_sample(visitor, builder.terms.cleaned_data["sample"]),
        note=builder.terms.cleaned_data["note"],
        by=visitor.user.get_username(),
        now=now,
        estimate=estimate,
        version=estimate and estimate.version,
    )


def _builder(
    request: HttpRequest,
    visitor: Visitor,
    scopes: Mapping[str, tuple[Team, Project | None]],
    initial: Mapping[str, Any],
    now: datetime,
) -> Builder:
    named = request.POST.get("sample") or initial.get("sample") or ""
    return Builder(
        request.POST or None,
        organization=visitor.organization,
        scopes=scopes,
        models=_priced_models(visitor.organization),
        initial=initial,
        found=_sampled(visitor, str(named), None, now),
    )


def _initial(
    request: HttpRequest,
    visitor: Visitor,
    scopes: Mapping[str, tuple[Team, Project | None]],
    now: datetime,
) -> dict[str, Any]:
    """By the address: a copy of another one, the example, or an empty one."""
    this_month = calendar_month(ReportingDays(visitor.organization).day(now))
    given = {"month": f"{this_month.until:%Y-%m}"}
    asked = request.GET
    for key, (team, project) in scopes.items():
        if asked.get("project") == (project and project.slug) and project:
            return given | {"scope": key} | _example(asked)
        if asked.get("team") == team.slug and project is None:
            given["scope"] = key
    if _ID.fullmatch(copied := asked.get("copy", "")):
        return initial_of(_find(visitor, int(copied))) | given
    if "sample" in asked:
        found = _sampled(visitor, asked["sample"], asked.get("reference"), now)
        return given | (initial_of_sample(found) if found else {})
    return given | _example(asked)


def _sampled(
    visitor: Visitor, named: str, reference: str | None, now: datetime
) -> Sampled | None:
    """What a sample knows; nothing where it is none of the visitor's."""
    sample = _sample(visitor, int(named)) if _ID.fullmatch(named) else None
    if sample is None:
        return None
    pk = int(reference) if reference and _ID.fullmatch(reference) else 0
    whose = LanguageModel.objects.filter(pk=pk).first()
    return sampled(sample, now, whose)


def _sample(visitor: Visitor, pk: int | None) -> Sample | None:
    """One of the visitor's teams."""
    mine = Sample.objects.filter(team__in=visitor.teams).select_related("team")
    return None if pk is None else mine.filter(pk=pk).first()


def _example(asked: Mapping[str, str]) -> dict[str, Any]:
    if "example" not in asked:
        return {}
    models = LanguageModel.objects.filter(provider="anthropic", name__in=_EXAMPLE_MODELS)
    by_name = {model.name: model.pk for model in models}
    return {
        "source": "An example: a system prompt that every request repeats.",
        "contingency_percent": 20,
        "shapes": {
            scenario: {**_EXAMPLE, "requests_per_day": requests}
            for scenario, requests in _EXAMPLE_REQUESTS.items()
        },
        "models": [
            {"model": by_name[name], "share_percent": 0 if number else 100}
            for number, name in enumerate(_EXAMPLE_MODELS)
            if name in by_name
        ],
    }


def _editable(visitor: Visitor) -> list[Team]:
    """The teams whose estimates the visitor may make."""
    teams = permissions.teams_of(visitor.user, Permission.EDIT_ESTIMATES)
    of_organization = teams.filter(organization=visitor.organization)
    return list(of_organization.select_related("organization").order_by("name", "pk"))


def _scopes(teams: list[Team], now: datetime) -> dict[str, tuple[Team, Project | None]]:
    """Each team and the projects it owns, by what the form posts."""
    found: dict[str, tuple[Team, Project | None]] = {}
    for team in teams:
        found[f"team-{team.pk}"] = (team, None)
        owned = Project.objects.owned_by(team, now).filter(archived_at=None)
        for project in owned.order_by("name", "pk"):
            found[f"project-{project.pk}"] = (team, project)
    return found


def _priced_models(organization: Organization) -> list[LanguageModel]:
    """Those that have a rate, by provider and name."""
    book = rate_book.current(organization.pk)
    priced = {model for model, *_ in book.rates.every_key()}
    models = LanguageModel.objects.order_by("provider", "display_name", "pk")
    return [model for model in models if model.key in priced]


def _find(visitor: Visitor, estimate_id: int) -> Estimate:
    found = Estimate.objects.with_scope().filter(pk=estimate_id, team__in=visitor.teams)
    estimate = found.first()
    if estimate is None:
        raise Http404
    return estimate


def _common(visitor: Visitor, now: datetime) -> dict[str, Any]:
    return {
        "visitor": visitor,
        "currency": visitor.organization.currency,
        "zone": ReportingDays(visitor.organization).zone(now).key,
        "now": now,
        "section": "estimates",
    }
