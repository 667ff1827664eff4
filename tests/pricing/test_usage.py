import pytest

from billing.pricing.token_classes import Quantities
from billing.pricing.usage import Processing, Speed, Step


def test_conditions_default_to_the_standard_ones(make_usage) -> None:
    usage = make_usage(Quantities())

    assert (usage.processing, usage.speed, usage.geo, usage.endpoint) == (
        Processing.STANDARD,
        Speed.STANDARD,
        "global",
        "global",
    )


def test_quantities_sum_the_steps(make_usage) -> None:
    steps = (
        Step("one", Quantities(1, output=2)),
        Step("two", Quantities(10, web_search=1)),
    )

    assert make_usage(steps=steps).quantities == Quantities(11, output=2, web_search=1)
    assert make_usage(steps=steps[:1]).quantities == Quantities(1, output=2)


@pytest.mark.parametrize(
    ("steps", "reproducible"),
    [
        ((Step("one", Quantities(1)),), True),
        ((Step("two", Quantities(1)),), False),
        ((Step("one", Quantities(1)), Step("one", Quantities(1))), False),
    ],
)
def test_columns_reproduce_one_step_at_the_own_model(
    make_usage, steps, reproducible
) -> None:
    assert make_usage(steps=steps).reproducible is reproducible
