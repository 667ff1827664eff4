"""Proposals: what the price data says and the list card does not, each once."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.management import call_command

from billing import tasks
from billing.actions import drafts, proposals, rate_cards
from billing.connectors import list_prices
from billing.connectors.list_prices import ProposedRate
from billing.models import Alias, Proposal, Publication, Rate
from billing.pricing.token_classes import TokenClass
from teams.models import AuditEvent
from tests.billing.rates.conftest import ROOT, draft, listed, model, published, terms
from tests.conftest import NOW

pytestmark = pytest.mark.django_db

START = datetime(2027, 1, 1, tzinfo=UTC)


def stated(input_price: str | None = "5", start: datetime = START, **changes: Any):
    """All that the data states today, and one more rate of Claude Opus 5.5."""
    prices = {} if input_price is None else {TokenClass.INPUT: Decimal(input_price)}
    more = ProposedRate(
        provider="anthropic",
        model="claude-opus-5-5",
        processing="standard",
        speed="standard",
        geo="global",
        endpoint="global",
        above=0,
        effective_from=start,
        prices=prices,
        stop=input_price is None,
        source="genai-prices 9.9",
        observed=date(2026, 11, 22),
    )
    return [*list_prices.list_rates("anthropic"), replace(more, **changes)]


def compare(rates: list[ProposedRate]) -> proposals.Found:
    return proposals.compare(card=listed(), rates=rates, now=NOW)


def open_ones() -> list[Proposal]:
    return list(Proposal.objects.filter(state="open").order_by("pk"))


def test_the_bundled_prices_propose_nothing():
    assert proposals.propose(now=NOW) == (0, 0, 0)
    assert not Proposal.objects.exists()


def test_a_rate_that_the_card_lacks_is_proposed_with_source_and_date():
    assert compare(stated()).opened == 1

    (proposal,) = open_ones()
    assert (proposal.model_name, proposal.effective_from) == ("claude-opus-5-5", START)
    assert proposal.prices == {"input": "5"}
    assert (proposal.source, proposal.observed_on) == (
        "genai-prices 9.9",
        date(2026, 11, 22),
    )
    assert not Rate.objects.filter(publication__state="draft").exists()


def test_twice_is_once():
    compare(stated())

    assert compare(stated()) == (0, 0, 0)
    assert len(open_ones()) == 1


def test_another_price_changes_the_open_proposal():
    compare(stated("5"))

    assert compare(stated("6")) == (0, 1, 0)
    assert [one.prices for one in open_ones()] == [{"input": "6"}]


def test_what_the_source_takes_back_lapses():
    compare(stated())

    assert compare(list_prices.list_rates("anthropic")) == (0, 0, 1)
    assert Proposal.objects.get().state == "lapsed"
    assert compare(stated()).opened == 1


def test_what_somebody_published_meanwhile_lapses():
    compare(stated())
    published(terms(START, prices={"input": "5"}))

    assert compare(stated()) == (0, 0, 1)


def test_the_end_of_an_offer_is_proposed():
    compare(stated(None))

    (proposal,) = open_ones()
    assert (proposal.stop, proposal.prices) == (True, {})


def test_a_rate_of_the_card_alone_is_held_against_the_source():
    """At its start the source says something else."""
    published(terms(START, prices={"input": "9"}))

    compare(list_prices.list_rates("anthropic"))

    (proposal,) = open_ones()
    assert proposal.effective_from == START
    assert proposal.prices["input"] == "4"


def test_a_dismissed_price_stays_dismissed_until_it_changes():
    compare(stated("5"))
    proposals.dismiss(proposals=open_ones(), reason="Not ours.", **ROOT)

    assert compare(stated("5")) == (0, 0, 0)
    assert compare(stated("6")) == (1, 0, 0)
    assert [one.prices for one in open_ones()] == [{"input": "6"}]
    assert AuditEvent.objects.get(action="proposal.dismiss").reason == "Not ours."


def test_a_dismissal_needs_a_reason():
    compare(stated())

    with pytest.raises(ValidationError, match="Say why"):
        proposals.dismiss(proposals=open_ones(), reason=" ", **ROOT)


def test_an_accepted_one_is_on_a_draft_and_prices_when_that_is_published():
    compare(stated())

    publication = proposals.accept(proposals=open_ones(), **ROOT)

    rate = publication.rates.get()
    assert publication.state == Publication.State.DRAFT
    assert (rate.input, rate.effective_from, rate.source) == (
        Decimal(5),
        START,
        "genai-prices 9.9",
    )
    assert compare(stated()) == (0, 0, 0)
    rate_cards.publish(publication=publication, **ROOT)
    assert compare(stated()) == (0, 0, 0)
    assert Proposal.objects.get().state == "accepted"


def test_proposals_can_join_a_draft():
    compare(stated())
    publication = draft(terms(NOW))

    proposals.accept(proposals=open_ones(), publication=publication, **ROOT)

    assert publication.rates.count() == 2


@pytest.mark.parametrize("way", ["discard", "remove", "withdraw"])
def test_what_does_not_come_to_price_is_open_again(way: str):
    compare(stated())
    publication = proposals.accept(proposals=open_ones(), **ROOT)

    if way == "discard":
        drafts.discard(publication=publication, **ROOT)
    elif way == "remove":
        drafts.remove_rate(rate=publication.rates.get(), **ROOT)
    else:
        rate_cards.publish(publication=publication, **ROOT)
        rate_cards.withdraw(publication=publication, **ROOT)

    assert [one.prices for one in open_ones()] == [{"input": "5"}]


def test_a_price_out_of_bounds_is_accepted_with_a_reason_only():
    compare(stated("0.000005"))

    with pytest.raises(ValidationError, match="is it for another unit"):
        proposals.accept(proposals=open_ones(), **ROOT)
    publication = proposals.accept(proposals=open_ones(), reason="Free week.", **ROOT)

    assert publication.rates.get().confirmation == "Free week."


def test_a_decided_proposal_is_not_decided_again():
    compare(stated())
    decided = open_ones()
    proposals.dismiss(proposals=decided, reason="No.", **ROOT)

    with pytest.raises(ValidationError, match="is dismissed"):
        proposals.accept(proposals=decided, **ROOT)


def test_a_model_that_is_not_known_is_added_when_it_is_accepted():
    """Its records are unpriced until its rates are published."""
    opus = model()
    Rate.objects.filter(model=opus).delete()
    Alias.objects.filter(model=opus).delete()
    opus.delete()

    found = proposals.propose(now=NOW)
    its = listed().proposals.filter(model_name="claude-opus-5-5")
    assert found.opened == its.count() > 4
    publication = proposals.accept(proposals=its, **ROOT)

    added = model()
    assert (added.family, added.aliases.count() > 0) == ("Opus", True)
    assert AuditEvent.objects.get(action="model.add").subject.endswith("claude-opus-5-5")
    rate_cards.publish(publication=publication, **ROOT)
    assert proposals.propose(now=NOW) == (0, 0, 0)


@pytest.mark.usefixtures("as_worker")
def test_the_worker_proposes_by_itself_and_the_command_says_what(capsys):
    published(terms(NOW - timedelta(days=1), prices={"input": "9"}))

    tasks.propose_rates()

    (proposal,) = open_ones()
    assert proposal.prices["input"] == "4"
    call_command("propose_rates")
    assert "0 opened, 0 changed, 0 lapsed; 1 open" in capsys.readouterr().out
