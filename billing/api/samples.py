"""`/samples`: what past calls used, to say what such calls will cost; `/text-tokens`."""

import json
from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import ProtectedError
from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from billing.actions import samples
from billing.api import lists, scopes
from billing.api import sample_schemas as schemas
from billing.api.estimates import shapes_as_json
from billing.api.problems import Refused
from billing.formats.errors import BodyError
from billing.formats.samples import Asked
from billing.models import Sample
from billing.models.samples import SampleQuerySet, Source
from billing.pricing import money, text_tokens
from billing.pricing.bootstrap import Interval
from billing.pricing.text_tokens import Kind, Unit
from billing.reports import samples as reports
from billing.reports.samples import ModelSample, SampleReport
from teams import isolation
from teams.api.authentication import key_of
from teams.models import ApiKey, Project, Team
from teams.models.api_keys import Scope

_WAYS = ("records", "text", "days")
_MOST = 10**9


class SampleInput(serializers.Serializer[Any]):
    team = serializers.SlugField(required=False)
    project = serializers.SlugField(required=False)
    name = serializers.CharField(max_length=200, required=False, default="")
    records = serializers.ListField(child=serializers.JSONField(), required=False)
    text = serializers.CharField(required=False, trim_whitespace=False)
    days = serializers.IntegerField(
        required=False, min_value=1, max_value=samples.MOST_DAYS
    )
    provider = serializers.CharField(max_length=40, required=False)
    model = serializers.CharField(max_length=200, required=False)
    columns = serializers.DictField(
        child=serializers.CharField(allow_blank=True), required=False
    )
    inclusive = serializers.BooleanField(required=False, allow_null=True, default=None)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        said = [name for name in _WAYS if name in attrs]
        if len(said) != 1:
            raise serializers.ValidationError("Say one of records, text and days.")
        if "days" in attrs and "project" not in attrs:
            raise serializers.ValidationError("Say of which project the days are.")
        return attrs


class SamplesView(APIView):
    scopes = {"GET": Scope.BUDGETS_READ, "POST": Scope.BUDGETS_WRITE}

    @schemas.list_samples
    def get(self, request: Request) -> Response:
        covered = _covered(key_of(request)).listed()
        shown, next_cursor = lists.newest(covered, request.query_params)
        return Response(
            {"data": [head_as_json(one) for one in shown], "next_cursor": next_cursor}
        )

    @schemas.create_sample
    def post(self, request: Request) -> Response:
        key = key_of(request)
        wanted = SampleInput(data=request.data)
        wanted.is_valid(raise_exception=True)
        asked = wanted.validated_data
        team = scopes.team_of(key, asked.get("team"))
        project = _project(team, asked.get("project"))
        try:
            sample = _made(asked, team, project, str(key))
        except BodyError as error:
            raise Refused(error.status, error.code, error.detail) from error
        except ValidationError as error:
            raise Refused(400, "invalid", " ".join(error.messages)) from error
        return Response(_as_json(sample), status=201)


class SampleView(APIView):
    scopes = {"GET": Scope.BUDGETS_READ, "DELETE": Scope.BUDGETS_WRITE}

    @schemas.get_sample
    def get(self, request: Request, sample_id: int) -> Response:
        return Response(_as_json(_found(key_of(request), sample_id)))

    @schemas.delete_sample
    def delete(self, request: Request, sample_id: int) -> Response:
        key = key_of(request)
        sample = _found(key, sample_id)
        try:
            samples.delete(sample=sample, by=str(key), now=timezone.now())
        except ProtectedError as error:
            raise Refused(409, "not_possible", "An estimate is built on it.") from error
        return Response(status=204)


class TextTokensInput(serializers.Serializer[Any]):
    count = serializers.IntegerField(min_value=0, max_value=_MOST)
    unit = serializers.ChoiceField(list(Unit), default=Unit.WORDS)
    kind = serializers.ChoiceField(list(Kind), default=Kind.PROSE)
    model = serializers.CharField(max_length=200)


class TextTokensView(APIView):
    scopes = {"GET": Scope.PRICES_READ}

    @schemas.get_text_tokens
    def get(self, request: Request) -> Response:
        wanted = TextTokensInput(data=request.query_params)
        wanted.is_valid(raise_exception=True)
        asked = wanted.validated_data
        tokenizer = text_tokens.tokenizer_of(asked["model"])
        found = text_tokens.tokens(
            asked["count"], Unit(asked["unit"]), Kind(asked["kind"]), tokenizer
        )
        return Response({"tokenizer": tokenizer, **found._asdict()})


