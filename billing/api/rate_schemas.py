"""What the OpenAPI document says of rates, rate cards and proposals."""

from collections.abc import Iterable
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema

from billing.api.json_schemas import (
    COUNT,
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
    problems,
)
from billing.models import Proposal, Publication, RateCard
from billing.models.rates import PRICE_FIELDS
from billing.pricing.usage import Processing, Speed
from billing.reports.prices import Place
from billing.reports.rate_changes import Change

_FOUND = {**PROBLEMS, **problems(404)}
_TIME_OR_NULL: Schema = {**TIME, "type": ["string", "null"]}
_BOOLEAN: Schema = {"type": "boolean"}


def _answers(schema: Schema, status: int = 200) -> dict[Any, OpenApiResponse]:
    return {status: OpenApiResponse(schema), **_FOUND}


def _body(properties: dict[str, Schema], *required: str) -> dict[str, Schema]:
    schema: Schema = {"type": "object", "properties": properties}
    if required:
        schema["required"] = list(required)
    return {"application/json": schema}


def _enum(values: Iterable[str]) -> Schema:
    return {"type": "string", "enum": [str(one) for one in values]}


# --- Rates --------------------------------------------------------------------------

_PRICES: Schema = {
    "type": "object",
    "description": "By token class; a class without a price is missing.",
    "properties": dict.fromkeys(PRICE_FIELDS, object_of(price=MONEY, per=COUNT)),
    "additionalProperties": False,
}
_CONDITIONS: dict[str, Schema] = {
    "processing": _enum(Processing),
    "speed": _enum(Speed),
    "geo": STRING,
    "endpoint": STRING,
    "context_tier": {**COUNT, "description": "For calls with more input than this."},
    "effective_from": TIME,
    "stop": {**_BOOLEAN, "description": "Ends the series; it has no prices."},
}
_RATE: dict[str, Schema] = {
    "id": STRING,
    "provider": STRING,
    "model": STRING,
    **_CONDITIONS,
    "prices": _PRICES,
    "currency": STRING,
    "source": STRING,
    "observed_on": DATE,
    "publication": STRING,
}
_KIND = _enum(RateCard.Kind.values)
_UNTIL: Schema = {**_TIME_OR_NULL, "description": "When something else is in force."}

list_rates = extend_schema(
    operation_id="list_rates",
    summary="What costs what, since when, from which source",
    description=(
        "The rates that price an organization's calls at a moment: its contracts, and "
        "the list prices where those say nothing. For every key, and every person."
    ),
    parameters=[
        OpenApiParameter(
            "at", OpenApiTypes.STR, description="A day (it begins in UTC) or a time; now."
        ),
        OpenApiParameter("provider", OpenApiTypes.STR),
        OpenApiParameter("model", OpenApiTypes.STR, description="Without the provider."),
        OpenApiParameter(
            "organization", OpenApiTypes.STR, description="For people in several."
        ),
    ],
    responses=_answers(
        object_of(
            at=TIME,
            data=array_of(object_of(**_RATE, until=_UNTIL, card=STRING, kind=_KIND)),
        )
    ),
)
get_timeline = extend_schema(
    operation_id="get_rate_timeline",
    summary="A model's past, current and coming rates",
    parameters=[
        OpenApiParameter("model", OpenApiTypes.STR, required=True),
        OpenApiParameter("provider", OpenApiTypes.STR, description="Default: anthropic."),
    ],
    responses=_answers(
        object_of(
            provider=STRING,
            model=STRING,
            data=array_of(
                object_of(
                    card=STRING,
                    kind=_KIND,
                    conditions=array_of(STRING),
                    rates=array_of(
                        object_of(
                            **_RATE,
                            until=_UNTIL,
                            place=_enum(Place),
                            published_by=STRING,
                            published_at=TIME,
                        )
                    ),
                )
            ),
        )
    ),
)

# --- Rate cards ---------------------------------------------------------------------

