"""Reviews that have opened by themselves: told until somebody closes them."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from billing.actions import reviews
from billing.actions.alerts import Occasion
from billing.models import Review
from billing.pricing import money
from billing.reports import plans, spend
from billing.reports.plans import Plan, Scope
from teams import permissions
from teams.models import Organization


def holding(organization: Organization, now: datetime) -> list[Occasion]:
    """By as many queries as for one of them."""
    still_open = Review.objects.filter(
        team__organization=organization, state=Review.State.OPEN, by_itself=True
    )
    listed = list(still_open.select_related("team", "project").order_by("pk"))
    if not listed:
        return []
    planned = plans.plans_for(
        [(scope, review.days) for review in listed for scope in (_own(review), _of(review))]
    )
    spent = _spent(listed)
    leads = permissions.leads_of({review.team for review in listed})
    return [
        Occasion(
            subject=reviews.subject(review),
            occurrence=review.since.isoformat(),
            team=review.team,
            project=review.project,
            people=tuple(leads[review.team_id]),
            details=_details(
                review,
                spent=spent[review.pk],
                plan=planned[_own(review), review.days],
                of_team=planned[_of(review), review.days],
            )
            | {"currency": organization.currency},
        )
        for review in listed
    ]


def _own(review: Review) -> Scope:
    return Scope(review.team_id, review.project_id)


def _of(review: Review) -> Scope:
    """That of its team."""
    return Scope(review.team_id)


def _spent(listed: Sequence[Review]) -> dict[int, Decimal]:
    by_day = spend.by_project_and_day(
        (review.team_id, review.project_id, review.days) for review in listed
    )
    return {
        review.pk: sum(
            (
                cost
                for day, cost in by_day[review.team_id, review.project_id].items()
                if day in review.days
            ),
            Decimal(),
        )
        for review in listed
    }


def _details(
    review: Review, *, spent: Decimal, plan: Plan, of_team: Plan
) -> dict[str, Any]:
    return {
        "review": str(review.pk),
        "name": review.project.name,
        "since": review.since.isoformat(),
        "until": review.until.isoformat(),
        "spent": money.plain(spent),
        "planned": money.plain(plan.cost) if plan else None,
        "planned_by_team": of_team.is_of_team,
    }
