"""Reviews: when one opens by itself, who is told, what it says, and that it then stays."""

from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import connection
from django.test.utils import CaptureQueriesContext

from billing.actions import alert_messages, estimate_caps, routing
from billing.actions import reviews as actions
from billing.formats import what_if as formats
from billing.models import Alert, Delivery, LanguageModel, Review
from billing.pricing.budget_periods import Period
from billing.pricing.recommendations import Action, Verdict
from billing.reports import cheaper, recommended_cap, reviews
from billing.watch import reviews as due
from billing.watch import rules
from teams import isolation
from teams.actions import memberships, projects
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


def test_that_the_plan_is_of_the_team_is_told_too(cast: Cast):
    approved(cast, line(300))
    use(cast, 0)
    opened(cast)

    rules.look(rules.EACH_HOUR, now=DUE)

    assert "; the plan is of its team, it has none of its own." in (
        alert_messages.sentence(Alert.objects.get(kind="review_due"))
    )


def test_an_alert_raised_before_that_was_told_apart_can_be_read(cast: Cast):
    use(cast, 0)
    opened(cast)
    rules.look(rules.EACH_HOUR, now=DUE)
    alert = Alert.objects.get(kind="review_due")
    del alert.details["planned_by_team"]

    assert "; no plan." in alert_messages.sentence(alert)


def test_what_is_due_is_found_by_as_many_queries_however_many_there_are(cast: Cast):
    use(cast, 0)
    approved(cast, line(300))
    opened(cast)
    with CaptureQueriesContext(connection) as of_one:
        (only,) = due.holding(cast.acme, DUE)
    for number in range(5):
        slug = f"other-{number}"
        projects.create(team=cast.support, name=slug, slug=slug, by="tests", now=NOW)
        counted(cast, [call(5, project=slug, id=slug, input_tokens=1_000_000)])
    assert len(opened(cast)) == 5

    with CaptureQueriesContext(connection) as of_six:
        occasions = due.holding(cast.acme, DUE)

    assert len(of_six) == len(of_one)
    assert occasions[0] == only
    assert {one.details["spent"] for one in occasions[1:]} == {"4"}
    assert {one.details["planned_by_team"] for one in occasions[1:]} == {False}


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


def test_without_a_plan_of_its_own_the_teams_variance_is_shown(cast: Cast):
    other = projects.create(
        team=cast.search, name="Other", slug="other", by="tests", now=NOW
    )
    approved(cast, line(300))  # ten a day, of 0.06 USD in all
    use(cast, 0)  # 8 USD
    counted(cast, [call(5, project="other", input_tokens=500_000)])  # 2 USD

    its = {"since": date(2026, 11, 20)}
    found = reviews.figures(by_hand(cast, **its), now=NOW)

    assert found.team_plan is not None
    assert (found.team_plan.planned, found.team_plan.actual) == (Decimal("0.12"), 10)
    effects = found.team_plan.effects
    assert sum(one.amount for one in effects) == found.team_plan.difference
    assert [(one.name, one.requests, one.cost) for one in found.models] == [
        ("Claude Opus 5.5", 2, 8)
    ]
    # With a plan of its own it is held against that alone.
    approved(cast, line(300), project=other, later=1)
    planned = reviews.figures(by_hand(cast, project=other, **its), now=NOW)
    assert planned.plan is not None
    assert planned.team_plan is None


def test_what_is_compared_is_said_where_it_is_a_part(cast: Cast):
    approved(cast, line(300))  # November's
    use(cast, 0)

    its = {"since": date(2026, 10, 20), "until": date(2026, 11, 21)}
    found = reviews.figures(by_hand(cast, **its), now=NOW)

    assert found.team_plan is not None
    assert found.team_plan.planned_days == [Period(date(2026, 11, 1), date(2026, 11, 21))]


def test_plans_of_other_projects_are_no_plan_of_the_team(cast: Cast):
    other = projects.create(
        team=cast.search, name="Other", slug="other", by="tests", now=NOW
    )
    approved(cast, line(300), project=other)
    use(cast, 0)

    assert reviews.figures(by_hand(cast), now=NOW).team_plan is None


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
    assert estimate_caps.monthly_budget(planned) == lowest


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


# As a review was kept before the plan of the team and the models were among its figures.
OLDER = {
    "as_of": "2026-11-22T12:00:00Z",
    "currency": "USD",
    "days": 1,
    "records": 2,
    "spent": "8",
    "outside": "8",
    "unpriced_records": 0,
    "plan": None,
    "cap": None,
    "verdicts": [
        {
            "action": "nothing_stands_out",
            "amount": None,
            "sentence": "Nothing was spent on these days.",
            "rests_on": "2 records on 1 day.",
            "low_confidence": False,
            "about": {},
        }
    ],
    "dropped_since": "a figure that is not shown any more",
}


def test_a_review_that_was_kept_in_an_older_shape_can_be_read(cast: Cast):
    review = by_hand(cast)
    review.figures = OLDER

    found = reviews.figures(review, now=DUE)

    assert (found.spent, found.records) == (8, 2)
    assert (found.team_plan, found.models) == (None, [])
    assert found.verdicts[0].action is Action.NOTHING_STANDS_OUT


def test_lists_go_on_where_they_end(cast: Cast, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(reviews, "SHOWN", 2)
    made = [by_hand(cast, since=date(2026, 11, day)) for day in range(1, 7)]
    for review in made[:3]:
        close(review)
    its = Review.objects.all()

    first = reviews.listed(its)
    rest = reviews.listed(its, open_before=first.older_open, before=first.older)

    assert (first.open, first.closed) == ([made[5], made[4]], [made[2], made[1]])
    assert (rest.open, rest.closed) == ([made[3]], [made[0]])
    assert (rest.older_open, rest.older) == (None, None)


def test_batches_by_tag_of_a_long_review_are_asked_for_its_last_31_days(cast: Cast):
    review = by_hand(cast, since=date(2026, 9, 1), until=date(2026, 11, 20))
    asked = reviews.asked_of(review, reviews.figures(review, now=NOW), now=NOW)
    tagged = Verdict(Action.BATCH_THAT, Decimal(5), "", "", about={"tag": "job=nightly"})

    question = cheaper.question(asked, tagged)

    assert question is not None
    assert (question.since, question.until) == (date(2026, 10, 20), date(2026, 11, 20))
    assert formats.read(formats.plain(question)) == question  # the limits are kept


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
