"""The pages of estimates: built, computed, kept, submitted, decided."""

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from billing.actions import budgets, estimates, raises, samples
from billing.actions.budgets import Terms
from billing.models import Budget, Estimate, LanguageModel, Sample
from billing.models.estimates import Scenario
from billing.models.planned import Line
from billing.models.samples import Source
from billing.pricing.budget_periods import PeriodKind
from billing.pricing.token_classes import Quantities
from teams.models import Role
from tests.conftest import NOW, Cast
from tests.web.conftest import Browser, Page, read

pytestmark = pytest.mark.usefixtures("as_app")


@pytest.fixture
def lead(cast: Cast, person: Callable[..., User], browser: Browser) -> Client:
    return browser(person("lea", Role.LEAD, cast.acme, cast.search))


def model(name: str) -> LanguageModel:
    return LanguageModel.objects.get(provider="anthropic", name=name)


def typed(cast: Cast, **changes: Any) -> dict[str, Any]:
    """In November three thousand requests, each at 0.0042 on Opus."""
    its = {
        "scope": f"team-{cast.search.pk}",
        "month": "2026-11",
        "months": "1",
        "plan": "medium",
        "contingency_percent": "20 %",
        "medium-requests_per_day": "100",
        "medium-input_tokens": "1,000",
        "medium-output_tokens": "10",
        "model-0-model": model("claude-opus-5-5").pk,
        "model-1-model": model("claude-sonnet-5").pk,
        "model-0-share_percent": "100",
        "step": "compute",
    }
    return {**its, **changes}


def build(client: Client, cast: Cast, **changes: Any) -> Any:
    return client.post("/estimates/new", typed(cast, **changes))


@pytest.fixture
def draft(lead: Client, cast: Cast) -> Estimate:
    build(lead, cast, step="save")
    return Estimate.objects.get()


def decide(client: Client, estimate: Estimate, step: str, **typed_: str) -> Any:
    """As it is, unless it says which version was looked at."""
    version = Estimate.objects.get(pk=estimate.pk).version
    said = {"step": step, "version": version, **typed_}
    return client.post(f"/estimates/{estimate.pk}", said)


def edit(client: Client, cast: Cast, estimate: Estimate, **changes: Any) -> Any:
    """The same of the builder."""
    said = {"version": Estimate.objects.get(pk=estimate.pk).version, "step": "save"}
    return client.post(f"/estimates/{estimate.pk}/edit", typed(cast, **(said | changes)))


# --- The builder --------------------------------------------------------------------


def test_what_is_typed_is_computed_and_not_kept(lead: Client, cast: Cast):
    shown = build(lead, cast).content.decode()

    assert '<data value="12.6"' in shown  # on Opus
    assert '<data value="6.3"' in shown  # on Sonnet
    assert '<data value="16"' in shown  # with a fifth on top
    assert "tokens in for each one out" in shown
    assert 'value="1,000"' in shown
    assert not Estimate.objects.exists()


def test_a_draft_is_saved_and_changed(lead: Client, cast: Cast, draft: Estimate):
    assert draft.created_by == "lea"
    assert draft.lines.get().cost == Decimal("12.6")
    filled = lead.get(f"/estimates/{draft.pk}/edit").content.decode()
    assert 'name="medium-input_tokens" value="1000"' in filled

    edit(lead, cast, draft, months="2", **{"medium-users": "2"})

    draft.refresh_from_db()
    assert draft.lines.count() == 2
    assert draft.shapes.get().users == 2


