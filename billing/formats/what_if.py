"""What is asked of past usage: which days of it, and which levers are pulled."""

from datetime import date, timedelta
from typing import Annotated, Any, Literal, TypeVar

import msgspec

from billing.formats import strict
from billing.formats.errors import RecordError
from billing.formats.posted import FIRST_YEAR, LAST_YEAR, Name, Slug
from billing.pricing.what_if import CachingKind

# Of tags the records are read, of anything else the daily sums.
LONGEST = timedelta(days=366)
LONGEST_OF_TAGS = timedelta(days=31)
MOST_MOVES = 20
_MOST_TAGS, _MOST_PROJECTS = 10, 200

_Percent = Annotated[int, msgspec.Meta(ge=0, le=100)]
_Some = Annotated[int, msgspec.Meta(ge=1, le=100)]
_Tag = Annotated[str, msgspec.Meta(min_length=1, max_length=265)]


class AskedMove(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """So many percent of one model's requests go to another one.

    Models as they are named in calls, of Anthropic or the only provider that has such a
    one, or with their provider: anthropic/claude-opus-5.
    """

    model: Name
    to: Name
    percent: _Some = 100


class AskedBatch(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """So many percent of the requests that can wait: those of these projects, and those
    that carry one of these tags, as `key=value`."""

    percent: _Some = 100
    projects: Annotated[list[Slug], msgspec.Meta(max_length=_MOST_PROJECTS)] = []
    tags: Annotated[list[_Tag], msgspec.Meta(max_length=_MOST_TAGS)] = []


class AskedCaching(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """`off`: what was cached is plain input. `on`: `share_percent` of the plain input
    repeats, `hit_percent` of that is read and the rest written, to live for `ttl`. `5m`
    or `1h`: whatever was written is written to live that long."""

    kind: CachingKind
    share_percent: _Percent = 0
    hit_percent: _Percent = 0
    ttl: Literal["5m", "1h"] = "5m"


class Question(
    msgspec.Struct,
    kw_only=True,
    frozen=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
):
    """Of the days from `since` on, and before `until`, of the reporting zone; without
    them the last 30. Of a team or one of its projects; without them, of all that the
    caller covers. `output_percent` is how many percent more, or (negative) fewer, tokens
    are put out. `prices_on` is the day whose prices count."""

    since: date | None = None
    until: date | None = None
    team: Slug | None = None
    project: Slug | None = None
    moves: Annotated[list[AskedMove], msgspec.Meta(max_length=MOST_MOVES)] = []
    batch: AskedBatch | None = None
    caching: AskedCaching | None = None
    output_percent: Annotated[int, msgspec.Meta(ge=-100, le=1000)] = 0
    prices_on: date | None = None

    @property
    def tags(self) -> list[tuple[str, str]]:
        """Those that say what can wait, as key and value."""
        named = [tag.partition("=") for tag in self.batch.tags] if self.batch else []
        return [(key, value) for key, _, value in named]

    @property
    def asks(self) -> bool:
        """Whether any lever is pulled."""
        levers = (self.moves, self.batch, self.caching, self.output_percent)
        return any(levers) or self.prices_on is not None


class NamedQuestion(Question, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A question, and the name that it is kept under."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]


class PlannedQuestion(Question, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A question, and the month that an estimate is made of its answer for, as 2026-12;
    without it the next one."""

    month: Annotated[str, msgspec.Meta(min_length=7, max_length=7)] | None = None


Asked = TypeVar("Asked", bound=Question)

_QUESTION = msgspec.json.Decoder(Question)
_NAMED = msgspec.json.Decoder(NamedQuestion)
_PLANNED = msgspec.json.Decoder(PlannedQuestion)


def decode(body: bytes) -> Question:
    """Decode a question. Raises RecordError for each way it can be wrong."""
    return _checked(strict.decode(_QUESTION, body))


def decode_named(body: bytes) -> NamedQuestion:
    """Decode a question with its name. Raises RecordError like `decode`."""
    return _checked(strict.decode(_NAMED, body))


def decode_planned(body: bytes) -> PlannedQuestion:
    """Decode a question with its month. Raises RecordError like `decode`."""
    return _checked(strict.decode(_PLANNED, body))


def read(question: Any) -> Question:
    """Read a question from plain values. Raises RecordError like `decode`."""
    return decode(msgspec.json.encode(question))


def plain(question: Question) -> dict[str, Any]:
    """The question alone as plain values, without what is not asked: `read` reads it."""
    said: dict[str, Any] = msgspec.to_builtins(question)
    return {name: said[name] for name in Question.__struct_fields__ if name in said}


def _checked(question: Asked) -> Asked:
    _check_days(question)
    moved: dict[str, int] = {}
    for number, move in enumerate(question.moves):
        moved[move.model] = moved.get(move.model, 0) + move.percent
        if moved[move.model] > 100:
            raise RecordError(
                "out_of_range",
                f"/moves/{number}/percent",
                f"Of {strict.shown(move.model)} no more than 100 percent can be moved.",
            )
    batch, caching = question.batch, question.caching
    if batch is not None:
        _check_batch(batch.projects, question.tags)
    if caching is not None and caching.kind is CachingKind.ON and not caching.share_percent:
        raise RecordError(
            "missing_field",
            "/caching/share_percent",
            "Say how many percent of the input repeat.",
        )
    return question


def _check_days(question: Question) -> None:
    for name in ("since", "until", "prices_on"):
        day = getattr(question, name)
        if day is not None and not FIRST_YEAR <= day.year <= LAST_YEAR:
            detail = f"A day is from {FIRST_YEAR} to {LAST_YEAR}."
            raise RecordError("bad_time", f"/{name}", detail)
    since, until = question.since, question.until
    if (since is None) != (until is None):
        pointer = "/since" if since is None else "/until"
        raise RecordError("missing_field", pointer, "Say both since and until, or neither.")
    if since is None or until is None:
        return
    if until <= since:
        raise RecordError("bad_time", "/until", "This day must come after since.")
    longest = LONGEST_OF_TAGS if question.tags else LONGEST
    if until - since > longest:
        by_tag = " where a tag is asked for" if question.tags else ""
        detail = f"The range is {longest.days} days at most{by_tag}."
        raise RecordError("out_of_range", "/until", detail)


def _check_batch(projects: list[str], tags: list[tuple[str, str]]) -> None:
    if not projects and not tags:
        raise RecordError(
            "missing_field", "/batch", "Say what can wait: projects, or tags as key=value."
        )
    for number, (key, value) in enumerate(tags):
        if not key or not value:
            detail = "Write a tag as key=value, such as job=nightly."
            raise RecordError("bad_value", f"/batch/tags/{number}", detail)
