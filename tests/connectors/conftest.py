"""The list prices as a book, made as a publication of all proposals would make it."""

import pytest

from billing.connectors import list_prices
from billing.pricing.rates import Rate, RateBook, prices_per_unit


@pytest.fixture(scope="session")
def list_book() -> RateBook:
    rates = [
        Rate(
            id=number,
            model=f"{proposed.provider}/{proposed.model}",
            processing=proposed.processing,
            speed=proposed.speed,
            geo=proposed.geo,
            endpoint=proposed.endpoint,
            above=proposed.above,
            effective_from=proposed.effective_from,
            prices=prices_per_unit(proposed.prices),
            stop=proposed.stop,
        )
        for number, proposed in enumerate(list_prices.list_rates(), start=1)
    ]
    aliases = {
        (model.provider, name): f"{model.provider}/{model.name}"
        for model in list_prices.list_models()
        for name in model.aliases
    }
    return RateBook([rates], aliases)
