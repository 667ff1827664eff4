"""What an alert says, to a machine and to a person.

Said from the alert's own row: every attempt, however late, says what was true when the
alert was raised.
"""

import json
import re
from datetime import UTC, datetime
from decimal import ROUND_FLOOR, Decimal
from typing import Any

from billing.actions import alert_sentences
from billing.actions.alert_bodies import links
from billing.models import Alert, Budget, Rerate
from billing.models.alerts import Crossing
from billing.pricing import caps, figures, money
from billing.pricing.budget_periods import PeriodKind

_EVERY = {
    PeriodKind.DAY: "daily",
    PeriodKind.WEEK: "weekly",
    PeriodKind.MONTH: "monthly",
    PeriodKind.QUARTER: "quarterly",
    PeriodKind.YEAR: "yearly",
}
_CENTS = 2

# Line ends and other controls, and what turns the direction of the text around it.
_UNPRINTABLE = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]+"
)


# --- To a machine -------------------------------------------------------------------


def payload(alert: Alert) -> bytes:
    """The body of a webhook. Amounts are decimal strings, ids are strings."""
    crossing = alert.crossing
    content = {
        "type": "alert.fired",
        "timestamp": _moment(alert.fired_at),
        "data": {
            "id": str(alert.pk),
            "kind": alert.kind,
            **_about(alert, crossing),
            "organization": alert.organization.slug,
            "url": links.page_of(alert),
        },
    }
    return json.dumps(content, separators=(",", ":")).encode()


def _about(alert: Alert, crossing: Crossing | None) -> dict[str, Any]:
    if alert.kind == Alert.Kind.TEST:
        return {"test": True}
    return _of_budget(alert, crossing) if crossing else _of_occasion(alert)


def _of_budget(alert: Alert, crossing: Crossing) -> dict[str, Any]:
    budget = crossing.budget
    return {
        "threshold": crossing.threshold,
        "budget": {
            "id": str(budget.pk),
            "scope": budget.scope,
            "period": budget.period,
            "period_start": crossing.period_start.isoformat(),
            "cap": money.plain(crossing.cap),
            "hard": is_hard(crossing),
            "revision": crossing.revision,
        },
        "spent": money.plain(crossing.spent),
        "currency": budget.organization.currency,
        **({"cause": _cause(alert.rerate)} if alert.rerate else {}),
    }


def _cause(rerate: Rerate) -> dict[str, str]:
    return {"kind": "rerate", "id": str(rerate.pk), "reason": rerate.reason}


def _of_occasion(alert: Alert) -> dict[str, Any]:
    if alert.kind == Alert.Kind.UNPRICED_MODEL:
        return {"model": alert.details}
    return {
        "team": alert.team.slug if alert.team else None,
        "project": alert.project.slug if alert.project else None,
        "subject": alert.subject,
        "occurrence": alert.occurrence,
        "sentence": sentence(alert),
        "details": alert.details,
    }


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def is_hard(crossing: Crossing) -> bool:
    """Whether the budget refused what is above its cap when the alert was raised."""
    revisions = crossing.budget.revisions.values_list("hard", flat=True)
    return revisions.get(revision=crossing.revision)


# --- To a person --------------------------------------------------------------------


def sentence(alert: Alert) -> str:
    """What has happened, in one plain sentence."""
    crossing = alert.crossing
    return _crossed(crossing) if crossing else printable(alert_sentences.sentence(alert))


def _crossed(crossing: Crossing) -> str:
    budget = crossing.budget
    its, currency = _budget(budget), budget.organization.currency
    percent = caps.percent(crossing.spent, crossing.cap)
    if percent is None:
        spent = money.plain(crossing.spent)
        return f"{_name(budget)} has spent {spent} {currency}; its {its} is 0."
    # Rounded down: 99.99 % is not yet the whole.
    whole = percent.to_integral_value(ROUND_FLOOR)
    places = _places(crossing.cap)
    spent, cap = _amount(crossing.spent, places), _amount(crossing.cap, places)
    return (
        f"{_name(budget)} has spent {spent} {currency}, "
        f"{whole:f} % of the {cap} {currency} of its {its}."
    )


def subject(alert: Alert) -> str:
    """The same in a few words, for a line above it."""
    crossing = alert.crossing
    if crossing is None:
        return printable(alert_sentences.subject(alert))
    level = "" if alert.kind == "cap_reached" else f"{crossing.threshold} % of "
    return f"{_name(crossing.budget)} has reached {level}its {_budget(crossing.budget)}"


def _name(budget: Budget) -> str:
    return printable((budget.project or budget.team or budget.organization).name)


def _budget(budget: Budget) -> str:
    """Monthly budget; budget from 1 to 14 Nov 2026; with what it is limited to."""
    window = budget.window
    named = (
        f"budget {figures.from_to(window.custom)}"
        if window.custom
        else f"{_EVERY[window.kind]} budget"
    )
    limits = printable(", ".join(budget.limits))
    return f"{named} ({limits})" if limits else named


def printable(name: str) -> str:
    """A name as it may stand in a header and in a sentence."""
    return " ".join(_UNPRINTABLE.sub(" ", name).split())


def _places(cap: Decimal) -> int:
    """As many as the cap has, and two at least."""
    return max(_CENTS, len(money.plain(cap).partition(".")[2]))


def _amount(value: Decimal, places: int) -> str:
    floor = value.quantize(Decimal(1).scaleb(-places), ROUND_FLOOR)
    return f"{floor:,f}"
