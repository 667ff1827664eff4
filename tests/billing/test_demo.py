"""The demo: the same records from the same seed, and teams that tell their stories."""

import json
import os
import threading
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.core.management.base import OutputWrapper
from django.db import connection, transaction
from django.db.models import Sum

from billing.actions import parked
from billing.actions import reviews as review_actions
from billing.demo import posting, stories, usage
from billing.demo.helper import second_process
from billing.demo.live import NoAnswer, Sender, Service
from billing.demo.plan import Plan, Wanted, shares
from billing.demo.progress import Progress
from billing.formats import posted, registry
from billing.models import (
    Alert,
    Budget,
    BudgetRevision,
    BudgetTotal,
    Charge,
    DailySpend,
    Delivery,
    Estimate,
    Posting,
    RateCard,
    Review,
    UnpricedRecord,
    UsageRecord,
)
from billing.pricing.variance import Effect
from billing.reports import reviews, routing, variance, verification
from teams.models import ApiKey, AuditEvent, Membership, Organization, Project, Team
from tests.conftest import NOW

RECORDS = 3_000
TODAY = date(2026, 11, 22)
MONTH = date(2026, 11, 1)
CREDENTIALS = Path(os.devnull)


def plan_of(**changes: Any) -> Plan:
    wanted = {"seed": 7, "days": 90, "records": RECORDS, "now": NOW, **changes}
    return Plan(Wanted(**wanted))


def all_records(plan: Plan) -> list[usage.Posted]:
    return [
        record
        for day in plan.days
        for team in stories.TEAMS
        for record in usage.records(plan, team.slug, day)
    ]


def seed(file: Path, **options: Any) -> str:
    options = {"records": RECORDS, "now": NOW, **options}
    out = StringIO()
    call_command("seed_demo", credentials=str(file), stdout=out, **options)
    return out.getvalue()


# --- What is posted -------------------------------------------------------------------


def fingerprints(plan: Plan) -> list[bytes]:
    decoded = [posted.decode(record.raw) for record in all_records(plan)]
    return [posted.fingerprint(one, registry.read(one)) for one in decoded]


def test_a_seed_decides_every_byte():
    once, again, other = plan_of(), plan_of(), plan_of(seed=8)

    records = [bytes(record.raw) for record in all_records(once)]

    assert records == [bytes(record.raw) for record in all_records(again)]
    assert fingerprints(once) == fingerprints(again)
    assert set(fingerprints(once)).isdisjoint(fingerprints(other))


def test_the_number_of_records_is_the_one_asked_for():
    for number in (300_000, 30_000):
        assert plan_of(records=number).total == number
    # Short stories have a record on each of their days, however small the demo is.
    assert RECORDS <= plan_of().total < RECORDS + 40
    assert len(all_records(plan_of())) == plan_of().total


def test_records_are_valid_and_lie_in_their_days():
    plan = plan_of()
    ids = set()
    for day in plan.days:
        for team in stories.TEAMS:
            records = usage.records(plan, team.slug, day)
            assert records == sorted(records, key=lambda record: record.at)
            for record in records:
                decoded = posted.decode(record.raw)
                registry.read(decoded)
                ids.add(decoded.id)
                assert decoded.occurred_at.astimezone(stories.ZONE).date() == day.date
                assert decoded.occurred_at <= NOW
                assert decoded.id.startswith(f"msg_demo_{team.slug}_")
    assert len(ids) == plan.total


def test_usage_has_all_that_the_provider_reports():
    kinds: dict[str, int] = defaultdict(int)
    for record in all_records(plan_of(records=20_000, days=30)):
        body = msgspec.json.decode(record.raw)
        reported = body["usage"]
        kinds["failed"] += body.get("batch_result") in ("errored", "expired", "canceled")
        kinds["batch"] += reported.get("service_tier") == "batch"
        kinds["fast"] += reported.get("speed") == "fast"
        kinds["us"] += reported.get("inference_geo") == "us"
        kinds["searches"] += "server_tool_use" in reported
        for step in reported.get("iterations", []):
            kinds[step["type"]] += 1
        writes = reported.get("cache_creation", {})
        for name in ("ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens"):
            kinds[name] += bool(writes.get(name))
        thinking = reported.get("output_tokens_details", {})
        kinds["thinking"] += bool(thinking.get("thinking_tokens"))

    assert set(kinds) >= {"failed", "batch", "fast", "us", "searches", "thinking"}
    assert all(kinds.values()), kinds
    assert kinds["compaction"]
    assert kinds["advisor_message"]


