"""Samples: kept from a text or from a project's own records, and what is said of them."""

import json
from datetime import date, timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from billing.actions import post, samples, voids
from billing.formats.errors import BodyError
from billing.formats.samples import Asked
from billing.models import LanguageModel, Sample, UsageRecord, recorded
from billing.models.estimates import Scenario
from billing.models.recorded import Sampled
from billing.models.samples import Source
from billing.pricing.levers import quantities
from billing.pricing.token_classes import Quantities
from billing.reports import sampled as levers
from billing.reports import samples as reports
from teams.models import AuditEvent
from tests.billing import spending
from tests.conftest import NOW, Cast

OPUS = Asked(model="claude-opus-5-5")
SECRET = "the-secret-of-the-prompt"


def usage(**counts: Any) -> dict[str, Any]:
    return {"input_tokens": 1000, "output_tokens": 10, **counts}


def read(cast: Cast, *records: Any, **changes: Any) -> Sample:
    return samples.read(
        **{
            "team": cast.search,
            "content": "\n".join(map(json.dumps, records)).encode(),
            "source": Source.PASTE,
            "asked": OPUS,
            "by": "lead",
            "now": NOW,
            **changes,
        }
    )


def of_project(cast: Cast, **changes: Any) -> Sample:
    return samples.of_project(
        **{
            "team": cast.search,
            "project": cast.answers,
            "days": 14,
            "by": "lead",
            "now": NOW,
            **changes,
        }
    )


# --- From a text --------------------------------------------------------------------


def test_counts_are_kept_and_nothing_else(cast: Cast):
    response = {"id": "msg_x", "model": "claude-opus-5-5", "usage": usage()}

    read(cast, {**response, "content": [{"text": SECRET}], "metadata": {"user": SECRET}})

    kept = json.dumps(list(Sample.objects.values()), default=str)
    assert SECRET not in kept
    assert "msg_x" not in kept
    assert Sample.objects.get().rows == {
        "conditions": [
            *[
                [
                    "anthropic",
                    "claude-opus-5-5",
                    "standard",
                    "standard",
                    "global",
                    "global",
                    "",
                ]
            ]
        ],
        "rows": [[0, 0, [1000, 0, 0, 0, 10]]],
    }


def test_what_was_read_is_said_back(cast: Cast):
    wrong = usage(output_tokens=-1)
    sample = read(cast, *[usage(cache_read_input_tokens=8000)] * 2, wrong, wrong, {"a": 1})

    counted, not_read = reports.report(sample, NOW).read
    assert counted == (
        "2 records read as Anthropic, 1 model: 2,000 input tokens, 16,000 cache-read "
        "tokens, 20 output tokens."
    )
    assert not_read == "3 lines not read."
    assert sample.reading["problems"] == [
        [3, "usage.output_tokens: Expected `int` >= 0.", 2],
        [5, "It has no usage.", 1],
    ]


def test_columns_of_a_table_are_said_back(cast: Cast):
    table = b"prompt_tokens,cached_tokens,completion_tokens\n100,40,5\n"

    sample = read(cast, content=table)

    counted, columns = reports.report(sample, NOW).read
    assert counted == (
        "1 record read as a table, 1 model: 60 input tokens, 40 cache-read tokens, "
        "5 output tokens."
    )
    assert columns == (
        "Columns: input from “prompt_tokens”, cache_read from “cached_tokens”, output from "
        "“completion_tokens”. The input counts what was cached."
    )


def test_where_nothing_can_be_read_it_says_why_and_keeps_nothing(cast: Cast):
    with pytest.raises(ValidationError) as caught:
        read(cast, {"a": 1}, {"b": 1}, {"input_tokens": -1, "output_tokens": 1})

    assert caught.value.messages == [
        "Line 1: It has no usage. The same of 1 more.",
        "Line 3: usage.input_tokens: Expected `int` >= 0.",
    ]
    assert not Sample.objects.exists()


def test_too_much_is_refused(cast: Cast):
    with pytest.raises(BodyError):
        read(cast, *[usage()] * 10_001)


