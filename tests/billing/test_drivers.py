"""A sentence for each effect: what it says is what happened, whatever happened."""

from hypothesis import HealthCheck, given, settings

from billing.pricing.variance import Amounts, Cell, Conditions
from billing.reports.drivers import drivers
from tests.pricing.test_variance import (
    BATCH,
    LARGE,
    PLAN,
    SMALL,
    SMALL_BATCH,
    STANDARD,
    sides,
    usual,
)

NAMES = {"small": "Small", "large": "Large", "a": "A", "b": "B", "c": "C"}
THIN = "\N{NARROW NO-BREAK SPACE}"


def said(actual: dict[Cell, Amounts], plan: dict[Cell, Amounts] = PLAN) -> list[str]:
    listed = drivers(plan, actual, NAMES, "USD")
    return [one.sentence.replace(THIN, "") for one in listed]


def small(conditions: Conditions = STANDARD) -> Cell:
    return Cell("small", conditions)


def test_size_says_how_much_longer():
    assert said({small(): usual(1000, output=260_000)}) == [
        "Output was 30% longer than planned per request: +$0.90."
    ]
    assert said({small(): usual(1000, input=500_000, cache_read=2_000_000)}) == [
        "Input was 50% shorter than planned per request: −$2.10."
    ]
    assert said({small(): usual(1000, web_search=30)}) == [
        "Tools were used 200% more than planned per request: +$0.20."
    ]


def test_tools_that_nobody_planned_have_no_percentage():
    plan = {small(): usual(1000, web_search=0)}

    assert said({small(): usual(1000)}, plan) == [
        "Tools were used that were not planned: +$0.10."
    ]


def test_caching_says_what_was_read_from_it():
    colder = usual(1000, input=3_000_000, cache_read=2_000_000)

    (sentence,) = said({small(): colder})

    assert sentence == (
        "Caching made input dearer than planned: 40% of it was read from a cache instead "
        "of 80%: +$5.40."
    )


def test_caching_says_what_was_written_where_reads_do_not_tell():
    """As much is read, and a million tokens are written instead of being sent again."""
    prices = SMALL | {"cache_write_5m": "3.75"}
    written = usual(1000, prices, input=0, cache_write_5m=1_000_000)

    (sentence,) = said({small(): written})

    assert sentence == (
        "Caching made input dearer than planned: 20% of it was written to a cache instead "
        "of 0%: +$0.75."
    )


def test_processing_says_which_condition_changed():
    batches = {small(): usual(500), small(BATCH): usual(500, SMALL_BATCH)}
    fast = STANDARD._replace(speed="fast")
    doubled = {name: str(float(price) * 2) for name, price in SMALL.items()}
    hurried = {small(): usual(750), small(fast): usual(250, doubled, web_search=2)}

    (sentence,) = said(batches)
    assert sentence == (
        "How requests were processed was cheaper than planned: 50% of the requests with "
        "processing batch instead of 0%: −$1.80."
    )
    assert "25% of the requests with speed fast instead of 0%" in said(hurried)[0]


def test_price_says_by_how_much():
    assert said({small(): usual(1000, SMALL | {"output": "12"})}) == [
        "Prices were 8% lower than planned: −$0.60."
    ]


def test_mix_tells_shares_apart_that_look_the_same():
    both = {small(): usual(92_500), Cell("large", STANDARD): usual(7_500, LARGE)}
    other = {small(): usual(92_200), Cell("large", STANDARD): usual(7_800, LARGE)}

    (sentence,) = said(other, both)

    assert sentence == (
        "Requests went to other models than planned: Large had 7.8% of them instead of "
        "7.5%: +$1.44."
    )


def test_the_model_with_most_of_an_effect_is_named():
    both = {small(): usual(1000), Cell("large", STANDARD): usual(1000, LARGE)}
    actual = {
        small(): usual(1000, output=210_000),
        Cell("large", STANDARD): usual(1000, LARGE, output=300_000),
    }

    (sentence,) = said(actual, both)

    assert sentence == (
        "Output was 33% longer than planned per request, mostly on Large: +$2.65."
    )


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(sides(), sides())
def test_whatever_happened_is_said(plan, actual):
    listed = drivers(plan, actual, NAMES, "USD")

    assert all(one.amount and one.sentence.endswith(".") for one in listed)
    sizes = [abs(one.amount) for one in listed]
    assert sizes == sorted(sizes, reverse=True)