def test_a_total_is_divided_without_a_rest():
    assert shares(10, [1, 1, 1]) == [3, 3, 4]
    assert shares(5, [0, 0]) == [0, 0]
    assert sum(shares(299_999, [7, 0, 13, 1000])) == 299_999


def test_days_of_another_length_are_filled_to_their_ends():
    plan = plan_of(records=60_000, now=datetime(2026, 10, 26, 12, tzinfo=UTC), days=3)
    long_day = plan.days[1]  # clocks went back on 2026-10-25

    moments = [record.at for record in usage.records(plan, "data-platform", long_day)]

    assert long_day.length == 25 * 3600
    assert moments[-1] > long_day.start + timedelta(hours=24)
    assert {at.astimezone(stories.ZONE).date() for at in moments} == {long_day.date}


# --- What is there afterwards ---------------------------------------------------------


@pytest.fixture(scope="class")
def seeded(
    django_db_setup: None, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Any]]:
    """One seeding for all tests of a class: what it wrote in the file."""
    file = tmp_path_factory.mktemp("demo") / "credentials.json"
    with django_db_blocker.unblock():
        whole = transaction.atomic()
        whole._from_testcase = True  # durable blocks are allowed in it, as in a test's own
        with whole:
            seed(file)
            yield {**json.loads(file.read_text()), "file": file}
            transaction.set_rollback(True)
        connection.close()


def spent_percent(budget: Budget, period_start: date) -> Decimal:
    totals = BudgetTotal.objects.filter(budget=budget, period_start=period_start)
    return totals.aggregate(spent=Sum("spent"))["spent"] * 100 / budget.amount


def budget_of(team: str) -> Budget:
    return Budget.objects.get(team__slug=team)


def read_share(team: str, since: date, until: date) -> float:
    """How much of all input came from the cache."""
    sums = DailySpend.objects.filter(
        team__slug=team, project__slug="deep-reader", day__gte=since, day__lt=until
    ).aggregate(
        read=Sum("cache_read"),
        written=Sum("cache_write_5m") + Sum("cache_write_1h"),
        fresh=Sum("input"),
    )
    return float(sums["read"] / (sums["read"] + sums["written"] + sums["fresh"]))


