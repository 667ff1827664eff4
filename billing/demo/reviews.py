"""The demo's reviews: opened by the worker's sweep on the day that each was due, and closed
by the team's lead a few days later."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from billing.actions import alerts
from billing.actions import reviews as actions
from billing.demo.plan import Day, Plan
from billing.models import Alert, Review
from billing.pricing.recommendations import Action
from billing.reports import reviews
from billing.watch import reviews as watch
from teams import isolation, permissions
from teams.models import Organization, Team

# The worker runs since then: what was used before is a history that was imported.
_WATCHED_DAYS = 28
# The worker's minute of the hour.
_SWEPT = timedelta(minutes=9)
_CLOSED_AFTER = timedelta(days=5, hours=10, minutes=31)
_FINANCE = "finance"
_NOTE = "As recommended. We look again when the month is over."


class Reviews:
    """Lets the sweep look at the days that have passed."""

    def __init__(self, organization: Organization, plan: Plan) -> None:
        self._organization = organization
        self._since = plan.today - timedelta(days=_WATCHED_DAYS)
        teams = Team.objects.filter(organization=organization)
        self._team_ids = list(teams.values_list("pk", flat=True))

    def until(self, days: Sequence[Day]) -> None:
        """Whatever happens to reviews on these days; their records are counted."""
        for day in days:
            if day.date >= self._since:
                end = day.start + timedelta(seconds=day.seconds)
                with isolation.visible_teams(self._team_ids):
                    self._sweep(min(day.start + _SWEPT, end))
                    self._close(end)

    def _sweep(self, moment: datetime) -> None:
        if actions.open_due(self._organization, now=moment):
            alerts.keep(
                organization=self._organization,
                kind=Alert.Kind.REVIEW_DUE,
                holding=watch.holding(self._organization, moment),
                now=moment,
            )

    def _close(self, until: datetime) -> None:
        """Those that have been open for some days by then."""
        its = Review.objects.filter(
            team__in=self._team_ids,
            by_itself=True,
            state=Review.State.OPEN,
            opened_at__lte=until - _CLOSED_AFTER,
        )
        for review in its.select_related("team__organization", "project").order_by("pk"):
            at = review.opened_at + _CLOSED_AFTER
            figures = reviews.kept(review, now=at)
            actions.close(
                review=review,
                decision=Action(figures["verdicts"][0]["action"]),
                note=_NOTE,
                figures=figures,
                by=_lead_of(review.team),
                now=at,
            )


def _lead_of(team: Team) -> str:
    leads = permissions.leads_of([team])[team.pk]
    return leads[0].get_username() if leads else _FINANCE
