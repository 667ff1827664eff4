"""What the OpenAPI document says of what-if."""

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema

from billing.api.estimate_schemas import ESTIMATE
from billing.api.json_schemas import (
    COUNT,
    CURSOR,
    DATE,
    MONEY,
    MONEY_OR_NULL,
    PROBLEMS,
    QUANTITIES,
    STRING,
    TIME,
    Schema,
    array_of,
    object_of,
    of_question,
    page_of,
    problems,
)
from billing.formats.what_if import NamedQuestion, PlannedQuestion, Question
from billing.pricing.what_if import Lever

_FOUND = {**PROBLEMS, **problems(404)}
_RANGE: Schema = {
    **object_of(low=MONEY, mid=MONEY, high=MONEY),
    "description": "At the likely number of tokens, and at both ends of what is likely.",
}
_SENTENCES = array_of(STRING)
_PERCENT: Schema = {**MONEY_OR_NULL, "description": "Of `before`; null where that is 0."}
_QUESTION: Schema = {"type": "object", "description": "What is asked, and nothing else."}

_ANSWER = object_of(
    question=_QUESTION,
    since=DATE,
    until={**DATE, "description": "The first day that is not in it."},
    currency=STRING,
    charged={**MONEY, "description": "before + difference + what has no rate."},
    adjustment={**MONEY, "description": "The part of it that is for closed months."},
    difference={
        **MONEY,
        "description": "What was charged otherwise than at the rates of each day: "
        "adjustments, other rates, calls around a change of prices.",
    },
    before={**MONEY, "description": "Each day at its own rates."},
    after=_RANGE,
    delta=_RANGE,
    percent=_PERCENT,
    levers=array_of(
        object_of(
            lever={"type": "string", "enum": list(Lever)},
            effect={**_RANGE, "description": "The effects add up to `delta`, exactly."},
            requests=COUNT,
            sentences=_SENTENCES,
            missing={**_SENTENCES, "description": "What has no rate there, and stays."},
        )
    ),
    projects=array_of(
        object_of(
            team=STRING,
            project=STRING,
            before=MONEY,
            after=_RANGE,
            difference=MONEY,
            percent=_PERCENT,
        )
    ),
    models=array_of(
        object_of(
            provider=STRING,
            model=STRING,
            processing=STRING,
            requests_before=COUNT,
            before=MONEY,
            requests=COUNT,
            quantities=QUANTITIES,
            after=MONEY,
        )
    ),
    without_rate=array_of(
        object_of(model=STRING, processing=STRING, requests=COUNT, charged=MONEY)
    ),
    unpriced_records={**COUNT, "description": "They are on neither side."},
    assumptions=_SENTENCES,
    as_of=TIME,
)
_SAVED = object_of(
    id=STRING,
    team=STRING,
    name=STRING,
    question=_QUESTION,
    created_by=STRING,
    created_at=TIME,
)

get_what_if = extend_schema(
    operation_id="get_what_if",
    summary="What past usage would have cost otherwise",
    parameters=[
        OpenApiParameter(
            "question",
            OpenApiTypes.STR,
            description="The body of the POST, as JSON text.",
        )
    ],
    responses={200: OpenApiResponse(_ANSWER), **_FOUND},
)
ask_what_if = extend_schema(
    operation_id="ask_what_if",
    summary="The same, with the question in the body; nothing is stored",
    request={"application/json": of_question(Question)},
    responses={200: OpenApiResponse(_ANSWER), **_FOUND},
)
estimate_what_if = extend_schema(
    operation_id="estimate_what_if",
    summary="A draft estimate in which every day is as it would have been",
    request={"application/json": of_question(PlannedQuestion)},
    responses={201: OpenApiResponse(ESTIMATE), **_FOUND},
)
list_saved_what_ifs = extend_schema(
    operation_id="list_saved_what_ifs",
    summary="Questions that are kept, the newest first: 200 at a time",
    parameters=[CURSOR],
    responses={200: OpenApiResponse(page_of(_SAVED)), **PROBLEMS},
)
save_what_if = extend_schema(
    operation_id="save_what_if",
    summary="Keep a question of a team under a name",
    request={"application/json": of_question(NamedQuestion)},
    responses={201: OpenApiResponse(_SAVED), **_FOUND},
)
get_saved_what_if = extend_schema(
    operation_id="get_saved_what_if",
    summary="One of them",
    responses={200: OpenApiResponse(_SAVED), **_FOUND},
)
forget_what_if = extend_schema(
    operation_id="forget_what_if",
    summary="Forget it; the audit keeps what it asked",
    responses={204: None, **_FOUND},
)
