"""What the OpenAPI document says of raises, and of who decides on them."""

from typing import Any

from drf_spectacular.utils import OpenApiResponse, extend_schema

from billing.api.json_schemas import (
    COUNT,
    CURSOR,
    MONEY,
    MONEY_OR_NULL,
    PROBLEMS,
    STRING,
    TIME,
    Schema,
    array_of,
    object_of,
    page_of,
    problems,
)
from billing.models import RaiseRequest

_FOUND = {**PROBLEMS, **problems(404)}
_DECIDED = {**_FOUND, **problems(409)}
_TIME_OR_NULL: Schema = {**TIME, "type": ["string", "null"]}
_UNTIL: Schema = {
    "type": ["string", "null"],
    "description": "A moment with its zone, or a day, which begins in UTC. Then the cap "
    "falls back by itself; null: for good.",
}

_RAISE = object_of(
    id=STRING,
    budget=STRING,
    state={"type": "string", "enum": list(RaiseRequest.State.values)},
    amount={**MONEY, "description": "The cap that is asked for."},
    until={**_TIME_OR_NULL, "description": "Null: for good."},
    reason=STRING,
    asked_by=STRING,
    asked_at=TIME,
    granted_amount=MONEY_OR_NULL,
    granted_until=_TIME_OR_NULL,
    ended_at={**_TIME_OR_NULL, "description": "When it was no longer pending."},
    approvals={**COUNT, "description": "Of the terms that were approved last."},
    approvals_needed={**COUNT, "description": "By the organization's policy."},
    decisions=array_of(
        object_of(
            by=STRING,
            at=TIME,
            approves={"type": "boolean"},
            amount=MONEY_OR_NULL,
            until=_TIME_OR_NULL,
            note=STRING,
        )
    ),
    currency=STRING,
)
_ANSWER: dict[Any, OpenApiResponse] = {200: OpenApiResponse(_RAISE), **_DECIDED}
_NOTE: Schema = {"type": "object", "properties": {"note": STRING}}
_POLICY = object_of(
    two_approvals_above={
        **MONEY_OR_NULL,
        "description": "A raise to a cap above it needs two people. Null: one is enough.",
    }
)

list_raises = extend_schema(
    operation_id="list_raises",
    summary="Raises asked for of a budget, newest first: 200 at a time",
    parameters=[CURSOR],
    responses={200: OpenApiResponse(page_of(_RAISE)), **_FOUND},
)
ask_for_raise = extend_schema(
    operation_id="ask_for_raise",
    summary="Ask for a higher cap",
    description="The same asked again while it is pending is the same request. Who asks "
    "for something else withdraws it first: 409 says which it is.",
    request={
        "application/json": {
            "type": "object",
            "required": ["amount", "reason"],
            "properties": {"amount": MONEY, "until": _UNTIL, "reason": STRING},
        }
    },
    responses={201: OpenApiResponse(_RAISE), **_DECIDED},
)
get_raise = extend_schema(
    operation_id="get_raise",
    summary="One raise that was asked for",
    responses={200: OpenApiResponse(_RAISE), **_FOUND},
)
approve_raise = extend_schema(
    operation_id="approve_raise",
    summary="Approve a raise, at the terms asked for or at others",
    description=(
        "What is not said is as it was asked for. Not by the API key that asked; and an "
        "API key is none of two people, where the policy wants two."
    ),
    request={
        "application/json": {
            "type": "object",
            "properties": {"amount": MONEY, "until": _UNTIL, "note": STRING},
        }
    },
    responses=_ANSWER,
)
decline_raise = extend_schema(
    operation_id="decline_raise",
    summary="Decline a raise; the cap stays",
    request={"application/json": _NOTE},
    responses=_ANSWER,
)
withdraw_raise = extend_schema(
    operation_id="withdraw_raise",
    summary="Take back what this API key has asked for",
    request=None,
    responses=_ANSWER,
)
get_policy = extend_schema(
    operation_id="get_budget_policy",
    summary="From which cap on two people have to approve a raise",
    responses={200: OpenApiResponse(_POLICY), **PROBLEMS},
)
set_policy = extend_schema(
    operation_id="set_budget_policy",
    summary="Set from which cap on two people have to approve a raise",
    request={
        "application/json": {
            "type": "object",
            "required": ["two_approvals_above"],
            "properties": {**_POLICY["properties"], "reason": STRING},
        }
    },
    responses={200: OpenApiResponse(_POLICY), **PROBLEMS},
)
