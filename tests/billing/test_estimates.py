"""Estimates: a draft changes, the plan of a month does not; the newest is the plan."""

from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from decimal import Decimal
from threading import Barrier
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import connection, transaction

from billing.actions import alert_sentences, budgets, estimates
from billing.actions.budgets import Limits, Terms
from billing.actions.estimates import NotPossible
from billing.models import Alert, Budget, Delivery, Estimate, LanguageModel
from billing.models.estimates import Scenario
from billing.models.planned import Chosen, Line
from billing.pricing.budget_periods import PeriodKind
from billing.pricing.levers import Factor, Levers, Ttl
from billing.pricing.token_classes import NOTHING
from billing.pricing.usage import Processing
from billing.reports import estimate_view
from billing.reports.estimate_view import Wanted
from teams.actions import memberships, organizations, projects, teams
from teams.models import AuditEvent, Organization, Role, Team
from tests.billing.committed import committing
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


# --- By levers ----------------------------------------------------------------------


def model(name: str = "claude-opus-5-5") -> LanguageModel:
    return LanguageModel.objects.get(provider="anthropic", name=name)


def levers(**changes: Any) -> Levers:
    """In November three thousand requests, each as in `line`."""
    its = {"requests_per_day": Decimal(100), "input_tokens": 1000, "output_tokens": 10}
    return Levers(**{**its, **changes})


def save_shapes(cast: Cast, **changes: Any) -> Estimate:
    given: dict[str, Any] = {
        "team": cast.search,
        "month": MONTH,
        "months": 1,
        "shapes": {Scenario.MEDIUM: levers()},
        "models": [Chosen(model(), Decimal(100))],
        "by": "lead",
        "now": NOW,
    }
    return estimates.save_shapes(**{**given, **changes})


def test_levers_make_the_lines_and_are_kept_beside_them(cast: Cast):
    made = save_shapes(cast, months=2, shapes={Scenario.MEDIUM: levers(users=2)})

    lines = made.lines.order_by("month").values_list("month", "requests", "cost")
    assert list(lines) == [
        (MONTH, 6000, Decimal("25.2")),
        (date(2026, 12, 1), 6200, Decimal("26.04")),
    ]
    assert (made.shapes.get().users, made.models.get().share_percent) == (2, 100)


def test_lines_by_hand_take_the_place_of_levers(cast: Cast):
    made = save_shapes(cast)

    save(cast, estimate=made)

    assert made.lines.get().requests == 1000
    assert not made.shapes.exists()
    assert not made.models.exists()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"plan": Scenario.HEAVY}, "no heavy scenario"),
        ({"models": [Chosen(LanguageModel(), Decimal(99))]}, "100 %"),
        ({"shapes": {Scenario.MEDIUM: levers(input_tokens=10**15)}}, "more than can"),
    ],
)
def test_what_cannot_be_planned_is_said(cast: Cast, changes: dict, sentence: str):
    with pytest.raises(ValidationError, match=sentence):
        save_shapes(cast, **changes)


def test_a_model_is_named_once(cast: Cast):
    twice = [Chosen(model(), Decimal(50)), Chosen(model(), Decimal(50))]

    with pytest.raises(ValidationError, match="once"):
        save_shapes(cast, models=twice)


# --- Submitted, sent back, approved -------------------------------------------------


def person(name: str, role: Role, organization: Organization, team: Team | None = None):
    user = User.objects.create_user(name, email=f"{name}@example.com")
    memberships.grant(
        user=user, organization=organization, role=role, team=team, by="tests", now=NOW
    )
    return user


@pytest.fixture
def lea(cast: Cast) -> User:
    return person("lea", Role.LEAD, cast.acme, cast.search)


@pytest.fixture
def frank(cast: Cast) -> User:
    return person("frank", Role.FINANCE, cast.acme)


def mailed() -> list[tuple[str, str]]:
    """To whom, and what of."""
    sent = Delivery.objects.order_by("pk").select_related("channel", "alert")
    return [(one.channel.target, one.alert.details["state"]) for one in sent]