class TestStories:
    def test_the_ledger_adds_up(self, seeded):
        checks = verification.checks()

        assert [check.name for check in checks if not check.ok] == []
        assert UsageRecord.objects.count() == plan_of().total
        assert not Posting.objects.exists()

    def test_records_came_when_their_calls_happened(self, seeded):
        for record in UsageRecord.objects.filter(month=MONTH):
            assert (
                timedelta() <= record.received_at - record.occurred_at < timedelta(days=1)
            )

    def test_research_does_not_quite_keep_to_its_policy(self, seeded):
        research = Team.objects.get(slug="research")

        report = routing.breaches(team=research, since=MONTH, until=TODAY, now=NOW)

        (policy,) = report.policies
        nine = datetime(2026, 11, 6, 9, tzinfo=stories.ZONE)
        assert (policy.since, policy.policy.changed_by) == (nine, "finance")
        assert {row.kind for row in report.rows} == {"model", "long_output"}

    def test_the_demo_key_has_an_empty_project(self, seeded):
        project = Project.objects.get(slug=seeded["project"])

        assert seeded["project"] == "playground"
        assert seeded["team"] == "search"
        assert not UsageRecord.objects.filter(project_id=project.pk).exists()
        assert set(seeded) == {
            "api_key",
            "organization",
            "team",
            "project",
            "users",
            "file",
        }

    def test_people_have_their_roles(self, seeded):
        roles = {
            membership.user.get_username(): (
                membership.role,
                membership.team.slug if membership.team else None,
            )
            for membership in Membership.objects.select_related("user", "team").order_by(
                "pk"
            )
        }

        assert roles == {
            "admin": ("admin", None),
            "finance": ("finance", None),
            "lead": ("lead", "search"),
            "viewer": ("viewer", "search"),
            "support-lead": ("lead", "support"),
        }
        assert [user["username"] for user in seeded["users"]] == list(roles)

    def test_support_is_about_to_exceed_its_cap(self, seeded):
        budget = budget_of("support")
        levels = Alert.objects.filter(budget=budget, period_start=MONTH)

        assert 92 < spent_percent(budget, MONTH) < 94
        assert set(levels.values_list("threshold", flat=True)) == {50, 80}

    def test_search_is_healthy_and_was_raised(self, seeded):
        budget = budget_of("search")
        first, second = BudgetRevision.objects.filter(budget=budget).order_by("revision")

        assert 45 < spent_percent(budget, MONTH) < 75
        assert first.amount < second.amount
        assert second.reason
        assert second.changed_by == "finance"
        assert MONTH < second.changed_at.date() < TODAY

    def test_every_team_the_organization_and_a_project_have_a_budget(self, seeded):
        budgets = Budget.objects.values_list("team__slug", "project__slug", "period")

        assert sorted(map(str, budgets)) == sorted(
            [
                *(str((team.slug, None, "month")) for team in stories.TEAMS),
                str((None, None, "month")),
                str((None, "answer-engine", "day")),
            ]
        )
        for budget in Budget.objects.filter(period="month"):
            assert Decimal(30) < spent_percent(budget, MONTH) < 94

    def test_alerts_fired_through_the_month(self, seeded):
        alerts = Alert.objects.filter(budget__period="month")

        assert {alert.period_start for alert in alerts} == {MONTH}
        assert all(MONTH < alert.fired_at.date() <= TODAY for alert in alerts)
        assert len({alert.fired_at.date() for alert in alerts}) > 2
        assert 0 < Delivery.objects.count() < 25

    def test_research_lost_its_cache_eleven_days_ago(self, seeded):
        broken = TODAY - timedelta(days=stories.REGRESSION_DAYS_AGO)
        week = timedelta(days=7)
        costs = {
            since: DailySpend.objects.filter(
                team__slug="research",
                project__slug="deep-reader",
                day__gte=since,
                day__lt=since + week,
            ).aggregate(cost=Sum("cost"), requests=Sum("requests"))
            for since in (broken - week, broken)
        }
        before, after = (
            one["cost"] / one["requests"] for one in (costs[broken - week], costs[broken])
        )

        assert read_share("research", TODAY - timedelta(days=60), broken) > 0.8
        assert read_share("research", broken, TODAY) < 0.2
        assert after > 2 * before

    def test_onboarding_is_nine_days_old(self, seeded):
        days = DailySpend.objects.filter(team__slug="onboarding").values_list("day")

        assert len(set(days)) == 9
        assert min(days)[0] == TODAY - timedelta(days=8)

    def test_data_platform_runs_cheap_batches(self, seeded):
        by_team = dict(
            DailySpend.objects.filter(day__gte=MONTH)
            .values_list("team__slug")
            .annotate(Sum("cost"))
            .order_by()
        )
        processing = Charge.objects.filter(team__slug="data-platform")

        assert set(processing.values_list("processing", flat=True)) == {"batch"}
        assert by_team["data-platform"] < by_team["search"] / 3

    def test_a_model_without_a_price_is_in_use(self, seeded):
        unpriced = UnpricedRecord.objects.all()

        assert {one.model_name for one in unpriced} == {stories.UNPRICED}
        assert len(unpriced) >= stories.preview_records(RECORDS)
        assert parked.teams_with_unpriced() == [Team.objects.get(slug="research").pk]

    def test_a_price_changed_in_the_middle_of_a_month(self, seeded):
        """The list price of the cache reads of Sonnet 5.5, on 2026-10-07."""
        change = date(2026, 10, 7)
        assert not RateCard.objects.filter(kind=RateCard.Kind.CONTRACT).exists()
        before = price_of_reads(date(2026, 10, 1), change)
        after = price_of_reads(change + timedelta(days=1), date(2026, 11, 1))

        assert before == Decimal("0.20")
        assert after == Decimal("0.10")

    def test_three_teams_planned_this_month_and_the_last(self, seeded):
        approved = Estimate.objects.filter(state=Estimate.State.APPROVED, project=None)
        draft = Estimate.objects.get(state=Estimate.State.DRAFT)

        assert sorted(approved.values_list("team__slug", "month")) == [
            (team, month)
            for team in ("research", "search", "support")
            for month in (date(2026, 10, 1), MONTH)
        ]
        assert draft.month == date(2026, 12, 1)
        for estimate in approved:
            cost = {
                scenario: sum(
                    line.cost for line in estimate.lines.filter(scenario=scenario)
                )
                for scenario in ("light", "medium", "heavy")
            }
            assert 0 < cost["light"] < cost["medium"] < cost["heavy"]

    def test_policy_answers_was_planned_by_levers_without_caching(self, seeded):
        estimates = Estimate.objects.filter(project__slug="policy-answers")

        assert {one.month for one in estimates} == {date(2026, 10, 1), MONTH}
        for estimate in estimates:
            assert estimate.state == Estimate.State.APPROVED
            for shape in estimate.shapes.all():
                assert (shape.prefix_tokens, shape.cache_ttl) == (8_000, "")
            for line in estimate.lines.filter(scenario="medium"):
                # $4 a million in, $20 out.
                assert line.cost == line.requests * Decimal("0.0682")

    def test_one_review_opened_by_itself_and_one_is_closed(self, seeded):
        closed, still_open = Review.objects.order_by("opened_at")

        assert [
            (one.team.slug, one.project.slug, one.by_itself, one.opened_by)
            for one in (closed, still_open)
        ] == [
            ("support", "call-notes", True, "purser"),
            ("search", "page-summaries", True, "purser"),
        ]
        assert (still_open.since, still_open.until) == (
            date(2026, 11, 5),
            date(2026, 11, 19),
        )
        assert still_open.is_open
        assert still_open.opened_at.astimezone(stories.ZONE).date() == date(2026, 11, 19)
        # The worker, from now on, opens no second one.
        assert review_actions.open_due(Organization.objects.get(), now=NOW) == []

    def test_the_lead_is_told_of_the_open_review(self, seeded):
        still_open = Review.objects.get(state=Review.State.OPEN)
        told = Alert.objects.get(kind="review_due", state="firing")

        assert told.subject == review_actions.subject(still_open)
        assert told.fired_at == still_open.opened_at
        targets = told.deliveries.values_list("channel__target", flat=True)
        assert "lead@acme.example" in targets
        assert Alert.objects.filter(kind="review_due", state="resolved").count() == 1

    def test_the_open_review_says_that_answers_are_longer_than_planned(self, seeded):
        review = Review.objects.select_related("team__organization", "project").get(
            state=Review.State.OPEN
        )

        plan = reviews.figures(review, now=NOW).plan

        assert plan is not None
        assert plan.effects[0].effect == Effect.OUTPUT_SIZE
        assert plan.effects[0].amount > 0

    def test_the_closed_review_keeps_the_variance_of_its_team(self, seeded):
        review = Review.objects.get(state=Review.State.KEPT)

        found = reviews.figures(review, now=NOW)

        assert (review.closed_by, review.decision) == (
            "support-lead",
            found.verdicts[0].action,
        )
        assert found.as_of == review.closed_at
        assert found.plan is None
        assert found.team_plan is not None
        assert found.spent > 0

    def test_the_key_it_was_posted_with_is_revoked(self, seeded):
        key = ApiKey.objects.get(name="Demo seeding")

        assert key.revoked_at is not None
        assert set(UsageRecord.objects.values_list("api_key", flat=True)) == {key.pk}

    def test_a_second_run_changes_nothing(self, seeded, django_assert_max_num_queries):
        before = AuditEvent.objects.count()

        with django_assert_max_num_queries(40):
            said = seed(seeded["file"], records=999_999, seed=8)

        assert "Demo usage" not in said
        assert AuditEvent.objects.count() == before
        assert UsageRecord.objects.count() == plan_of().total
        kept = json.loads(seeded["file"].read_text())
        assert kept["api_key"] == seeded["api_key"]


