"""How figures are written."""

from datetime import date
from decimal import Decimal

import pytest
from django.http import QueryDict

from billing.pricing import figures
from billing.pricing.budget_periods import Period
from billing.web import display, links, ranges


def test_what_is_rounded_keeps_its_exact_value():
    shown = display.money_tag(Decimal("1.23456789"), "USD")

    assert shown == '<data value="1.23456789" title="1.23456789 USD">$1.23</data>'


@pytest.mark.parametrize("filter_name", ["amount_tag", "difference", "rate", "percent"])
def test_no_figure_is_a_dash(filter_name: str):
    assert getattr(display, filter_name)(None) == "–"


@pytest.mark.parametrize(
    ("value", "shown"), [("95.6", "96 %"), ("99.9", ">99 %"), ("0.2", "<1 %")]
)
def test_a_share(value: str, shown: str):
    assert display.share(Decimal(value)) == shown.replace(" ", "\N{NARROW NO-BREAK SPACE}")


@pytest.mark.parametrize(
    ("value", "shown"), [(99_999, "99,999"), (1_234_567, "1.23 M"), (345_678, "346 k")]
)
def test_a_count(value: int, shown: str):
    assert shown.replace(" ", "\N{NARROW NO-BREAK SPACE}") in display.count(value)


@pytest.mark.parametrize(
    ("since", "until", "shown"),
    [
        ((2026, 11, 1), (2026, 12, 1), "1–30 Nov 2026"),
        ((2026, 10, 24), (2026, 11, 23), "24 Oct – 22 Nov 2026"),
        ((2025, 12, 31), (2026, 1, 2), "31 Dec 2025 – 1 Jan 2026"),
        ((2026, 11, 5), (2026, 11, 6), "5 Nov 2026"),
    ],
)
def test_a_span_of_days(since: tuple, until: tuple, shown: str):
    assert figures.span(Period(date(*since), date(*until))) == shown


NOVEMBER = Period(date(2026, 11, 1), date(2026, 12, 1))
OCTOBER = Period(date(2026, 10, 1), date(2026, 11, 1))


@pytest.mark.parametrize(
    ("query", "since", "through"),
    [
        ("", date(2026, 11, 1), date(2026, 11, 30)),
        ("range=last", date(2026, 10, 1), date(2026, 10, 31)),
        ("range=7d", date(2026, 11, 16), date(2026, 11, 22)),
        ("from=2026-11-03&through=2026-11-03", date(2026, 11, 3), date(2026, 11, 3)),
        ("range=unheard-of", date(2026, 11, 1), date(2026, 11, 30)),
    ],
)
def test_a_range(query: str, since: date, through: date):
    shown = ranges.chosen(
        QueryDict(query), today=date(2026, 11, 22), this=NOVEMBER, before=OCTOBER
    )

    assert (shown.since, shown.through) == (since, through)


def test_an_address_keeps_what_is_not_changed():
    query = QueryDict("range=30d&project=answers&evil=%3Cb%3E")

    assert links.changed(query, {"family": "Opus"}) == (
        "?range=30d&project=answers&family=Opus"
    )
    assert links.changed(query, {"project": None}) == "?range=30d"
