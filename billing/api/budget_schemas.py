"""What the OpenAPI document says of budgets, channels and reports of them."""

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema

from billing.api.estimate_schemas import MONTH, PLANNED, SCENARIO
from billing.api.json_schemas import (
    COUNT,
    CURSOR,
    DATE,
    EXPOSURE,
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
from billing.models.budgets import BudgetState
from billing.models.channels import Channel, Delivery
from billing.pricing.budget_periods import PeriodKind
from billing.pricing.caps import DEFAULT_FORECAST_ALERT, DEFAULT_THRESHOLDS
from billing.pricing.usage import Processing
from billing.reports.budget_flags import FlagKind

_FOUND = {**PROBLEMS, **problems(404)}
_POSSIBLE = {**_FOUND, **problems(409)}
_PERCENTS: Schema = array_of({"type": "integer", "minimum": 1, "maximum": 1000})

# --- Budgets ------------------------------------------------------------------------

FORECAST: Schema = {
    **object_of(
        amount={**MONEY, "description": "At the end of the period, expected (the median)."},
        low={**MONEY, "description": "Of the band that holds 80 %."},
        high=MONEY,
        probability_over_cap={**MONEY, "description": "0 to 1."},
        exhausted_on={
            **DATE,
            "type": ["string", "null"],
            "description": "By the end of this day the cap was reached, or is expected to "
            "be; null: not in this period.",
        },
        low_confidence={
            "type": "boolean",
            "description": "Fewer than 14 days of data, or too few for what is to come.",
        },
    ),
    "type": ["object", "null"],
    "description": "Null without a day of data and a plan.",
}
_PERIOD: Schema = {"type": "string", "enum": [kind.value for kind in PeriodKind]}
_PROCESSINGS: Schema = array_of({"type": "string", "enum": list(Processing)})
_NULL: Schema = {"type": "null"}
_TAG: Schema = {
    "anyOf": [
        object_of(
            key={**STRING, "minLength": 1, "maxLength": 64},
            values={
                **array_of({**STRING, "minLength": 1, "maxLength": 200}),
                "minItems": 1,
                "maxItems": 100,
            },
        ),
        _NULL,
    ],
    "description": "Only records with one of these values of this tag count.",
}
_CUSTOM: Schema = {
    "anyOf": [object_of(first=DATE, until=DATE), _NULL],
    "description": "The days [first, until) of a custom period.",
}
# What a budget is for: that never changes.
_FOR: dict[str, Schema] = {
    "models": {**array_of(STRING), "description": "Only these count; empty: all."},
    "processing": {**_PROCESSINGS, "description": "Only these count; empty: all."},
    "tag": _TAG,
    "period": _PERIOD,
    "week_starts_on": {
        "type": "integer",
        "minimum": 0,
        "maximum": 6,
        "description": "Of a week: 0 is Monday.",
    },
    "fiscal_starts_in": {
        "type": "integer",
        "minimum": 1,
        "maximum": 12,
        "description": "The month that quarters and years are counted from.",
    },
    "custom": _CUSTOM,
}
_LIFE: dict[str, Schema] = {
    "forecast_alert": {
        "type": ["integer", "null"],
        "minimum": 1,
        "maximum": 99,
        "description": "Told when the period is expected to end above the cap with so many "
        "percent probability; null: never.",
    },
    "expires_on": {
        **DATE,
        "type": ["string", "null"],
        "description": "From this day on it raises and refuses nothing.",
    },
    "exempt_free": {
        "type": "boolean",
        "description": "Calls of models that cost nothing pass, even over the cap.",
    },
}
_BUDGET = object_of(
    id=STRING,
    team=nullable("string"),
    project=nullable("string", "Neither: the organization."),
    **_FOR,
    scope={**STRING, "description": "What it is for, in words."},
    state={"type": "string", "enum": list(BudgetState)},
    period_start=DATE,
    period_end={**DATE, "description": "The first day after the period."},
    amount={**MONEY, "description": "The cap, without a temporary raise."},
    cap={**MONEY, "description": "The cap in force."},
    raised_until={
        **TIME,
        "type": ["string", "null"],
        "description": "When a temporary raise ends by itself.",
    },
    hard={"type": "boolean"},
    thresholds=_PERCENTS,
    **_LIFE,
    revision=COUNT,
    spent=MONEY,
    remaining=MONEY,
    percent=MONEY_OR_NULL,
    partial={
        "type": "boolean",
        "description": "The project has spent in teams that the key does not cover: their "
        "part is not in these figures, and counts for the alerts.",
    },
    firing={**_PERCENTS, "description": "Levels that are reached now."},
    unpriced={**EXPOSURE, "description": "Of this period; not in what is spent."},
    forecast=FORECAST,
    currency=STRING,
    archived_at={**TIME, "type": ["string", "null"]},
)
_TERMS: dict[str, Schema] = {
    "amount": MONEY,
    "hard": {"type": "boolean", "default": False},
    "thresholds": {**_PERCENTS, "default": list(DEFAULT_THRESHOLDS)},
    **_LIFE,
    "forecast_alert": {**_LIFE["forecast_alert"], "default": DEFAULT_FORECAST_ALERT},
    "reason": STRING,
}
_NEW_BUDGET: Schema = {
    "type": "object",
    "required": ["amount"],
    "properties": {**_TERMS, **_FOR, "team": STRING, "project": STRING},
}

list_budgets = extend_schema(
    operation_id="list_budgets",
    summary="Budgets that the key covers, with what is spent: 200 at a time",
    parameters=[CURSOR],
    responses={200: OpenApiResponse(page_of(_BUDGET)), **PROBLEMS},
)
create_budget = extend_schema(
    operation_id="create_budget",
    summary="Make a budget",
    description=(
        "For a team or a project; without either for what the key is bound to. It starts "
        "with what is already spent in its periods."
    ),
    request={"application/json": _NEW_BUDGET},
    responses={201: OpenApiResponse(_BUDGET), **_FOUND},
)
get_budget = extend_schema(
    operation_id="get_budget",
    summary="One budget",
    responses={200: OpenApiResponse(_BUDGET), **_FOUND},
)
change_budget = extend_schema(
    operation_id="change_budget",
    summary="Change a budget's terms",
    description="A new revision. What is not said stays; what is spent stays spent.",
    request={"application/json": {"type": "object", "properties": _TERMS}},
    responses={200: OpenApiResponse(_BUDGET), **_FOUND},
)
_PERIOD_PREVIEW = object_of(
    period_start=DATE,
    period_end=DATE,
    spent=MONEY,
    alerts=array_of(object_of(threshold=COUNT, day=DATE)),
    over_on={**DATE, "type": ["string", "null"]},
)
_PREVIEW = object_of(
    cap={**MONEY, "description": "The cap in force with these terms."},
    before={**array_of(_PERIOD_PREVIEW), "description": "Up to three, the oldest first."},
    running={
        **_PERIOD_PREVIEW,
        "type": ["object", "null"],
        "description": "The period that runs.",
    },
    percent=MONEY_OR_NULL,
    said={**_PERCENTS, "description": "Reached, and not said again."},
    due={**_PERCENTS, "description": "Reached, and said at once."},
    summary={**STRING, "description": "Of the periods before, in a sentence."},
    outlook={**STRING, "description": "Of the one that runs, in a sentence."},
)
_REVISION = object_of(
    revision=COUNT,
    amount=MONEY,
    raised_to=MONEY_OR_NULL,
    raised_until={**TIME, "type": ["string", "null"]},
    hard={"type": "boolean"},
    thresholds=_PERCENTS,
    **_LIFE,
    changed_by=STRING,
    changed_at=TIME,
    reason=STRING,
)

preview_budget = extend_schema(
    operation_id="preview_budget",
    summary="What a cap would have said of the periods before",
    description=(
        "Of a new budget, by the members that make one; or, with `budget`, of that one "
        "with other terms. Nothing is saved."
    ),
    request={
        "application/json": {
            "type": "object",
            "properties": {**_NEW_BUDGET["properties"], "budget": STRING},
        }
    },
    responses={200: OpenApiResponse(_PREVIEW), **_FOUND},
)
list_revisions = extend_schema(
    operation_id="list_budget_revisions",
    summary="The terms of a budget from change to change, newest first",
    responses={200: OpenApiResponse(object_of(data=array_of(_REVISION))), **_FOUND},
)
archive_budget = extend_schema(
    operation_id="archive_budget",
    summary="End a budget; its history stays",
    responses={204: None, **_FOUND},
)

# --- Deliveries ---------------------------------------------------------------------

_TIME_OR_NULL: Schema = {**TIME, "type": ["string", "null"]}
_CHANNEL_KIND: Schema = {"type": "string", "enum": list(Channel.Kind.values)}

DELIVERY = object_of(
    id=STRING,
    channel=STRING,
    kind=_CHANNEL_KIND,
    event={"type": "string", "enum": list(Delivery.Event.values)},
    state={"type": "string", "enum": list(Delivery.State.values)},
    attempts=COUNT,
    attempts_log=array_of(
        object_of(
            number=COUNT,
            started_at=_TIME_OR_NULL,
            ended_at=_TIME_OR_NULL,
            outcome={
                "type": "string",
                "enum": ["accepted", "failed", "unknown"],
                "description": "Unknown: it is being made, or its sender ended before it "
                "could say what came of it.",
            },
            error=nullable("string"),
        )
    ),
    due_at={**_TIME_OR_NULL, "description": "Of the next attempt."},
    sent_at=_TIME_OR_NULL,
    last_error=nullable("string"),
    instead_of=nullable("string", "The delivery that was given up, which this replaces."),
)

retry_delivery = extend_schema(
    operation_id="retry_delivery",
    summary="Send again what was given up, under the same id",
    request=None,
    responses={202: OpenApiResponse(DELIVERY), **_POSSIBLE},
)

# --- Alerts -------------------------------------------------------------------------

# --- Channels -----------------------------------------------------------------------

_CHANNEL = object_of(
    id=STRING,
    kind=_CHANNEL_KIND,
    target={
        **STRING,
        "description": "An address; of a URL the host, of a routing key its end.",
    },
    team=nullable("string"),
    project=nullable("string", "Neither: all alerts of the organization."),
    created_at=TIME,
    disabled_at={**TIME, "type": ["string", "null"]},
)
_NEW_CHANNEL: Schema = {
    **_CHANNEL,
    "properties": {
        **_CHANNEL["properties"],
        "secret": {
            **STRING,
            "description": "Signs webhooks (Standard Webhooks). Shown only now.",
        },
    },
}

list_channels = extend_schema(
    operation_id="list_channels",
    summary="Where alerts are sent",
    responses={200: OpenApiResponse(object_of(data=array_of(_CHANNEL))), **PROBLEMS},
)
create_channel = extend_schema(
    operation_id="create_channel",
    summary="Send alerts to an address or a URL",
    request={
        "application/json": {
            "type": "object",
            "required": ["kind", "target"],
            "properties": {
                "kind": _CHANNEL_KIND,
                "target": {
                    **STRING,
                    "description": "An address, an https URL (of a webhook, of Slack), or "
                    "the routing key of a PagerDuty service.",
                },
                "team": STRING,
                "project": STRING,
            },
        }
    },
    responses={201: OpenApiResponse(_NEW_CHANNEL), **_FOUND},
)
disable_channel = extend_schema(
    operation_id="disable_channel",
    summary="Send no more alerts there",
    responses={204: None, **_FOUND},
)

rotate_channel = extend_schema(
    operation_id="rotate_channel",
    summary="A new secret; the one before signs along for 24 hours",
    request=None,
    responses={
        200: OpenApiResponse(
            {
                **_NEW_CHANNEL,
                "properties": {
                    **_NEW_CHANNEL["properties"],
                    "previous_secret_until": TIME,
                },
            }
        ),
        **_POSSIBLE,
    },
)
test_channel = extend_schema(
    operation_id="test_channel",
    summary="Send a test, as an alert is sent",
    description="At most every ten seconds; else 429 with `Retry-After`.",
    request=None,
    responses={202: OpenApiResponse(DELIVERY), **_POSSIBLE, **problems(429)},
)

# --- Estimate against actual ----------------------------------------------------------

_SIDES = {
    "planned": PLANNED,
    "estimate": MONEY_OR_NULL,
    "actual": MONEY,
    "variance": {**MONEY_OR_NULL, "description": "Actual − estimate."},
    "variance_percent": MONEY_OR_NULL,
    "requests": COUNT,
}
get_estimate_vs_actual = extend_schema(
    operation_id="report_estimate_vs_actual",
    summary="A team's month: planned and actual, per model",
    parameters=[
        OpenApiParameter("team", OpenApiTypes.STR, description="Needed for several teams."),
        OpenApiParameter("month", OpenApiTypes.STR, description="2026-11; default: now."),
    ],
    responses={
        200: OpenApiResponse(
            object_of(
                team=STRING,
                month=MONTH,
                estimate={
                    **object_of(id=STRING, state=STRING, plan=SCENARIO),
                    "type": ["object", "null"],
                },
                rows=array_of(object_of(model=STRING, family=STRING, **_SIDES)),
                total=object_of(**_SIDES),
                currency=STRING,
                as_of=TIME,
            )
        ),
        **_FOUND,
    },
)

# --- Flags --------------------------------------------------------------------------

_FLAG = object_of(
    kind={"type": "string", "enum": list(FlagKind)},
    sentence=STRING,
    amount={
        **MONEY_OR_NULL,
        "description": "What the team caps add up to, what the project spent in 30 days, "
        "or what the records without a price cost at most (null: nobody knows).",
    },
    budget=nullable("string"),
    project=nullable("string"),
    team=nullable("string"),
)

get_budget_flags = extend_schema(
    operation_id="report_budget_flags",
    summary="What is odd about caps",
    description=(
        "Team caps that add up to more than the organization's, projects that spend "
        "without a cap of their own or their team's, and hard caps that records without "
        "a price may have passed. Empty where nothing is."
    ),
    responses={
        200: OpenApiResponse(object_of(data=array_of(_FLAG), currency=STRING, as_of=TIME)),
        **PROBLEMS,
    },
)