def test_who_may_approve_is_told_and_then_who_submitted(cast: Cast, lea: User, frank: User):
    draft = save(cast)
    estimates.submit(estimate=draft, by="lea", person=lea, now=NOW)
    opened = Alert.objects.get()
    assert (opened.state, opened.kind) == ("firing", "estimate")
    assert alert_sentences.sentence(opened) == (
        f"lea submits estimate #{draft.pk} of $4.20 for Search, 1–30 Nov 2026."
    )

    estimates.approve(estimate=draft, by="frank", now=NOW)

    assert mailed() == [
        ("frank@example.com", "submitted"),
        ("lea@example.com", "approved"),
    ]
    assert set(Alert.objects.values_list("state", flat=True)) == {"resolved"}


def test_what_is_sent_back_is_a_draft_with_what_was_said(
    cast: Cast, lea: User, frank: User
):
    draft = save(cast)
    estimates.submit(estimate=draft, by="lea", person=lea, now=NOW)

    estimates.send_back(estimate=draft, note="Which users?", by="frank", now=NOW)
    save(cast, estimate=draft, note="Ours.")
    estimates.submit(estimate=draft, by="lea", person=lea, now=NOW + timedelta(minutes=1))

    kept = Estimate.objects.get()
    assert (kept.state, kept.decision_note) == ("submitted", "Which users?")
    assert [state for _, state in mailed()] == ["submitted", "draft", "submitted"]


def test_twice_is_once(cast: Cast, lea: User, frank: User):
    draft = save(cast)
    for _ in range(2):
        estimates.submit(estimate=draft, by="lea", person=lea, now=NOW)
    for _ in range(2):
        estimates.approve(estimate=draft, by="frank", now=NOW, cap=Decimal(9))

    assert Alert.objects.filter(kind="estimate").count() == 2
    assert Budget.objects.get().revision == 1


def test_what_is_submitted_does_not_change(cast: Cast):
    draft = save(cast)
    estimates.submit(estimate=draft, by="lead", now=NOW)

    with pytest.raises(NotPossible, match="submitted"):
        save(cast, estimate=draft)


def test_only_what_was_submitted_is_sent_back_and_with_a_reason(cast: Cast):
    draft = save(cast)
    with pytest.raises(NotPossible, match="draft"):
        estimates.send_back(estimate=draft, note="No.", by="finance", now=NOW)
    estimates.submit(estimate=draft, by="lead", now=NOW)

    with pytest.raises(ValidationError, match="Say what"):
        estimates.send_back(estimate=draft, note=" ", by="finance", now=NOW)


def test_nothing_is_not_submitted(cast: Cast):
    draft = save(cast, lines=[])

    with pytest.raises(ValidationError, match="nothing"):
        estimates.submit(estimate=draft, by="lead", now=NOW)
    with pytest.raises(ValidationError, match="nothing"):
        estimates.approve(estimate=draft, by="lead", now=NOW)


def test_each_step_is_in_the_history(cast: Cast):
    draft = save(cast)
    estimates.submit(estimate=draft, by="lead", now=NOW)
    estimates.send_back(estimate=draft, note="Why?", by="finance", now=NOW)
    estimates.submit(estimate=draft, by="lead", now=NOW)
    estimates.approve(estimate=draft, by="finance", now=NOW)

    events = AuditEvent.objects.filter(action__startswith="estimate.").order_by("pk")
    assert [(one.action.partition(".")[2], one.actor, one.reason) for one in events] == [
        ("submit", "lead", ""),
        ("send_back", "finance", "Why?"),
        ("submit", "lead", ""),
        ("approve", "finance", ""),
    ]


def test_the_cap_makes_the_monthly_budget(cast: Cast):
    draft = save(cast)

    estimates.approve(estimate=draft, by="finance", now=NOW, cap=Decimal(5))

    made = Budget.objects.get()
    assert (made.team, made.period, made.amount) == (cast.search, "month", 5)
    assert made.revisions.get().reason == f"Estimate #{draft.pk} approved."


