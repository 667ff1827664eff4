"""What the OpenAPI document says of where a team could spend less, and of its routing."""

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
    problems,
)
from billing.models.routing import MOST_MODELS, MOST_OUTPUT, MOST_TAGS
from billing.pricing.cache_economics import Lifetime
from billing.reports.batch_candidates import Reason
from billing.reports.routing import BreachKind

_FOUND = {**PROBLEMS, **problems(404)}
_TEAM = OpenApiParameter("team", OpenApiTypes.STR, description="Needed for several teams.")
_RANGE = [
    _TEAM,
    OpenApiParameter("from", OpenApiTypes.DATE, description="Default: of this month."),
    OpenApiParameter("to", OpenApiTypes.DATE, description="The first day not in it."),
]
_COUNT_OR_NULL: Schema = {"type": ["integer", "null"], "minimum": 0}
_STRING_OR_NULL: Schema = {"type": ["string", "null"]}
_RATIO: Schema = {**MONEY_OR_NULL, "description": "A decimal number with four places."}


def _of_range(**rows: Schema) -> OpenApiResponse:
    said: dict[str, Schema] = {
        "team": STRING,
        "from": DATE,
        "to": DATE,
        "records_from": {
            **DATE,
            "description": "Records are read of the last 31 days of the range.",
        },
        **rows,
        "currency": STRING,
        "as_of": TIME,
    }
    return OpenApiResponse(object_of(**said))


# --- Caching ------------------------------------------------------------------------

_SAVING: dict[str, Schema] = {
    "input": {**COUNT, "description": "Tokens that went in uncached."},
    "read": COUNT,
    "written_5m": COUNT,
    "written_1h": COUNT,
    "hit_percent": {**MONEY_OR_NULL, "description": "Reads in percent of all input."},
    "read_saving": {**MONEY, "description": "What reads cost less than input."},
    "premium_5m": {**MONEY, "description": "What writes cost more than input."},
    "premium_1h": MONEY,
    "net": {**MONEY, "description": "Negative where caching cost more than it saved."},
    "unknown_tokens": {**COUNT, "description": "Cached, of models without input price."},
}
_BREAK_EVEN = object_of(
    reads={**MONEY, "description": "Of each written token, so many reads pay for it."},
    exact={**STRING, "description": "The same as a fraction.", "examples": ["5/18"]},
    request={
        **COUNT,
        "description": "From this request with the same beginning on it pays.",
    },
)
_LIFETIME: Schema = {"type": "string", "enum": list(Lifetime)}
_MODEL_CACHING = object_of(
    model=STRING,
    provider=STRING,
    requests=COUNT,
    **_SAVING,
    reads_per_write=_RATIO,
    break_even={
        "type": "object",
        "properties": {one.value: _BREAK_EVEN for one in Lifetime},
        "description": "By lifetime, at the rates in force.",
    },
    prompt={**COUNT, "description": "Tokens that go in, on average of a request."},
    minimum_prefix={
        **_COUNT_OR_NULL,
        "description": "The shortest beginning of a prompt that is cached; null: unknown.",
    },
    too_short={
        "type": "boolean",
        "description": "Nothing is cached, and prompts are shorter than that on average.",
    },
    rebuilds={
        "anyOf": [
            object_of(
                writes=COUNT,
                tokens=COUNT,
                cost={**MONEY, "description": "More than reading would have cost."},
            ),
            {"type": "null"},
        ],
        "description": "An estimate: what had expired and was written again.",
    },
    other_lifetime={
        "anyOf": [object_of(lifetime=_LIFETIME, saving=MONEY), {"type": "null"}],
        "description": "An estimate: what the other lifetime would have cost less.",
    },
    advice=STRING,
)
get_cache_economics = extend_schema(
    operation_id="report_cache_economics",
    summary="What prompt caches cost and earned, per project and model",
    parameters=_RANGE,
    responses={
        200: _of_range(
            rows=array_of(
                object_of(
                    project=STRING,
                    **_SAVING,
                    reads_per_write=_RATIO,
                    models=array_of(_MODEL_CACHING),
                )
            ),
            total=object_of(**_SAVING),
        ),
        **_FOUND,
    },
)

# --- Outputs and batches ------------------------------------------------------------