def test_a_project_is_planned(lead: Client, cast: Cast):
    build(lead, cast, scope=f"project-{cast.answers.pk}", step="save")

    assert Estimate.objects.get().project == cast.answers


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"medium-requests_per_day": "many"}, "Write a number"),
        ({"medium-requests_per_day": "١٢"}, "Write a number"),
        # A comma for the decimal point: not 125, ten times as many.
        ({"medium-requests_per_day": "12,5"}, "Write a number"),
        ({"medium-input_tokens": "1.5"}, "Write a whole number"),
        ({"medium-output_tokens": ""}, "or empty the column"),
        ({"medium-hit_percent": "101"}, "at most 100"),
        ({"medium-active_days": "32"}, "at most 31"),
        ({"medium-cache_ttl": "2h"}, "not one of the available choices"),
        ({"month": "soon"}, "Write a month as 2026-12."),
        ({"months": "13"}, "not one of the available choices"),
        ({"scope": "team-0"}, "not one of the available choices"),
        ({"contingency_percent": "101"}, "less than or equal to 100"),
        ({"plan": "heavy"}, "no heavy scenario"),
        ({"model-0-share_percent": "60"}, "add up to 100 %: they are 60 % together"),
        ({"model-0-model": ""}, "Choose the model"),
        ({"model-0-model": "0"}, "not one of the available choices"),
        ({"model-1-token_factor": "0"}, "at least 0.01"),
    ],
)
def test_what_is_wrong_is_said_and_what_was_typed_stays(
    lead: Client, cast: Cast, changes: dict[str, str], sentence: str
):
    shown = build(lead, cast, step="save", **changes).content.decode()

    assert sentence in shown
    assert 'value="1,000"' in shown or "medium-input_tokens" in changes
    assert not Estimate.objects.exists()


def test_where_every_number_is_one_none_is_said_not_to_be(lead: Client, cast: Cast):
    shown = build(lead, cast, step="save", **{"model-0-share_percent": "60"})

    assert "cannot be counted with" not in shown.content.decode()


def test_words_are_told_in_tokens(lead: Client, cast: Cast):
    words = {"words-input_tokens": "1,000", "medium-input_tokens": "", "step": "words"}

    shown = build(lead, cast, **words).content.decode()

    # The low, likely and high count on current models.
    for scenario, tokens in zip(Scenario, (1620, 1800, 2057), strict=True):
        assert f'name="{scenario}-input_tokens" value="{tokens}"' in shown
    assert not Estimate.objects.exists()


def test_the_example_is_filled_in(lead: Client):
    shown = lead.get("/estimates/new?example").content.decode()

    assert 'name="heavy-prefix_tokens" value="8000"' in shown


def test_another_one_is_copied_for_the_month_to_come(lead: Client, draft: Estimate):
    shown = lead.get(f"/estimates/new?copy={draft.pk}").content.decode()

    assert 'name="medium-input_tokens" value="1000"' in shown
    assert 'value="2026-11"' not in shown or timezone.now().month == 10


@pytest.fixture
def sample(cast: Cast) -> Sample:
    """Ten calls of Opus and thirty of Sonnet, larger and larger; Sonnet's cached."""
    calls = [
        {
            "model": "claude-opus-5-5" if number < 10 else "claude-sonnet-5",
            "usage": {
                "input_tokens": 100 * number,
                "output_tokens": 10 * number,
                **(
                    {}
                    if number < 10
                    else {
                        "cache_read_input_tokens": 1800,
                        "cache_creation_input_tokens": 200,
                    }
                ),
            },
        }
        for number in range(40)
    ]
    return samples.read(
        team=cast.search,
        content="\n".join(map(json.dumps, calls)).encode(),
        source=Source.PASTE,
        by="lea",
        now=timezone.now(),
    )


def test_a_sample_fills_it_in(lead: Client, cast: Cast, sample: Sample):
    shown = lead.get(f"/estimates/new?sample={sample.pk}").content.decode()

    # Of thirty, from 1,000 to 3,900: the 8th, 15th and 27th.
    for scenario, tokens in (("light", 1700), ("medium", 2400), ("heavy", 3600)):
        assert f'name="{scenario}-input_tokens" value="{tokens}"' in shown
    assert 'name="medium-prefix_tokens" value="2000"' in shown
    assert 'name="medium-hit_percent" value="90"' in shown
    assert 'name="model-0-share_percent" value="75"' in shown
    assert 'name="model-1-share_percent" value="25"' in shown
    build(lead, cast, step="save", sample=str(sample.pk))
    assert Estimate.objects.get().sample == sample


