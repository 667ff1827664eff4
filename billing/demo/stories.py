"""Who the demo organization is, and what happens to its teams: plain descriptions.

`search` is healthy and owns the empty project that the demo key posts for. `support` has
grown since the month began and is about to exceed its cap; its project `policy-answers`
has cached a long system prompt since then, which its estimate did not count on.
`research` changed a prompt eleven days ago, which broke its cache. `onboarding` is nine
days old. `data-platform` runs batches at night and is cheap. Two projects came later than
the others: `call-notes` of support, whose first two weeks have been reviewed, and
`page-summaries` of search, whose review is open and says that answers are longer than
planned. Counts are means per call, chances are in 1,000.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from zoneinfo import ZoneInfo

PROVIDER = "anthropic"
HAIKU, SONNET, OPUS = "claude-haiku-5-5", "claude-sonnet-5-5", "claude-opus-5-5"
FABLE = "claude-fable-5-2"
# On no rate card: its records are kept and shown, not counted.
UNPRICED = "claude-haiku-6-preview"

ORGANIZATION = "acme"
ZONE = ZoneInfo("Europe/Berlin")
# The demo key's project. Nothing is seeded for it.
PLAYGROUND = "playground"

REGRESSION_DAYS_AGO = 11
ONBOARDING_DAYS = 9
# Used for longer than the two weeks that a first review is about: one is open, and the
# other long closed.
_NEW_DAYS, _NEWER_DAYS = 41, 18
_PREVIEW_DAYS = 6
# Support takes a new channel from the first of the running month on.
_SUPPORT_GROWTH = 140

Week = tuple[int, int, int, int, int, int, int]
_OFFICE_WEEK: Week = (100, 106, 108, 104, 90, 18, 14)
_SHOP_WEEK: Week = (112, 104, 100, 98, 96, 58, 46)
_EVEN_WEEK: Week = (100, 100, 100, 100, 100, 100, 100)
_BATCH_WEEK: Week = (100, 100, 100, 100, 100, 70, 150)

# How busy each hour of the local day is.
Hours = tuple[int, ...]
_OFFICE: Hours = (1, 1, 1, 1, 1, 2, 6, 20, 52, 78, 88, 84, 58, 70, 86, 82, 66, 44)
_OFFICE_HOURS: Hours = (*_OFFICE, 22, 12, 8, 6, 4, 2)
_SHOP: Hours = (4, 3, 2, 2, 3, 6, 14, 34, 60, 76, 80, 78, 70, 72, 78, 76, 72, 66)
_SHOP_HOURS: Hours = (*_SHOP, 58, 50, 42, 30, 16, 8)
_NIGHT: Hours = (60, 90, 100, 90, 60, 24, 6, 2, 2, 2, 2, 2, 4, 4, 2, 2, 2, 2)
_NIGHT_HOURS: Hours = (*_NIGHT, 4, 6, 8, 10, 16, 36)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What one call of a workload uses, on average."""

    input: int
    output: int
    prefix: int = 0  # the part of the prompt that is meant to be cached
    system: int = 0  # a prefix that is the same in every call, to the token
    warm: int = 0  # how often the prefix is read from the cache
    uncached: int = 0  # how often it goes in as plain input
    one_hour: int = 0  # how often a write lives an hour instead of five minutes
    thinking: int = 0  # the part of the output that is thinking
    searches: int = 0
    iterations: int = 0
    fast: int = 0
    us: int = 0
    failed: int = 0  # of batch requests: they have a result and no usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """One kind of call: a project's use of a model."""

    team: str
    project: str
    model: str
    share: int  # of all records, in relation to the other workloads
    call: Call
    week: Week = _OFFICE_WEEK
    hours: Hours = _OFFICE_HOURS
    batch: bool = False
    last_days: int | None = None  # only in the last so many days; None: always
    this_month: int = 100  # percent of its usual volume, in the running month
    regressed: Call | None = None  # from REGRESSION_DAYS_AGO on
    cached: Call | None = None  # in the running month

    @property
    def name(self) -> str:
        return f"{self.project}/{self.model}/{self.share}"

    def call_on(self, day: date, today: date) -> Call:
        if self.regressed is not None and (today - day).days <= REGRESSION_DAYS_AGO:
            return self.regressed
        if self.cached is not None and _same_month(day, today):
            return self.cached
        return self.call

    def weight(self, day: date, today: date) -> int:
        """How much of it falls on a day, in relation to its other days."""
        days_ago = (today - day).days
        if self.last_days is not None and days_ago >= self.last_days:
            return 0
        growth = 1000 - 3 * max(days_ago, -90)
        factor = self.this_month if _same_month(day, today) else 100
        return self.week[day.weekday()] * max(growth, 400) * factor


