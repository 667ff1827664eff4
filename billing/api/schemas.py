"""What the OpenAPI document says of records, prices and reports of spend."""

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema

from billing.api.json_schemas import (
    COUNT,
    DATE,
    EXPOSURE,
    LINE,
    MONEY,
    MONEY_OR_NULL,
    PROBLEM,
    PROBLEMS,
    QUANTITIES,
    STRING,
    TIME,
    Schema,
    array_of,
    nullable,
    object_of,
    of_struct,
    problems,
)
from billing.formats.posted import PostedRecord, QuoteRecord
from billing.models.rates import PRICE_FIELDS
from billing.reports.spend import DIMENSIONS


class ApiKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "teams.api.authentication.ApiKeyAuthentication"
    name = "apiKey"

    def get_security_definition(self, auto_schema: AutoSchema) -> Schema:
        return {"type": "http", "scheme": "bearer", "bearerFormat": "purser_…"}


# --- POST /usage --------------------------------------------------------------------

_RECORD = of_struct(PostedRecord)
_RECORDS: Schema = {
    "oneOf": [_RECORD, array_of(_RECORD), object_of(records=array_of(_RECORD))]
}
_RESULT: Schema = {
    **object_of(
        index=COUNT,
        id=nullable("string"),
        status={
            "type": "string",
            "enum": ["accepted", "duplicate", "conflict", "rejected", "try_again"],
        },
        code=nullable("string", "Stable, for programs."),
        pointer=nullable("string", "JSON pointer, relative to the record."),
        detail=nullable("string", "A sentence for people."),
    )
}
_RESULT["properties"] |= {
    "state": {**STRING, "description": "With `Prefer: wait=N` only."},
    "cost": MONEY_OR_NULL,
}
_REPLY = object_of(
    received=COUNT,
    accepted=COUNT,
    duplicates=COUNT,
    conflicts=COUNT,
    rejected=COUNT,
    results=array_of(_RESULT),
)
_REPLY["properties"]["try_again"] = COUNT

post_usage = extend_schema(
    operation_id="post_usage",
    summary="Post usage records",
    description=(
        'A single record, an array, `{"records": […]}` or NDJSON; at most 1,000 records '
        "and 2,000,000 bytes, plain or in gzip or zstd. `usage` is the provider's usage "
        "object, verbatim. Safe to repeat: a record counts once by its id."
    ),
    parameters=[
        OpenApiParameter("verbose", OpenApiTypes.BOOL, description="1: a result for each."),
        OpenApiParameter(
            "Prefer",
            OpenApiTypes.STR,
            OpenApiParameter.HEADER,
            description="`wait=N`: price before replying, N seconds at most.",
        ),
    ],
    request={"application/json": _RECORDS, "application/x-ndjson": STRING},
    responses={
        202: OpenApiResponse(_REPLY, description="Nothing was refused."),
        207: OpenApiResponse(_REPLY, description="Some records were refused."),
        422: OpenApiResponse(_REPLY, description="All records were refused."),
        **PROBLEMS,
        (429, "application/problem+json"): OpenApiResponse(
            PROBLEM.response,
            description="The key has posted too much of late. `Retry-After` says when to "
            "send it again, `RateLimit` what may be posted now.",
        ),
    },
)

# --- GET /usage/{id} ----------------------------------------------------------------

_PUBLISHED_PRICE: Schema = {
    **object_of(price=MONEY, per=COUNT),
    "type": ["object", "null"],
}
_RATE: Schema = {
    **object_of(
        id=STRING,
        card=STRING,
        effective_from=TIME,
        context_tier=COUNT,
        processing=STRING,
        speed=STRING,
        geo=STRING,
        endpoint=STRING,
        source=STRING,
        observed_on=DATE,
        prices=object_of(**dict.fromkeys(PRICE_FIELDS, _PUBLISHED_PRICE)),
    ),
    "type": ["object", "null"],
}

