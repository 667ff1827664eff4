"""`GET /budgets/verdict`: may a call be made? `/holds`: reserve what it may cost."""

from collections.abc import Iterable
from datetime import datetime
from decimal import ROUND_DOWN, Decimal
from typing import Any
from uuid import UUID

from django.utils import timezone
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from billing.actions import holds
from billing.actions.holds import Decision
from billing.api import hold_schemas as schemas
from billing.api.bodies import check_length, whole
from billing.api.door import DoorView
from billing.api.problems import Refused
from billing.formats import expected
from billing.formats.errors import RecordError
from billing.models import Hold, server_clock
from billing.models.levels import Level
from billing.pricing import money
from billing.reports import forecasts, verdicts
from billing.reports.verdicts import Verdict
from teams.api.authentication import key_of
from teams.models import ApiKey, Project, Team
from teams.models.api_keys import Scope
from teams.ownership import NotCovered

_LONGEST_KEY = 200
# Who posts usage asks before a call; who reads budgets may ask too.
_MAY_ASK = (Scope.USAGE_WRITE, Scope.BUDGETS_READ)


class VerdictView(DoorView):
    scopes: dict[str, Scope] = {}

    @schemas.get_verdict
    def get(self, request: Request) -> Response:
        key = key_of(request)
        if not any(key.has_scope(scope) for scope in _MAY_ASK):
            raise PermissionDenied(
                f"This API key lacks the scope {' or '.join(_MAY_ASK)}.",
                code="missing_scope",
            )
        try:
            question = expected.decode_question(request.query_params.dict())
            found = verdicts.verdict(key=key, question=question, now=timezone.now())
        except RecordError as error:
            raise _refused(error) from error
        except NotCovered as error:
            raise Refused(404, "not_found", str(error)) from error
        age = f"private, max-age={found.cacheable_seconds}"
        return Response(_verdict(found), headers={"Cache-Control": age})


class HoldsView(DoorView):
    scopes = {"POST": Scope.USAGE_WRITE}

    @schemas.create_hold
    def post(self, request: Request) -> Response:
        key = key_of(request)
        check_length(request)
        try:
            decision = holds.make(
                key=key,
                call=expected.decode(whole(request._request.body, request)),
                idempotency_key=_idempotency_key(request),
                now=timezone.now(),
            )
        except RecordError as error:
            raise _refused(error) from error
        except NotCovered as error:
            raise Refused(404, "not_found", str(error)) from error
        except holds.Reused as error:
            raise Refused(422, "idempotency_key_reused", str(error)) from error
        answer = _decision(decision, key.organization.currency)
        return Response(answer, status=201 if decision.hold else 200)


class HoldView(DoorView):
    scopes = {"GET": Scope.USAGE_WRITE, "DELETE": Scope.USAGE_WRITE}

    @schemas.get_hold
    def get(self, request: Request, hold_id: UUID) -> Response:
        return Response(_hold(_found(key_of(request), hold_id)))

    @schemas.release_hold
    def delete(self, request: Request, hold_id: UUID) -> Response:
        """However often: what has ended, or is settling, stays what it is."""
        if not holds.release(key=key_of(request), hold_id=hold_id):
            raise _unknown(hold_id)
        return Response(status=204)


def _refused(error: RecordError) -> Refused:
    where = f"{error.pointer}: " if error.pointer else ""
    return Refused(400, error.code, f"{where}{error.detail}")


def _idempotency_key(request: Request) -> str:
    key = request.headers.get("idempotency-key", "")
    if len(key) > _LONGEST_KEY or not key.isprintable():
        raise Refused(
            400,
            "bad_idempotency_key",
            f"Idempotency-Key has up to {_LONGEST_KEY} printable characters.",
        )
    return key


def _found(key: ApiKey, hold_id: UUID) -> Hold:
    hold = Hold.objects.filter(pk=hold_id, project__in=key.projects()).first()
    if hold is None or not key.may_act_for(hold.team_id):
        raise _unknown(hold_id)
    return hold


def _unknown(hold_id: UUID) -> Refused:
    return Refused(404, "not_found", f"This API key covers no hold {hold_id}.")


# --- As JSON ------------------------------------------------------------------------


def _verdict(found: Verdict) -> dict[str, Any]:
    return {
        "verdict": found.answer,
        "reason": found.reason,
        "levels": _levels(found.levels),
        "remaining": money.plain(found.tightest.remaining) if found.tightest else None,
        "forecast": forecasts.as_json(found.forecast) if found.forecast else None,
        "resets_at": found.resets_at,
        "cacheable_seconds": found.cacheable_seconds,
        "currency": found.currency,
    }


def _decision(decision: Decision, currency: str) -> dict[str, Any]:
    hold, by = decision.hold, decision.refused_by
    return {
        "id": str(hold.pk) if hold else None,
        "granted": hold is not None,
        "amount": None if decision.amount is None else money.plain(decision.amount),
        "upper_bound": bool(decision.bound),
        "bound": decision.bound or None,
        "expires_at": hold.expires_at if hold else None,
        "refused_by": _level(by) if by else None,
        "reason": decision.reason,
        "resets_at": decision.resets_at,
        "remaining": _levels(decision.levels),
        "currency": currency,
    }


def _hold(hold: Hold) -> dict[str, Any]:
    return {
        "id": str(hold.pk),
        "state": _state(hold, server_clock.now()),
        "amount": None if hold.amount is None else money.plain(hold.amount),
        "upper_bound": bool(hold.bound),
        "bound": hold.bound or None,
        "team": Team.objects.values_list("slug", flat=True).get(pk=hold.team_id),
        "project": Project.objects.values_list("slug", flat=True).get(pk=hold.project_id),
        "provider": hold.provider or None,
        "model": hold.model_name,
        "made_at": hold.made_at,
        "expires_at": hold.expires_at,
    }


def _state(hold: Hold, now: datetime) -> str:
    if hold.state == Hold.State.HELD and hold.expires_at <= now:
        return "expired"
    return hold.state


def _levels(levels: Iterable[Level]) -> list[dict[str, Any]]:
    return [_level(level) for level in levels]


def _level(level: Level) -> dict[str, Any]:
    budget, percent = level.slot.budget, level.percent
    return {
        "scope": budget.scope,
        "budget": str(budget.pk),
        "period": budget.period,
        "period_start": level.slot.period.first,
        "cap": money.plain(level.slot.cap),
        "spent": money.plain(level.spent),
        "held": money.plain(level.held),
        "remaining": money.plain(level.remaining),
        "hard": budget.hard,
        "percent": None
        if percent is None
        else money.plain(percent.quantize(Decimal("0.01"), ROUND_DOWN)),
    }
