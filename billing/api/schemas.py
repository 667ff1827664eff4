"""What the OpenAPI document says of each endpoint.

The request schemas come from the structs that decode the requests, so they cannot differ.
"""

from inspect import cleandoc
from typing import Any

import msgspec
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema

from billing.formats.posted import PostedRecord, QuoteRecord
from billing.models.rates import PRICE_FIELDS
from billing.reports.spend import DIMENSIONS

_Schema = dict[str, Any]


class ApiKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "teams.api.authentication.ApiKeyAuthentication"
    name = "apiKey"

    def get_security_definition(self, auto_schema: AutoSchema) -> _Schema:
        return {"type": "http", "scheme": "bearer", "bearerFormat": "purser_…"}


def _struct(kind: type[msgspec.Struct]) -> _Schema:
    """The JSON schema of a struct, with its references written out in place."""
    (schema,), components = msgspec.json.schema_components((kind,), ref_template="{name}")
    inlined: _Schema = _inlined(schema, components)
    inlined["description"] = cleandoc(kind.__doc__ or "")
    # What the struct cannot say of these two: a zone is needed; only its format knows.
    inlined["properties"]["occurred_at"] = _TIME
    inlined["properties"]["usage"] = {
        "type": "object",
        "description": "The provider's usage object, verbatim.",
    }
    return inlined


def _inlined(node: Any, components: dict[str, Any]) -> Any:
    if isinstance(node, dict):
        if "$ref" in node:
            return _inlined(components[node["$ref"]], components)
        return {name: _inlined(value, components) for name, value in node.items()}
    if isinstance(node, list):
        return [_inlined(value, components) for value in node]
    return node


def _object(**properties: _Schema) -> _Schema:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _array(of: _Schema) -> _Schema:
    return {"type": "array", "items": of}


def _nullable(kind: str, description: str = "") -> _Schema:
    return {"type": [kind, "null"], "description": description}


_STRING: _Schema = {"type": "string"}
_COUNT: _Schema = {"type": "integer", "minimum": 0}
_MONEY: _Schema = {
    "type": "string",
    "description": "A decimal number as a string: exact, plain notation.",
    "examples": ["0.000774"],
}
_MONEY_OR_NULL: _Schema = {**_MONEY, "type": ["string", "null"]}
_TIME: _Schema = {"type": "string", "format": "date-time"}
_DATE: _Schema = {"type": "string", "format": "date"}
_ONE_OF_CLASSES: _Schema = {"type": "string", "enum": [*PRICE_FIELDS]}
_QUANTITIES = _object(**dict.fromkeys(PRICE_FIELDS, _COUNT))

_PROBLEM = OpenApiResponse(
    {
        **_object(type=_STRING, title=_STRING, status=_COUNT, code=_STRING, detail=_STRING),
        "description": "RFC 9457. `code` is stable; `detail` is a sentence for people.",
    },
    description="The request cannot be served as it stands.",
)
_PROBLEMS = dict.fromkeys((400, 401, 403, 413, 415, 503), _PROBLEM)

_LINE = _object(
    token_class=_ONE_OF_CLASSES,
    quantity=_COUNT,
    unit_price={**_MONEY, "description": "Of one token, or of one search."},
    cost=_MONEY,
    model=_STRING,
)

# --- POST /usage --------------------------------------------------------------------

_RECORD = _struct(PostedRecord)
_RECORDS: _Schema = {"oneOf": [_RECORD, _array(_RECORD), _object(records=_array(_RECORD))]}
_RESULT: _Schema = {
    **_object(
        index=_COUNT,
        id=_nullable("string"),
        status={
            "type": "string",
            "enum": ["accepted", "duplicate", "conflict", "rejected", "try_again"],
        },
        code=_nullable("string", "Stable, for programs."),
        pointer=_nullable("string", "JSON pointer, relative to the record."),
        detail=_nullable("string", "A sentence for people."),
    )
}
_RESULT["properties"] |= {
    "state": {**_STRING, "description": "With `Prefer: wait=N` only."},
    "cost": _MONEY_OR_NULL,
}
_REPLY = _object(
    received=_COUNT,
    accepted=_COUNT,
    duplicates=_COUNT,
    conflicts=_COUNT,
    rejected=_COUNT,
    results=_array(_RESULT),
)
_REPLY["properties"]["try_again"] = _COUNT

