"""What the OpenAPI document says of verdicts and holds."""

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema

from billing.api.budget_schemas import FORECAST
from billing.api.json_schemas import (
    COUNT,
    DATE,
    MONEY,
    MONEY_OR_NULL,
    PROBLEMS,
    STRING,
    TIME,
    Schema,
    array_of,
    nullable,
    object_of,
    of_struct,
    problems,
)
from billing.formats.expected import ExpectedCall
from billing.models import Hold
from billing.pricing.budget_periods import PeriodKind
from billing.reports.verdicts import Answer

_FOUND = {**PROBLEMS, **problems(404)}
_TIME_OR_NULL: Schema = {**TIME, "type": ["string", "null"]}
_LEVEL = object_of(
    scope={**STRING, "description": "In words: team search."},
    budget={**STRING, "description": "Its id."},
    period={"type": "string", "enum": [kind.value for kind in PeriodKind]},
    period_start=DATE,
    cap=MONEY,
    spent=MONEY,
    held={**MONEY, "description": "Of hard budgets only."},
    remaining={**MONEY, "description": "cap − spent − held; negative above the cap."},
    hard={"type": "boolean"},
    percent={**MONEY_OR_NULL, "description": "What is spent of the cap."},
)
_LEVELS = array_of(_LEVEL)
_BOUND: dict[str, Schema] = {
    "upper_bound": {
        "type": "boolean",
        "description": "No rate says the price: it is the highest it can be.",
    },
    "bound": nullable("string", "Why it is an upper bound."),
}

get_verdict = extend_schema(
    operation_id="get_verdict",
    summary="May a call be made? Read, and nothing held",
    description="Needs `usage:write` or `budgets:read`. `Cache-Control` says the same as "
    "`cacheable_seconds`.",
    parameters=[
        OpenApiParameter("project", OpenApiTypes.STR, description="Slug."),
        OpenApiParameter("model", OpenApiTypes.STR, description="Its name as called."),
        OpenApiParameter("provider", OpenApiTypes.STR, description="Who bills it."),
        OpenApiParameter("processing", OpenApiTypes.STR, description="Such as batch."),
        OpenApiParameter("estimate", OpenApiTypes.STR, description="An amount: 0.25."),
    ],
    responses={
        200: OpenApiResponse(
            object_of(
                verdict={"type": "string", "enum": list(Answer)},
                reason=STRING,
                levels=_LEVELS,
                remaining={
                    **MONEY_OR_NULL,
                    "description": "Of the level that denies, or the least of the hard "
                    "ones (of all, where none is hard). Null without any budget.",
                },
                forecast={**FORECAST, "description": "Of the same level, if there is one."},
                resets_at={**_TIME_OR_NULL, "description": "When its next period begins."},
                cacheable_seconds=COUNT,
                currency=STRING,
            )
        ),
        **_FOUND,
    },
)
create_hold = extend_schema(
    operation_id="create_hold",
    summary="Hold what a call will cost at most, if all hard budgets have room",
    description="What the call will use: `usage`, or `prompt_tokens` and `max_tokens`, or "
    "an `estimate`.",
    parameters=[
        OpenApiParameter(
            "Idempotency-Key",
            OpenApiTypes.STR,
            OpenApiParameter.HEADER,
            description="A retry under the same key gets the same hold.",
        ),
    ],
    request={"application/json": of_struct(ExpectedCall)},
    responses={
        **{
            status: OpenApiResponse(
                object_of(
                    id=nullable("string", "Null when it is refused."),
                    granted={"type": "boolean"},
                    amount=MONEY_OR_NULL,
                    **_BOUND,
                    expires_at=_TIME_OR_NULL,
                    refused_by={**_LEVEL, "type": ["object", "null"]},
                    reason=nullable("string", "Why it is refused."),
                    resets_at={
                        **_TIME_OR_NULL,
                        "description": "When the next period of what refuses it begins.",
                    },
                    remaining={**_LEVELS, "description": "With this hold, if granted."},
                    currency=STRING,
                ),
                description=said,
            )
            for status, said in ((201, "Granted."), (200, "Refused: nothing is held."))
        },
        **_FOUND,
        **problems(422),
    },
)
get_hold = extend_schema(
    operation_id="get_hold",
    summary="One hold",
    responses={
        200: OpenApiResponse(
            object_of(
                id=STRING,
                state={"type": "string", "enum": [*Hold.State.values, "expired"]},
                amount=MONEY_OR_NULL,
                **_BOUND,
                team=STRING,
                project=STRING,
                provider=nullable("string"),
                model=STRING,
                made_at=TIME,
                expires_at=TIME,
            )
        ),
        **_FOUND,
    },
)
release_hold = extend_schema(
    operation_id="release_hold",
    summary="Give back what is held",
    description="However often. What has ended, or is settling, stays what it is.",
    responses={204: None, **_FOUND},
)
