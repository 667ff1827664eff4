"""What-if: levers pulled on a team's past usage; the address holds the question."""

import re
from datetime import date, datetime, timedelta
from typing import Any

import msgspec
from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode

from billing.actions import what_if as actions
from billing.charts import before_after
from billing.charts.before_after import Pair
from billing.charts.look import Spec
from billing.formats import what_if as formats
from billing.formats.errors import RecordError
from billing.formats.what_if import Question
from billing.models import DailySpend, LanguageModel, SavedWhatIf
from billing.pricing import figures
from billing.pricing.budget_periods import Period
from billing.reports import what_if
from billing.reports.what_if import Answer
from billing.web import lists
from billing.web.what_if_forms import AskingForms
from teams.models import Project, Team
from teams.permissions import Permission
from teams.reporting_days import ReportingDays
from teams.web.visitors import Visitor, form_page

_ONE_DAY = timedelta(days=1)
_A_YEAR = timedelta(days=366)
_DRAWN = 12
_ID = re.compile("[0-9]{1,18}")
_NAMES = {
    "models": "Other models",
    "batch": "Batches",
    "caching": "Prompt caching",
    "output": "Output length",
    "prices": "Other prices",
}


@form_page
def team_what_if(request: HttpRequest, visitor: Visitor, slug: str) -> HttpResponse:
    now = timezone.now()
    team = visitor.team(slug)
    today = ReportingDays(team.organization).day(now)
    used = _used_models(team, today)
    projects = _projects(team)
    asking = AskingForms(
        request.GET,
        projects=[(project.slug, project.name) for project in projects],
        models=[(model.key, model.display_name) for model in used],
        days=(today + _ONE_DAY - timedelta(days=what_if.DAYS), today + _ONE_DAY),
    )
    found = _answer(asking, team, now)
    problem = ""
    if request.method == "POST":
        if not visitor.may(Permission.EDIT_ESTIMATES, team):
            raise PermissionDenied
        try:
            if done := _take(request, visitor, team, found, now):
                return done
        except ValidationError as error:
            problem = " ".join(error.messages)
    saved, older = lists.newest(SavedWhatIf.objects.filter(team=team), request.GET)
    context = {
        "visitor": visitor,
        "page": {"team": team},
        "team": team,
        "now": now,
        "currency": team.organization.currency,
        "zone": ReportingDays(team.organization).zone(now).key,
        "form": asking.form,
        "moves": asking.moves,
        "targets": _targets(used),
        "found": found,
        "saved": [_linked(one, team) for one in saved],
        "older": older,
        "may_save": visitor.may(Permission.EDIT_ESTIMATES, team),
        "problem": problem,
        "typed_name": request.POST.get("name", ""),
        **(_shown(found, team) if found else {}),
    }
    return render(request, "billing/what_if.html", context)


def _used_models(team: Team, today: date) -> list[LanguageModel]:
    days = DailySpend.objects.filter(team_id=team.pk, day__gt=today - _A_YEAR)
    ids = list(days.order_by().values_list("model_id", flat=True).distinct())
    return list(LanguageModel.objects.filter(pk__in=ids).order_by("provider", "name"))


def _targets(used: list[LanguageModel]) -> list[LanguageModel]:
    """Models to move to: of the providers that are used already."""
    providers = {model.provider for model in used}
    return list(LanguageModel.objects.filter(provider__in=providers).order_by("name"))


def _projects(team: Team) -> list[Project]:
    owned = Project.objects.filter(ownerships__team=team).distinct()
    return list(owned.order_by("name"))


def _answer(asking: AskingForms, team: Team, now: datetime) -> Answer | None:
    question = asking.question()
    if question is None:
        return None
    try:
        return what_if.answer(
            question, organization=team.organization, teams=[team], now=now
        )
    except RecordError as error:
        asking.refuse(error)
        return None


# --- What is done with an answer --------------------------------------------------------


