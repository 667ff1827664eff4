"""`/what-if`: what past usage would have cost otherwise; questions that are kept."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from billing.actions import what_if as actions
from billing.api import estimates, lists, scopes
from billing.api import what_if_schemas as schemas
from billing.api.bodies import check_length, whole
from billing.api.problems import Refused
from billing.formats import what_if as formats
from billing.formats.errors import RecordError
from billing.formats.what_if import Question
from billing.models import SavedWhatIf
from billing.models.rates import PRICE_FIELDS
from billing.pricing import budget_periods, money
from billing.reports import what_if
from billing.reports.what_if import Answer, ModelRow, PlaceRow, Range
from teams import isolation
from teams.api.authentication import key_of
from teams.models import ApiKey, Team
from teams.models.api_keys import Scope
from teams.reporting_days import ReportingDays

_NO_BODY = b"{}"

Asked = TypeVar("Asked", bound=Question)
Found = TypeVar("Found")


class WhatIfView(APIView):
    scopes = {"GET": Scope.REPORTS_READ, "POST": Scope.REPORTS_READ}

    @schemas.get_what_if
    def get(self, request: Request) -> Response:
        asked = request.query_params.get("question", "").encode() or _NO_BODY
        return _answered(request, _read(formats.decode, asked))

    @schemas.ask_what_if
    def post(self, request: Request) -> Response:
        return _answered(request, _of_body(formats.decode, request))


class WhatIfEstimateView(APIView):
    scopes = {"POST": Scope.BUDGETS_WRITE}

    @schemas.estimate_what_if
    def post(self, request: Request) -> Response:
        key, now = key_of(request), timezone.now()
        question = _of_body(formats.decode_planned, request)
        team = scopes.team_of(key, question.team)
        days = ReportingDays(key.organization)
        try:
            month = budget_periods.month(question.month) if question.month else None
        except ValueError as error:
            raise Refused(400, "invalid", f"/month: {error}") from error
        with isolation.visible_teams([team.pk]):
            found = _asked(what_if.of_whole_days, key, question, [team], now)
        if found is None:
            raise Refused(400, "invalid", what_if.NOTHING_OVER)
        try:
            estimate = actions.plan(
                team=team,
                project=found.project,
                month=month or days.month(now)[1],
                days=(found.until - found.since).days,
                used=what_if.planned(found),
                note=what_if.note(found),
                by=str(key),
                now=now,
            )
        except ValidationError as error:
            raise Refused(400, "invalid", " ".join(error.messages)) from error
        return Response(estimates.as_json(estimate), status=201)


class SavedWhatIfsView(APIView):
    scopes = {"GET": Scope.REPORTS_READ, "POST": Scope.BUDGETS_WRITE}

    @schemas.list_saved_what_ifs
    def get(self, request: Request) -> Response:
        covered = _covered(key_of(request))
        shown, next_cursor = lists.newest(covered, request.query_params)
        return Response(
            {"data": [_saved(one) for one in shown], "next_cursor": next_cursor}
        )

    @schemas.save_what_if
    def post(self, request: Request) -> Response:
        key = key_of(request)
        question = _of_body(formats.decode_named, request)
        team = scopes.team_of(key, question.team)
        with isolation.visible_teams([team.pk]):
            _answer(key, question, [team])
        try:
            saved = actions.save(
                team=team,
                name=question.name,
                question=question,
                by=str(key),
                now=timezone.now(),
            )
        except ValidationError as error:
            raise Refused(400, "invalid", " ".join(error.messages)) from error
        return Response(_saved(saved), status=201)


class SavedWhatIfView(APIView):
    scopes = {"GET": Scope.REPORTS_READ, "DELETE": Scope.BUDGETS_WRITE}

    @schemas.get_saved_what_if
    def get(self, request: Request, saved_id: int) -> Response:
        return Response(_saved(_find(key_of(request), saved_id)))

    @schemas.forget_what_if
    def delete(self, request: Request, saved_id: int) -> Response:
        key = key_of(request)
        actions.forget(saved=_find(key, saved_id), by=str(key), now=timezone.now())
        return Response(status=204)


# --- What is asked ----------------------------------------------------------------------


def _read(decode: Callable[[bytes], Asked], body: bytes) -> Asked:
    try:
        return decode(body)
    except RecordError as error:
        raise _refused(error) from error


def _of_body(decode: Callable[[bytes], Asked], request: Request) -> Asked:
    check_length(request)
    return _read(decode, whole(request._request.body, request) or _NO_BODY)


def _refused(error: RecordError) -> Refused:
    where = f"{error.pointer}: " if error.pointer else ""
    return Refused(400, error.code, f"{where}{error.detail}")


def _answered(request: Request, question: Question) -> Response:
    key = key_of(request)
    teams = _teams(key, question)
    with isolation.visible_teams(team.pk for team in teams):
        found = _answer(key, question, teams)
    return Response({**_as_json(found), "as_of": timezone.now()})


def _teams(key: ApiKey, question: Question) -> list[Team]:
    teams = list(key.teams().order_by("slug"))
    if question.team is None:
        return teams
    named = [team for team in teams if team.slug == question.team]
    if not named:
        detail = f"This API key covers no team {question.team!r}."
        raise Refused(404, "not_found", detail)
    return named


def _answer(key: ApiKey, question: Question, teams: list[Team]) -> Answer:
    return _asked(what_if.answer, key, question, teams, timezone.now())


def _asked(
    report: Callable[..., Found],
    key: ApiKey,
    question: Question,
    teams: list[Team],
    now: datetime,
) -> Found:
    """What a report says of the usage that a key covers of these teams."""
    try:
        return report(
            question,
            organization=key.organization,
            teams=teams,
            projects=[key.project] if key.project else None,
            now=now,
        )
    except RecordError as error:
        raise _refused(error) from error


def _covered(key: ApiKey) -> QuerySet[SavedWhatIf]:
    covered = SavedWhatIf.objects.filter(team__in=scopes.teams_of(key))
    return covered.select_related("team__organization")


def _find(key: ApiKey, saved_id: int) -> SavedWhatIf:
    saved = _covered(key).filter(pk=saved_id).first()
    if saved is None:
        raise Refused(404, "not_found", f"No what-if {saved_id} is here.")
    return saved


# --- What is answered -------------------------------------------------------------------


def _as_json(found: Answer) -> dict[str, Any]:
    return {
        "question": formats.plain(found.question),
        "since": found.since,
        "until": found.until,
        "currency": found.currency,
        "charged": money.plain(found.charged),
        "adjustment": money.plain(found.adjustment),
        "difference": money.plain(found.difference),
        "before": money.plain(found.before),
        "after": _range(found.after),
        "delta": _range(found.delta),
        "percent": None if found.percent is None else money.plain(round(found.percent, 2)),
        "levers": [
            {
                "lever": one.lever,
                "effect": _range(one.amount),
                "requests": one.requests,
                "sentences": one.sentences,
                "missing": one.missing,
            }
            for one in found.effects
        ],
        "projects": [_of_project(row) for row in found.projects],
        "models": [_of_model(row) for row in found.models],
        "without_rate": [
            {
                "model": one.model,
                "processing": one.processing,
                "requests": one.requests,
                "charged": money.plain(one.charged),
            }
            for one in found.apart
        ],
        "unpriced_records": found.gaps.unpriced_records,
        "assumptions": found.assumptions,
    }


def _range(its: Range) -> dict[str, str]:
    return {
        "low": money.plain(its.low),
        "mid": money.plain(its.mid),
        "high": money.plain(its.high),
    }


def _of_project(row: PlaceRow) -> dict[str, Any]:
    return {
        "team": row.team.slug,
        "project": row.project.slug,
        "before": money.plain(row.before),
        "after": _range(row.after),
        "difference": money.plain(row.difference),
        "percent": None if row.percent is None else money.plain(round(row.percent, 2)),
    }


def _of_model(row: ModelRow) -> dict[str, Any]:
    return {
        "provider": row.model.provider,
        "model": row.model.name,
        "processing": row.processing,
        "requests_before": row.requests_before,
        "before": money.plain(row.before),
        "requests": row.requests,
        "quantities": dict(zip(PRICE_FIELDS, row.quantities, strict=True)),
        "after": money.plain(row.after),
    }


def _saved(saved: SavedWhatIf) -> dict[str, Any]:
    return {
        "id": str(saved.pk),
        "team": saved.team.slug,
        "name": saved.name,
        "question": saved.question,
        "created_by": saved.created_by,
        "created_at": saved.created_at,
    }
