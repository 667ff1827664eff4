import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.formats.anthropic_iterations import shares
from billing.formats.anthropic_payload import Writes
from billing.pricing.token_classes import NOTHING, Quantities
from billing.pricing.usage import Step

OWN = "claude-opus-5"
OTHER = "claude-fable-5"


def entry(kind="message", model=None, writes=0, split=None, **counts):
    made = {
        "type": kind,
        "model": model,
        "input_tokens": 1,
        "output_tokens": 1,
        "cache_creation_input_tokens": writes,
        **counts,
    }
    if split is not None:
        five_minutes, one_hour = split
        made["cache_creation"] = {
            "ephemeral_5m_input_tokens": five_minutes,
            "ephemeral_1h_input_tokens": one_hour,
        }
    return made


def of(*entries, split=None, **more):
    """A usage object with these entries; beside them the totals say something else."""
    usage = {"input_tokens": 777, "output_tokens": 777, "iterations": list(entries), **more}
    if split is not None:
        five_minutes, one_hour = split
        usage["cache_creation_input_tokens"] = five_minutes + one_hour
        usage["cache_creation"] = {
            "ephemeral_5m_input_tokens": five_minutes,
            "ephemeral_1h_input_tokens": one_hour,
        }
    return usage


def written(usage) -> list[tuple[int, int]]:
    return [
        (step.quantities.cache_write_5m, step.quantities.cache_write_1h)
        for step in usage.steps
    ]


# --- Which entries are billed, and at which model


def test_every_entry_is_a_step_at_its_own_model(read) -> None:
    usage = read(
        of(
            entry("compaction", input_tokens=100),
            entry("message", input_tokens=20, cache_read_input_tokens=5),
            entry("advisor_message", OTHER, input_tokens=30),
            entry("message", OWN, output_tokens=4),
        )
    )

    assert usage.steps == (
        Step(OWN, Quantities(100, output=1)),
        Step(OWN, Quantities(20, cache_read=5, output=1)),
        Step(OTHER, Quantities(30, output=1)),
        Step(OWN, Quantities(1, output=4)),
    )
    assert usage.flags == ()
    assert not usage.reproducible


def test_single_entry_at_the_own_model_is_one_call(read) -> None:
    usage = read(of(entry(input_tokens=5)))

    assert usage.steps == (Step(OWN, Quantities(5, output=1)),)
    assert usage.reproducible


@pytest.mark.parametrize("name", [f"{OWN}-20260801", f"{OWN}[1m]", f"{OWN}@default"])
def test_own_model_by_another_spelling_is_the_own_model(read, name) -> None:
    usage = read(of(entry(model=name, writes=6), split=(2, 4)))

    assert usage.steps == (Step(OWN, Quantities(1, 2, 4, 0, 1)),)


@pytest.mark.parametrize("kind", ["advisor_message", "fallback_message"])
def test_advisor_and_fallback_have_to_name_their_model(refused, kind) -> None:
    error = refused(of(entry(), entry(kind)))

    assert (error.code, error.pointer) == ("missing_field", "/usage/iterations/1/model")


def test_attempt_declined_before_output_is_not_billed(read) -> None:
    usage = read(
        of(
            entry("message", OTHER, input_tokens=535, output_tokens=0),
            entry("fallback_message", OWN, input_tokens=412),
        )
    )

    assert usage.steps == (Step(OWN, Quantities(412, output=1)),)
    assert usage.reproducible


def test_attempt_declined_after_output_is_billed(read) -> None:
    usage = read(
        of(entry("message", OTHER, output_tokens=1), entry("fallback_message", OWN))
    )

    assert [step.model for step in usage.steps] == [OTHER, OWN]


def test_every_declined_attempt_of_a_chain_is_free(read) -> None:
    usage = read(
        of(
            entry("message", OTHER, output_tokens=0),
            entry("fallback_message", "claude-opus-5-5", output_tokens=0),
            entry("compaction"),
            entry("fallback_message", OWN, input_tokens=9),
        )
    )

    assert usage.steps == (
        Step(OWN, Quantities(1, output=1)),
        Step(OWN, Quantities(9, output=1)),
    )


@pytest.mark.parametrize(
    "entries",
    [
        [entry(output_tokens=0), entry()],
        [entry(output_tokens=0)],
        [entry(), entry("fallback_message", OWN, output_tokens=0)],
        [entry("compaction", output_tokens=0), entry("fallback_message", OWN)],
        [entry("advisor_message", OTHER, output_tokens=0), entry("fallback_message", OWN)],
        [entry(output_tokens=0), entry(), entry("fallback_message", OWN)],
    ],
)
def test_call_without_output_that_no_fallback_follows_is_billed(read, entries) -> None:
    assert len(read(of(*entries)).steps) == len(entries)


def test_refusal_is_seen_through_the_entries(read) -> None:
    refusal = {"stop_reason": "refusal"}
    silent = entry("fallback_message", OWN, output_tokens=0)

    assert read(of(silent), **refusal).unbilled == "refused_before_output"
    assert read(of(entry(), silent), **refusal).unbilled == ""
    assert read(of(entry(), silent), content_empty=True, **refusal).unbilled


