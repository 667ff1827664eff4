"""A web server on a PostgreSQL of its own, whose ledger is looked at from behind.

Nothing counts here, so what a request has stored is still to be found as it was stored.
"""

import http.client
import json
import os
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import psycopg

from tests.chaos.service import START_SECONDS, Service, await_that

_CAST = """
import json
from django.utils import timezone
from teams.actions import api_keys, organizations, projects, teams
from teams.models.api_keys import Scope
now = timezone.now()
made = {"by": "tests", "now": now}
acme = organizations.create(name="Door", slug="door", time_zone="Europe/Berlin", **made)
search = teams.create(organization=acme, name="Search", slug="door-search", **made)
support = teams.create(organization=acme, name="Support", slug="door-support", **made)
answers = projects.create(team=search, name="Answers", slug="answers", **made)
projects.create(team=support, name="Triage", slug="triage", **made)
others = organizations.create(name="Others", slug="others", time_zone="UTC", **made)
elsewhere = teams.create(organization=others, name="Elsewhere", slug="elsewhere", **made)
projects.create(team=elsewhere, name="Secret", slug="secret", **made)
def secret(name, scopes=Scope, **bound):
    return api_keys.issue(organization=acme, name=name, scopes=list(scopes), **made,
                          **bound)[1]
print(json.dumps({
    "project": secret("project", project=answers),
    "team": secret("team", team=search),
    "organization": secret("organization"),
    "no_import": secret("no import", set(Scope) - {Scope.IMPORT}, project=answers),
}))
"""

_TAKEN = """
WITH taken AS (DELETE FROM billing_usage_record RETURNING *),
    posted AS (DELETE FROM billing_posting RETURNING record_uids, records)
SELECT record_id, project_id, model_name, tags, input, output, occurred_at, uid,
    (SELECT count(*) FROM posted WHERE uid = ANY (record_uids)),
    (SELECT coalesce(sum(records), 0) FROM posted)
FROM taken ORDER BY uid
"""


class Stored(NamedTuple):
    """A usage record as PostgreSQL has it."""

    id: str
    project_id: int
    model: str
    tags: dict[str, str]
    input: int
    output: int
    occurred_at: Any


class Answer(NamedTuple):
    """`body` is what the JSON says, or the text that is none."""

    status: int
    content_type: str
    body: Any

    @property
    def problem(self) -> tuple[int, str]:
        return self.status, self.body["code"]

    def result(self, index: int) -> dict[str, Any]:
        (found,) = [one for one in self.body["results"] if one["index"] == index]
        return dict(found)


class Door(Service):
    """A service without worker and beat; `keys` has a secret of each kind."""

    def start(self) -> None:
        self.prepare()
        self.keys: dict[str, str] = json.loads(self.shell(_CAST))
        self.web.start()
        await_that(self.answers, START_SECONDS, "the web server answers")

    def send(
        self,
        body: bytes,
        path: str = "usage?verbose=1",
        key: str = "project",
        **headers: str,
    ) -> Answer:
        said = {name.replace("_", "-"): value for name, value in headers.items()}
        said.setdefault("Content-Type", "application/json")
        if key:
            said["Authorization"] = f"Bearer {self.keys[key]}"
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        with closing(connection):
            connection.request("POST", f"/api/v1/{path}", body, said)
            return answered(connection.getresponse())

    def forget(self) -> None:
        """The ledger has no records, whatever it had."""
        with self.sql() as connection:
            connection.execute("DELETE FROM billing_usage_record")
            connection.execute("DELETE FROM billing_posting")

    def taken(self) -> list[Stored]:
        """What the ledger holds, which is empty afterwards.

        Raises AssertionError where a record has no posting or more than one, or a
        posting has records that are not there.
        """
        with self.sql() as connection:
            return taken_from(connection)

    @property
    def worker_pids(self) -> list[int]:
        """Of the processes that serve the requests."""
        return sorted(pid for pid in self.web.children() if _is_worker(pid))


def taken_from(connection: psycopg.Connection[Any]) -> list[Stored]:
    rows = connection.execute(_TAKEN).fetchall()
    assert [row[8] for row in rows] == [1] * len(rows)
    assert {int(row[9]) for row in rows} <= {len(rows)}
    return [Stored(*row[:7]) for row in rows]


def answered(reply: http.client.HTTPResponse) -> Answer:
    text = reply.read()
    try:
        body = json.loads(text)
    except ValueError:
        body = text.decode(errors="replace")
    return Answer(reply.status, reply.headers.get("content-type", ""), body)


def _is_worker(pid: int) -> bool:
    """Whether a process of the web server listens for requests itself."""
    links = Path(f"/proc/{pid}/fd").iterdir()
    return any("socket" in os.readlink(link) for link in links)
