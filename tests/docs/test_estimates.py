"""docs/estimates.md: 2,000 tokens in and 500 out, by API and by page."""

from collections.abc import Callable
from decimal import Decimal

from django.contrib.auth.models import User

from billing.models import LanguageModel
from teams.models import Role
from tests.conftest import Cast, Service
from tests.docs import calls, pages
from tests.docs.pages import CHECKOUT
from tests.web.conftest import Browser, Page, browser, person

__all__ = ["browser", "person"]

PAGE = CHECKOUT / "docs" / "estimates.md"
# Per million tokens, in and out; the sentence of the page.
MODELS = {
    "claude-sonnet-5-5": (
        Decimal(2),
        Decimal(10),
        "costs 5 times one in. So output costs more than input: 55.56 % of both.",
    ),
    "gpt-4.1": (
        Decimal(2),
        Decimal(8),
        "costs 4 times one in. So both sides cost the same.",
    ),
    "gpt-3.5-turbo": (
        Decimal("0.5"),
        Decimal("1.5"),
        "costs 3 times one in. So output costs less than input: 42.86 % of both.",
    ),
}


def test_the_example_is_answered_as_shown(bob: Service) -> None:
    (command,), (shown,) = calls.typed(PAGE), calls.shown(PAGE)

    rows = calls.answer(bob, command)["models"]

    assert [row["model"] for row in rows] == list(MODELS)
    for row, its in zip(rows, shown["models"], strict=True):
        tokens_in, tokens_out = (price for price in MODELS[row["model"]][:2])
        in_cost, out_cost = 2_000 * tokens_in, 500 * tokens_out
        share = out_cost * 100 / (in_cost + out_cost)
        assert Decimal(row["per_request"]) == (in_cost + out_cost) / 1_000_000
        assert row["balance"] == row["balance"] | its["balance"]
        assert row["per_request"] == its["per_request"]
        assert Decimal(its["balance"]["output_percent"]) == round(share, 2)
        assert Decimal(its["balance"]["price_ratio"]) == tokens_out / tokens_in
        assert f"{Decimal(its['balance']['output_percent']):f} %" in pages.prose(PAGE)


def test_the_builder_says_which_side_costs_more(
    cast: Cast, person: Callable[..., User], browser: Browser
) -> None:
    lead = browser(person("lea", Role.LEAD, cast.acme, cast.search))
    chosen = {f"model-{place}-model": _model(name).pk for place, name in enumerate(MODELS)}

    answer = lead.post(
        "/estimates/new",
        {
            "scope": f"team-{cast.search.pk}",
            "month": "2026-11",
            "months": "1",
            "plan": "medium",
            "contingency_percent": "0",
            "medium-requests_per_day": "100",
            "medium-input_tokens": "2,000",
            "medium-output_tokens": "500",
            "model-0-share_percent": "100",
            "step": "compute",
            **chosen,
        },
    )

    text = " ".join(Page(answer.content.decode()).text.split())
    for *_, sentence in MODELS.values():
        assert f"4 tokens in for each one out, and a token out {sentence}" in text


def _model(name: str) -> LanguageModel:
    """Of its maker, not of those who host it."""
    return LanguageModel.objects.get(
        aliases__name=name, provider__in=["anthropic", "openai"]
    )
