"""Where some days of a project could have cost less: another model, caching, batches.

Each is asked of the report that knows it; price alone, quality is not judged.
"""

from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal

from billing.formats.what_if import (
    LONGEST_OF_TAGS,
    AskedBatch,
    AskedCaching,
    AskedMove,
    Question,
)
from billing.models import LanguageModel, rate_book, routing
from billing.pricing import figures, prefixes, text_tokens
from billing.pricing.budget_periods import Period
from billing.pricing.rates import RateBook
from billing.pricing.recommendations import LEAST_PERCENT, Action, Seen, Verdict
from billing.pricing.token_classes import TokenClass
from billing.pricing.usage import GLOBAL, Processing, Speed
from billing.pricing.what_if import CachingKind
from billing.reports import batch_candidates, cache_economics, what_if
from billing.reports.cache_economics import ModelCaching
from billing.reports.what_if import Answer
from teams.models import Project, Team

# So many cheaper models are tried, those nearest in price first: the smaller the step,
# the likelier that the answers are as good.
_TRIED = 4
# Of a prompt that is not cached yet: half of it is the same every time, and nine of ten
# requests find it. Said beside the figure.
_SHARE, _HIT = 50, 90
# Of what goes in; less read from a cache is no caching.
_CACHED_PERCENT = 10
_LAST = f"the last {LONGEST_OF_TAGS.days} days"
_CLASSES = tuple(TokenClass)
_INPUT = _CLASSES.index(TokenClass.INPUT)
_OUTPUT = _CLASSES.index(TokenClass.OUTPUT)


@dataclass(frozen=True, slots=True)
class Asked:
    """The days of a project, and what of them was seen."""

    team: Team
    project: Project
    days: Period
    seen: Seen
    now: datetime

    def answer(self, **levers: object) -> Answer:
        return what_if.answer(
            self.question(**levers),
            organization=self.team.organization,
            teams=[self.team],
            now=self.now,
        )

    def question(self, **levers: object) -> Question:
        asked = {"since": self.days.first, "until": self.days.until}
        return Question(**asked, project=self.project.slug, **levers)  # type: ignore[arg-type]

    @property
    def since_of_records(self) -> date:
        """The first day whose records are read one by one: of the last 31."""
        return max(self.days.first, self.days.until - LONGEST_OF_TAGS)

    def of_records(self) -> "Asked":
        return replace(self, days=self.days._replace(first=self.since_of_records))

    def money(self, amount: Decimal) -> str:
        return figures.with_currency(amount, self.team.organization.currency)

    @property
    def rests_on(self) -> str:
        return f"{self.seen.sentence} {figures.from_to(self.days)}"


def found(asked: Asked) -> list[Verdict]:
    """One of each kind at most, however little it would have saved."""
    verdicts = (_other_model(asked), _caching(asked), _batches(asked))
    return [one for one in verdicts if one is not None]


# --- Another model --------------------------------------------------------------------


def _other_model(asked: Asked) -> Verdict | None:
    """Of the model that cost most, the nearest cheaper one that would have saved enough,
    at the least favourable number of tokens."""
    costs: dict[LanguageModel, Decimal] = defaultdict(Decimal)
    as_it_was = asked.answer()
    for row in as_it_was.models:
        costs[row.model] += row.before
    if not costs:
        return None
    used = max(costs, key=lambda model: costs[model])
    for model in _cheaper(used, asked):
        answer = asked.answer(moves=[AskedMove(model=used.key, to=model.key)])
        if -answer.delta.high * 100 >= answer.before * LEAST_PERCENT:
            return _moved(asked, answer, used, model)
    return None


def _cheaper(used: LanguageModel, asked: Asked) -> list[LanguageModel]:
    """Those of the same provider that cost less both ways and that the team's routing
    policy allows, the nearest first; of several with the same prices the last by name."""
    rates = rate_book.current(asked.team.organization_id).rates
    its = _prices(rates, used, asked.now)
    of_provider = LanguageModel.objects.filter(provider=used.provider).order_by("name")
    policy = routing.in_force(asked.team, asked.now)
    if policy is not None and policy.model_ids:
        of_provider = of_provider.filter(pk__in=policy.model_ids)
    by_prices = {_prices(rates, model, asked.now): model for model in of_provider}
    below = {
        prices: model
        for prices, model in by_prices.items()
        if its and prices and prices[0] < its[0] and prices[1] < its[1]
    }
    nearest = sorted(below, key=lambda prices: prices or (), reverse=True)
    return [below[prices] for prices in nearest[:_TRIED]]


def _prices(rates: RateBook, model: LanguageModel, at: datetime) -> tuple[int, int] | None:
    """Of a token out and one in, at the usual conditions."""
    usual = (Processing.STANDARD, Speed.STANDARD, GLOBAL, GLOBAL)
    rate = rates.rate(model.key, *usual, 1, at)
    if rate is None or rate.prices[_OUTPUT] is None or rate.prices[_INPUT] is None:
        return None
    return int(rate.prices[_OUTPUT] or 0), int(rate.prices[_INPUT] or 0)