post_usage = extend_schema(
    operation_id="post_usage",
    summary="Post usage records",
    description=(
        'A single record, an array, `{"records": […]}` or NDJSON; at most 1,000 records '
        "and 2,000,000 bytes. `usage` is the provider's usage object, verbatim. Safe to "
        "repeat: a record counts once by its id."
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
    request={"application/json": _RECORDS, "application/x-ndjson": _STRING},
    responses={
        202: OpenApiResponse(_REPLY, description="Nothing was refused."),
        207: OpenApiResponse(_REPLY, description="Some records were refused."),
        422: OpenApiResponse(_REPLY, description="All records were refused."),
        **_PROBLEMS,
    },
)

# --- GET /usage/{id} ----------------------------------------------------------------

_PUBLISHED_PRICE: _Schema = {
    **_object(price=_MONEY, per=_COUNT),
    "type": ["object", "null"],
}
_RATE: _Schema = {
    **_object(
        id=_STRING,
        card=_STRING,
        effective_from=_TIME,
        context_tier=_COUNT,
        processing=_STRING,
        speed=_STRING,
        geo=_STRING,
        endpoint=_STRING,
        source=_STRING,
        observed_on=_DATE,
        prices=_object(**dict.fromkeys(PRICE_FIELDS, _PUBLISHED_PRICE)),
    ),
    "type": ["object", "null"],
}

get_usage = extend_schema(
    operation_id="get_usage",
    summary="One usage record: state, charges, rates",
    parameters=[
        OpenApiParameter(
            "project",
            OpenApiTypes.STR,
            description="Needed where the key covers several.",
        )
    ],
    responses={
        200: OpenApiResponse(
            _object(
                id=_STRING,
                project=_STRING,
                team=_STRING,
                state={
                    "type": "string",
                    "enum": ["pending", "priced", "unpriced", "quarantined"],
                },
                cost=_MONEY_OR_NULL,
                currency=_STRING,
                reason=_nullable("string"),
                detail=_nullable("string"),
                occurred_at=_TIME,
                received_at=_TIME,
                provider=_STRING,
                model=_STRING,
                usage_format=_STRING,
                processing=_STRING,
                speed=_STRING,
                geo=_STRING,
                endpoint=_STRING,
                quantities=_QUANTITIES,
                thinking=_COUNT,
                flags=_array(_STRING),
                tags={"type": "object", "additionalProperties": _STRING},
                charges=_array(
                    _object(
                        model=_STRING,
                        cost=_MONEY,
                        posted_at=_TIME,
                        rate=_RATE,
                        lines=_array(_LINE),
                    )
                ),
            )
        ),
        **_PROBLEMS,
        404: _PROBLEM,
    },
)

# --- POST /prices/quote -------------------------------------------------------------

_QUOTE = _struct(QuoteRecord)

post_quote = extend_schema(
    operation_id="quote_prices",
    summary="What records would cost",
    description="Up to 1,000 records of any date; nothing is stored.",
    request={
        "application/json": {"oneOf": [_QUOTE, _array(_QUOTE)]},
        "application/x-ndjson": _STRING,
    },
    responses={
        200: OpenApiResponse(
            _object(
                results=_array(
                    _object(
                        id=_nullable("string"),
                        state={
                            "type": "string",
                            "enum": ["priced", "unpriced", "rejected"],
                        },
                        cost=_MONEY_OR_NULL,
                        currency=_STRING,
                        model=_nullable("string"),
                        lines=_array(_LINE),
                        reason=_nullable("string"),
                        detail=_nullable("string"),
                    )
                )
            )
        ),
        **_PROBLEMS,
    },
)

# --- GET /reports/spend -------------------------------------------------------------

_SUMS = {"requests": _COUNT, "quantities": _QUANTITIES, "cost": _MONEY}
_SPEND_ROW = _object(**_SUMS)
_SPEND_ROW["properties"] |= dict.fromkeys(DIMENSIONS, _STRING)

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
            _object(
                **{"from": _DATE},
                to=_DATE,
                group_by=_array({"type": "string", "enum": list(DIMENSIONS)}),
                rows=_array(_SPEND_ROW),
                total=_object(**_SUMS),
                unpriced_records=_COUNT,
                currency=_STRING,
                time_zone=_STRING,
                as_of=_TIME,
            )
        ),
        **_PROBLEMS,
    },
)
