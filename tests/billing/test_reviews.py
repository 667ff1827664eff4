"""Reviews: when one opens by itself, who is told, what it says, and that it then stays."""

from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError

from billing.actions import alert_messages, estimates, routing
from billing.actions import reviews as actions
from billing.models import Alert, Delivery, LanguageModel, Review
from billing.pricing.recommendations import Action
from billing.reports import recommended_cap, reviews
from billing.watch import rules
from teams import isolation
from teams.actions import memberships
from teams.models import AuditEvent, Role
from tests.billing.savings import MORNING, call, counted
from tests.billing.spending import make
from tests.billing.test_plans import approved
from tests.billing.test_variance import line
from tests.conftest import NOW, Cast

# Calls are of 20 November; two weeks later.
DAY = timedelta(days=1)
DUE = datetime(2026, 12, 4, 12, tzinfo=NOW.tzinfo)
MINUTES = 24 * 60


def use(cast: Cast, *days: int, requests: int = 2, **usage: int) -> None:
    """Requests of a million tokens in each: 4 USD, so many days after 20 November."""
    usage = usage or {"input_tokens": 1_000_000}
    counted(
        cast,
        [
            call(day * MINUTES + number, **usage)
            for day in days
            for number in range(requests)
        ],
    )


def opened(cast: Cast, now: datetime = DUE) -> list[Review]:
    return actions.open_due(cast.acme, now=now)


def by_hand(cast: Cast, **changes) -> Review:
    asked = {"since": date(2026, 11, 1), "until": date(2026, 11, 22), "by": "lead"}
    its = {"team": cast.search, "project": cast.answers, "now": NOW}
    return actions.open_review(**its | asked | changes)


@pytest.mark.parametrize(
    ("after", "due"),
    [(12, False), (13, False), (14, True), (28, True), (29, False)],
)
def test_one_opens_two_weeks_after_the_first_record(cast: Cast, after: int, due: bool):
    use(cast, 0)

    found = opened(cast, MORNING + after * DAY)

    assert [(one.project, one.team, one.since, one.until) for one in found] == (
        [(cast.answers, cast.search, date(2026, 11, 20), date(2026, 12, 4))] if due else []
    )


def test_a_project_has_one(cast: Cast):
    use(cast, 0)

    assert len(opened(cast)) == 1
    assert opened(cast, DUE + DAY) == []
    assert Review.objects.get().opened_by == "purser"


def test_the_lead_is_told_until_it_is_closed(cast: Cast):
    use(cast, 0)
    (review,) = opened(cast)
    rules.look(rules.EACH_HOUR, now=DUE)
    rules.look(rules.EACH_HOUR, now=DUE + DAY)

    alert = Alert.objects.get(kind="review_due")
    assert (alert.team, alert.project, alert.state) == (cast.search, cast.answers, "firing")
    assert alert_messages.sentence(alert) == (
        "Answers has been used for two weeks: $8.00 from 20 Nov to 3 Dec 2026; no plan. "
        "Its review is open."
    )
    close(review)
    alert.refresh_from_db()
    assert alert.state == "resolved"
    rules.look(rules.EACH_HOUR, now=DUE + 2 * DAY)
    alert.refresh_from_db()
    assert alert.state == "resolved"


def test_the_lead_has_mail_of_it_without_having_asked(cast: Cast):
    for name, role, team in (
        ("lea", Role.LEAD, cast.search),
        ("tina", Role.LEAD, cast.support),
        ("vera", Role.VIEWER, cast.search),
    ):
        user = User.objects.create_user(name, email=f"{name}@example.com")
        memberships.grant(
            user=user, organization=cast.acme, role=role, team=team, by="tests", now=NOW
        )
    use(cast, 0)
    opened(cast)

    rules.look(rules.EACH_HOUR, now=DUE)
    rules.look(rules.EACH_HOUR, now=DUE + DAY)

    told = Delivery.objects.filter(alert__kind="review_due")
    assert [one.channel.target for one in told] == ["lea@example.com"]


def test_nobody_is_told_of_one_opened_by_hand(cast: Cast):
    by_hand(cast)
    rules.look(rules.EACH_HOUR, now=NOW)

    assert not Alert.objects.filter(kind="review_due").exists()


def close(review: Review, decision: Action = Action.KEEP_CAP) -> Review:
    return actions.close(
        review=review,
        decision=decision,
        note="as agreed",
        figures=reviews.kept(review, now=DUE),
        by="lead",
        now=DUE,
    )


def test_a_closed_review_does_not_change(cast: Cast):
    use(cast, 0)
    (review,) = opened(cast)
    kept = close(review)
    use(cast, 1)  # late records of its days

    found = reviews.figures(kept, now=DUE + DAY)

    assert (found.spent, found.records, found.as_of) == (Decimal(8), 2, DUE)
    assert found == reviews.figures(Review.objects.get(), now=DUE)
    event = AuditEvent.objects.get(action="review.close")
    assert (event.reason, event.after["decision"]) == ("as agreed", "keep_cap")
    with pytest.raises(ValidationError, match="closed"):
        close(kept)


