"""What has to hold of the door's answer to any body, and what it may cost."""

import json
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import psycopg

from billing.formats import body, posted, registry
from billing.formats.errors import BodyError, RecordError
from tests.builders import body as batch
from tests.builders import record
from tests.door.installation import Answer, Door, taken_from

MAX_GROWTH_MB = 64
MAX_CPU_SECONDS = 2
STATUSES = {"accepted", "duplicate", "conflict", "rejected"}


# --- In the same process ----------------------------------------------------------------


def check_reading(content: bytes, content_type: str) -> None:
    """A body is cut or refused, each record read or refused; nothing else is raised."""
    try:
        raws = body.split(content, content_type)
    except BodyError as error:
        _check_error(error.code, "", error.detail)
        return
    assert 1 <= len(raws) <= 1000
    for raw in raws:
        _check_record(raw)


def _check_record(raw: msgspec.Raw) -> None:
    try:
        record = posted.decode(raw)
        usage = registry.read(record)
    except RecordError as error:
        posted.named(raw)
        _check_error(error.code, error.pointer, error.detail)
        return
    assert len(posted.fingerprint(record, usage)) == 16
    assert all(0 <= quantity <= 10**12 for quantity in usage.quantities)
    kept = registry.verbatim(record, usage)
    assert kept is None or "\0" not in json.dumps(json.loads(kept))


def _check_error(code: str, pointer: str, detail: str) -> None:
    assert code.isidentifier()
    assert pointer == "" or pointer.startswith("/")
    assert (pointer + detail).isprintable()


# --- Against a running service ------------------------------------------------------


class Watch:
    """A door that is asked one body after the other, its memory and processor time."""

    def __init__(self, door: Door, connection: psycopg.Connection[Any]) -> None:
        self._door = door
        self._connection = connection
        self._pids = door.worker_pids
        self.slowest_seconds = 0.0
        self._before_mb = [_peak_mb(pid) for pid in self._pids]

    @property
    def growth_mb(self) -> float:
        """Of the process that grew most: by how much its peak has risen."""
        now = [_peak_mb(pid) for pid in self._pids]
        return max(
            after - before for after, before in zip(now, self._before_mb, strict=True)
        )

    def check(self, content: bytes, content_type: str = "application/json") -> None:
        """Post it: the answer is well-formed, and the ledger holds what it says."""
        answer = self._timed(content, "usage?verbose=1", content_type)
        taken = Counter(stored.id for stored in taken_from(self._connection))
        if answer.status in (202, 207, 422):
            _check_reply(answer, content, content_type, taken)
        else:
            check_problem(answer, (400, 413, 415))
            assert not taken

    def check_quote(self, content: bytes, content_type: str = "application/json") -> None:
        """What it would cost: an answer for each record, and nothing is stored."""
        answer = self._timed(content, "prices/quote", content_type)
        if answer.status == 200:
            states = [result["state"] for result in answer.body["results"]]
            assert set(states) <= {"priced", "unpriced", "rejected"}
            assert len(states) == _count(content, content_type, len(states))
        else:
            check_problem(answer, (400, 413, 415))
        assert not taken_from(self._connection)

    def _timed(self, content: bytes, path: str, content_type: str) -> Answer:
        before = self._processor_seconds()
        answer = self._door.send(content, path, Content_Type=content_type)
        spent = self._processor_seconds() - before
        self.slowest_seconds = max(self.slowest_seconds, spent)
        assert spent <= MAX_CPU_SECONDS
        return answer

    def _processor_seconds(self) -> float:
        return sum(map(_processor_seconds, self._pids))


def _peak_mb(pid: int) -> float:
    """The most memory that a process ever held."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def _processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def check_problem(answer: Answer, statuses: Sequence[int]) -> None:
    assert answer.status in statuses, answer
    assert answer.content_type == "application/problem+json"
    problem = answer.body
    assert problem["status"] == answer.status
    assert {"type", "title", "code", "detail"} <= problem.keys()
    assert problem["detail"]


def _check_reply(
    answer: Answer, content: bytes, content_type: str, taken: Counter[str]
) -> None:
    assert answer.content_type == "application/json"
    reply = answer.body
    results = reply["results"]
    said = Counter(result["status"] for result in results)
    assert said.keys() <= STATUSES
    assert [result["index"] for result in results] == list(range(reply["received"]))
    assert reply["received"] == _count(content, content_type, reply["received"])
    assert reply["accepted"] == said["accepted"]
    assert reply["rejected"] == said["rejected"]
    accepted = Counter(one["id"] for one in results if one["status"] == "accepted")
    assert taken == accepted
    refused = said["rejected"] + said["conflict"]
    assert answer.status == (422 if refused == len(results) else 207 if refused else 202)


def _count(content: bytes, content_type: str, otherwise: int) -> int:
    """How many records another reader of JSON finds in a body.

    `otherwise` where that reader gives up for its own reasons.
    """
    try:
        # Ours reads longer numbers than Python's.
        document = json.loads(content, parse_int=str)
    except RecursionError:
        return otherwise
    except ValueError:
        return _count_lines(content)
    if "ndjson" in content_type:
        return _count_lines(content)
    if isinstance(document, dict) and document.keys() == {"records"}:
        document = document["records"]
    return len(document) if isinstance(document, list) else 1


def _count_lines(content: bytes) -> int:
    return sum(bool(line.strip()) for line in content.split(b"\n"))


def warm_up(watch: Watch) -> None:
    """What any day brings: single records, full batches, bodies that are refused."""
    for _ in range(10):
        watch.check(batch(*(record() for _ in range(1000))))
        watch.check(batch(record()))
        watch.check_quote(batch(*(record() for _ in range(100))))
        watch.check(b"[")
