"""The budget editor: new, changed and ended budgets, with what a cap would have said."""

import re
from dataclasses import dataclass
from datetime import datetime

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone

from billing.actions import budgets
from billing.actions.budgets import Limits, Terms
from billing.models import Budget
from billing.pricing import figures
from billing.pricing.budget_periods import PeriodKind
from billing.reports import budget_preview, estimate_caps, recommended_cap
from billing.reports.budget_preview import BudgetPreview
from billing.web.budget_forms import NAMES, EndForm, NewBudgetForm, TermsForm
from billing.web.fields import add_errors, suggested
from teams.models import Project, Team
from teams.permissions import Permission
from teams.reporting_days import ReportingDays
from teams.web.visitors import Visitor, form_page

_CHANGED_MEANWHILE = (
    "This budget was changed meanwhile: see its history. Saved now, these terms replace it."
)


@dataclass(frozen=True, slots=True)
class Found:
    """A budget that the visitor sees, and the team it belongs to (None: all of them)."""

    budget: Budget
    team: Team | None


def find(visitor: Visitor, budget_id: int, now: datetime) -> Found:
    """Raises Http404 for a budget that is not theirs to see, and for none alike."""
    budgets_ = Budget.objects.with_scope().filter(organization=visitor.organization)
    budget = budgets_.filter(pk=budget_id).first()
    if budget is None:
        raise Http404
    owner_id = budget.owner_id(now)
    if owner_id is None:
        if not visitor.sees_organization:
            raise Http404
        return Found(budget, None)
    team = next((one for one in visitor.teams if one.pk == owner_id), None)
    if team is None:
        raise Http404
    return Found(budget, team)


def page_of(found: Found) -> str:
    """Where the budget is looked at."""
    if found.team is None:
        return reverse("home")
    return f"{reverse('team', args=[found.team.slug])}?budget={found.budget.pk}"


@form_page
def new_team_budget(request: HttpRequest, visitor: Visitor, slug: str) -> HttpResponse:
    return _new(request, visitor, visitor.team(slug))


@form_page
def new_organization_budget(request: HttpRequest, visitor: Visitor) -> HttpResponse:
    return _new(request, visitor, None)


def _new(request: HttpRequest, visitor: Visitor, team: Team | None) -> HttpResponse:
    _require_editing(visitor, team)
    now = timezone.now()
    form = NewBudgetForm(
        request.POST or None,
        organization=visitor.organization,
        team=team,
        projects=list(Project.objects.owned_by(team, now).order_by("name")) if team else [],
        amount=suggested(request.GET.get("amount", "")),
        project=request.GET.get("project", ""),
    )
    planned = _planned(form, now)
    if form.is_valid() and "preview" not in request.POST:
        try:
            made = _create(form, visitor, now)
        except ValidationError as error:
            add_errors(form, error, NAMES)
        else:
            messages.success(request, "The budget is set.")
            return redirect(page_of(Found(made, team)))
    preview = budget_preview.budget_preview(planned, now=now) if planned else None
    title = f"New budget of {team.name if team else visitor.organization.name}"
    return _editor(request, visitor, form, preview, title=title, team=team, planned=planned)


def _planned(form: NewBudgetForm, now: datetime) -> Budget | None:
    """The budget as it would be made; none where the form then says what is wrong."""
    if not form.has_terms:
        return None
    try:
        budget = form.budget
        budgets.check_new(budget, now=now)
    except ValidationError as error:
        add_errors(form, error, NAMES)
        return None
    return budget


def _create(form: NewBudgetForm, visitor: Visitor, now: datetime) -> Budget:
    wanted = form.budget
    return budgets.create(
        organization=visitor.organization,
        team=wanted.team,
        project=wanted.project,
        limits=Limits(
            tuple(wanted.model_ids),
            tuple(wanted.processing),
            wanted.tag_key,
            tuple(wanted.tag_values),
        ),
        period=PeriodKind(wanted.period),
        week_starts_on=wanted.week_starts_on,
        fiscal_starts_in=wanted.fiscal_starts_in,
        custom=wanted.window.custom,
        terms=Terms(**form.terms),
        by=visitor.user.get_username(),
        now=now,
        reason=form.cleaned_data["reason"],
    )