def test_each_model_of_a_sample_has_its_own_sizes(lead: Client, cast: Cast, sample: Sample):
    """Sonnet's are typed: 0.0021 each. Opus' are its own: 400 in and 40 out at the median,
    0.0024. Half of 3,000 requests are on each."""
    sonnet, opus = model("claude-sonnet-5"), model("claude-opus-5-5")
    both = {
        "sample": str(sample.pk),
        "reference": sonnet.pk,
        "model-0-model": sonnet.pk,
        "model-1-model": opus.pk,
        "model-0-share_percent": "50",
        "model-1-share_percent": "50",
    }

    own = build(lead, cast, **both, step="save")
    drafted = Estimate.objects.get()
    shown = lead.get(own.url).content.decode()
    above = build(lead, cast, **both, **{"model-1-sizes": "levers"}).content.decode()

    assert drafted.reference == sonnet
    assert "planned by sizes of its own requests" in shown
    assert "in the sizes of Claude Sonnet 5 as each counts their tokens" in shown
    assert '<data value="6.75"' in shown  # 3.15 and 3.6
    assert '<data value="9.45"' in above  # 3.15 and 6.3, of 1,000 in and 10 out
    for page in (shown, above):
        assert '<data value="12.6"' in page  # 3,000 requests, on Opus alone
    edited = lead.get(f"/estimates/{drafted.pk}/edit").content.decode()
    assert "its own, if the sample has it" in edited


def test_another_model_of_the_sample_may_be_the_reference(lead: Client, sample: Sample):
    opus = model("claude-opus-5-5").pk

    shown = lead.get(f"/estimates/new?sample={sample.pk}&reference={opus}").content.decode()

    assert 'name="medium-input_tokens" value="400"' in shown
    assert "10 requests of Claude Opus 5.5" in shown


def test_whose_sizes_are_typed_is_said_as_it_is_chosen(
    lead: Client, cast: Cast, sample: Sample
):
    """The sample has most requests of Sonnet."""
    opus = {"sample": str(sample.pk), "reference": model("claude-opus-5-5").pk}

    computed = build(lead, cast, **opus).content.decode()
    build(lead, cast, **opus, step="save")
    edited = lead.get(f"/estimates/{Estimate.objects.get().pk}/edit").content.decode()
    of_none = build(lead, cast, **(opus | {"reference": ""})).content.decode()

    for page in (computed, edited):
        assert "what you change above is then of Claude Opus 5.5 alone" in page
    assert "is then of the model with the largest share alone" in of_none


def test_the_range_of_a_tokenizer_stands_beside_the_cost(lead: Client, cast: Cast):
    haiku = model("claude-haiku-4-5").pk

    shown = build(
        lead,
        cast,
        **{"model-1-model": haiku, "model-0-share_percent": "50"},
        **{"model-1-share_percent": "50"},
    ).content.decode()

    assert "tokens for one of Claude Opus 5.5" in shown
    assert "planned, the middle of" in shown


@pytest.mark.parametrize(("factor", "cost"), [("1", "3.15"), ("2", "6.3")])
def test_a_factor_that_was_typed_stays_when_something_else_changes(
    lead: Client, cast: Cast, factor: str, cost: str
):
    """3,000 requests at 0.00105 on Haiku, times the factor."""
    haiku = model("claude-haiku-4-5").pk
    build(
        lead,
        cast,
        step="save",
        reference=model("claude-opus-5-5").pk,
        **{"model-0-model": haiku, "model-0-token_factor": factor},
    )
    drafted = Estimate.objects.get()

    page = Page(lead.get(f"/estimates/{drafted.pk}/edit").content.decode())
    lead.post(
        f"/estimates/{drafted.pk}/edit", page.posted() | {"note": "Again.", "step": "save"}
    )

    drafted.refresh_from_db()
    assert drafted.note == "Again."
    assert drafted.lines.get().cost == Decimal(cost)


def test_a_factor_that_was_not_typed_is_empty(lead: Client, cast: Cast, draft: Estimate):
    build(lead, cast, step="save", **{"model-1-model": model("claude-haiku-4-5").pk})

    for estimate in Estimate.objects.all():
        page = Page(lead.get(f"/estimates/{estimate.pk}/edit").content.decode())
        posted = page.posted()
        factors = [posted[f"model-{number}-token_factor"] for number in range(2)]
        assert not any(factors)


def test_sound_is_asked_for_only_where_there_is_some(lead: Client, cast: Cast):
    empty = lead.get("/estimates/new").content.decode()
    shown = build(lead, cast, **{"heavy-output_audio_per_1000": "5"}).content.decode()

    hidden = '<div class="lever" hidden>'
    assert (empty.count(hidden), shown.count(hidden)) == (5, 4)


def test_nobody_elses_sample_fills_anything_in(
    cast: Cast, sample: Sample, person: Callable[..., User], browser: Browser
):
    tina = browser(person("tina", Role.LEAD, cast.acme, cast.support))

    shown = tina.get(f"/estimates/new?sample={sample.pk}").content.decode()

    assert "sample #" not in shown
    build(tina, cast, step="save", sample=str(sample.pk), scope=f"team-{cast.support.pk}")
    assert Estimate.objects.get().sample is None


