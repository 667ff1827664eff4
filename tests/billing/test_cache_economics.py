"""What caches cost and earned, by project and model: prices are those of Opus 5.5.

Input costs 4 a million tokens, writes 5 (for an hour 8), reads 0.2.
"""

from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest

from billing.pricing.cache_economics import Lifetime
from billing.reports import cache_economics, caching
from billing.reports.cache_economics import CacheEconomics, ModelCaching
from teams import isolation
from teams.actions import projects
from tests.billing import test_rerates
from tests.billing.savings import (
    MILLION,
    NOVEMBER,
    call,
    count,
    counted,
    read,
    take_back,
    written,
    written_for_an_hour,
)
from tests.conftest import NOW, Cast

pytestmark = pytest.mark.usefixtures("as_app")


def economics(cast: Cast, **changes: date | datetime) -> CacheEconomics:
    with isolation.visible_teams([cast.search.pk]):
        return cache_economics.of(team=cast.search, **{**NOVEMBER, "now": NOW, **changes})


def only(report: CacheEconomics) -> ModelCaching:
    ((row,),) = [project.models for project in report.rows]
    return row


def test_a_project_that_does_not_read_what_it_writes_loses(cast: Cast):
    counted(cast, [call(**written(MILLION), input_tokens=1), call(1, **read(100_000))])

    row = only(economics(cast))

    # A million written costs 1 more; a tenth of it read saves 0.38.
    assert row.saving.net == Decimal("-0.62")
    assert row.reads_per_write == Fraction(1, 10)
    assert row.break_even[Lifetime.FIVE_MINUTES].reads == Fraction(5, 19)
    assert row.break_even[Lifetime.FIVE_MINUTES].request == 2
    assert row.break_even[Lifetime.ONE_HOUR].request == 3
    assert "it lost $0.62" in row.advice


def test_premiums_are_told_apart_by_lifetime(cast: Cast):
    counted(cast, [call(**written(MILLION)), call(1, **written_for_an_hour(MILLION))])

    saving = only(economics(cast)).saving

    assert (saving.premium_5m, saving.premium_1h) == (1, 4)
    assert saving.write_premium == 5


def test_parts_add_up_to_what_the_team_page_shows(cast: Cast):
    projects.create(team=cast.search, name="Other", slug="other", by="tests", now=NOW)
    counted(
        cast,
        [
            call(**written(MILLION), input_tokens=10),
            call(1, **read(3 * MILLION)),
            call(2, **read(MILLION), project="other", model="claude-sonnet-5"),
            call(3, input_tokens=2_000, project="other"),
        ],
    )

    report = economics(cast)
    with isolation.visible_teams([cast.search.pk]):
        whole = caching.cache_saving(
            organization_id=cast.acme.pk, team_ids=[cast.search.pk], **NOVEMBER
        )

    assert report.total == whole
    assert sum(row.saving.net for row in report.rows) == whole.net
    assert [len(row.models) for row in report.rows] == [1, 2]


def test_nothing_used_gives_no_rows(cast: Cast):
    report = economics(cast)

    assert (report.rows, report.total.net) == ([], 0)


# --- What had expired ---------------------------------------------------------------


def test_a_write_after_the_lifetime_is_one_again(cast: Cast):
    counted(
        cast,
        [
            call(0, **written(MILLION)),
            call(4, **read(MILLION)),
            call(10, **written(MILLION)),  # 6 minutes after the last use
            call(12, **written(500_000)),  # another beginning: nothing had expired
        ],
    )

    rebuilds = only(economics(cast)).rebuilds

    assert rebuilds is not None
    assert (rebuilds.writes, rebuilds.tokens) == (1, MILLION)
    assert rebuilds.cost == 5 - Decimal("0.2")


def test_no_more_is_written_again_than_was_there(cast: Cast):
    counted(cast, [call(0, **written(1_000)), call(10, **written(MILLION))])

    rebuilds = only(economics(cast)).rebuilds

    assert rebuilds is not None
    assert rebuilds.tokens == 1_000


def test_an_hour_is_recommended_where_it_would_have_held(cast: Cast):
    counted(cast, [call(10 * place, **written(MILLION)) for place in range(4)])

    row = only(economics(cast))

    # Three of four would have been read at 0.2, one written at 8: 8.6 instead of 20.
    assert row.other_lifetime == (Lifetime.ONE_HOUR, Decimal("11.4"))
    assert row.advice.endswith("With 1-hour caching: about $11.40 less.")


