"""Estimates: a draft changes, the plan of a month does not, and a month has one."""

from datetime import date
from decimal import Decimal

import pytest
from django.core.exceptions import ValidationError

from billing.actions import estimates
from billing.actions.estimates import Line
from billing.models import Estimate, LanguageModel
from billing.models.estimates import Scenario
from billing.pricing.token_classes import NOTHING
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


def test_a_month_has_one_plan_the_one_approved_last(cast: Cast):
    first, second = save(cast), save(cast)
    estimates.approve(estimate=first, by="finance", now=NOW)

    estimates.approve(estimate=second, by="finance", now=NOW)

    states = Estimate.objects.order_by("pk").values_list("state", "approved_by")
    assert list(states) == [("draft", ""), ("approved", "finance")]


def test_who_approves_by_an_old_look_approves_what_is_there(cast: Cast):
    draft = save(cast)
    seen_before = Estimate.objects.get()
    save(cast, estimate=draft, month=date(2026, 12, 1))

    estimates.approve(estimate=seen_before, by="finance", now=NOW)

    kept = Estimate.objects.get()
    assert (kept.state, kept.month) == ("approved", date(2026, 12, 1))
