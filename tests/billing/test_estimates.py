"""Estimates: a draft changes, the plan of a month does not; the newest is the plan."""

from datetime import date, timedelta
from decimal import Decimal

import pytest
from django.core.exceptions import ValidationError

from billing.actions import estimates
from billing.actions.estimates import Line
from billing.models import Estimate, LanguageModel
from billing.models.estimates import Scenario
from billing.pricing.token_classes import NOTHING
from billing.pricing.usage import Processing
from tests.conftest import NOW, Cast

MONTH = date(2026, 11, 1)


def line(requests: int = 1000) -> Line:
    """Each request as in `builders.record`: 0.0042 USD."""
    model = LanguageModel.objects.get(provider="anthropic", name="claude-opus-5-5")
    tokens = NOTHING._replace(input=requests * 1000, output=requests * 10)
    return Line(model, Scenario.MEDIUM, requests, tokens)


def save(cast: Cast, **changes) -> Estimate:
    return estimates.save(
        **{
            "team": cast.search,
            "month": MONTH,
            "lines": [line()],
            "by": "lead",
            "now": NOW,
            **changes,
        }
    )


def test_a_draft_is_replaced_by_what_is_saved_in_its_place(cast: Cast):
    draft = save(cast)

    save(cast, estimate=draft, lines=[line(2000)], note="Twice.")

    assert Estimate.objects.get().note == "Twice."
    assert draft.lines.get().cost == Decimal("8.4")


def test_what_was_approved_meanwhile_is_not_changed(cast: Cast):
    draft = save(cast)
    seen_before = Estimate.objects.get()
    estimates.approve(estimate=draft, by="finance", now=NOW)

    with pytest.raises(ValidationError, match="approved"):
        save(cast, estimate=seen_before, lines=[line(1)])

    kept = Estimate.objects.get()
    assert (kept.state, kept.approved_by) == ("approved", "finance")
    assert kept.lines.get().cost == Decimal("4.2")


def test_the_plan_of_a_month_is_the_one_approved_last(cast: Cast):
    first, second = save(cast), save(cast)
    later = NOW + timedelta(hours=1)
    estimates.approve(estimate=second, by="finance", now=NOW)

    estimates.approve(estimate=first, by="finance", now=later)

    covering = Estimate.objects.covering(MONTH).by_weight()
    assert [one.pk for one in covering] == [first.pk, second.pk]
    assert {one.state for one in covering} == {"approved"}


@pytest.mark.parametrize(
    ("month", "covered"),
    [
        (date(2026, 10, 1), False),
        (date(2026, 11, 1), True),
        (date(2027, 1, 1), True),
        (date(2027, 2, 1), False),
    ],
)
def test_an_estimate_covers_its_months(cast: Cast, month: date, covered: bool):
    made = save(cast, months=3)

    assert Estimate.objects.covering(month).filter(pk=made.pk).exists() is covered


def test_a_line_is_for_a_month_of_its_estimate(cast: Cast):
    later = line()._replace(month=date(2026, 12, 1))
    save(cast, months=2, lines=[line(), later])

    with pytest.raises(ValidationError, match="month of the estimate"):
        save(cast, months=1, lines=[line(), later])

    kept = Estimate.objects.get().lines.order_by("month")
    assert [one.month for one in kept] == [MONTH, date(2026, 12, 1)]


def test_a_batch_line_has_the_price_of_batch(cast: Cast):
    made = save(cast, lines=[line(), line()._replace(processing=Processing.BATCH)])

    costs = dict(made.lines.values_list("processing", "cost"))
    assert costs == {"standard": Decimal("4.2"), "batch": Decimal("2.1")}


def test_a_project_is_planned_by_the_team_that_owns_it(cast: Cast):
    made = save(cast, project=cast.answers)

    assert made.scope == "project answers"
    with pytest.raises(ValidationError, match="does not own"):
        save(cast, team=cast.support, project=cast.answers)


def test_who_approves_by_an_old_look_approves_what_is_there(cast: Cast):
    draft = save(cast)
    seen_before = Estimate.objects.get()
    save(cast, estimate=draft, month=date(2026, 12, 1))

    estimates.approve(estimate=seen_before, by="finance", now=NOW)

    kept = Estimate.objects.get()
    assert (kept.state, kept.month) == ("approved", date(2026, 12, 1))