get_outputs = extend_schema(
    operation_id="report_outputs",
    summary="What outputs cost of the whole, and which are unusually long",
    parameters=_RANGE,
    responses={
        200: _of_range(
            rows=array_of(
                object_of(
                    project=STRING,
                    model=STRING,
                    provider=STRING,
                    requests=COUNT,
                    cost=MONEY,
                    output_cost=MONEY,
                    output_percent=MONEY,
                    mean_output=COUNT,
                    bound={
                        **_COUNT_OR_NULL,
                        "description": "Tokens above which an output is long; null where "
                        "there are fewer than 20 records.",
                    },
                    long_outputs=COUNT,
                    beyond={
                        **MONEY_OR_NULL,
                        "description": "What the tokens above the bound cost.",
                    },
                )
            ),
            longest=array_of(
                object_of(
                    project=STRING,
                    model=STRING,
                    id={**STRING, "description": "Of the record: `GET /usage/{id}`."},
                    month=STRING,
                    occurred_at=TIME,
                    output=COUNT,
                    bound=COUNT,
                    cost=MONEY_OR_NULL,
                )
            ),
        ),
        **_FOUND,
    },
)
get_batch_candidates = extend_schema(
    operation_id="report_batch_candidates",
    summary="What could be processed in batches, and what that would save",
    parameters=_RANGE,
    responses={
        200: _of_range(
            rows=array_of(
                object_of(
                    reason={"type": "string", "enum": list(Reason)},
                    why=STRING,
                    project=STRING,
                    model=STRING,
                    provider=STRING,
                    tag=_STRING_OR_NULL,
                    hours={
                        "type": ["array", "null"],
                        "items": {"type": "integer", "minimum": 0, "maximum": 23},
                        "description": "Of the day, in the reporting zone.",
                    },
                    clock=_STRING_OR_NULL,
                    days={
                        **_COUNT_OR_NULL,
                        "description": "On how many days the rarest of them was used.",
                    },
                    requests=COUNT,
                    spent=MONEY,
                    saving=MONEY,
                )
            ),
            left_off={
                **array_of(STRING),
                "description": "In sentences, what was not looked at or is not listed.",
            },
        ),
        **_FOUND,
    },
)

# --- Routing ------------------------------------------------------------------------

_TAG = object_of(
    key={**STRING, "minLength": 1, "maxLength": 64},
    value={**STRING, "minLength": 1, "maxLength": 200},
)
_RULES: dict[str, Schema] = {
    "models": {
        **array_of(STRING),
        "maxItems": MOST_MODELS,
        "description": "Only these may be used; empty: all.",
    },
    "batch_only_tags": {
        **array_of(_TAG),
        "maxItems": MOST_TAGS,
        "description": "What carries one of these is processed in batches alone.",
    },
    "max_output": {
        "type": ["integer", "null"],
        "minimum": 1,
        "maximum": MOST_OUTPUT,
        "description": "Tokens that a call may give out; null: any.",
    },
}
_POLICY = object_of(
    id=STRING,
    team=STRING,
    effective_from={**DATE, "description": "Its first day, in the reporting zone."},
    holds_from={
        **TIME,
        "description": "The start of that day; on the day it was made, that moment.",
    },
    **_RULES,
    reason=STRING,
    changed_by=STRING,
    changed_at=TIME,
)
_NO_POLICY: Schema = {"type": "null"}
list_routing_policies = extend_schema(
    operation_id="list_routing_policies",
    summary="A team's routing policy, and all it ever had: 200 at a time",
    parameters=[_TEAM, CURSOR],
    responses={
        200: OpenApiResponse(
            object_of(
                team=STRING,
                in_force={"anyOf": [_POLICY, _NO_POLICY]},
                data={
                    **array_of(_POLICY),
                    "description": "The newest change first; scheduled ones too.",
                },
                next_cursor=nullable("string", "Null: these are the last ones."),
            )
        ),
        **_FOUND,
    },
)
set_routing_policy = extend_schema(
    operation_id="set_routing_policy",
    summary="Put these rules in the place of the team's policy: from now, or from a day on",
    request={
        "application/json": {
            "type": "object",
            "properties": {
                "team": {**STRING, "description": "Needed for several teams."},
                "effective_from": {
                    **DATE,
                    "description": "Today (the default): from now on.",
                },
                **_RULES,
                "reason": {**STRING, "maxLength": 1000},
            },
        }
    },
    responses={201: OpenApiResponse(_POLICY), **_FOUND},
)
_KIND: Schema = {"type": "string", "enum": list(BreachKind)}
get_routing_breaches = extend_schema(
    operation_id="report_routing_breaches",
    summary="What was not as the team's routing policy says, and what each breach cost",
    parameters=_RANGE,
    responses={
        200: _of_range(
            policies=array_of(
                object_of(
                    id=STRING,
                    since=DATE,
                    until=DATE,
                    holds_from={**TIME, "description": "Or the first moment of the range."},
                    holds_until={**TIME, "description": "Or the end of the range."},
                )
            ),
            rows=array_of(
                object_of(
                    kind=_KIND,
                    rule={
                        **_STRING_OR_NULL,
                        "description": "The tag, or the maximum; null of a model.",
                    },
                    project=STRING,
                    model=STRING,
                    provider=STRING,
                    requests=COUNT,
                    spent={**MONEY, "description": "All that these requests cost."},
                    cost={
                        **MONEY_OR_NULL,
                        "description": "What the breach cost: all of it for a model, what "
                        "a batch would have cost less (null: there is no such price), the "
                        "tokens above the maximum.",
                    },
                )
            ),
            examples=array_of(
                object_of(
                    kind=_KIND,
                    project=STRING,
                    model=STRING,
                    id={**STRING, "description": "Of the record: `GET /usage/{id}`."},
                    month=STRING,
                    occurred_at=TIME,
                    output=COUNT,
                    cost=MONEY_OR_NULL,
                )
            ),
        ),
        **_FOUND,
    },
)