def test_the_cap_amends_the_budget_of_all_that_the_project_spends(cast: Cast):
    scope = {"organization": cast.acme, "by": "frank", "now": NOW}
    month = {"period": PeriodKind.MONTH, "terms": Terms(Decimal(100), hard=True)}
    its = budgets.create(project=cast.answers, **month, **scope)
    others = [
        budgets.create(team=cast.search, **month, **scope),
        budgets.create(
            project=cast.answers, limits=Limits(processing=("batch",)), **month, **scope
        ),
        budgets.create(
            project=cast.answers, period=PeriodKind.WEEK, terms=month["terms"], **scope
        ),
    ]
    draft = save(cast, project=cast.answers)

    estimates.approve(estimate=draft, by="finance", now=NOW, cap=Decimal(150))

    its.refresh_from_db()
    assert (its.amount, its.hard, its.revision) == (150, True, 2)
    assert {Budget.objects.get(pk=one.pk).amount for one in others} == {100}


def test_the_cap_of_a_project_is_set_by_the_team_that_owns_it(cast: Cast):
    draft = save(cast, project=cast.answers)
    soon = NOW + timedelta(hours=1)
    moved = {"project": cast.answers, "team": cast.support, "effective_from": soon}
    projects.move(**moved, by="tests", now=NOW)

    with pytest.raises(ValidationError, match="does not own"):
        estimates.approve(
            estimate=draft, by="finance", now=soon + timedelta(hours=1), cap=Decimal(5)
        )

    assert (Budget.objects.count(), Estimate.objects.get().state) == (0, "draft")


def test_two_approved_at_once_make_one_budget(db: None):
    committing(_approve_two_at_once)


def _approve_two_at_once() -> None:
    made = {"by": "tests", "now": NOW}
    acme = organizations.create(name="Acme", slug="acme", time_zone="UTC", **made)
    search = teams.create(organization=acme, name="Search", slug="search", **made)
    drafts = [
        estimates.save(team=search, month=MONTH, lines=[line()], **made) for _ in range(2)
    ]
    ready = Barrier(len(drafts))

    def approve(draft: Estimate) -> None:
        try:
            with transaction.atomic():
                # Both have begun before either is done.
                estimates.held(draft)
                ready.wait(timeout=60)
                estimates.approve(estimate=draft, by="frank", now=NOW, cap=Decimal(5))
        finally:
            connection.close()

    with ThreadPoolExecutor(len(drafts)) as beside:
        list(beside.map(approve, drafts))
    assert Budget.objects.filter(team=search).count() == 1


def test_a_cap_that_is_refused_approves_nothing(cast: Cast):
    draft = save(cast)

    with pytest.raises(ValidationError):
        estimates.approve(estimate=draft, by="finance", now=NOW, cap=Decimal(-1))

    assert Estimate.objects.get().state == "draft"


# --- As it is shown -----------------------------------------------------------------


def wanted(cast: Cast, **changes: Any) -> Wanted:
    given: dict[str, Any] = {
        "organization": cast.acme,
        "month": MONTH,
        "months": 1,
        "shapes": {Scenario.MEDIUM: levers()},
        "models": [Chosen(model(), Decimal(100))],
    }
    return Wanted(**{**given, **changes})


def test_what_is_computed_is_what_is_kept(cast: Cast):
    models = [Chosen(model(), Decimal(75)), Chosen(model("claude-sonnet-5"), Decimal(25))]
    shapes = {Scenario.MEDIUM: levers(batch_percent=Decimal(10)), Scenario.HEAVY: levers()}
    its = {"months": 3, "models": models, "shapes": shapes, "contingency_percent": 20}

    shown = estimate_view.compute(wanted(cast, **its), now=NOW)
    kept = estimate_view.of(save_shapes(cast, **its))

    assert kept == shown
    assert sum(row.costs[Scenario.MEDIUM] for row in shown.rows) == shown.planned > 0


