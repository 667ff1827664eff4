"""What the OpenAPI document says of estimates."""

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema

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
    nullable,
    object_of,
    page_of,
    problems,
)
from billing.models import Estimate, EstimateCap
from billing.models.estimates import MOST_MODELS, MOST_MONTHS, MOST_SOURCE, Scenario
from billing.pricing.budget_periods import MONTH as _MONTH_PATTERN
from billing.pricing.levers import Ttl
from billing.pricing.scenarios import Larger
from billing.pricing.token_classes import BESIDE_TEXT
from billing.reports.sampled import Sizes

# A year of all models in all scenarios, standard and batch, has fewer lines.
MOST_LINES = 2_000
_FOUND = {**PROBLEMS, **problems(404)}
_POSSIBLE = {**_FOUND, **problems(409)}

SCENARIO: Schema = {"type": "string", "enum": list(Scenario.values)}
MONTH: Schema = {"type": "string", "pattern": f"^{_MONTH_PATTERN.pattern}$"}
PLANNED: Schema = {
    "type": "object",
    "properties": dict.fromkeys(Scenario.values, MONEY),
    "additionalProperties": False,
}
_TIME_OR_NULL: Schema = {**TIME, "type": ["string", "null"]}
_MONTHS: Schema = {"type": "integer", "minimum": 1, "maximum": MOST_MONTHS}
_CONTINGENCY: Schema = {
    "type": "integer",
    "minimum": 0,
    "maximum": 100,
    "description": "Percent that the proposed cap has on top of the plan.",
}
_NUMBER: Schema = {**MONEY, "description": "A number as a string."}
_LINE = object_of(
    month=MONTH,
    model=STRING,
    processing={"type": "string", "enum": ["standard", "batch"]},
    scenario=SCENARIO,
    requests=COUNT,
    quantities={**QUANTITIES, "required": []},
)
_LEVERS = object_of(
    requests_per_day={**_NUMBER, "description": "Of each user, where `users` is given."},
    users={**COUNT, "type": ["integer", "null"]},
    active_days={"type": "integer", "minimum": 1, "maximum": 31},
    growth_percent={**_NUMBER, "description": "From month to month, compounding."},
    batch_percent=_NUMBER,
    prefix_tokens={**COUNT, "description": "The part that prompts repeat."},
    prefix_percent={**_NUMBER, "description": "Of the requests that begin with it."},
    cache_ttl={"type": "string", "enum": [*Ttl]},
    hit_percent={**_NUMBER, "description": "Of those, that find it cached."},
    input_tokens={**COUNT, "description": "The rest of the prompt."},
    output_tokens={**COUNT, "description": "Thinking included."},
    thinking_percent={**_NUMBER, "description": "Of the output; it changes no cost."},
    searches_per_1000=COUNT,
    **{f"{name}_per_1000": COUNT for name in BESIDE_TEXT},
)
LEVERS_BY_SCENARIO: Schema = {
    "type": "object",
    "properties": dict.fromkeys(Scenario.values, _LEVERS),
}
_GIVEN_LEVERS: Schema = {
    **_LEVERS,
    "required": ["requests_per_day", "input_tokens", "output_tokens"],
}
_SPANS: Schema = {
    "type": "object",
    "additionalProperties": object_of(low=MONEY, high=MONEY),
    "description": "By scenario, where it depends on how a tokenizer counts.",
}
_NAMED: Schema = {
    **object_of(provider=STRING, model=STRING),
    "required": ["model"],
    "type": ["object", "null"],
    "description": "Whose tokens the levers count: of the sample the most frequent model, "
    "else the one with the most requests.",
}
_COUNTS: Schema = {"type": "object", "properties": dict.fromkeys(Scenario.values, COUNT)}
_SHAPES: Schema = {
    "type": "object",
    "properties": dict.fromkeys(Scenario.values, _GIVEN_LEVERS),
    "description": "By scenario; the planned one is needed.",
}
_SHARE: Schema = {
    **object_of(
        provider=STRING,
        model=STRING,
        share_percent={
            **_NUMBER,
            "description": "Of the requests. All add up to 100; a model with none is only "
            "compared.",
        },
        token_factor={
            **MONEY_OR_NULL,
            "description": "How many tokens it counts where the levers say one. Null: as "
            "its tokenizer does beside that of the reference, the middle of a range.",
        },
        sizes={
            "type": "string",
            "enum": [*Sizes],
            "description": "`sample`, where nothing is said: those of its own requests, if "
            "a sample is named that has some; `levers`: those of the levers.",
        },
    ),
    "required": ["model"],
}
_SOURCE: Schema = {
    **STRING,
    "description": "Where the tokens per request come from, in a sentence; "
    f"{MOST_SOURCE:,} characters at most.",
}
_TERMS: dict[str, Schema] = {
    "project": {**nullable("string"), "description": "Null: the whole team."},
    "month": MONTH,
    "months": _MONTHS,
    "plan": SCENARIO,
    "contingency_percent": _CONTINGENCY,
    "source": _SOURCE,
    "note": STRING,
}
ESTIMATE = object_of(
    id=STRING,
    team=STRING,
    **_TERMS,
    sample={**nullable("string"), "description": "The id of what its sizes are of."},
    state={"type": "string", "enum": list(Estimate.State.values)},
    created_by=STRING,
    changed_by={**STRING, "description": "Who saved it last."},
    submitted_by=STRING,
    submitted_at=_TIME_OR_NULL,
    approved_by=STRING,
    approved_at=_TIME_OR_NULL,
    decision_note={**STRING, "description": "What was said when it was sent back."},
    currency=STRING,
    priced_at=TIME,
    totals=PLANNED,
    lines=array_of({**_LINE, "properties": {**_LINE["properties"], "cost": MONEY}}),
)
_BALANCE: Schema = {
    **object_of(
        tokens_in=COUNT,
        tokens_out=COUNT,
        cost_in=MONEY,
        cost_out=MONEY,
        larger={"type": "string", "enum": [*Larger]},
        output_percent=MONEY_OR_NULL,
        price_ratio={
            **MONEY_OR_NULL,
            "description": "How many times a token in a token out costs.",
        },
        break_even_ratio={
            **MONEY_OR_NULL,
            "description": "At this ratio of the prices both sides cost the same.",
        },
    ),
    "type": ["object", "null"],
    "description": "What goes in against what comes out, of the planned scenario.",
}
_COMPARED_BY = "Compared by, and planned by unless it has sizes of its own."
_COMPARED = object_of(
    **{**_SHARE["properties"], "token_factor": {**MONEY, "description": _COMPARED_BY}},
    token_factor_low=MONEY,
    token_factor_high=MONEY,
    levers={
        **LEVERS_BY_SCENARIO,
        "description": "Those of its own requests, by which it is planned; empty where it "
        "has the estimate's.",
    },
    ranges=_SPANS,
    totals={
        "type": "object",
        "properties": dict.fromkeys(Scenario.values, MONEY_OR_NULL),
        "description": "Of the whole period, with all requests on this model.",
    },
    per_request=MONEY_OR_NULL,
    rate_since={**_TIME_OR_NULL, "description": "Since when its price is in force."},
    unpriced={**nullable("string"), "description": "Which price is missing."},
    balance=_BALANCE,
)
_VIEW: dict[str, Schema] = {
    "priced_at": TIME,
    "rates_since": {
        **_TIME_OR_NULL,
        "description": "Since when the newest of its prices is in force.",
    },
    "plan": SCENARIO,
    "totals": PLANNED,
    "ranges": _SPANS,
    "reference": _NAMED,
    "by_month": array_of(
        object_of(
            month=MONTH,
            requests={
                "type": "object",
                "properties": dict.fromkeys(Scenario.values, COUNT),
            },
            totals=PLANNED,
        )
    ),
    "levers": {
        **LEVERS_BY_SCENARIO,
        "description": "Empty for an estimate made from lines.",
    },
    "models": array_of(_COMPARED),
    "proposed_cap": object_of(
        amount={**MONEY, "description": "Of a month."},
        largest_month={**MONEY, "description": "What it rests on, of the plan."},
        contingency_percent=_CONTINGENCY,
    ),
    "assumptions": array_of(STRING),
    "warnings": array_of(STRING),
}
_CAP: Schema = {
    **object_of(
        amount=MONEY,
        holds_from={
            **DATE,
            "description": "The first day of the plan, if that is to come.",
        },
        state={"type": "string", "enum": list(EstimateCap.State.values)},
        sentence={**STRING, "description": "What becomes of it, or why nothing does."},
        settled_by=STRING,
        settled_at=_TIME_OR_NULL,
    ),
    "type": ["object", "null"],
    "description": "The monthly cap that it was approved with.",
}
_APPROVAL: Schema = {
    **object_of(
        present_cap={**MONEY_OR_NULL, "description": "Null: there is no monthly budget."},
        largest_months={**PLANNED, "description": "The dearest month of each scenario."},
        holds_from={**DATE, "description": "From when a cap would hold."},
        two_people_above={
            **MONEY_OR_NULL,
            "description": "Above it one person submits and another approves.",
        },
    ),
    "type": ["object", "null"],
    "description": "What a cap is decided by. Null: it is approved.",
}
_DETAILED = object_of(
    **{**ESTIMATE["properties"], **_VIEW, "cap": _CAP, "approval": _APPROVAL}
)
_ANSWER: dict[Any, Any] = {200: OpenApiResponse(_DETAILED), **_POSSIBLE}
_GIVEN: dict[str, Schema] = {
    **_TERMS,
    "sample": {
        **nullable("integer"),
        "description": "The id of a sample that the levers were taken from.",
    },
    "reference": _NAMED,
    "lines": {
        **array_of({**_LINE, "required": ["model", "scenario", "requests", "quantities"]}),
        "maxItems": MOST_LINES,
    },
    "levers": _SHAPES,
    "models": {**array_of(_SHARE), "maxItems": MOST_MODELS},
}
_WITHOUT_LINES = {
    name: its for name, its in _GIVEN.items() if name not in ("lines", "project", "note")
}

