"""Any order of spend, budgets, edits, raises, re-rates, late records and voids, counted by
sixteen at a time: the alerts of levels are those that tests/billing/expected_alerts.py
tells. More of it: `make machines`.
"""

import itertools
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import connection
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from billing.actions import budgets, post, rate_cards, receive, rerates, sweep, voids
from billing.actions.budgets import Limits, Terms
from billing.actions.rerates import Scope
from billing.formats.body import split
from billing.models import (
    Alert,
    Budget,
    LanguageModel,
    Posting,
    Publication,
    Rate,
    RateCard,
    UsageRecord,
)
from billing.pricing.budget_periods import Period, PeriodKind
from teams.actions import organizations, projects, teams
from teams.models import Project, Team
from tests.billing import machines
from tests.billing.committed import committing
from tests.billing.expected_alerts import (
    Ended,
    Looked,
    Moved,
    Row,
    Said,
    Use,
    What,
    expected,
)
from tests.builders import body, record
from tests.conftest import issue

AT_ONCE = 16
BERLIN = ZoneInfo("Europe/Berlin")
# There it is another day, and another month.
BEGIN = datetime(2026, 10, 31, 23, 30, tzinfo=UTC)
SET_UP = datetime(2026, 1, 15, tzinfo=UTC)

PROJECTS = {"a1": "alpha", "a2": "alpha", "b1": "beta"}
SCOPES = {
    "everything": frozenset(PROJECTS),
    "alpha": frozenset({"a1", "a2"}),
    "beta": frozenset({"b1"}),
    "a1": frozenset({"a1"}),
    "b1": frozenset({"b1"}),
}
MODELS = {"opus": "claude-opus-5-5", "haiku": "claude-haiku-4-5"}
PROCESSING = ("standard", "batch")
TAG = "agent"
# What budgets are limited to: models, kinds of processing, values of the tag.
LIMITS = {
    "nothing": {},
    "a model": {"models": {"haiku"}},
    "both models": {"models": {"opus", "haiku"}},
    "a processing": {"processing": {"batch"}},
    "a tag": {"tags": {"nightly", "weekly"}},
    "a model's processing": {"models": {"haiku"}, "processing": {"batch"}},
    "all three": {"models": {"opus"}, "processing": {"standard"}, "tags": {"nightly"}},
}
# One dollar makes a difference, up to the cap.
DENSE = (20, {*range(5, 100, 5), *range(150, 1001, 50)})
# Of each, what all limits let pass differs in one thing only from what they do not.
TELLING = [
    Use("a1", "opus", "standard", "nightly"),
    Use("a1", "haiku", "standard", "nightly"),
    Use("a1", "opus", "batch", "nightly"),
    Use("a1", "opus", "standard", "weekly"),
    Use("a1", "haiku", "batch"),
]
A_MOMENT = timedelta(microseconds=1)
# A window: from so many days before today on, for so many days.
ENDED_TODAY = (9, 9)
BEGAN_TODAY = (0, 9)
_numbers = itertools.count(1)


class Used(NamedTuple):
    use: Use
    occurred_at: datetime
    millions: int  # of tokens, at so many dollars each


def publish_all(dollars: int) -> None:
    """One price for everything: what was used for it changes no amount."""
    publication = Publication.objects.create(
        card=RateCard.objects.get(kind="list", provider="anthropic"),
        created_by="tests",
        created_at=SET_UP,
    )
    models = LanguageModel.objects.filter(provider="anthropic", name__in=MODELS.values())
    for model, processing in itertools.product(models, PROCESSING):
        Rate.objects.create(
            publication=publication,
            model=model,
            processing=processing,
            effective_from=datetime(2025, 1, 1, tzinfo=UTC),
            input=dollars,
            output=20,
            source="test",
            observed_on=SET_UP.date(),
        )
    rate_cards.publish(publication=publication, by="tests", now=SET_UP)


NOT_RAISED: dict[str, Any] = {"raised_to": None, "raised_until": None}


