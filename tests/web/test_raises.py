"""The pages of raises: who asks, who decides, who is shown what."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from billing.actions import budgets, raises
from billing.actions.budgets import Terms
from billing.models import Budget, RaiseRequest
from billing.pricing.budget_periods import PeriodKind
from teams.models import Role
from teams.reporting_days import ReportingDays
from tests.conftest import Cast
from tests.web.conftest import Browser, Page, read

pytestmark = pytest.mark.usefixtures("as_app")

State = RaiseRequest.State
ASKED = {"amount": "150", "through": "", "reason": "Two more countries."}


@pytest.fixture
def budget(cast: Cast) -> Budget:
    return make(cast, team=cast.search)


@pytest.fixture
def lead(cast: Cast, person: Callable[..., User], browser: Browser) -> Client:
    return browser(person("lea", Role.LEAD, cast.acme, cast.search))


@pytest.fixture
def second(cast: Cast, person: Callable[..., User], browser: Browser) -> Client:
    return browser(person("fiona", Role.FINANCE, cast.acme))


@pytest.fixture
def asked(lead: Client, budget: Budget) -> RaiseRequest:
    return ask(lead, budget)


def make(cast: Cast, **scope) -> Budget:
    return budgets.create(
        organization=cast.acme,
        period=PeriodKind.MONTH,
        terms=Terms(Decimal(100)),
        by="tests",
        now=timezone.now(),
        **scope,
    )


def ask(client: Client, budget: Budget, **changes: str) -> RaiseRequest:
    response = client.post(f"/budgets/{budget.pk}/raise", ASKED | changes)
    assert response.status_code == 302, Page(response.content.decode()).text
    request = RaiseRequest.objects.latest("pk")
    assert response["location"] == f"/raises/{request.pk}"
    return request


def decide(client: Client, request: RaiseRequest, step: str, **filled: str):
    filled = {"amount": "150", "through": "", "note": ""} | filled
    return client.post(f"/raises/{request.pk}", filled | {"step": step})


def cap(budget: Budget) -> Decimal:
    return Budget.objects.get(pk=budget.pk).cap(timezone.now())


def test_a_lead_asks_and_finance_approves(
    lead: Client, finance: Client, budget: Budget, asked: RaiseRequest
):
    assert "lea asks for a cap of $150.00" in read(lead, "/teams/search/").text
    assert cap(budget) == 100
    text = read(finance, f"/raises/{asked.pk}").text
    assert "lea asks for $150.00 per month for good." in text
    assert "Two more countries." in text

    response = decide(finance, asked, "approve", note="Fine.")

    assert response["location"] == f"/raises/{asked.pk}"
    assert cap(budget) == 150
    text = read(lead, f"/raises/{asked.pk}").text
    assert "frank approved $150.00 for good" in text
    assert "Fine." in text
    timeline = read(lead, "/teams/search/").text
    assert "Cap changed from $100.00 to $150.00" in timeline
    assert "Raise to $150.00 asked for" in timeline


def test_the_chart_goes_along(finance: Client, lead: Client, budget: Budget, asked):
    for client, path in (
        (lead, f"/budgets/{budget.pk}/raise"),
        (finance, f"/raises/{asked.pk}"),
    ):
        page = read(client, path)
        charts = {attrs.get("data-chart") for _, attrs in page.elements}
        assert "burn-up" in charts
        assert "Search has used nothing yet of $100" in page.text


def test_a_raise_through_a_day_ends_with_it(
    lead: Client, finance: Client, cast: Cast, budget: Budget
):
    days = ReportingDays(cast.acme)
    through = days.day(timezone.now()) + timedelta(days=3)
    request = ask(lead, budget, through=through.isoformat())
    assert request.until == days.start(through + timedelta(days=1))

    decide(finance, request, "approve", through=through.isoformat())

    changed = Budget.objects.get()
    assert changed.raised_until == request.until
    assert (changed.amount, changed.raised_to) == (100, 150)
    text = read(lead, "/teams/search/").text
    assert f"raised from $100.00 through {through.day} {through:%b %Y}" in text


def test_an_end_that_is_no_midnight_is_kept_unless_it_is_changed(
    finance: Client, person, budget: Budget
):
    until = timezone.now() + timedelta(days=2)
    request = raises.ask(
        budget=budget,
        amount=Decimal(150),
        until=until,
        reason="A test of load.",
        by="automation",
        now=timezone.now(),
    )
    html = finance.get(f"/raises/{request.pk}").content.decode()
    (shown,) = [
        attrs["value"]
        for tag, attrs in Page(html).elements
        if tag == "input" and attrs.get("name") == "through"
    ]

    decide(finance, request, "approve", through=str(shown))

    assert Budget.objects.get().raised_until == until


def test_the_approver_may_change_it(finance: Client, budget: Budget, asked: RaiseRequest):
    decide(finance, asked, "approve", amount="$120")

    assert cap(budget) == 120
    assert "The cap was raised to $120" in read(finance, f"/raises/{asked.pk}").text


def test_declining_says_why(lead: Client, finance: Client, budget: Budget, asked):
    # Whatever stands in the fields of an approval.
    decide(finance, asked, "decline", amount="", note="Not this month.")

    assert cap(budget) == 100
    text = read(lead, f"/raises/{asked.pk}").text
    assert "Declined" in text
    assert "Not this month." in text


def test_a_note_that_cannot_be_kept_is_said(finance: Client, asked: RaiseRequest):
    for note in ("a\0b", "x" * 1001):
        page = finance.post(f"/raises/{asked.pk}", {"step": "decline", "note": note})

        assert page.status_code == 200
        assert RaiseRequest.objects.get().state == State.PENDING


def test_sent_twice_is_done_once(finance: Client, lead: Client, budget: Budget, asked):
    assert ask(lead, budget) == asked

    for _ in range(2):
        assert decide(finance, asked, "approve").status_code == 302

    assert Budget.objects.get().revision == 2
    assert asked.decisions.count() == 1


def test_two_people_where_the_policy_wants_them(
    cast: Cast, finance: Client, second: Client, budget: Budget, asked: RaiseRequest
):
    raises.set_policy(
        organization=cast.acme,
        two_approvals_above=Decimal(120),
        by="tests",
        now=timezone.now(),
    )

    decide(finance, asked, "approve")
    assert cap(budget) == 100
    text = read(second, f"/raises/{asked.pk}").text
    assert "needs 2 people: 1 of 2 so far, for $150.00 for good" in text
    assert "frank approved $150" in text

    decide(second, asked, "approve")
    assert cap(budget) == 150


def test_the_second_finds_filled_in_what_the_first_approved(
    cast: Cast, finance: Client, second: Client, budget: Budget, asked: RaiseRequest
):
    """Both have to approve the same; the first may have changed it."""
    raises.set_policy(
        organization=cast.acme,
        two_approvals_above=Decimal(120),
        by="tests",
        now=timezone.now(),
    )
    through = ReportingDays(cast.acme).day(timezone.now()) + timedelta(days=3)
    decide(finance, asked, "approve", amount="125", through=through.isoformat())

    page = read(second, f"/raises/{asked.pk}")

    filled = {attrs.get("name"): attrs.get("value") for _, attrs in page.elements}
    assert (filled["amount"], filled["through"]) == ("125", through.isoformat())
    assert "Filled in with what was approved already" in page.text
    assert "You have approved this." in read(finance, f"/raises/{asked.pk}").text
    decide(second, asked, "approve", amount="125", through=through.isoformat())
    assert cap(budget) == 125


def test_the_cap_now_is_that_of_a_raise_in_force(
    lead: Client, finance: Client, cast: Cast, budget: Budget
):
    through = (ReportingDays(cast.acme).day(timezone.now()) + timedelta(days=3)).isoformat()
    first = ask(lead, budget, amount="130", through=through)
    decide(finance, first, "approve", amount="130", through=through)
    ask(lead, budget)

    for path in ("/raises", "/"):
        values = read(finance, path).values()
        assert {"130", "150"} <= set(values), path


def test_what_was_decided_is_told_as_past(lead: Client, finance: Client, asked):
    decide(finance, asked, "decline", amount="")

    text = read(lead, f"/raises/{asked.pk}").text
    assert "lea asked for $150.00" in text
    assert "used then" not in text
    assert "until somebody changes it" not in text


def test_who_asks_cannot_decide(finance: Client, budget: Budget):
    request = ask(finance, budget)

    assert "Somebody else decides" in read(finance, f"/raises/{request.pk}").text
    for step in ("approve", "decline"):
        assert decide(finance, request, step).status_code == 403
    assert cap(budget) == 100


def test_who_asked_may_withdraw(lead: Client, finance: Client, budget: Budget, asked):
    assert decide(lead, asked, "withdraw").status_code == 302

    assert RaiseRequest.objects.get().state == State.WITHDRAWN
    page = decide(finance, asked, "approve")
    assert "This request is withdrawn already." in page.content.decode()
    assert cap(budget) == 100


@pytest.mark.parametrize("step", ["approve", "decline", "withdraw", "", "else"])
@pytest.mark.parametrize("who", ["viewer", "other lead", "outsider"])
def test_who_may_not_decides_nothing(
    step: str,
    who: str,
    cast: Cast,
    person: Callable[..., User],
    browser: Browser,
    budget: Budget,
    asked: RaiseRequest,
):
    clients = {
        "viewer": ("vera", Role.VIEWER, cast.acme, cast.search),
        "other lead": ("lou", Role.LEAD, cast.acme, cast.search),
        "outsider": ("olga", Role.ADMIN, cast.outsiders),
    }
    client = browser(person(*clients[who]))

    status = decide(client, asked, step).status_code

    assert status == {"outsider": 404}.get(who, 200 if step == "withdraw" else 403)
    assert RaiseRequest.objects.get().state == State.PENDING
    assert cap(budget) == 100


def test_nothing_is_decided_by_looking(finance: Client, asked: RaiseRequest):
    finance.get(f"/raises/{asked.pk}", {"step": "approve", "amount": "150"})

    assert RaiseRequest.objects.get().state == State.PENDING


def test_the_link_of_a_mail_asks_to_sign_in_first(client: Client, asked: RaiseRequest):
    response = client.get(f"/raises/{asked.pk}")

    assert response["location"] == f"/login/?next=/raises/{asked.pk}"


def test_a_form_from_elsewhere_is_refused(
    cast: Cast, person: Callable[..., User], asked: RaiseRequest
):
    client = Client(enforce_csrf_checks=True)
    client.force_login(person("fay", Role.FINANCE, cast.acme))

    assert decide(client, asked, "approve").status_code == 403
    assert RaiseRequest.objects.get().state == State.PENDING


def test_a_viewer_does_not_ask(viewer: Client, budget: Budget):
    assert viewer.get(f"/budgets/{budget.pk}/raise").status_code == 403
    assert viewer.post(f"/budgets/{budget.pk}/raise", ASKED).status_code == 403
    assert "Ask for a raise" not in read(viewer, "/teams/search/").text
    assert not RaiseRequest.objects.exists()


def test_a_lead_of_one_team_asks_for_no_other(lead: Client, cast: Cast):
    theirs, wide = make(cast, team=cast.support), make(cast)

    for one in (theirs, wide):
        assert lead.post(f"/budgets/{one.pk}/raise", ASKED).status_code == 404
    request = raises.ask(
        budget=theirs,
        amount=Decimal(150),
        until=None,
        reason="Theirs.",
        by="lou",
        now=timezone.now(),
    )
    assert lead.get(f"/raises/{request.pk}").status_code == 404
    assert "Theirs." not in lead.get("/raises").content.decode()


def test_a_project_s_budget_is_that_of_its_team(lead: Client, finance: Client, cast: Cast):
    request = ask(lead, make(cast, project=cast.answers))

    assert "Answers" in read(finance, "/raises").text
    decide(finance, request, "approve")

    assert cap(request.budget) == 150


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"amount": "100"}, "A raise is above the cap there is: $100."),
        ({"amount": ""}, "Type an amount."),
        ({"through": "2020-01-01"}, "This day is over."),
        ({"through": "soon"}, "Enter a valid date."),
        ({"reason": " "}, "Say why"),
    ],
)
def test_what_cannot_be_asked_is_said(
    lead: Client, budget: Budget, wrong: dict[str, str], said: str
):
    response = lead.post(f"/budgets/{budget.pk}/raise", ASKED | wrong)

    assert response.status_code == 200
    assert said in Page(response.content.decode()).text
    assert not RaiseRequest.objects.exists()


def test_what_waits_is_on_the_overview_and_counted_for_who_decides(
    finance: Client, lead: Client, second: Client, cast: Cast, budget: Budget
):
    assert "Nobody has asked for a raise" in read(finance, "/raises").text
    request = ask(lead, budget)

    overview = read(finance, "/").text
    assert "Raises that wait for a decision" in overview
    assert "1 to decide" in overview
    assert "to decide" not in read(lead, "/teams/search/").text

    decide(finance, request, "approve")
    for client in (finance, second):
        overview = read(client, "/").text
        assert "to decide" not in overview
        assert "wait for a decision" not in overview
    assert "Approved" in read(lead, "/raises").text


def test_who_has_asked_already_is_led_to_it(lead: Client, budget: Budget):
    first = ask(lead, budget)

    page = read(lead, f"/budgets/{budget.pk}/raise")
    again = lead.post(f"/budgets/{budget.pk}/raise", ASKED | {"amount": "160"})

    assert "You have asked for $150.00 already" in page.text
    for html in (lead.get(f"/budgets/{budget.pk}/raise"), again):
        assert f'href="/raises/{first.pk}"' in html.content.decode()
    assert f"raise request {first.pk} waits for a decision" in again.content.decode()
    assert RaiseRequest.objects.count() == 1


def test_a_raise_that_ends_a_longer_one_says_so(
    lead: Client, finance: Client, budget: Budget, cast: Cast
):
    today = ReportingDays(cast.acme).day(timezone.now())
    longer, shorter = today + timedelta(days=9), today + timedelta(days=2)
    first = ask(lead, budget, through=longer.isoformat())
    finance.post(
        f"/raises/{first.pk}",
        {"step": "approve", "amount": "150", "through": longer.isoformat()},
    )
    second = ask(lead, budget, amount="200", through=shorter.isoformat())
    third = ask(finance, budget, amount="200", through=longer.isoformat())

    said = "takes the place of the cap of $150.00"
    assert said in read(finance, f"/raises/{second.pk}").text
    assert said not in read(lead, f"/raises/{third.pk}").text


def test_what_was_decided_is_read_page_by_page(lead: Client, budget: Budget, cast: Cast):
    asked = [
        RaiseRequest(
            budget=budget,
            asked_by="lea",
            asked_at=timezone.now(),
            amount=150 + number,
            reason="x",
            state="withdrawn",
            ended_at=timezone.now(),
        )
        for number in range(102)
    ]
    made = RaiseRequest.objects.bulk_create(asked)

    html = lead.get("/raises").content.decode()
    older = f"?before={made[2].pk}"
    rest = lead.get(f"/raises{older}").content.decode()

    assert f'href="{older}"' in html
    assert [html.count(f'href="/raises/{one.pk}"') for one in made[:3]] == [0, 0, 1]
    assert [rest.count(f'href="/raises/{one.pk}"') for one in made[:3]] == [1, 1, 0]
    assert "Older requests" not in rest


def test_the_list_asks_no_more_for_more_requests(
    lead: Client, finance: Client, budget: Budget, cast: Cast
):
    asked = []
    for names in (range(2), range(2, 8)):
        for number in names:
            raises.ask(
                budget=make(cast, team=cast.search),
                amount=Decimal(150),
                until=None,
                reason="x",
                by=f"lead {number}",
                now=timezone.now(),
            )
        with CaptureQueriesContext(connection) as queries:
            assert finance.get("/raises").status_code == 200
        asked.append(len(queries))

    assert asked[0] == asked[1]
