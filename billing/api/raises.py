"""`/raises`: higher caps, asked for and decided; `/budget-policy`: by how many."""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError
from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from billing.actions import raises
from billing.actions.raises import NotPossible
from billing.api import budgets, lists, scopes
from billing.api import raise_schemas as schemas
from billing.api.amounts import AmountField
from billing.api.budgets import money_or_none
from billing.api.problems import Refused
from billing.api.rates import MomentField
from billing.models import BudgetPolicy, RaiseDecision, RaiseRequest
from billing.pricing import money
from billing.reports import raises as reports
from billing.reports.raises import Decided
from teams.api.authentication import key_of
from teams.models import ApiKey
from teams.models.api_keys import Scope


def _amount(**kwargs: Any) -> AmountField:
    return AmountField(max_digits=21, decimal_places=9, min_value=Decimal(0), **kwargs)


class AskInput(serializers.Serializer[Any]):
    amount = _amount()
    until = MomentField(required=False, allow_null=True)
    reason = serializers.CharField(max_length=1000)


class DecisionInput(serializers.Serializer[Any]):
    amount = _amount(required=False)
    until = MomentField(required=False, allow_null=True)
    note = serializers.CharField(required=False, allow_blank=True, max_length=1000)


class PolicyInput(serializers.Serializer[Any]):
    two_approvals_above = _amount(allow_null=True)
    reason = serializers.CharField(required=False, allow_blank=True, max_length=1000)


class BudgetRaisesView(APIView):
    scopes = {"GET": Scope.BUDGETS_READ, "POST": Scope.RAISES_WRITE}

    @schemas.list_raises
    def get(self, request: Request, budget_id: int) -> Response:
        budget, now = budgets.find(key_of(request), budget_id), timezone.now()
        listed = budget.raises.with_budget().with_decisions()
        shown, next_cursor = lists.newest(listed, request.query_params)
        decided = reports.decided_of(shown, now=now)
        return Response(
            {
                "data": [_as_json(one, decided[one.pk], now) for one in shown],
                "next_cursor": next_cursor,
            }
        )

    @schemas.ask_for_raise
    def post(self, request: Request, budget_id: int) -> Response:
        key, now = key_of(request), timezone.now()
        budget = budgets.find(key, budget_id)
        wanted = AskInput(data=request.data)
        wanted.is_valid(raise_exception=True)
        asked = wanted.validated_data
        made = _allowed(
            lambda: raises.ask(
                budget=budget,
                amount=asked["amount"],
                until=asked.get("until"),
                reason=asked["reason"],
                by=str(key),
                now=now,
            )
        )
        return Response(as_json(made, now=now), status=201)


class RaiseView(APIView):
    scopes = {"GET": Scope.BUDGETS_READ}

    @schemas.get_raise
    def get(self, request: Request, request_id: int) -> Response:
        asked = _find(key_of(request), request_id)
        return Response(as_json(asked, now=timezone.now()))


class RaiseApprovalView(APIView):
    scopes = {"POST": Scope.BUDGETS_WRITE}

    @schemas.approve_raise
    def post(self, request: Request, request_id: int) -> Response:
        key, now = key_of(request), timezone.now()
        asked = _find(key, request_id)
        said = _decision(request)
        after = _allowed(
            lambda: raises.approve(
                request=asked,
                amount=said.get("amount", asked.amount),
                until=said.get("until", asked.until),
                note=said.get("note", ""),
                by=str(key),
                now=now,
            )
        )
        return Response(as_json(after, now=now))


class RaiseDeclineView(APIView):
    scopes = {"POST": Scope.BUDGETS_WRITE}

    @schemas.decline_raise
    def post(self, request: Request, request_id: int) -> Response:
        key, now = key_of(request), timezone.now()
        asked = _find(key, request_id)
        note = _decision(request).get("note", "")
        after = _allowed(
            lambda: raises.decline(request=asked, note=note, by=str(key), now=now)
        )
        return Response(as_json(after, now=now))


class RaiseWithdrawalView(APIView):
    scopes = {"POST": Scope.RAISES_WRITE}

    @schemas.withdraw_raise
    def post(self, request: Request, request_id: int) -> Response:
        key, now = key_of(request), timezone.now()
        asked = _find(key, request_id)
        after = _allowed(lambda: raises.withdraw(request=asked, by=str(key), now=now))
        return Response(as_json(after, now=now))


class BudgetPolicyView(APIView):
    scopes = {"GET": Scope.BUDGETS_READ, "PUT": Scope.BUDGETS_WRITE}

    @schemas.get_policy
    def get(self, request: Request) -> Response:
        organization = key_of(request).organization
        policy = BudgetPolicy.objects.filter(organization=organization).first()
        return Response(_policy_as_json(policy))

    @schemas.set_policy
    def put(self, request: Request) -> Response:
        key = key_of(request)
        if key.team_id is not None or key.project_id is not None:
            raise Refused(
                403,
                "organization_key_needed",
                "This is about the whole organization: an API key of it is needed.",
            )
        wanted = PolicyInput(data=request.data)
        wanted.is_valid(raise_exception=True)
        policy = raises.set_policy(
            organization=key.organization,
            two_approvals_above=wanted.validated_data["two_approvals_above"],
            reason=wanted.validated_data.get("reason", ""),
            by=str(key),
            now=timezone.now(),
        )
        return Response(_policy_as_json(policy))


def _find(key: ApiKey, request_id: int) -> RaiseRequest:
    covered = RaiseRequest.objects.filter(budget__in=scopes.budgets_of(key))
    found = covered.with_budget().filter(pk=request_id).first()
    if found is None:
        detail = f"This API key covers no raise request {request_id}."
        raise Refused(404, "not_found", detail)
    return found


def _decision(request: Request) -> dict[str, Any]:
    said = DecisionInput(data=request.data)
    said.is_valid(raise_exception=True)
    return dict(said.validated_data)


def _allowed(act: Callable[[], RaiseRequest]) -> RaiseRequest:
    try:
        return act()
    except NotPossible as error:
        raise Refused(409, "not_possible", " ".join(error.messages)) from error
    except ValidationError as error:
        raise Refused(400, "invalid", " ".join(error.messages)) from error


def as_json(request: RaiseRequest, *, now: datetime) -> dict[str, Any]:
    return _as_json(request, reports.decided(request, now=now), now)


def _as_json(request: RaiseRequest, decided: Decided, now: datetime) -> dict[str, Any]:
    return {
        "id": str(request.pk),
        "budget": str(request.budget_id),
        "state": request.state_at(now),
        "amount": money.plain(request.amount),
        "until": request.until,
        "reason": request.reason,
        "asked_by": request.asked_by,
        "asked_at": request.asked_at,
        "granted_amount": money_or_none(request.granted_amount),
        "granted_until": request.granted_until,
        "ended_at": request.ended_at,
        "approvals": len(decided.approvals),
        "approvals_needed": decided.needed,
        "decisions": [_decision_as_json(one) for one in _in_order(request)],
        "currency": request.budget.organization.currency,
    }


def _in_order(request: RaiseRequest) -> list[RaiseDecision]:
    return sorted(request.decisions.all(), key=lambda one: one.pk)


def _decision_as_json(decision: RaiseDecision) -> dict[str, Any]:
    return {
        "by": decision.decided_by,
        "at": decision.decided_at,
        "approves": decision.approves,
        "amount": money_or_none(decision.amount),
        "until": decision.until,
        "note": decision.note,
    }


def _policy_as_json(policy: BudgetPolicy | None) -> dict[str, Any]:
    return {
        "two_approvals_above": money_or_none(policy.two_approvals_above if policy else None)
    }
