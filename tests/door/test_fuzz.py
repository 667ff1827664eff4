"""Any bytes at all: answered as documented, kept exactly as answered, at a bounded cost.

`make fuzz` does the same for as long as one likes.
"""

from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck, given, seed, settings

from tests.door import bodies, fuzzing
from tests.door.fuzzing import Watch
from tests.door.installation import Door

# One seed: what fails here failed because of a change. Time is shared with other tests.
steady: Callable[..., settings] = settings(
    deadline=None, database=None, suppress_health_check=list(HealthCheck), print_blob=True
)


@pytest.fixture(scope="module")
def watch(running_door: Door) -> Iterator[Watch]:
    running_door.forget()
    with running_door.sql() as connection:
        fuzzing.warm_up(Watch(running_door, connection))
        watched = Watch(running_door, connection)
        yield watched
        assert watched.growth_mb <= fuzzing.MAX_GROWTH_MB


@seed(1)
@settings(steady, max_examples=400)
@given(bodies.bodies, bodies.content_types)
def test_any_body_is_read_or_refused(content: bytes, content_type: str):
    fuzzing.check_reading(content, content_type)


@pytest.mark.parametrize("number", range(len(bodies.HUGE)))
def test_the_longest_bodies_are_answered_at_a_bounded_cost(watch: Watch, number: int):
    watch.check(bodies.HUGE[number])
    watch.check_quote(bodies.HUGE[number])


@seed(1)
@settings(steady, max_examples=150)
@given(content=bodies.bodies, content_type=bodies.content_types)
def test_the_ledger_holds_what_was_answered(
    watch: Watch, content: bytes, content_type: str
):
    watch.check(content, content_type)
    watch.check_quote(content, content_type)


def test_what_was_posted_before_is_a_duplicate_and_other_content_a_conflict(watch: Watch):
    """The check itself knows all four outcomes."""
    one = bodies.encoded(fuzzing.record(id="a"))
    other = one.replace(b": 1000", b": 7")

    watch.check(b"[" + b",".join([one, one, other, b"{}"]) + b"]")
