"""A sample as it is shown: what was read, and what requests like these use and cost."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from statistics import median
from typing import Any, NamedTuple

from django.db.models import F, Q, Sum

from billing.models import DailySpend, Sample, rate_book
from billing.models.estimates import Scenario
from billing.models.samples import Source
from billing.pricing.bootstrap import ENOUGH, Doubt
from billing.pricing.levers import Levers
from billing.pricing.samples import Profile, Side
from billing.pricing.token_classes import BESIDE_TEXT, TokenClass
from billing.reports import sampled
from teams.reporting_days import ReportingDays

COMPARED_DAYS = 14
# Fewer actual requests say nothing of what is usual.
_ENOUGH_ACTUAL = 20
# So many times as much, or as little, is another kind of request; so is another hit rate
# by more than so many percentage points.
_TIMES = 2
_POINTS = 20

_FORMATS = {
    "anthropic": "Anthropic",
    "bedrock_converse": "Bedrock Converse",
    "bedrock_invoke": "Bedrock",
    "csv": "a table",
    "gemini": "Gemini",
    "native": "token classes",
    "openai_chat": "OpenAI chat completions",
    "openai_responses": "OpenAI responses",
    "vertex_claude": "Vertex",
}
_FLAGS = {
    "cache_split_incomplete": "do not say of all tokens written to the cache for how long: "
    "the rest counts as 5 minutes",
}


class Warned(NamedTuple):
    """`code` is stable snake_case."""

    code: str
    sentence: str


@dataclass(frozen=True, slots=True)
class ModelSample:
    """`pk` is that of the model, where it is known."""

    pk: int | None
    profile: Profile
    provider: str
    model: str
    warnings: list[Warned]
    shapes: dict[Scenario, Levers]  # what an estimate makes of it


@dataclass(frozen=True, slots=True)
class SampleReport:
    """`read` says in sentences what was read; the first one says it all. `in_estimates`
    says what an estimate that is built on it leaves out, or takes otherwise."""

    sample: Sample
    currency: str
    priced_at: datetime
    read: list[str]
    in_estimates: list[str]
    models: list[ModelSample]

    @property
    def unpriced(self) -> int:
        return sum(sum(one.profile.unpriced.values()) for one in self.models)


def report(sample: Sample, now: datetime) -> SampleReport:
    """The profile of each of its models, at the rates in force now."""
    profiles = sample.profiles(now)
    ids = rate_book.current(sample.team.organization_id).model_ids
    unlike = {} if sample.source == Source.PROJECT else _unlike(sample, profiles, now)
    return SampleReport(
        sample=sample,
        currency=sample.team.organization.currency,
        priced_at=now,
        read=list(_read(sample, profiles)),
        in_estimates=[*_beside_text(profiles), *sampled.left_out(sample, profiles)],
        models=[
            ModelSample(
                pk=ids.get(profile.model),
                profile=profile,
                provider=profile.model.partition("/")[0],
                model=profile.model.partition("/")[2],
                warnings=[*_of_profile(profile), *unlike.get(profile.model, [])],
                shapes=sampled.shapes(sample, profile),
            )
            for profile in profiles
        ],
    )


# --- What was read ------------------------------------------------------------------


def _read(sample: Sample, profiles: Sequence[Profile]) -> Iterator[str]:
    reading = sample.reading
    yield _counted(sample, profiles)
    if sample.of_records > sample.records:
        yield (
            f"They were chosen evenly, by a hash of their ids, of {sample.of_records:,} "
            "records."
        )
    if columns := reading["columns"]:
        named = ", ".join(f"{name} from “{header}”" for name, header in columns.items())
        cached = "counts" if reading["inclusive"] else "does not count"
        yield f"Columns: {named}. The input {cached} what was cached."
    if repeated := reading["repeated"]:
        yield (
            f"{_number(repeated, 'record')} had the id of another one: such a call counts "
            "once, as the last of them says."
        )
    for flag, count in reading["flags"].items():
        yield f"{_number(count, 'record')} {_FLAGS.get(flag, flag)}."
    if sample.not_read:
        yield f"{_number(sample.not_read, reading['unit'])} not read."


def _counted(sample: Sample, profiles: Sequence[Profile]) -> str:
    read_as = sample.reading["read_as"]
    sums = _sums(sample)
    used = ", ".join(f"{count:,} {_WORDS[name]}" for name, count in sums.items() if count)
    how = " and ".join(
        f"{count:,} as {_FORMATS[name]}" if len(read_as) > 1 else f"as {_FORMATS[name]}"
        for name, count in read_as.items()
    )
    read = f" read {how}" if how else ""
    return (
        f"{_number(sample.records, 'record')}{read}, "
        f"{_number(len(profiles), 'model')}: {used or 'nothing used'}."
    )


_WORDS = {
    TokenClass.INPUT: "input tokens",
    TokenClass.CACHE_WRITE_5M: "tokens written to the cache for 5 minutes",
    TokenClass.CACHE_WRITE_1H: "tokens written to the cache for an hour",
    TokenClass.CACHE_READ: "cache-read tokens",
    TokenClass.OUTPUT: "output tokens",
    TokenClass.WEB_SEARCH: "web searches",
    TokenClass.INPUT_AUDIO: "input tokens of sound",
    TokenClass.CACHE_READ_AUDIO: "cache-read tokens of sound",
    TokenClass.OUTPUT_AUDIO: "output tokens of sound",
    TokenClass.OUTPUT_IMAGE: "output tokens of pictures",
    TokenClass.SESSION: "milliseconds of sessions",
}


def _beside_text(profiles: Sequence[Profile]) -> Iterator[str]:
    """What has no size that an estimate could take larger or smaller."""
    for profile in profiles:
        counts = ", ".join(
            f"{profile.totals[name]:,} {_WORDS[name]}"
            for name in BESIDE_TEXT
            if name in profile.totals
        )
        if counts:
            yield (
                f"Of {profile.model.partition('/')[2]} {counts} are taken as so many in "
                "1,000 requests, light or heavy, on every model that has a price for them."
            )


def _sums(sample: Sample) -> dict[TokenClass, int]:
    total = dict.fromkeys(TokenClass, 0)
    for usage in sample.usages(sample.created_at):
        for name, quantity in zip(TokenClass, usage.quantities, strict=True):
            total[name] += quantity
    return total


def _number(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


# --- Warnings -----------------------------------------------------------------------


def _of_profile(profile: Profile) -> Iterator[Warned]:
    if profile.unpriced:
        reasons = ", ".join(
            f"{count:,} {_REASONS.get(reason, reason)}"
            for reason, count in profile.unpriced.items()
        )
        yield Warned("unpriced", f"Not in the cost, for want of a price: {reasons}.")
    for doubt in profile.doubts:
        yield Warned(doubt.value, _DOUBTS[doubt])


_REASONS = {
    "unknown_model": "of a model that no rate card names",
    "no_rate": "under conditions without a rate",
    "no_price": "with a class that has no price",
}
_DOUBTS = {
    Doubt.TOO_FEW: f"Fewer than {ENOUGH} requests cost anything: the interval may miss the "
    "true mean more often than once in ten.",
    Doubt.TOO_SKEWED: "A few requests make much of the cost: the interval is rather too "
    "narrow, mostly above.",
}


def _unlike(
    sample: Sample, profiles: Sequence[Profile], now: datetime
) -> dict[str, list[Warned]]:
    """Where the team's own traffic of the model is of another kind."""
    ids = rate_book.current(sample.team.organization_id).model_ids
    actual = _actual(sample, [ids[one.model] for one in profiles if one.model in ids], now)
    return {
        profile.model: list(_differences(profile, actual[ids[profile.model]]))
        for profile in profiles
        if profile.model in ids and ids[profile.model] in actual
    }


