"""Which rules there are, how often each is looked at, and that what holds is said."""

import logging
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

from billing.actions import alerts
from billing.actions.alerts import Occasion
from billing.models import Alert
from billing.watch import (
    anomalies,
    counting,
    expiring_keys,
    failing_channels,
    forecasts,
    price_changes,
    reviews,
    silences,
    velocities,
)
from teams.models import Organization

logger = logging.getLogger(__name__)

Rule = Callable[[Organization, datetime], Iterable[Occasion]]
"""What holds of an organization at a moment."""

EACH_MINUTE: Mapping[Alert.Kind, Rule] = {
    Alert.Kind.SPEND_VELOCITY: velocities.holding,
    Alert.Kind.DELIVERIES_FAILING: failing_channels.holding,
    Alert.Kind.BACKLOG: counting.behind,
    Alert.Kind.LEDGER_WRONG: counting.wrong,
}
# They read weeks of sums.
EACH_QUARTER: Mapping[Alert.Kind, Rule] = {
    Alert.Kind.FORECAST_OVER_CAP: forecasts.holding,
    Alert.Kind.ANOMALY: anomalies.holding,
    Alert.Kind.GONE_SILENT: silences.holding,
}
# They price a month again; or what they say is not of this hour.
EACH_HOUR: Mapping[Alert.Kind, Rule] = {
    Alert.Kind.PRICE_CHANGE: price_changes.holding,
    Alert.Kind.KEY_EXPIRING: expiring_keys.holding,
    Alert.Kind.REVIEW_DUE: reviews.holding,
}


def look(rules: Mapping[Alert.Kind, Rule], *, now: datetime) -> int:
    """Raise what holds of every organization, resolve what does not; how many are new."""
    return sum(
        _look(kind, rule, organization, now)
        for organization in Organization.objects.order_by("pk")
        for kind, rule in rules.items()
    )


def _look(kind: Alert.Kind, rule: Rule, organization: Organization, now: datetime) -> int:
    """One rule of one organization; whatever keeps it from that, the others go on."""
    try:
        holding = rule(organization, now)
        raised = alerts.keep(organization=organization, kind=kind, holding=holding, now=now)
    except Exception:
        logger.exception("%s of %s is put off", kind, organization)
        return 0
    return len(raised)
