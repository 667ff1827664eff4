"""How figures are written for people: something is never shown as nothing."""

from decimal import Decimal

import pytest

from billing.pricing import figures


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("0", "0.00"),
        ("4210", "4,210.00"),
        ("1234567.891", "1,234,567.89"),
        ("1", "1.00"),
        ("0.9999", "1.00"),
        ("0.5", "0.50"),
        ("0.0421", "0.0421"),
        ("0.042149", "0.0421"),
        ("0.31", "0.31"),
        ("0.01", "0.01"),
        ("0.00999", "<0.01"),
        ("0.000000000000001", "<0.01"),
        ("-2.5", "−2.50"),
        ("-0.001", "−<0.01"),
    ],
)
def test_an_amount(value: str, shown: str):
    assert figures.amount(Decimal(value)) == shown


@pytest.mark.parametrize(
    ("value", "currency", "shown"),
    [
        ("4210", "USD", "$4,210.00"),
        ("0.001", "USD", "<$0.01"),
        ("-3", "EUR", "−€3.00"),
        ("-0.001", "USD", "−<$0.01"),
        ("5", "CHF", "CHF\N{NARROW NO-BREAK SPACE}5.00"),
    ],
)
def test_an_amount_with_its_currency(value: str, currency: str, shown: str):
    assert figures.with_currency(Decimal(value), currency) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [("99.99", "99 %"), ("100", "100 %"), ("0.4", "<1 %"), ("0", "0 %"), ("-21", "−21 %")],
)
def test_percent_is_never_rounded_up_to_a_level(value: str, shown: str):
    assert figures.percent(Decimal(value)) == shown.replace(
        " ", "\N{NARROW NO-BREAK SPACE}"
    )


@pytest.mark.parametrize(
    ("value", "shown"),
    [("5", "5.00"), ("0.1", "0.10"), ("3.4375", "3.4375"), ("0.0055", "0.0055")],
)
def test_a_rate_is_exact(value: str, shown: str):
    assert figures.rate(Decimal(value)) == shown
