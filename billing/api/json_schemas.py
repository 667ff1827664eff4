"""JSON schemas that several endpoints' descriptions are put together from.

Those of posted records come from the structs that decode them, so they cannot differ.
"""

from inspect import cleandoc
from typing import Any

import msgspec
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse

from billing.models.rates import PRICE_FIELDS

Schema = dict[str, Any]


def of_question(kind: type[msgspec.Struct]) -> Schema:
    """The JSON schema of a struct, with its references written out in place."""
    (schema,), components = msgspec.json.schema_components((kind,), ref_template="{name}")
    inlined: Schema = _inlined(schema, components)
    inlined["description"] = cleandoc(kind.__doc__ or "")
    return inlined


def of_struct(kind: type[msgspec.Struct]) -> Schema:
    """The same of a record that has a usage object."""
    inlined = of_question(kind)
    # What the struct cannot say of these two: a zone is needed; only its format knows.
    if "occurred_at" in inlined["properties"]:
        inlined["properties"]["occurred_at"] = TIME
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


def object_of(**properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": list(properties)}


def array_of(of: Schema) -> Schema:
    return {"type": "array", "items": of}


def nullable(kind: str, description: str = "") -> Schema:
    return {"type": [kind, "null"], "description": description}


def page_of(of: Schema) -> Schema:
    """Of a list that is read by `CURSOR`."""
    next_cursor = nullable("string", "Null: these are the last ones.")
    return object_of(data=array_of(of), next_cursor=next_cursor)


CURSOR = OpenApiParameter(
    "cursor", OpenApiTypes.STR, description="The next_cursor of the answer before."
)
STRING: Schema = {"type": "string"}
COUNT: Schema = {"type": "integer", "minimum": 0}
MONEY: Schema = {
    "type": "string",
    "description": "A decimal number as a string: exact, plain notation.",
    "examples": ["0.000774"],
}
MONEY_OR_NULL: Schema = {**MONEY, "type": ["string", "null"]}
TIME: Schema = {"type": "string", "format": "date-time"}
DATE: Schema = {"type": "string", "format": "date"}
ONE_OF_CLASSES: Schema = {"type": "string", "enum": [*PRICE_FIELDS]}
QUANTITIES = object_of(**dict.fromkeys(PRICE_FIELDS, COUNT))

EXPOSURE = object_of(
    records=COUNT,
    at_most={
        **MONEY_OR_NULL,
        "description": "What these records without a price cost at most; null where a "
        "class that was used has no price on any card.",
    },
)

PROBLEM = OpenApiResponse(
    {
        **object_of(type=STRING, title=STRING, status=COUNT, code=STRING, detail=STRING),
        "description": "RFC 9457. `code` is stable; `detail` is a sentence for people.",
    },
    description="The request cannot be served as it stands.",
)


def problems(*statuses: int) -> dict[tuple[int, str], OpenApiResponse]:
    """The answers that are problems, by status and content type."""
    return {(status, "application/problem+json"): PROBLEM for status in statuses}


PROBLEMS = problems(400, 401, 403, 406, 413, 415, 503)

LINE = object_of(
    token_class=ONE_OF_CLASSES,
    quantity=COUNT,
    unit_price={**MONEY, "description": "Of one token, search or millisecond."},
    cost=MONEY,
    model=STRING,
)
