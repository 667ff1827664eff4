"""`/estimates`: what teams and their projects plan, by lines or by levers."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet, prefetch_related_objects
from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from billing.actions import estimates
from billing.actions.estimates import NotPossible
from billing.api import estimate_schemas as schemas
from billing.api import lists, scopes
from billing.api.amounts import AmountField
from billing.api.problems import Refused
from billing.models import Alias, Estimate, LanguageModel, Sample
from billing.models.estimates import MOST_MODELS, MOST_MONTHS, MOST_SOURCE, Scenario
from billing.models.planned import Chosen, Line
from billing.models.rates import PRICE_FIELDS
from billing.pricing import budget_periods, money
from billing.pricing.levers import Factor, Levers, Ttl
from billing.pricing.token_classes import Quantities
from billing.pricing.usage import Processing
from billing.reports import estimate_caps, estimate_view
from billing.reports.estimate_caps import Approval
from billing.reports.estimate_view import EstimateView, ModelRow, Span, Wanted
from billing.reports.sampled import Sizes, sampled
from teams.api.authentication import key_of
from teams.models import ApiKey, Project
from teams.models.api_keys import Scope

_MOST = 10**15
_MOST_TOKENS = 10**9  # of one request
_PROCESSINGS = [Processing.STANDARD.value, Processing.BATCH.value]


class MonthField(serializers.CharField):
    """A month as 2026-11; its first day."""

    def to_internal_value(self, data: Any) -> date:  # type: ignore[override]
        try:
            return budget_periods.month(super().to_internal_value(data))
        except ValueError as error:
            raise serializers.ValidationError(str(error), code="invalid") from error


class LineInput(serializers.Serializer[Any]):
    """One model in one scenario and processing: requests and tokens of a whole month."""

    month = MonthField(required=False)
    provider = serializers.CharField(default="anthropic")
    model = serializers.CharField()
    processing = serializers.ChoiceField(_PROCESSINGS, default=Processing.STANDARD)
    scenario = serializers.ChoiceField(Scenario.choices)
    requests = serializers.IntegerField(min_value=0, max_value=_MOST)
    quantities = serializers.DictField(
        child=serializers.IntegerField(min_value=0, max_value=_MOST)
    )

    def validate_quantities(self, value: dict[str, int]) -> dict[str, int]:
        unknown = sorted(value.keys() - set(PRICE_FIELDS))
        if unknown:
            raise serializers.ValidationError(f"Unknown token class {unknown[0]!r}.")
        return value


def _percent(least: int = 0, most: int = 100, **kwargs: Any) -> AmountField:
    return AmountField(
        max_digits=14,
        decimal_places=9,
        min_value=Decimal(least),
        max_value=Decimal(most),
        **kwargs,
    )


def _tokens(**kwargs: Any) -> serializers.IntegerField:
    return serializers.IntegerField(min_value=0, max_value=_MOST_TOKENS, **kwargs)


def _per_1000() -> serializers.IntegerField:
    return serializers.IntegerField(min_value=0, max_value=_MOST, required=False)


class LeversInput(serializers.Serializer[Any]):
    """One scenario: how many requests, and what one of them is like."""

    requests_per_day = AmountField(
        max_digits=21, decimal_places=9, min_value=Decimal(0), max_value=Decimal(10**9)
    )
    users = serializers.IntegerField(
        min_value=0, max_value=10**9, required=False, allow_null=True
    )
    active_days = serializers.IntegerField(min_value=1, max_value=31, required=False)
    growth_percent = _percent(-100, 10_000, required=False)
    batch_percent = _percent(required=False)
    prefix_tokens = _tokens(required=False)
    prefix_percent = _percent(required=False)
    cache_ttl = serializers.ChoiceField([*Ttl], required=False, allow_blank=True)
    hit_percent = _percent(required=False)
    input_tokens = _tokens()
    output_tokens = _tokens()
    thinking_percent = _percent(required=False)
    searches_per_1000 = serializers.IntegerField(
        min_value=0, max_value=10**6, required=False
    )
    input_audio_per_1000 = _per_1000()
    cache_read_audio_per_1000 = _per_1000()
    output_audio_per_1000 = _per_1000()
    output_image_per_1000 = _per_1000()
    session_per_1000 = _per_1000()


class NamedModelInput(serializers.Serializer[Any]):
    provider = serializers.CharField(default="anthropic")
    model = serializers.CharField()


class ModelInput(NamedModelInput):
    """A model and its part of the requests; one without a part is only compared.

    Without a factor that is told by the tokenizers. Of a sample that has it it takes its
    own sizes, unless those of the levers are asked for.
    """

    share_percent = _percent(default=Decimal(0))
    token_factor = AmountField(
        max_digits=11,
        decimal_places=9,
        min_value=Decimal("0.01"),
        max_value=Decimal(10),
        default=None,
        allow_null=True,
    )
    sizes = serializers.ChoiceField([*Sizes], default=Sizes.SAMPLE)


class ShapesInput(serializers.Serializer[Any]):
    light = LeversInput(required=False)
    medium = LeversInput(required=False)
    heavy = LeversInput(required=False)


class EstimateInput(serializers.Serializer[Any]):
    """What is planned: `lines`, or `levers` with `models`."""

    team = serializers.SlugField(required=False)
    project = serializers.SlugField(required=False, allow_null=True)
    month = MonthField(required=False)
    months = serializers.IntegerField(min_value=1, max_value=MOST_MONTHS, required=False)
    plan = serializers.ChoiceField(Scenario.choices, required=False)
    contingency_percent = serializers.IntegerField(
        min_value=0, max_value=100, required=False
    )
    source = serializers.CharField(  # type: ignore[assignment]
        required=False, allow_blank=True, max_length=MOST_SOURCE
    )
    sample = serializers.IntegerField(
        min_value=1, max_value=10**18, required=False, allow_null=True
    )
    reference = NamedModelInput(required=False, allow_null=True)
    note = serializers.CharField(required=False, allow_blank=True, max_length=5000)
    lines = serializers.ListField(
        child=LineInput(),
        allow_empty=False,
        required=False,
        max_length=schemas.MOST_LINES,
    )
    levers = ShapesInput(required=False)
    models = serializers.ListField(
        child=ModelInput(),
        allow_empty=False,
        required=False,
        max_length=MOST_MODELS,
    )

    def validate(self, asked: dict[str, Any]) -> dict[str, Any]:
        if "lines" in asked and ("levers" in asked or "models" in asked):
            raise serializers.ValidationError("Give lines, or levers and models.")
        return asked


class NewInput(EstimateInput):
    month = MonthField()

    def validate(self, asked: dict[str, Any]) -> dict[str, Any]:
        asked = super().validate(asked)
        if "lines" not in asked and not {"levers", "models"} <= asked.keys():
            raise serializers.ValidationError("Give lines, or levers and models.")
        return asked


class ComputeInput(NewInput):
    """The same by levers alone, to be shown and not kept."""

    lines = None  # type: ignore[assignment]


class ChangeInput(EstimateInput):
    priced_at = serializers.DateTimeField()


class SeenInput(serializers.Serializer[Any]):
    """Which version was looked at."""

    priced_at = serializers.DateTimeField(required=False)


class ApprovalInput(SeenInput):
    cap = AmountField(
        max_digits=21,
        decimal_places=9,
        min_value=Decimal(0),
        required=False,
        allow_null=True,
    )


class NoteInput(SeenInput):
    note = serializers.CharField(max_length=1000)


class EstimatesView(APIView):
    scopes = {"GET": Scope.BUDGETS_READ, "POST": Scope.BUDGETS_WRITE}

    @schemas.list_estimates
    def get(self, request: Request) -> Response:
        key = key_of(request)
        listed = _narrowed(_covered(key), key, request)
        shown, next_cursor = lists.newest(
            listed.prefetch_related("lines__model"), request.query_params
        )
        return Response(
            {"data": [as_json(one) for one in shown], "next_cursor": next_cursor}
        )

    @schemas.create_estimate
    def post(self, request: Request) -> Response:
        key = key_of(request)
        asked = _valid(NewInput(data=request.data))
        with _refusing():
            estimate = _save(
                asked,
                team=scopes.team_of(key, asked.get("team")),
                project=_project(key, asked.get("project")),
                sample=_sample(key, asked.get("sample")),
                by=str(key),
                now=timezone.now(),
            )
        return Response(detailed(estimate), status=201)


class EstimateComputationView(APIView):
    scopes = {"POST": Scope.BUDGETS_READ}

    @schemas.compute_estimate
    def post(self, request: Request) -> Response:
        asked = _valid(ComputeInput(data=request.data))
        key, now = key_of(request), timezone.now()
        sample = _sample(key, asked.get("sample"))
        with _refusing():
            view = estimate_view.compute(
                Wanted(
                    organization=key.organization,
                    month=asked["month"],
                    **_by_levers(asked, sample, now),
                ),
                now=now,
            )
        return Response(view_as_json(view))


class OneEstimateView(APIView):
    scopes = {"GET": Scope.BUDGETS_READ, "PATCH": Scope.BUDGETS_WRITE}

    @schemas.get_estimate
    def get(self, request: Request, estimate_id: int) -> Response:
        return Response(detailed(_find(key_of(request), estimate_id)))

    @schemas.change_estimate
    def patch(self, request: Request, estimate_id: int) -> Response:
        key = key_of(request)
        asked = _valid(ChangeInput(data=request.data))
        # Held, so that what is not named is what it is now.
        with _refusing(), transaction.atomic():
            estimate = estimates.held(_find(key, estimate_id))
            project = estimate.project
            if "project" in asked:
                project = _project(key, asked["project"])
            sample = estimate.sample
            if "sample" in asked:
                sample = _sample(key, asked["sample"])
            changed = _save(
                _kept(estimate) | asked,
                team=estimate.team,
                project=project,
                sample=sample,
                by=str(key),
                now=timezone.now(),
                estimate=estimate,
                version=_version(asked),
            )
        return Response(detailed(changed))


class EstimateSubmissionView(APIView):
    scopes = {"POST": Scope.BUDGETS_WRITE}

    @schemas.submit_estimate
    def post(self, request: Request, estimate_id: int) -> Response:
        key = key_of(request)
        estimate = _find(key, estimate_id)
        asked = _valid(SeenInput(data=request.data))
        with _refusing():
            done = estimates.submit(
                estimate=estimate,
                by=str(key),
                now=timezone.now(),
                version=_version(asked),
            )
        return Response(detailed(done))


class EstimateApprovalView(APIView):
    scopes = {"POST": Scope.BUDGETS_WRITE}

    @schemas.approve_estimate
    def post(self, request: Request, estimate_id: int) -> Response:
        key = key_of(request)
        estimate = _find(key, estimate_id)
        asked = _valid(ApprovalInput(data=request.data))
        with _refusing():
            done = estimates.approve(
                estimate=estimate,
                by=str(key),
                now=timezone.now(),
                cap=asked.get("cap"),
                version=_version(asked),
            )
        return Response(detailed(done))


class EstimateReturnView(APIView):
    scopes = {"POST": Scope.BUDGETS_WRITE}

    @schemas.send_back_estimate
    def post(self, request: Request, estimate_id: int) -> Response:
        key = key_of(request)
        estimate = _find(key, estimate_id)
        asked = _valid(NoteInput(data=request.data))
        with _refusing():
            done = estimates.send_back(
                estimate=estimate,
                note=asked["note"],
                by=str(key),
                now=timezone.now(),
                version=_version(asked),
            )
        return Response(detailed(done))


class EstimateCapReturnView(APIView):
    scopes = {"POST": Scope.BUDGETS_WRITE}

    @schemas.take_back_cap
    def post(self, request: Request, estimate_id: int) -> Response:
        key = key_of(request)
        estimate = _find(key, estimate_id)
        with _refusing():
            estimates.take_back_cap(estimate=estimate, by=str(key), now=timezone.now())
        return Response(detailed(_find(key, estimate_id)))


# --- What is asked ------------------------------------------------------------------


def _valid(wanted: "serializers.Serializer[Any]") -> dict[str, Any]:
    wanted.is_valid(raise_exception=True)
    asked: dict[str, Any] = wanted.validated_data
    return asked


def _version(asked: Mapping[str, Any]) -> str | None:
    seen = asked.get("priced_at")
    return seen and seen.astimezone(UTC).isoformat()


@contextmanager
def _refusing() -> Iterator[None]:
    try:
        yield
    except NotPossible as error:
        raise Refused(409, "not_possible", " ".join(error.messages)) from error
    except ValidationError as error:
        raise Refused(400, "invalid", " ".join(error.messages)) from error


def _save(asked: Mapping[str, Any], **made: Any) -> Estimate:
    given = {"month": asked["month"], "note": asked.get("note", "")}
    if "lines" in asked:
        known = _known(asked["lines"])
        lines = [_line(line, known) for line in asked["lines"]]
        return estimates.save(lines=lines, **_terms(asked), **given, **made)
    if "levers" not in asked:
        if "models" in asked:
            raise Refused(400, "invalid", "Models need levers that say what they get.")
        kept = estimate_view.lines_of(made["estimate"])
        return estimates.save(lines=kept, **_terms(asked), **given, **made)
    if "models" not in asked:
        raise Refused(400, "invalid", "Levers need models that get the requests.")
    by_levers = _by_levers(asked, made["sample"], made["now"])
    return estimates.save_shapes(**given, **by_levers, **made)


def _by_levers(
    asked: Mapping[str, Any], sample: Sample | None, now: datetime
) -> dict[str, Any]:
    """Levers and models, with what a sample knows of them."""
    named = asked.get("reference")
    reference = named and _model(named, _known([named]))
    found = sampled(sample, now, reference) if sample else None
    if found is not None and reference is None:
        reference = found.reference
    terms = _terms(asked)
    if found is not None and not terms["source"]:
        terms["source"] = found.source
    return {
        **terms,
        "shapes": _shapes(asked["levers"]),
        "models": _models(asked["models"], found.own if found else {}),
        "reference": reference,
    }


def _terms(asked: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "months": asked.get("months", 1),
        "plan": Scenario(asked.get("plan", Scenario.MEDIUM)),
        "contingency_percent": asked.get("contingency_percent", 0),
        "source": asked.get("source", ""),
    }


def _shapes(asked: Mapping[str, Mapping[str, Any]]) -> dict[Scenario, Levers]:
    return {
        scenario: Levers(**{**its, "cache_ttl": Ttl(its.get("cache_ttl", ""))})
        for scenario in Scenario
        if (its := asked.get(scenario)) is not None
    }


def _models(
    asked: Sequence[Mapping[str, Any]], of_sample: Mapping[int, Mapping[Scenario, Levers]]
) -> list[Chosen]:
    known = _known(asked)
    return [_chosen(one, _model(one, known), of_sample) for one in asked]


def _chosen(
    asked: Mapping[str, Any],
    model: LanguageModel,
    of_sample: Mapping[int, Mapping[Scenario, Levers]],
) -> Chosen:
    factor = asked["token_factor"]
    return Chosen(
        model=model,
        share_percent=asked["share_percent"],
        factor=None if factor is None else Factor(factor, factor, factor),
        own=of_sample.get(model.pk, {}) if asked["sizes"] == Sizes.SAMPLE else {},
    )


# Models by provider and name.
Known = dict[tuple[str, str], LanguageModel]


def _known(asked: Sequence[Mapping[str, Any]]) -> Known:
    """Those that are named. One query, however many there are."""
    named = Alias.objects.filter(name__in={one["model"] for one in asked})
    found = named.select_related("model").order_by("-model")
    return {(one.model.provider, one.name): one.model for one in found}


def _model(asked: Mapping[str, Any], known: Known) -> LanguageModel:
    model = known.get((asked["provider"], asked["model"]))
    if model is None:
        raise Refused(400, "unknown_model", f"No model is known as {asked['model']!r}.")
    return model


def _kept(estimate: Estimate) -> dict[str, Any]:
    """What an estimate says, as it would be asked for."""
    its: dict[str, Any] = {
        name: getattr(estimate, name)
        for name in ("month", "months", "plan", "contingency_percent", "source", "note")
    }
    shapes = estimate_view.shapes_of(estimate)
    if shapes:
        return its | {
            "levers": {scenario: one._asdict() for scenario, one in shapes.items()},
            "reference": estimate.reference and _named(estimate.reference),
            "models": [
                {
                    **_named(one.model),
                    "share_percent": one.share_percent,
                    "token_factor": one.factor and one.factor.mid,
                    "sizes": Sizes.SAMPLE if one.own else Sizes.LEVERS,
                }
                for one in estimate_view.models_of(estimate)
            ],
        }
    return its


def _named(model: LanguageModel) -> dict[str, Any]:
    return {"provider": model.provider, "model": model.name}


def _project(key: ApiKey, slug: str | None) -> Project | None:
    if slug is None:
        return None
    project = scopes.projects_of(key).filter(slug=slug).first()
    if project is None:
        raise Refused(404, "not_found", f"This API key covers no project {slug!r}.")
    return project


def _sample(key: ApiKey, pk: int | None) -> Sample | None:
    if pk is None:
        return None
    sample = Sample.objects.filter(team__in=scopes.teams_of(key), pk=pk).first()
    if sample is None:
        raise Refused(404, "not_found", f"This API key covers no sample {pk}.")
    return sample


def _line(asked: dict[str, Any], known: Known) -> Line:
    return Line(
        model=_model(asked, known),
        scenario=Scenario(asked["scenario"]),
        requests=asked["requests"],
        quantities=Quantities(**asked["quantities"]),
        processing=Processing(asked["processing"]),
        month=asked.get("month"),
    )


def _covered(key: ApiKey) -> "QuerySet[Estimate]":
    return Estimate.objects.filter(team__in=scopes.teams_of(key)).with_scope()


def _narrowed(
    listed: "QuerySet[Estimate]", key: ApiKey, request: Request
) -> "QuerySet[Estimate]":
    """By the parameters. Raises Refused (400, 404)."""
    asked = request.query_params
    if "state" in asked:
        if asked["state"] not in Estimate.State.values:
            known = ", ".join(Estimate.State.values)
            raise Refused(400, "invalid", f"state= is one of {known}.")
        listed = listed.filter(state=asked["state"])
    if "team" in asked:
        listed = listed.filter(team=scopes.team_of(key, asked["team"]))
    return listed


def _find(key: ApiKey, estimate_id: int) -> Estimate:
    estimate = _covered(key).filter(pk=estimate_id).first()
    if estimate is None:
        raise Refused(404, "not_found", f"No estimate {estimate_id} is here.")
    return estimate


# --- What is answered ---------------------------------------------------------------


def detailed(estimate: Estimate) -> dict[str, Any]:
    """With what the page shows of it."""
    view = estimate_view.of(estimate)
    approval = estimate_caps.approval(estimate, view, now=timezone.now())
    return (
        as_json(estimate)
        | view_as_json(view)
        | {"cap": _cap(estimate), "approval": approval and _approval(approval)}
    )


def _cap(estimate: Estimate) -> dict[str, Any] | None:
    its = estimate_caps.of(estimate)
    if its is None:
        return None
    return {
        "amount": money.plain(its.amount),
        "holds_from": its.holds_from,
        "state": its.state,
        "sentence": its.sentence,
        "settled_by": its.settled_by,
        "settled_at": its.settled_at,
    }


def _approval(its: Approval) -> dict[str, Any]:
    return {
        "present_cap": None if its.budget is None else money.plain(its.budget.amount),
        "largest_months": _amounts(its.largest_months),
        "holds_from": its.holds_from,
        "two_people_above": _plain(its.two_people_above),
    }


def view_as_json(view: EstimateView) -> dict[str, Any]:
    return {
        "priced_at": view.priced_at,
        "rates_since": view.rates_since,
        "plan": view.plan,
        "totals": _amounts(view.totals),
        "by_month": [
            {
                "month": f"{row.month:%Y-%m}",
                "requests": dict(row.requests),
                "totals": _amounts(row.costs),
            }
            for row in view.rows
        ],
        "ranges": _spans(view.ranges),
        "levers": shapes_as_json(view.shapes),
        "reference": view.reference and _named(view.reference),
        "models": [_compared(row) for row in view.models],
        "proposed_cap": {
            "amount": money.plain(view.proposed_cap),
            "largest_month": money.plain(view.largest_month),
            "contingency_percent": view.contingency_percent,
        },
        "assumptions": view.assumptions,
        "warnings": view.warnings,
    }


def _compared(row: ModelRow) -> dict[str, Any]:
    balance = row.balance
    return {
        **_named(row.model),
        "share_percent": money.plain(row.share_percent),
        "token_factor": money.plain(row.factor.mid),
        "token_factor_low": money.plain(row.factor.low),
        "token_factor_high": money.plain(row.factor.high),
        "sizes": Sizes.SAMPLE if row.own else Sizes.LEVERS,
        "levers": shapes_as_json(row.own),
        "totals": {
            scenario: None if cost is None else money.plain(cost)
            for scenario, cost in row.costs.items()
        },
        "ranges": _spans(row.ranges),
        "per_request": None if row.per_request is None else money.plain(row.per_request),
        "rate_since": row.effective_from,
        "unpriced": row.why or None,
        "balance": None
        if balance is None
        else {
            "tokens_in": balance.tokens_in,
            "tokens_out": balance.tokens_out,
            "cost_in": money.text(balance.cost_in),
            "cost_out": money.text(balance.cost_out),
            "larger": balance.larger,
            "output_percent": _plain(balance.output_percent),
            "price_ratio": _plain(balance.price_ratio),
            "break_even_ratio": _plain(balance.token_ratio),
        },
    }


def shapes_as_json(shapes: Mapping[Scenario, Levers]) -> dict[str, Any]:
    return {
        scenario: {
            name: money.plain(value) if isinstance(value, Decimal) else value
            for name, value in its._asdict().items()
        }
        for scenario, its in shapes.items()
    }


def _spans(spans: Mapping[Scenario, Span]) -> dict[str, Any]:
    return {
        scenario: {name: money.plain(value) for name, value in its._asdict().items()}
        for scenario, its in spans.items()
    }


def _amounts(costs: Mapping[Scenario, Decimal]) -> dict[str, str]:
    return {scenario: money.plain(cost) for scenario, cost in costs.items()}


def _plain(value: Decimal | None) -> str | None:
    return None if value is None else money.plain(value)


def as_json(estimate: Estimate) -> dict[str, Any]:
    prefetch_related_objects([estimate], "lines__model")
    totals = dict.fromkeys(Scenario.values, Decimal())
    lines = list(estimate.lines.all())
    for line in lines:
        totals[line.scenario] += line.cost
    return {
        "id": str(estimate.pk),
        "team": estimate.team.slug,
        "project": estimate.project and estimate.project.slug,
        "month": f"{estimate.month:%Y-%m}",
        "months": estimate.months,
        "state": estimate.state,
        "created_by": estimate.created_by,
        "changed_by": estimate.changed_by,
        "plan": estimate.plan,
        "contingency_percent": estimate.contingency_percent,
        "sample": None if estimate.sample_id is None else str(estimate.sample_id),
        "source": estimate.source,
        "note": estimate.note,
        "submitted_by": estimate.submitted_by,
        "submitted_at": estimate.submitted_at,
        "approved_by": estimate.approved_by,
        "approved_at": estimate.approved_at,
        "decision_note": estimate.decision_note,
        "currency": estimate.team.organization.currency,
        "priced_at": estimate.priced_at,
        "totals": {scenario: money.plain(total) for scenario, total in totals.items()},
        "lines": [
            {
                "month": f"{line.month:%Y-%m}",
                "model": line.model.name,
                "processing": line.processing,
                "scenario": line.scenario,
                "requests": line.requests,
                "quantities": {name: getattr(line, name) for name in PRICE_FIELDS},
                "cost": money.plain(line.cost),
            }
            for line in lines
        ],
    }
