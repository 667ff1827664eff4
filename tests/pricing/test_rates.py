from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest

from billing.pricing.rates import MAX_REMEMBERED, RateBook, prices_per_unit
from billing.pricing.token_classes import TokenClass
from billing.pricing.usage import Processing, Speed

START = datetime(2026, 1, 1, tzinfo=UTC)
TICK = timedelta(microseconds=1)


def rate_at(book: RateBook, at: datetime = START, total_input: int = 0, **conditions):
    asked = {
        "model": "acme/one",
        "processing": Processing.STANDARD,
        "speed": Speed.STANDARD,
        "geo": "global",
        "endpoint": "global",
    }
    return book.rate(**{**asked, **conditions}, total_input=total_input, at=at)


# --- Prices and rates


def test_published_prices_become_prices_of_one_unit() -> None:
    prices = prices_per_unit(
        {
            TokenClass.INPUT: Decimal(3),
            TokenClass.CACHE_READ: Decimal("0.0055"),
            TokenClass.OUTPUT: Decimal("0.000000001"),
            TokenClass.WEB_SEARCH: Decimal(10),
        }
    )

    assert prices[:6] == (3 * 10**9, None, None, 5_500_000, 1, 10**13)
    assert set(prices[6:]) == {None}


def test_hour_of_a_session_is_divided_exactly() -> None:
    (*_, millisecond) = prices_per_unit({TokenClass.SESSION: Decimal("0.08")})

    assert millisecond == Fraction(8 * 10**13, 3_600_000)


@pytest.mark.parametrize("price", ["0.0000000001", "-1", "NaN", "Infinity", "1E+15"])
def test_price_that_no_column_holds_is_refused(price: str) -> None:
    with pytest.raises(ValueError, match=r"places|negative|amount|digits"):
        prices_per_unit({TokenClass.INPUT: Decimal(price)})


@pytest.mark.parametrize(
    "changes",
    [
        {"effective_from": datetime(2026, 1, 1)},  # noqa: DTZ001
        {"above": -1},
        {"prices": (1, 2, 3)},
    ],
)
def test_rate_is_checked_when_it_is_made(make_rate, changes) -> None:
    with pytest.raises(ValueError, match="rate 1"):
        make_rate(**changes)


# --- Time


def test_start_is_inclusive_and_end_exclusive(make_rate, make_book) -> None:
    first, second = make_rate(), make_rate(effective_from=START + timedelta(days=1))
    book = make_book([second, first])

    assert rate_at(book, START - TICK) is None
    assert rate_at(book, START) is first
    assert rate_at(book, START + timedelta(days=1) - TICK) is first
    assert rate_at(book, START + timedelta(days=1)) is second
    assert rate_at(book, START + timedelta(days=9999)) is second


def test_of_equal_starts_the_later_in_the_card_wins(make_rate, make_book) -> None:
    first, second, third = make_rate(), make_rate(), make_rate()

    assert rate_at(make_book([first, third, second])) is second


def test_stop_ends_a_series(make_rate, make_book) -> None:
    end = START + timedelta(days=1)
    rate = make_rate()
    resumed = make_rate(effective_from=end + timedelta(days=1))
    book = make_book([rate, make_rate(stop=True, effective_from=end), resumed])

    assert rate_at(book, end - TICK) is rate
    assert rate_at(book, end) is None
    assert rate_at(book, end + timedelta(days=1)) is resumed


def test_instants_are_compared_across_zones(make_rate, make_book) -> None:
    rate = make_rate(
        effective_from=datetime(2026, 1, 1, 2, tzinfo=timezone(timedelta(hours=2)))
    )
    book = make_book([rate])
    west = timezone(timedelta(hours=-5))

    assert rate_at(book, datetime(2025, 12, 31, 19, tzinfo=west)) is rate
    assert rate_at(book, datetime(2025, 12, 31, 18, 59, tzinfo=west)) is None


