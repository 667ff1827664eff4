from billing.pricing.token_classes import NOTHING, TOOLS, UNITS, Quantities, TokenClass


def test_quantities_follow_the_order_of_the_classes() -> None:
    assert Quantities._fields == tuple(TokenClass)


def test_every_class_has_a_unit() -> None:
    assert {UNITS[one] for one in TokenClass if one not in TOOLS} == {1_000_000}
    assert UNITS[TokenClass.WEB_SEARCH] == 1_000
    assert UNITS[TokenClass.SESSION] == 60 * 60 * 1_000


def test_total_input_is_everything_that_went_in() -> None:
    assert Quantities(1, 20, 300, 4_000, 50_000, 600_000).total_input == 4_321


def test_sum_is_class_by_class() -> None:
    total = Quantities(1, 2, 3, 4, 5, 6).plus(Quantities(10, 20, 30, 40, 50, 60))

    assert total == Quantities(11, 22, 33, 44, 55, 66)
    assert total.plus(NOTHING) == total
