"""Re-rates: tried without effect, carried out by adding charges, taken back by others."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from io import StringIO

import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.db import connection

from billing.actions import (
    alert_messages,
    budgets,
    parked,
    post,
    rate_cards,
    receive,
    rerates,
)
from billing.actions.alert_bodies import mail
from billing.actions.budgets import Terms
from billing.actions.rerates import Scope
from billing.formats.body import split
from billing.models import (
    Alert,
    Budget,
    BudgetTotal,
    Channel,
    Charge,
    DailySpend,
    HourlySpend,
    LanguageModel,
    Publication,
    Rate,
    RateCard,
    Rerate,
)
from billing.pricing.budget_periods import PeriodKind
from billing.reports import verification
from teams.models import AuditEvent, Team
from tests.builders import COST, body, record
from tests.conftest import NOW, Cast, issue

OPUS = "claude-opus-5-5"
# 1,000 tokens at 8 and 10 at 20 dollars per million; before it was 4 and 20.
DEARER = Decimal("0.0082")
TWO_MODELS = {
    "input_tokens": 1000,
    "output_tokens": 10,
    "iterations": [
        {"type": "message", "input_tokens": 1000, "output_tokens": 10},
        {
            "type": "advisor_message",
            "model": "claude-sonnet-5",
            "input_tokens": 2000,
            "output_tokens": 20,
        },
    ],
}


@pytest.fixture
def spend(cast: Cast):
    """Post and count records, `answers` of the team search unless they say otherwise."""
    Team.objects.update(created_at="2026-01-15T00:00:00Z")
    key, _ = issue(cast.acme, scopes=["usage:write", "import"])

    def post_and_count(*records: dict, now=NOW) -> None:
        raws = split(body(*records), "application/json", 1000)
        receive.receive(key=key, raws=raws, now=now)
        count_all(now)

    return post_and_count


def count_all(now=NOW) -> None:
    for team_id in post.batches_waiting():
        post.count(team_id=team_id, now=now)


def publish(model: str = OPUS, since: str = "2025-01-01", **prices: str) -> None:
    """Prices of a model on the list card, from a day on; later ones win."""
    publication = Publication.objects.create(
        card=RateCard.objects.get(kind="list", provider="anthropic"),
        created_by="tests",
        created_at=NOW,
    )
    Rate.objects.create(
        publication=publication,
        model=LanguageModel.objects.get(provider="anthropic", name=model),
        effective_from=f"{since}T00:00:00Z",
        **({"input": "8", "output": "20"} | prices),
        source="test",
        observed_on=NOW.date(),
    )
    rate_cards.publish(publication=publication, by="tests", now=NOW)


def plan(cast: Cast, now=NOW, **scope) -> Rerate:
    scope = {
        "organization": cast.acme,
        "since": date(2026, 1, 1),
        "until": date(2027, 1, 1),
    } | scope
    rerate = rerates.plan(scope=Scope(**scope), reason="list price", by="finance", now=now)
    return rerates.advance(rerate=rerate, clock=lambda: now)


def carry_out(rerate: Rerate, now=NOW) -> Rerate:
    rerates.start(rerate=rerate, by="finance", now=now)
    return rerates.advance(rerate=rerate, clock=lambda: now)


def take_back(rerate: Rerate, now=NOW) -> Rerate:
    reversal = rerates.reverse(rerate=rerate, by="finance", now=now)
    return rerates.advance(rerate=reversal, clock=lambda: now)


def money() -> dict[str, list[dict]]:
    """Everything that is summed anywhere, without rows that come to nothing."""
    rollups = {
        model.__name__: [
            row for row in model.objects.order_by("pk").values() if row["cost"]
        ]
        for model in (DailySpend, HourlySpend)
    }
    return rollups | {"budgets": list(BudgetTotal.objects.order_by("pk").values())}


def cost() -> Decimal:
    return sum(DailySpend.objects.values_list("cost", flat=True), Decimal())


def faults() -> list:
    return [check for check in verification.checks() if not check.ok]


# --- The dry run --------------------------------------------------------------------


def test_a_dry_run_says_before_and_after_per_team_and_writes_nothing(cast: Cast, spend):
    spend(record(), record(), record(project="triage"), record(model="claude-sonnet-5"))
    publish()
    before = money(), Charge.objects.count()

    rerate = plan(cast)

    assert rerate.state == "ready"
    totals = {
        one.team.slug: (one.records, one.changed, one.before, one.cost)
        for one in rerate.totals.all()
    }
    sonnet = Decimal("0.0021")
    assert totals == {
        "search": (3, 2, 2 * Decimal(COST) + sonnet, 2 * DEARER + sonnet),
        "support": (1, 1, Decimal(COST), DEARER),
    }
    assert (money(), Charge.objects.count()) == before


def test_a_dry_run_that_is_not_started_is_not_audited_and_changes_nothing(cast, spend):
    spend(record())
    publish()

    rerate = plan(cast)
    rerates.cancel(rerate=rerate, by="finance", now=NOW)

    assert cost() == Decimal(COST)
    assert not AuditEvent.objects.filter(action="rerate.start").exists()
    with pytest.raises(ValidationError, match="cancelled"):
        rerates.start(rerate=rerate, by="finance", now=NOW)


def test_prices_that_changed_since_the_dry_run_ask_for_another(cast: Cast, spend):
    spend(record())
    publish()
    rerate = plan(cast)
    publish(input="9")

    with pytest.raises(ValidationError, match="make another one"):
        rerates.start(rerate=rerate, by="finance", now=NOW)


# --- Carried out --------------------------------------------------------------------


def test_a_re_rate_takes_each_charge_back_and_charges_anew(cast: Cast, spend):
    spend(record())
    publish()

    rerate = carry_out(plan(cast))

    assert rerate.state == "done"
    charges = Charge.objects.order_by("revision", "leg")
    assert [(c.revision, c.leg, c.input, c.output, c.cost) for c in charges] == [
        (0, 0, 1000, 10, Decimal(COST)),
        (1, -1, -1000, -10, -Decimal(COST)),
        (1, 0, 1000, 10, DEARER),
    ]
    assert {c.rerate_id for c in charges} == {None, rerate.pk}
    day = DailySpend.objects.get()
    assert (day.requests, day.input, day.output, day.cost) == (1, 1000, 10, DEARER)
    assert (day.input_cost, day.output_cost) == (Decimal("0.008"), Decimal("0.0002"))
    assert HourlySpend.objects.get().cost == DEARER
    assert faults() == []


def test_charges_are_only_added(cast: Cast, spend):
    spend(record(), record(usage=TWO_MODELS))
    first = list(Charge.objects.order_by("pk").values())
    publish()

    carry_out(plan(cast))

    assert list(Charge.objects.filter(revision=0).order_by("pk").values()) == first


def test_a_record_on_two_models_is_re_rated_leg_by_leg(cast: Cast, spend):
    spend(record(usage=TWO_MODELS))
    publish("claude-sonnet-5", input="4", output="10")

    carry_out(plan(cast))

    in_force = Charge.objects.filter(revision=1).order_by("leg")
    assert [(c.leg, c.cost) for c in in_force] == [
        (-2, Decimal("-0.0042")),
        (-1, Decimal("-0.0042")),
        (0, Decimal("0.0042")),
        (1, Decimal("0.0082")),
    ]
    requests = dict(DailySpend.objects.values_list("model__name", "requests"))
    assert requests == {OPUS: 1, "claude-sonnet-5": 0}
    assert faults() == []


def test_legs_may_become_fewer(cast: Cast, spend):
    """The advisor's name comes to mean the model that asked it: one rate, one charge."""
    spend(record(usage=TWO_MODELS))
    sonnet = LanguageModel.objects.get(provider="anthropic", name="claude-sonnet-5")
    sonnet.aliases.filter(name="claude-sonnet-5").update(
        model=LanguageModel.objects.get(provider="anthropic", name=OPUS)
    )
    publish(input="4", output="20")

    carry_out(plan(cast))

    assert [c.leg for c in Charge.objects.filter(revision=1).order_by("leg")] == [-2, -1, 0]
    assert cost() == Decimal("0.0126")  # 3,000 × 4 + 30 × 20 per million
    assert faults() == []


