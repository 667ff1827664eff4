"""What an alert that is no level of a budget says: a sentence, and a line above it.

From its details alone, which were written when it was raised.
"""

from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from billing.actions import estimate_sentences, raise_sentences, review_sentences
from billing.models import Alert
from billing.pricing import figures
from billing.pricing.budget_periods import PeriodKind
from billing.pricing.token_classes import TokenClass

Details = dict[str, Any]


class _Said(NamedTuple):
    sentence: Callable[[Details], str]
    subject: Callable[[Details], str]


def sentence(alert: Alert) -> str:
    """What has happened, in one plain sentence. Names in it are as they were typed."""
    said = _OF_KIND.get(Alert.Kind(alert.kind))
    return said.sentence(alert.details) if said else f"{alert}."


def subject(alert: Alert) -> str:
    """The same in a few words."""
    said = _OF_KIND.get(Alert.Kind(alert.kind))
    return said.subject(alert.details) if said else str(alert)


# --- Spend --------------------------------------------------------------------------


def _anomaly(its: Details) -> str:
    day = date.fromisoformat(its["day"])
    if "hour" in its:
        when = f"in the hour from {its['hour']} on {_weekday(day)}"
        usually = f"at that hour of a {day:%A}"
    else:
        when, usually = f"on {_weekday(day)}", f"on a {day:%A}"
    where = f" in {its['project']}" if its["of"] == "team" else ""
    return (
        f"{its['name']} spent {_money(its, 'spent')} {when}, usually "
        f"{_money(its, 'usual')} {usually}; most of it {its['model']}{where}."
    )


def _anomaly_subject(its: Details) -> str:
    day = date.fromisoformat(its["day"])
    return f"Unusual spend of {its['name']} on {_weekday(day)}"


def _silent(its: Details) -> str:
    last = datetime.fromisoformat(its["last"])
    return (
        f"Nothing was heard of {its['name']} since {_weekday(last)}, {last:%H:%M}, at "
        "hours at which it usually is."
    )


def _silent_subject(its: Details) -> str:
    return f"{its['name']} has gone silent"


def _velocity(its: Details) -> str:
    tag = f" with {its['tag']}" if "tag" in its else ""
    return (
        f"{its['name']}{tag} has spent {_money(its, 'spent')} within "
        f"{_minutes(its['minutes'])}; to be told from {_money(its, 'amount')} on."
    )


def _velocity_subject(its: Details) -> str:
    return f"{its['name']} spends fast: {_money(its, 'spent')}"


def _minutes(minutes: int) -> str:
    hours, rest = divmod(minutes, 60)
    if rest:
        return f"{minutes} minutes"
    return "an hour" if hours == 1 else f"{hours} hours"


def _forecast(its: Details) -> str:
    percent = figures.percent(Decimal(its["probability"]) * 100)
    on = its["exhausted_on"]
    reached = f", which is reached about {_day(date.fromisoformat(on))}" if on else ""
    return (
        f"{its['name']} is expected to spend {_money(its, 'expected')} "
        f"{_this_period(its)}: {percent} likely to be above the cap of "
        f"{_money(its, 'cap')}{reached}{_driven(its['drivers'])}."
    )


def _this_period(its: Details) -> str:
    kind = PeriodKind(its["period"])
    if kind is PeriodKind.DAY:
        return "today"
    return "this period" if kind is PeriodKind.CUSTOM else f"this {kind}"


def _driven(drivers: Details | None) -> str:
    if not drivers:
        return ""
    name = TokenClass(drivers["token_class"]).value.replace("_", " ")
    return f"; most by {drivers['model']} in {drivers['project']}, {name}"


def _forecast_subject(its: Details) -> str:
    return f"{its['name']} is expected to pass its cap {_this_period(its)}"


# --- Prices -------------------------------------------------------------------------


def _unpriced(its: Details) -> str:
    return (
        f"{its['provider']} {its['name']} has no price: its records are kept, and in no "
        "total until there is one."
    )


def _unpriced_subject(its: Details) -> str:
    return f"No price for {its['name']}"


