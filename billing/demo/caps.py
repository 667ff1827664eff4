"""The demo's budgets: set on the first of the running month, one of them raised in it."""

from datetime import date, datetime, time, timedelta
from decimal import Decimal

from billing.actions import budgets
from billing.actions.budgets import Terms
from billing.demo import stories
from billing.demo.plan import Plan
from billing.demo.rehearsal import Rehearsal, rehearse, round_sum
from billing.models import Budget
from billing.pricing.budget_periods import PeriodKind
from teams.models import Organization, Project, Team

_FINANCE = "finance"
_RAISED_TEAM = "search"
_BEFORE_RAISE = Decimal("0.8")
_RAISE_REASON = (
    "Answers are on in two more countries since Monday; agreed with the lead of Search."
)


class Caps:
    """Sets what is missing, as far as the story has come to it."""

    def __init__(self, organization: Organization, plan: Plan) -> None:
        self._organization = organization
        self._now = plan.wanted.now
        self._plan = plan
        self._rehearsal: Rehearsal | None = None
        first = max(plan.today.replace(day=1), plan.days[0].date)
        self._set_at = self._moment(first, time(8, 40))
        self._raised_at = self._moment(
            first + timedelta(days=(plan.today - first).days * 3 // 5), time(11, 20)
        )

    def until(self, day: date) -> None:
        """Whatever happens to budgets up to the end of this day."""
        if self._day(self._set_at) <= day:
            self._set()
        if self._day(self._raised_at) <= day:
            self._raise()

    def _day(self, moment: datetime) -> date:
        return moment.astimezone(stories.ZONE).date()

    def _moment(self, day: date, at: time) -> datetime:
        return min(datetime.combine(day, at, stories.ZONE), self._now)

    # --- the first of the month ---------------------------------------------------------

    def _set(self) -> None:
        if self._daily() is not None:
            return  # the last of them: all are there
        rehearsal = self._rehearsed()
        for story in stories.TEAMS:
            team = Team.objects.get(organization=self._organization, slug=story.slug)
            cap = rehearsal.cap(story)
            if story.slug == _RAISED_TEAM:
                cap = round_sum(cap * _BEFORE_RAISE)
            self._ensure(Terms(cap, hard=story.hard), team=team)
        month_ends = (rehearsal.month_end(team.slug) for team in stories.TEAMS)
        month_end = sum(month_ends, Decimal())
        self._ensure(
            Terms(round_sum(month_end * 100 / stories.ORGANIZATION_MONTH_END_PERCENT))
        )
        self._ensure(
            Terms(rehearsal.daily_cap(), thresholds=(80,)),
            project=self._daily_project(),
            period=PeriodKind.DAY,
        )

    def _ensure(
        self,
        terms: Terms,
        *,
        team: Team | None = None,
        project: Project | None = None,
        period: PeriodKind = PeriodKind.MONTH,
    ) -> None:
        """Set a budget, unless an earlier start came as far as this one."""
        scope = {"organization": self._organization, "team": team, "project": project}
        if not Budget.objects.filter(**scope).exists():
            budgets.create(
                organization=self._organization,
                team=team,
                project=project,
                period=period,
                terms=terms,
                by=_FINANCE,
                now=self._set_at,
                reason="Budget round of the month.",
            )

    def _daily(self) -> Budget | None:
        return Budget.objects.filter(project=self._daily_project()).first()

    def _daily_project(self) -> Project:
        return Project.objects.get(
            organization=self._organization, slug=stories.DAILY_PROJECT
        )

    def _rehearsed(self) -> Rehearsal:
        if self._rehearsal is None:
            self._rehearsal = rehearse(self._plan, self._organization)
        return self._rehearsal

    # --- later in it --------------------------------------------------------------------

    def _raise(self) -> None:
        budget = Budget.objects.get(
            team__slug=_RAISED_TEAM, organization=self._organization
        )
        if budget.revision == 1:
            story = next(one for one in stories.TEAMS if one.slug == _RAISED_TEAM)
            budgets.change(
                budget=budget,
                terms=Terms(self._rehearsed().cap(story), thresholds=(50, 80, 95)),
                by=_FINANCE,
                now=self._raised_at,
                reason=_RAISE_REASON,
            )