def test_a_context_tier_moves_the_request_to_its_row(cast: Cast, spend):
    spend(record())
    publication = Publication.objects.create(
        card=RateCard.objects.get(kind="list", provider="anthropic"),
        created_by="tests",
        created_at=NOW,
    )
    Rate.objects.create(
        publication=publication,
        model=LanguageModel.objects.get(provider="anthropic", name=OPUS),
        context_tier=500,
        effective_from="2025-01-01T00:00:00Z",
        input="8",
        output="20",
        source="test",
        observed_on=NOW.date(),
    )
    rate_cards.publish(publication=publication, by="tests", now=NOW)

    carry_out(plan(cast))

    tiers = DailySpend.objects.values_list("context_tier", "requests", "input", "cost")
    assert set(tiers) == {(0, 0, 0, Decimal(0)), (500, 1, 1000, DEARER)}
    assert faults() == []


def test_the_same_price_by_another_rate_adds_nothing(cast: Cast, spend):
    spend(record())
    publish(input="4", cache_read="77")  # of which nothing was used

    rerate = carry_out(plan(cast))

    assert rerate.totals.get(executed=True, team=cast.search).changed == 0
    assert Charge.objects.count() == 1


def test_the_same_sum_by_other_unit_prices_is_another_price(cast: Cast, spend):
    spend(record())
    publish(input="4.1", output="10")  # 0.0041 + 0.0001

    carry_out(plan(cast))

    day = DailySpend.objects.get()
    assert (day.cost, day.input_cost) == (Decimal(COST), Decimal("0.0041"))
    assert faults() == []


