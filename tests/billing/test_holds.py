"""Holds: what is spent, held and asked for fits every hard cap, or nothing is held."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from uuid_utils.compat import uuid7

from billing.actions import budgets, holds, post, receive, voids
from billing.actions.batch import Batch
from billing.actions.budgets import Limits, Terms
from billing.actions.holds import Decision, Reused
from billing.formats import expected
from billing.formats.body import split
from billing.formats.expected import Question
from billing.models import (
    Alias,
    Budget,
    BudgetTotal,
    Hold,
    HoldPart,
    LanguageModel,
    UsageRecord,
    levels,
)
from billing.models.levels import Chain
from billing.pricing.budget_periods import PeriodKind
from billing.reports import verdicts
from teams import ownership, trips
from teams.actions import organizations
from teams.models import ApiKey
from teams.ownership import NotCovered
from teams.trips import Statement
from tests.billing.test_rerates import publish
from tests.builders import body, record
from tests.conftest import NOW, Cast, issue

MODEL = "claude-opus-5-5"
FREE = "claude-free-1"


@pytest.fixture
def key(cast: Cast) -> ApiKey:
    """Of the whole organization."""
    return issue(cast.acme)[0]


def cap(cast: Cast, amount: str, *, hard: bool = True, **more) -> Budget:
    """On team `search`, unless something else is said."""
    scope = {name: more.pop(name) for name in ("team", "project") if name in more}
    whole = more.pop("whole_organization", False)
    if not scope and not whole:
        scope = {"team": cast.search}
    return budgets.create(
        organization=cast.acme,
        period=more.pop("period", PeriodKind.MONTH),
        terms=Terms(Decimal(amount), hard=hard, **more),
        by="tests",
        now=NOW,
        **scope,
    )


def ask(key: ApiKey, estimate: str | None = "1", **more) -> Decision:
    now = more.pop("now", NOW)
    retry = more.pop("idempotency_key", "")
    said = {"project": "answers", "model": MODEL, **more}
    if estimate is not None:
        said["estimate"] = estimate
    call = expected.decode(json.dumps(said).encode())
    return holds.make(key=key, call=call, now=now, idempotency_key=retry)


def remaining(decision: Decision) -> list[Decimal]:
    return [level.remaining for level in decision.levels]


def spend(key: ApiKey, *records: dict) -> list[receive.Outcome]:
    """Receive, without counting."""
    raws = split(body(*records), "application/json", 1000)
    return receive.receive(key=key, raws=raws, now=NOW)


def count() -> None:
    for team_id in post.batches_waiting():
        post.count(team_id=team_id, now=NOW)


def dollars(amount: int, **more) -> dict:
    """A record that costs so many dollars: Opus 5.5 costs 4 a million tokens in."""
    usage = {"input_tokens": 250_000 * amount, "output_tokens": 0}
    return record(usage=usage, **more)


def expire(decision: Decision) -> None:
    past = datetime(2026, 1, 1, tzinfo=UTC)
    HoldPart.objects.filter(hold=decision.hold).update(until=past)
    Hold.objects.filter(pk=decision.hold.pk).update(expires_at=past)


# --- What fits ----------------------------------------------------------------------


def test_as_much_is_held_as_fits_and_no_more(cast: Cast, key: ApiKey):
    cap(cast, "3")

    granted = [ask(key, "1.5").hold is not None for _ in range(3)]

    assert granted == [True, True, False]
    assert sum(HoldPart.objects.values_list("amount", flat=True)) == 3


def test_exactly_the_cap_fits_and_the_smallest_amount_more_does_not(cast, key):
    cap(cast, "1")

    assert ask(key, "1.000000000000001").hold is None
    assert ask(key, "1").hold is not None
    assert ask(key, "0.000000000000001").hold is None


def test_what_is_spent_counts(cast: Cast, key: ApiKey):
    cap(cast, "3")
    spend(key, dollars(2))
    count()

    assert ask(key, "1.1").hold is None
    assert remaining(ask(key, "1")) == [0]


def test_every_level_has_to_have_room(cast: Cast, key: ApiKey):
    cap(cast, "9", project=cast.answers)
    tight = cap(cast, "1")
    cap(cast, "9", whole_organization=True)

    refused = ask(key, "2")

    assert refused.hold is None
    assert refused.refused_by.slot.budget == tight
    assert "team search" in refused.reason
    assert refused.resets_at.isoformat() == "2026-11-30T23:00:00+00:00"
    assert [level.slot.budget.scope for level in refused.levels] == [
        "project answers",
        "team search",
        "organization acme",
    ]
    assert not Hold.objects.exists()


def test_spend_of_other_teams_counts_against_the_organization(cast, key):
    cap(cast, "3", whole_organization=True)
    spend(key, dollars(2, project="triage"))
    count()

    assert ask(key, "1.5").hold is None
    assert ask(key, "1").hold is not None
    assert ask(key, "0.1", project="triage").hold is None


def test_a_budget_of_another_team_does_not_matter(cast: Cast, key: ApiKey):
    cap(cast, "0", team=cast.support)

    assert ask(key).hold is not None


def test_a_soft_budget_refuses_nothing(cast: Cast, key: ApiKey):
    cap(cast, "1", hard=False)

    decision = ask(key, "2")

    assert decision.hold is not None
    assert not HoldPart.objects.exists()


def test_without_any_budget_it_is_granted(cast: Cast, key: ApiKey):
    decision = ask(key)

    assert (decision.hold.amount, decision.levels) == (1, [])


def test_a_project_that_the_key_does_not_cover(cast: Cast, key: ApiKey):
    with pytest.raises(NotCovered):
        ask(key, project="secret")


def test_a_changed_cap_holds_at_once(cast: Cast, key: ApiKey):
    budget = cap(cast, "1")
    assert ask(key).hold is not None

    budgets.change(budget=budget, terms=Terms(Decimal(2), hard=True), by="x", now=NOW)
    assert ask(key).hold is not None
    assert ask(key).hold is None

    budgets.archive(budget=budget, by="x", now=NOW)
    assert ask(key).hold is not None


def test_a_new_budget_holds_at_once(cast: Cast, key: ApiKey):
    assert ask(key).hold is not None

    cap(cast, "0.5")

    assert ask(key).hold is None


def test_a_new_team_counts_at_once(cast: Cast, key: ApiKey):
    from teams.actions import projects, teams

    cap(cast, "3", whole_organization=True)
    assert ask(key).hold is not None
    made = {"by": "tests", "now": NOW}
    late = teams.create(organization=cast.acme, name="Late", slug="late", **made)
    projects.create(team=late, name="Late", slug="late", **made)
    spend(key, dollars(2, project="late", occurred_at=NOW.isoformat()))
    count()

    assert ask(key).hold is None


def test_a_budget_that_is_expired_refuses_nothing(cast: Cast, key: ApiKey):
    cap(cast, "0", expires_on=NOW.date() + timedelta(days=1))

    assert ask(key).hold is None
    assert ask(key, now=NOW + timedelta(days=1)).hold is not None


def test_a_call_that_may_end_in_the_next_period_is_held_in_both(cast, key):
    budget = cap(cast, "3", period=PeriodKind.DAY)
    late = datetime(2026, 11, 22, 22, 55, tzinfo=UTC)  # midnight in Berlin is at 23:00

    assert ask(key, "2", now=late).hold is not None
    assert ask(key, "2", now=late + timedelta(minutes=10)).hold is None

    parts = HoldPart.objects.filter(budget=budget).values_list("period_start", flat=True)
    assert sorted(map(str, parts)) == ["2026-11-22", "2026-11-23"]


# --- The amount ---------------------------------------------------------------------


def test_the_prompt_is_taken_at_the_dearest_way_in(cast: Cast, key: ApiKey):
    decision = ask(key, None, prompt_tokens=1_000_000, max_tokens=1_000)

    # Written to the cache for an hour, 8 a million; out 20 a million.
    assert decision.amount == Decimal("8.02")
    assert decision.bound == ""


def test_expected_usage_is_taken_as_it_is(cast: Cast, key: ApiKey):
    usage = {"input_tokens": 1_000_000, "output_tokens": 1_000}

    assert ask(key, None, usage=usage).amount == Decimal("4.02")


def test_the_provider_makes_no_difference_where_only_one_has_the_model(cast, key):
    tokens = {"prompt_tokens": 1000, "max_tokens": 10}

    alone = ask(key, None, **tokens, provider="anthropic")

    assert ask(key, None, **tokens).amount >= alone.amount > 0


def limited(cast: Cast, model: str) -> Budget:
    """A full hard budget of this model of Anthropic."""
    its = LanguageModel.objects.get(provider="anthropic", name=model)
    return budgets.create(
        organization=cast.acme,
        team=cast.search,
        period=PeriodKind.MONTH,
        terms=Terms(Decimal("0.01"), hard=True),
        limits=Limits(model_ids=(its.pk,)),
        by="tests",
        now=NOW,
    )


@pytest.mark.parametrize("provider", [None, "anthropic", "google"])
def test_a_model_of_several_providers_is_none_of_other_names(cast, key, provider):
    """Who says no provider may mean any of them, and still no other model."""
    name = "claude-haiku-4-5"
    its = LanguageModel.objects.filter(name=name)
    assert {"anthropic", "google"} <= set(its.values_list("provider", flat=True))
    its_provider = {"provider": provider} if provider else {}
    limited(cast, MODEL)

    assert ask(key, "1", model=name, **its_provider).hold is not None

    limited(cast, name)
    counts = ask(key, "1", model=name, **its_provider).hold is None
    assert counts == (provider != "google")


def test_a_verdict_of_a_model_of_several_providers(cast: Cast, key: ApiKey):
    limited(cast, MODEL)
    question = Question(project="answers", model="claude-haiku-4-5", estimate="1")

    asked = verdicts.verdict(key=key, question=question, now=NOW)

    assert (asked.answer, asked.levels) == ("allow", [])


def test_batches_are_cheaper(cast: Cast, key: ApiKey):
    tokens = {"prompt_tokens": 1_000_000, "max_tokens": 1_000, "provider": "anthropic"}

    assert ask(key, None, processing="batch", **tokens).amount == Decimal("4.01")


def test_an_unknown_model_is_held_at_the_highest_prices_of_its_provider(cast, key):
    cap(cast, "1000")
    tokens = {"prompt_tokens": 1_000_000, "max_tokens": 1_000_000}

    decision = ask(key, None, **tokens, model="claude-next", provider="anthropic")

    dearest_known = ask(key, None, **tokens, provider="anthropic")
    assert decision.hold.amount > dearest_known.amount
    assert "claude-next" in decision.bound == decision.hold.bound


def test_an_unknown_model_of_nobody_is_held_at_the_highest_prices_of_all(cast, key):
    cap(cast, "1000000")
    tokens = {"prompt_tokens": 1000, "max_tokens": 1000, "model": "who-knows"}

    assert (
        ask(key, None, **tokens).amount
        >= ask(key, None, **tokens, provider="anthropic").amount
    )


def test_what_nobody_can_bound_is_refused_where_a_cap_is_hard(cast: Cast, key: ApiKey):
    """No card of the provider has a price for the running time of an agent."""
    unknown = {
        "model": "who-knows",
        "provider": "openai",
        "usage_format": "native",
        "usage": {"session": 1000},
        "product": "managed_agents_api",
    }
    free = ask(key, None, **unknown)
    cap(cast, "1000")
    refused = ask(key, None, **unknown)

    assert (free.hold.amount, free.bound != "") == (None, True)
    assert (refused.hold, refused.amount) == (None, None)
    assert "nobody knows" in refused.reason


# --- How it ends --------------------------------------------------------------------


def test_a_record_settles_its_hold_when_it_is_counted(cast: Cast, key: ApiKey):
    cap(cast, "3")
    held = ask(key, "2").hold

    (outcome,) = spend(key, dollars(1, hold=str(held.pk)))
    assert (outcome.status, outcome.code) == ("accepted", None)
    held.refresh_from_db()
    assert held.state == "settling"
    assert ask(key, "2").hold is None

    count()
    held.refresh_from_db()
    assert (held.state, str(held.record_uid)) == ("settled", outcome.uid)
    assert remaining(ask(key, "2")) == [0]


def test_a_larger_amount_counts_in_full(cast: Cast, key: ApiKey):
    cap(cast, "3")
    spend(key, dollars(5, hold=str(ask(key, "1").hold.pk)))
    count()

    assert remaining(ask(key, "1")) == [-2]


def test_an_expired_hold_reserves_nothing(cast: Cast, key: ApiKey):
    cap(cast, "1")
    expire(ask(key))

    assert ask(key).hold is not None


def test_an_expired_hold_is_reserved_again_until_its_record_is_counted(cast, key):
    cap(cast, "3")
    late = ask(key, "2")
    expire(late)

    (outcome,) = spend(key, dollars(1, hold=str(late.hold.pk)))

    assert outcome.code is None
    assert ask(key, "2").hold is None
    count()
    assert ask(key, "2").hold is not None


def test_a_settling_hold_does_not_expire(cast: Cast, key: ApiKey):
    cap(cast, "1")
    held = ask(key)
    spend(key, record(hold=str(held.hold.pk)))
    Hold.objects.update(expires_at=datetime(2026, 1, 1, tzinfo=UTC))

    assert ask(key, "0.5").hold is None


def test_a_released_hold_reserves_nothing(cast: Cast, key: ApiKey):
    cap(cast, "1")
    held = ask(key).hold

    holds.release(key=key, hold_id=held.pk)
    holds.release(key=key, hold_id=held.pk)

    held.refresh_from_db()
    assert held.state == "released"
    assert ask(key).hold is not None


def test_what_is_settling_is_not_released(cast: Cast, key: ApiKey):
    cap(cast, "1")
    held = ask(key).hold
    spend(key, record(hold=str(held.pk)))

    holds.release(key=key, hold_id=held.pk)

    held.refresh_from_db()
    assert held.state == "settling"
    assert ask(key).hold is None


def test_two_records_settle_a_hold_once(cast: Cast, key: ApiKey):
    cap(cast, "3")
    held = str(ask(key, "2").hold.pk)

    outcomes = spend(key, dollars(1, hold=held), dollars(1, hold=held))
    (third,) = spend(key, record(hold=held))

    assert [one.status for one in (*outcomes, third)] == ["accepted"] * 3
    assert sorted(one.code or "" for one in (*outcomes, third)) == [
        "",
        "hold_not_settled",
        "hold_not_settled",
    ]
    count()
    assert Hold.objects.get().state == "settled"
    assert UsageRecord.objects.count() == 3


@pytest.mark.parametrize(
    "hold", ["what is this", "01890a5d-ac96-774b-bcce-b302099a8057", "x" * 200]
)
def test_an_unknown_hold_costs_no_record(cast: Cast, key: ApiKey, hold: str):
    (outcome,) = spend(key, record(hold=hold))

    assert (outcome.status, outcome.code) == ("accepted", "hold_not_settled")
    assert outcome.pointer == "/hold"
    count()
    assert UsageRecord.objects.count() == 1


def test_a_hold_of_another_project_is_not_settled(cast: Cast, key: ApiKey):
    held = ask(key).hold

    (outcome,) = spend(key, record(project="triage", hold=str(held.pk)))

    assert (outcome.status, outcome.code) == ("accepted", "hold_not_settled")
    held.refresh_from_db()
    assert held.state == "held"


def test_the_same_record_again_settles_nothing_more(cast: Cast, key: ApiKey):
    sent = record(hold=str(ask(key).hold.pk))
    spend(key, sent)

    (again,) = spend(key, sent)

    assert (again.status, again.code) == ("duplicate", "already_recorded")
    count()
    assert Hold.objects.get().state == "settled"


def test_a_record_without_a_price_stays_reserved_until_it_has_one(cast, key):
    from billing.actions import parked

    cap(cast, "3")
    held = ask(key, "2").hold
    spend(key, dollars(1, model="claude-next", hold=str(held.pk)))
    count()
    assert ask(key, "2").hold is None

    model = LanguageModel.objects.get(provider="anthropic", name=MODEL)
    Alias.objects.create(model=model, provider="anthropic", name="claude-next")
    parked.retry(team_id=cast.search.pk, now=NOW)
    count()

    held.refresh_from_db()
    assert held.state == "settled"
    assert remaining(ask(key, "1.5")) == [Decimal("0.5")]


def test_a_void_record_ends_its_hold(cast: Cast, key: ApiKey):
    cap(cast, "3")
    held = ask(key, "2").hold
    (outcome,) = spend(key, dollars(1, model="claude-next", hold=str(held.pk)))
    count()

    voids.void(team=cast.search, uids=[outcome.uid], reason="r", by="tests", now=NOW)
    count()

    held.refresh_from_db()
    assert held.state == "settled"
    assert ask(key, "3").hold is not None


def test_holds_are_forgotten_a_day_after_their_time(cast: Cast, key: ApiKey):
    cap(cast, "9")
    kept, old = ask(key), ask(key)
    settling = ask(key)
    spend(key, record(hold=str(settling.hold.pk)))
    for one in (old, settling):
        Hold.objects.filter(pk=one.hold.pk).update(
            expires_at=datetime(2026, 1, 1, tzinfo=UTC)
        )

    assert holds.forget() == 1

    left = set(Hold.objects.values_list("pk", flat=True))
    assert left == {kept.hold.pk, settling.hold.pk}
    assert HoldPart.objects.count() == 2


# --- Again --------------------------------------------------------------------------


def test_a_retry_gets_the_same_hold(cast: Cast, key: ApiKey):
    cap(cast, "1")

    first = ask(key, idempotency_key="call-1")
    again = ask(key, idempotency_key="call-1")

    assert again.hold == first.hold
    assert (again.amount, again.hold.expires_at) == (1, first.hold.expires_at)
    assert remaining(again) == remaining(first) == [0]
    assert Hold.objects.count() == 1


def test_another_request_under_the_same_key_is_refused(cast: Cast, key: ApiKey):
    ask(key, idempotency_key="call-1")

    with pytest.raises(Reused):
        ask(key, "2", idempotency_key="call-1")
    with pytest.raises(Reused):
        ask(key, project="triage", idempotency_key="call-1")


def test_keys_of_two_services_do_not_meet(cast: Cast, key: ApiKey):
    other, _ = issue(cast.acme)

    assert (
        ask(key, idempotency_key="call-1").hold
        != ask(other, "2", idempotency_key="call-1").hold
    )


def test_a_retry_of_a_hold_that_has_ended_reserves_nothing(cast: Cast, key: ApiKey):
    cap(cast, "10")
    released = ask(key, idempotency_key="call-1").hold
    holds.release(key=key, hold_id=released.pk)
    expired = ask(key, idempotency_key="call-2", expires_in=1).hold
    Hold.objects.filter(pk=expired.pk).update(expires_at=expired.made_at)
    HoldPart.objects.filter(hold=expired).update(until=expired.made_at)

    retries = [ask(key, idempotency_key="call-1")]
    retries.append(ask(key, idempotency_key="call-2", expires_in=1))

    assert [retry.hold for retry in retries] == [None, None]
    assert "has been released" in retries[0].reason
    assert "has expired" in retries[1].reason
    assert remaining(retries[0]) == [10]


def test_a_refusal_is_decided_anew(cast: Cast, key: ApiKey):
    budget = cap(cast, "1")
    assert ask(key, "2", idempotency_key="call-1").hold is None
    budgets.change(budget=budget, terms=Terms(Decimal(2), hard=True), by="x", now=NOW)

    assert ask(key, "2", idempotency_key="call-1").hold is not None


# --- Free models --------------------------------------------------------------------


@pytest.mark.parametrize(("exempt", "granted"), [(True, True), (False, False)])
def test_a_model_that_costs_nothing_passes_where_the_budget_says_so(
    cast: Cast, key: ApiKey, exempt: bool, granted: bool
):
    cap(cast, "1", exempt_free=exempt)
    spend(key, dollars(2))
    count()
    model = LanguageModel.objects.create(provider="anthropic", name=FREE, family="free")
    Alias.objects.create(provider="anthropic", name=FREE, model=model)
    publish(FREE, input="0", output="0")

    asked = ask(key, None, model=FREE, prompt_tokens=100, max_tokens=100)

    assert asked.amount == 0
    assert (asked.hold is not None) == granted


@pytest.mark.parametrize(
    "said", [{"estimate": "0"}, {"usage": {"input_tokens": 0, "output_tokens": 0}}]
)
def test_a_call_for_nothing_of_a_model_that_costs_something_does_not(
    cast: Cast, key: ApiKey, said: dict
):
    cap(cast, "1")
    spend(key, dollars(2))
    count()

    assert ask(key, **({"estimate": None} | said)).hold is None


def test_totals_are_those_of_the_checker(cast: Cast, key: ApiKey):
    budget = cap(cast, "10")
    for number in range(3):
        spend(key, dollars(1, hold=str(ask(key, "2").hold.pk)))
        if number < 2:
            count()

    spent = sum(BudgetTotal.objects.filter(budget=budget).values_list("spent", flat=True))
    reserved = sum(HoldPart.objects.filter(budget=budget).values_list("amount", flat=True))
    assert (spent, reserved) == (2, 2)


@pytest.mark.parametrize(("retry", "waits"), [("call-1", 1), ("", 0), ("call-2", 0)])
def test_who_asks_again_waits_for_the_disk_too(
    cast: Cast, key: ApiKey, retry: str, waits: int
):
    ask(key, idempotency_key="call-1")
    ask(key)

    (rows,) = trips.at_once([], [Statement(holds._FLUSH, [uuid7(), key.pk, retry])])

    assert len(rows) == waits


def test_a_zone_that_is_planned_instead_of_another_is_noticed(cast: Cast, key: ApiKey):
    owner = ownership.owner(key, "answers", NOW)
    known, counted = Chain(owner), Batch.of_team(cast.search.pk, NOW)
    for zone in ("America/Chicago", "Asia/Tokyo"):
        organizations.change_zone(
            organization=cast.acme, time_zone=zone, by="tests", now=NOW
        )

        assert levels.read(known, []) is None
        known, before = Chain(owner), counted
        counted = Batch.of_team(cast.search.pk, NOW)
        assert levels.read(known, []) == []
        assert counted.days is not before.days
