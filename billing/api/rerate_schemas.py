"""What the OpenAPI document says of re-rates, and of what has no price."""

from drf_spectacular.utils import OpenApiResponse, extend_schema

from billing.api.json_schemas import (
    COUNT,
    DATE,
    EXPOSURE,
    MONEY,
    PROBLEMS,
    STRING,
    TIME,
    Schema,
    array_of,
    nullable,
    object_of,
    problems,
)
from billing.models import Rerate

_FOUND = {**PROBLEMS, **problems(404)}
_CHANGED = {**_FOUND, **problems(409)}

_TOTAL = object_of(
    team=STRING,
    finished={"type": "boolean"},
    records={**COUNT, "description": "Looked at so far."},
    changed={**COUNT, "description": "Whose price differs."},
    kept={
        **COUNT,
        "description": "Left as they are: no price is known now, or re-rated since.",
    },
    before=MONEY,
    after=MONEY,
    difference=MONEY,
)
_RERATE = object_of(
    id=STRING,
    state={"type": "string", "enum": list(Rerate.State.values)},
    **{"from": DATE},
    to=DATE,
    teams={**array_of(STRING), "description": "Empty: all."},
    models={**array_of(STRING), "description": "Empty: all."},
    reason=STRING,
    reverses=nullable("string", "The re-rate that this one takes back."),
    reversed_by=nullable("string"),
    dry_run=array_of(_TOTAL),
    executed=array_of(_TOTAL),
    created_by=STRING,
    created_at=TIME,
    started_by=nullable("string"),
    started_at={**TIME, "type": ["string", "null"]},
    finished_at={**TIME, "type": ["string", "null"]},
)
_REASON: Schema = {"type": "object", "properties": {"reason": STRING}}

list_rerates = extend_schema(
    operation_id="list_rerates",
    summary="Re-rates, newest first",
    responses={200: OpenApiResponse(object_of(data=array_of(_RERATE))), **PROBLEMS},
)
create_rerate = extend_schema(
    operation_id="create_rerate",
    summary="Begin the dry run of a re-rate; nothing is charged",
    description=(
        "What records of these days would cost at today's prices, per team. A dry run of "
        "few records is `ready` in the answer; one of many goes on by itself."
    ),
    request={
        "application/json": {
            "type": "object",
            "required": ["from", "to", "reason"],
            "properties": {
                "from": DATE,
                "to": DATE,
                "teams": array_of(STRING),
                "models": array_of(STRING),
                "reason": STRING,
            },
        }
    },
    responses={201: OpenApiResponse(_RERATE), **_CHANGED},
)
get_rerate = extend_schema(
    operation_id="get_rerate",
    summary="One re-rate, and how far it has come",
    responses={200: OpenApiResponse(_RERATE), **_FOUND},
)
start_rerate = extend_schema(
    operation_id="start_rerate",
    summary="Carry out what the dry run found",
    request=None,
    responses={200: OpenApiResponse(_RERATE), **_CHANGED},
)
reverse_rerate = extend_schema(
    operation_id="reverse_rerate",
    summary="Take a re-rate back: another one, under way",
    request={"application/json": _REASON},
    responses={201: OpenApiResponse(_RERATE), **_CHANGED},
)

_MODEL = object_of(
    provider=STRING,
    model={**STRING, "description": "As the records name it."},
    reasons=array_of({"type": "string", "enum": ["unknown_model", "no_rate", "no_price"]}),
    **EXPOSURE["properties"],
    first_seen=TIME,
    last_seen=TIME,
    teams=array_of(STRING),
    projects=array_of(STRING),
)
get_unpriced = extend_schema(
    operation_id="report_unpriced",
    summary="Models without a price: records, and what they cost at most",
    responses={
        200: OpenApiResponse(
            object_of(models=array_of(_MODEL), total=EXPOSURE, currency=STRING, as_of=TIME)
        ),
        **PROBLEMS,
    },
)