def test_models_stand_side_by_side_with_all_requests_on_each(cast: Cast):
    models = [Chosen(model(), Decimal(100)), Chosen(model("claude-sonnet-5"), Decimal(0))]

    shown = estimate_view.compute(wanted(cast, models=models), now=NOW)

    # 3,000 × (1,000 × 4 + 10 × 20), and × (1,000 × 2 + 10 × 10).
    opus, sonnet = shown.models
    assert opus.costs == {Scenario.MEDIUM: Decimal("12.6")} == shown.totals
    assert sonnet.costs == {Scenario.MEDIUM: Decimal("6.3")}
    assert sonnet.per_request == Decimal("0.0021")


def test_moving_a_repeated_prompt_to_caching_lowers_the_bill_by_forty_percent(cast: Cast):
    repeated = levers(
        requests_per_day=Decimal(1000),
        active_days=30,
        prefix_tokens=8_000,
        input_tokens=1_200,
        output_tokens=1_300,
    )
    cached = repeated._replace(cache_ttl=Ttl.FIVE_MINUTES, hit_percent=Decimal(90))
    on_sonnet = [Chosen(model("claude-sonnet-5"), Decimal(100))]

    before, after = (
        estimate_view.compute(
            wanted(cast, shapes={Scenario.MEDIUM: shape}, models=on_sonnet), now=NOW
        ).planned
        for shape in (repeated, cached)
    )

    assert (before, after) == (942, Decimal("565.2"))
    assert after == before * Decimal("0.6")


def _exactly(factor: str) -> Factor:
    return Factor(*[Decimal(factor)] * 3)


def test_every_assumption_is_said(cast: Cast):
    shape = levers(
        users=3,
        active_days=20,
        growth_percent=Decimal(5),
        batch_percent=Decimal(10),
        prefix_tokens=2_000,
        cache_ttl=Ttl.FIVE_MINUTES,
        hit_percent=Decimal(90),
        output_tokens=200,
        thinking_percent=Decimal(25),
        searches_per_1000=7,
    )
    models = [
        Chosen(model(), Decimal(80)),
        Chosen(model("claude-haiku-4-5"), Decimal(20), _exactly("0.75")),
    ]
    shown = estimate_view.compute(
        wanted(
            cast,
            months=2,
            shapes={Scenario.MEDIUM: shape},
            models=models,
            contingency_percent=15,
            source="From sample 7.",
        ),
        now=NOW,
    )

    said = " ".join(shown.assumptions)
    for words in (
        *("in force on 22 Nov 2026", "From sample 7."),
        *("100 requests a day of each of 3 users", "20 days of a month"),
        *("5 % more requests", "10 % of the requests go by batch"),
        "cached for 5 minutes after their last use: 90 % of the requests read them",
        "Claude Haiku 4.5 caches nothing below 4,096 tokens, so its 1,500 that repeat",
        *("50 of the 200 tokens out are thinking", "7 web searches in 1,000"),
        *("Claude Opus 5.5 80 %, Claude Haiku 4.5 20 %", "counts 0.75 tokens"),
        *("15 % on top", "the price alone"),
    ):
        assert words in said
    assert shown.warnings == []


def test_a_model_whose_least_prefix_is_not_published_has_one_assumed(cast: Cast):
    other = LanguageModel.objects.get(provider="openai", name="gpt-5.4")
    shape = levers(prefix_tokens=2_000, cache_ttl=Ttl.FIVE_MINUTES, hit_percent=Decimal(90))

    shown = estimate_view.compute(
        wanted(
            cast,
            shapes={Scenario.MEDIUM: shape},
            models=[Chosen(model(), Decimal(100)), Chosen(other, Decimal(0))],
        ),
        now=NOW,
    )

    assert any("is not known here: 1,024" in one for one in shown.assumptions)