def test_a_sample_is_priced_at_the_rates_in_force(cast: Cast):
    """1,000 in at 4 and 10 out at 20 per million: 0.0042."""
    sample = read(cast, *[usage()] * 12)

    (one,) = reports.report(sample, NOW).models

    assert (one.provider, one.model) == ("anthropic", "claude-opus-5-5")
    assert one.profile.cost_per_request is not None
    assert one.profile.cost_per_request.mean == 4_200_000_000_000
    assert [warned.code for warned in one.warnings] == ["too_few"]


def test_a_model_without_a_price_is_said_and_not_free(cast: Cast):
    sample = read(cast, usage(), asked=Asked(model="claude-unheard-of"))

    (one,) = reports.report(sample, NOW).models

    assert one.profile.mean_cost is None
    assert [warned.code for warned in one.warnings] == ["unpriced"]


# --- Unlike the actual traffic ------------------------------------------------------


def codes(sample: Sample) -> list[str]:
    (one,) = reports.report(sample, NOW).models
    return [warned.code for warned in one.warnings if warned.code == "unlike_actual"]


@pytest.fixture
def actual(cast: Cast) -> None:
    """Yesterday the team made 20 requests of 1,000 tokens in and 10 out."""
    spending.spend(cast, 20, occurred_at=(NOW - timedelta(days=1)).isoformat())


@pytest.mark.usefixtures("actual")
@pytest.mark.parametrize(
    ("counts", "differences"),
    [
        ({}, 0),
        ({"input_tokens": 1900, "output_tokens": 19}, 0),
        ({"input_tokens": 2100}, 1),
        ({"output_tokens": 4}, 1),
        ({"input_tokens": 790, "cache_read_input_tokens": 210}, 1),
        ({"input_tokens": 3000, "output_tokens": 30, "cache_read_input_tokens": 3000}, 3),
    ],
)
def test_a_sample_of_another_kind_than_the_traffic_is_warned_of(
    cast: Cast, counts: dict[str, int], differences: int
):
    assert len(codes(read(cast, *[usage(**counts)] * 20))) == differences


@pytest.mark.usefixtures("actual")
def test_the_sentence_has_both_figures(cast: Cast):
    (one,) = reports.report(read(cast, usage(input_tokens=8000)), NOW).models

    assert [warned.sentence for warned in one.warnings][-1] == (
        "Unlike the actual traffic: a request here has 8,000 tokens in, one of the last 14 "
        "days 1,000."
    )


def test_without_enough_traffic_nothing_is_compared(cast: Cast):
    spending.spend(cast, 19, occurred_at=(NOW - timedelta(days=1)).isoformat())

    assert codes(read(cast, usage(input_tokens=9000))) == []


@pytest.mark.usefixtures("actual")
def test_a_sample_for_a_project_is_compared_with_that_project(cast: Cast):
    assert codes(read(cast, usage(input_tokens=9000), project=cast.triage)) == []
    assert codes(read(cast, usage(input_tokens=9000), project=cast.answers)) != []


# --- From a project -----------------------------------------------------------------


def test_a_project_has_its_last_whole_days(cast: Cast):
    # Berlin: the day begins at 23:00 UTC.
    for moment in (
        "2026-11-07T22:59:59Z",
        "2026-11-07T23:00:00Z",
        "2026-11-21T22:59:59Z",
        "2026-11-21T23:00:00Z",
    ):
        spending.spend(cast, 1, occurred_at=moment)

    sample = of_project(cast)

    assert (sample.records, sample.of_records) == (2, 2)
    assert (sample.since, sample.until) == (date(2026, 11, 8), date(2026, 11, 22))


def test_days_of_two_months_are_both_there(cast: Cast):
    for moment in ("2026-10-31T12:00:00Z", "2026-11-01T12:00:00Z"):
        spending.spend(cast, 1, occurred_at=moment)

    assert of_project(cast, days=31).records == 2


def test_of_a_project_only_its_own_records_that_are_not_void(cast: Cast):
    spending.spend(cast, 1, id="gone", occurred_at="2026-11-20T12:00:00Z")
    spending.spend(cast, 1, occurred_at="2026-11-20T12:00:00Z")
    spending.spend(cast, 1, project="triage", occurred_at="2026-11-20T12:00:00Z")
    gone = UsageRecord.objects.get(team_id=cast.search.pk, record_id="gone")
    voids.void(team=cast.search, uids=[gone.uid], reason="Twice.", by="lead", now=NOW)
    post.count(team_id=cast.search.pk, now=NOW)

    assert of_project(cast).records == 1