_RECORD_QUERY = [
    OpenApiParameter(
        "project", OpenApiTypes.STR, description="Needed where the key covers several."
    ),
    OpenApiParameter(
        "month",
        OpenApiTypes.STR,
        description="As 2026-11, in UTC; default: the latest that the id was seen in.",
    ),
]
_DAY_OF_CHARGE: Schema = {
    "day": {**DATE, "description": "Which it counts on, in the reporting zone."},
    "adjustment": {
        "type": "boolean",
        "description": "Its month was closed: it counts on the day it was charged.",
    },
}
_VOID: Schema = {**object_of(at=TIME, by=STRING, reason=STRING), "type": ["object", "null"]}
_RECORD_REPORT = object_of(
    id=STRING,
    project=STRING,
    team=STRING,
    state={
        "type": "string",
        "enum": ["pending", "priced", "unpriced", "quarantined", "void"],
    },
    cost=MONEY_OR_NULL,
    currency=STRING,
    reason=nullable("string"),
    detail=nullable("string"),
    occurred_at=TIME,
    received_at=TIME,
    provider=STRING,
    model=STRING,
    usage_format=STRING,
    processing=STRING,
    speed=STRING,
    geo=STRING,
    endpoint=STRING,
    quantities=QUANTITIES,
    thinking=COUNT,
    flags=array_of(STRING),
    tags={"type": "object", "additionalProperties": STRING},
    hold=nullable("string", "The id of the hold that it was posted with."),
    charges=array_of(
        object_of(
            model=STRING,
            cost=MONEY,
            posted_at=TIME,
            **_DAY_OF_CHARGE,
            rate=_RATE,
            lines=array_of(LINE),
        )
    ),
    history=array_of(
        object_of(
            revision=COUNT,
            leg={"type": "integer", "description": "Below 0: takes another back."},
            model=STRING,
            cost=MONEY,
            **_DAY_OF_CHARGE,
            posted_at=TIME,
        )
    ),
    void=_VOID,
    corrects=nullable("string", "The id of the record that it stands in the place of."),
    corrected_by=nullable("string", "The id of the record that stands in its place."),
)

get_usage = extend_schema(
    operation_id="get_usage",
    summary="One usage record: state, charges, rates",
    parameters=_RECORD_QUERY,
    responses={200: OpenApiResponse(_RECORD_REPORT), **PROBLEMS, **problems(404)},
)
void_usage = extend_schema(
    operation_id="void_usage",
    summary="Take a usage record back",
    description=(
        "Its charges are taken back when it is counted, within seconds. Safe to repeat: "
        "the first reason stands."
    ),
    parameters=_RECORD_QUERY,
    request={
        "application/json": {
            "type": "object",
            "required": ["reason"],
            "properties": {"reason": STRING},
        }
    },
    responses={200: OpenApiResponse(_RECORD_REPORT), **PROBLEMS, **problems(404)},
)
not_described = extend_schema(exclude=True)

# --- POST /prices/quote -------------------------------------------------------------

_QUOTE = of_struct(QuoteRecord)
_READ: Schema = {
    **object_of(
        usage_format=STRING,
        processing=STRING,
        speed=STRING,
        geo=STRING,
        endpoint=STRING,
        quantities=QUANTITIES,
        thinking=COUNT,
        flags=array_of(STRING),
    ),
    "type": ["object", "null"],
    "description": "What was understood of the record; null when it was rejected.",
}

post_quote = extend_schema(
    operation_id="quote_prices",
    summary="What records would cost",
    description="Up to 1,000 records of any date; nothing is stored.",
    request={
        "application/json": {"oneOf": [_QUOTE, array_of(_QUOTE)]},
        "application/x-ndjson": STRING,
    },
    responses={
        200: OpenApiResponse(
            object_of(
                results=array_of(
                    object_of(
                        id=nullable("string"),
                        state={
                            "type": "string",
                            "enum": ["priced", "unpriced", "rejected"],
                        },
                        cost=MONEY_OR_NULL,
                        currency=STRING,
                        model=nullable("string"),
                        lines=array_of(LINE),
                        reason=nullable("string"),
                        detail=nullable("string"),
                        read=_READ,
                    )
                )
            )
        ),
        **PROBLEMS,
    },
)

# --- GET /reports/spend -------------------------------------------------------------

_SUMS = {
    "requests": COUNT,
    "quantities": QUANTITIES,
    "cost": MONEY,
    "adjustment": {**MONEY, "description": "Of the cost: what is of closed months."},
}
_OPEN_MONTHS: Schema = {
    **object_of(first=DATE, until=DATE),
    "description": "Months before `first` are closed. Its own closes as `until` begins.",
}
_SPEND_ROW = object_of(**_SUMS)
_SPEND_ROW["properties"] |= dict.fromkeys(DIMENSIONS, STRING)

get_spend = extend_schema(
    operation_id="report_spend",
    summary="Spend per team, project, model, family or day",
    parameters=[
        OpenApiParameter(
            "group_by",
            OpenApiTypes.STR,
            description=f"Of {', '.join(DIMENSIONS)}, joined by commas. Default: team.",
        ),
        OpenApiParameter("from", OpenApiTypes.DATE, description="First day."),
        OpenApiParameter("to", OpenApiTypes.DATE, description="First day not in it."),
    ],
    responses={
        200: OpenApiResponse(
            object_of(
                **{"from": DATE},
                to=DATE,
                group_by=array_of({"type": "string", "enum": list(DIMENSIONS)}),
                rows=array_of(_SPEND_ROW),
                total=object_of(**_SUMS),
                unpriced_records=COUNT,
                unpriced=EXPOSURE,
                open_months=_OPEN_MONTHS,
                currency=STRING,
                time_zone=STRING,
                as_of=TIME,
            )
        ),
        **PROBLEMS,
    },
)