# --- Two who change one draft -------------------------------------------------------


def test_the_second_is_told_who_changed_it_and_keeps_what_was_typed(
    lead: Client, cast: Cast, draft: Estimate, person: Callable[..., User], browser: Browser
):
    tom = browser(person("tom", Role.LEAD, cast.acme, cast.search))
    opened = draft.version
    assert f'name="version" value="{opened}"' in (
        lead.get(f"/estimates/{draft.pk}/edit").content.decode()
    )
    edit(tom, cast, draft, note="Toms.", version=opened)
    changes = {"note": "Leas.", "medium-input_tokens": "1,777"}

    refused = edit(lead, cast, draft, version=opened, **changes).content.decode()

    draft.refresh_from_db()
    assert draft.note == "Toms."
    assert "tom changed this draft on " in refused
    assert 'value="1,777"' in refused
    assert f'name="version" value="{draft.version}"' in refused
    edit(lead, cast, draft, version=draft.version, **changes)
    draft.refresh_from_db()
    assert (draft.note, draft.changed_by) == ("Leas.", "lea")
    assert "changed by lea" in lead.get(f"/estimates/{draft.pk}").content.decode()


def test_who_names_no_version_saves_and_submits_nothing(
    lead: Client, cast: Cast, draft: Estimate
):
    edit(lead, cast, draft, version="", note="Which?")
    decide(lead, draft, "submit", version="")

    draft.refresh_from_db()
    assert (draft.state, draft.note) == ("draft", "")


def test_what_was_typed_stays_when_it_was_submitted_meanwhile(
    lead: Client, cast: Cast, draft: Estimate
):
    decide(lead, draft, "submit")

    refused = edit(lead, cast, draft, note="Too late.").content.decode()

    assert "This estimate is submitted and does not change" in refused
    assert "Too late." in refused
    assert Estimate.objects.get().note == ""


# --- Any number of models -----------------------------------------------------------


def of_models(count: int) -> dict[str, Any]:
    """So many of them, the first with all requests."""
    found = LanguageModel.objects.filter(provider="anthropic").order_by("-name")
    return {f"model-{number}-model": its.pk for number, its in enumerate(found[:count])}


def test_a_draft_of_eight_models_keeps_them_when_it_is_changed(lead: Client, cast: Cast):
    build(lead, cast, step="save", **of_models(8))
    draft = Estimate.objects.get()
    assert draft.models.count() == 8

    page = Page(lead.get(f"/estimates/{draft.pk}/edit").content.decode())
    posted = page.posted()
    posted |= {"note": "Again.", "step": "save"}
    lead.post(f"/estimates/{draft.pk}/edit", posted)

    draft.refresh_from_db()
    assert draft.note == "Again."
    assert set(draft.models.values_list("model", flat=True)) == set(of_models(8).values())
    assert {"model-8-model", "model-9-model"} <= posted.keys()
    shown = Page(lead.get(f"/estimates/{draft.pk}").content.decode())
    names = LanguageModel.objects.filter(pk__in=of_models(8).values())
    assert all(its.display_name in shown.text for its in names)


def test_a_model_is_added_and_what_was_typed_stays(lead: Client, cast: Cast):
    half = {"heavy-requests_per_day": "7", "month": ""}
    half |= {f"model-{number}-model": "" for number in (2, 3)}

    page = Page(build(lead, cast, step="add_model", **half).content.decode())

    posted = page.posted()
    assert "model-4-model" in posted
    assert "model-5-model" not in posted
    assert posted["medium-input_tokens"] == "1,000"
    assert posted["model-1-model"] == str(model("claude-sonnet-5").pk)
    assert posted["heavy-requests_per_day"] == "7"
    # Nothing is judged before it is all there.
    assert "Choose a month" not in page.text
    (focused,) = [its for _, its in page.elements if "autofocus" in its]
    assert focused["name"] == "model-4-model"
    assert not Estimate.objects.exists()


def test_models_are_added_up_to_twenty(lead: Client, cast: Cast):
    full = {"model-19-model": ""}

    page = Page(build(lead, cast, step="add_model", **full).content.decode())

    assert "model-20-model" not in page.posted()
    assert "Add a model" not in page.text