def test_steps_and_thinking_of_a_record_are_kept(cast: Cast):
    iterations = [
        {"type": "message", "input_tokens": 5, "output_tokens": 9},
        {
            "type": "advisor_message",
            "model": "claude-sonnet-5",
            "input_tokens": 7,
            "output_tokens": 2,
        },
    ]
    several = {
        **usage(output_tokens=9, input_tokens=5),
        "iterations": iterations,
        "output_tokens_details": {"thinking_tokens": 4},
    }
    spending.spend(cast, 1, usage=several, occurred_at="2026-11-20T12:00:00Z")

    (its,) = of_project(cast).usages(NOW)

    assert [step.model for step in its.steps] == ["claude-opus-5-5", "claude-sonnet-5"]
    assert (its.quantities, its.thinking) == (Quantities(input=12, output=11), 4)


def test_of_how_many_they_were_chosen_is_said(cast: Cast):
    spending.spend(cast, 1, occurred_at="2026-11-20T12:00:00Z")
    sample = of_project(cast)
    sample.of_records = 250_000

    assert reports.report(sample, NOW).read[1] == (
        "They were chosen evenly, by a hash of their ids, of 250,000 records."
    )


def sampled(cast: Cast, most: int) -> Sampled:
    return recorded.sampled(
        team_id=cast.search.pk,
        project_id=cast.answers.pk,
        since=NOW - timedelta(days=5),
        until=NOW,
        most=most,
    )


def test_what_is_chosen_is_chosen_of_all_alike(cast: Cast):
    for output in (10, 20, 30, 40):
        changed = {"input_tokens": 1, "output_tokens": output}
        spending.spend(cast, 200, usage=changed, occurred_at="2026-11-20T12:00:00Z")

    found, again = sampled(cast, 400), sampled(cast, 400)

    assert found == again
    outputs = [one.quantities.output for one in found.usages]
    assert found.of == 800
    assert 280 <= len(outputs) <= 400
    assert all(50 <= outputs.count(output) <= 120 for output in (10, 20, 30, 40))


@pytest.mark.parametrize("days", [0, 32])
def test_days_have_bounds(cast: Cast, days: int):
    with pytest.raises(ValidationError, match="1 to 31"):
        of_project(cast, days=days)


def test_a_project_without_records_makes_no_sample(cast: Cast):
    with pytest.raises(ValidationError, match="no record"):
        of_project(cast)

    assert not Sample.objects.exists()


# --- History ------------------------------------------------------------------------


def test_who_made_and_who_deleted_a_sample_is_written_down(cast: Cast):
    sample = read(cast, usage(), name="Answers of Monday")
    samples.delete(sample=sample, by="finance", now=NOW)

    written = AuditEvent.objects.filter(action__startswith="sample.").order_by("pk")
    said = {"name": "Answers of Monday", "source": "paste", "records": 1}
    assert list(written.values_list("action", "actor", "before", "after")) == [
        ("sample.create", "lead", None, said),
        ("sample.delete", "finance", said, None),
    ]


# --- As levers ----------------------------------------------------------------------


def call(model: str, **counts: Any) -> dict[str, Any]:
    return {"model": model, "usage": usage(**counts)}


def as_levers(sample: Sample, **changes: Any) -> levers.Sampled:
    found = levers.sampled(sample, NOW, **changes)
    assert found is not None
    return found


def named(name: str) -> LanguageModel:
    return LanguageModel.objects.get(name=name, provider="anthropic")


def test_each_model_of_a_sample_has_the_sizes_of_its_own_requests(cast: Cast):
    opus, haiku = named("claude-opus-5-5"), named("claude-haiku-4-5")
    sample = read(
        cast,
        *[call(opus.name, input_tokens=700, output_tokens=70)] * 3,
        *[call(haiku.name, input_tokens=90, output_tokens=9)] * 2,
    )

    found = as_levers(sample)
    other = as_levers(sample, reference=haiku)

    assert (found.reference, other.reference) == (opus, haiku)
    sizes = {
        pk: (its[Scenario.MEDIUM].input_tokens, its[Scenario.MEDIUM].output_tokens)
        for pk, its in found.own.items()
    }
    assert sizes == {opus.pk: (700, 70), haiku.pk: (90, 9)}
    assert found.shapes == found.own[opus.pk]
    assert other.shapes == found.own[haiku.pk]
    assert [(one.model, one.share_percent) for one in found.models] == [
        (opus, 60),
        (haiku, 40),
    ]


