"""Raises over the API of a running service: whoever decides at the same moment, one thing
comes of it."""

import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from tests.chaos.service import Client, Reply, Service

pytestmark = pytest.mark.xdist_group("journeys")

AT_ONCE = 8
ROUNDS = 5

MAKE = f"""
from django.utils import timezone
from teams.actions import api_keys, organizations, teams
from teams.models.api_keys import Scope
made = {{"by": "tests", "now": timezone.now()}}
organization = organizations.create(
    name="raises", slug="raises", time_zone="Europe/Berlin", **made)
teams.create(organization=organization, name="alpha", slug="alpha", **made)
for number in range({AT_ONCE + 1}):
    _, secret = api_keys.issue(
        organization=organization, name=f"key {{number}}", scopes=list(Scope), **made)
    print(secret)
"""


def at_once(acts: list[Callable[[], Reply]]) -> list[Reply]:
    """What each is answered; they begin together."""
    together = threading.Barrier(len(acts))
    replies: list[Reply] = []

    def begin(act: Callable[[], Reply]) -> None:
        together.wait()
        replies.append(act())

    threads = [threading.Thread(target=begin, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(replies) == len(acts)
    return replies


def approving(client: Client, asked: dict[str, Any]) -> Callable[[], Reply]:
    return lambda: client.post(f"raises/{asked['id']}/approve", {})


def declining(client: Client, asked: dict[str, Any]) -> Callable[[], Reply]:
    return lambda: client.post(f"raises/{asked['id']}/decline", {})


def test_whoever_decides_at_once_one_thing_comes_of_it(service: Service) -> None:
    lead, *deciders = [
        service.client(key, timeout=30) for key in service.shell(MAKE).split()
    ]
    budget = lead.post("budgets", {"team": "alpha", "amount": "100"}).body["id"]
    cap, revisions = 100, 1

    for number in range(ROUNDS):
        asked = at_once(
            [
                lambda amount=cap + 10: lead.post(
                    f"budgets/{budget}/raises", {"amount": str(amount), "reason": "More."}
                )
            ]
            * 2
        )
        assert {reply.status for reply in asked} == {201}
        (one,) = {reply.body["id"]: reply.body for reply in asked}.values()
        steps = [approving] if number % 2 else [approving, declining]
        replies = at_once(
            [
                steps[place % len(steps)](client, one)
                for place, client in enumerate(deciders)
            ]
        )

        assert Counter(reply.status for reply in replies) == {200: 1, 409: AT_ONCE - 1}
        after = lead.get(f"raises/{one['id']}").body
        assert len(after["decisions"]) == 1
        if after["state"] == "approved":
            cap, revisions = cap + 10, revisions + 1
        assert after["state"] in ("approved", "declined")
        shown = lead.get(f"budgets/{budget}").body
        assert (shown["cap"], shown["revision"]) == (str(cap), revisions)
        listed = lead.get(f"budgets/{budget}/revisions").body["data"]
        assert len(listed) == revisions

    assert cap > 100
