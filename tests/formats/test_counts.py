import pytest

from billing.formats.counts import check_total, rest
from billing.formats.errors import RecordError


def test_rest_is_what_the_parts_leave() -> None:
    assert rest(10, {"/a": 3, "/b": 4}, "input") == 3
    assert rest(7, {"/a": 3, "/b": 4}, "input") == 0
    assert rest(5, {}, "input") == 5


@pytest.mark.parametrize(
    ("parts", "pointer", "said"),
    [
        ({"/a": 11, "/b": 0}, "/a", "11 tokens exceed the 10 of input."),
        ({"/a": 8, "/b": 3}, "/b", "3 tokens with the other parts exceed the 10 of input."),
    ],
)
def test_parts_beyond_the_total_are_refused_at_their_place(parts, pointer, said) -> None:
    with pytest.raises(RecordError) as caught:
        rest(10, parts, "input")

    assert (caught.value.code, caught.value.pointer) == ("contradiction", pointer)
    assert caught.value.detail == said


def test_total_is_the_sum_or_not_told() -> None:
    check_total(None, 7, "/total")
    check_total(7, 7, "/total")
    for other in (6, 8, 0):
        with pytest.raises(RecordError, match="contradiction at /total"):
            check_total(other, 7, "/total")
