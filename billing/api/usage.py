"""`POST /usage`: the door. `GET /usage/{id}`: what became of a record.

`POST /usage/{id}/void` takes one back.
"""

import logging
import re
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any, NamedTuple
from uuid import UUID

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from billing.actions import post, receive, voids
from billing.actions.receive import Outcome, Status
from billing.api import admission, schemas
from billing.api.bodies import records_in
from billing.api.door import DoorView
from billing.api.estimates import MonthField
from billing.api.problems import Refused
from billing.api.records import as_json
from billing.models import UsageRecord, server_clock
from billing.pricing import money
from billing.reports import records
from teams import isolation
from teams.api.authentication import key_of
from teams.models import ApiKey, Project, Team
from teams.models.api_keys import Scope

logger = logging.getLogger(__name__)

_MAX_WAIT_SECONDS = 10
_WAIT = re.compile(r"\bwait=(\d{1,4})(?![\d.])")
_REFUSED = (Status.CONFLICT, Status.REJECTED, Status.TRY_AGAIN)


class UsageView(DoorView):
    scopes = {"POST": Scope.USAGE_WRITE}
    key: ApiKey | None = None  # once it is known

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        with ExitStack() as self.held:
            return super().dispatch(request, *args, **kwargs)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Who has no turn asks the database nothing, not even whose key it is."""
        self.held.enter_context(admission.turn(request))
        super().initial(request, *args, **kwargs)

    @schemas.post_usage
    def post(self, request: Request) -> Response:
        self.key = key_of(request)
        admission.check_backlog(request)
        raws = records_in(request)
        admission.take(self.key, len(raws))
        outcomes = receive.receive(
            key=self.key,
            raws=raws,
            now=timezone.now(),
            second_clock=server_clock.now,
        )
        seconds = _preferred_wait(request)
        prices = _prices(outcomes, seconds) if seconds is not None else {}
        everything = bool(prices) or request.query_params.get("verbose") == "1"
        headers = {} if seconds is None else {"Preference-Applied": f"wait={seconds}"}
        return Response(
            _reply(outcomes, prices, everything),
            status=_status(outcomes),
            headers=headers,
        )

    def finalize_response(
        self, request: Request, response: Response, *args: Any, **kwargs: Any
    ) -> Response:
        """Every answer to a key that may post says how much more it may."""
        if self.key is not None:
            self.headers |= admission.headers(self.key)
            admission.look_after(response)
        admission.log_seldom(response)
        return super().finalize_response(request, response, *args, **kwargs)


def _status(outcomes: Sequence[Outcome]) -> int:
    refused = sum(outcome.status in _REFUSED for outcome in outcomes)
    if not refused:
        return 202
    return 422 if refused == len(outcomes) else 207


def _reply(
    outcomes: Sequence[Outcome], prices: dict[str, dict[str, Any]], everything: bool
) -> dict[str, Any]:
    counted = Counter(outcome.status for outcome in outcomes)
    reply = {
        "received": len(outcomes),
        "accepted": counted[Status.ACCEPTED],
        "duplicates": counted[Status.DUPLICATE],
        "conflicts": counted[Status.CONFLICT],
        "rejected": counted[Status.REJECTED],
        "results": [
            _result(outcome, prices)
            for outcome in outcomes
            if everything or outcome.status is not Status.ACCEPTED or outcome.code
        ],
    }
    if counted[Status.TRY_AGAIN]:
        reply["try_again"] = counted[Status.TRY_AGAIN]
    return reply


def _result(outcome: Outcome, prices: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {
        "index": outcome.index,
        "id": outcome.id,
        "status": outcome.status,
        "code": outcome.code,
        "pointer": outcome.pointer,
        "detail": outcome.detail,
        **(prices.get(outcome.uid, {}) if outcome.uid else {}),
    }


# --- Prefer: wait -------------------------------------------------------------------


def _preferred_wait(request: Request) -> int | None:
    """Seconds that the caller would wait for its prices (RFC 7240), bounded by us."""
    found = _WAIT.search(request.headers.get("prefer", ""))
    return min(int(found[1]), _MAX_WAIT_SECONDS) if found else None


def _prices(outcomes: Sequence[Outcome], seconds: int) -> dict[str, dict[str, Any]]:
    """State and cost of what is recorded, counted before we answer if time allows.

    The records are committed: whatever fails from here on, they are accepted and will be
    counted, and we say so.
    """
    by_team: dict[int, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        if outcome.team_id is not None and outcome.uid is not None:
            by_team[outcome.team_id].append(outcome)
    prices: dict[str, dict[str, Any]] = {}
    deadline = time.monotonic() + seconds
    for team_id, its_outcomes in by_team.items():
        try:
            with admission.wait_for_prices() as may_wait:
                if may_wait:
                    _count(team_id, its_outcomes, deadline)
            prices |= _states(team_id, its_outcomes)
        except Exception:
            logger.exception("accepted records of team %s have no price yet", team_id)
            pending = {"state": "pending", "cost": None}
            prices |= {outcome.uid: pending for outcome in its_outcomes if outcome.uid}
    return prices


def _count(team_id: int, outcomes: Sequence[Outcome], deadline: float) -> None:
    for posting in {outcome.posting for outcome in outcomes if outcome.posting}:
        left = max(deadline - time.monotonic(), 0)
        post.count_within(
            team_id=team_id, posting=posting, seconds=left, clock=timezone.now
        )


def _states(team_id: int, outcomes: Sequence[Outcome]) -> dict[str, dict[str, Any]]:
    with isolation.visible_teams([team_id]):
        states = records.states(
            team_id=team_id,
            uids=[UUID(outcome.uid) for outcome in outcomes if outcome.uid],
            months={outcome.month for outcome in outcomes if outcome.month},
        )
    return {
        str(uid): {
            "state": priced.state,
            "cost": None if priced.cost is None else money.plain(priced.cost),
        }
        for uid, priced in states.items()
    }


# --- One record ---------------------------------------------------------------------


class RecordQuery(serializers.Serializer[Any]):
    """Which record has an id: of which project, and of which UTC month."""

    project = serializers.CharField(required=False)
    month = MonthField(required=False)


class ReasonInput(serializers.Serializer[Any]):
    reason = serializers.CharField(max_length=voids.LONGEST_REASON)


class UsageRecordView(APIView):
    scopes = {"GET": Scope.USAGE_READ}

    @schemas.get_usage
    def get(self, request: Request, record_id: str) -> Response:
        return Response(_shown(request, _found(request, record_id)))


class UsageVoidView(APIView):
    scopes = {"GET": Scope.USAGE_READ, "POST": Scope.USAGE_WRITE}

    @schemas.void_usage
    def post(self, request: Request, record_id: str) -> Response:
        """The same answer however often it is asked for: the first one's reason stands."""
        wanted = ReasonInput(data=request.data)
        wanted.is_valid(raise_exception=True)
        found = _found(request, record_id)
        voids.void(
            team=Team.objects.select_related("organization").get(pk=found.record.team_id),
            uids=[found.record.uid],
            reason=wanted.validated_data["reason"],
            by=str(key_of(request)),
            now=timezone.now(),
        )
        return Response(_shown(request, found))

    @schemas.not_described
    def get(self, request: Request, record_id: str) -> Response:
        """A record whose id ends like this address."""
        return Response(_shown(request, _found(request, f"{record_id}/void")))