def test_variance_is_that_of_its_days(cast: Cast):
    approved(cast, line(300))  # ten a day, of 0.06 USD
    use(cast, 0)

    found = reviews.figures(by_hand(cast, since=date(2026, 11, 20)), now=NOW)

    plan = found.plan
    assert plan is None  # the whole team's plan is no project's
    assert (found.spent, found.outside, found.days, found.records) == (8, 8, 1, 2)


def test_of_a_planned_project_it_says_why(cast: Cast):
    approved(cast, line(300), project=cast.answers)
    use(cast, 0, requests=20, input_tokens=1000, output_tokens=100)

    found = reviews.figures(by_hand(cast, since=date(2026, 11, 20)), now=NOW)

    assert found.plan is not None
    assert (found.plan.planned, found.plan.actual) == (Decimal("0.12"), Decimal("0.12"))
    assert sum(one.amount for one in found.plan.effects) == found.plan.difference


def test_a_cheaper_model_is_named_with_what_it_would_have_cost(cast: Cast):
    use(cast, 0, requests=10)  # 40 USD

    found = reviews.figures(by_hand(cast), now=NOW)

    verdict = next(one for one in found.verdicts if one.action is Action.CHANGE_MODEL)
    assert verdict.about["model"] == "anthropic/claude-opus-5-5"
    assert "quality is not judged" in verdict.sentence
    assert verdict.amount is not None
    assert 2 <= verdict.amount < 40
    assert verdict.rests_on.startswith("10 records on 1 day")


def test_a_model_that_the_policy_forbids_is_not_recommended(cast: Cast):
    use(cast, 0, requests=10)
    used = LanguageModel.objects.get(provider="anthropic", name="claude-opus-5-5")
    routing.set_policy(team=cast.search, model_ids=[used.pk], by="finance", now=NOW)

    found = reviews.figures(by_hand(cast), now=NOW)

    assert Action.CHANGE_MODEL not in {one.action for one in found.verdicts}


def test_long_prompts_that_nobody_caches_are_named(cast: Cast):
    use(cast, 0, requests=10)

    found = reviews.figures(by_hand(cast), now=NOW)

    verdict = next(one for one in found.verdicts if one.action is Action.CACHE_THIS)
    # Half is the same: 90 % of that read at 5 % of the price, 10 % written at 125 %.
    assert verdict.amount == 20 - (18 * Decimal("0.05") + Decimal("2.5"))
    assert verdict.low_confidence


def test_where_nothing_would_save_enough_it_says_so(cast: Cast):
    use(cast, 0, requests=1, input_tokens=1000)

    found = reviews.figures(by_hand(cast), now=NOW)

    assert found.verdicts[-1].action is Action.NOTHING_STANDS_OUT


def test_of_several_caps_that_is_judged_which_an_approval_sets(cast: Cast):
    make(cast, "50")
    lowest = make(cast, "10")
    planned = approved(cast, line(300))

    assert recommended_cap.budget_of(team=cast.search) == lowest
    assert estimates.monthly_budget(planned) == lowest


def test_a_cap_is_recommended_by_what_is_expected(cast: Cast):
    use(cast, 0, 1)
    make(cast, "10", team=None, project=cast.answers)

    found = reviews.figures(by_hand(cast), now=NOW)

    assert found.cap is not None
    assert found.cap_verdict is not None
    assert found.cap_verdict.action is Action.RAISE_CAP
    assert found.cap.recommended == found.cap_verdict.amount > 240
    assert (found.cap.cap, found.cap.cap_probability) == (10, 1)
    assert found.cap.probability <= Decimal("0.1")
    assert found.cap.low_confidence  # two days were seen
    assert (found.cap.period_start, found.cap.period_end) == (
        date(2026, 12, 1),
        date(2027, 1, 1),
    )
    assert found.cap.exhausted_on == date(2026, 12, 2)


def test_figures_survive_being_kept(cast: Cast):
    use(cast, 0, 1, requests=10)
    make(cast, "10", team=None, project=cast.answers)
    review = by_hand(cast)
    before = reviews.figures(review, now=NOW)

    review.figures = reviews.kept(review, now=NOW)

    assert reviews.figures(review, now=DUE) == before


@pytest.mark.parametrize(
    "days",
    [
        {"since": date(2026, 11, 22)},
        {"until": date(2026, 11, 23)},  # today is not over
        {"since": date(2025, 11, 1)},
    ],
)
def test_days_that_make_no_review(cast: Cast, days: dict[str, date]):
    with pytest.raises(ValidationError):
        by_hand(cast, **days)


def test_there_is_one_of_the_same_days(cast: Cast):
    by_hand(cast)

    with pytest.raises(ValidationError, match="There is a review of these days"):
        by_hand(cast)


def test_it_opens_with_the_rights_of_a_worker(cast: Cast, as_worker: None):
    use(cast, 0)

    (review,) = opened(cast)

    assert review.is_open


def test_it_is_read_and_closed_with_the_rights_of_a_page(cast: Cast):
    use(cast, 0)
    (review,) = opened(cast)
    with isolation.visible_teams([cast.search.pk]):
        assert close(review).closed_by == "lead"