_SEEN: Schema = {
    **TIME,
    "description": "That of the estimate as it was read: one that somebody changed "
    "since is refused (409).",
}

list_estimates = extend_schema(
    operation_id="list_estimates",
    summary="Estimates, newest first: 200 at a time",
    parameters=[
        OpenApiParameter("state", OpenApiTypes.STR, enum=list(Estimate.State.values)),
        OpenApiParameter("team", OpenApiTypes.STR, description="The slug of a team."),
        CURSOR,
    ],
    responses={
        200: OpenApiResponse(page_of(ESTIMATE)),
        **_FOUND,
    },
)
create_estimate = extend_schema(
    operation_id="create_estimate",
    summary="Save a draft: lines, or levers and models; priced as usage is",
    request={
        "application/json": {
            "type": "object",
            "required": ["month"],
            "properties": {"team": STRING, **_GIVEN},
        }
    },
    responses={201: OpenApiResponse(_DETAILED), **_FOUND},
)
compute_estimate = extend_schema(
    operation_id="compute_estimate",
    summary="What levers would come to now; nothing is kept",
    request={
        "application/json": {
            "type": "object",
            "required": ["month", "levers", "models"],
            "properties": _WITHOUT_LINES,
        }
    },
    responses={200: OpenApiResponse(object_of(**_VIEW)), **PROBLEMS},
)
get_estimate = extend_schema(
    operation_id="get_estimate",
    summary="An estimate: totals, models side by side, assumptions, proposed cap",
    responses={200: OpenApiResponse(_DETAILED), **_FOUND},
)
change_estimate = extend_schema(
    operation_id="change_estimate",
    summary="Change a draft: what is named; it is priced again",
    description="`lines`, `levers` and `models` are replaced as a whole. With the "
    "`priced_at` of the draft as it was read: one that somebody changed since is not "
    "changed (409).",
    request={
        "application/json": {
            "type": "object",
            "required": ["priced_at"],
            "properties": {**_GIVEN, "priced_at": TIME},
        }
    },
    responses=_ANSWER,
)
submit_estimate = extend_schema(
    operation_id="submit_estimate",
    summary="Ask for a draft to be approved",
    request={"application/json": {"type": "object", "properties": {"priced_at": _SEEN}}},
    responses=_ANSWER,
)
approve_estimate = extend_schema(
    operation_id="approve_estimate",
    summary="Make an estimate the plan of its months",
    request={
        "application/json": {
            "type": "object",
            "properties": {
                "cap": {
                    **MONEY_OR_NULL,
                    "description": "The cap that the monthly budget of its team or project "
                    "has from the first day of the plan on, or at once where that has "
                    "come; the budget is made where there is none.",
                },
                "priced_at": _SEEN,
            },
        }
    },
    responses=_ANSWER,
)
send_back_estimate = extend_schema(
    operation_id="send_back_estimate",
    summary="Make what was submitted a draft again, and say why",
    request={
        "application/json": {
            "type": "object",
            "required": ["note"],
            "properties": {"note": STRING, "priced_at": _SEEN},
        }
    },
    responses=_ANSWER,
)
take_back_cap = extend_schema(
    operation_id="take_back_estimate_cap",
    summary="Let a cap that waits for the first day of its plan not be set",
    request=None,
    responses=_ANSWER,
)