@pytest.mark.parametrize("kind", ["brand_new", None])
def test_entry_of_an_unknown_type_is_billed_and_flagged(read, kind) -> None:
    usage = read(of(entry(kind, input_tokens=5), entry(kind, OTHER, input_tokens=6)))

    assert [step.model for step in usage.steps] == [OWN, OTHER]
    assert usage.flags == ("unknown_iteration_type",)


def test_entry_that_used_nothing_is_no_step(read) -> None:
    nothing = {"input_tokens": 0, "output_tokens": 0}

    assert read(of(entry(), entry("advisor_message", OTHER, **nothing))).steps == (
        Step(OWN, Quantities(1, output=1)),
    )
    assert read(of(entry(**nothing))).steps == (Step(OWN, NOTHING),)


# --- Web searches


def test_searches_belong_to_the_last_call_at_the_own_model(read) -> None:
    searches = {"server_tool_use": {"web_search_requests": 3}}
    usage = read(
        of(entry(), entry(input_tokens=2), entry("advisor_message", OTHER), **searches)
    )

    assert [step.quantities.web_search for step in usage.steps] == [0, 3, 0]


def test_searches_without_a_call_at_the_own_model_are_a_step(read) -> None:
    searches = {"server_tool_use": {"web_search_requests": 3}}

    assert read(of(entry("message", OTHER), **searches)).steps == (
        Step(OTHER, Quantities(1, output=1)),
        Step(OWN, Quantities(web_search=3)),
    )


# --- The cache split


def test_entry_with_a_split_keeps_it(read) -> None:
    usage = read(of(entry(writes=10, split=(4, 6)), split=(99, 1)))

    assert written(usage) == [(4, 6)]
    assert usage.flags == ()


def test_incomplete_split_of_an_entry_is_flagged(read) -> None:
    usage = read(of(entry(writes=10, split=(1, 6))))

    assert written(usage) == [(4, 6)]
    assert usage.flags == ("cache_split_incomplete",)


def test_split_of_an_entry_larger_than_its_total_is_refused(refused) -> None:
    error = refused(of(entry(), entry(writes=10, split=(5, 6))))

    assert (error.code, error.pointer) == (
        "contradiction",
        "/usage/iterations/1/cache_creation",
    )


def test_without_any_split_writes_live_five_minutes(read) -> None:
    usage = read(of(entry(writes=10), entry(writes=5), cache_creation_input_tokens=15))

    assert written(usage) == [(10, 0), (5, 0)]
    assert usage.flags == ()


def test_own_writes_are_divided_together(read) -> None:
    usage = read(of(entry(writes=2793), entry(writes=2021), split=(2021, 2793)))

    five_minutes, one_hour = map(sum, zip(*written(usage), strict=True))
    assert (five_minutes, one_hour) == (2021, 2793)
    assert [sum(pair) for pair in written(usage)] == [2793, 2021]
    assert usage.flags == ()


def test_writes_at_other_models_live_five_minutes(read) -> None:
    usage = read(
        of(entry(writes=10), entry("advisor_message", OTHER, writes=7), split=(0, 10))
    )

    assert written(usage) == [(0, 10), (7, 0)]
    assert usage.flags == ()


def test_entries_with_a_split_are_taken_out_first(read) -> None:
    usage = read(of(entry(writes=10, split=(10, 0)), entry(writes=6), split=(10, 6)))

    assert written(usage) == [(10, 0), (0, 6)]
    assert usage.flags == ()


def test_writes_beyond_the_split_follow_its_proportion(read) -> None:
    compaction = entry("compaction", writes=300)
    usage = read(of(compaction, entry(writes=100), split=(75, 25)))

    assert written(usage) == [(225, 75), (75, 25)]
    assert usage.flags == ("cache_split_incomplete",)


def test_writes_beside_an_empty_split_live_five_minutes(read) -> None:
    usage = read(of(entry("compaction", writes=300), split=(0, 0)))

    assert written(usage) == [(300, 0)]
    assert usage.flags == ("cache_split_incomplete",)


TOTALS = st.lists(st.integers(0, 10**12), min_size=1, max_size=8)


@given(TOTALS, st.data())
def test_shares_are_exact_to_the_token(totals, data) -> None:
    one_hour = data.draw(st.integers(0, sum(totals)))
    split = Writes(sum(totals) - one_hour, one_hour)

    found = shares(totals, split)

    assert [share.five_minutes + share.one_hour for share in found] == totals
    assert sum(share.one_hour for share in found) == one_hour
    assert all(share.five_minutes >= 0 and share.one_hour >= 0 for share in found)
    assert all(share.complete for share in found)


@given(TOTALS, st.integers(0, 10**12), st.integers(0, 10**12))
def test_shares_keep_every_total(totals, five_minutes, one_hour) -> None:
    found = shares(totals, Writes(five_minutes, one_hour))

    assert [share.five_minutes + share.one_hour for share in found] == totals
    assert all(share.five_minutes >= 0 and share.one_hour >= 0 for share in found)