def test_the_hour_that_comes_twice_is_told_apart(make_rate, make_book) -> None:
    chicago = ZoneInfo("America/Chicago")
    first_pass = datetime(2026, 11, 1, 1, 30, tzinfo=chicago)
    second_pass = first_pass.replace(fold=1)
    rate = make_rate(effective_from=second_pass)
    book = make_book([rate])

    assert rate_at(book, first_pass) is None
    assert rate_at(book, second_pass) is rate


def test_time_without_zone_is_refused(make_rate, make_book) -> None:
    with pytest.raises(TypeError):
        rate_at(make_book([make_rate()]), datetime(2026, 1, 1))  # noqa: DTZ001


# --- Context tiers


def test_tier_applies_strictly_above_its_bound(make_rate, make_book) -> None:
    base, high, higher = make_rate(), make_rate(above=100), make_rate(above=200)
    book = make_book([higher, base, high])

    assert [rate_at(book, total_input=n) for n in (0, 100, 101, 200, 201, 10**12)] == [
        base,
        base,
        high,
        high,
        higher,
        higher,
    ]


def test_stopped_tier_falls_back_to_the_next_lower_one(make_rate, make_book) -> None:
    end = START + timedelta(days=1)
    base, high, higher = make_rate(), make_rate(above=100), make_rate(above=200)
    stop = make_rate(above=200, stop=True, effective_from=end)
    book = make_book([base, high, higher, stop])

    assert rate_at(book, end - TICK, total_input=201) is higher
    assert rate_at(book, end, total_input=201) is high


def test_tier_outlives_a_stopped_base(make_rate, make_book) -> None:
    end = START + timedelta(days=1)
    high = make_rate(above=100)
    book = make_book([make_rate(), high, make_rate(stop=True, effective_from=end)])

    assert rate_at(book, end, total_input=100) is None
    assert rate_at(book, end, total_input=101) is high


# --- Cards


def test_contract_stands_before_the_list(make_rate, make_book) -> None:
    start, end = START + timedelta(days=1), START + timedelta(days=2)
    listed = make_rate()
    contract = make_rate(effective_from=start)
    book = make_book([contract, make_rate(stop=True, effective_from=end)], [listed])

    assert rate_at(book, start - TICK) is listed
    assert rate_at(book, start) is contract
    assert rate_at(book, end - TICK) is contract
    assert rate_at(book, end) is listed


def test_later_list_price_does_not_override_a_contract(make_rate, make_book) -> None:
    contract = make_rate()
    listed = make_rate(effective_from=START + timedelta(days=1))

    assert rate_at(make_book([contract], [listed]), START + timedelta(days=2)) is contract


def test_contract_without_tier_prices_long_calls_too(make_rate, make_book) -> None:
    contract = make_rate()
    book = make_book([contract], [make_rate(), make_rate(above=100)])

    assert rate_at(book, total_input=101) is contract


def test_contract_for_a_tier_leaves_short_calls_to_the_list(make_rate, make_book) -> None:
    tier, listed = make_rate(above=100), make_rate()
    book = make_book([tier], [listed])

    assert rate_at(book, total_input=100) is listed
    assert rate_at(book, total_input=101) is tier


@pytest.mark.parametrize(
    "conditions",
    [
        {"model": "acme/two"},
        {"processing": Processing.BATCH},
        {"speed": Speed.FAST},
        {"geo": "us"},
        {"endpoint": "regional"},
    ],
)
def test_no_condition_falls_back_to_another(make_rate, make_book, conditions) -> None:
    book = make_book([make_rate()])

    assert rate_at(book) is not None
    assert rate_at(book, **conditions) is None


# --- Names