def test_an_hour_holds_an_hour(cast: Cast):
    counted(
        cast,
        [
            call(0, **written_for_an_hour(MILLION)),
            call(50, **read(MILLION)),
            call(111, **written_for_an_hour(MILLION)),
        ],
    )

    row = only(economics(cast))

    assert row.rebuilds is not None
    assert (row.rebuilds.writes, row.rebuilds.cost) == (1, 8 - Decimal("0.2"))
    # At 5 minutes two millions cost 6 less, and the read would have been a write.
    assert row.other_lifetime == (Lifetime.FIVE_MINUTES, 6 - Decimal("4.8"))


def test_a_use_just_before_the_range_counts_as_one_before(cast: Cast):
    late = {"since": date(2026, 11, 20), "until": date(2026, 11, 21)}
    # Midnight in Berlin is 23:00 UTC, ten hours before.
    counted(
        cast,
        [call(-610, **written(MILLION)), call(-595, **written(MILLION))],
    )

    rebuilds = only(economics(cast, **late)).rebuilds

    assert rebuilds is not None
    assert rebuilds.writes == 1


def test_what_the_ledger_does_not_count_is_not_there(cast: Cast):
    """One taken back, one that another took the place of, one without a price."""
    unpriced = {"speed": "fast", "service_tier": "batch"}
    counted(
        cast,
        [
            call(0, **written(MILLION), id="mistake"),
            call(20, **written(MILLION), id="wrong"),
            call(40, **written(MILLION), **unpriced, id="unpriced"),
            call(120, **written(MILLION)),
        ],
    )
    counted(cast, [call(110, input_tokens=1, id="right", corrects="wrong")])
    take_back(cast, "mistake")

    row = only(economics(cast))

    assert row.saving.written_5m == MILLION
    assert row.rebuilds is None
    # One write, that costs 3 more for an hour.
    assert row.other_lifetime == (Lifetime.ONE_HOUR, Decimal(-3))


def test_what_is_priced_anew_is_written_once(cast: Cast):
    counted(cast, [call(0, **written(MILLION)), call(10, **written(MILLION))])
    test_rerates.publish(cache_write_5m="10", cache_write_1h="16", cache_read="0.8")
    test_rerates.carry_out(test_rerates.plan(cast))
    count(cast)

    row = only(economics(cast))

    assert row.saving.written_5m == 2 * MILLION
    assert row.rebuilds is not None
    assert (row.rebuilds.writes, row.rebuilds.cost) == (1, 10 - Decimal("0.8"))


def test_projects_and_models_have_caches_of_their_own(cast: Cast):
    counted(
        cast,
        [
            call(0, **written(MILLION)),
            call(10, **written(MILLION), model="claude-sonnet-5"),
            call(10, **written(MILLION), project="triage"),
        ],
    )

    assert all(
        row.rebuilds is None for project in economics(cast).rows for row in project.models
    )


def test_records_are_read_for_31_days(cast: Cast):
    until = NOW.date() + timedelta(days=1)

    report = economics(cast, since=until - timedelta(days=90), until=until)

    assert report.records_from == until - timedelta(days=31)


def test_days_to_come_take_no_place_of_those_31(cast: Cast):
    report = economics(cast, since=date(2026, 11, 1), until=date(2027, 6, 1))

    assert report.records_from == date(2026, 11, 1)


def test_a_range_that_has_not_begun_has_no_records(cast: Cast):
    report = economics(cast, since=date(2027, 1, 1), until=date(2027, 6, 1))

    assert (report.records_from, report.rows) == (date(2027, 1, 1), [])


# --- Too short ----------------------------------------------------------------------


def test_prompts_below_the_minimum_are_named(cast: Cast):
    counted(cast, [call(input_tokens=500), call(1, input_tokens=300)])

    row = only(economics(cast))

    assert row.too_short
    assert (row.prompt, row.minimum) == (400, 512)
    assert "below the 512 that this model caches at least" in row.advice


def test_long_prompts_are_not(cast: Cast):
    counted(cast, [call(input_tokens=600)])

    row = only(economics(cast))

    assert not row.too_short
    assert row.rebuilds is None
