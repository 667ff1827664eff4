"""The demo's estimates: what three teams planned for this month and the last, line by line,
and two of their projects by levers.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal

from django.db import transaction

from billing.actions import estimates, reviews
from billing.demo import stories
from billing.demo.plan import Plan
from billing.demo.rehearsal import round_sum
from billing.demo.stories import PAGE_SUMMARIES, POLICY_ANSWERS, PROVIDER, Call
from billing.models import Estimate, LanguageModel
from billing.models.estimates import Scenario
from billing.models.planned import Chosen, Line
from billing.pricing.levers import Levers
from billing.pricing.token_classes import Quantities, TokenClass
from teams.models import Organization, Project, Team

_FINANCE = "finance"
# What of the medium plan the others are, in percent.
_SCENARIOS = {Scenario.LIGHT: 70, Scenario.MEDIUM: 100, Scenario.HEAVY: 145}


@dataclass(frozen=True, slots=True)
class _Planned:
    """How right a team was about its volume, in percent of what comes, and by whom."""

    team: str
    by: str
    foresight: int
    note: str


_APPROVED = (
    _Planned("search", "lead", 108, "Two more countries are in the heavy scenario."),
    _Planned("support", "support-lead", 74, "Before the new channel was decided."),
    _Planned("research", "finance", 103, "One reading of each paper, cached."),
)
_DRAFT = _Planned("onboarding", "lead", 120, "A guess after the first week.")


@transaction.atomic
def ensure(organization: Organization, plan: Plan) -> None:
    if Estimate.objects.filter(team__organization=organization).exists():
        return
    this_month = plan.today.replace(day=1)
    last_month = (this_month - timedelta(days=1)).replace(day=1)
    next_month = (this_month + timedelta(days=31)).replace(day=1)
    for planned in _APPROVED:
        for month in (last_month, this_month):
            at = _before(month)
            _approve(_save(organization, plan, planned, month, at), at)
    for month in (last_month, this_month):
        at = _before(month)
        _approve(_policy_answers(organization, plan, month, at), at)
    at = _before(plan.begins(PAGE_SUMMARIES))
    _approve(_page_summaries(organization, plan, at), at)
    yesterday = plan.wanted.now - timedelta(days=1)
    _save(organization, plan, _DRAFT, next_month, yesterday)


def _before(day: date) -> datetime:
    return datetime.combine(day, time(7, 30), stories.ZONE) - timedelta(days=3)


def _approve(draft: Estimate, at: datetime) -> None:
    estimates.approve(estimate=draft, by=_FINANCE, now=at + timedelta(hours=26))


def _save(
    organization: Organization,
    plan: Plan,
    planned: _Planned,
    month: date,
    at: datetime,
) -> Estimate:
    return estimates.save(
        team=Team.objects.get(organization=organization, slug=planned.team),
        month=month,
        lines=list(_lines(plan, planned, month, at.date())),
        by=planned.by,
        now=at,
        note=planned.note,
    )


def _policy_answers(
    organization: Organization, plan: Plan, month: date, at: datetime
) -> Estimate:
    """Right about everything, but that the system prompt would be cached."""
    call = POLICY_ANSWERS.call
    daily = _daily(plan, month)
    model = LanguageModel.objects.get(provider=PROVIDER, name=POLICY_ANSWERS.model)
    shapes = {
        scenario: Levers(
            requests_per_day=round_sum(daily * percent / 100),
            prefix_tokens=call.system,
            input_tokens=call.input,
            output_tokens=call.output,
        )
        for scenario, percent in _SCENARIOS.items()
    }
    return estimates.save_shapes(
        team=Team.objects.get(organization=organization, slug=POLICY_ANSWERS.team),
        project=Project.objects.get(organization=organization, slug=POLICY_ANSWERS.project),
        month=month,
        months=1,
        shapes=shapes,
        models=[Chosen(model, Decimal(100))],
        by="support-lead",
        now=at,
        contingency_percent=20,
        source="A morning's calls: 8,000 tokens of policies before each question.",
        note="The policies go in with every question; caching is not built yet.",
    )


def _page_summaries(organization: Organization, plan: Plan, at: datetime) -> Estimate:
    """From its first day on, right about everything but the length of its answers."""
    call, daily = PAGE_SUMMARIES.call, plan.first_records(PAGE_SUMMARIES, reviews.DAYS)
    model = LanguageModel.objects.get(provider=PROVIDER, name=PAGE_SUMMARIES.model)
    shapes = {
        scenario: Levers(
            requests_per_day=round_sum(daily * percent / 100),
            input_tokens=call.input,
            output_tokens=stories.PLANNED_SUMMARY,
        )
        for scenario, percent in _SCENARIOS.items()
    }
    return estimates.save_shapes(
        team=Team.objects.get(organization=organization, slug=PAGE_SUMMARIES.team),
        project=Project.objects.get(organization=organization, slug=PAGE_SUMMARIES.project),
        month=plan.begins(PAGE_SUMMARIES).replace(day=1),
        months=2,
        shapes=shapes,
        models=[Chosen(model, Decimal(100))],
        by="lead",
        now=at,
        contingency_percent=20,
        source="Ten pages by hand: a paragraph of about 700 tokens each.",
        note="One summary for each new page.",
    )


def _daily(plan: Plan, month: date) -> Decimal:
    days = plan.full_days(POLICY_ANSWERS, month)
    if not sum(days):
        return Decimal(plan.usual_records(POLICY_ANSWERS))
    return Decimal(sum(days)) / len(days)


def _lines(plan: Plan, planned: _Planned, month: date, known: date) -> Iterator[Line]:
    expected = _expected(plan, planned.team, month, known)
    models = {
        model.name: model
        for model in LanguageModel.objects.filter(
            provider=stories.PROVIDER, name__in=expected
        )
    }
    for name, (requests, per_request) in sorted(expected.items()):
        for scenario, percent in _SCENARIOS.items():
            count = _round(requests * planned.foresight * percent // 10_000)
            quantities = Quantities(*(_round(count * each) for each in per_request))
            yield Line(models[name], scenario, count, quantities)


def _expected(
    plan: Plan, team: str, month: date, known: date
) -> dict[str, tuple[int, Quantities]]:
    """Per model a month's requests, and the tokens of one of them. What came later than
    the day it was planned on is not in it."""
    calls: dict[str, list[tuple[int, Quantities]]] = defaultdict(list)
    for workload in stories.WORKLOADS:
        came_later = plan.begins(workload) > max(known, plan.days[0].date)
        if workload.team != team or came_later:
            continue
        daily = plan.usual_records(workload)
        usual = sum(workload.week)
        days = [month + timedelta(days=number) for number in range(_days_in(month))]
        requests = sum(
            daily * workload.week[day.weekday()] * len(workload.week) // usual
            for day in days
        )
        calls[workload.model].append((requests, _tokens(workload.call)))
    return {name: _together(its) for name, its in calls.items()}


def _together(calls: list[tuple[int, Quantities]]) -> tuple[int, Quantities]:
    """The requests of several kinds of call, and the tokens of one of them on average."""
    requests = sum(count for count, _ in calls)
    totals = [
        sum(count * its[place] for count, its in calls) for place in range(len(TokenClass))
    ]
    return requests, Quantities(*(total // max(requests, 1) for total in totals))


def _tokens(call: Call) -> Quantities:
    prefix = call.prefix + call.system
    plain, read = prefix * call.uncached // 1000, prefix * call.warm // 1000
    written = prefix - plain - read
    one_hour = written * call.one_hour // 1000
    return Quantities(
        input=call.input + plain,
        cache_write_5m=written - one_hour,
        cache_write_1h=one_hour,
        cache_read=read,
        output=call.output,
    )


def _days_in(month: date) -> int:
    return ((month + timedelta(days=31)).replace(day=1) - month).days


def _round(count: int) -> int:
    """To two digits, as people plan."""
    unit = int("1" + "0" * max(len(str(count)) - 2, 0))
    return (count + unit // 2) // unit * unit
