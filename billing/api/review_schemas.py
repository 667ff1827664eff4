"""What the OpenAPI document says of reviews, recommended caps, and how right plans were."""

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema

from billing.api.json_schemas import (
    COUNT,
    CURSOR,
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
    page_of,
    problems,
)
from billing.models import Review
from billing.pricing.recommendations import Action
from billing.pricing.variance import Effect

_FOUND = {**PROBLEMS, **problems(404)}
_ACTION: Schema = {"type": "string", "enum": list(Action)}
_DATE_OR_NULL: Schema = {**DATE, "type": ["string", "null"]}
_TIME_OR_NULL: Schema = {**TIME, "type": ["string", "null"]}
_PROBABILITY: Schema = {**MONEY, "description": "From 0 to 1, with two places."}
_BOOLEAN: Schema = {"type": "boolean"}
_NULLABLE_OBJECT = ["object", "null"]

_HEAD: dict[str, Schema] = {
    "id": STRING,
    "team": STRING,
    "project": STRING,
    "since": DATE,
    "until": {**DATE, "description": "The day after the last."},
    "state": {"type": "string", "enum": list(Review.State.values)},
    "by_itself": _BOOLEAN,
    "opened_by": STRING,
    "opened_at": TIME,
    "decision": {"type": ["string", "null"], "enum": [*Action, None]},
    "note": STRING,
    "closed_by": nullable("string"),
    "closed_at": _TIME_OR_NULL,
}
_VERDICT = object_of(
    action=_ACTION,
    amount={
        **MONEY_OR_NULL,
        "description": "Of a cap what it becomes, or stays; else what these days would "
        "have cost less.",
    },
    sentence=STRING,
    rests_on=STRING,
    low_confidence=_BOOLEAN,
    about={"type": "object", "additionalProperties": STRING},
)
_PLAN: Schema = {
    **object_of(
        planned=MONEY,
        actual=MONEY,
        difference=MONEY,
        difference_percent=MONEY_OR_NULL,
        planned_requests=COUNT,
        requests=COUNT,
        planned_days={
            **array_of(object_of(**{"from": DATE, "to": DATE})),
            "description": "What is compared; `to` is the day after the last.",
        },
        effects=array_of(
            object_of(
                effect={"type": "string", "enum": list(Effect)},
                amount=MONEY,
                sentence=STRING,
            )
        ),
    ),
    "type": _NULLABLE_OBJECT,
    "description": "The effects add up to the difference. Null: no day is planned.",
}
_CAP: Schema = {
    **object_of(
        period_start=DATE,
        period_end=DATE,
        expected=MONEY,
        low=MONEY,
        high=MONEY,
        recommended=MONEY,
        probability_over=_PROBABILITY,
        budget=nullable("string"),
        cap=MONEY_OR_NULL,
        cap_probability_over=MONEY_OR_NULL,
        exhausted_on=_DATE_OR_NULL,
        low_confidence=_BOOLEAN,
    ),
    "type": _NULLABLE_OBJECT,
    "description": "Of the next full period. Null: nothing can be said of it.",
}
_REVIEW = object_of(
    **_HEAD,
    as_of=TIME,
    currency=STRING,
    days={**COUNT, "description": "How many of them have records."},
    records=COUNT,
    spent=MONEY,
    spent_without_plan=MONEY,
    unpriced_records=COUNT,
    plan=_PLAN,
    team_plan={
        **_PLAN,
        "description": "The same of the whole team, where it has a plan of its own and "
        "the project has none.",
    },
    models={
        **array_of(object_of(model=STRING, requests=COUNT, cost=MONEY)),
        "description": "What each cost on these days, the dearest first.",
    },
    recommended_cap=_CAP,
    verdicts=array_of(_VERDICT),
)