def price_of_reads(since: date, until: date) -> Decimal:
    """Per million tokens, of Sonnet 5.5 without batches."""
    sums = DailySpend.objects.filter(
        model__name=stories.SONNET,
        processing="standard",
        day__gte=since,
        day__lt=until,
    ).aggregate(cost=Sum("cache_read_cost"), tokens=Sum("cache_read"))
    return sums["cost"] * 1_000_000 / sums["tokens"]


# --- Other beginnings and endings -----------------------------------------------------


@pytest.mark.django_db
def test_without_a_change_on_the_list_there_is_a_contract(tmp_path: Path):
    now = datetime(2027, 4, 20, 9, 0, tzinfo=UTC)

    seed(tmp_path / "c.json", records=1_500, days=25, now=now)

    card = RateCard.objects.get(kind=RateCard.Kind.CONTRACT)
    publication = card.publications.get()
    change = date(2027, 4, 15)
    assert publication.published_by == "demo"
    assert publication.note
    assert price_of_reads(date(2027, 4, 1), change) == Decimal("0.10")
    # Days of the reporting zone begin two hours before the contract's first one.
    assert price_of_reads(change + timedelta(days=1), now.date()) == Decimal("0.08")
    assert [check.name for check in verification.checks() if not check.ok] == []


@pytest.mark.django_db
@pytest.mark.parametrize("day", [1, 28])
def test_the_stories_hold_on_other_days_of_the_month(day: int, tmp_path: Path):
    now = datetime(2026, 9, day, 21, 30, tzinfo=UTC)

    seed(tmp_path / "c.json", records=1_500, days=20, now=now)

    month = date(2026, 9, 1)
    support = budget_of("support")
    assert 91 < spent_percent(support, month) < 95
    assert spent_percent(budget_of("search"), month) < 95
    onboarding = DailySpend.objects.filter(team__slug="onboarding").values_list("day")
    assert len(set(onboarding)) == 9