@pytest.mark.parametrize(
    ("provider", "name", "said"),
    [
        (
            "anthropic",
            "claude-haiku-4-5",
            "0.74 for each token of Claude Opus 5.5, the middle of 0.67 to 0.83",
        ),
        (
            "openai",
            "gpt-5.4",
            "count 1 for each token of Claude Opus 5.5, the middle of 0.67 to 1.5",
        ),
    ],
)
def test_another_tokenizer_is_told(cast: Cast, provider: str, name: str, said: str):
    other = LanguageModel.objects.get(provider=provider, name=name)
    models = [Chosen(other, Decimal(0)), Chosen(model(), Decimal(100))]

    told = estimate_view.compute(wanted(cast, models=models), now=NOW).assumptions
    same = [models[0]._replace(factor=Factor()), models[1]]
    asked = estimate_view.compute(wanted(cast, models=same), now=NOW).assumptions

    assert [said in one for one in told if "tokenizer" in one] == [True]
    assert ["with the same tokens, as was said" in one for one in asked][-2] is True


def test_a_model_of_another_tokenizer_is_counted_by_the_middle_with_its_range(cast: Cast):
    """3,000 requests of 1,000 in and 10 out at 1 and 5 per million: 3.15 for as many
    tokens; two thirds, 20 of 27 and five sixths of them are planned."""
    haiku = Chosen(model("claude-haiku-4-5"), Decimal(0))
    models = [Chosen(model(), Decimal(100)), haiku]

    shown = estimate_view.compute(wanted(cast, models=models), now=NOW)

    opus, its = shown.models
    assert (opus.ranges, shown.ranges) == ({}, {})
    span = its.ranges[Scenario.MEDIUM]
    assert (round(span.low, 5), round(span.high, 5)) == (Decimal("2.1"), Decimal("2.625"))
    assert round(its.costs[Scenario.MEDIUM] or 0, 4) == Decimal("2.3333")
    assert its.factor == Factor(
        Decimal("0.666666667"), Decimal("0.740740741"), Decimal("0.833333333")
    )


def test_what_is_planned_on_another_tokenizer_has_a_range_and_is_kept_by_the_middle(
    cast: Cast,
):
    models = [
        Chosen(model(), Decimal(50)),
        Chosen(model("claude-haiku-4-5"), Decimal(50)),
    ]
    its = {"models": models, "reference": model()}

    shown = estimate_view.compute(wanted(cast, **its), now=NOW)
    kept = estimate_view.of(save_shapes(cast, **its))

    assert kept == shown
    low, high = shown.ranges[Scenario.MEDIUM]
    # Half of each: 6.3 on Opus.
    assert (round(low, 4), round(high, 4)) == (Decimal("7.35"), Decimal("7.6125"))
    assert round(shown.planned, 4) == Decimal("7.4667")
    assert "By the fewest and the most tokens it is 7.35 to 7.61 USD" in (
        " ".join(shown.assumptions)
    )


def test_whose_tokens_are_counted_can_be_said(cast: Cast):
    """Of the older tokenizer, though all requests go to the newer one: 1.2 to 1.5."""
    reference = model("claude-haiku-4-5")

    shown = estimate_view.compute(wanted(cast, reference=reference), now=NOW)

    (opus,) = shown.models
    assert (opus.factor.low, opus.factor.high) == (Decimal("1.2"), Decimal("1.5"))
    assert shown.planned == Decimal("12.6") * Decimal("1.35")
    assert "Sizes are in tokens of Claude Haiku 4.5." in shown.assumptions


def test_a_factor_of_the_reference_is_said(cast: Cast):
    doubled = [Chosen(model(), Decimal(100), factor=_exactly("2"))]

    shown = estimate_view.compute(wanted(cast, models=doubled), now=NOW)
    single = estimate_view.compute(wanted(cast), now=NOW)

    assert (shown.planned, single.planned) == (Decimal("25.2"), Decimal("12.6"))
    assert set(shown.assumptions) - set(single.assumptions) == {
        (
            "Claude Opus 5.5 is counted with 2 tokens for each one of its own sizes, as "
            "was said."
        )
    }


