"""Requests that docs/openapi.yaml allows, and nearly allows, to a running door.

Each answer has to be documented: its status, its content type, its shape, its code. None
is a 5xx.
"""

from collections import Counter
from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis import APIOperation, Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.builders import body, record
from tests.chaos.service import CHECKOUT, Client
from tests.docs import pages
from tests.door.installation import Door

KINDS = ["organization", "team", "project", ""]  # of keys; at last without one
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
]
CODES = set(pages.first_cells(pages.section(CHECKOUT / "docs" / "api.md", "## Codes")))
SECONDS = 20


class ApiCases:
    """Asks for every operation with every kind of key, and counts what fails."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._schema = schemathesis.openapi.from_path(CHECKOUT / "docs" / "openapi.yaml")
        self._known = _known_ids(door.client(door.keys["organization"]))
        self.statuses: Counter[int] = Counter()
        self.failures: dict[tuple[str, str], str] = {}

    @property
    def cases(self) -> int:
        return self.statuses.total()

    def round(self, first_seed: int, examples: int) -> None:
        """So many requests to each operation, with any kind of key."""
        for found in self._schema.get_all_operations():
            self._ask(found.ok(), first_seed, examples)

    def _ask(self, operation: APIOperation, first_seed: int, examples: int) -> None:
        right = operation.as_strategy(GenerationMode.POSITIVE)
        wrong = operation.as_strategy(GenerationMode.NEGATIVE)

        @seed(first_seed)
        @settings(
            max_examples=examples,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=right | wrong, exists=st.booleans(), kind=st.sampled_from(KINDS))
        def requests(case: Case, exists: bool, kind: str) -> None:
            if exists:
                self._aim(case)
            self._send(case, kind)

        requests()

    def _aim(self, case: Case) -> None:
        """Ask for what is there."""
        for name in case.path_parameters.keys() & self._known.keys():
            case.path_parameters[name] = self._known[name]

    def _send(self, case: Case, kind: str) -> None:
        headers = {"Authorization": f"Bearer {self._door.keys[kind]}"} if kind else {}
        address = f"http://127.0.0.1:{self._door.port}"
        if not kind:
            (case.headers or {}).pop("Authorization", None)
        response = case.call(base_url=address, headers=headers, timeout=SECONDS)
        self.statuses[response.status_code] += 1
        try:
            case.validate_response(response, checks=CHECKS)
        except (Failure, FailureGroup) as failure:
            self._note(case, failure)
        content_type = "".join(response.headers.get("content-type", []))
        if content_type == "application/problem+json":
            self._check_codes(case, response.json())

    def _check_codes(self, case: Case, problem: dict[str, Any]) -> None:
        said = {problem["code"], *(one["code"] for one in problem.get("errors", []))}
        if said - CODES:
            self.failures[case.operation.label, f"undocumented codes {said - CODES}"] = ""

    def _note(self, case: Case, failure: Failure | FailureGroup) -> None:
        each = failure.exceptions if isinstance(failure, FailureGroup) else [failure]
        for one in each:
            title = str(getattr(one, "title", one)).partition("\n")[0]
            self.failures.setdefault((case.operation.label, title), str(failure))


def _known_ids(finance: Client) -> dict[str, Any]:
    """One of each thing that has an address."""

    def made(path: str, content: dict[str, Any]) -> int:
        reply = finance.post(path, content)
        assert reply.status in (201, 202), reply
        return int(reply.body["id"])

    known = record(id="known")
    assert finance.post("usage", body(known), Prefer="wait=5").status == 202
    card = made("rate-cards", {"provider": "anthropic", "name": "Known"})
    return {
        "record_id": "known",
        "budget_id": made("budgets", {"amount": "7"}),
        "channel_id": made("channels", {"kind": "email", "target": "lead@example.com"}),
        "card_id": card,
        "publication_id": made(f"rate-cards/{card}/publications", {"note": "Known"}),
    }