@pytest.mark.django_db
def test_caching_explains_why_policy_answers_costs_less(tmp_path: Path):
    """About 40 % of the plan, as worked out by hand in docs/walkthrough.md."""
    seed(tmp_path / "c.json", records=12_000, days=30)
    project = Project.objects.get(slug="policy-answers")
    support = Team.objects.get(slug="support")

    report = variance.variance(team=support, project=project, since=MONTH, until=TODAY)

    assert report.total is not None
    percents = {
        effect: report.total.percent_of_plan(amount)
        for effect, amount in report.total.effects.items()
    }
    assert report.drivers[0].effect == Effect.CACHING
    assert -43 < percents[Effect.CACHING] < -37
    assert all(
        abs(percent) < 4
        for effect, percent in percents.items()
        if effect is not Effect.CACHING
    )
    assert percents[Effect.MIX] == percents[Effect.PROCESSING] == 0
    # The system prompt is the same to the token: of each call it is read or written.
    sums = DailySpend.objects.filter(project=project, day__gte=MONTH).aggregate(
        requests=Sum("requests"), read=Sum("cache_read"), written=Sum("cache_write_1h")
    )
    assert sums["read"] + sums["written"] == sums["requests"] * 8_000
    before = variance.variance(
        team=support, project=project, since=date(2026, 10, 24), until=MONTH
    )
    assert before.total is not None
    assert before.total.effects[Effect.CACHING] == 0


class Interrupted(Exception):
    pass