def test_where_half_of_the_requests_cache_their_prefix_stays_long_enough(cast: Cast):
    """600 each is cached by Opus from 512 on; the mean of all would be 300."""
    cached = {"cache_read_input_tokens": 540, "cache_creation_input_tokens": 60}
    sample = read(cast, *[usage(**cached)] * 5, *[usage()] * 5)

    found = as_levers(sample)

    its = found.shapes[Scenario.MEDIUM]
    assert (its.prefix_tokens, its.prefix_percent, its.hit_percent) == (600, 50, 90)
    assert found.models[0].share(Scenario.MEDIUM).caches(its)
    used = quantities(its, found.models[0].share(Scenario.MEDIUM), 100)
    assert (used.cache_read, used.cache_write_5m) == (45 * 600, 5 * 600)


def test_sound_is_planned_as_it_is_and_said(cast: Cast):
    details = {"audio_tokens": 40}
    chat = {"prompt_tokens": 100, "completion_tokens": 20, "prompt_tokens_details": details}
    sample = read(cast, *[chat] * 4, asked=Asked(provider="openai", model="gpt-5.4"))

    its = as_levers(sample).shapes[Scenario.HEAVY]

    assert (its.input_tokens, its.input_audio_per_1000) == (60, 40_000)
    assert reports.report(sample, NOW).in_estimates == [
        (
            "Of gpt-5.4 160 input tokens of sound are taken as so many in 1,000 requests, "
            "light or heavy, on every model that has a price for them."
        )
    ]


def test_what_gets_no_share_of_a_project_is_counted_as_the_others(cast: Cast):
    """Six requests in two days, one of them of a fifth model: three a day are planned."""
    names = ("claude-opus-5-5", "claude-sonnet-5", "claude-haiku-4-5", "claude-opus-4-6")
    for number, name in enumerate([names[0], *names, "claude-opus-4-5"]):
        spending.spend(
            cast, 1, id=f"r-{number}", model=name, occurred_at="2026-11-20T12:00:00Z"
        )
    sample = of_project(cast, days=2)

    found = levers.sampled(sample, NOW)

    assert found is not None
    assert found.shapes[Scenario.MEDIUM].requests_per_day == 3
    assert sum(one.share_percent for one in found.models) == 100
    (left,) = {one.model for one in sample.profiles(NOW)} - {
        one.model.key for one in found.models
    }
    assert found.source.endswith(
        "Requests of models that get no share are counted as requests of the others, with "
        f"their sizes and prices: 1 of {left}."
    )


def test_what_a_sample_says_of_itself_is_no_longer_than_may_be_typed(cast: Cast):
    unheard = [call(f"claude-unheard-of-{number}") for number in range(100)]

    found = levers.sampled(read(cast, call("claude-opus-5-5"), *unheard), NOW)

    assert found is not None
    assert len(found.source) == 2_000
    assert found.source.startswith("Sizes are those of sample #")
    assert found.source.endswith("…")


def test_what_an_estimate_leaves_out_is_counted(cast: Cast):
    fast = {"model": "claude-opus-5-5", "usage": usage(speed="fast")}
    sample = read(cast, call("claude-unheard-of"), *[fast] * 2, call("claude-opus-5-5"))

    said = reports.report(sample, NOW).in_estimates

    assert said == [
        (
            "Left out are requests of models that get no share: 1 of anthropic/"
            "claude-unheard-of."
        ),
        (
            "Planned at global, standard prices are 2 of 3 requests that were fast, flex, "
            "at a priority or bound to a place."
        ),
    ]
    assert all(sentence in as_levers(sample).source for sentence in said)


def test_searches_of_few_requests_are_planned(cast: Cast):
    searched = usage(server_tool_use={"web_search_requests": 1})
    sample = read(cast, *[{"usage": searched}] * 3, *[{"usage": usage()}] * 7)

    found = levers.sampled(sample, NOW)

    assert found is not None
    assert found.shapes[Scenario.MEDIUM].searches_per_1000 == 300