def test_what_the_provider_does_not_bill_stays_free(cast: Cast, spend):
    spend(record(batch_result="expired", processing="batch"), record())
    publish()

    rerate = carry_out(plan(cast))

    assert rerate.totals.get(executed=True, team=cast.search).changed == 1
    assert cost() == DEARER
    assert faults() == []


def test_a_record_without_a_price_now_keeps_its_charges(cast: Cast, spend):
    spend(record())
    LanguageModel.objects.get(provider="anthropic", name=OPUS).aliases.all().delete()

    rerate = carry_out(plan(cast))

    total = rerate.totals.get(executed=True, team=cast.search)
    assert (total.records, total.changed, total.kept) == (1, 0, 1)
    assert cost() == Decimal(COST)


def test_its_scope_is_what_it_says(cast: Cast, spend):
    spend(
        record(),
        record(project="triage"),
        record(model="claude-sonnet-5"),
        record(occurred_at="2026-11-09T22:59:59Z"),  # the last second of 9 November
        record(occurred_at="2026-11-09T23:00:00Z"),  # the first of 10 November in Berlin
    )
    publish()
    publish("claude-sonnet-5", input="4", output="20")

    rerate = plan(
        cast,
        teams=[cast.search],
        models=[LanguageModel.objects.get(provider="anthropic", name=OPUS)],
        since=date(2026, 11, 10),
        until=date(2026, 11, 20),
    )

    total = rerate.totals.get()
    assert (total.team, total.records, total.changed) == (cast.search, 1, 1)


def test_it_goes_through_months_and_chunks(cast: Cast, spend, monkeypatch):
    monkeypatch.setattr(rerates, "RECORDS_AT_ONCE", 2)
    months = [f"2026-{month:02}-15T12:00:00Z" for month in (8, 9, 11) for _ in range(5)]
    spend(*(record(occurred_at=at) for at in months))
    publish()

    rerate = carry_out(plan(cast))

    total = rerate.totals.get(executed=True, team=cast.search)
    assert (total.records, total.changed) == (15, 15)
    assert cost() == 15 * DEARER
    assert faults() == []


def test_a_second_re_rate_follows_the_first(cast: Cast, spend):
    spend(record())
    publish()
    carry_out(plan(cast))
    publish(input="16")

    carry_out(plan(cast))

    assert Charge.objects.order_by("-revision").first().revision == 2
    assert cost() == Decimal("0.0162")
    assert faults() == []