@pytest.mark.django_db
@pytest.mark.parametrize("after", [1, 8, 60])
def test_an_interrupted_start_is_continued(
    after: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Killed behind the door: the last records are posted and not counted."""
    count, calls = posting.count, []

    def count_or_die(team_id: int, now: datetime) -> None:
        calls.append(team_id)
        if len(calls) == after:
            raise Interrupted
        count(team_id, now)

    file = tmp_path / "credentials.json"
    monkeypatch.setattr(posting, "count", count_or_die)
    with pytest.raises(Interrupted):
        seed(file, records=1_500, days=40)
    assert Posting.objects.exists()
    key = json.loads(file.read_text())["api_key"]
    monkeypatch.setattr(posting, "count", count)

    # The next start has another clock, and may ask for something else.
    said = seed(file, records=5_000, now=NOW + timedelta(hours=5))

    assert "100 %" in said
    assert json.loads(file.read_text())["api_key"] == key
    assert UsageRecord.objects.count() == plan_of(records=1_500, days=40).total
    assert not Posting.objects.exists()
    assert [check.name for check in verification.checks() if not check.ok] == []
    assert 91 < spent_percent(budget_of("support"), MONTH) < 95
    assert Budget.objects.count() == 7
    assert budget_of("search").revision == 2
    assert not ApiKey.objects.filter(name="Demo seeding", revoked_at=None).exists()
    done = AuditEvent.objects.get(action="demo.seed")
    assert done.after == {
        "seed": 7,
        "days": 40,
        "records": 1_500,
        "now": NOW.isoformat(),
    }


@pytest.mark.django_db
def test_somebody_elses_organization_is_left_alone(cast, tmp_path: Path):
    with pytest.raises(CommandError, match="acme"):
        seed(tmp_path / "credentials.json")

    assert not (tmp_path / "credentials.json").exists()
    assert not Project.objects.filter(slug="playground").exists()


@pytest.mark.django_db
def test_two_seedings_at_once_are_one(tmp_path: Path):
    with psycopg.connect(**connection.get_connection_params()) as other:
        lock = "SELECT pg_try_advisory_lock(hashtext('demo.begin'))"
        assert other.execute(lock).fetchone() == (True,)
        with pytest.raises(CommandError, match="is being seeded already"):
            seed(tmp_path / "credentials.json")

    assert not UsageRecord.objects.exists()
    assert "100 %" in seed(tmp_path / "credentials.json", records=200, days=30)


@pytest.mark.django_db
def test_a_file_that_knows_less_people_gets_the_others(tmp_path: Path):
    file = tmp_path / "credentials.json"
    seed(file, records=0)
    kept = json.loads(file.read_text())
    file.write_text(json.dumps({**kept, "users": kept["users"][:4]}))

    seed(file, records=0)

    users = json.loads(file.read_text())["users"]
    assert users[:4] == kept["users"][:4]
    assert users[4]["username"] == "support-lead"


@pytest.mark.django_db
def test_preparing_shows_how_far_the_seeding_is(tmp_path: Path):
    out = StringIO()
    options = {"records": 200, "days": 30, "now": NOW}

    call_command("prepare", credentials=str(tmp_path / "c.json"), stdout=out, **options)

    lines = out.getvalue().splitlines()
    assert any(line.startswith("Demo usage 100 %") for line in lines)
    assert lines[-1].startswith("Demo organization ready (")
    assert Organization.objects.get().slug == "acme"


@pytest.mark.parametrize(
    "wrong",
    [
        ["--days", "0"],
        ["--records", "-1"],
        ["--now", "yesterday"],
        ["--now", "2026-11-22T12:00"],
    ],
)
def test_options_that_mean_nothing_are_refused(wrong: list[str]):
    with pytest.raises(CommandError):
        call_command("seed_demo", "--credentials", os.devnull, *wrong)


# --- Progress, the second process -----------------------------------------------------


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("stream", [StringIO(), Terminal()])
def test_progress_says_how_far_how_fast_and_how_long(stream: StringIO):
    clock = iter(range(0, 100, 5))
    progress = Progress(OutputWrapper(stream), 1_000, clock=lambda: next(clock))

    progress.skip(200)
    progress.advance(300)
    progress.advance(500)
    progress.end()

    assert " 50 %  500 of 1,000 records, 30/s, 17 s left" in stream.getvalue()
    assert "100 %  1,000 records, 800 of them now, in 25 s" in stream.getvalue()
    assert ("\r" in stream.getvalue()) == stream.isatty()


def test_the_helper_is_another_process():
    with second_process() as pool:
        assert pool.submit(os.getpid).result(timeout=30) != os.getpid()


# --- send_demo ------------------------------------------------------------------------


class Purser(ThreadingHTTPServer):
    """Stands in for the service: takes what is posted, once by id."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.ids: set[str] = set()
        self.records: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.failures = 0
        self.refusal = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Answer(BaseHTTPRequestHandler):
    server: Purser

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        records = json.loads(self.rfile.read(length))["records"]
        self.server.headers.append(dict(self.headers))
        new = [one for one in records if one["id"] not in self.server.ids]
        self.server.ids |= {one["id"] for one in records}
        self.server.records += new
        if self.server.refusal:
            self._say(self.server.refusal, {"detail": "This API key is unknown."})
        elif self.server.failures:
            self.server.failures -= 1
            self._say(503, {"detail": "Later."})
        else:
            counts = {"accepted": len(new), "duplicates": len(records) - len(new)}
            results = [{"cost": "0.25"} for _ in new]
            self._say(202, {"received": len(records), **counts, "results": results})

    def _say(self, status: int, content: dict[str, Any]) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: Any) -> None: ...


