"""Records that are taken back and corrected, by several at once, while all is running."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.chaos.service import Client, Service, await_that
from tests.journeys.test_prices import call

pytestmark = pytest.mark.xdist_group("journeys")

SECONDS = 30
AT_ONCE = 6


def shown(demo: Client, record_id: str) -> Any:
    return demo.get(f"usage/{record_id}").body


def status(demo: Client, record: dict[str, Any]) -> str:
    reply = demo.post("usage?verbose=1", record)
    return str(reply.body["results"][0]["status"])


def all_at_once(act: Any, things: list[Any]) -> list[Any]:
    with ThreadPoolExecutor(len(things)) as pool:
        return list(pool.map(act, things))


def test_of_many_corrections_at_the_same_time_one_is_taken(
    service: Service, demo: Client
) -> None:
    demo.post("usage", call("to-correct"))
    others = [
        {**call(f"correction-{number}"), "corrects": "to-correct"}
        for number in range(AT_ONCE)
    ]

    answers = all_at_once(lambda one: status(demo, one), others)

    assert sorted(answers) == ["accepted", *["conflict"] * (AT_ONCE - 1)]
    taken = others[answers.index("accepted")]["id"]
    await_that(lambda: shown(demo, taken)["state"] == "priced", SECONDS, "counted")
    old = shown(demo, "to-correct")
    assert (old["state"], old["corrected_by"]) == ("void", taken)
    assert shown(demo, taken)["corrects"] == "to-correct"
    service.manage("verify_ledger")


def test_the_same_correction_many_times_at_once_is_one(
    service: Service, demo: Client
) -> None:
    demo.post("usage", call("to-correct-once"))
    one = {**call("the-correction"), "corrects": "to-correct-once"}

    answers = all_at_once(lambda posted: status(demo, posted), [one] * AT_ONCE)

    assert sorted(answers) == ["accepted", *["duplicate"] * (AT_ONCE - 1)]
    await_that(
        lambda: shown(demo, "the-correction")["state"] == "priced", SECONDS, "counted"
    )
    service.manage("verify_ledger")


def test_a_correction_and_a_plain_record_of_one_id_at_once(
    service: Service, demo: Client
) -> None:
    """Whichever comes first stands; the other one has no effect at all."""
    for number in range(10):
        demo.post("usage", call(f"to-correct-{number}"))
    for number in range(10):
        plain = call(f"twofold-{number}")
        both = [plain, {**plain, "corrects": f"to-correct-{number}"}]

        answers = all_at_once(lambda posted: status(demo, posted), both)

        assert sorted(answers) == ["accepted", "conflict"]
        is_void = shown(demo, f"to-correct-{number}")["state"] == "void"
        assert is_void == (answers[1] == "accepted")
    await_that(lambda: shown(demo, "twofold-9")["state"] == "priced", SECONDS, "counted")
    service.manage("verify_ledger")


def test_a_void_asked_for_many_times_at_once_is_one(service: Service, demo: Client) -> None:
    demo.post("usage", call("to-take-back"))
    await_that(lambda: shown(demo, "to-take-back")["state"] == "priced", SECONDS, "counted")

    replies = all_at_once(
        lambda reason: demo.post("usage/to-take-back/void", {"reason": reason}),
        [f"reason {number}" for number in range(AT_ONCE)],
    )

    assert {reply.status for reply in replies} == {200}
    assert len({reply.body["void"]["reason"] for reply in replies}) == 1
    await_that(
        lambda: [one["leg"] for one in shown(demo, "to-take-back")["history"]] == [0, -1],
        SECONDS,
        "its charge is taken back",
    )
    service.manage("verify_ledger")
