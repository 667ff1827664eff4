"""Raises: a lead asks, an approver decides, everybody concerned sees why."""

import re
from datetime import datetime
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone

from billing.actions import raises as actions
from billing.models import RaiseRequest
from billing.pricing import caps
from billing.reports import budget_view
from billing.reports import raises as reports
from billing.web import budget_editor, pictures, sentences
from billing.web.budget_editor import Found
from billing.web.budget_forms import AskForm, DecisionForm
from billing.web.fields import add_errors, suggested
from teams.permissions import Permission
from teams.reporting_days import ReportingDays
from teams.web.visitors import Visitor, form_page, page


@page
def raise_requests(request: HttpRequest, visitor: Visitor) -> HttpResponse:
    """All that the visitor sees, those that wait first."""
    now = timezone.now()
    found = reports.requests_of(
        organization=visitor.organization,
        teams=visitor.teams,
        whole=visitor.sees_organization,
        now=now,
    )
    before = request.GET.get("before", "")
    shown = reports.listed(
        found, before=int(before) if re.fullmatch("[0-9]{1,18}", before) else None, now=now
    )
    return render(
        request,
        "billing/raises.html",
        {
            **_common(visitor, now),
            "waiting": shown.waiting,
            "ended": [(one, one.state_at(now)) for one in shown.ended],
            "older": shown.older,
            "section": "raises",
        },
    )


@form_page
def ask_for_raise(request: HttpRequest, visitor: Visitor, budget_id: int) -> HttpResponse:
    now = timezone.now()
    found = budget_editor.find(visitor, budget_id, now)
    if not visitor.may(Permission.REQUEST_RAISES, found.team):
        raise PermissionDenied
    form = AskForm(
        request.POST or None,
        organization=visitor.organization,
        today=ReportingDays(visitor.organization).day(now),
        initial={"amount": suggested(request.GET.get("amount", ""))},
    )
    if form.is_valid():
        try:
            asked = actions.ask(
                budget=found.budget,
                amount=form.cleaned_data["amount"],
                until=form.until,
                reason=form.cleaned_data["reason"],
                by=visitor.user.get_username(),
                person=visitor.user,
                now=now,
            )
        except ValidationError as error:
            add_errors(form, error, {"until": "through"})
        else:
            messages.success(request, "Asked. Those who may decide have been told.")
            return redirect("raise", request_id=asked.pk)
    return render(
        request,
        "billing/ask_for_raise.html",
        {
            **_common(visitor, now),
            **_evidence(visitor, found, now),
            "form": form,
            "asked": RaiseRequest.objects.waiting(now).of(
                found.budget, visitor.user.get_username(), visitor.user
            ),
        },
    )


@form_page
def raise_request(request: HttpRequest, visitor: Visitor, request_id: int) -> HttpResponse:
    """A request with its evidence; to who may, the buttons that decide it."""
    now = timezone.now()
    asked = _find(visitor, request_id)
    found = budget_editor.find(visitor, asked.budget_id, now)
    decided = reports.decided(asked, now=now)
    form = DecisionForm.of(
        asked,
        decided,
        ReportingDays(visitor.organization).day(now),
        request.POST or None,
    )
    is_asker = asked.asker_id == visitor.user.pk
    decides = visitor.may(Permission.EDIT_BUDGETS, found.team) and not is_asker
    if request.method == "POST":
        step = request.POST.get("step", "")
        if step != "withdraw" and not decides:
            raise PermissionDenied
        try:
            done = _take(step, asked, form, visitor, now)
        except ValidationError as error:
            add_errors(form, error, {"until": "through"})
        else:
            if done:
                messages.success(request, done)
                return redirect("raise", request_id=asked.pk)
    state = asked.state_at(now)
    evidence = _evidence(visitor, found, now)
    return render(
        request,
        "billing/raise.html",
        {
            **_common(visitor, now),
            **evidence,
            "asked": asked,
            "ends_earlier": reports.ends_earlier(asked, now=now),
            "used_then": caps.percent(evidence["view"].status.spent, asked.amount),
            "state": state,
            "is_pending": state == RaiseRequest.State.PENDING,
            "is_asker": is_asker,
            "own_approval": next(
                (one for one in decided.approvals if one.decider_id == visitor.user.pk),
                None,
            ),
            "decides": decides,
            "decided": decided,
            "form": form,
        },
    )


def _find(visitor: Visitor, request_id: int) -> RaiseRequest:
    found = RaiseRequest.objects.with_budget().filter(
        pk=request_id, budget__organization=visitor.organization
    )
    asked = found.first()
    if asked is None:
        raise Http404
    return asked


def _take(
    step: str, asked: RaiseRequest, form: DecisionForm, visitor: Visitor, now: datetime
) -> str:
    """Take a step, and say what is done; nothing where the form says what is wrong."""
    who: dict[str, Any] = {
        "by": visitor.user.get_username(),
        "person": visitor.user,
        "now": now,
    }
    if step == "withdraw":
        actions.withdraw(request=asked, **who)
        return "The request is withdrawn."
    form.full_clean()
    if step == "decline" and "note" not in form.errors:
        actions.decline(request=asked, note=form.cleaned_data["note"], **who)
        return "The request is declined."
    if step != "approve" or not form.is_valid():
        return ""
    after = actions.approve(
        request=asked,
        amount=form.cleaned_data["amount"],
        until=form.until,
        note=form.cleaned_data["note"],
        **who,
    )
    if after.state == RaiseRequest.State.APPROVED:
        return "Approved: the new cap is in force."
    return "Approved by you. One more person has to approve the same."


def _common(visitor: Visitor, now: datetime) -> dict[str, Any]:
    return {
        "visitor": visitor,
        "currency": visitor.organization.currency,
        "zone": ReportingDays(visitor.organization).zone(now).key,
        "now": now,
    }


def _evidence(visitor: Visitor, found: Found, now: datetime) -> dict[str, Any]:
    """The budget as it stands: its sentence, bar, chart, and what changed most."""
    visible = [team.pk for team in visitor.teams]
    budget = found.budget
    view = budget_view.running_view(
        budget, team=found.team, visible_team_ids=visible, now=now
    )
    currency = visitor.organization.currency
    who = str(budget.project or budget.team or budget.organization)
    zone = ReportingDays(visitor.organization).zone(now).key
    return {
        "budget": budget,
        "team": found.team,
        "view": view,
        "who": who,
        "headline": sentences.of_budget(who, view, currency),
        "period_name": sentences.period_name(view.status),
        "during": sentences.during(view.status),
        "bar": pictures.bar(view.status, pace=view.elapsed_percent),
        "burn_up": pictures.burn_up_of(view, currency, zone),
        "figures": pictures.figures_of(view),
        "movers": reports.movers(view, visible_team_ids=visible),
        "back": budget_editor.page_of(found),
    }
