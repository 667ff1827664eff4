"""The list cards that an installation begins with."""

import pytest

from billing.actions import rate_cards
from billing.connectors import list_prices
from billing.models import Alias, LanguageModel, Publication, Rate, RateCard, rate_book
from billing.pricing.engine import Charges, price
from billing.pricing.token_classes import Quantities
from billing.pricing.usage import Step, Usage
from teams.models import AuditEvent
from tests.conftest import NOW

pytestmark = pytest.mark.django_db


def load() -> list[Publication]:
    return rate_cards.load_list_prices(by="installation", now=NOW)


def forget(provider: str) -> None:
    """As an installation is that began before the provider was known."""
    Rate.objects.filter(model__provider=provider).delete()
    Publication.objects.filter(card__provider=provider).delete()
    RateCard.objects.filter(provider=provider).delete()
    Alias.objects.filter(provider=provider).delete()
    LanguageModel.objects.filter(provider=provider).delete()


def test_each_provider_has_a_published_card() -> None:
    cards = RateCard.objects.filter(kind="list").order_by("name")

    assert list(cards.values_list("name", "provider", "publications__state")) == [
        ("Amazon Bedrock list prices", "aws", "published"),
        ("Anthropic list prices", "anthropic", "published"),
        ("Google list prices", "google", "published"),
        ("OpenAI list prices", "openai", "published"),
    ]
    for card in cards:
        rates = Rate.objects.filter(publication__card=card)
        assert rates.count() == len(list_prices.list_rates(card.provider))


def test_what_exists_is_left_to_a_person() -> None:
    rates, events = Rate.objects.count(), AuditEvent.objects.count()

    assert load() == []
    assert (Rate.objects.count(), AuditEvent.objects.count()) == (rates, events)


def test_provider_without_a_card_gets_one() -> None:
    forget("aws")
    others = Rate.objects.count()

    (publication,) = load()

    assert publication.card.provider == "aws"
    assert publication.state == "published"
    assert Rate.objects.count() - others == publication.rates.count() > 0
    assert AuditEvent.objects.filter(
        action="rate_card.publish", subject="rate card Amazon Bedrock list prices"
    ).exists()


def test_book_of_the_installation_prices_every_provider() -> None:
    book = rate_book.current(0).rates

    def cost(provider: str, model: str, endpoint: str = "global") -> int:
        priced = price(
            Usage(
                provider=provider,
                model=model,
                occurred_at=NOW,
                endpoint=endpoint,
                steps=(Step(model, Quantities(1)),),
            ),
            book,
        )
        assert isinstance(priced, Charges), priced
        return priced.cost

    # Dollars per million tokens are thousands of millions of 10⁻¹⁵ per token.
    assert cost("anthropic", "claude-opus-5") == 5 * 10**9
    assert cost("openai", "gpt-4o-2024-08-06") == 25 * 10**8
    assert cost("google", "gemini-2.5-flash") == 3 * 10**8
    assert cost("google", "claude-opus-5@default", "regional") == 55 * 10**8
    assert cost("aws", "us.anthropic.claude-opus-5", "regional") == 55 * 10**8