def test_sizes_of_its_own_are_kept_and_counted_once(cast: Cast):
    """Half of the requests, each 100 in and 20 out at 1 and 5 per million."""
    own = {Scenario.MEDIUM: levers(input_tokens=100, output_tokens=20)}
    models = [
        Chosen(model(), Decimal(50)),
        Chosen(model("claude-haiku-4-5"), Decimal(50), own=own),
    ]

    shown = estimate_view.compute(wanted(cast, models=models), now=NOW)
    saved = save_shapes(cast, models=models)

    assert estimate_view.of(saved) == shown
    assert shown.planned == Decimal("6.3") + Decimal("0.3")
    assert shown.ranges == {}
    assert any("has sizes of its own" in one for one in shown.assumptions)
    assert saved.shapes.count() == 2


def test_models_with_sizes_of_their_own_are_compared_by_the_same_requests(cast: Cast):
    """3,000 requests of 10,000 in and 1,000 out, at 4 and 20 and at 2 and 10 per million,
    and at 1 and 5 with 20 of 27 of the tokens; by their own they would cost 0.9."""
    small = {Scenario.MEDIUM: levers(input_tokens=100, output_tokens=10)}
    its = {
        "shapes": {Scenario.MEDIUM: levers(input_tokens=10_000, output_tokens=1_000)},
        "models": [
            Chosen(model(), Decimal(60)),
            Chosen(model("claude-sonnet-5"), Decimal(40), own=small),
            Chosen(model("claude-haiku-4-5"), Decimal(0), own=small),
        ],
    }

    shown = estimate_view.compute(wanted(cast, **its), now=NOW)

    opus, sonnet, haiku = shown.models
    assert opus.costs == {Scenario.MEDIUM: Decimal(180)}
    assert sonnet.costs == {Scenario.MEDIUM: Decimal(90)}
    assert (sonnet.per_request, sonnet.ranges) == (Decimal("0.03"), {})
    assert round(haiku.costs[Scenario.MEDIUM] or 0, 1) == Decimal("33.3")
    low, high = haiku.ranges[Scenario.MEDIUM]
    assert (round(low, 3), round(high, 3)) == (Decimal("30.000"), Decimal("37.500"))
    # Sonnet's part is planned by its own sizes.
    assert (shown.planned, shown.ranges) == (Decimal(108) + Decimal("0.36"), {})
    assert (
        "Side by side Claude Sonnet 5 has the sizes of Claude Opus 5.5, so that all models "
        "are compared by the same requests."
    ) in shown.assumptions
    assert any(
        one.startswith("Side by side: Claude Haiku 4.5 is taken to count 0.74 for each")
        for one in shown.assumptions
    )
    assert estimate_view.of(save_shapes(cast, **its)) == shown


def test_what_a_compared_model_does_without_is_said(cast: Cast):
    """Its own requests have no pictures; the ones that it is compared by have."""
    own = {Scenario.MEDIUM: levers()}
    sonnet = Chosen(model("claude-sonnet-5"), Decimal(100))
    models = [sonnet, Chosen(model(), Decimal(0), own=own)]
    shape = levers(output_image_per_1000=2_000)

    shown = estimate_view.compute(
        wanted(cast, models=models, shapes={Scenario.MEDIUM: shape}), now=NOW
    )

    assert (
        "Side by side: Left out of the cost of Claude Opus 5.5, which has no price for it: "
        "2,000 output tokens of pictures in 1,000 requests."
    ) in shown.assumptions


def test_what_a_model_has_no_price_for_beside_text_is_left_out_and_said(cast: Cast):
    shape = levers(output_image_per_1000=2_000)

    shown = estimate_view.compute(wanted(cast, shapes={Scenario.MEDIUM: shape}), now=NOW)

    assert shown.planned == Decimal("12.6")
    assert (
        "Left out of the cost of Claude Opus 5.5, which has no price for it: 2,000 output "
        "tokens of pictures in 1,000 requests."
    ) in shown.assumptions


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"requests_per_day": Decimal(144)}, "10 minutes apart"),
        ({"hit_percent": Decimal(0)}, "nothing reads"),
        ({"cache_ttl": Ttl.NONE}, "nothing is cached"),
    ],
)
def test_what_is_hardly_meant_is_told(cast: Cast, changes: dict[str, Any], words: str):
    shape = levers(
        **{
            "requests_per_day": Decimal(1000),
            "prefix_tokens": 8_000,
            "cache_ttl": Ttl.FIVE_MINUTES,
            "hit_percent": Decimal(90),
            **changes,
        }
    )

    shown = estimate_view.compute(wanted(cast, shapes={Scenario.MEDIUM: shape}), now=NOW)

    (warning,) = shown.warnings
    assert words in warning


