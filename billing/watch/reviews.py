"""Reviews that have opened by themselves: told until somebody closes them."""

from datetime import datetime
from decimal import Decimal

from billing.actions import reviews
from billing.actions.alerts import Occasion
from billing.models import Review
from billing.pricing import money
from billing.reports import plans, spend
from billing.reports.plans import Scope
from billing.reports.spend import Extent
from teams import permissions
from teams.models import Organization


def holding(organization: Organization, now: datetime) -> list[Occasion]:
    still_open = Review.objects.filter(
        team__organization=organization, state=Review.State.OPEN, by_itself=True
    )
    listed = still_open.select_related("team", "project").order_by("pk")
    return [_occasion(review, organization.currency) for review in listed]


def _occasion(review: Review, currency: str) -> Occasion:
    extent = Extent(
        team_ids=[review.team_id],
        since=review.since,
        until=review.until,
        project_ids=[review.project_id],
    )
    scope = Scope(review.team_id, review.project_id)
    plan = plans.plans_of([scope], review.days)[scope]
    spent = sum((day.cost for day in spend.by_day(**extent)), Decimal())
    return Occasion(
        subject=reviews.subject(review),
        occurrence=review.since.isoformat(),
        team=review.team,
        project=review.project,
        people=tuple(permissions.leads_of(review.team).order_by("pk")),
        details={
            "review": str(review.pk),
            "name": review.project.name,
            "since": review.since.isoformat(),
            "until": review.until.isoformat(),
            "spent": money.plain(spent),
            "planned": money.plain(plan.cost) if plan else None,
            "currency": currency,
        },
    )