list_reviews = extend_schema(
    operation_id="list_reviews",
    summary="Reviews, newest first",
    parameters=[CURSOR],
    responses={200: OpenApiResponse(page_of(object_of(**_HEAD))), **PROBLEMS},
)
create_review = extend_schema(
    operation_id="create_review",
    summary="Open a review of any days of a project",
    request={
        "application/json": object_of(project=STRING, since=DATE, until=DATE),
    },
    responses={201: OpenApiResponse(_REVIEW), **_FOUND},
)
get_review = extend_schema(
    operation_id="get_review",
    summary="What days of a project cost, why, and what to do",
    description="Of a closed review the figures are those that it was closed with.",
    responses={200: OpenApiResponse(_REVIEW), **_FOUND},
)
close_review = extend_schema(
    operation_id="close_review",
    summary="Close a review with what was decided",
    request={
        "application/json": {
            "type": "object",
            "properties": {"decision": _ACTION, "note": STRING},
            "required": ["decision"],
        }
    },
    responses={200: OpenApiResponse(_REVIEW), **_FOUND, **problems(409)},
)

get_recommended_cap = extend_schema(
    operation_id="report_recommended_cap",
    summary="Which cap the next period passes seldom, and how often it passes another",
    description=(
        "Of a budget, or of all that a team or a project spends in a month. The forecast "
        "is that of the budgets; the next full period is meant."
    ),
    parameters=[
        OpenApiParameter("budget", OpenApiTypes.INT, description="Its id."),
        OpenApiParameter("team", OpenApiTypes.STR, description="Its slug."),
        OpenApiParameter("project", OpenApiTypes.STR, description="Its slug."),
        OpenApiParameter("cap", OpenApiTypes.DECIMAL, description="A cap to look at."),
        OpenApiParameter(
            "risk_percent",
            OpenApiTypes.INT,
            description="How often the cap may be passed, 1 to 50. Default: 10.",
        ),
    ],
    responses={
        200: OpenApiResponse(
            object_of(
                scope=STRING,
                period={"type": "string"},
                budget=nullable("string"),
                forecast={
                    **object_of(
                        period_start=DATE,
                        period_end=DATE,
                        expected=MONEY,
                        low=MONEY,
                        high=MONEY,
                        low_confidence=_BOOLEAN,
                    ),
                    "type": _NULLABLE_OBJECT,
                },
                risk_percent=COUNT,
                recommended={
                    **object_of(cap=MONEY, probability_over=_PROBABILITY, odds=STRING),
                    "type": _NULLABLE_OBJECT,
                },
                proposed={
                    **object_of(
                        cap=MONEY,
                        probability_over=_PROBABILITY,
                        odds=STRING,
                        exhausted_on=_DATE_OR_NULL,
                    ),
                    "type": _NULLABLE_OBJECT,
                    "description": "Of `cap`, else of the budget's cap in force.",
                },
                currency=STRING,
                as_of=TIME,
            )
        ),
        **_FOUND,
    },
)

get_estimate_accuracy = extend_schema(
    operation_id="report_estimate_accuracy",
    summary="How right the plans of the last twelve months were",
    parameters=[
        OpenApiParameter("team", OpenApiTypes.STR, description="Needed for several teams."),
        OpenApiParameter("project", OpenApiTypes.STR, description="Only this project."),
    ],
    responses={
        200: OpenApiResponse(
            object_of(
                team=STRING,
                project=nullable("string"),
                months=array_of(
                    object_of(
                        month={**STRING, "description": "As 2026-10."},
                        planned=MONEY,
                        actual=MONEY,
                        difference=MONEY,
                        difference_percent=MONEY_OR_NULL,
                    )
                ),
                mean_error_percent=MONEY_OR_NULL,
                bias_percent={
                    **MONEY_OR_NULL,
                    "description": "Above 0: months cost more than planned.",
                },
                sentence=STRING,
                recent={**STRING, "description": "The last three months, in a sentence."},
                currency=STRING,
                as_of=TIME,
            )
        ),
        **_FOUND,
    },
)