# --- One of them --------------------------------------------------------------------


def test_submitted_and_approved_with_a_cap(
    lead: Client, finance: Client, cast: Cast, draft: Estimate
):
    decide(lead, draft, "submit")
    waiting = finance.get(f"/estimates/{draft.pk}").content.decode()
    assert "Send back" in waiting
    assert 'name="cap" value="16"' in waiting

    decide(finance, draft, "approve", cap="17")

    draft.refresh_from_db()
    assert (draft.state, draft.approved_by) == ("approved", "frank")
    assert Budget.objects.get(team=cast.search).amount == 17
    assert "The plan of November 2026" in (
        lead.get(f"/estimates/{draft.pk}").content.decode()
    )


def test_what_was_changed_meanwhile_is_not_approved(
    lead: Client, finance: Client, cast: Cast, draft: Estimate
):
    looked_at = draft.version
    assert looked_at in finance.get(f"/estimates/{draft.pk}").content.decode()
    edit(lead, cast, draft, **{"medium-users": "9"})

    refused = decide(finance, draft, "approve", version=looked_at).content.decode()

    draft.refresh_from_db()
    assert "lea changed it meanwhile, on " in refused
    assert (draft.state, draft.version in refused) == ("draft", True)
    decide(finance, draft, "approve", version=draft.version)
    draft.refresh_from_db()
    assert draft.state == "approved"


@pytest.fixture
def far_off(lead: Client, cast: Cast) -> Estimate:
    """Of a month that is to come, whenever the tests run."""
    build(lead, cast, step="save", month="2199-01", months="2")
    return Estimate.objects.get()


def budget(cast: Cast, amount: str) -> Budget:
    return budgets.create(
        organization=cast.acme,
        team=cast.search,
        period=PeriodKind.MONTH,
        terms=Terms(Decimal(amount)),
        by="tests",
        now=NOW,
    )


def test_the_cap_of_a_plan_to_come_waits_and_is_taken_back(
    finance: Client, lead: Client, cast: Cast, far_off: Estimate
):
    its = budget(cast, "9")
    before = read(finance, f"/estimates/{far_off.pk}")
    assert "its cap waits until then" in before.text

    decide(finance, far_off, "approve", cap="17")

    says = "The monthly cap of $17.00 holds from 1 Jan 2199 on"
    assert says in read(lead, f"/estimates/{far_off.pk}").text
    assert "From 1 Jan 2199 on the cap is $17.00" in (
        read(finance, f"/budgets/{its.pk}/edit").text
    )
    assert decide(lead, far_off, "take_back_cap").status_code == 403
    assert "Take back the cap" not in read(lead, f"/estimates/{far_off.pk}").text
    decide(finance, far_off, "take_back_cap")
    assert "frank took back the monthly cap of $17.00" in (
        read(lead, f"/estimates/{far_off.pk}").text
    )
    its.refresh_from_db()
    assert its.amount == 9


def test_a_cap_that_is_set_before_its_day_takes_the_place_of_one_that_waits(
    finance: Client, cast: Cast, far_off: Estimate
):
    its = budget(cast, "9")
    decide(finance, far_off, "approve", cap="17")
    budgets.amend(
        budget=its, changes={"amount": Decimal(11)}, by="anna", now=timezone.now()
    )

    shown = read(finance, f"/estimates/{far_off.pk}").text

    assert "is not set. anna set the cap to $11.00 on" in shown
    assert "Take back" not in shown
    assert "the cap is $17.00" not in read(finance, f"/budgets/{its.pk}/edit").text


def test_a_cap_is_decided_beside_the_present_one_and_the_scenarios(
    finance: Client, lead: Client, cast: Cast
):
    build(
        lead,
        cast,
        months="2",
        step="save",
        **{
            "heavy-requests_per_day": "300",
            "heavy-input_tokens": "1,000",
            "heavy-output_tokens": "10",
        },
    )
    budget(cast, "9.75")

    page = read(finance, f"/estimates/{Estimate.objects.get().pk}")

    # December has a day more: 3,100 requests, and three times as many.
    assert {"9.75", "13.02", "39.06"} <= page.values()
    for words in ("Cap now", "Medium in its largest month", "Heavy in its largest month"):
        assert words in page.text