@pytest.fixture
def purser() -> Iterator[Purser]:
    with Purser() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def sender(purser: Purser, rate: int, *, wait: bool = False) -> Sender:
    """Sends without waiting for the next second to begin."""
    return Sender(
        Service(purser.url, "purser_key", wait=wait),
        rate,
        now=lambda: NOW,
        sleep=lambda seconds: None,
    )


def test_live_records_are_posted_at_their_rate(purser: Purser):
    tallies = list(sender(purser, 53).seconds(3))

    assert [tally.counts["accepted"] for tally in tallies] == [53, 53, 53]
    assert len(purser.ids) == 159
    assert purser.headers[0]["Authorization"] == "Bearer purser_key"
    for record in purser.records:
        decoded = posted.decode(json.dumps(record).encode())
        registry.read(decoded)
        assert decoded.project is None
        assert decoded.occurred_at == NOW


def test_what_had_no_answer_is_sent_again_as_it_was(purser: Purser):
    live = sender(purser, 10).seconds(None)
    next(live)
    purser.failures = 1

    second, third = next(live), next(live)

    assert second.unanswered == 1
    assert second.counts["duplicates"] == 2
    assert second.counts["accepted"] + third.counts["accepted"] == 18
    assert len(purser.ids) == 30


def test_send_demo_reads_where_the_service_is(purser: Purser, tmp_path: Path):
    file = tmp_path / "demo.json"
    file.write_text(json.dumps({"url": purser.url, "api_key": "purser_key"}))
    out = StringIO()

    call_command(
        "send_demo", credentials=str(file), rate=4, seconds=1, wait=True, stdout=out
    )

    assert "4 accepted, 0 duplicates, 0 rejected, cost 1.00" in out.getvalue()
    assert purser.headers[0]["Prefer"] == "wait=5"


def test_ctrl_c_ends_it_with_a_sum(purser: Purser, tmp_path: Path, monkeypatch):
    file = tmp_path / "demo.json"
    file.write_text(json.dumps({"url": purser.url, "api_key": "purser_key"}))
    seconds = Sender.seconds

    def interrupted(self: Sender, wanted: int | None) -> Iterator[Any]:
        yield from seconds(self, 1)
        raise KeyboardInterrupt

    monkeypatch.setattr(Sender, "seconds", interrupted)
    out = StringIO()

    call_command("send_demo", credentials=str(file), rate=5, stdout=out)

    assert "Together  5 accepted" in out.getvalue()


def test_a_service_that_does_not_answer_is_a_sentence(purser: Purser, tmp_path: Path):
    file = tmp_path / "demo.json"
    nobody = Purser()
    nobody.server_close()
    file.write_text(json.dumps({"url": nobody.url, "api_key": "purser_key"}))

    with pytest.raises(CommandError, match=r"does not answer .*make up"):
        call_command("send_demo", credentials=str(file), stdout=StringIO())
    with pytest.raises(CommandError, match=r"no demo in .*nothing\.json"):
        call_command("send_demo", credentials=str(tmp_path / "nothing.json"))


def test_a_refused_key_is_a_sentence(purser: Purser):
    purser.refusal = 401

    with pytest.raises(NoAnswer, match=r"401: This API key is unknown\."):
        next(sender(purser, 5).seconds(1))
