"""Whether a call may be made, by the budgets above its project: asked and not held."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

from django.db import OperationalError

from billing.formats import expected
from billing.formats.expected import Question
from billing.models import levels, rate_book
from billing.models.budgets import BudgetState
from billing.models.levels import Call, Chain, Level
from billing.pricing import caps, money
from billing.pricing.usage import Processing
from billing.reports import forecasts
from billing.reports.budgets import BudgetStatus
from billing.reports.exposure import Exposure
from billing.reports.forecasts import BudgetForecast
from teams import isolation, ownership
from teams.models import ApiKey
from teams.recent import Recent

# How long the answer may be kept.
CACHEABLE_SECONDS = 10

# How old a forecast may be in it.
FORECAST_SECONDS = 300

_ATTEMPTS = 5


class Answer(StrEnum):
    ALLOW = "allow"
    WARN = "warn"
    DENY = "deny"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the budgets say, which of them says so (or is the tightest), and why."""

    answer: Answer
    reason: str
    levels: Sequence[Level]
    tightest: Level | None  # None without any budget
    resets_at: datetime | None  # the period of that one ends
    cacheable_seconds: int
    currency: str
    forecast: BudgetForecast | None  # of the tightest one


def verdict(*, key: ApiKey, question: Question, now: datetime) -> Verdict:
    """Raises RecordError, and NotCovered for a project that the key does not cover."""
    owner = ownership.owner(key, question.project, now)
    chain = Chain.recent(owner)
    for _ in range(_ATTEMPTS):
        book = rate_book.recent(chain.organization.pk)
        slots = list(chain.slots(_call(question, book), now, now))
        its = levels.read(chain, slots)
        if its is not None:
            return _Reading(question, book, now, its).verdict(chain)
        chain = Chain.current(owner)
    raise OperationalError("the budgets change faster than they can be read")


def _call(question: Question, book: rate_book.Book) -> Call:
    return Call(
        model_ids=book.models_called(question.provider, question.model)
        if question.model
        else frozenset(),
        processing=question.processing or Processing.STANDARD,
        tags=None,
    )


def _forecast(level: Level, chain: Chain, now: datetime) -> BudgetForecast | None:
    """It takes longer than all the rest, and changes slowly."""
    budget, its = level.slot.budget, level.slot.period
    key = (budget.pk, budget.revision, its.first)
    known = _forecasts.get(key)
    if known is None:
        status = BudgetStatus(
            budget=budget,
            state=BudgetState.RUNNING,
            period=its,
            cap=level.slot.cap,
            spent=level.spent,
            firing=(),
            exposure=Exposure(),
        )
        with isolation.visible_teams(chain.team_ids):
            known = _forecasts.keep(key, (forecasts.of_budget(status, now=now),))
    return known[0]


_forecasts: Recent[tuple[int, int, date], tuple[BudgetForecast | None]]
_forecasts = Recent(FORECAST_SECONDS)


class _Reading:
    """The levels, read for one question."""

    def __init__(
        self,
        question: Question,
        book: rate_book.Book,
        now: datetime,
        its_levels: Sequence[Level],
    ) -> None:
        self._question = question
        self._book = book
        self._now = now
        self._levels = its_levels
        self._estimate = expected.amount(question.estimate) if question.estimate else None

    def verdict(self, chain: Chain) -> Verdict:
        hard = [level for level in self._levels if level.slot.budget.hard]
        passed = [level for level in self._levels if self._passes(level)]
        denied = [level for level in passed if level.slot.budget.hard]
        reached = [level for level in self._levels if _threshold(level)]
        answer = Answer.ALLOW
        reason = "Every budget has room."
        tightest = min(hard or self._levels, key=_remaining, default=None)
        if denied:
            answer, tightest = Answer.DENY, min(denied, key=_remaining)
            reason = self._passing(tightest)
        elif passed:
            answer, reason = Answer.WARN, self._passing(min(passed, key=_remaining))
        elif reached:
            level = max(reached, key=_threshold)
            answer = Answer.WARN
            reason = f"{_said(level)}: {_threshold(level)} % of the cap is reached."
        elif tightest is None:
            reason = "No budget limits this project."
        resets_at = chain.days.start(tightest.slot.period.until) if tightest else None
        left = (resets_at - self._now).total_seconds() if resets_at else CACHEABLE_SECONDS
        return Verdict(
            answer=answer,
            reason=reason,
            levels=self._levels,
            tightest=tightest,
            resets_at=resets_at,
            cacheable_seconds=max(0, min(CACHEABLE_SECONDS, int(left))),
            currency=chain.organization.currency,
            forecast=_forecast(tightest, chain, self._now) if tightest else None,
        )

    def _passes(self, level: Level) -> bool:
        """Whether the call would pass the cap; of an unknown amount, if nothing is left."""
        if self._estimate is None:
            passes = level.remaining <= 0
        else:
            passes = level.remaining < self._estimate
        return passes and not (level.slot.budget.exempt_free and self._is_free())

    def _is_free(self) -> bool:
        question = self._question
        if question.model is None:
            return False
        return expected.is_free(
            model=question.model,
            provider=question.provider,
            processing=question.processing,
            book=self._book.rates,
            at=self._now,
        )

    def _passing(self, level: Level) -> str:
        more = (
            "nothing is left"
            if self._estimate is None
            else f"{money.plain(self._estimate)} more would pass the cap"
        )
        return f"{_said(level)}: {more}."


def _said(level: Level) -> str:
    kind = "hard" if level.slot.budget.hard else "soft"
    return (
        f"The {kind} {level.slot.budget.period} budget of {level.slot.budget.scope} has "
        f"{money.plain(level.used)} of {money.plain(level.slot.cap)} spent or held"
    )


def _remaining(level: Level) -> Decimal:
    return level.remaining


def _threshold(level: Level) -> int:
    """The highest level that is reached, or 0."""
    reached = caps.crossed(level.spent, level.slot.cap, level.slot.budget.thresholds)
    return max(reached, default=0)