_CARD = object_of(
    id=STRING,
    kind=_KIND,
    name=STRING,
    provider=STRING,
    currency=STRING,
    organization=nullable("string", "Of a contract."),
    editable={**_BOOLEAN, "description": "Whether the caller may change it."},
)
_PUBLICATION: dict[str, Schema] = {
    "id": STRING,
    "card": STRING,
    "state": _enum(Publication.State.values),
    "note": STRING,
    "created_by": STRING,
    "created_at": TIME,
    "published_by": nullable("string"),
    "published_at": _TIME_OR_NULL,
    "withdrawn_by": nullable("string"),
    "withdrawn_at": _TIME_OR_NULL,
    "first_start": {**_TIME_OR_NULL, "description": "Of its rates."},
    "rate_count": COUNT,
}
_IN_FULL = object_of(**_PUBLICATION, rates=array_of(object_of(**_RATE)))

list_cards = extend_schema(
    operation_id="list_rate_cards",
    summary="The list cards, and the organization's contracts",
    responses=_answers(object_of(data=array_of(_CARD))),
)
create_card = extend_schema(
    operation_id="create_rate_card",
    summary="Make a contract card over a provider's list",
    request=_body(
        {"provider": STRING, "name": STRING, "organization": STRING}, "provider", "name"
    ),
    responses=_answers(_CARD, 201),
)
list_publications = extend_schema(
    operation_id="list_publications",
    summary="What was put on a card, newest first",
    description="Drafts are shown to who may edit the card.",
    responses=_answers(object_of(data=array_of(object_of(**_PUBLICATION)))),
)
start_draft = extend_schema(
    operation_id="start_draft",
    summary="Start an empty draft",
    request=_body({"note": STRING}),
    responses=_answers(object_of(**_PUBLICATION), 201),
)
get_publication = extend_schema(
    operation_id="get_publication",
    summary="A publication or draft with its rates",
    responses=_answers(_IN_FULL),
)
describe_draft = extend_schema(
    operation_id="describe_draft",
    summary="Change the note of a draft",
    request=_body({"note": STRING}),
    responses=_answers(_IN_FULL),
)
discard_draft = extend_schema(
    operation_id="discard_draft",
    summary="Throw a draft away",
    responses={204: None, **_FOUND},
)
set_rate = extend_schema(
    operation_id="set_draft_rate",
    summary="Put a rate on a draft, in the place of the one with its conditions",
    description=(
        "A price that is 1,000 times or more away from the one in force, or far from "
        "every known one, needs a `confirmation`: the reason why it is right."
    ),
    request=_body(
        {
            "model": STRING,
            **_CONDITIONS,
            "prices": {
                "type": "object",
                "properties": dict.fromkeys(PRICE_FIELDS, MONEY),
                "additionalProperties": False,
            },
            "source": STRING,
            "observed_on": DATE,
            "confirmation": STRING,
        },
        "model",
        "effective_from",
        "source",
    ),
    responses=_answers(object_of(**_RATE), 201),
)
remove_rate = extend_schema(
    operation_id="remove_draft_rate",
    summary="Take a rate off a draft",
    responses={204: None, **_FOUND},
)
copy_rates = extend_schema(
    operation_id="copy_rates",
    summary="Copy the card's rates of some models onto a draft, to start at a moment",
    request=_body({"models": array_of(STRING), "at": TIME}, "models"),
    responses=_answers(_IN_FULL),
)
_SHARE: Schema = {**MONEY, "description": "Percent of the list price."}
fill_from_list = extend_schema(
    operation_id="fill_from_list",
    summary="Write a share of the list prices onto a contract's draft",
    description=(
        "`percent` is for every model that `models` does not name. Each price is rounded "
        "to nine places, half to even. What the list has scheduled comes along."
    ),
    request=_body(
        {
            "percent": _SHARE,
            "models": {"type": "object", "additionalProperties": _SHARE},
            "at": TIME,
            "source": STRING,
            "confirmation": STRING,
        },
        "source",
    ),
    responses=_answers(_IN_FULL),
)
get_diff = extend_schema(
    operation_id="get_draft_diff",
    summary="What calls cost before and after each rate of a draft",
    responses=_answers(
        object_of(
            data=array_of(
                object_of(
                    rate=object_of(**_RATE),
                    change=_enum(Change),
                    until=_UNTIL,
                    falls_to=nullable("string", "The card that prices after a stop."),
                    prices=array_of(
                        object_of(
                            token_class=ONE_OF_CLASSES,
                            per=COUNT,
                            old=MONEY_OR_NULL,
                            new=MONEY_OR_NULL,
                            difference=MONEY_OR_NULL,
                            percent=MONEY_OR_NULL,
                            change=_enum(Change),
                        )
                    ),
                )
            )
        )
    ),
)
get_impact = extend_schema(
    operation_id="get_draft_impact",
    summary="The last 30 days re-rated with a draft; nothing is written",
    parameters=[
        OpenApiParameter(
            "throughout",
            OpenApiTypes.BOOL,
            description=(
                "As if the draft had been in force all the time; default: where all of "
                "it starts in the future."
            ),
        )
    ],
    responses=_answers(
        object_of(
            throughout=_BOOLEAN,
            data=array_of(
                object_of(
                    organization=STRING,
                    currency=STRING,
                    **{"from": DATE, "to": DATE},
                    difference=MONEY,
                    months=array_of(
                        object_of(
                            team=STRING,
                            month=STRING,
                            before=MONEY,
                            after=MONEY,
                            difference=MONEY,
                            percent=MONEY_OR_NULL,
                        )
                    ),
                    budgets=array_of(
                        object_of(
                            budget=STRING,
                            scope=STRING,
                            period=STRING,
                            period_start=DATE,
                            amount=MONEY,
                            before=MONEY,
                            after=MONEY,
                            levels=array_of(COUNT),
                        )
                    ),
                    requests=COUNT,
                    without_price={**COUNT, "description": "They count as they are."},
                    newly_priced={**COUNT, "description": "Records without one so far."},
                    newly_priced_cost=MONEY,
                )
            ),
        )
    ),
)
publish = extend_schema(
    operation_id="publish_draft",
    summary="Publish a draft; rates that start later are scheduled by that",
    description="Nothing that is charged changes, and its rates never do again.",
    request=None,
    responses=_answers(object_of(**_PUBLICATION)),
)
withdraw = extend_schema(
    operation_id="withdraw_publication",
    summary="Take scheduled rates back before the first of them starts",
    request=_body({"reason": STRING}),
    responses=_answers(object_of(**_PUBLICATION)),
)