def test_all_organizations_at_their_own_prices(cast: Cast, spend):
    spend(record())
    key, _ = issue(cast.outsiders)
    raws = split(body(record(project="secret")), "application/json", 1000)
    receive.receive(key=key, raws=raws, now=NOW)
    count_all()
    contract = RateCard.objects.create(
        kind="contract", name="Acme's", provider="anthropic", organization=cast.acme
    )
    publication = Publication.objects.create(
        card=contract, created_by="tests", created_at=NOW
    )
    Rate.objects.create(
        publication=publication,
        model=LanguageModel.objects.get(provider="anthropic", name=OPUS),
        effective_from="2025-01-01T00:00:00Z",
        input="1",
        output="1",
        source="test",
        observed_on=NOW.date(),
    )
    rate_cards.publish(publication=publication, by="tests", now=NOW)

    rerate = carry_out(plan(cast, organization=None))

    changed = rerate.totals.filter(executed=True, changed__gt=0)
    assert [one.team for one in changed] == [cast.search]
    assert cost() == Decimal("0.00101") + Decimal(COST)


# --- Open and closed months ---------------------------------------------------------


def test_in_an_open_month_it_is_posted_to_the_records_own_day(cast: Cast, spend):
    spend(record(occurred_at="2026-11-03T12:00:00Z"))
    publish()

    carry_out(plan(cast))

    assert DailySpend.objects.get().day == date(2026, 11, 3)


def test_for_a_closed_month_it_is_an_adjustment_of_today(cast: Cast, spend):
    spend(record(occurred_at="2026-10-31T22:30:00Z"), now=NOW.replace(day=1))
    october = list(DailySpend.objects.values())
    publish()

    carry_out(plan(cast))

    assert list(DailySpend.objects.filter(day__lt="2026-11-01").values()) == october
    today = DailySpend.objects.get(day=date(2026, 11, 22))
    assert (today.requests, today.input, today.cost) == (0, 0, DEARER - Decimal(COST))
    # The provider's hour is what it is.
    hour = HourlySpend.objects.get()
    assert (hour.hour.isoformat(), hour.cost) == ("2026-10-31T22:00:00+00:00", DEARER)
    assert faults() == []


def test_a_month_closes_three_days_after_its_end_in_the_zone(cast: Cast, spend):
    spend(record(occurred_at="2026-10-31T22:30:00Z"), now=NOW.replace(day=1))
    publish()
    last_moment = NOW.replace(day=3, hour=22, minute=59)  # 23:59 on 3 November in Berlin

    carry_out(plan(cast), now=last_moment)

    assert DailySpend.objects.get().day == date(2026, 10, 31)


def test_once_closed_a_second_re_rate_leaves_the_month_alone(cast: Cast, spend):
    spend(record(occurred_at="2026-10-31T22:30:00Z"), now=NOW.replace(day=1))
    publish()
    carry_out(plan(cast), now=NOW.replace(day=3))
    october = list(DailySpend.objects.values())
    publish(input="16")

    carry_out(plan(cast))

    assert list(DailySpend.objects.filter(day__lt="2026-11-01").values()) == october
    assert cost() == Decimal("0.0162")
    assert faults() == []


# --- Taken back ---------------------------------------------------------------------


def test_one_command_restores_everything_exactly(cast: Cast, spend):
    make_budget(cast, "1")
    spend(record(), record(usage=TWO_MODELS), record(project="triage"))
    before = money()
    publish()
    rerate = carry_out(plan(cast))
    assert money() != before

    reversal = take_back(rerate)

    rerate.refresh_from_db()
    assert (rerate.state, reversal.state) == ("reversed", "done")
    assert money() == before
    assert faults() == []


def test_its_progress_is_that_of_what_was_changed(cast: Cast, spend):
    spend(record(), record(model="claude-sonnet-5"))
    publish()
    rerate = carry_out(plan(cast))

    reversal = take_back(rerate)

    assert (rerates.expected(rerate), rerates.expected(reversal)) == (2, 1)
    assert sum(one.records for one in reversal.totals.all()) == 1


def test_what_was_re_rated_since_keeps_its_charges(cast: Cast, spend):
    spend(record(), record(project="triage"))
    publish()
    first = carry_out(plan(cast))
    publish(input="16")
    carry_out(plan(cast, teams=[cast.search]))

    reversal = take_back(first)

    kept = {one.team: (one.changed, one.kept) for one in reversal.totals.all()}
    assert kept == {cast.search: (0, 1), cast.support: (1, 0)}
    assert cost() == Decimal("0.0162") + Decimal(COST)
    assert faults() == []


