"""What the OpenAPI document says of variance."""

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema

from billing.api.json_schemas import (
    COUNT,
    DATE,
    EXPOSURE,
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
    problems,
)
from billing.pricing.variance import Effect

_EFFECTS = ("volume", "mix", "size", "caching", "processing", "price")
_SIDES: dict[str, Schema] = {
    "planned": MONEY,
    "actual": MONEY,
    "difference": {**MONEY, "description": "Actual − planned."},
    "difference_percent": {**MONEY_OR_NULL, "description": "Of the plan."},
}
_COMPARED: dict[str, Schema] = {
    "planned_requests": COUNT,
    "requests": {"type": "integer"},
    **_SIDES,
    "effects": {
        **object_of(**dict.fromkeys(_EFFECTS, MONEY)),
        "description": "Together the difference, exactly.",
    },
    "effects_percent": {
        **object_of(**dict.fromkeys(_EFFECTS, MONEY_OR_NULL)),
        "description": "Of the plan.",
    },
    "size": {
        **object_of(input=MONEY, output=MONEY, tools=MONEY),
        "description": "What the effect `size` is made of.",
    },
}
_SPAN = object_of(**{"from": DATE}, to=DATE)
_MODEL = object_of(model=STRING, family=STRING, **_COMPARED)
_PROJECT = object_of(
    project=STRING,
    spent=MONEY,
    spent_requests={"type": "integer"},
    variance={
        **object_of(**_COMPARED),
        "type": ["object", "null"],
        "description": "Null where the project has no plan of its own.",
    },
)
_CLASS = object_of(
    **{"class": ONE_OF_CLASSES},
    planned_quantity=COUNT,
    quantity={"type": "integer"},
    **_SIDES,
)
_DAY = object_of(day=DATE, **_SIDES, planned_total=MONEY, actual_total=MONEY)

_REPORT = object_of(
    team=STRING,
    project=nullable("string"),
    **{"from": DATE},
    to=DATE,
    estimates=array_of(
        object_of(
            id=STRING,
            project=nullable("string", "Null: it is for the whole team."),
            month={**STRING, "description": "The first, as 2026-11."},
            months=COUNT,
            plan={**STRING, "description": "The planned scenario."},
            approved_at=TIME,
        )
    ),
    planned_days={**array_of(_SPAN), "description": "These are compared."},
    unplanned_days=array_of(_SPAN),
    days_to_come={**COUNT, "description": "Planned days that have not begun."},
    spent={**MONEY, "description": "On all these days."},
    spent_without_plan={**MONEY, "description": "The part of it on unplanned days."},
    total={
        **object_of(**_COMPARED),
        "type": ["object", "null"],
        "description": "Null without a plan.",
    },
    drivers={
        **array_of(
            object_of(
                effect={"type": "string", "enum": list(Effect)},
                amount=MONEY,
                percent={**MONEY_OR_NULL, "description": "Of the plan."},
                sentence=STRING,
            )
        ),
        "description": "The effects that are not nothing, the largest first.",
    },
    unpriced={**EXPOSURE, "description": "Of these days; in no figure."},
    group={"type": "string", "enum": ["model", "project", "class", "day"]},
    rows=array_of({"oneOf": [_MODEL, _PROJECT, _CLASS, _DAY]}),
    currency=STRING,
    time_zone=STRING,
    as_of=TIME,
)

get_variance = extend_schema(
    operation_id="report_variance",
    summary="Why spend was not what was planned, for any days",
    parameters=[
        OpenApiParameter("team", OpenApiTypes.STR, description="Needed for several teams."),
        OpenApiParameter("project", OpenApiTypes.STR, description="Only this project."),
        OpenApiParameter(
            "from", OpenApiTypes.DATE, description="First day; default: of the month."
        ),
        OpenApiParameter(
            "to",
            OpenApiTypes.DATE,
            description="First day not in it; default: today, so that all days are whole.",
        ),
        OpenApiParameter(
            "group",
            OpenApiTypes.STR,
            enum=["model", "project", "class", "day"],
            description="What a row is of. Default: model.",
        ),
        OpenApiParameter(
            "format",
            OpenApiTypes.STR,
            enum=["json", "csv"],
            description="As CSV there are the rows alone. Default: json.",
        ),
    ],
    responses={
        (200, "application/json"): OpenApiResponse(_REPORT),
        (200, "text/csv"): OpenApiResponse(STRING),
        **PROBLEMS,
        **problems(404),
    },
)
