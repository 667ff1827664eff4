"""The page that says where a team could spend less."""

import pytest
from django.test import Client

from tests.billing.savings import MILLION, call, counted, read, written
from tests.conftest import Cast
from tests.web.conftest import NOVEMBER
from tests.web.conftest import read as read_page

pytestmark = pytest.mark.usefixtures("as_app")

PATH = "/teams/search/savings"


def test_a_loss_is_said_with_what_would_pay(viewer: Client, cast: Cast):
    counted(cast, [call(**written(MILLION), input_tokens=1), call(1, **read(100_000))])

    page = read_page(viewer, PATH, **NOVEMBER)

    assert "Prompt caches cost $0.62 more than they saved." in page.text
    assert "5-minute caching pays from the 2nd request on" in page.text
    assert {"-0.62", "0.38", "1", "0.1", "0.26", "1.05"} <= page.values()


def test_the_tile_of_the_team_page_says_the_same(viewer: Client, cast: Cast):
    counted(cast, [call(**written(MILLION)), call(1, **read(3 * MILLION))])

    for path in (PATH, "/teams/search/"):
        assert "10.4" in read_page(viewer, path, **NOVEMBER).values()


def test_outputs_and_candidates_are_listed(viewer: Client, cast: Cast):
    day = 24 * 60
    usual = [call(-(place % 6) * day, output_tokens=100) for place in range(20)]
    counted(cast, [*usual, call(30, output_tokens=5_000, id="far-too-long")])

    page = read_page(viewer, PATH, **NOVEMBER)

    assert "far-too-long" in page.text
    assert "100 %" in page.text.replace("\N{NARROW NO-BREAK SPACE}", " ")
    assert "mostly 10:00–11:00, on 6 days or more" in page.text


def test_an_empty_page_teaches(viewer: Client, cast: Cast):
    assert "Nothing was posted for" in read_page(viewer, PATH).text


def test_days_that_cannot_be_read_are_said(viewer: Client, cast: Cast):
    page = read_page(viewer, PATH, **{"from": "2026-11-31", "through": "x"})

    assert "A date could not be read. Showing this month." in page.text


@pytest.mark.parametrize("path", [PATH, "/teams/search/routing"])
def test_nobody_else_sees_it(outsider: Client, client: Client, path: str):
    assert outsider.get(path).status_code == 404
    assert client.get(path).status_code == 302