class _Day(NamedTuple):
    """Of one request, on the average of a day; the hit rate in percent."""

    input: Decimal
    output: Decimal
    hit_percent: Decimal | None


def _actual(
    sample: Sample, model_ids: Sequence[int], now: datetime
) -> dict[int, list[_Day]]:
    """The last days of each model that had enough requests."""
    days: defaultdict[int, list[_Day]] = defaultdict(list)
    requests: defaultdict[int, int] = defaultdict(int)
    for row in _sums_of_days(sample, model_ids, now):
        requests[row["model_id"]] += row["made"]
        if row["made"] > 0:
            days[row["model_id"]].append(
                _Day(
                    Decimal(row["went_in"]) / row["made"],
                    Decimal(row["came_out"]) / row["made"],
                    Decimal(row["reads"]) * 100 / row["went_in"]
                    if row["went_in"]
                    else None,
                )
            )
    return {one: its for one, its in days.items() if requests[one] >= _ENOUGH_ACTUAL}


def _sums_of_days(
    sample: Sample, model_ids: Sequence[int], now: datetime
) -> Iterator[dict[str, Any]]:
    until = ReportingDays(sample.team.organization).day(now)
    of_project = Q(project=sample.project_id) if sample.project_id else Q()
    rows = DailySpend.objects.filter(
        of_project,
        team=sample.team_id,
        model__in=model_ids,
        day__gte=until - timedelta(days=COMPARED_DAYS),
        day__lt=until,
    )
    sums = rows.values("model_id", "day").order_by()
    for row in sums.annotate(
        made=Sum("requests"),
        went_in=Sum(_INPUT),
        came_out=Sum(_OUTPUT),
        reads=Sum(F("cache_read") + F("cache_read_audio")),
    ):
        yield dict(row)


_INPUT = (
    F("input")
    + F("cache_write_5m")
    + F("cache_write_1h")
    + F("cache_read")
    + F("input_audio")
    + F("cache_read_audio")
)
_OUTPUT = F("output") + F("output_audio") + F("output_image")


def _differences(profile: Profile, days: Sequence[_Day]) -> Iterator[Warned]:
    sides: dict[str, tuple[int, Decimal]] = {
        "tokens in": (profile.sides[Side.INPUT].mean, median(day.input for day in days)),
        "tokens out": (
            profile.sides[Side.OUTPUT].mean,
            median(day.output for day in days),
        ),
    }
    for words, (here, there) in sides.items():
        if here > _TIMES * there or there > _TIMES * here:
            yield Warned(
                "unlike_actual",
                f"Unlike the actual traffic: a request here has {here:,} {words}, one of "
                f"the last {COMPARED_DAYS} days {there:,.0f}.",
            )
    hits = [day.hit_percent for day in days if day.hit_percent is not None]
    if profile.hit_percent is not None and hits:
        there = median(hits)
        if abs(profile.hit_percent - there) > _POINTS:
            yield Warned(
                "unlike_actual",
                f"Unlike the actual traffic: {profile.hit_percent:.0f} % of the input here "
                f"is read from the cache, {there:.0f} % in the last {COMPARED_DAYS} days.",
            )
