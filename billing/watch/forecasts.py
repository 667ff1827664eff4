"""Budgets that are expected to end their period above the cap, before they reach it.

Told when that is as likely as the budget's terms say, by a forecast that has data enough;
an alert that fires holds until it is clearly less likely.
"""

from datetime import datetime

from billing.actions.alerts import Occasion
from billing.models import Alert, Budget
from billing.pricing import caps, money
from billing.reports import budgets, forecasts
from billing.reports.budgets import BudgetStatus
from billing.reports.forecasts import BudgetForecast, Drivers
from teams.models import Organization


def holding(organization: Organization, now: datetime) -> list[Occasion]:
    active = Budget.objects.active().with_scope().filter(organization=organization)
    below = [
        status
        for status in budgets.statuses(active.order_by("pk"), now=now)
        if status.spent and status.remaining > 0
    ]
    made = forecasts.of_budgets(below, now=now)
    fires = _open(organization)
    likely = [
        (status, made[status.budget.pk], fires.get(_key(status)))
        for status in below
        if status.budget.pk in made
        and _is_likely(status.budget, made[status.budget.pk], _key(status) in fires)
    ]
    # What is known is not told again under other terms. Of what fires the drivers are
    # written already.
    news = [status.budget for status, _, told in likely if told is None]
    drivers = forecasts.drivers(news, now=now)
    return [
        _occasion(status, told or _subject(status), forecast, drivers.get(status.budget.pk))
        for status, forecast, told in likely
    ]


def _key(status: BudgetStatus) -> tuple[int, str]:
    return status.budget.pk, status.period.first.isoformat()


def _open(organization: Organization) -> dict[tuple[int | None, str], str]:
    """By budget and period, the subject of what fires."""
    of_kind = Alert.objects.filter(
        organization=organization, kind=Alert.Kind.FORECAST_OVER_CAP
    )
    still_open = of_kind.exclude(state=Alert.State.RESOLVED).order_by("pk")
    return {(one.budget_id, one.occurrence): one.subject for one in still_open}


def _is_likely(budget: Budget, forecast: BudgetForecast, fires: bool) -> bool:
    probability = forecast.probability_over_cap
    return not forecast.low_confidence and caps.is_told_ahead(
        probability, budget.forecast_alert, fires=fires
    )


def _subject(status: BudgetStatus) -> str:
    return f"budget {status.budget.pk} revision {status.budget.revision}"


def _occasion(
    status: BudgetStatus,
    subject: str,
    forecast: BudgetForecast,
    drivers: Drivers | None,
) -> Occasion:
    budget = status.budget
    on = forecast.exhausted_on
    return Occasion(
        subject=subject,
        occurrence=status.period.first.isoformat(),
        team=budget.team,
        project=budget.project,
        budget=budget,
        details={
            "name": (budget.project or budget.team or budget.organization).name,
            "period": budget.period,
            "period_end": status.period.until.isoformat(),
            "spent": money.plain(status.spent),
            "cap": money.plain(forecast.cap),
            "expected": money.plain(forecast.forecast.expected),
            "low": money.plain(forecast.forecast.low),
            "high": money.plain(forecast.forecast.high),
            "probability": money.plain(forecast.probability_over_cap),
            "exhausted_on": on and on.isoformat(),
            "drivers": drivers
            and {**drivers._asdict(), "token_class": drivers.token_class.value},
            "currency": budget.organization.currency,
        },
    )
