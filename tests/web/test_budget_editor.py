"""The budget editor: who may, what it saves, and what it says before."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from billing.actions import budgets, post
from billing.actions.budgets import Terms
from billing.models import Budget
from billing.pricing.budget_periods import PeriodKind
from teams.models import Role
from teams.reporting_days import ReportingDays
from tests.builders import body, record
from tests.conftest import Cast, Service, issue
from tests.web.conftest import Browser, Page, read

pytestmark = pytest.mark.usefixtures("as_app")

NEW = "/teams/search/budgets/new"
FILLED = {
    "scope": "team",
    "period": "month",
    "amount": "$6,000.50",
    "hard": "hard",
    "thresholds": "80, 50",
    "reason": "First cap.",
}


@pytest.fixture
def budget(cast: Cast) -> Budget:
    return budgets.create(
        organization=cast.acme,
        team=cast.search,
        period=PeriodKind.MONTH,
        terms=Terms(Decimal(100)),
        by="tests",
        now=timezone.now(),
        reason="Budget round.",
    )


@pytest.fixture
def wide(cast: Cast) -> Budget:
    return budgets.create(
        organization=cast.acme,
        period=PeriodKind.MONTH,
        terms=Terms(Decimal(1000)),
        by="tests",
        now=timezone.now(),
    )


def of(budget: Budget, step: str) -> str:
    return f"/budgets/{budget.pk}/{step}"


def answer(client: Client, path: str, **filled: Any) -> Page:
    """The page that a form comes back with: it was not taken."""
    response = client.post(path, filled)
    assert response.status_code == 200, response
    return Page(response.content.decode())


def test_finance_sets_a_budget_of_a_team(finance: Client, cast: Cast):
    response = finance.post(NEW, FILLED)

    made = Budget.objects.get()
    assert response["location"] == f"/teams/search/?budget={made.pk}"
    assert (made.team, made.project, made.period) == (cast.search, None, "month")
    assert (made.amount, made.hard, made.thresholds) == (
        Decimal("6000.50"),
        True,
        [50, 80],
    )
    (revision,) = made.revisions.all()
    assert (revision.changed_by, revision.reason) == ("frank", "First cap.")
    assert "The budget is set." in read(finance, response["location"]).text


@pytest.mark.parametrize("typed", [" 6000.50 ", "$6,000.50", "€ 6 000.50", "6'000.5"])
def test_an_amount_is_typed_as_people_do(finance: Client, typed: str):
    finance.post(NEW, FILLED | {"amount": typed})

    assert Budget.objects.get().amount == Decimal("6000.50")


def test_one_of_its_projects(finance: Client, cast: Cast):
    finance.post(NEW, FILLED | {"scope": f"project {cast.answers.pk}"})

    made = Budget.objects.get()
    assert (made.team, made.project) == (None, cast.answers)


def test_a_project_of_another_team_cannot_be_chosen(finance: Client, cast: Cast):
    page = answer(finance, NEW, **FILLED | {"scope": f"project {cast.triage.pk}"})

    assert "Select a valid choice" in page.text
    assert not Budget.objects.exists()


def test_one_of_the_organization(finance: Client, cast: Cast):
    response = finance.post("/budgets/new", {**FILLED, "scope": ""})

    made = Budget.objects.get()
    assert (made.organization, made.team, made.project) == (cast.acme, None, None)
    assert response["location"] == "/"


def test_limits_and_windows(finance: Client):
    finance.post(
        NEW,
        FILLED
        | {
            "period": "custom",
            "custom_first": "2026-12-01",
            "custom_last": "2026-12-14",
            "processing": ["batch"],
            "tag_key": "env",
            "tag_values": "prod, staging",
            "last_day": "2027-01-31",
        },
    )

    made = Budget.objects.get()
    assert made.window.custom is not None
    assert made.window.custom.last.isoformat() == "2026-12-14"
    assert (made.processing, made.tag_key, made.tag_values) == (
        ["batch"],
        "env",
        ["prod", "staging"],
    )
    assert made.expires_on is not None
    assert made.expires_on.isoformat() == "2027-02-01"
    assert not made.exempt_free


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"amount": "a lot"}, "Type an amount, such as"),
        ({"amount": ""}, "Type an amount."),
        ({"amount": "-1"}, "greater than or equal to 0"),
        ({"amount": "NaN"}, "Type an amount, such as"),
        ({"amount": "1_000"}, "Type an amount, such as"),
        ({"amount": "1,5"}, "Type an amount, such as"),
        ({"amount": "1e3"}, "Type an amount, such as"),
        ({"amount": "٣٠٠"}, "Type an amount, such as"),
        ({"amount": "1" * 13}, "12 digits before the decimal"),
        ({"thresholds": "50, x"}, "Write whole percentages"),
        ({"thresholds": "0"}, "A threshold is from 1 to 1000"),
        ({"thresholds": "99999999999999999999"}, "A threshold is from 1 to 1000"),
        ({"forecast_alert": "0"}, "greater than or equal to 1"),
        ({"forecast_alert": "100"}, "less than or equal to 99"),
        ({"forecast_alert": "5_0"}, "Write a whole percentage"),
        ({"forecast_alert": "٥٠"}, "Write a whole percentage"),
        ({"reason": " "}, "Say why"),
        ({"period": "fortnight"}, "Select a valid choice"),
        ({"period": "custom"}, "A custom period needs its first day"),
        ({"week_starts_on": "3"}, "Only a week has a day to start on."),
        ({"tag_key": "env"}, "Say which values of the tag count."),
        (
            {"tag_key": "env", "tag_values": ",".join(map(str, range(101)))},
            "Write up to 100 values.",
        ),
        ({"thresholds": ",".join(map(str, range(1, 22)))}, "Write up to 20 percentages."),
        ({"last_day": "2020-01-01"}, "It would be expired from the beginning."),
    ],
)
def test_what_cannot_be_is_said_beside_its_field(
    finance: Client, wrong: dict[str, str], said: str
):
    page = answer(finance, NEW, **FILLED | wrong)

    assert said in page.text
    assert not Budget.objects.exists()


def test_a_change_is_a_revision(finance: Client, budget: Budget):
    response = finance.post(
        of(budget, "edit"),
        {"amount": "150", "hard": "soft", "thresholds": "50, 80, 95", "reason": "Growth."},
    )

    assert response["location"] == f"/teams/search/?budget={budget.pk}"
    budget.refresh_from_db()
    assert (budget.amount, budget.revision, budget.thresholds) == (150, 2, [50, 80, 95])
    text = read(finance, of(budget, "edit")).text
    assert "Cap changed from $100.00 to $150.00" in text
    assert "frank Growth." in text
    assert "Budget round." in text


def test_the_forecast_alert_is_a_term(finance: Client, budget: Budget):
    filled = {"amount": "100", "hard": "soft", "thresholds": "50", "reason": "Quieter."}
    assert (
        'name="forecast_alert" value="50"'
        in finance.get(of(budget, "edit")).content.decode()
    )

    finance.post(of(budget, "edit"), {**filled, "forecast_alert": "75 %"})
    budget.refresh_from_db()
    assert (budget.forecast_alert, budget.revision) == (75, 2)
    assert "50 → 75" in read(finance, of(budget, "edit")).text

    finance.post(of(budget, "edit"), {**filled, "forecast_alert": ""})
    budget.refresh_from_db()
    assert (budget.forecast_alert, budget.revision) == (None, 3)


@pytest.mark.parametrize("last_day", ["2020-01-01", "1999-12-31"])
def test_a_preview_refuses_the_end_that_saving_refuses(
    finance: Client, budget: Budget, last_day: str
):
    filled = {"amount": "5", "hard": "soft", "last_day": last_day, "preview": "preview"}

    changed = answer(finance, of(budget, "edit"), **filled)
    made = answer(finance, NEW, **FILLED | filled)

    for page in (changed, made):
        assert any(
            said in page.text
            for said in ("in the past", "expired from the beginning", "from 2000")
        )
        assert "With this cap" not in page.text


def test_a_preview_saves_nothing_and_needs_no_reason(finance: Client, budget: Budget):
    page = answer(
        finance,
        of(budget, "edit"),
        amount="5",
        hard="soft",
        thresholds="50",
        reason="",
        preview="preview",
    )

    assert "Nothing was spent in the last three months" in page.text
    assert "Say why" not in page.text
    assert Budget.objects.get().revision == 1


def test_a_form_filled_in_over_older_terms_is_said(finance: Client, budget: Budget):
    filled = {"amount": "100", "hard": "soft", "thresholds": "90", "reason": "Late."}
    budgets.amend(
        budget=budget, changes={"amount": Decimal(500)}, by="gina", now=timezone.now()
    )

    page = answer(finance, of(budget, "edit"), revision="1", **filled)

    assert "changed meanwhile" in page.text
    assert Budget.objects.get().amount == 500
    finance.post(of(budget, "edit"), {"revision": "2", **filled})
    assert Budget.objects.get().amount == 100


def test_ending_asks_first(finance: Client, budget: Budget):
    assert "End this budget?" in read(finance, of(budget, "end")).text
    assert "Say why" in answer(finance, of(budget, "end"), reason="").text
    assert Budget.objects.active().exists()

    response = finance.post(of(budget, "end"), {"reason": "The team is merged."})

    assert response["location"] == "/teams/search/"
    assert not Budget.objects.active().exists()
    # Sent twice, it has ended once.
    assert finance.post(of(budget, "end"), {"reason": "Again."}).status_code == 302


@pytest.mark.parametrize("role", [Role.VIEWER, Role.LEAD])
def test_others_may_look_and_not_edit(
    role: Role,
    cast: Cast,
    person: Callable[..., User],
    browser: Browser,
    budget: Budget,
    wide: Budget,
):
    client = browser(person("lea", role, cast.acme, cast.search))

    for path in (NEW, of(budget, "edit"), of(budget, "end")):
        assert client.get(path).status_code == 403
        assert client.post(path, FILLED).status_code == 403
    # What they do not see is not there.
    for path in (of(wide, "edit"), "/teams/support/budgets/new"):
        assert client.get(path).status_code == 404
    assert client.get("/budgets/new").status_code == 403
    assert "/edit" not in client.get("/teams/search/").content.decode()
    assert Budget.objects.active().count() == 2


def test_finance_of_one_team_edits_no_other(
    cast: Cast, person: Callable[..., User], browser: Browser, budget: Budget, wide: Budget
):
    client = browser(person("fay", Role.FINANCE, cast.acme, cast.support))

    assert client.get("/teams/support/budgets/new").status_code == 200
    for path in (NEW, of(budget, "edit"), of(budget, "end"), of(wide, "edit")):
        assert client.post(path, FILLED).status_code == 404
    assert client.get("/budgets/new").status_code == 403


def test_an_outsider_finds_nothing(outsider: Client, budget: Budget):
    for step in ("edit", "end", "raise"):
        assert outsider.get(of(budget, step)).status_code == 404
    assert outsider.get(NEW).status_code == 404


def test_who_is_not_signed_in_is_asked_to(client: Client, budget: Budget):
    response = client.post(of(budget, "end"), {"reason": "x"})

    assert response["location"].startswith("/login/?next=/budgets/")
    assert Budget.objects.active().exists()


def test_a_form_from_elsewhere_is_refused(
    cast: Cast, person: Callable[..., User], budget: Budget
):
    client = Client(enforce_csrf_checks=True)
    client.force_login(person("frank", Role.FINANCE, cast.acme))

    assert client.post(of(budget, "end"), {"reason": "x"}).status_code == 403
    assert Budget.objects.active().exists()


# --- What a cap would have said -----------------------------------------------------


@pytest.fixture
def yesterday(cast: Cast) -> None:
    """One record, 0.0042, on each of the last two days."""
    service = Service(issue(cast.acme)[1])
    now = timezone.now()
    for days in (1, 2):
        at = (now - timedelta(days=days)).isoformat()
        reply = service.post("usage", body(record(id=f"msg_{days}", occurred_at=at)))
        assert reply.status_code == 202
    post.count(team_id=cast.search.pk, now=now)


@pytest.mark.usefixtures("yesterday")
def test_it_says_when_it_would_have_alerted(finance: Client, cast: Cast):
    page = answer(
        finance, NEW, **FILLED | {"period": "day", "amount": "0.005", "preview": "preview"}
    )

    now, its = timezone.now(), ReportingDays(cast.acme)
    days = [its.day(now - timedelta(days=days)) for days in (2, 1)]
    first, second = (f"{day.day}\xa0{day:%b}" for day in days)
    assert "0.0042" in page.values()
    percent = "\N{NARROW NO-BREAK SPACE}%"
    expected = (
        f"With this cap the last three days would have alerted on {first} (50{percent}), "
        f"{first} (80{percent}), {second} (50{percent}) and {second} (80{percent})."
    )
    assert " ".join(expected.split()) in page.text
    assert "This day has no spend yet." in page.text


@pytest.mark.usefixtures("yesterday")
def test_it_says_when_the_next_period_would_reach_it(finance: Client, cast: Cast):
    day = {**FILLED, "period": "day", "preview": "preview"}

    small = answer(finance, NEW, **day | {"amount": "0.000001"})
    large = answer(finance, NEW, **day | {"amount": "1000"})

    now, its = timezone.now(), ReportingDays(cast.acme)
    tomorrow = its.day(now) + timedelta(days=1)
    said = f"expected to be reached by {tomorrow.day} {tomorrow:%b %Y}."
    assert said in small.text
    assert "The next day is expected to cost" in large.text
    assert "expected to be reached" not in large.text


def test_a_raise_in_force_changes_nothing_of_the_periods_before(
    finance: Client, budget: Budget, yesterday: None
):
    """Under the cap for good they would have been over; under the raise they were not."""
    now = timezone.now()
    daily = budgets.create(
        organization=budget.organization,
        team=budget.team,
        period=PeriodKind.DAY,
        terms=Terms(Decimal("0.004")),
        by="tests",
        now=now,
    )
    raised = {"raised_to": Decimal(1), "raised_until": now + timedelta(days=3)}
    budgets.amend(budget=daily, changes=raised, by="tests", now=now)

    page = read(finance, of(daily, "edit"))

    assert "been over on" in page.text
    assert "Raised to $1.00 through" in page.text


@pytest.mark.usefixtures("yesterday")
def test_what_runs_under_a_raise_is_said_to(finance: Client, budget: Budget, cast: Cast):
    now = timezone.now()
    Service(issue(cast.acme)[1]).post("usage", body(record(occurred_at=now.isoformat())))
    post.count(team_id=cast.search.pk, now=now)
    raised = {"raised_to": Decimal(200), "raised_until": now + timedelta(days=40)}
    budgets.amend(budget=budget, changes=raised, by="tests", now=now)

    assert (
        "of the raised cap: no level is reached yet."
        in read(finance, of(budget, "edit")).text
    )


def test_there_is_no_preview_of_what_is_wrong(finance: Client, budget: Budget):
    wrong = FILLED | {"thresholds": "50, x", "preview": "preview"}

    for path in (of(budget, "edit"), NEW):
        text = answer(finance, path, **wrong).text
        assert "Something in the form is not right yet." in text
        assert "This month" not in text


def test_models_stand_under_their_provider(finance: Client):
    """Some are offered by several, under one name."""
    groups = [
        attrs["label"] for tag, attrs in read(finance, NEW).elements if tag == "optgroup"
    ]

    assert "anthropic" in groups
    assert groups == sorted(set(groups))


def test_a_value_of_a_tag_that_is_too_long_is_said_so(finance: Client):
    filled = FILLED | {"tag_key": "env", "tag_values": "x" * 201}

    assert "A value has at most 200 characters." in answer(finance, NEW, **filled).text