def _moved(
    asked: Asked, answer: Answer, used: LanguageModel, model: LanguageModel
) -> Verdict:
    after = asked.money(answer.after.mid)
    if not answer.after.is_certain:
        after += f" ({asked.money(answer.after.low)} to {asked.money(answer.after.high)})"
    tokenizers = {text_tokens.tokenizer_of(one.name) for one in (used, model)}
    counted = (
        ", at as many tokens: it counts the same text differently"
        if answer.after.is_certain and len(tokenizers) > 1
        else ""
    )
    return Verdict(
        action=Action.CHANGE_MODEL,
        amount=-answer.delta.high,
        sentence=(
            f"On {model.display_name} instead of {used.display_name} the same requests "
            f"would have cost {after} instead of {asked.money(answer.before)}{counted}. "
            "Price only, quality is not judged."
        ),
        rests_on=f"{asked.rests_on}, at the rates of these days.",
        about={"model": used.key, "to": model.key},
    )


# --- Caching ----------------------------------------------------------------------------


def _caching(asked: Asked) -> Verdict | None:
    since, until = asked.days.first, asked.days.until
    report = cache_economics.of(team=asked.team, since=since, until=until, now=asked.now)
    mine = [row for row in report.rows if row.project.pk == asked.project.pk]
    if not mine:
        return None
    known = [_otherwise(asked, one) for one in mine[0].models]
    best = max(
        (one for one in known if one is not None),
        key=lambda one: one.amount or 0,
        default=None,
    )
    hit = mine[0].saving.hit_percent
    if best is None and (hit is None or hit < _CACHED_PERCENT):
        return _cached(asked, mine[0].models)
    return best


def _otherwise(asked: Asked, row: ModelCaching) -> Verdict | None:
    """What is cached, without it or with the other lifetime: whichever saves more."""
    other, net = row.other_lifetime, row.saving.net
    saved = max(other[1] if other else Decimal(), -net)
    if not row.is_cached or saved <= 0:
        return None
    name = row.model.display_name
    if other is None or saved == -net:
        kind = CachingKind.OFF.value
        why = (
            f"Caching on {name} cost {asked.money(saved)} more than it saved: what is "
            "written is hardly read again."
        )
    else:
        kind, why = other[0].value, f"On {name}: {row.advice}"
    return Verdict(
        action=Action.CACHE_THIS,
        amount=saved,
        sentence=why,
        rests_on=f"{asked.rests_on}, at the rates that were charged.",
        about={"kind": kind},
    )


def _cached(asked: Asked, models: list[ModelCaching]) -> Verdict | None:
    """Long prompts that nobody caches: what half of them would save."""
    if not any(_is_long(row) for row in models):
        return None
    caching = AskedCaching(kind=CachingKind.ON, share_percent=_SHARE, hit_percent=_HIT)
    answer = asked.answer(caching=caching)
    if answer.delta.mid >= 0:
        return None
    longest = max((row for row in models if _is_long(row)), key=lambda row: row.requests)
    return Verdict(
        action=Action.CACHE_THIS,
        amount=-answer.delta.high,
        sentence=(
            f"Prompts of {longest.prompt:,} tokens on average go in uncached. If half of "
            "them is the same each time, and nine of ten requests find it in the cache, "
            f"they would have cost {asked.money(answer.after.mid)} instead of "
            f"{asked.money(answer.before)}."
        ),
        rests_on=f"{asked.rests_on}; how much repeats is assumed, not measured.",
        low_confidence=True,
        about={"kind": CachingKind.ON.value},
    )


def _is_long(row: ModelCaching) -> bool:
    least = prefixes.USUAL if row.minimum is None else row.minimum
    return bool(row.break_even) and row.prompt >= least


# --- Batches ----------------------------------------------------------------------------


def _batches(asked: Asked) -> Verdict | None:
    since, until = asked.days.first, asked.days.until
    report = batch_candidates.of(
        team=asked.team, project=asked.project, since=since, until=until, now=asked.now
    )
    if not report.rows:
        return None
    best = report.rows[0]
    last = asked.since_of_records > since
    return Verdict(
        action=Action.BATCH_THAT,
        amount=best.saving,
        sentence=(
            f"{best.why} In batches its {best.requests:,} requests to "
            f"{best.model.display_name} would have cost "
            f"{asked.money(best.spent - best.saving)} instead of "
            f"{asked.money(best.spent)}, if their answers may take a day."
        ),
        rests_on=(
            f"{asked.rests_on}{f', of which {_LAST} were looked at' if last else ''}; who "
            "waits for an answer cannot be seen."
        ),
        about={"tag": best.tag} if best.tag else {},
    )


def question(asked: Asked, verdict: Verdict) -> Question | None:
    """What a what-if is asked to see the verdict in full; None of a cap. It is about the
    days that the verdict is: of batches the last 31 of a longer review."""
    about = verdict.about
    if verdict.action is Action.CHANGE_MODEL:
        moves = [AskedMove(model=about["model"], to=about["to"])]
        return asked.question(moves=moves)
    if verdict.action is Action.CACHE_THIS:
        kind = CachingKind(about["kind"])
        share, hit = (_SHARE, _HIT) if kind is CachingKind.ON else (0, 0)
        caching = AskedCaching(kind=kind, share_percent=share, hit_percent=hit)
        return asked.question(caching=caching)
    if verdict.action is Action.BATCH_THAT and "tag" in about:
        return asked.of_records().question(batch=AskedBatch(tags=[about["tag"]]))
    if verdict.action is Action.BATCH_THAT:
        project = AskedBatch(projects=[asked.project.slug])
        return asked.of_records().question(batch=project)
    return None
