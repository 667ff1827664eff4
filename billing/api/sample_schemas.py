"""What the OpenAPI document says of samples, and of text in tokens."""

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema

from billing.api.estimate_schemas import LEVERS_BY_SCENARIO
from billing.api.json_schemas import (
    COUNT,
    CURSOR,
    DATE,
    MONEY,
    MONEY_OR_NULL,
    ONE_OF_CLASSES,
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
from billing.formats import sample_columns
from billing.formats.samples import MAX_ROWS
from billing.models.samples import Source
from billing.pricing.samples import Distribution, Side
from billing.pricing.text_tokens import Kind, Tokenizer, Unit

_FOUND = {**PROBLEMS, **problems(404)}
_DATE_OR_NULL: Schema = {**DATE, "type": ["string", "null"]}
_PERCENT: Schema = {**MONEY_OR_NULL, "description": "Null: there is nothing to be part of."}
_DISTRIBUTION = object_of(**dict.fromkeys(Distribution._fields, COUNT))
_WARNING = object_of(code=STRING, sentence=STRING)
_INTERVAL: Schema = {
    **object_of(mean=MONEY, low=MONEY, high=MONEY),
    "type": ["object", "null"],
    "description": "The mean of all such requests, and an interval that holds it in nine "
    "of ten samples; null for fewer than ten requests with a price.",
}
_MODEL = object_of(
    provider=STRING,
    model=STRING,
    requests=COUNT,
    classes={
        "type": "object",
        "propertyNames": ONE_OF_CLASSES,
        "additionalProperties": _DISTRIBUTION,
        "description": "Of one request; classes that were not used are absent.",
    },
    sides=object_of(**{side.value: _DISTRIBUTION for side in Side}),
    caching={**COUNT, "description": "Requests that read from or wrote to a cache."},
    prefix={
        **_DISTRIBUTION,
        "type": ["object", "null"],
        "description": "What those read and wrote, of one of them.",
    },
    hit_percent=_PERCENT,
    thinking_percent=_PERCENT,
    batch_percent=MONEY,
    elsewhere={
        **COUNT,
        "description": "Requests that were fast, flex, at a priority or bound to a place.",
    },
    priced=COUNT,
    free=COUNT,
    unpriced={
        "type": "object",
        "additionalProperties": COUNT,
        "description": "How many have no price, by the reason; they are in no cost.",
    },
    cost_per_request=_INTERVAL,
    mean_cost=MONEY_OR_NULL,
    output_cost_percent=_PERCENT,
    warnings=array_of(_WARNING),
    levers={
        **LEVERS_BY_SCENARIO,
        "description": "What an estimate makes of them: 25th, 50th, 90th percentile.",
    },
)
_HEAD: dict[str, Schema] = {
    "id": STRING,
    "team": STRING,
    "project": nullable("string"),
    "name": STRING,
    "source": {"type": "string", "enum": list(Source.values)},
    "records": COUNT,
    "of_records": {**COUNT, "description": "Of how many they were chosen."},
    "not_read": COUNT,
    "since": _DATE_OR_NULL,
    "until": {**_DATE_OR_NULL, "description": "The day after the last."},
    "created_by": STRING,
    "created_at": TIME,
}
_SAMPLE = object_of(
    **_HEAD,
    read=array_of({**STRING, "description": "What was read, in sentences."}),
    in_estimates=array_of(
        {**STRING, "description": "What an estimate leaves out, or takes otherwise."}
    ),
    read_as={"type": "object", "additionalProperties": COUNT},
    problems=array_of(
        object_of(
            number=COUNT,
            unit={"type": "string", "enum": ["line", "record"]},
            detail=STRING,
            count=COUNT,
        )
    ),
    columns={"type": "object", "additionalProperties": STRING},
    models=array_of(_MODEL),
    currency=STRING,
    priced_at=TIME,
)

list_samples = extend_schema(
    operation_id="list_samples",
    summary="Samples, newest first: 200 at a time",
    parameters=[CURSOR],
    responses={200: OpenApiResponse(page_of(object_of(**_HEAD))), **PROBLEMS},
)
create_sample = extend_schema(
    operation_id="create_sample",
    summary="Keep what some past calls used",
    description=(
        "In one of three ways: `records`, `text` (JSON, lines or a table), or `days` of a "
        f"project's own records. At most {MAX_ROWS:,} records; of a project with more as "
        "many are chosen evenly. No text of a record is kept."
    ),
    request={
        "application/json": {
            "type": "object",
            "properties": {
                "team": STRING,
                "project": STRING,
                "name": {**STRING, "maxLength": 200},
                "records": array_of({"type": "object"}),
                "text": STRING,
                "days": {"type": "integer", "minimum": 1, "maximum": 31},
                "provider": {**STRING, "description": "Of records that do not say it."},
                "model": {**STRING, "description": "Of records that do not say it."},
                "columns": {
                    "type": "object",
                    "propertyNames": {"enum": list(sample_columns.FIELDS)},
                    "additionalProperties": STRING,
                    "description": "Headers of a table's columns, or members of flat "
                    "objects, where guessed wrongly; empty for a field that none has.",
                },
                "inclusive": {
                    "type": "boolean",
                    "description": "Whether the input of a table counts what was cached.",
                },
            },
        }
    },
    responses={201: OpenApiResponse(_SAMPLE), **_FOUND},
)
get_sample = extend_schema(
    operation_id="get_sample",
    summary="What requests like those of a sample use and cost, per model",
    responses={200: OpenApiResponse(_SAMPLE), **_FOUND},
)
delete_sample = extend_schema(
    operation_id="delete_sample",
    summary="Forget a sample",
    responses={204: None, **_FOUND, **problems(409)},
)

_RANGE = object_of(
    tokenizer={"type": "string", "enum": list(Tokenizer)}, low=COUNT, mid=COUNT, high=COUNT
)
get_text_tokens = extend_schema(
    operation_id="get_text_tokens",
    summary="Words or characters in tokens: a range",
    parameters=[
        OpenApiParameter("count", OpenApiTypes.INT, required=True),
        OpenApiParameter("unit", enum=list(Unit), description="Default: words."),
        OpenApiParameter("kind", enum=list(Kind), description="Default: prose."),
        OpenApiParameter("model", OpenApiTypes.STR, required=True),
    ],
    responses={200: OpenApiResponse(_RANGE), **PROBLEMS},
)
