"""What the OpenAPI document says of alerts and velocity rules."""

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema

from billing.api.budget_schemas import DELIVERY
from billing.api.json_schemas import (
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
    page_of,
    problems,
)
from billing.models.alerts import Alert
from billing.models.velocity_rules import LONGEST, LONGEST_READ, SHORTEST

_FOUND = {**PROBLEMS, **problems(404)}
_POSSIBLE = {**_FOUND, **problems(409)}
_TIME_OR_NULL: Schema = {**TIME, "type": ["string", "null"]}
_STRING_OR_NULL: Schema = {"type": ["string", "null"]}

_ALERT = object_of(
    id=STRING,
    kind={"type": "string", "enum": list(Alert.Kind.values)},
    sentence={**STRING, "description": "What has happened, for people."},
    team=nullable("string"),
    project=nullable("string", "Neither: of the organization."),
    budget=nullable("string", "Null where it is about no budget."),
    revision=nullable("integer", "Null, like the next four, but of a level of a budget."),
    period_start={**DATE, "type": ["string", "null"]},
    threshold=nullable("integer"),
    spent={**MONEY_OR_NULL, "description": "When it was raised."},
    cap=MONEY_OR_NULL,
    rerate=nullable("string", "The re-rate that raised the spend meanwhile."),
    subject={**STRING, "description": "What in particular it is about; empty of a level."},
    occurrence={**STRING, "description": "Which time: a day, an hour, a publication."},
    details={
        "type": "object",
        "description": "What was true when it was raised, by kind. Amounts are strings.",
    },
    provider=nullable("string"),
    model=nullable("string", "The name that has no price."),
    state={"type": "string", "enum": list(Alert.State.values)},
    fired_at=TIME,
    acknowledged_by=nullable("string"),
    acknowledged_at=_TIME_OR_NULL,
    snoozed_until={**_TIME_OR_NULL, "description": "Until then it is on no list."},
    snoozed_by=nullable("string"),
    snooze_reason=nullable("string"),
    resolved_at=_TIME_OR_NULL,
    deliveries=array_of(DELIVERY),
)


def _parameter(
    name: str, description: str, *, enum: list[str] | None = None
) -> OpenApiParameter:
    return OpenApiParameter(name, OpenApiTypes.STR, description=description, enum=enum)


list_alerts = extend_schema(
    operation_id="list_alerts",
    summary="Alerts, newest first, with their deliveries: 200 at a time",
    parameters=[
        _parameter("state", "firing, acknowledged, snoozed, open (these three), resolved."),
        _parameter("kind", "One of the kinds.", enum=Alert.Kind.values),
        _parameter("team", "The slug of a team: its alerts and those of its projects."),
        _parameter("project", "The slug of a project."),
        _parameter("budget", "The id of a budget."),
        _parameter("since", "A moment: those that fired then or later."),
        CURSOR,
    ],
    responses={
        200: OpenApiResponse(page_of(_ALERT)),
        **_FOUND,
    },
)
get_alert = extend_schema(
    operation_id="get_alert",
    summary="One alert",
    responses={200: OpenApiResponse(_ALERT), **_FOUND},
)

_NOTE: Schema = {"type": "object", "properties": {"note": STRING}}
_CHANGED: dict[Any, Any] = {200: OpenApiResponse(_ALERT), **_POSSIBLE}

acknowledge_alert = extend_schema(
    operation_id="acknowledge_alert",
    summary="Somebody takes care of it",
    request={"application/json": _NOTE},
    responses=_CHANGED,
)
unacknowledge_alert = extend_schema(
    operation_id="unacknowledge_alert",
    summary="Nobody takes care of it any more",
    request={"application/json": _NOTE},
    responses=_CHANGED,
)
snooze_alert = extend_schema(
    operation_id="snooze_alert",
    summary="Keep it off the list for a while, 30 days at most",
    request={
        "application/json": {
            "type": "object",
            "required": ["until", "reason"],
            "properties": {"until": TIME, "reason": STRING},
        }
    },
    responses=_CHANGED,
)
unsnooze_alert = extend_schema(
    operation_id="unsnooze_alert",
    summary="Put it on the list again",
    request={"application/json": _NOTE},
    responses=_CHANGED,
)

# --- Velocity rules -----------------------------------------------------------------

_MINUTES: Schema = {"type": "integer", "minimum": SHORTEST, "maximum": LONGEST}
_RULE = object_of(
    id=STRING,
    team=nullable("string"),
    project=nullable("string", "Neither: the organization."),
    tag_key=nullable("string", "Null: all that is spent."),
    tag_value=nullable("string"),
    amount={**MONEY, "description": "So much, or more, is told."},
    minutes=_MINUTES,
    currency=STRING,
    created_by=STRING,
    created_at=TIME,
    ended_at=_TIME_OR_NULL,
)

list_velocity_rules = extend_schema(
    operation_id="list_velocity_rules",
    summary="Rules of how fast may be spent",
    responses={200: OpenApiResponse(object_of(data=array_of(_RULE))), **PROBLEMS},
)
create_velocity_rule = extend_schema(
    operation_id="create_velocity_rule",
    summary="Tell when so much is spent within so many minutes",
    request={
        "application/json": {
            "type": "object",
            "required": ["amount"],
            "properties": {
                "amount": MONEY,
                "minutes": {
                    **_MINUTES,
                    "default": 60,
                    "description": f"Above {LONGEST_READ} whole hours, without a tag.",
                },
                "team": STRING,
                "project": STRING,
                "tag_key": _STRING_OR_NULL,
                "tag_value": _STRING_OR_NULL,
                "reason": STRING,
            },
        }
    },
    responses={201: OpenApiResponse(_RULE), **_FOUND},
)
end_velocity_rule = extend_schema(
    operation_id="end_velocity_rule",
    summary="Tell nothing more by this rule",
    responses={204: None, **_FOUND},
)
