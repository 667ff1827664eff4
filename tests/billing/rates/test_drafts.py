"""Drafts: what is put on them, what is refused, and what publishing makes of them."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.core.exceptions import ValidationError
from django.db import connection, transaction

from billing.actions import drafts, rate_cards
from billing.models import LanguageModel, Publication, Rate, rate_book
from billing.pricing import engine
from billing.pricing.token_classes import Quantities
from billing.pricing.usage import Step, Usage
from teams.models import AuditEvent
from tests.billing.rates.conftest import (
    ROOT,
    draft,
    listed,
    model,
    published,
    terms,
)
from tests.builders import record
from tests.conftest import NOW, Cast

pytestmark = pytest.mark.django_db

LATER = NOW + timedelta(days=9)


def cost_at(cast: Cast, at: datetime, name: str = "claude-opus-5-5") -> Decimal | None:
    """Of a million tokens of input, for Acme."""
    usage = Usage(
        provider="anthropic",
        model=name,
        occurred_at=at,
        steps=(Step(name, Quantities(input=1_000)),),
    )
    priced = engine.price(usage, rate_book.current(cast.acme.pk).rates)
    if isinstance(priced, engine.Unpriced):
        return None
    return Decimal(priced.cost) / 10**12


def test_a_draft_prices_nothing(cast: Cast):
    draft(terms(NOW))

    assert cost_at(cast, NOW) == 4


def test_what_is_published_prices_from_its_start_on(cast: Cast):
    published(terms(LATER))

    assert cost_at(cast, LATER - timedelta(microseconds=1)) == 4
    assert cost_at(cast, LATER) == 8


def test_a_scheduled_rate_changes_the_price_at_its_instant(cast: Cast, send):
    """Records of both sides of the instant, posted after it."""
    start = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
    published(terms(start))

    before, at = (start - timedelta(microseconds=1)).isoformat(), start.isoformat()
    send(record(id="msg_before", occurred_at=before), record(id="msg_at", occurred_at=at))

    with connection.cursor() as cursor:
        cursor.execute("SELECT cost FROM billing_charge ORDER BY occurred_at")
        assert cursor.fetchall() == [(Decimal("0.0042"),), (Decimal("0.0084"),)]


def test_a_stop_ends_a_rate(cast: Cast):
    published(terms(LATER, prices={}))

    assert cost_at(cast, LATER - timedelta(seconds=1)) == 4
    assert cost_at(cast, LATER) is None


def test_a_stopped_contract_falls_back_to_the_list(cast: Cast, contract):
    published(terms(NOW, prices={"input": "3", "output": "15"}), card=contract)
    published(terms(LATER, prices={}), card=contract)

    assert cost_at(cast, NOW) == 3
    assert cost_at(cast, LATER) == 4


def test_a_rate_takes_the_place_of_the_one_with_its_conditions():
    publication = draft(terms(NOW))

    drafts.set_rate(
        publication=publication, terms=terms(NOW, prices={"input": "9"}), **ROOT
    )

    (rate,) = publication.rates.all()
    assert (rate.input, rate.output) == (Decimal(9), None)


def test_a_rate_is_moved_to_another_start():
    publication = draft(terms(NOW))

    drafts.set_rate(
        publication=publication,
        rate=publication.rates.get(),
        terms=terms(LATER),
        **ROOT,
    )

    assert [rate.effective_from for rate in publication.rates.all()] == [LATER]


def test_a_rate_is_taken_off():
    publication = draft(terms(NOW), terms(LATER))

    drafts.remove_rate(rate=publication.rates.get(effective_from=NOW), **ROOT)

    assert [rate.effective_from for rate in publication.rates.all()] == [LATER]


def test_rates_of_a_model_are_copied_as_they_stand():
    publication = draft()

    copied = drafts.copy(
        publication=publication, models=[model("claude-haiku-5-5")], at=LATER, **ROOT
    )

    standard = [
        one for one in copied if one.processing == "standard" and one.geo == "global"
    ]
    assert {one.context_tier: one.input for one in standard} == {
        0: Decimal("0.1"),
        100_000: Decimal("0.5"),
    }
    assert {one.effective_from for one in copied} == {LATER}
    assert all(one.model.name == "claude-haiku-5-5" for one in copied)


def test_zeros_at_the_end_are_no_further_places():
    (rate,) = draft(terms(NOW, prices={"input": "6.0000000000000"})).rates.all()

    assert rate.input == 6


# --- What is refused ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("prices", "said"),
    [
        # Per token: 4 dollars per million are 0.000004.
        ({"input": "0.000004"}, "input 0.000004 per 1,000,000"),
        # Per thousand.
        ({"input": "0.004"}, "1,000 times or more away from 4"),
        ({"output": "20000"}, "1,000 times or more away from 20"),
        ({"input": "0"}, "1,000 times or more away from 4"),
        # Per search instead of per thousand.
        ({"web_search": "0.01"}, "web_search 0.01 per 1,000"),
    ],
)
def test_a_slip_in_the_unit_is_refused(prices: dict[str, str], said: str):
    publication = draft()

    with pytest.raises(ValidationError, match=said):
        drafts.set_rate(publication=publication, terms=terms(NOW, prices=prices), **ROOT)

    assert not publication.rates.exists()


@pytest.mark.parametrize("price", ["0.0041", "3999"])
def test_less_than_a_thousand_times_is_a_price(price: str):
    assert draft(terms(NOW, prices={"input": price})).rates.exists()


def test_a_model_without_prices_is_held_against_sane_ones():
    LanguageModel.objects.create(
        provider="anthropic", name="claude-new", display_name="New", family="New"
    )

    for price in ("0.00001", "15000"):
        with pytest.raises(ValidationError, match=r"lies outside of 0\.0005 to 10000"):
            draft(terms(NOW, name="claude-new", prices={"output": price}))
    assert draft(terms(NOW, name="claude-new", prices={"input": "0", "output": "600"}))


def test_a_price_out_of_bounds_is_confirmed_with_a_reason():
    stated = terms(NOW, prices={"input": "0.004"}, confirmation="A gift of the provider.")

    publication = published(stated)

    assert publication.state == Publication.State.PUBLISHED
    said = AuditEvent.objects.get(
        action="rate_draft.set", subject__startswith=f"publication {publication.pk} "
    )
    assert said.after["rates"][0]["confirmation"] == "A gift of the provider."


def test_what_came_onto_a_draft_unchecked_is_not_published():
    publication = draft(terms(NOW))
    publication.rates.update(output=Decimal("0.00002"))

    with pytest.raises(ValidationError, match=r"output 0\.00002"):
        rate_cards.publish(publication=publication, **ROOT)

    publication.refresh_from_db()
    assert publication.state == Publication.State.DRAFT


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"prices": {"input": "-1"}}, "greater than or equal to 0"),
        ({"prices": {"input": "NaN"}}, "number"),
        ({"prices": {"input": "0.0000000001"}}, "decimal places"),
        ({"source": ""}, "blank"),
        ({"processing": "overnight"}, "not a valid choice"),
    ],
)
def test_a_rate_that_cannot_be_is_refused(changes: dict, said: str):
    with pytest.raises(ValidationError, match=said):
        draft(terms(NOW, **changes))


def test_an_empty_draft_is_not_published():
    with pytest.raises(ValidationError, match="no rate on this draft"):
        rate_cards.publish(publication=draft(), **ROOT)


def test_a_published_publication_is_no_draft():
    publication = published(terms(NOW))

    for change in (
        lambda: drafts.set_rate(publication=publication, terms=terms(LATER), **ROOT),
        lambda: drafts.remove_rate(rate=publication.rates.get(), **ROOT),
        lambda: drafts.describe(publication=publication, note="Never mind", **ROOT),
        lambda: drafts.discard(publication=publication, **ROOT),
        lambda: rate_cards.publish(publication=publication, **ROOT),
    ):
        with pytest.raises(ValidationError, match="it is no draft"):
            change()


# --- Published rates stay, whatever SQL is sent --------------------------------------


@pytest.mark.usefixtures("as_app")
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE billing_rate SET input = 1 WHERE publication_id = %s",
        "UPDATE billing_rate SET effective_from = now() WHERE publication_id = %s",
        "DELETE FROM billing_rate WHERE publication_id = %s",
        "DELETE FROM billing_publication WHERE id = %s",
    ],
)
def test_sql_of_the_services_passes_over_published_rates(statement: str):
    publication = published(terms(NOW))
    before = list(Rate.objects.filter(publication=publication).values())

    with connection.cursor() as cursor:
        cursor.execute(statement, [publication.pk])
        assert cursor.rowcount == 0

    assert list(Rate.objects.filter(publication=publication).values()) == before


@pytest.mark.usefixtures("as_app")
@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO billing_rate SELECT r.* FROM billing_rate r WHERE publication_id = %s",
        "UPDATE billing_publication SET state = 'draft' WHERE id = %s",
        "UPDATE billing_publication SET published_at = now() WHERE id = %s",
        "UPDATE billing_publication SET card_id = card_id WHERE id = %s",
    ],
)
def test_sql_of_the_services_is_refused_on_publications(statement: str):
    publication = published(terms(NOW))

    with (
        pytest.raises(Exception, match=r"row-level security|permission denied"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement, [publication.pk])


@pytest.mark.usefixtures("as_app")
def test_the_services_may_do_all_that_the_actions_do():
    scheduled = published(terms(LATER))
    rate_cards.withdraw(publication=scheduled, **ROOT)
    drafts.discard(publication=draft(terms(NOW)), **ROOT)
    publication = draft(terms(NOW))
    drafts.describe(publication=publication, note="Because", **ROOT)
    drafts.remove_rate(rate=publication.rates.get(), **ROOT)

    scheduled.refresh_from_db()
    assert scheduled.state == Publication.State.WITHDRAWN


# --- Withdrawing ---------------------------------------------------------------------


def test_a_scheduled_publication_is_withdrawn_and_never_prices(cast: Cast):
    publication = published(terms(LATER))

    rate_cards.withdraw(publication=publication, reason="It was cancelled.", **ROOT)

    assert cost_at(cast, LATER) == 4
    publication.refresh_from_db()
    assert (publication.withdrawn_by, publication.withdrawn_at) == ("root", NOW)
    assert AuditEvent.objects.get(action="rate_card.withdraw").reason == "It was cancelled."


@pytest.mark.parametrize(
    "start", [NOW - timedelta(days=1), NOW, NOW + timedelta(minutes=10)]
)
def test_what_has_started_or_may_have_priced_is_not_withdrawn(start: datetime):
    publication = published(terms(LATER), terms(start, geo="us"))

    with pytest.raises(ValidationError, match="Its first rate starts"):
        rate_cards.withdraw(publication=publication, **ROOT)


def test_a_draft_is_not_withdrawn():
    with pytest.raises(ValidationError, match="only a published one"):
        rate_cards.withdraw(publication=draft(terms(LATER)), **ROOT)


def test_one_withdrawn_and_another_published_is_another_book(cast: Cast):
    """The number of published ones and the latest of them are the same before and after."""
    late = draft(terms(LATER, prices={"input": "7"}))
    scheduled = published(terms(LATER))
    last = published(terms(LATER, name="claude-haiku-4-5", prices={"input": "2"}))
    assert scheduled.pk < last.pk
    assert cost_at(cast, LATER) == 8

    rate_cards.withdraw(publication=scheduled, **ROOT)
    rate_cards.publish(publication=late, **ROOT)

    assert cost_at(cast, LATER) == 7


# --- A publication alone changes nothing that is counted --------------------------------

LEDGER = (
    "billing_usage_record",
    "billing_charge",
    "billing_posting",
    "billing_daily_spend",
    "billing_hourly_spend",
    "billing_budget_total",
    "billing_unpriced_record",
    "billing_quarantined_record",
)


def ledger() -> dict[str, list[str]]:
    """Every row of the ledger as PostgreSQL writes it."""
    rows = {}
    with connection.cursor() as cursor:
        for table in LEDGER:
            cursor.execute(f"SELECT t::text FROM {table} t ORDER BY 1")
            rows[table] = [text for (text,) in cursor.fetchall()]
    return rows


def test_a_publication_alone_never_changes_any_total(cast: Cast, send, contract):
    week = [NOW - timedelta(days=days, hours=1) for days in range(8)]
    send(*(record(occurred_at=at.isoformat()) for at in week), record(model="claude-none"))
    before = ledger()
    assert len(before["billing_charge"]) == 8

    published(terms(NOW - timedelta(days=30)))
    published(terms(NOW - timedelta(days=30), prices={"input": "1"}), card=contract)
    rate_cards.withdraw(publication=published(terms(LATER)), **ROOT)
    published(terms(NOW - timedelta(days=3), prices={}))

    assert ledger() == before


def test_every_step_is_in_the_history():
    publication = draft(terms(NOW))
    drafts.describe(publication=publication, note="Prices of the winter.", **ROOT)
    drafts.remove_rate(rate=publication.rates.get(), **ROOT)
    drafts.set_rate(publication=publication, terms=terms(LATER), **ROOT)
    rate_cards.publish(publication=publication, **ROOT)
    rate_cards.withdraw(publication=publication, reason="Cancelled.", **ROOT)

    events = AuditEvent.objects.filter(actor="root").order_by("pk")
    assert [event.action for event in events] == [
        "rate_draft.start",
        "rate_draft.set",
        "rate_draft.describe",
        "rate_draft.remove",
        "rate_draft.set",
        "rate_card.publish",
        "rate_card.withdraw",
    ]
    assert events[1].after["rates"][0]["prices"] == {"input": "8", "output": "40"}
    assert events[3].before["rates"][0]["model"] == "anthropic/claude-opus-5-5"
    assert events[5].reason == "Prices of the winter."
    assert listed().name in events[5].subject
