"""Token buckets: what is taken, what is left, when there is more. No clock runs here."""

from threading import Barrier, Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teams.token_buckets import SECOND, TokenBucket

MINUTE = 60 * SECOND
START = 1_000 * SECOND  # a clock that does not begin at zero


def bucket_after(*takes: tuple[int, int], limit: int) -> TokenBucket:
    """Of (tokens, seconds since the start)."""
    bucket = TokenBucket()
    for tokens, seconds in takes:
        bucket.take(tokens, limit=limit, at=START + seconds * SECOND)
    return bucket


def test_new_bucket_is_full():
    level = TokenBucket().look(limit=60, at=START)

    assert (level.limit, level.left, level.full_in) == (60, 60, 0)


def test_what_is_taken_comes_back_steadily():
    bucket = bucket_after((60, 0), limit=60)

    seen = [
        bucket.look(limit=60, at=START + seconds * SECOND) for seconds in (0, 1, 30, 60, 99)
    ]

    assert [level.left for level in seen] == [0, 1, 30, 60, 60]
    assert [level.full_in // SECOND for level in seen] == [60, 59, 30, 0, 0]


def test_what_is_not_there_is_not_taken_and_the_wait_is_exact():
    bucket = bucket_after((50, 0), limit=60)

    refused = bucket.take(30, limit=60, at=START)

    assert (refused.left, refused.wait) == (10, 20 * SECOND)
    assert bucket.take(30, limit=60, at=START + refused.wait - 1).wait == 1
    assert bucket.take(30, limit=60, at=START + refused.wait).wait == 0


def test_more_than_a_window_is_taken_from_a_full_bucket_and_owed():
    bucket = TokenBucket()

    assert bucket.take(1_000, limit=60, at=START).wait == 0

    owing = bucket.look(limit=60, at=START)
    assert (owing.left, owing.full_in) == (0, 1_000 * SECOND)
    assert bucket.take(1, limit=60, at=START).wait == (1_000 - 59) * SECOND
    assert bucket.take(1, limit=60, at=START + 941 * SECOND).wait == 0


def test_more_than_a_window_waits_for_a_full_bucket():
    bucket = bucket_after((1, 0), limit=60)

    assert bucket.take(1_000, limit=60, at=START).wait == SECOND


def test_another_limit_holds_at_once():
    bucket = bucket_after((60, 0), limit=60)

    assert bucket.look(limit=6_000, at=START + SECOND).left == 100
    assert bucket.take(2, limit=60, at=START + SECOND).wait == SECOND


def test_what_was_taken_is_told_once():
    bucket = bucket_after((6, 0), (6, 1), limit=60)

    assert [bucket.tell(), bucket.tell()] == [12 * SECOND, 0]


def test_what_could_not_be_handed_on_is_told_again():
    bucket = bucket_after((6, 0), limit=60)
    told = bucket.tell()
    bucket.take(6, limit=60, at=START)

    bucket.untell(told)

    assert bucket.tell() == 12 * SECOND


@pytest.mark.parametrize(("by_all", "left"), [(0, 60), (30, 30), (60, 0), (600, 0)])
def test_what_all_took_counts_and_not_what_one_process_knew(by_all: int, left: int):
    bucket = bucket_after((20, 0), limit=60)
    bucket.tell()

    bucket.agree(by_all * SECOND, at=START)

    assert bucket.look(limit=60, at=START).left == left


def test_what_was_taken_while_others_were_asked_is_not_forgotten():
    bucket = bucket_after((20, 0), limit=60)
    told = bucket.tell()
    bucket.take(5, limit=60, at=START)

    bucket.agree(told, at=START)

    assert bucket.look(limit=60, at=START).left == 35
    assert bucket.tell() == 5 * SECOND


def test_threads_take_no_token_twice():
    bucket, taken, barrier = TokenBucket(), list[int](), Barrier(8)

    def take() -> None:
        barrier.wait()
        for _ in range(500):
            if not bucket.take(1, limit=1_000, at=START).wait:
                taken.append(1)

    threads = [Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(taken) == 1_000


# Divisors of a minute: a token is a whole number of nanoseconds.
LIMITS = st.sampled_from([1, 60, 1_000, 6_000_000, 60_000_000])
STEPS = st.lists(
    st.tuples(st.integers(1, 5_000), st.integers(0, 90 * SECOND)), min_size=1, max_size=40
)


@given(limit=LIMITS, steps=STEPS)
def test_a_bucket_agrees_with_one_that_is_filled_by_hand(limit: int, steps: list):
    """The same, kept as fractions of tokens that are poured in, by another reckoning."""
    bucket, now = TokenBucket(), START
    held = capacity = limit * MINUTE  # of a token so many parts as a minute has
    for tokens, pause in steps:
        now += pause
        held = min(held + pause * limit, capacity)

        level = bucket.take(tokens, limit=limit, at=now)

        if held >= min(tokens * MINUTE, capacity):
            held -= tokens * MINUTE
            assert level.wait == 0
        else:
            lacking = min(tokens * MINUTE, capacity) - held
            assert level.wait == -(-lacking // limit)
        assert level.left == max(held, 0) // MINUTE


@given(limit=st.integers(1, 60_000_000), steps=STEPS)
def test_a_refusal_says_when_it_would_have_been_taken(limit: int, steps: list):
    bucket, now = TokenBucket(), START
    for tokens, pause in steps:
        now += pause
        level = bucket.take(tokens, limit=limit, at=now)
        if level.wait:
            assert bucket.take(tokens, limit=limit, at=now + level.wait).wait == 0
            now += level.wait
        assert level.left <= limit