def test_it_is_taken_back_once(cast: Cast, spend):
    spend(record())
    publish()
    rerate = carry_out(plan(cast))
    take_back(rerate)

    with pytest.raises(ValidationError, match="nothing to undo"):
        rerates.reverse(rerate=rerate, by="finance", now=NOW)


def test_a_re_rate_that_was_cancelled_midway_is_taken_back(cast, spend, monkeypatch):
    monkeypatch.setattr(rerates, "RECORDS_AT_ONCE", 2)
    spend(*(record() for _ in range(6)))
    before = money()
    publish()
    rerate = plan(cast)
    rerates.start(rerate=rerate, by="finance", now=NOW)
    steps(rerate, 2)
    rerates.cancel(rerate=rerate, by="finance", now=NOW)
    assert Charge.objects.count() == 6 + 2 * 4

    take_back(rerate)

    assert money() == before
    assert faults() == []


class Ended(Exception):
    """The process that was at it is no more."""


def steps(rerate: Rerate, number: int) -> None:
    """As many chunks as a process did before it ended."""
    left = iter(range(number))

    def seen(records: int) -> None:
        if records and next(left) == number - 1:
            raise Ended

    with pytest.raises(Ended):
        rerates.advance(rerate=rerate, clock=lambda: NOW, seen=seen)


# --- While it runs ------------------------------------------------------------------


def test_it_goes_on_where_it_was(cast: Cast, spend, monkeypatch):
    monkeypatch.setattr(rerates, "RECORDS_AT_ONCE", 2)
    spend(*(record() for _ in range(7)))
    publish()
    rerate = plan(cast)
    rerates.start(rerate=rerate, by="finance", now=NOW)
    steps(rerate, 1)
    steps(rerate, 1)

    rerates.advance(rerate=rerate, clock=lambda: NOW)

    total = rerate.totals.get(executed=True, team=cast.search)
    assert (total.records, total.changed) == (7, 7)
    assert cost() == 7 * DEARER
    assert faults() == []


def test_prices_that_change_meanwhile_are_everybodys(cast: Cast, spend, monkeypatch):
    monkeypatch.setattr(rerates, "RECORDS_AT_ONCE", 2)
    make_budget(cast, "1")
    spend(*(record() for _ in range(6)))
    before = money()
    publish()
    rerate = plan(cast)
    rerates.start(rerate=rerate, by="finance", now=NOW)
    steps(rerate, 2)
    publish(input="16")

    rerate = rerates.advance(rerate=rerate, clock=lambda: NOW)

    total = rerate.totals.get(executed=True, team=cast.search)
    assert cost() == total.cost == 6 * Decimal("0.0162")
    assert total.before == 6 * Decimal(COST)
    assert faults() == []
    take_back(rerate)
    assert money() == before
    assert faults() == []


def test_what_is_counted_meanwhile_is_not_charged_twice(cast, spend, monkeypatch):
    monkeypatch.setattr(rerates, "RECORDS_AT_ONCE", 2)
    spend(*(record() for _ in range(4)))
    publish()
    rerate = plan(cast)
    rerates.start(rerate=rerate, by="finance", now=NOW)
    steps(rerate, 1)
    spend(record(), record())  # at the new price already

    rerates.advance(rerate=rerate, clock=lambda: NOW)

    assert cost() == 6 * DEARER
    assert faults() == []


# --- Budgets and alerts -------------------------------------------------------------


def make_budget(cast: Cast, amount: str, **more) -> Budget:
    return budgets.create(
        organization=cast.acme,
        team=cast.search,
        period=more.pop("period", PeriodKind.MONTH),
        terms=Terms(Decimal(amount)),
        by="tests",
        now=NOW,
        **more,
    )


def test_budgets_follow_and_each_level_is_said_once(cast, spend, monkeypatch):
    monkeypatch.setattr(rerates, "RECORDS_AT_ONCE", 2)
    budget = make_budget(cast, "0.05")
    spend(*(record() for _ in range(6)))  # 0.0252: 50 %
    assert list(Alert.objects.values_list("threshold", flat=True)) == [50]
    publish()

    rerate = carry_out(plan(cast))  # 0.0492: 98 %

    assert BudgetTotal.objects.get(budget=budget).spent == 6 * DEARER
    alerts = Alert.objects.order_by("threshold")
    assert [(one.threshold, one.rerate) for one in alerts] == [(50, None), (80, rerate)]


