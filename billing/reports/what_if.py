"""What past usage would have cost otherwise: the one function behind page and API.

Every day is priced once more at its own rates, so that a difference is the levers' alone;
what was charged differently stands on a line of its own.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import partial

import msgspec

from billing.formats.errors import RecordError
from billing.formats.what_if import AskedCaching, AskedMove, Question
from billing.models import LanguageModel, RateCard, rate_book
from billing.models.estimates import Scenario
from billing.models.rate_book import Book
from billing.pricing import figures, money, text_tokens, what_if
from billing.pricing.budget_periods import Period
from billing.pricing.rates import RateBook
from billing.pricing.token_classes import NOTHING, Quantities, TokenClass
from billing.pricing.what_if import (
    Caching,
    Cell,
    Guess,
    Lever,
    Levers,
    Move,
    Outcome,
    Priced,
)
from billing.reports import completeness, past_usage, what_if_sentences
from billing.reports.completeness import Gaps
from billing.reports.past_usage import CanWait, Used
from billing.reports.spend import Extent
from teams.models import Organization, Project, Team
from teams.reporting_days import ReportingDays

DAYS = 30
_ONE_DAY = timedelta(days=1)
# Where nothing can be planned.
NOTHING_OVER = "There is nothing in it to plan: no day on which anything was used is over."
# Of a name that several providers have, when none is said.
_USUALLY = "anthropic"
_WRITES = {"5m": TokenClass.CACHE_WRITE_5M, "1h": TokenClass.CACHE_WRITE_1H}


@dataclass(frozen=True, slots=True)
class Range:
    """An amount at the likely number of tokens, and at both ends of what is likely."""

    low: Decimal
    mid: Decimal
    high: Decimal

    @property
    def is_certain(self) -> bool:
        return self.low == self.high

    def less(self, amount: Decimal) -> "Range":
        return Range(self.low - amount, self.mid - amount, self.high - amount)


@dataclass(frozen=True, slots=True)
class Effect:
    """What one lever does to the total that the one before it left, in words too.

    `missing` says what it could not move.
    """

    lever: Lever
    amount: Range
    requests: int
    sentences: tuple[str, ...]
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PlaceRow:
    """A project in a team, before and after."""

    team: Team
    project: Project
    before: Decimal
    after: Range

    @property
    def difference(self) -> Decimal:
        return self.after.mid - self.before

    @property
    def percent(self) -> Decimal | None:
        return self.difference * 100 / self.before if self.before else None


@dataclass(frozen=True, slots=True)
class ModelRow:
    """A model under one processing, before and after; `quantities` are those after."""

    model: LanguageModel
    processing: str
    requests_before: int
    before: Decimal
    requests: int
    quantities: Quantities
    after: Decimal


@dataclass(frozen=True, slots=True)
class Apart:
    """What has no rate now: it is on neither side, at what it was charged."""

    model: str
    processing: str
    requests: int
    charged: Decimal


@dataclass(frozen=True, slots=True)
class Answer:
    """Of the days [since, until). What was charged is `before`, `difference` and what is
    apart together; `adjustment` is the part of it that is for closed months.

    The effects add up to `after` less `before`, exactly. `ends` are the models at both
    ends of what is likely, and between them; only between where that is certain.
    """

    question: Question
    project: Project | None
    currency: str
    since: date
    until: date
    charged: Decimal
    adjustment: Decimal
    apart: list[Apart]
    difference: Decimal
    before: Decimal
    after: Range
    effects: list[Effect]
    projects: list[PlaceRow]
    ends: dict[Guess, list[ModelRow]]
    assumptions: tuple[str, ...]
    gaps: Gaps

    @property
    def models(self) -> list[ModelRow]:
        return self.ends[Guess.MID]

    @property
    def delta(self) -> Range:
        return self.after.less(self.before)

    @property
    def percent(self) -> Decimal | None:
        return self.delta.mid * 100 / self.before if self.before else None

    @property
    def is_empty(self) -> bool:
        return not self.projects and not self.apart


def answer(
    question: Question,
    *,
    organization: Organization,
    teams: Sequence[Team],
    now: datetime,
    projects: Sequence[Project] | None = None,
) -> Answer:
    """Price the usage of these teams as it was, and as it would be with the levers.

    The teams are visible now; `projects` narrows to these. Raises RecordError for a model
    that is not known, and for a project that is not theirs.
    """
    since, until = _days(question, organization, now)
    book = rate_book.current(organization.pk)
    levers = _levers(question, book)
    _check_currency(levers, organization)
    known = _projects(teams, projects)
    extent = Extent(
        team_ids=[team.pk for team in teams],
        since=since,
        until=until,
        project_ids=_asked_projects(question, known, narrowed=projects is not None),
    )
    usage = past_usage.used(
        extent,
        book,
        also=(move.to for move in levers.moves),
        can_wait=_can_wait(question, known),
    )
    priced, without = what_if.at_rates((one.cell for one in usage), book.rates)
    outcomes = {
        guess: what_if.pull(priced, levers, book.rates, guess)
        for guess in (Guess if _is_uncertain(levers) else (Guess.MID,))
    }
    models = {model.key: model for model in LanguageModel.objects.all()}
    names = {key: model.display_name for key, model in models.items()}
    charged = sum((one.charged for one in usage), Decimal())
    apart = _apart(usage, without, names)
    before = money.exact(what_if.total(priced))
    return Answer(
        question=question,
        project=known[question.project] if question.project else None,
        currency=organization.currency,
        since=since,
        until=until,
        charged=charged,
        adjustment=sum((one.adjustment for one in usage), Decimal()),
        apart=apart,
        difference=charged - before - sum((one.charged for one in apart), Decimal()),
        before=before,
        after=_range(outcomes, lambda outcome: outcome.total_after),
        effects=_effects(outcomes, names, levers, organization.currency),
        projects=_places(outcomes, teams),
        ends={guess: _models(outcome, models) for guess, outcome in outcomes.items()},
        assumptions=tuple(
            what_if_sentences.assumptions(levers, by_tag=bool(question.tags))
        ),
        gaps=completeness.gaps(**extent),
    )


def of_whole_days(
    question: Question,
    *,
    organization: Organization,
    teams: Sequence[Team],
    now: datetime,
    projects: Sequence[Project] | None = None,
) -> Answer | None:
    """The same answer of the days that are over, from the first on which anything was
    used: what a day comes to can be told by these. None where there are none.

    Raises RecordError as `answer` does.
    """
    since, until = _days(question, organization, now)
    until = min(until, ReportingDays(organization).day(now))
    known = _projects(teams, projects)
    first = past_usage.first_day(
        Extent(
            team_ids=[team.pk for team in teams],
            since=since,
            until=until,
            project_ids=_asked_projects(question, known, narrowed=projects is not None),
        )
    )
    if first is None:
        return None
    return answer(
        msgspec.structs.replace(question, since=first, until=until),
        organization=organization,
        teams=teams,
        projects=projects,
        now=now,
    )


# The fewer tokens another tokenizer makes, the lighter the month.
_SCENARIOS = {
    Guess.LOW: Scenario.LIGHT,
    Guess.MID: Scenario.MEDIUM,
    Guess.HIGH: Scenario.HEAVY,
}


def planned(found: Answer) -> dict[Scenario, list[ModelRow]]:
    """What an estimate is made of: the likely month, and both ends of what is likely."""
    return {_SCENARIOS[guess]: rows for guess, rows in found.ends.items()}


def note(found: Answer) -> str:
    """What an estimate says of where it comes from."""
    days = figures.from_to(Period(found.since, found.until))
    levers = ", ".join(one.lever for one in found.effects) or "no lever"
    return f"What-if of the usage {days}: {levers}."


# --- What is asked ----------------------------------------------------------------------


def _days(
    question: Question, organization: Organization, now: datetime
) -> tuple[date, date]:
    if question.since is not None and question.until is not None:
        return question.since, question.until
    until = ReportingDays(organization).day(now) + _ONE_DAY
    return until - timedelta(days=DAYS), until


def _projects(
    teams: Sequence[Team], projects: Sequence[Project] | None
) -> dict[str, Project]:
    """Those that can be named: all that one of the teams has ever owned."""
    if projects is None:
        owned = Project.objects.filter(ownerships__team__in=teams).distinct()
        return {project.slug: project for project in owned}
    return {project.slug: project for project in projects}


def _asked_projects(
    question: Question, known: dict[str, Project], *, narrowed: bool
) -> list[int] | None:
    if question.project is not None:
        return [_named(question.project, known, "/project")]
    return [project.pk for project in known.values()] if narrowed else None


def _can_wait(question: Question, known: dict[str, Project]) -> CanWait:
    if question.batch is None:
        return past_usage.NOBODY
    projects = (
        _named(slug, known, f"/batch/projects/{number}")
        for number, slug in enumerate(question.batch.projects)
    )
    return CanWait(frozenset(projects), tuple(question.tags))


def _named(slug: str, known: dict[str, Project], pointer: str) -> int:
    if slug not in known:
        raise RecordError("unknown_project", pointer, f"There is no project {slug} here.")
    return known[slug].pk


def _levers(question: Question, book: Book) -> Levers:
    batch, caching = question.batch, question.caching
    moves = [_move(number, asked, book) for number, asked in enumerate(question.moves)]
    try:
        return Levers(
            moves=tuple(moves),
            batch=Fraction(batch.percent) if batch else None,
            caching=_caching(caching) if caching else None,
            output=Fraction(question.output_percent) if question.output_percent else None,
            prices_at=past_usage.noon(question.prices_on) if question.prices_on else None,
        )
    except ValueError as error:
        raise RecordError("out_of_range", "/moves", f"{error}.".capitalize()) from error


def _move(number: int, asked: AskedMove, book: Book) -> Move:
    where = f"/moves/{number}"
    model = _model(asked.model, _USUALLY, book.rates, f"{where}/model")
    to = _model(asked.to, model.partition("/")[0], book.rates, f"{where}/to")
    factor = text_tokens.factor(model, to)
    return Move(model, to, Fraction(asked.percent), factor)


def _check_currency(levers: Levers, organization: Organization) -> None:
    providers = {move.to: move.to.partition("/")[0] for move in levers.moves}
    cards = RateCard.objects.filter(
        kind=RateCard.Kind.LIST, provider__in=set(providers.values())
    )
    others = dict(
        cards.exclude(currency=organization.currency).values_list("provider", "currency")
    )
    for number, move in enumerate(levers.moves):
        provider = providers[move.to]
        if provider in others:
            raise RecordError(
                "bad_value",
                f"/moves/{number}/to",
                f"Prices of {provider} are in {others[provider]}, {organization} counts in "
                f"{organization.currency}: amounts are not converted.",
            )


def _model(name: str, at: str, rates: RateBook, pointer: str) -> str:
    """The canonical key of a model that is named with its provider or without: then of
    the provider `at`, if that has it, or of the only one that does."""
    provider, slash, rest = name.partition("/")
    found = (slash and rates.model(provider, rest)) or rates.model(at, name)
    if found:
        return found
    keys = {key for one in rates.providers_of(name) if (key := rates.model(one, name))}
    if len(keys) == 1:
        return keys.pop()
    detail = f"Several providers have {name}: write provider/{name}."
    if not keys:
        detail = f"No model is known as {name}."
    raise RecordError("unknown_model", pointer, detail)


def _caching(asked: AskedCaching) -> Caching:
    return Caching(
        asked.kind,
        Fraction(asked.share_percent),
        Fraction(asked.hit_percent),
        _WRITES[asked.ttl],
    )


def _is_uncertain(levers: Levers) -> bool:
    return any(not move.factor.is_certain for move in levers.moves)


# --- What comes of it -------------------------------------------------------------------

Outcomes = dict[Guess, Outcome]


def _range(outcomes: Outcomes, amount: Callable[[Outcome], int]) -> Range:
    """The likely amount, between the least and the most."""
    amounts = {guess: money.exact(amount(one)) for guess, one in outcomes.items()}
    return Range(min(amounts.values()), amounts[Guess.MID], max(amounts.values()))


def _apart(
    usage: Iterable[Used], without: Iterable[Cell], names: dict[str, str]
) -> list[Apart]:
    without = set(without)
    found: dict[tuple[str, str], Apart] = {}
    for cell, charged, _ in usage:
        if cell in without:
            key = (names[cell.model], cell.processing)
            known = found.get(key, Apart(*key, 0, Decimal()))
            requests = known.requests + cell.requests
            found[key] = Apart(*key, requests, known.charged + charged)
    return [found[key] for key in sorted(found)]


def _effects(
    outcomes: Outcomes, names: dict[str, str], levers: Levers, currency: str
) -> list[Effect]:
    words = what_if_sentences.Words(names, levers, currency)
    return [
        Effect(
            lever=pulled.lever,
            amount=_range(outcomes, partial(_effect, number)),
            requests=pulled.requests,
            sentences=tuple(words.of(pulled)),
            missing=tuple(words.missing(pulled)),
        )
        for number, pulled in enumerate(outcomes[Guess.MID].pulled)
    ]


def _effect(number: int, outcome: Outcome) -> int:
    return outcome.pulled[number].effect


def _places(outcomes: Outcomes, teams: Sequence[Team]) -> list[PlaceRow]:
    """By project, what changes most first."""
    before = _by_place(outcomes[Guess.MID].before)
    after = {guess: _by_place(outcome.after) for guess, outcome in outcomes.items()}
    by_id = {team.pk: team for team in teams}
    projects = Project.objects.in_bulk({project_id for _, project_id in before})
    rows = []
    for place, cost in before.items():
        team_id, project_id = place
        ends = {guess: its.get(place, Decimal()) for guess, its in after.items()}
        its = Range(min(ends.values()), ends[Guess.MID], max(ends.values()))
        rows.append(PlaceRow(by_id[team_id], projects[project_id], cost, its))
    return sorted(
        rows, key=lambda row: (-abs(row.difference), -row.before, row.project.slug)
    )


def _by_place(priced: Iterable[Priced]) -> dict[tuple[int, ...], Decimal]:
    costs: dict[tuple[int, ...], int] = {}
    for cell, cost in priced:
        costs[cell.place] = costs.get(cell.place, 0) + cost
    return {place: money.exact(cost) for place, cost in costs.items()}


def _models(outcome: Outcome, models: dict[str, LanguageModel]) -> list[ModelRow]:
    """By model and processing, the dearest first."""
    before, after = _by_model(outcome.before), _by_model(outcome.after)
    nothing = (0, NOTHING, 0)
    rows = []
    for model, processing in {*before, *after}:
        requests_before, _, cost_before = before.get((model, processing), nothing)
        requests, quantities, cost = after.get((model, processing), nothing)
        rows.append(
            ModelRow(
                models[model],
                processing,
                requests_before,
                money.exact(cost_before),
                requests,
                quantities,
                money.exact(cost),
            )
        )
    return sorted(rows, key=lambda row: (-row.after, -row.before, row.model.name))


def _by_model(
    priced: Iterable[Priced],
) -> dict[tuple[str, str], tuple[int, Quantities, int]]:
    found: dict[tuple[str, str], tuple[int, Quantities, int]] = {}
    for cell, cost in priced:
        key = (cell.model, cell.processing)
        requests, quantities, known = found.get(key, (0, NOTHING, 0))
        quantities = quantities.plus(cell.quantities)
        found[key] = (requests + cell.requests, quantities, known + cost)
    return found