@form_page
def edit_budget(request: HttpRequest, visitor: Visitor, budget_id: int) -> HttpResponse:
    now = timezone.now()
    found = find(visitor, budget_id, now)
    _require_editing(visitor, found.team)
    budget = found.budget
    amount = suggested(request.GET.get("amount", ""))
    form = TermsForm.of(budget, request.POST or None, amount=amount)
    seen = _revision_seen(request)
    if seen not in (None, budget.revision):
        form.add_error(None, _CHANGED_MEANWHILE)
    changed = _changed(budget, form, now)
    preview = None  # of what is wrong there is none
    if not form.has_wrong_terms:
        preview = budget_preview.budget_preview(changed, now=now)
    if form.is_valid() and "preview" not in request.POST:
        try:
            budgets.amend(
                budget=budget,
                changes=form.terms,
                by=visitor.user.get_username(),
                now=now,
                reason=form.cleaned_data["reason"],
                revision=seen,
            )
        except ValidationError as error:
            add_errors(form, error, NAMES)
        else:
            messages.success(request, "The budget is changed.")
            return redirect(page_of(found))
    return _editor(
        request,
        visitor,
        form,
        preview,
        title=f"Budget of {budget.project or budget.team or budget.organization}",
        team=found.team,
        budget=budget,
        planned=changed if preview else None,
    )


@form_page
def end_budget(request: HttpRequest, visitor: Visitor, budget_id: int) -> HttpResponse:
    now = timezone.now()
    found = find(visitor, budget_id, now)
    _require_editing(visitor, found.team)
    form = EndForm(request.POST or None)
    if form.is_valid():
        budgets.archive(
            budget=found.budget,
            by=visitor.user.get_username(),
            now=now,
            reason=form.cleaned_data["reason"],
        )
        messages.success(request, "The budget has ended.")
        return redirect(page_of(found).partition("?")[0])
    context = {"visitor": visitor, "found": found, "budget": found.budget, "form": form}
    return render(request, "billing/end_budget.html", context | {"back": page_of(found)})


def _require_editing(visitor: Visitor, team: Team | None) -> None:
    if not visitor.may(Permission.EDIT_BUDGETS, team):
        raise PermissionDenied


def _changed(budget: Budget, form: TermsForm, now: datetime) -> Budget:
    """The budget as it would be, not saved; as it is where the form then says what is
    wrong, or nothing yet."""
    if not form.has_terms:
        return budget
    changed = Budget.objects.with_scope().get(pk=budget.pk)
    before = Terms.of(changed)
    try:
        Terms.of(changed, **form.terms).put_on(changed)
        budgets.check_changed(changed, before=before, now=now)
    except ValidationError as error:
        add_errors(form, error, NAMES)
        return budget
    return changed


def _revision_seen(request: HttpRequest) -> int | None:
    """The revision that the form was filled in over, where it says so."""
    said = request.POST.get("revision", "")
    return int(said) if re.fullmatch("[0-9]{1,9}", said) else None


def _editor(
    request: HttpRequest,
    visitor: Visitor,
    form: TermsForm,
    preview: BudgetPreview | None,
    *,
    title: str,
    team: Team | None,
    budget: Budget | None = None,
    planned: Budget | None = None,
) -> HttpResponse:
    """`planned` has the terms that the preview is of."""
    if "preview" in request.POST:
        form.errors.pop("reason", None)  # nothing is saved that needs one
    revisions = list(budget.revisions.order_by("revision")) if budget else []
    return render(
        request,
        "billing/budget_editor.html",
        {
            "visitor": visitor,
            "title": title,
            "team": team,
            "budget": budget,
            "form": form,
            "preview": preview,
            "advice": _advice(planned),
            "to_come": estimate_caps.to_come(budget) if budget else [],
            "history": list(zip(revisions, [None, *revisions], strict=False))[::-1],
            "currency": visitor.organization.currency,
            "is_raised": budget is not None and budget.cap(timezone.now()) != budget.amount,
            "zone": ReportingDays(visitor.organization).zone(timezone.now()).key,
            "back": page_of(Found(budget, team)) if budget else _place(team),
        },
    )


def _advice(planned: Budget | None) -> str:
    """How often the next periods pass this cap, and which they pass seldom."""
    if planned is None:
        return ""
    found = recommended_cap.recommended_cap(planned, now=timezone.now())
    if found is None:
        return ""
    currency = planned.organization.currency
    expected = figures.with_currency(found.forecast.expected, currency)
    fitting = figures.with_currency(found.amount, currency)
    said = (
        f"The next {found.kind} is expected to cost {expected}. "
        f"{figures.with_currency(planned.amount, currency)} is passed "
        f"{found.odds(planned.amount)}"
    )
    if found.amount != planned.amount:
        said += f", {fitting} {found.odds(found.amount)}"
    said += "."
    if (reached := found.exhausted_on(planned.amount)) is not None:
        day = f"{reached.day} {reached:%b %Y}"
        said += f" It is expected to be reached by {day}."
    low = found.forecast.low_confidence is not None
    return f"{said}{' Low confidence.' if low else ''}"


def _place(team: Team | None) -> str:
    return reverse("team", args=[team.slug]) if team else reverse("home")