def test_who_submitted_does_not_approve_a_high_cap(
    finance: Client, cast: Cast, draft: Estimate, person: Callable[..., User], browser: Any
):
    raises.set_policy(
        organization=cast.acme, two_approvals_above=Decimal(10), by="tests", now=NOW
    )
    assert "Nobody has submitted" in read(finance, f"/estimates/{draft.pk}").text
    decide(finance, draft, "submit")
    assert "You submitted this estimate" in read(finance, f"/estimates/{draft.pk}").text

    refused = decide(finance, draft, "approve", cap="17").content.decode()

    assert "you submitted it, so somebody else has to approve it" in refused
    assert 'value="17"' in refused
    other = browser(person("fiona", Role.FINANCE, cast.acme))
    decide(other, draft, "approve", cap="17")
    assert Budget.objects.get(team=cast.search).amount == 17


def test_sent_back_with_a_note(lead: Client, finance: Client, draft: Estimate):
    decide(lead, draft, "submit")
    refused = decide(finance, draft, "send_back", note="").content.decode()
    assert "Say what has to change." in refused

    decide(finance, draft, "send_back", note="For <b>whom</b>?")

    shown = lead.get(f"/estimates/{draft.pk}").content.decode()
    assert "For &lt;b&gt;whom&lt;/b&gt;?" in shown
    assert "Submit for approval" in shown


def test_a_cap_that_is_none_approves_nothing(finance: Client, draft: Estimate):
    shown = decide(finance, draft, "approve", cap="much").content.decode()

    assert "Type an amount" in shown
    assert Estimate.objects.get().state == "draft"


def test_one_made_from_lines_is_shown_and_not_edited_here(lead: Client, cast: Cast):
    opus = model("claude-opus-5-5")
    made = estimates.save(
        team=cast.search,
        month=timezone.now().date(),
        lines=[Line(opus, Scenario.MEDIUM, 1, Quantities(input=1_000_000))],
        by="tests",
        now=timezone.now(),
    )

    shown = lead.get(f"/estimates/{made.pk}").content.decode()

    assert '<data value="4"' in shown
    assert "/edit" not in shown
    assert lead.get(f"/estimates/{made.pk}/edit").status_code == 302


def test_the_list_has_them_by_state(lead: Client, draft: Estimate, cast: Cast):
    build(lead, cast, step="save")
    decide(lead, draft, "submit")

    shown = lead.get("/estimates").content.decode()

    assert shown.index("Waiting for approval") < shown.index("Drafts")
    assert shown.count("/estimates/") >= 3


def test_an_empty_list_teaches(lead: Client, viewer: Client):
    assert "Nobody has estimated anything yet" in lead.get("/estimates").content.decode()
    assert "New estimate" not in viewer.get("/estimates").content.decode()


# --- Who may ------------------------------------------------------------------------


def test_a_viewer_looks_and_does_nothing(viewer: Client, draft: Estimate, cast: Cast):
    assert viewer.get(f"/estimates/{draft.pk}").status_code == 200
    assert viewer.get("/estimates/new").status_code == 403
    assert build(viewer, cast, step="save").status_code == 403
    assert viewer.get(f"/estimates/{draft.pk}/edit").status_code == 403
    for step in ("submit", "approve", "send_back", "take_back_cap"):
        assert decide(viewer, draft, step, note="x").status_code == 403


def test_a_lead_does_not_approve(lead: Client, draft: Estimate):
    decide(lead, draft, "submit")

    assert decide(lead, draft, "approve").status_code == 403
    assert decide(lead, draft, "send_back", note="x").status_code == 403


def test_a_lead_plans_only_for_the_own_team(lead: Client, cast: Cast):
    shown = build(lead, cast, scope=f"team-{cast.support.pk}", step="save")

    assert "not one of the available choices" in shown.content.decode()


def test_nobody_else_sees_it(
    outsider: Client,
    cast: Cast,
    draft: Estimate,
    person: Callable[..., User],
    browser: Browser,
):
    other = browser(person("tina", Role.LEAD, cast.acme, cast.support))
    for client in (outsider, other):
        assert client.get(f"/estimates/{draft.pk}").status_code == 404
        assert client.get(f"/estimates/{draft.pk}/edit").status_code == 404
        assert decide(client, draft, "submit").status_code == 404
        assert f"/estimates/{draft.pk}" not in client.get("/estimates").content.decode()
        assert client.get(f"/estimates/new?copy={draft.pk}").status_code == 404