class _Found(NamedTuple):
    record: UsageRecord
    project: Project


def _found(request: Request, record_id: str) -> _Found:
    """The record asked for. Raises Refused (400, 404)."""
    key = key_of(request)
    if "\0" in record_id + request.query_params.get("project", ""):
        raise Refused(404, "not_found", "No usage record has such a name.")
    query = RecordQuery(data=request.query_params)
    query.is_valid(raise_exception=True)
    asked = query.validated_data
    project = _project(key, asked.get("project"))
    team_ids = _team_ids(key)
    with isolation.visible_teams(team_ids):
        record = records.found(
            team_ids=team_ids,
            project=project,
            record_id=record_id,
            month=asked.get("month"),
        )
    if record is None:
        raise Refused(404, "not_found", f"No usage record {record_id!r} is here.")
    return _Found(record, project)


def _shown(request: Request, found: _Found) -> dict[str, Any]:
    key = key_of(request)
    with isolation.visible_teams([found.record.team_id]):
        report = records.report(found.record, found.project)
    return as_json(report, key.organization.currency)


def _team_ids(key: ApiKey) -> list[int]:
    return list(key.teams().values_list("pk", flat=True))


def _project(key: ApiKey, slug: str | None) -> Project:
    """The project asked for, or the only one there is. Raises Refused."""
    projects = list(
        key.projects().filter(slug=slug) if slug else key.projects().order_by("pk")[:2]
    )
    if slug and not projects:
        raise Refused(404, "not_found", f"This API key covers no project {slug!r}.")
    if not projects:
        raise Refused(404, "not_found", "This API key covers no project yet.")
    if len(projects) > 1:
        raise Refused(
            400, "project_needed", "This API key covers several projects: add project=."
        )
    return projects[0]