def _price_change(its: Details) -> str:
    before, after = Decimal(its["before"]), Decimal(its["after"])
    percent = (after - before) * 100 / before
    sign = "+" if percent > 0 else ""
    at = date.fromisoformat(its["starts_at"][:10])
    from_ = f"From {_day(at)} on" if its["ahead"] else f"Since {_day(at)}"
    return (
        f"{from_} other prices of {its['card']} hold: what cost {_money(its, 'before')} "
        f"in the last 30 days costs {_money(its, 'after')} ({sign}"
        f"{figures.percent(percent)})."
    )


def _price_change_subject(its: Details) -> str:
    return f"Other prices of {its['card']} move what you pay"


# --- Purser itself ------------------------------------------------------------------


def _key(its: Details) -> str:
    at = datetime.fromisoformat(its["expires_at"])
    return (
        f"The API key {its['name']} ({its['prefix']}…) is in use and expires on "
        f"{_weekday(at)}, {at:%H:%M} UTC: what it posts is refused from then on."
    )


def _key_subject(its: Details) -> str:
    return f"The API key {its['name']} expires within {its['days']} days"


def _deliveries(its: Details) -> str:
    count = its["waiting"]
    alerts = "1 alert" if count == 1 else f"{count} alerts"
    return f"{its['kind']} to {its['target']} did not take {alerts}: {its['error']}."


def _deliveries_subject(its: Details) -> str:
    return f"Alerts do not reach {its['target']}"


def _backlog(its: Details) -> str:
    since = datetime.fromisoformat(its["since"])
    return (
        f"What came in since {since:%H:%M} UTC is not counted yet: totals and alerts are "
        "behind, no record is lost."
    )


def _backlog_subject(its: Details) -> str:
    return "Counting falls behind"


def _ledger(its: Details) -> str:
    if its["verified_at"] is None:
        return "The ledger was never verified: verification is overdue."
    at = f"{datetime.fromisoformat(its['verified_at']):%H:%M} UTC"
    if its["disagreeing"]:
        wrong = "; ".join(its["disagreeing"])
        return f"The ledger was verified at {at} and does not add up: {wrong}."
    if not its["ended"]:
        return f"The verification of the ledger of {at} did not come to its end."
    return f"The ledger was verified at {at} and not since: verification is overdue."


def _ledger_subject(its: Details) -> str:
    return (
        "The ledger does not add up" if its["disagreeing"] else "The ledger is unverified"
    )


def _test(its: Details) -> str:
    return f"{its['by']} tries this channel of {its['organization']}: nothing has happened."


def _test_subject(its: Details) -> str:
    return "A test of this channel"


_OF_KIND = {
    Alert.Kind.FORECAST_OVER_CAP: _Said(_forecast, _forecast_subject),
    Alert.Kind.ANOMALY: _Said(_anomaly, _anomaly_subject),
    Alert.Kind.GONE_SILENT: _Said(_silent, _silent_subject),
    Alert.Kind.UNPRICED_MODEL: _Said(_unpriced, _unpriced_subject),
    Alert.Kind.PRICE_CHANGE: _Said(_price_change, _price_change_subject),
    Alert.Kind.SPEND_VELOCITY: _Said(_velocity, _velocity_subject),
    Alert.Kind.KEY_EXPIRING: _Said(_key, _key_subject),
    Alert.Kind.DELIVERIES_FAILING: _Said(_deliveries, _deliveries_subject),
    Alert.Kind.BACKLOG: _Said(_backlog, _backlog_subject),
    Alert.Kind.LEDGER_WRONG: _Said(_ledger, _ledger_subject),
    Alert.Kind.RAISE_REQUEST: _Said(raise_sentences.sentence, raise_sentences.subject),
    Alert.Kind.ESTIMATE: _Said(estimate_sentences.sentence, estimate_sentences.subject),
    Alert.Kind.REVIEW_DUE: _Said(review_sentences.sentence, review_sentences.subject),
    Alert.Kind.TEST: _Said(_test, _test_subject),
}


# --- Words --------------------------------------------------------------------------


def _money(its: Details, name: str) -> str:
    return figures.with_currency(Decimal(its[name]), its["currency"])


def _weekday(day: date) -> str:
    return f"{day:%A} {day.day} {day:%b}"


def _day(day: date) -> str:
    return f"{day.day} {day:%b %Y}"