def as_limits(
    models: frozenset[str] = frozenset(),
    processing: frozenset[str] = frozenset(),
    tags: frozenset[str] = frozenset(),
) -> Limits:
    its = LanguageModel.objects.filter(name__in=[MODELS[name] for name in models])
    return Limits(
        model_ids=tuple(its.values_list("pk", flat=True)),
        processing=tuple(processing),
        tag_key=TAG if tags else "",
        tag_values=tuple(tags),
    )


class Workers:
    """Sixteen threads, each with a connection of its own."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(AT_ONCE)
        self._gate = threading.Barrier(AT_ONCE)

    def each(self, work: Callable[[int], object]) -> None:
        def begin(number: int) -> None:
            self._gate.wait(20)
            work(number)

        futures: list[Future[None]] = [
            self._pool.submit(begin, number) for number in range(AT_ONCE)
        ]
        for future in futures:
            future.result()

    def end(self) -> None:
        self.each(lambda number: connection.close())
        self._pool.shutdown()


class Alerting(RuleBasedStateMachine):
    """One organization of two teams and three projects; each step ends with all counted."""

    workers: Workers

    def __init__(self) -> None:
        super().__init__()
        self.now = BEGIN
        self.price = 1
        publish_all(self.price)
        self.cast()
        self.used: dict[str, Used] = {}
        self.void: set[str] = set()
        self.terms: dict[int, Said] = {}
        self.history: list[tuple[datetime, What]] = []

    def cast(self) -> None:
        slug = f"machine-{next(_numbers)}"
        made: dict[str, Any] = {"by": "tests", "now": SET_UP}
        self.organization = organizations.create(
            name=slug, slug=slug, time_zone="Europe/Berlin", **made
        )
        self.teams: dict[str, Team] = {
            name: teams.create(
                organization=self.organization, name=name, slug=f"{slug}-{name}", **made
            )
            for name in ("alpha", "beta")
        }
        Team.objects.filter(organization=self.organization).update(created_at=SET_UP)
        self.projects: dict[str, Project] = {
            name: projects.create(
                team=self.teams[owner], name=name, slug=f"{slug}-{name}", **made
            )
            for name, owner in PROJECTS.items()
        }
        self.key, _ = issue(self.organization)

    # --- What happens -----------------------------------------------------------------

    ages = st.sampled_from([0, 1, 7, 26, 34]).map(lambda days: timedelta(days=days))
    millions = st.sampled_from([1, 2, 5])
    caps = st.sampled_from([0, 4, 10, 20, 50])
    percents = st.sets(st.sampled_from([10, 25, 50, 80, 120]), max_size=3)
    picks = st.integers(0, 1000)
    use = st.builds(
        Use,
        st.sampled_from(sorted(PROJECTS)),
        st.sampled_from(sorted(MODELS)),
        st.sampled_from(PROCESSING),
        st.sampled_from(["", "nightly", "weekly", "never"]),
    )
    uses = st.lists(st.tuples(use, ages, millions), min_size=1, max_size=12)
    limits = st.sampled_from(sorted(LIMITS))
    windows = st.sampled_from([(40, 60), (0, 1), (2, 9), (-1, 8), (30, 20), ENDED_TODAY])

    @rule(uses=uses)
    def spend(self, uses: list[tuple[Use, timedelta, int]]) -> None:
        self.post(uses)
        self.count()

    def post(self, uses: list[tuple[Use, timedelta, int]]) -> None:
        """Each record comes by itself, so that sixteen have something to count."""
        for use, age, millions in uses:
            used = Used(use, self.now - age, millions)
            record_id = f"msg_{next(_numbers):06}"
            self.send(record_id, used)
            self.used[record_id] = used
            self.moved(used, Decimal(millions * self.price))

    def send(self, record_id: str, used: Used) -> None:
        posted = record(
            id=record_id,
            occurred_at=used.occurred_at.isoformat(),
            project=self.projects[used.use.project].slug,
            model=MODELS[used.use.model],
            processing=used.use.processing,
            tags={TAG: used.use.tag} if used.use.tag else {},
            usage={"input_tokens": used.millions * 1_000_000, "output_tokens": 0},
        )
        raws = split(body(posted), "application/json", 10)
        outcomes = receive.receive(key=self.key, raws=raws, now=self.now)
        assert [str(one.status) for one in outcomes] == ["accepted"]

    def count(self, meanwhile: Callable[[], object] | None = None) -> None:
        """Half of them take a team's batches, half one posting after another, and one does
        something else first."""
        teams = [team.pk for team in self.teams.values()]
        postings = list(
            Posting.objects.filter(team__in=teams).values_list("team_id", "uid")
        )

        def work(number: int) -> None:
            if meanwhile and number == 1:
                meanwhile()
            if number % 2:
                self.count_one_by_one(postings[number // 2 :: AT_ONCE // 2])
            else:
                self.count_all(teams[:: 1 if number % 4 else -1])

        self.workers.each(work)
        self.count_all(teams)  # what one of them had claimed when the others looked
        self.looked()

    def count_one_by_one(self, postings: Sequence[tuple[int, UUID]]) -> None:
        for team_id, uid in postings:
            post.count(team_id=team_id, only=uid, now=self.now)

    def count_all(self, teams: Sequence[int]) -> None:
        for team_id in teams:
            while post.count(team_id=team_id, now=self.now):
                pass

    @initialize(
        cap=st.sampled_from([4, 10, 20]),
        thresholds=percents,
        period=st.sampled_from(["week", "month", "year", "custom"]),
        limits=limits,
        window=windows,
        uses=uses,
    )
    def begin(
        self,
        cap: int,
        thresholds: set[int],
        period: str,
        limits: str,
        window: tuple[int, int],
        uses: list[tuple[Use, timedelta, int]],
    ) -> None:
        """One budget over two teams, one of a team and of a part of what it uses; and
        those, one of them raised, that tell at once when a limit, a beginning or an end is
        not asked."""
        telling = [(use, timedelta(), 1) for use in TELLING]
        telling.append((TELLING[0], timedelta(days=1), 1))
        self.make("everything", "month", cap, thresholds, "nothing", window, uses + telling)
        self.create("alpha", period, cap, thresholds, limits, window)
        for window_of_today in (BEGAN_TODAY, ENDED_TODAY):
            self.create("alpha", "custom", *DENSE, "nothing", window_of_today)
        self.create("alpha", "year", *DENSE, "all three", window)
        raised = self.create("alpha", "year", *DENSE, "a model's processing", window)
        self.spend(telling)
        self.raise_one(raised, more=10, hours=30)

    @precondition(lambda self: len(self.terms) < 8)
    @rule(
        scope=st.sampled_from(sorted(SCOPES)),
        period=st.sampled_from(["day", "week", "month", "quarter", "year", "custom"]),
        cap=caps,
        thresholds=percents,
        limits=limits,
        window=windows,
        uses=st.just([]) | uses,
    )
    def make(
        self,
        scope: str,
        period: str,
        cap: int,
        thresholds: set[int],
        limits: str,
        window: tuple[int, int],
        uses: list[tuple[Use, timedelta, int]],
    ) -> None:
        """While others count: it starts with exactly what is spent."""
        made: list[Said] = []
        terms = (scope, period, cap, thresholds, limits, window)
        self.post(uses)
        self.count(meanwhile=lambda: made.append(self.created(*terms)))
        self.said(made[0])

    def create(self, *terms: Any) -> int:
        """While nobody counts."""
        said = self.created(*terms)
        self.said(said)
        return said.budget

    def created(
        self,
        scope: str,
        period: str,
        cap: int,
        thresholds: set[int],
        limits: str,
        window: tuple[int, int],
    ) -> Said:
        limited = {name: frozenset(its) for name, its in LIMITS[limits].items()}
        days = self.days(window) if period == "custom" else None
        levels = tuple(sorted(thresholds))
        budget = budgets.create(
            organization=self.organization,
            team=self.teams.get(scope),
            project=self.projects.get(scope),
            limits=as_limits(**limited),
            period=PeriodKind(period),
            custom=Period(*days) if days else None,
            terms=Terms(Decimal(cap), thresholds=levels),
            by="tests",
            now=self.now,
        )
        its = (budget.pk, 1, SCOPES[scope], period, Decimal(cap), levels)
        return Said(*its, **limited, days=days)

    def days(self, window: tuple[int, int]) -> tuple[date, date]:
        before, length = window
        first = self.now.astimezone(BERLIN).date() - timedelta(days=before)
        return first, first + timedelta(days=length)

    @precondition(lambda self: self.terms)
    @rule(number=picks, cap=caps, thresholds=percents)
    def edit(self, number: int, cap: int, thresholds: set[int]) -> None:
        before = self.terms[self.pick(self.terms, number)]
        self.change(before, Decimal(cap), tuple(sorted(thresholds)))

    @precondition(lambda self: self.terms)
    @rule()
    def edit_a_little(self) -> None:
        """What is reached mostly still is, under another revision."""
        for before in list(self.terms.values()):
            self.change(before, before.cap + 1, before.thresholds)

    def change(self, before: Said, cap: Decimal, thresholds: tuple[int, ...]) -> None:
        budgets.change(
            budget=Budget.objects.get(pk=before.budget),
            terms=Terms(cap, thresholds=thresholds),
            by="tests",
            now=self.now,
        )
        self.changed(before, cap=cap, thresholds=thresholds, **NOT_RAISED)

    @precondition(lambda self: self.terms)
    @rule(number=picks, more=st.sampled_from([1, 10]), hours=st.sampled_from([1, 30, 500]))
    def raise_for_now(self, number: int, more: int, hours: int) -> None:
        self.raise_one(self.pick(self.terms, number), more=more, hours=hours)

    def raise_one(self, budget: int, *, more: int, hours: int) -> None:
        before = self.terms[budget]
        raised: dict[str, Any] = {
            "raised_to": before.cap + more,
            "raised_until": self.now + timedelta(hours=hours),
        }
        budgets.amend(
            budget=Budget.objects.get(pk=before.budget),
            changes=raised,
            by="tests",
            now=self.now,
        )
        self.changed(before, **raised)

    def changed(self, before: Said, **changes: Any) -> None:
        """A change that changes nothing is no revision."""
        after = replace(before, **changes)
        if after != before:
            self.said(replace(after, revision=before.revision + 1))

    @precondition(lambda self: self.terms)
    @rule(number=picks)
    def archive(self, number: int) -> None:
        budget = self.pick(self.terms, number)
        budgets.archive(budget=Budget.objects.get(pk=budget), by="tests", now=self.now)
        del self.terms[budget]
        self.history.append((self.now, Ended(budget)))
        self.looked()

    @precondition(lambda self: self.used.keys() - self.void)
    @rule(number=picks)
    def take_back(self, number: int) -> None:
        record_id = self.pick(self.used.keys() - self.void, number)
        used = self.used[record_id]
        team = self.teams[PROJECTS[used.use.project]]
        uid = UsageRecord.objects.get(team=team, record_id=record_id).uid
        voids.void(team=team, uids=[uid], reason="a rule", by="tests", now=self.now)
        self.void.add(record_id)
        self.moved(used, -Decimal(used.millions * self.price))
        self.count()

    @rule(dollars=st.integers(1, 4))
    def re_rate(self, dollars: int) -> None:
        """All that is counted gets another price, and what comes later has it too."""
        publish_all(dollars)
        scope = Scope(
            organization=self.organization, since=date(2026, 1, 1), until=date(2028, 1, 1)
        )
        wanted = rerates.plan(scope=scope, reason="a rule", by="tests", now=self.now)
        rerates.advance(rerate=wanted, clock=lambda: self.now)
        rerates.start(rerate=wanted, by="tests", now=self.now)
        rerates.advance(rerate=wanted, clock=lambda: self.now)
        for record_id in self.used.keys() - self.void:
            used = self.used[record_id]
            self.moved(used, Decimal(used.millions * (dollars - self.price)))
        self.price = dollars
        self.looked()

    @rule(hours=st.sampled_from([1, 2, 24, 72, 9 * 24, 31 * 24]), swept=st.booleans())
    def go_on(self, hours: int, swept: bool) -> None:
        """A raise that ends meanwhile has ended, whoever looks first."""
        self.go_on_to(self.now + timedelta(hours=hours), swept=swept)

    @precondition(lambda self: self.ends())
    @rule(
        number=picks,
        later=st.sampled_from([timedelta(), -A_MOMENT, timedelta(hours=1)]),
        swept=st.booleans(),
    )
    def go_on_to_an_end(self, number: int, later: timedelta, swept: bool) -> None:
        """Of a raise or a window: until then and not a moment longer."""
        self.go_on_to(max(self.now, self.pick(self.ends(), number) + later), swept=swept)

    def ends(self) -> set[datetime]:
        """Those to come."""
        its = {one.raised_until for one in self.terms.values() if one.raised_until}
        for one in self.terms.values():
            if one.days is not None:
                its.add(datetime.combine(one.days[1], time(), BERLIN).astimezone(UTC))
        return {end for end in its if end > self.now}

    def go_on_to(self, moment: datetime, *, swept: bool) -> None:
        self.now = moment
        if swept:
            self.sweep()
        elif self.ended_raises():
            its = Budget.objects.filter(pk__in=self.terms).with_scope().order_by("pk")
            for budget in its:
                budgets.evaluate(budget, now=self.now)
            self.looked()

    def ended_raises(self) -> list[Said]:
        return [
            one
            for one in self.terms.values()
            if one.raised_until is not None and one.raised_until <= self.now
        ]

    @rule()
    def look_again(self) -> None:
        """The sweep, several at once: it finds that all is said."""
        self.sweep()

    def sweep(self) -> None:
        """It writes down which raises have ended."""
        self.workers.each(lambda number: number % 4 or sweep.sweep(now=self.now))
        for one in self.ended_raises():
            self.note(replace(one, revision=one.revision + 1, **NOT_RAISED))
        self.looked()  # nobody does between two of them

    # --- What is noted of it ----------------------------------------------------------

    def pick(self, of: Any, number: int) -> Any:
        return sorted(of)[number % len(of)]

    def said(self, said: Said) -> None:
        self.note(said)
        self.looked()

    def note(self, said: Said) -> None:
        self.terms[said.budget] = said
        self.history.append((self.now, said))

    def moved(self, used: Used, amount: Decimal) -> None:
        self.history.append((self.now, Moved(used.use, used.occurred_at, amount)))

    def looked(self) -> None:
        self.history.append((self.now, Looked()))

    # --- What must hold ---------------------------------------------------------------

    def rows(self, **narrowed: Any) -> list[Row]:
        its = Alert.objects.filter(organization=self.organization).exclude(**narrowed)
        return [Row(*row) for row in its.values_list(*Row._fields)]

    @invariant()
    def there_are_the_alerts_that_there_must_be(self) -> None:
        found = self.rows()
        assert sorted(found) == sorted(expected(self.history, BERLIN).rows)

    def teardown(self) -> None:
        self.sweep()
        self.what_is_open_holds()
        self.raises_end()
        self.go_on(400 * 24, swept=True)  # no period of then still runs
        self.what_is_open_holds()

    def raises_end(self) -> None:
        """At their end, first with nobody who writes it down."""
        self.spend([(use, timedelta(), 1) for use in TELLING])
        for budget in list(self.terms):
            self.raise_one(budget, more=10, hours=1)
        self.go_on(1, swept=False)
        self.there_are_the_alerts_that_there_must_be()
        self.sweep()
        self.what_is_open_holds()

    def what_is_open_holds(self) -> None:
        self.there_are_the_alerts_that_there_must_be()
        holding = self.rows(state=Alert.State.RESOLVED)
        assert sorted(holding) == sorted(expected(self.history, BERLIN).holding)


def alerts_are_those_that_must_be() -> None:
    Alerting.workers = Workers()
    try:
        machines.run(Alerting, examples=2, steps=16)
    finally:
        Alerting.workers.end()


def test_whatever_happens_the_alerts_are_those_that_must_be(db: None):
    # In threads of its own: what happens in this one's transaction nobody else sees.
    committing(alerts_are_those_that_must_be)