def _take(
    request: HttpRequest, visitor: Visitor, team: Team, found: Answer | None, now: datetime
) -> HttpResponse | None:
    """Where to go after a step; None where there is nothing to take it with."""
    by = visitor.user.get_username()
    step = request.POST.get("step", "")
    if step == "forget":
        number = request.POST.get("saved", "")
        its = SavedWhatIf.objects.filter(
            team=team, pk=int(number) if _ID.fullmatch(number) else 0
        )
        saved = get_object_or_404(its)
        actions.forget(saved=saved, by=by, now=now)
        messages.success(request, f"{saved.name} is forgotten.")
        return redirect(request.get_full_path())
    if found is None:
        return None
    if step == "save":
        name = request.POST.get("name", "")
        saved = actions.save(team=team, name=name, question=found.question, by=by, now=now)
        messages.success(request, f"Saved as {saved.name}.")
        return redirect(_address(team, found.question))
    if step == "plan":
        whole = what_if.of_whole_days(
            found.question, organization=team.organization, teams=[team], now=now
        )
        if whole is None:
            raise ValidationError(what_if.NOTHING_OVER)
        estimate = actions.plan(
            team=team,
            project=whole.project,
            month=ReportingDays(team.organization).month(now)[1],
            days=(whole.until - whole.since).days,
            used=what_if.planned(whole),
            note=what_if.note(whole),
            by=by,
            now=now,
        )
        messages.success(request, f"A draft for {estimate.month:%B %Y} is made of it.")
        return redirect("estimate", estimate_id=estimate.pk)
    return None


def _address(team: Team, question: Question) -> str:
    said = msgspec.json.encode(formats.plain(question)).decode()
    return f"{reverse('team-what-if', args=[team.slug])}?{urlencode({'question': said})}"


def _linked(saved: SavedWhatIf, team: Team) -> dict[str, Any]:
    """A saved one with its address; what cannot be read any more says why."""
    try:
        return {"saved": saved, "href": _address(team, formats.read(saved.question))}
    except RecordError as error:
        return {"saved": saved, "problem": error.detail}


# --- What is shown of it ----------------------------------------------------------------


def _shown(found: Answer, team: Team) -> dict[str, Any]:
    # By the team, for a key may cover more.
    asked = {"team": team.slug} | formats.plain(found.question)
    said = msgspec.json.encode(asked).decode()
    return {
        "headline": _headline(found),
        "span": figures.span(Period(found.since, found.until)),
        "chart": _chart(found),
        "effects": [(_NAMES[one.lever], one) for one in found.effects],
        "api": f"/api/v1/what-if?{urlencode({'question': said})}",
    }


def _headline(found: Answer) -> str:
    days = figures.from_to(Period(found.since, found.until))
    if found.is_empty:
        return f"Nothing was used {days}."
    before = figures.with_currency(found.before, found.currency)
    if not found.question.asks:
        return f"The usage {days} costs {before} at the rates of its days. Pull a lever."
    delta = found.delta
    if not any((delta.low, delta.mid, delta.high)):
        return f"The usage {days} would have cost the same: {before}."
    after = figures.with_currency(found.after.mid, found.currency)
    change = figures.with_currency(abs(delta.mid), found.currency)
    percent = figures.percent(abs(found.percent)) if found.percent is not None else ""
    word = "less" if delta.mid < 0 else "more"
    said = (
        f"The usage {days} would have cost {after} instead of {before}: {change} {word}"
        f"{f' ({percent})' if percent else ''}."
    )
    if delta.is_certain:
        return said
    low = figures.with_currency(found.after.low, found.currency)
    high = figures.with_currency(found.after.high, found.currency)
    return f"{said} By how many tokens the same text is there, {low} to {high}."


def _chart(found: Answer) -> Spec | None:
    if not found.effects or not found.projects:
        return None
    return before_after.before_after(
        [
            Pair(
                row.project.name,
                row.before,
                row.after.mid,
                (
                    figures.with_currency(row.before, found.currency),
                    figures.with_currency(row.after.mid, found.currency),
                ),
            )
            for row in found.projects[:_DRAWN]
        ]
    )
