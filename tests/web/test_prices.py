"""/prices of any day, and each model over time."""

from datetime import timedelta

import pytest
from django.test import Client

from teams.models import Organization
from tests.billing.rates.conftest import contract, published, terms
from tests.conftest import NOW, Cast
from tests.web.conftest import read

__all__ = ["contract"]

pytestmark = pytest.mark.usefixtures("as_app")

LATER = NOW + timedelta(days=400)


def test_prices_of_another_day_are_shown(viewer: Client):
    """Sonnet 5.5 read its cache for 0.20 before 7 October."""
    before = read(viewer, "/prices", at="2026-10-06")
    after = read(viewer, "/prices", at="2026-10-07")

    assert "6 Oct 2026, 00:00 UTC" in before.text
    assert "then 2.00 input" in before.text
    assert "7 Oct 2026, 00:00 UTC" in after.text
    assert ("at", "2026-10-06") in {
        (attrs.get("name"), attrs.get("value"))
        for tag, attrs in before.elements
        if tag == "input"
    }


def test_a_day_that_cannot_be_read_says_so_and_shows_now(viewer: Client):
    assert "could not be read" in read(viewer, "/prices", at="soon").text


def test_a_day_before_all_prices_says_so(viewer: Client):
    assert "No prices on this day" in read(viewer, "/prices", at="2015-01-01").text


def shown(viewer: Client, **query: str) -> tuple[list[str], set[str]]:
    """The chips of the page, and whose models it has."""
    page = read(viewer, "/prices", **query)
    links = [attrs for tag, attrs in page.elements if tag == "a"]
    chips = [link["href"] for link in links if link.get("class") == "chip"]
    models = [link["href"] for link in links if link["href"].startswith("/prices/")]
    return chips, {path.split("/")[2] for path in models}


def test_the_own_models_come_first_other_providers_are_a_click_away(viewer: Client):
    chips, whose = shown(viewer)

    providers = ["anthropic", "openai", "google", "aws"]
    assert chips[:4] == [f"?provider={one}" for one in providers]
    assert chips[4:8] == ["#opus", "#sonnet", "#haiku", "#fable"]
    assert whose == {"anthropic"}


@pytest.mark.parametrize("provider", ["openai", "google", "aws"])
def test_prices_of_another_provider_keep_the_day(viewer: Client, provider: str):
    chips, whose = shown(viewer, provider=provider, at="2026-10-20")

    assert whose == {provider}
    assert "?provider=anthropic&at=2026-10-20" in chips


def test_a_provider_that_nobody_knows_is_the_first(viewer: Client):
    _, whose = shown(viewer, provider="acme")

    assert whose == {"anthropic"}


def test_only_classes_with_a_price_have_a_column(viewer: Client):
    text = read(viewer, "/prices").text.partition("Prices under conditions")[0]

    assert "Web search per 1,000" in text
    assert "Output, images" not in text


def test_a_model_shows_its_past_and_coming_rates(viewer: Client):
    published(terms(LATER, prices={"input": "5"}))
    published(terms(LATER + timedelta(days=1), prices={}))

    page = read(viewer, "/prices/anthropic/claude-opus-5-5")

    for words in ("Claude Opus 5.5", "Plain price", "coming", "in force", "ended"):
        assert words in page.text
    assert "by root" in page.text


def test_a_contract_is_on_the_page_of_its_organization_alone(
    viewer: Client, outsider: Client, contract
):
    published(terms(NOW, prices={"input": "3"}), card=contract)
    path = "/prices/anthropic/claude-opus-5-5"

    assert "Acme contract" in read(viewer, path).text
    assert "Acme contract" in read(viewer, "/prices").text
    assert "Acme contract" not in read(outsider, path).text
    assert "Acme contract" not in read(outsider, "/prices").text


def test_an_unknown_model_is_not_found(viewer: Client):
    assert viewer.get("/prices/anthropic/claude-x").status_code == 404


def test_who_is_not_signed_in_is_asked_to(client: Client, cast: Cast):
    assert Organization.objects.exists()
    response = client.get("/prices/anthropic/claude-opus-5-5")
    assert response["location"].startswith("/login/")