def _covered(key: ApiKey) -> SampleQuerySet:
    return Sample.objects.filter(team__in=scopes.teams_of(key))


def _found(key: ApiKey, sample_id: int) -> Sample:
    sample = (
        _covered(key).select_related("team__organization", "project").filter(pk=sample_id)
    )
    found = sample.first()
    if found is None:
        raise Refused(404, "not_found", f"This API key covers no sample {sample_id}.")
    return found


def _project(team: Team, slug: str | None) -> Project | None:
    if slug is None:
        return None
    owned = Project.objects.owned_by(team, timezone.now()).filter(slug=slug)
    found = owned.first()
    if found is None:
        raise Refused(404, "not_found", f"{team.slug} owns no project {slug!r}.")
    return found


def _made(asked: dict[str, Any], team: Team, project: Project | None, by: str) -> Sample:
    said = {"team": team, "name": asked["name"], "by": by, "now": timezone.now()}
    if "days" in asked and project is not None:
        return samples.of_project(project=project, days=asked["days"], **said)
    text = asked.get("text")
    if text is None:
        # What is no whole number is written as text, and refused where a count is read.
        text = json.dumps(asked["records"], default=str)
    return samples.read(
        project=project,
        content=text.encode(),
        source=Source.UPLOAD,
        asked=Asked(
            provider=asked.get("provider"),
            model=asked.get("model"),
            columns=asked.get("columns", {}),
            inclusive=asked["inclusive"],
        ),
        **said,
    )


# --- Answers ------------------------------------------------------------------------


def head_as_json(sample: Sample) -> dict[str, Any]:
    return {
        "id": str(sample.pk),
        "team": sample.team.slug,
        "project": sample.project and sample.project.slug,
        "name": sample.name,
        "source": sample.source,
        "records": sample.records,
        "of_records": sample.of_records,
        "not_read": sample.not_read,
        "since": sample.since,
        "until": sample.until,
        "created_by": sample.created_by,
        "created_at": sample.created_at,
    }


def _as_json(sample: Sample) -> dict[str, Any]:
    with isolation.visible_teams([sample.team_id]):
        report = reports.report(sample, timezone.now())
    return as_json(report)


def as_json(report: SampleReport) -> dict[str, Any]:
    reading = report.sample.reading
    return {
        **head_as_json(report.sample),
        "read": report.read,
        "in_estimates": report.in_estimates,
        "read_as": reading["read_as"],
        "problems": [
            {"number": number, "unit": reading["unit"], "detail": detail, "count": count}
            for number, detail, count in reading["problems"]
        ],
        "columns": reading["columns"],
        "models": [_model_as_json(one) for one in report.models],
        "currency": report.currency,
        "priced_at": report.priced_at,
    }


def _model_as_json(one: ModelSample) -> dict[str, Any]:
    its = one.profile
    return {
        "provider": one.provider,
        "model": one.model,
        "requests": its.requests,
        "classes": {name: found._asdict() for name, found in its.classes.items()},
        "sides": {side: found._asdict() for side, found in its.sides.items()},
        "caching": its.caching,
        "prefix": its.prefix and its.prefix._asdict(),
        "hit_percent": _plain(its.hit_percent),
        "thinking_percent": _plain(its.thinking_percent),
        "batch_percent": money.plain(its.batch_percent),
        "elsewhere": its.elsewhere,
        "priced": its.priced,
        "free": its.free,
        "unpriced": dict(its.unpriced),
        "cost_per_request": its.cost_per_request and _interval(its.cost_per_request),
        "mean_cost": None if its.mean_cost is None else money.text(its.mean_cost),
        "output_cost_percent": _plain(its.output_cost_percent),
        "warnings": [warned._asdict() for warned in one.warnings],
        "levers": shapes_as_json(one.shapes),
    }


def _plain(percent: Decimal | None) -> str | None:
    return None if percent is None else money.plain(percent)


def _interval(its: Interval) -> dict[str, str]:
    return {name: money.text(amount) for name, amount in its._asdict().items()}