# --- Proposals ----------------------------------------------------------------------

_PROPOSAL = object_of(
    id=STRING,
    model=STRING,
    **_CONDITIONS,
    prices=_PRICES,
    source=STRING,
    observed_on=DATE,
    found_at=TIME,
    state=_enum(Proposal.State.values),
    decided_by=nullable("string"),
    decided_at=_TIME_OR_NULL,
    reason=nullable("string"),
    publication=nullable("string", "The draft that it was accepted onto."),
)
_DECISION: dict[str, Schema] = {
    "proposals": array_of({"type": "integer"}),
    "reason": STRING,
}

list_proposals = extend_schema(
    operation_id="list_proposals",
    summary="Where the installed price data and a list card differ",
    parameters=[
        OpenApiParameter(
            "state", OpenApiTypes.STR, description="open (default), accepted, …"
        )
    ],
    responses=_answers(object_of(data=array_of(_PROPOSAL))),
)
accept_proposals = extend_schema(
    operation_id="accept_proposals",
    summary="Put proposals on a draft",
    description="On a new one, or on `publication`. Prices out of bounds need a `reason`.",
    request=_body({**_DECISION, "publication": {"type": "integer"}}, "proposals"),
    responses=_answers(object_of(publication=STRING)),
)
dismiss_proposals = extend_schema(
    operation_id="dismiss_proposals",
    summary="Leave the card as it is; the same price is not proposed again",
    request=_body(_DECISION, "proposals", "reason"),
    responses={204: None, **_FOUND},
)