def test_one_made_from_lines_has_totals_and_nothing_to_compare(cast: Cast):
    shown = estimate_view.of(save(cast, months=2, contingency_percent=50))

    assert [row.costs for row in shown.rows] == [
        {Scenario.MEDIUM: Decimal("4.2")},
        {Scenario.MEDIUM: Decimal(0)},
    ]
    assert (shown.models, shown.shapes) == ([], {})
    assert (shown.largest_month, shown.proposed_cap) == (Decimal("4.2"), 7)


# --- Of the version that was looked at ----------------------------------------------

LATER = NOW + timedelta(minutes=5)


def test_who_saves_over_another_version_is_told_who_changed_it_and_when(cast: Cast):
    draft = save(cast)
    opened = draft.version
    save(cast, estimate=draft, version=opened, by="tom", now=LATER, note="Toms.")

    with pytest.raises(NotPossible) as refused:
        save(cast, estimate=draft, version=opened, by="lea", now=LATER, note="Leas.")

    (said,) = refused.value.messages
    assert said.startswith("tom changed it meanwhile, on 22 Nov 2026 at 13:05 (Europe/B")
    kept = Estimate.objects.get()
    assert (kept.note, kept.created_by, kept.changed_by) == ("Toms.", "lead", "tom")


@pytest.mark.parametrize("step", ["submit", "send_back", "approve"])
def test_a_step_is_taken_with_the_version_that_was_looked_at(cast: Cast, step: str):
    draft = save(cast)
    seen = draft.version
    save(cast, estimate=draft, by="tom", now=LATER)
    if step == "send_back":
        estimates.submit(estimate=draft, by="tom", now=LATER)
    said = {"estimate": draft, "by": "frank", "now": LATER}
    said |= {"note": "Why?"} if step == "send_back" else {}

    with pytest.raises(NotPossible, match="tom changed it meanwhile"):
        getattr(estimates, step)(**said, version=seen)
    now_seen = Estimate.objects.get().version
    getattr(estimates, step)(**said, version=now_seen)


def test_of_two_who_save_one_draft_at_once_the_second_is_told(db: None):
    committing(_save_one_at_once)


def _save_one_at_once() -> None:
    made = {"by": "tests", "now": NOW}
    acme = organizations.create(name="Acme", slug="acme", time_zone="UTC", **made)
    search = teams.create(organization=acme, name="Search", slug="search", **made)
    draft = estimates.save(team=search, month=MONTH, lines=[line()], **made)
    ready = Barrier(2)

    def change(by: str) -> bool:
        try:
            with transaction.atomic():
                connection.ensure_connection()
                ready.wait(timeout=60)
                estimates.save(
                    team=search,
                    month=MONTH,
                    lines=[line(2)],
                    estimate=draft,
                    version=draft.version,
                    by=by,
                    now=LATER,
                )
        except NotPossible:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(2) as beside:
        assert sorted(beside.map(change, ("lea", "tom"))) == [False, True]


def test_who_comes_too_late_to_approve_is_told_what_was(cast: Cast):
    draft = save(cast)
    estimates.approve(estimate=draft, by="frank", now=NOW, cap=Decimal(9))

    for by, cap in (("anna", Decimal(9)), ("frank", Decimal(8)), ("frank", None)):
        with pytest.raises(NotPossible, match=r"frank approved it with a cap of \$9\.00"):
            estimates.approve(estimate=draft, by=by, now=LATER, cap=cap)

    assert Budget.objects.get().amount == 9
