"""Which cap the next period of a budget passes seldom, and how often it passes another:
the one function behind API, budget editor and review."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from billing.models import Budget
from billing.pricing import recommendations
from billing.pricing.budget_periods import Period, PeriodKind
from billing.pricing.forecast import Forecast
from billing.pricing.recommendations import RISK
from billing.reports import forecasts
from teams.models import Project, Team


@dataclass(frozen=True, slots=True)
class RecommendedCap:
    """Of the next full period of `budget`, which need not be saved."""

    budget: Budget
    period: Period
    forecast: Forecast
    risk: Decimal

    @property
    def kind(self) -> PeriodKind:
        return PeriodKind(self.budget.period)

    @property
    def amount(self) -> Decimal:
        """What the period passes with a probability of `risk` at most."""
        return recommendations.cap_for(self.forecast, self.risk)

    def probability_over(self, cap: Decimal) -> Decimal:
        """From 0 to 1, with two places."""
        return self.forecast.probability_over(cap)

    def exhausted_on(self, cap: Decimal) -> date | None:
        """The day by whose end the cap is expected to be reached; None: in no day of the
        period."""
        return self.forecast.exhausted_on(cap)

    def odds(self, cap: Decimal) -> str:
        """How often periods are above it: "in 1 month of 10"."""
        return recommendations.odds(self.probability_over(cap), self.kind)


def recommended_cap(
    budget: Budget, *, now: datetime, risk: Decimal = RISK
) -> RecommendedCap | None:
    """None where nothing can be said: of custom periods, which nothing follows, and where
    there is neither a day of data nor a plan, or nothing is expected to be spent."""
    found = forecasts.of_next_period(budget, now=now)
    if found is None or not found[1].expected:
        return None
    return RecommendedCap(budget, *found, risk)


def budget_of(*, team: Team, project: Project | None = None) -> Budget:
    """The monthly budget of all that a project, or without one a team, spends: the one in
    force with the lowest cap, or one that is not saved and has no cap yet."""
    its = Budget.objects.active().monthly(team=team, project=project).with_scope().first()
    if its is not None:
        return its
    scope = {"project": project} if project else {"team": team}
    return Budget(organization=team.organization, period=PeriodKind.MONTH, **scope)
