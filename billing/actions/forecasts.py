"""How far forecasts were off, written down for whoever makes one."""

from datetime import datetime

from billing.models import ForecastErrors
from billing.pricing.forecast import Spread
from teams.models import Organization


def keep_errors(*, organization: Organization, spread: Spread, now: datetime) -> None:
    """Replace what was measured before."""
    ForecastErrors.objects.update_or_create(
        organization=organization, defaults={**spread._asdict(), "measured_at": now}
    )