def test_a_budget_of_a_past_period_fires_nothing(cast: Cast, spend):
    make_budget(cast, "0.005", period=PeriodKind.DAY)
    spend(record(occurred_at="2026-11-03T12:00:00Z"))
    publish()

    carry_out(plan(cast))

    assert not Alert.objects.exists()


# --- Who, when, why -----------------------------------------------------------------


def test_start_finish_and_reversal_are_audited(cast: Cast, spend):
    spend(record())
    publish()
    rerate = carry_out(plan(cast))
    reversal = take_back(rerate)

    said = AuditEvent.objects.filter(action__startswith="rerate.").order_by("pk")
    assert [(one.action, one.subject, one.actor) for one in said] == [
        ("rerate.start", str(rerate), "finance"),
        ("rerate.finish", str(rerate), "finance"),
        ("rerate.reverse", str(reversal), "finance"),
        ("rerate.finish", str(reversal), "finance"),
    ]
    first, finished, *_ = said
    assert first.after == {
        "search": {
            "records": 1,
            "changed": 1,
            "kept": 0,
            "before": "0.0042",
            "after": "0.0082",
        }
    }
    assert (first.reason, first.organization) == ("list price", "acme")
    assert finished.after == first.after


@pytest.mark.parametrize(
    "wrong",
    [
        {"since": date(2027, 1, 1)},
        {"since": date(1999, 1, 1)},
        {"until": date(2300, 1, 1)},
    ],
)
def test_a_period_without_a_day_is_refused(cast: Cast, wrong: dict):
    with pytest.raises(ValidationError):
        plan(cast, **wrong)


def test_a_team_of_another_organization_is_refused(cast: Cast):
    with pytest.raises(ValidationError, match="another organization"):
        plan(cast, teams=[cast.elsewhere])


def test_unpriced_records_are_priced_by_counting_not_by_a_re_rate(cast: Cast, spend):
    spend(record(model="claude-opus-99"))

    rerate = carry_out(plan(cast))

    assert rerate.totals.get(executed=True, team=cast.search).records == 0
    assert parked.teams_with_unpriced() == [cast.search.pk]


# --- What an alert says of it -------------------------------------------------------


def test_an_alert_and_its_delivery_name_the_re_rate(cast: Cast, spend):
    make_budget(cast, "0.01")
    Channel.objects.create(
        organization=cast.acme, kind="email", target="a@example.com", created_at=NOW
    )
    spend(record())
    publish()

    rerate = carry_out(plan(cast))  # 0.0042 → 0.0082 of 0.01

    alert = Alert.objects.get(threshold=80)
    assert alert.deliveries.count() == 1
    cause = json.loads(alert_messages.payload(alert))["data"]["cause"]
    assert cause == {"kind": "rerate", "id": str(rerate.pk), "reason": "list price"}
    message = mail.letter(alert.deliveries.get()).message(None, None)
    assert f"other prices: re-rate {rerate.pk} (list price)." in message.body


def test_an_alert_of_other_spend_names_none(cast: Cast, spend):
    make_budget(cast, "0.01")
    spend(record())
    publish()
    carry_out(plan(cast, teams=[cast.support]))

    spend(record())

    assert {alert.rerate for alert in Alert.objects.all()} == {None}


# --- The command --------------------------------------------------------------------


def command(*arguments: str, typed: str = "") -> str:
    out = StringIO()
    with mock_stdin(typed):
        call_command("rerate", *arguments, stdout=out)
    return out.getvalue()


@contextmanager
def mock_stdin(typed: str) -> Iterator[None]:
    before, sys.stdin = sys.stdin, StringIO(typed)
    yield
    sys.stdin = before


WHEN = ("--from", "2026-11-01", "--until", "2026-12-01", "--reason", "list price")


def test_the_command_shows_the_dry_run_asks_and_re_rates(cast: Cast, spend):
    spend(record())
    publish()

    said = command("--organization", "acme", *WHEN, "--by", "alice", typed="y\n")

    assert cost() == DEARER
    rerate = Rerate.objects.get()
    assert (rerate.created_by, rerate.started_by) == ("alice", "alice")
    assert said.count("0.0042  0.0082") == 2  # as found, and as executed
    assert f"re-rate {rerate.pk} is done." in said