def _same_month(day: date, other: date) -> bool:
    return (day.year, day.month) == (other.year, other.month)


_READING = Call(
    input=1_800,
    output=2_100,
    prefix=52_000,
    warm=920,
    one_hour=1000,
    thinking=520,
    iterations=25,
)

# 8,000 tokens of policies before each question. In their estimate they go in uncached;
# cached for an hour, 95 of 100 calls find them. docs/walkthrough.md has the arithmetic.
_ASKING = Call(input=1_550, output=1_500, system=8_000, uncached=1000)
POLICY_ANSWERS = Workload(
    team="support",
    project="policy-answers",
    model=OPUS,
    share=300,
    call=_ASKING,
    cached=replace(_ASKING, uncached=0, warm=950, one_hour=1000),
    week=_EVEN_WEEK,
    hours=_SHOP_HOURS,
)

# Planned with answers of 700 tokens.
PAGE_SUMMARIES = Workload(
    team="search",
    project="page-summaries",
    model=SONNET,
    share=100,
    call=Call(input=9_500, output=1_150),
    week=_SHOP_WEEK,
    last_days=_NEWER_DAYS,
)
PLANNED_SUMMARY = 700

WORKLOADS = (
    Workload(
        team="search",
        project="answer-engine",
        model=SONNET,
        share=1500,
        call=Call(
            input=3_200,
            output=1_300,
            prefix=30_000,
            warm=930,
            thinking=180,
            searches=90,
        ),
    ),
    Workload(
        team="search",
        project="answer-engine",
        model=OPUS,
        share=240,
        call=Call(
            input=5_200,
            output=2_600,
            prefix=34_000,
            warm=900,
            thinking=450,
            searches=60,
            iterations=40,
            fast=30,
        ),
    ),
    Workload(
        team="search",
        project="query-rewrite",
        model=HAIKU,
        share=1500,
        call=Call(input=420, output=110, prefix=3_000, warm=960),
    ),
    Workload(
        team="support",
        project="ticket-triage",
        model=HAIKU,
        share=1300,
        call=Call(input=1_500, output=160, prefix=6_000, warm=950),
        week=_SHOP_WEEK,
        hours=_SHOP_HOURS,
        this_month=_SUPPORT_GROWTH,
    ),
    Workload(
        team="support",
        project="reply-drafts",
        model=SONNET,
        share=1000,
        call=Call(
            input=4_100, output=1_100, prefix=42_000, warm=910, one_hour=600, thinking=120
        ),
        week=_SHOP_WEEK,
        hours=_SHOP_HOURS,
        this_month=_SUPPORT_GROWTH,
    ),
    Workload(
        team="support",
        project="reply-drafts",
        model=OPUS,
        share=230,
        call=Call(
            input=4_800,
            output=2_200,
            prefix=42_000,
            warm=860,
            one_hour=600,
            thinking=380,
            us=250,
        ),
        week=_SHOP_WEEK,
        hours=_SHOP_HOURS,
        this_month=_SUPPORT_GROWTH,
    ),
    POLICY_ANSWERS,
    PAGE_SUMMARIES,
    Workload(
        team="support",
        project="call-notes",
        model=SONNET,
        share=160,
        call=Call(input=5_600, output=420),
        week=_SHOP_WEEK,
        hours=_SHOP_HOURS,
        last_days=_NEW_DAYS,
    ),
    Workload(
        team="research",
        project="deep-reader",
        model=OPUS,
        share=700,
        call=_READING,
        regressed=replace(_READING, warm=60, uncached=820),
    ),
    Workload(
        team="research",
        project="model-lab",
        model=FABLE,
        share=50,
        call=Call(input=2_600, output=2_400, thinking=600, searches=120),
    ),
    Workload(
        team="onboarding",
        project="welcome-guide",
        model=SONNET,
        share=190,
        call=Call(input=2_400, output=900, prefix=12_000, warm=780, thinking=100),
        week=_SHOP_WEEK,
        last_days=ONBOARDING_DAYS,
    ),
    Workload(
        team="data-platform",
        project="catalog-enrichment",
        model=HAIKU,
        share=2000,
        call=Call(input=7_500, output=420, failed=12),
        week=_BATCH_WEEK,
        hours=_NIGHT_HOURS,
        batch=True,
    ),
    Workload(
        # Long documents: above 100,000 tokens of input Haiku 5.5 costs five times as much.
        team="data-platform",
        project="catalog-enrichment",
        model=HAIKU,
        share=40,
        call=Call(input=110_000, output=900),
        week=_BATCH_WEEK,
        hours=_NIGHT_HOURS,
        batch=True,
    ),
    Workload(
        team="data-platform",
        project="catalog-enrichment",
        model=SONNET,
        share=560,
        call=Call(input=3_400, output=900, prefix=9_000, warm=620, one_hour=1000, failed=8),
        week=_BATCH_WEEK,
        hours=_NIGHT_HOURS,
        batch=True,
    ),
)

