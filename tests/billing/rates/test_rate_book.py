"""What organizations have in common is read once, and their contracts for each."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from billing.models import RateCard, rate_book
from billing.models.rate_book import Book
from billing.pricing import money
from tests.billing.rates.conftest import published, terms
from tests.conftest import NOW, Cast

pytestmark = pytest.mark.django_db


def input_price(book: Book, model: str = "anthropic/claude-opus-5-5") -> Decimal:
    """Per million tokens, now."""
    rate = book.rates.rate(model, "standard", "standard", "global", "global", 0, NOW)
    assert rate is not None
    price = rate.prices[0]
    assert isinstance(price, int)
    return money.exact(price * 10**6)


def test_a_contract_holds_for_its_organization_alone(cast: Cast, contract: RateCard):
    published(terms(NOW - timedelta(days=1), prices={"input": "3"}), card=contract)

    acme, other = (rate_book.current(one.pk) for one in (cast.acme, cast.outsiders))

    assert (input_price(acme), input_price(other)) == (3, 4)
    assert input_price(acme, "anthropic/claude-opus-5") == 5
    assert acme.model_ids == other.model_ids


def test_organizations_without_contracts_share_one_book(cast: Cast):
    first = rate_book.current(cast.acme.pk)

    with CaptureQueriesContext(connection) as asked:
        second = rate_book.current(cast.outsiders.pk)

    assert second is first
    # The version, and the organization's own contracts.
    assert len(asked) == 2


def test_a_book_is_read_again_when_a_rate_is_published(cast: Cast):
    before = rate_book.current(cast.acme.pk)
    published(terms(NOW - timedelta(days=1), prices={"input": "7"}))

    after = rate_book.current(cast.acme.pk)

    assert (input_price(before), input_price(after)) == (4, 7)
    assert before.version != after.version


def test_current_and_given_rates_make_the_same_book(cast: Cast, contract: RateCard):
    published(
        terms(NOW - timedelta(days=1), prices={"input": "3"}),
        terms(NOW, prices={}),
        card=contract,
    )

    current = rate_book.current(cast.acme.pk).rates
    given = rate_book.of(cast.acme.pk, rate_book.published()).rates

    assert set(current.every_key()) == set(given.every_key())
    assert all(current.schedule(key) == given.schedule(key) for key in given.every_key())
