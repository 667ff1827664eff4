"""Events for PagerDuty (Events API v2): one incident per alert, or level of a budget."""

import json
from datetime import UTC

from billing.actions import alert_messages
from billing.actions.alert_bodies import links
from billing.models import Alert, Delivery

_ACTIONS = {
    Delivery.Event.FIRED: "trigger",
    Delivery.Event.ACKNOWLEDGED: "acknowledge",
    Delivery.Event.RESOLVED: "resolve",
}
_MAX_SUMMARY = 1024

# Where money is refused, or where nobody knows what is spent, somebody gets up.
_SEVERITIES = {
    Alert.Kind.CAP_REACHED: "critical",
    Alert.Kind.LEDGER_WRONG: "critical",
    Alert.Kind.BACKLOG: "critical",
    Alert.Kind.DELIVERIES_FAILING: "error",
    Alert.Kind.SPEND_VELOCITY: "error",
    Alert.Kind.TEST: "info",
    Alert.Kind.RAISE_REQUEST: "info",
    Alert.Kind.ESTIMATE: "info",
    Alert.Kind.REVIEW_DUE: "info",
    Alert.Kind.PRICE_CHANGE: "info",
}


def body(delivery: Delivery) -> bytes:
    alert = delivery.alert
    url = links.page_of(alert)
    content = {
        "routing_key": delivery.channel.target,
        "event_action": _ACTIONS[Delivery.Event(delivery.event)],
        "dedup_key": f"purser-{alert.organization.slug}-{_incident(alert)}",
        "client": "Purser",
        "client_url": url,
        "links": [{"href": url, "text": "Open Purser"}],
        "payload": {
            "summary": alert_messages.sentence(alert)[:_MAX_SUMMARY],
            "source": alert.organization.slug,
            "severity": severity(alert),
            "timestamp": alert.fired_at.astimezone(UTC).isoformat(),
            "class": alert.kind,
            "custom_details": {"alert": str(alert.pk), "state": alert.state},
        },
    }
    return json.dumps(content, separators=(",", ":")).encode()


def _incident(alert: Alert) -> str:
    """A level of a budget is one incident in its period, under whatever terms."""
    if alert.threshold is None:
        return f"alert-{alert.pk}"
    return f"budget-{alert.budget_id}-{alert.period_start}-{alert.threshold}"


def severity(alert: Alert) -> str:
    """One of PagerDuty's four words."""
    return _SEVERITIES.get(Alert.Kind(alert.kind), "warning")
