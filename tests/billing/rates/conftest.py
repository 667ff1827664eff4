"""Rates for tests: of Claude Opus 5.5 unless a test says otherwise (4 in, 20 out)."""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from billing.actions import drafts, post, rate_cards
from billing.actions.drafts import Terms
from billing.models import LanguageModel, Publication, RateCard
from billing.pricing.token_classes import TokenClass
from tests.builders import body
from tests.conftest import NOW, Cast, Service, issue

ROOT = {"by": "root", "now": NOW}


def model(name: str = "claude-opus-5-5") -> LanguageModel:
    return LanguageModel.objects.get(provider="anthropic", name=name)


def listed() -> RateCard:
    return RateCard.objects.get(kind="list", provider="anthropic")


def terms(start: datetime, name: str = "claude-opus-5-5", **said: Any) -> Terms:
    """`prices=` by name of the token class; one without any is a stop."""
    prices = said.pop("prices", {"input": "8", "output": "40"})
    return Terms(
        model=model(name),
        effective_from=start,
        prices={TokenClass(key): Decimal(price) for key, price in prices.items()},
        source=said.pop("source", "a test"),
        observed_on=NOW.date(),
        stop=not prices,
        **said,
    )


def draft(*stated: Terms, card: RateCard | None = None) -> Publication:
    publication = drafts.start(card=card or listed(), **ROOT)
    if stated:
        drafts.put(publication=publication, stated=stated, **ROOT)
    return publication


def published(*stated: Terms, card: RateCard | None = None) -> Publication:
    publication = draft(*stated, card=card)
    rate_cards.publish(publication=publication, **ROOT)
    return publication


@pytest.fixture
def contract(cast: Cast) -> RateCard:
    return rate_cards.make_contract(
        organization=cast.acme, provider="anthropic", name="Acme contract", **ROOT
    )


@pytest.fixture
def send(cast: Cast) -> Callable[..., None]:
    """Post records for Acme, of any age, and count them."""
    service = Service(issue(cast.acme)[1])

    def sent(*records: dict[str, Any]) -> None:
        answer = service.post("usage", body(*records))
        assert answer.status_code == 202, answer.content
        for team in (cast.search, cast.support):
            while post.count(team_id=team.pk, now=NOW):
                pass

    return sent