@pytest.fixture
def names() -> RateBook:
    aliases = {
        ("acme", "opus-5"): "acme/opus-5",
        ("acme", "opus-5-0"): "acme/opus-5",
        ("acme", "opus-4-20250514"): "acme/opus-4",
        ("acme", "opus-4"): "acme/opus-4-newest",
    }
    return RateBook([], aliases)


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("opus-5", "acme/opus-5"),
        ("opus-5-0", "acme/opus-5"),
        ("opus-5-20260801", "acme/opus-5"),
        ("opus-5@default", "acme/opus-5"),
        ("opus-5[1m]", "acme/opus-5"),
        ("opus-4-20250514", "acme/opus-4"),
        ("opus-4-20250514[1m]", "acme/opus-4"),
        ("opus-4-20250515", "acme/opus-4-newest"),
        ("opus-5-5", None),
        ("opus", None),
        ("opus-", None),
        ("", None),
        ("-latest", None),
        ("[1m]", None),
        ("opus-6-20260801", None),
    ],
)
def test_name_is_an_exact_alias_or_unknown(names, name, model) -> None:
    assert names.model("acme", name) == model


def test_name_belongs_to_its_provider(names) -> None:
    assert names.model("other", "opus-5") is None


def test_book_does_not_follow_later_changes_of_its_sources(make_rate) -> None:
    aliases = {("acme", "one"): "acme/one"}
    card = [make_rate()]
    book = RateBook([card], aliases)
    aliases[("acme", "two")] = "acme/two"
    card.append(make_rate(processing=Processing.BATCH))

    assert book.model("acme", "two") is None
    assert rate_at(book, processing=Processing.BATCH) is None


@pytest.mark.parametrize(
    ("before", "name"),
    [
        ("opus-5:batch", "opus-5:batch[1m]"),
        ("opus-5[1m]", "opus-5[1m][1m]"),
        ("opus-5-latest", "opus-5-latest-latest"),
        ("opus-5-20260801", "opus-5-20260801-latest"),
    ],
)
def test_what_was_asked_before_makes_no_name_known(names, before, name) -> None:
    assert names.model("acme", before) == "acme/opus-5"

    assert names.model("acme", name) is None


def test_book_remembers_a_bounded_number_of_names() -> None:
    book = RateBook([], {("acme", "opus-5"): "acme/opus-5"})
    dated = [
        f"opus-5-{year}{month:02}{day:02}"
        for year in range(2000, 2100)
        for month in range(1, 13)
        for day in range(1, 29)
    ]

    assert len(dated) > MAX_REMEMBERED
    assert {book.model("acme", name) for name in dated} == {"acme/opus-5"}
    assert len(book._known) == 1 + MAX_REMEMBERED
    assert book.model("acme", dated[-1]) == "acme/opus-5"


# --- One more card above a book


def test_card_above_a_book_stands_before_its_cards(make_rate, make_book) -> None:
    day = timedelta(days=1)
    lists = [
        make_rate(),
        make_rate(above=100),
        make_rate(effective_from=START + 3 * day),
        make_rate(processing=Processing.BATCH),
        make_rate(model="acme/two"),
    ]
    contract = [
        make_rate(effective_from=START + day),
        make_rate(effective_from=START + 2 * day, above=50),
        make_rate(effective_from=START + 4 * day, stop=True),
        make_rate(effective_from=START + 5 * day, geo="us"),
    ]
    book = make_book(lists)

    over, asked_at_once = book.under(contract), make_book(contract, lists)

    assert set(over.every_key()) == set(asked_at_once.every_key())
    for key in asked_at_once.every_key():
        assert over.schedule(key) == asked_at_once.schedule(key)
    assert over.model("acme", "two") == "acme/two"
    assert [book.schedule(key) for key in book.every_key()] == [
        make_book(lists).schedule(key) for key in book.every_key()
    ]


def test_cards_above_each_other_keep_their_order(make_rate, make_book) -> None:
    first, second, third = make_rate(), make_rate(), make_rate()

    over = make_book([first]).under([second]).under([third])

    assert rate_at(over) is third
