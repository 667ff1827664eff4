"""Budgets of a part of what their scope spends, in any window: what counts, and when."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction

from billing.actions import (
    alerts,
    budgets,
    post,
    receive,
    rollups,
    voids,
)
from billing.actions.budgets import Limits, Terms
from billing.formats.body import split
from billing.models import (
    Alert,
    Budget,
    BudgetTotal,
    LanguageModel,
    TaggedSpend,
    UsageRecord,
)
from billing.pricing.budget_periods import Period, PeriodKind
from billing.reports import budgets as reports
from billing.reports import spend, verification
from teams import isolation
from teams.models import AuditEvent
from tests.builders import COST, body, record
from tests.conftest import NOW, Cast, issue

MONTH = date(2026, 11, 1)
OPUS, HAIKU = "claude-opus-5-5", "claude-haiku-4-5"


def model_id(name: str) -> int:
    return LanguageModel.objects.get(provider="anthropic", name=name).pk


def make(cast: Cast, amount: str = "1", **more: Any) -> Budget:
    terms = {name: more.pop(name) for name in ("expires_on", "hard") if name in more}
    return budgets.create(
        organization=cast.acme,
        team=more.pop("team", cast.search),
        period=more.pop("period", PeriodKind.MONTH),
        terms=Terms(Decimal(amount), thresholds=(), **terms),
        limits=Limits(
            **{
                name: more.pop(name)
                for name in ("model_ids", "processing", "tag_key", "tag_values")
                if name in more
            }
        ),
        by="tests",
        now=more.pop("now", NOW),
        **more,
    )


@pytest.fixture
def count(cast: Cast):
    """Post records and count them."""
    key, _ = issue(cast.acme)

    def post_and_count(*records: dict[str, Any], now: datetime = NOW) -> None:
        raws = split(body(*records), "application/json", 1000)
        receive.receive(key=key, raws=raws, now=now)
        for team_id in post.batches_waiting():
            post.count(team_id=team_id, now=now)

    return post_and_count


def total(budget: Budget) -> Decimal:
    kept = BudgetTotal.objects.filter(budget=budget).values_list("spent", flat=True)
    return sum(kept, Decimal())


def differing() -> list[verification.Check]:
    return [check for check in verification.checks() if not check.ok]


# --- What counts --------------------------------------------------------------------


def test_a_budget_counts_only_the_models_it_is_limited_to(cast: Cast, count):
    budget = make(cast, model_ids=(model_id(OPUS),))

    count(record(), record(model=HAIKU))

    assert total(budget) == Decimal(COST)


def test_a_budget_counts_only_the_processing_it_is_limited_to(cast: Cast, count):
    batch, other = make(cast, processing=("batch",)), make(cast, processing=("flex",))

    count(record(), record(processing="batch"))

    assert total(batch) == Decimal(COST) / 2
    assert total(other) == 0


@pytest.mark.parametrize(
    ("tags", "counts"),
    [
        ({"env": "prod"}, True),
        ({"env": "staging", "request": "17"}, True),
        ({"env": "dev"}, False),
        ({"environment": "prod"}, False),
        ({}, False),
    ],
)
def test_a_budget_counts_records_with_one_of_its_tags_values(cast, count, tags, counts):
    budget = make(cast, tag_key="env", tag_values=("prod", "staging"))

    count(record(tags=tags))

    assert total(budget) == (Decimal(COST) if counts else 0)
    assert TaggedSpend.objects.exists() == counts


def test_limits_hold_together(cast: Cast, count):
    limits = {
        "model_ids": (model_id(OPUS),),
        "processing": ("batch",),
        "tag_key": "env",
        "tag_values": ("prod",),
    }
    budget = make(cast, **limits)
    prod = {"env": "prod"}

    count(
        record(processing="batch", tags=prod),
        record(processing="batch", tags=prod, model=HAIKU),
        record(processing="batch"),
        record(tags=prod),
    )

    assert total(budget) == Decimal(COST) / 2
    assert budget.scope == "team search, batch only, claude-opus-5-5, tag env=prod"


def test_a_budget_of_a_tag_made_in_the_middle_starts_with_what_is_spent(cast, count):
    count(record(tags={"env": "prod"}), record())

    budget = make(cast, COST, tag_key="env", tag_values=("prod",))

    assert total(budget) == Decimal(COST)
    assert Alert.objects.get(budget=budget).kind == "cap_reached"


def test_void_and_corrected_records_leave_a_budget_of_a_tag(cast: Cast, count):
    budget = make(cast, tag_key="env", tag_values=("prod",))
    old = record(tags={"env": "prod"})
    count(old, record(id="msg_void", tags={"env": "prod"}))

    count(record(corrects=old["id"], tags={"env": "dev"}))
    uid = UsageRecord.objects.get(record_id="msg_void").uid
    voids.void(team=cast.search, uids=[uid], reason="r", by="tests", now=NOW)
    post.count(team_id=cast.search.pk, now=NOW)

    assert total(budget) == 0
    assert differing() == []


def test_what_was_damaged_is_derived_again(cast: Cast, count):
    budget = make(cast, tag_key="env", tag_values=("prod",))
    count(record(tags={"env": "prod"}))
    with isolation.visible_teams([cast.search.pk]):
        damaged = TaggedSpend.objects.filter(team=cast.search)
        damaged.update(cost=7, day=date(2026, 11, 3))

    rollups.rebuild(team=cast.search, by="tests", now=NOW)

    assert total(budget) == Decimal(COST)
    assert differing() == []


def test_teams_without_such_a_budget_do_not_have_their_tags_read(cast: Cast, count):
    make(cast)
    make(cast, team=cast.support, tag_key="env", tag_values=("prod",))
    statements: list[str] = []

    def note(execute, sql, params, many, context):
        statements.append(sql)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        count(record(tags={"env": "prod"}))

    assert [sql for sql in statements if "billing_budget_total" in sql]
    assert not [sql for sql in statements if "u.tags" in sql or "tagged" in sql]


# --- Whether it covers --------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "changes", "covered"),
    [
        ({}, {}, True),
        ({}, {"model_id": None, "tags": None}, True),
        ({"model_ids": [3, 4]}, {}, True),
        ({"model_ids": [4]}, {}, False),
        ({"model_ids": [4]}, {"model_id": None}, True),  # it may be that one
        ({"processing": ["batch"]}, {}, False),
        ({"processing": ["batch", "standard"]}, {}, True),
        ({"tag_key": "env", "tag_values": ["prod"]}, {}, True),
        ({"tag_key": "env", "tag_values": ["dev"]}, {}, False),
        ({"tag_key": "env", "tag_values": ["prod"]}, {"tags": {}}, False),
        ({"tag_key": "env", "tag_values": ["prod"]}, {"tags": None}, False),
        ({"project_id": 8}, {}, False),
    ],
)
def test_what_a_budget_covers(limits, changes, covered):
    used = {"project_id": 7, "model_id": 3, "processing": "standard"}
    used |= {"tags": {"env": "prod"}} | changes

    assert Budget(**limits).covers(**used) == covered


def test_records_without_a_price_are_beside_the_budgets_they_might_count_against(
    cast: Cast, count
):
    whole = make(cast)
    opus = make(cast, model_ids=(model_id(OPUS),))
    batch = make(cast, processing=("batch",))
    prod = make(cast, tag_key="env", tag_values=("prod",))

    count(record(model="claude-unheard-of", tags={"env": "dev"}))

    statuses = reports.statuses([whole, opus, batch, prod], now=NOW)
    assert [status.exposure.records for status in statuses] == [1, 1, 0, 0]


def test_days_of_a_limited_budget_add_up_to_its_total(cast: Cast, count):
    made = [
        make(cast),
        make(cast, model_ids=(model_id(OPUS),)),
        make(cast, tag_key="env", tag_values=("prod",)),
    ]
    for day in (3, 3, 9):
        moment = f"2026-11-{day:02}T10:00:00Z"
        count(record(occurred_at=moment, tags={"env": "prod"}))
        count(record(occurred_at=moment, model=HAIKU))

    for budget in Budget.objects.with_scope().order_by("pk"):
        days = spend.of_budget(budget, since=MONTH, until=date(2026, 12, 1))
        assert sum(days.values()) == total(budget) > 0
        assert list(days) == [date(2026, 11, 3), date(2026, 11, 9)]
    assert len(made) == 3


# --- Windows ------------------------------------------------------------------------


def test_a_custom_period_counts_what_lies_in_it(cast: Cast, count):
    budget = make(
        cast, COST, period=PeriodKind.CUSTOM, custom=Period(date(2026, 11, 3), NOW.date())
    )

    for day in (2, 3, 21, 22):
        count(record(occurred_at=f"2026-11-{day:02}T10:00:00Z"))

    assert total(budget) == 2 * Decimal(COST)
    assert not Alert.objects.exists()  # it was over when this was counted
    assert differing() == []


def test_a_custom_period_raises_while_it_runs(cast: Cast, count):
    its = Period(date(2026, 11, 3), date(2026, 11, 23))
    budget = make(cast, COST, period=PeriodKind.CUSTOM, custom=its)

    count(record())

    assert Alert.objects.get(budget=budget).period_start == its.first


@pytest.mark.parametrize(
    ("made", "first", "until"),
    [
        (
            {"period": PeriodKind.WEEK, "week_starts_on": 3},
            date(2026, 11, 19),
            date(2026, 11, 26),
        ),
        (
            {"period": PeriodKind.QUARTER, "fiscal_starts_in": 2},
            date(2026, 11, 1),
            date(2027, 2, 1),
        ),
        (
            {"period": PeriodKind.YEAR, "fiscal_starts_in": 12},
            date(2025, 12, 1),
            date(2026, 12, 1),
        ),
    ],
)
def test_weeks_and_fiscal_years_begin_where_they_are_said_to(
    cast: Cast, count, made, first, until
):
    budget = make(cast, **made)

    count(record())

    assert BudgetTotal.objects.get(budget=budget).period_start == first
    (status,) = reports.statuses([budget], now=NOW)
    assert (status.period, status.spent) == (Period(first, until), Decimal(COST))
    assert differing() == []


NONSENSE = [
    ({"period": PeriodKind.CUSTOM}, "its first day"),
    (
        {"period": PeriodKind.CUSTOM, "custom": Period(NOW.date(), NOW.date())},
        "ends after",
    ),
    ({"custom": Period(MONTH, NOW.date())}, "Only a custom period"),
    ({"period": PeriodKind.WEEK, "fiscal_starts_in": 4}, "Only quarters and years"),
    ({"fiscal_starts_in": 4}, "Only quarters and years"),
    ({"period": PeriodKind.YEAR, "fiscal_starts_in": 13}, "less than or equal to 12"),
    ({"period": PeriodKind.WEEK, "week_starts_on": 7}, "not a valid choice"),
    ({"week_starts_on": 6}, "Only a week"),
    (
        {
            "period": PeriodKind.CUSTOM,
            "custom": Period(date(2026, 1, 1), date(2031, 1, 7)),
        },
        "up to five years",
    ),
    ({"tag_key": "env"}, "which values"),
    ({"tag_values": ("prod",)}, "which tag"),
    ({"processing": ("overnight",)}, "not a valid choice"),
    ({"model_ids": (0,)}, "no such model"),
    ({"expires_on": NOW.date()}, "from the beginning"),
]


@pytest.mark.parametrize(("said", "sentence"), NONSENSE)
def test_nonsense_is_refused_in_a_sentence(cast: Cast, said, sentence):
    with pytest.raises(ValidationError, match=sentence):
        make(cast, **said)


@pytest.mark.parametrize(
    "columns",
    [
        {"period": "custom"},
        {"period": "custom", "custom_first": MONTH},
        {"period": "custom", "custom_first": MONTH, "custom_until": MONTH},
        {"custom_first": MONTH, "custom_until": NOW.date()},
        {"period": "week", "fiscal_starts_in": 2},
        {"period": "year", "fiscal_starts_in": 13},
        {"period": "year", "fiscal_starts_in": 0},
        {"period": "week", "week_starts_on": 7},
        {"week_starts_on": 1},
        {"tag_key": "env"},
        {"tag_values": ["prod"]},
    ],
)
def test_the_table_takes_no_nonsense(cast: Cast, columns):
    budget = make(cast)

    with pytest.raises(IntegrityError), transaction.atomic():
        Budget.objects.filter(pk=budget.pk).update(**columns)


# --- Expiry -------------------------------------------------------------------------


def test_an_expired_budget_raises_nothing_and_goes_on_counting(cast: Cast, count):
    budget = make(cast, COST, expires_on=date(2026, 11, 25))
    later = NOW + timedelta(days=3)

    count(record(), now=later)
    alerts.evaluate(budget, now=later)

    assert total(budget) == Decimal(COST)
    assert not Alert.objects.exists()
    (status,) = reports.statuses([budget], now=later)
    assert status.state == "expired"


def test_on_the_day_before_it_expires_a_budget_still_raises(cast: Cast, count):
    make(cast, COST, expires_on=date(2026, 11, 23))

    count(record(), now=NOW)

    assert Alert.objects.count() == 1


def test_a_budget_that_expired_goes_on_when_the_day_is_moved(cast: Cast, count):
    budget = make(cast, COST, expires_on=date(2026, 11, 25))
    later = NOW + timedelta(days=3)
    count(record(), now=later)

    terms = Terms(Decimal(COST), thresholds=(), expires_on=None)
    budgets.change(budget=budget, terms=terms, by="x", now=later)

    assert Alert.objects.get().kind == "cap_reached"
    event = AuditEvent.objects.get(action="budget.change")
    assert event.before["expires_on"] == "2026-11-25"
    assert event.after["expires_on"] is None


def test_a_day_in_the_past_is_refused(cast: Cast):
    budget = make(cast)

    terms = Terms(Decimal(1), thresholds=(), expires_on=date(2026, 11, 21))
    with pytest.raises(ValidationError, match="in the past"):
        budgets.change(budget=budget, terms=terms, by="x", now=NOW)


def test_other_terms_do_not_ask_when_it_expired(cast: Cast):
    budget = make(cast, expires_on=date(2026, 11, 25))
    terms = Terms(Decimal(2), thresholds=(), expires_on=date(2026, 11, 25))

    changed = budgets.change(
        budget=budget, terms=terms, by="x", now=NOW + timedelta(days=9)
    )

    assert changed.amount == 2
