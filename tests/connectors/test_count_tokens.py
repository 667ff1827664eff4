"""Counting at the provider: against a server of our own with its documented answers.

The shapes are those of the provider's API reference; no request leaves this machine.
"""

import json

import pytest

from billing.connectors import count_tokens
from billing.connectors.count_tokens import NotCounted
from tests import receivers
from tests.receivers import Receiver

TEXT = "How many tokens am I? \N{SNOWMAN}"
KEY = "sk-ant-of-a-test"


def counted(receiver: Receiver, text: str = TEXT) -> int:
    return count_tokens.count(
        text,
        "claude-opus-5-5",
        api_key=KEY,
        url=f"http://{receiver.place}/",
        allow=frozenset({receiver.place}),
    )


def test_the_text_is_sent_as_one_message_and_its_count_comes_back():
    answer = receivers.answers(200, b'{"input_tokens": 14}')

    with receivers.receiving(answer) as receiver:
        assert counted(receiver) == 14

    (request,) = receiver.requests
    assert request.path == "/v1/messages/count_tokens"
    assert request.headers["x-api-key"] == KEY
    assert request.headers["anthropic-version"] == "2023-06-01"
    assert json.loads(request.body) == {
        "model": "claude-opus-5-5",
        "messages": [{"role": "user", "content": TEXT}],
    }


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (
            401,
            b'{"type": "error", "error": {"type": "authentication_error"}}',
            "not accepted",
        ),
        (404, b'{"type": "error", "error": {"type": "not_found_error"}}', "no such model"),
        (413, b"", "too long"),
        (429, b"", "too often"),
        (529, b"overloaded", "529"),
        (302, b"", "302"),
        (200, b"", "no count"),
        (200, b"<html>", "no count"),
        (200, b'{"input_tokens": "14"}', "no count"),
        (200, b"\xff", "no count"),
    ],
)
def test_without_a_count_it_says_why_and_nothing_of_the_text(
    status: int, body: bytes, said: str
):
    with (
        receivers.receiving(receivers.answers(status, body)) as receiver,
        pytest.raises(NotCounted, match=said) as caught,
    ):
        counted(receiver)

    assert TEXT not in str(caught.value)
    assert KEY not in str(caught.value)


def test_a_provider_that_hangs_up_is_no_answer():
    with receivers.receiving(receivers.hangs_up) as receiver, pytest.raises(NotCounted):
        counted(receiver)


def test_a_private_address_is_not_called():
    with (
        receivers.receiving(receivers.answers(200)) as receiver,
        pytest.raises(NotCounted, match="https"),
    ):
        count_tokens.count(
            TEXT,
            "claude-opus-5-5",
            api_key=KEY,
            url=f"http://{receiver.place}",
            allow=frozenset(),
        )

    assert receiver.connections == 0
