"""The sentence at the head of a page: what was used, of what, with how long to go."""

from datetime import timedelta
from decimal import ROUND_HALF_EVEN, Decimal

from django.utils.html import format_html
from django.utils.safestring import SafeString

from billing.models.budgets import BudgetState
from billing.pricing import figures, money
from billing.pricing.budget_periods import Period, PeriodKind
from billing.pricing.forecast import LowConfidence
from billing.reports.budget_view import BudgetView
from billing.reports.budgets import BudgetStatus
from billing.reports.forecasts import BudgetForecast
from billing.reports.overview import Overview
from billing.reports.team_page import TeamPage

_WHOLE_UNITS_FROM = 100
# From this probability on, one of two things is called likely.
_LIKELY = Decimal("0.6")


def of_team(page: TeamPage, currency: str) -> SafeString:
    view = page.budget
    if view is None:
        return format_html(
            "{} used {} {}. It has no budget yet.",
            page.team.name,
            _amount(page.spent.total.cost, currency),
            figures.from_to(Period(page.spent.since, page.spent.until)),
        )
    who = view.status.budget.project or page.team
    return of_budget(str(who), view, currency)


def of_budget(who: str, view: BudgetView, currency: str) -> SafeString:
    """Search has used $4,210 of $6,000 (70 %) with 9 days left. Forecast $6,180 …"""
    status = view.status
    if status.state is BudgetState.UPCOMING:
        cap = _amount(status.cap, currency)
        return format_html("{} may use {} {}.", who, cap, figures.from_to(status.period))
    verb = "has used" if view.running else "used"
    return format_html(
        "{} {} {}{}{}",
        who,
        verb,
        _of_cap(status, currency, running=view.running),
        f" with {days(view.days_left)} left." if view.running else f" {during(status)}.",
        of_forecast(view.forecast, currency),
    )


def of_forecast(one: BudgetForecast | None, currency: str) -> SafeString:
    """Forecast $6,180 (80 % range $5,700–$6,900): likely over by about $180."""
    if one is None:
        return SafeString()
    its = one.forecast
    return format_html(
        ' Forecast {} (80{}% range <span class="kept">{}–{}</span>): {}.{}',
        _amount(its.expected, currency),
        figures.THIN,
        _amount(its.low, currency),
        _amount(its.high, currency),
        _against_cap(one, currency),
        f" Low confidence: {why}." if (why := _why_low(one)) else "",
    )


def _against_cap(one: BudgetForecast, currency: str) -> SafeString:
    if one.forecast.spent >= one.cap:
        return format_html("over by about {}", _amount(one.over, currency))
    if one.probability_over_cap >= _LIKELY:
        return format_html("likely over by about {}", _amount(one.over, currency))
    if one.probability_over_cap > 1 - _LIKELY:
        return SafeString("about as likely over the cap as within it")
    return SafeString("likely within the cap")


def _why_low(one: BudgetForecast) -> str:
    seen = one.forecast.seen
    match one.forecast.low_confidence:
        case LowConfidence.PLAN:
            return "no whole day of data yet, so it is the plan"
        case LowConfidence.FEW_DAYS:
            return f"{days(seen)} of data"
        case LowConfidence.FAR:
            return f"{days(seen)} of data for {days(len(one.forecast.rests))} ahead"
    return ""


def _of_cap(status: BudgetStatus, currency: str, *, running: bool) -> SafeString:
    if not status.cap:
        spent = _amount(status.spent, currency) if status.spent else "nothing"
        return format_html("{} against a cap of {}", spent, f"{figures.symbol(currency)}0")
    if not status.spent:
        nothing = "nothing yet" if running else "nothing"
        cap = _amount(status.cap, currency)
        return format_html("{} of {}", nothing, cap)
    close = _rounded(status.spent) == _rounded(status.cap)
    return format_html(
        "{} of {} ({})",
        _amount(status.spent, currency, exact=close and bool(status.remaining)),
        _amount(status.cap, currency),
        figures.percent(status.percent),
    )


def of_overview(page: Overview, currency: str) -> SafeString:
    if page.budgets:
        status, _ = page.budgets[0]
        left = (status.period.until - page.today).days
        running = page.today in status.period
        return format_html(
            "{} {} {}{}{}",
            page.organization.name,
            "has used" if running else "used",
            _of_cap(status, currency, running=running),
            f" with {days(left)} left." if running else f" {during(status)}.",
            of_forecast(page.forecasts.get(status.budget.pk), currency),
        )
    return format_html(
        "{} used {} {}.",
        page.organization.name,
        _amount(page.total.cost, currency),
        figures.from_to(Period(page.since, page.until)),
    )


def of_months(page: TeamPage) -> str:
    """Whether the figures of these days can still change, and what happens to late ones."""
    open_months = page.open_months
    if page.spent.until <= open_months.first:
        return (
            "The books of these days are closed: late records and corrections of them "
            "count on the day they come in."
        )
    last = open_months.until - timedelta(days=1)
    return (
        f"{open_months.first:%B %Y} is open until the end of {last.day} {last:%B}. Late "
        "records and corrections of earlier months count on the day they come in."
    )


def days(number: int) -> str:
    return "1 day" if number == 1 else f"{number} days"


def period_name(status: BudgetStatus) -> str:
    """November 2026; Q4 2026; 2026; or the days."""
    its, window = status.period, status.budget.window
    if window.kind is PeriodKind.MONTH:
        return f"{its.first:%B %Y}"
    if window.kind is PeriodKind.QUARTER and window.fiscal_starts_in == 1:
        return f"Q{(its.first.month + 2) // 3} {its.first.year}"
    if window.kind is PeriodKind.YEAR and window.fiscal_starts_in == 1:
        return str(its.first.year)
    return figures.span(its)


def during(status: BudgetStatus) -> str:
    """In November 2026; from 16 to 29 Nov 2026."""
    name = period_name(status)
    if name == figures.span(status.period):
        return figures.from_to(status.period)
    return f"in {name}"


def _rounded(value: Decimal) -> Decimal:
    return value.quantize(Decimal(1), ROUND_HALF_EVEN)


def _amount(value: Decimal, currency: str, *, exact: bool = False) -> SafeString:
    """In whole units where they say enough; to the cent below the line."""
    large = abs(value) >= _WHOLE_UNITS_FROM or value == value.to_integral_value()
    shown = (
        f"{figures.symbol(currency)}{_rounded(value):,}"
        if large and not exact
        else figures.with_currency(value, currency)
    )
    return format_html(
        '<data value="{}" title="{} {}">{}</data>',
        money.plain(value),
        money.plain(value),
        currency,
        shown,
    )