@pytest.mark.parametrize("typed", ["n\n", "\n", ""])
def test_without_a_yes_nothing_is_changed(cast: Cast, spend, typed: str):
    spend(record())
    publish()

    command("--organization", "acme", *WHEN, typed=typed)

    assert cost() == Decimal(COST)
    assert Rerate.objects.get().state == "ready"


def test_a_dry_run_is_started_later_and_reversed_by_one_command(cast: Cast, spend):
    spend(record())
    publish()
    said = command("--organization", "all", *WHEN, "--dry-run")
    number = str(Rerate.objects.get().pk)
    assert f"--resume {number} starts it" in said
    assert cost() == Decimal(COST)

    command("--resume", number, "--yes")
    assert cost() == DEARER
    command("--reverse", number, "--yes", "--by", "alice")

    assert cost() == Decimal(COST)
    assert AuditEvent.objects.filter(action="rerate.reverse", actor="alice").exists()
    assert faults() == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--organization", "nobody", *WHEN], "no organization 'nobody'"),
        (["--organization", "acme", "--team", "elsewhere", *WHEN], "no team 'elsewhere'"),
        (["--organization", "acme", "--model", "gpt", *WHEN], "no model 'gpt'"),
        (["--organization", "all", "--team", "search", *WHEN], "Name the organization"),
        (["--organization", "acme", "--yes"], "Say --from"),
        (["--resume", "99"], "no re-rate 99"),
        (["--reverse", "99"], "no re-rate 99"),
    ],
)
def test_the_command_says_what_is_wrong(cast: Cast, arguments: list[str], said: str):
    with pytest.raises(CommandError, match=said):
        command(*arguments)


# --- The verifier -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("damage", "found_by"),
    [
        (
            "DELETE FROM billing_charge WHERE revision = 1 AND leg = -1",
            "each pricing takes back the one before",
        ),
        (
            "UPDATE billing_charge SET cost = cost - 1 WHERE leg = -1",
            "each pricing takes back the one before",
        ),
        (
            "UPDATE billing_charge SET rate_id = NULL, cost = 0 WHERE leg = -1",
            "each pricing takes back the one before",
        ),
        (
            "UPDATE billing_reratetotal SET difference = difference + 1 WHERE executed",
            "a re-rate added what it says",
        ),
        ("UPDATE billing_charge SET leg = 1 WHERE leg = -1", "daily rollups = Σ charges"),
        (
            "UPDATE billing_charge SET input = 0 WHERE revision = 1 AND leg = 0",
            "Σ charges of a record = its usage",
        ),
    ],
)
def test_the_verifier_finds_damage_done_to_a_re_rate(cast, spend, damage, found_by):
    spend(record())
    publish()
    carry_out(plan(cast))
    with connection.cursor() as cursor:
        cursor.execute(f"{damage} /*fanout*/")

    assert found_by in {check.name for check in faults()}


def test_a_session_is_re_rated_to_the_last_place(cast: Cast, spend):
    """An hour's price, divided by its milliseconds and rounded once for each record."""
    publish(session="0.08")
    spend(*(record() for _ in range(3)))
    with connection.cursor() as cursor:
        for table in ("billing_usage_record", "billing_charge"):
            cursor.execute(f"UPDATE {table} SET session = 12345 /*fanout*/")
        cursor.execute(
            "UPDATE billing_charge SET cost = cost + 0.000274333333333 /*fanout*/"
        )
        for table in ("billing_daily_spend", "billing_hourly_spend"):
            cursor.execute(
                f"UPDATE {table} SET session = 3 * 12345, cost = cost + "
                "3 * 0.000274333333333, session_cost = 3 * 0.000274333333333 /*fanout*/"
            )
    assert faults() == []
    publish(session="0.07")

    carry_out(plan(cast))

    # 12,345 ms × 0.07 ÷ 3,600,000 = 0.000240041666666…7
    session = DailySpend.objects.values_list("session_cost", flat=True)
    assert sum(session, Decimal()) == 3 * Decimal("0.000240041666667")
    assert faults() == []