# About 200 of 300,000 records; a small demo has some too.
PREVIEW = Workload(
    team="research",
    project="model-lab",
    model=UNPRICED,
    share=0,
    call=Call(input=2_200, output=700, prefix=4_000, warm=700),
    last_days=_PREVIEW_DAYS,
)


def preview_records(records: int) -> int:
    return max(records // 1500, min(records // 100, 10))


@dataclass(frozen=True, slots=True, kw_only=True)
class Team:
    """A team, its projects (slug, name), and how its month stands against its cap.

    Either the cap is such that `spent_percent` of it is spent now, or such that the
    month would end at `month_end_percent`.
    """

    slug: str
    name: str
    projects: tuple[tuple[str, str], ...]
    spent_percent: int = 0
    month_end_percent: int = 0
    hard: bool = False


TEAMS = (
    Team(
        slug="search",
        name="Search",
        projects=(
            (PLAYGROUND, "Playground"),
            ("answer-engine", "Answer engine"),
            ("query-rewrite", "Query rewrite"),
            ("page-summaries", "Page summaries"),
        ),
        month_end_percent=83,
    ),
    Team(
        slug="support",
        name="Support",
        projects=(
            ("ticket-triage", "Ticket triage"),
            ("reply-drafts", "Reply drafts"),
            ("policy-answers", "Policy answers"),
            ("call-notes", "Call notes"),
        ),
        spent_percent=93,
    ),
    Team(
        slug="research",
        name="Research",
        projects=(("deep-reader", "Deep reader"), ("model-lab", "Model lab")),
        spent_percent=72,
    ),
    Team(
        slug="onboarding",
        name="Onboarding",
        projects=(("welcome-guide", "Welcome guide"),),
        spent_percent=36,
    ),
    Team(
        slug="data-platform",
        name="Data platform",
        projects=(("catalog-enrichment", "Catalog enrichment"),),
        month_end_percent=58,
        hard=True,
    ),
)
ORGANIZATION_MONTH_END_PERCENT = 97
# The project with a budget for each day, and what its busiest day came to.
DAILY_PROJECT = "answer-engine"
DAILY_BUSIEST_PERCENT = 84


def workloads_of(team: str) -> Iterator[Workload]:
    return (one for one in (*WORKLOADS, PREVIEW) if one.team == team)
