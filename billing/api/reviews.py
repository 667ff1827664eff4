"""`/reviews`: what days of a project cost, why, and what was decided; the reports
`recommended-cap` and `estimate-accuracy`."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from billing.actions import reviews as actions
from billing.api import budgets, lists, scopes
from billing.api import review_schemas as schemas
from billing.api.amounts import AmountField
from billing.api.problems import Refused
from billing.models import Budget, Review
from billing.pricing import money
from billing.pricing.recommendations import Action, Verdict
from billing.reports import accuracy, recommended_cap, reviews
from billing.reports.accuracy import PastMonth
from billing.reports.recommended_cap import RecommendedCap
from billing.reports.reviews import (
    CapFigures,
    ModelFigures,
    PlanFigures,
    ReviewFigures,
)
from teams import isolation
from teams.api.authentication import key_of
from teams.models import ApiKey
from teams.models.api_keys import Scope

_CENT = Decimal("0.01")


class ReviewInput(serializers.Serializer[Any]):
    """Days are those of the reporting zone; `until` is the day after the last."""

    project = serializers.SlugField(required=False)
    since = serializers.DateField()
    until = serializers.DateField()


class ReviewsView(APIView):
    scopes = {"GET": Scope.BUDGETS_READ, "POST": Scope.BUDGETS_WRITE}

    @schemas.list_reviews
    def get(self, request: Request) -> Response:
        covered = _covered(key_of(request))
        listed, next_cursor = lists.newest(covered, request.query_params)
        return Response({"data": list(map(head, listed)), "next_cursor": next_cursor})

    @schemas.create_review
    def post(self, request: Request) -> Response:
        key, now = key_of(request), timezone.now()
        wanted = ReviewInput(data=request.data)
        wanted.is_valid(raise_exception=True)
        asked = wanted.validated_data
        if "project" not in asked and key.project is None:
            raise serializers.ValidationError({"project": "Say which project."})
        team, project = scopes.spender_of(key, None, asked.get("project"), now)
        if project is None:
            raise Refused(404, "not_found", "This API key covers no such project.")
        try:
            review = actions.open_review(
                team=team,
                project=project,
                since=asked["since"],
                until=asked["until"],
                by=str(key),
                now=now,
            )
        except ValidationError as error:
            raise Refused(400, "invalid", " ".join(error.messages)) from error
        return Response(_as_json(review, now), status=201)


class ReviewView(APIView):
    scopes = {"GET": Scope.BUDGETS_READ}

    @schemas.get_review
    def get(self, request: Request, review_id: int) -> Response:
        return Response(_as_json(_found(key_of(request), review_id), timezone.now()))


class CloseInput(serializers.Serializer[Any]):
    decision = serializers.ChoiceField(list(Action))
    note = serializers.CharField(max_length=1000, required=False, default="")


class ReviewClosureView(APIView):
    scopes = {"POST": Scope.BUDGETS_WRITE}

    @schemas.close_review
    def post(self, request: Request, review_id: int) -> Response:
        key, now = key_of(request), timezone.now()
        wanted = CloseInput(data=request.data)
        wanted.is_valid(raise_exception=True)
        review = _found(key, review_id)
        with isolation.visible_teams([review.team_id]):
            figures = reviews.kept(review, now=now)
        try:
            closed = actions.close(
                review=review,
                decision=Action(wanted.validated_data["decision"]),
                note=wanted.validated_data["note"],
                figures=figures,
                by=str(key),
                now=now,
            )
        except ValidationError as error:
            raise Refused(409, "not_possible", " ".join(error.messages)) from error
        return Response(_as_json(closed, now))


def _covered(key: ApiKey) -> QuerySet[Review]:
    """Those of its teams; with a key bound to a project, of that project."""
    its = Review.objects.select_related("team__organization", "project")
    if key.project_id is not None:
        return its.filter(project=key.project_id, team__in=key.teams())
    return its.filter(team__in=scopes.teams_of(key))


def _found(key: ApiKey, review_id: int) -> Review:
    review = _covered(key).filter(pk=review_id).first()
    if review is None:
        raise Refused(404, "not_found", f"This API key covers no review {review_id}.")
    return review


# --- Reviews as JSON ------------------------------------------------------------------


def head(review: Review) -> dict[str, Any]:
    return {
        "id": str(review.pk),
        "team": review.team.slug,
        "project": review.project.slug,
        "since": review.since,
        "until": review.until,
        "state": review.state,
        "by_itself": review.by_itself,
        "opened_by": review.opened_by,
        "opened_at": review.opened_at,
        "decision": review.decision or None,
        "note": review.note,
        "closed_by": review.closed_by or None,
        "closed_at": review.closed_at,
    }


def _as_json(review: Review, now: datetime) -> dict[str, Any]:
    with isolation.visible_teams([review.team_id]):
        figures = reviews.figures(review, now=now)
    return head(review) | _figures(figures)


def _figures(its: ReviewFigures) -> dict[str, Any]:
    return {
        "as_of": its.as_of,
        "currency": its.currency,
        "days": its.days,
        "records": its.records,
        "spent": money.plain(its.spent),
        "spent_without_plan": money.plain(its.outside),
        "unpriced_records": its.unpriced_records,
        "plan": _plan(its.plan) if its.plan else None,
        "team_plan": _plan(its.team_plan) if its.team_plan else None,
        "models": [_model(one) for one in its.models],
        "recommended_cap": _cap(its.cap) if its.cap else None,
        "verdicts": [_verdict(one) for one in its.verdicts],
    }


def _plan(its: PlanFigures) -> dict[str, Any]:
    return {
        "planned": money.plain(its.planned),
        "actual": money.plain(its.actual),
        "difference": money.plain(its.difference),
        "difference_percent": _plain(its.percent),
        "planned_requests": its.planned_requests,
        "requests": its.requests,
        "planned_days": [{"from": one.first, "to": one.until} for one in its.planned_days],
        "effects": [
            {
                "effect": one.effect,
                "amount": money.plain(one.amount),
                "sentence": one.sentence,
            }
            for one in its.effects
        ],
    }


def _model(its: ModelFigures) -> dict[str, Any]:
    return {"model": its.model, "requests": its.requests, "cost": money.plain(its.cost)}


def _cap(its: CapFigures) -> dict[str, Any]:
    return {
        "period_start": its.period_start,
        "period_end": its.period_end,
        "expected": money.plain(its.expected),
        "low": money.plain(its.low),
        "high": money.plain(its.high),
        "recommended": money.plain(its.recommended),
        "probability_over": money.plain(its.probability),
        "budget": None if its.budget is None else str(its.budget),
        "cap": _plain(its.cap),
        "cap_probability_over": _plain(its.cap_probability),
        "exhausted_on": its.exhausted_on,
        "low_confidence": its.low_confidence,
    }


def _verdict(its: Verdict) -> dict[str, Any]:
    return {
        "action": its.action,
        "amount": _plain(its.amount),
        "sentence": its.sentence,
        "rests_on": its.rests_on,
        "low_confidence": its.low_confidence,
        "about": its.about,
    }


def _plain(value: Decimal | None) -> str | None:
    return None if value is None else money.plain(value)


# --- The recommended cap --------------------------------------------------------------


class CapQuery(serializers.Serializer[Any]):
    budget = serializers.IntegerField(required=False, min_value=1, max_value=10**18)
    team = serializers.SlugField(required=False)
    project = serializers.SlugField(required=False)
    cap = AmountField(required=False, max_digits=21, decimal_places=9, min_value=Decimal())
    risk_percent = serializers.IntegerField(default=10, min_value=1, max_value=50)


class RecommendedCapView(APIView):
    scopes = {"GET": Scope.BUDGETS_READ}

    @schemas.get_recommended_cap
    def get(self, request: Request) -> Response:
        key, now = key_of(request), timezone.now()
        query = CapQuery(data=request.query_params)
        query.is_valid(raise_exception=True)
        asked = query.validated_data
        budget = _budget(key, asked, now)
        with isolation.visible_teams(key.teams().values_list("pk", flat=True)):
            found = recommended_cap.recommended_cap(
                budget, now=now, risk=asked["risk_percent"] * _CENT
            )
        cap = asked.get("cap", budget.cap(now) if budget.pk else None)
        return Response(
            {
                "scope": budget.scope,
                "period": budget.period,
                "budget": str(budget.pk) if budget.pk else None,
                "forecast": _forecast(found) if found else None,
                "risk_percent": asked["risk_percent"],
                "recommended": _odds(found, found.amount) if found else None,
                "proposed": _proposed(found, cap) if found and cap is not None else None,
                "currency": key.organization.currency,
                "as_of": now,
            }
        )


def _budget(key: ApiKey, asked: dict[str, Any], now: datetime) -> Budget:
    """The one asked for, or that of all a team or project spends in a month. Raises
    Refused (400, 404)."""
    if "budget" in asked:
        return budgets.find(key, asked["budget"])
    team, project = scopes.spender_of(key, asked.get("team"), asked.get("project"), now)
    return recommended_cap.budget_of(team=team, project=project)


def _forecast(found: RecommendedCap) -> dict[str, Any]:
    its = found.forecast
    return {
        "period_start": found.period.first,
        "period_end": found.period.until,
        "expected": money.plain(its.expected),
        "low": money.plain(its.low),
        "high": money.plain(its.high),
        "low_confidence": its.low_confidence is not None,
    }


def _odds(found: RecommendedCap, cap: Decimal) -> dict[str, Any]:
    return {
        "cap": money.plain(cap),
        "probability_over": money.plain(found.probability_over(cap)),
        "odds": found.odds(cap),
    }


def _proposed(found: RecommendedCap, cap: Decimal) -> dict[str, Any]:
    return _odds(found, cap) | {"exhausted_on": found.exhausted_on(cap)}


# --- How right plans were -------------------------------------------------------------


class AccuracyQuery(serializers.Serializer[Any]):
    team = serializers.SlugField(required=False)
    project = serializers.SlugField(required=False)


class EstimateAccuracyView(APIView):
    scopes = {"GET": Scope.REPORTS_READ}

    @schemas.get_estimate_accuracy
    def get(self, request: Request) -> Response:
        key, now = key_of(request), timezone.now()
        query = AccuracyQuery(data=request.query_params)
        query.is_valid(raise_exception=True)
        asked = query.validated_data
        team, project = scopes.spender_of(key, asked.get("team"), asked.get("project"), now)
        with isolation.visible_teams([team.pk]):
            found = accuracy.accuracy(team=team, project=project, now=now)
        return Response(
            {
                "team": team.slug,
                "project": project.slug if project else None,
                "months": [_month(one) for one in found.months],
                "mean_error_percent": _percent(found.mean_error),
                "bias_percent": _percent(found.bias),
                "sentence": found.sentence,
                "recent": found.recent,
                "currency": key.organization.currency,
                "as_of": now,
            }
        )


def _month(one: PastMonth) -> dict[str, Any]:
    return {
        "month": f"{one.month:%Y-%m}",
        "planned": money.plain(one.planned),
        "actual": money.plain(one.actual),
        "difference": money.plain(one.difference),
        "difference_percent": _percent(one.percent),
    }


def _percent(value: Decimal | None) -> str | None:
    return None if value is None else money.plain(round(value, 2))
