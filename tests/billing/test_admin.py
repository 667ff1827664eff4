"""The admin: every page opens, changes are audited, facts stay as they are."""

import re
from datetime import date
from decimal import Decimal
from uuid import uuid4

import pytest
from django.contrib.admin.sites import site
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from billing.actions import budgets, channels, estimates, post, raises
from billing.actions.budgets import Terms
from billing.models import (
    Alert,
    Budget,
    BudgetTotal,
    Channel,
    Delivery,
    Estimate,
    LanguageModel,
    Publication,
    RateCard,
    UsageRecord,
)
from billing.models.estimates import Scenario
from billing.models.planned import Line
from billing.pricing import figures
from billing.pricing.budget_periods import PeriodKind
from billing.pricing.token_classes import NOTHING
from billing.reports import budgets as reports
from billing.reports import estimate_view
from teams import isolation
from teams.actions import teams
from teams.models import ApiKey, AuditEvent, Organization, Project, Team
from tests.builders import body, record
from tests.conftest import NOW, Cast, Service, as_owner, issue

pytestmark = pytest.mark.usefixtures("as_app")

THIN = "\N{NARROW NO-BREAK SPACE}"

READ_ONLY = (
    "billing_usagerecordrow",
    "billing_unpricedrecordrow",
    "billing_quarantinedrecordrow",
    "billing_voidrow",
    "billing_rate",
    "billing_alert",
    "billing_delivery",
    "billing_verification",
    "teams_auditevent",
)


@pytest.fixture
def admin(cast: Cast) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    return client


def page(client: Client, name: str, *args: object) -> str:
    response = client.get(reverse(f"admin:{name}", args=args))
    assert response.status_code == 200
    return response.content.decode()


@pytest.mark.parametrize(
    "model", [model._meta.label_lower.replace(".", "_") for model in site._registry]
)
def test_every_list_opens(admin: Client, alice: Service, cast: Cast, model: str):
    alice.post("usage", body(record(), record(model="claude-unheard-of")))
    post.count(team_id=cast.search.pk, now=NOW)

    page(admin, f"{model}_changelist")


@pytest.mark.parametrize("model", READ_ONLY)
def test_facts_and_published_rates_cannot_be_added(admin: Client, model: str):
    assert admin.get(reverse(f"admin:{model}_add")).status_code == 403


def test_a_usage_record_shows_its_charges_and_cannot_be_changed(
    admin: Client, alice: Service, cast: Cast
):
    alice.post("usage", body(record(id="msg_1")))
    post.count(team_id=cast.search.pk, now=NOW)
    with as_owner():
        uid = UsageRecord.objects.get().uid
    url = reverse("admin:billing_usagerecordrow_change", args=[uid])

    shown = admin.get(url).content.decode()

    assert "1,000 input × 0.000004 = 0.004" in shown
    assert 'name="_save"' not in shown
    assert admin.post(url, {"input": 5}).status_code == 403


def test_a_record_is_found_by_its_id(admin: Client, alice: Service):
    alice.post("usage", body(record(id="msg_1"), record(id="msg_2")))

    url = reverse("admin:billing_usagerecordrow_changelist")
    shown = admin.get(url, {"q": "msg_1"}).content.decode()

    assert "msg_1" in shown
    assert "msg_2" not in shown


def test_the_list_card_shows_rates_with_units(admin: Client):
    card = RateCard.objects.get(provider="anthropic")
    publication = card.publications.get()

    assert "Bundled list prices" in page(admin, "billing_ratecard_change", card.pk)
    assert "claude" in page(admin, "billing_publication_change", publication.pk).lower()
    assert "per MTok" in page(admin, "billing_rate_changelist")


def test_an_alias_is_added_to_a_model(admin: Client):
    model = LanguageModel.objects.get(provider="anthropic", name="claude-opus-5-5")
    url = reverse("admin:billing_languagemodel_change", args=[model.pk])

    response = admin.post(
        url,
        {
            "display_name": model.display_name,
            "family": model.family,
            "context_window": model.context_window or "",
            "aliases-TOTAL_FORMS": 1,
            "aliases-INITIAL_FORMS": 0,
            "aliases-0-model": model.pk,
            "aliases-0-name": "our-opus",
        },
    )

    assert response.status_code == 302
    assert model.aliases.get(name="our-opus").provider == "anthropic"
    event = AuditEvent.objects.get(action="alias.add")
    assert (event.actor, event.after) == ("root", {"alias": "our-opus"})


def test_a_key_made_in_the_admin_is_shown_once_and_works(admin: Client, cast: Cast):
    response = admin.post(
        reverse("admin:teams_apikey_add"),
        {
            "organization": cast.acme.pk,
            "project": cast.answers.pk,
            "name": "From the admin",
            "scopes": ["usage:write"],
        },
        follow=True,
    )

    secret = re.search(r"purser_\w{38}", response.content.decode())
    assert secret
    assert Service(secret[0]).post("usage", body(record())).status_code == 202
    key = ApiKey.objects.get(name="From the admin")
    assert AuditEvent.objects.get(action="api_key.issue").actor == "root"
    assert secret[0] not in page(admin, "teams_apikey_change", key.pk)


def test_a_key_gets_a_limit_of_its_own_in_the_admin(admin: Client, cast: Cast):
    key, secret = issue(cast.acme, project=cast.answers)
    url = reverse("admin:teams_apikey_change", args=[key.pk])

    admin.post(url, {"records_per_minute": 2})

    answers = [Service(secret).post("usage", body(record())) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [202, 202, 429]
    event = AuditEvent.objects.get(action="api_key.limit")
    assert event.actor == "root"
    assert (event.before, event.after) == (
        {"records_per_minute": None},
        {"records_per_minute": 2},
    )


@pytest.mark.parametrize("limit", ["0", "-1", "60000001", "many"])
def test_a_limit_that_is_none_is_refused_in_the_admin(
    admin: Client, cast: Cast, limit: str
):
    key, _ = issue(cast.acme)
    url = reverse("admin:teams_apikey_change", args=[key.pk])

    assert admin.post(url, {"records_per_minute": limit}).status_code == 200

    key.refresh_from_db()
    assert key.records_per_minute is None


def test_the_admin_changes_nothing_of_a_key_but_its_limit(admin: Client, cast: Cast):
    key, _ = issue(cast.acme, project=cast.answers)
    url = reverse("admin:teams_apikey_change", args=[key.pk])
    others = {"name": "Other", "scopes": [], "team": cast.search.pk, "project": ""}

    admin.post(url, others | {"records_per_minute": ""})

    assert ApiKey.objects.filter(
        pk=key.pk, name=key.name, scopes=key.scopes, project=cast.answers, team=None
    ).exists()
    assert not AuditEvent.objects.filter(action="api_key.limit").exists()


def test_a_key_is_revoked_from_the_list(admin: Client, cast: Cast):
    admin.post(
        reverse("admin:teams_apikey_add"),
        {"organization": cast.acme.pk, "name": "Leaked", "scopes": ["usage:write"]},
    )
    key = ApiKey.objects.get()

    admin.post(
        reverse("admin:teams_apikey_changelist"),
        {"action": "revoke", "_selected_action": [key.pk]},
    )

    key.refresh_from_db()
    assert key.revoked_at is not None


@pytest.mark.parametrize(
    ("rights", "listed", "revoked"),
    [([], 403, False), (["view_apikey"], 200, False), (["change_apikey"], 200, True)],
)
def test_keys_are_seen_and_revoked_by_staff_with_the_right_to(
    cast: Cast, rights: list[str], listed: int, revoked: bool
):
    key, _ = issue(cast.acme)
    user = User.objects.create_user("clerk", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=rights))
    clerk = Client()
    clerk.force_login(user)
    url = reverse("admin:teams_apikey_changelist")

    shown = clerk.get(url)
    clerk.post(url, {"action": "revoke", "_selected_action": [key.pk]})

    key.refresh_from_db()
    assert shown.status_code == listed
    assert (key.revoked_at is not None) is revoked


def test_an_organization_team_and_project_are_made_in_the_admin(admin: Client):
    admin.post(
        reverse("admin:teams_organization_add"),
        {
            "name": "New",
            "slug": "new",
            "time_zone": "Asia/Tokyo",
            "reporting_zones-TOTAL_FORMS": 0,
            "reporting_zones-INITIAL_FORMS": 0,
        },
    )
    organization = Organization.objects.get(slug="new")
    admin.post(
        reverse("admin:teams_team_add"),
        {"organization": organization.pk, "name": "Core", "slug": "core"},
    )
    team = Team.objects.get(slug="core")
    admin.post(
        reverse("admin:teams_project_add"),
        {
            "name": "One",
            "slug": "one",
            "owner": team.pk,
            "ownerships-TOTAL_FORMS": 0,
            "ownerships-INITIAL_FORMS": 0,
        },
    )

    assert organization.reporting_zones.get().time_zone == "Asia/Tokyo"
    assert Project.objects.get(slug="one").ownerships.get().team == team


def test_a_project_is_moved_in_the_admin_and_keeps_its_past(admin: Client, cast: Cast):
    admin.post(
        reverse("admin:teams_project_change", args=[cast.answers.pk]),
        {
            "name": "Answers",
            "owner": cast.support.pk,
            "ownerships-TOTAL_FORMS": 0,
            "ownerships-INITIAL_FORMS": 0,
        },
    )

    owners = cast.answers.ownerships.order_by("effective_from")
    assert [ownership.team for ownership in owners] == [cast.search, cast.support]
    assert AuditEvent.objects.filter(action="project.move", actor="root").exists()


def test_a_wrong_time_zone_is_refused_with_a_sentence(admin: Client):
    response = admin.post(
        reverse("admin:teams_organization_add"),
        {
            "name": "New",
            "slug": "new",
            "time_zone": "Berlin",
            "reporting_zones-TOTAL_FORMS": 0,
            "reporting_zones-INITIAL_FORMS": 0,
        },
    )

    assert "is not an IANA time zone" in response.content.decode()


# --- Rate cards ---------------------------------------------------------------------

INLINE = {"rates-TOTAL_FORMS": 0, "rates-INITIAL_FORMS": 0}


@pytest.fixture
def draft(admin: Client) -> Publication:
    card = RateCard.objects.get(provider="anthropic")
    admin.post(
        reverse("admin:billing_publication_add"),
        {"card": card.pk, "note": "dearer", **INLINE},
    )
    return Publication.objects.get(state="draft")


def rate_form(**changes: object) -> dict[str, object]:
    model = LanguageModel.objects.get(provider="anthropic", name="claude-opus-5-5")
    rate = {
        "model": model.pk,
        "processing": "standard",
        "speed": "standard",
        "geo": "global",
        "endpoint": "global",
        "context_tier": 0,
        "effective_from_0": "2027-01-01",
        "effective_from_1": "00:00:00",
        "input": "5",
        "output": "25",
        "source": "announcement",
        "observed_on": "2026-11-22",
    } | changes
    return {
        "rates-TOTAL_FORMS": 1,
        "rates-INITIAL_FORMS": 0,
        **{f"rates-0-{name}": value for name, value in rate.items()},
    }


def test_a_draft_is_edited_and_published_by_a_named_person(
    admin: Client, draft: Publication
):
    url = reverse("admin:billing_publication_change", args=[draft.pk])
    review = reverse("admin:billing_publication_review", args=[draft.pk])
    saved = admin.post(url, {"note": "dearer", **rate_form(), "_review": "1"})
    assert (saved.status_code, saved["location"]) == (302, review)
    publish = reverse("admin:billing_publication_publish", args=[draft.pk])
    admin.post(publish, {"confirmed": "1"})

    draft.refresh_from_db()
    assert (draft.state, draft.published_by) == ("published", "root")
    assert draft.rates.get().output == 25
    assert AuditEvent.objects.filter(action="rate_card.publish", actor="root").exists()


def test_a_published_rate_is_never_changed(admin: Client):
    published = Publication.objects.get(card__provider="anthropic")
    url = reverse("admin:billing_publication_change", args=[published.pk])

    assert admin.post(url, {"note": "", **rate_form()}).status_code == 403
    assert 'name="_review"' not in admin.get(url).content.decode()


def test_published_rates_are_read_as_they_were_published(admin: Client):
    publication = Publication.objects.get(card__provider="anthropic")
    shown = page(admin, "billing_publication_change", publication.pk)

    cells = [cell.strip() for cell in re.findall(r"<td[^>]*>(.*?)</td>", shown, re.DOTALL)]
    text = [re.sub(r"<[^>]+>", "", cell).strip() for cell in cells]
    row = text[text.index("Claude Opus 4.5") :]
    assert row[:3] == ["Claude Opus 4.5", "Batch", "–"]
    assert row[3:9] == ["2.50", "3.125", "5.00", "0.25", "12.50", "10.00"]
    # Nothing on this card has a price for sound.
    assert "Output audio" not in shown


def test_a_price_is_typed_without_zeros_that_say_nothing(admin: Client, draft: Publication):
    url = reverse("admin:billing_publication_change", args=[draft.pk])
    admin.post(url, {"note": "dearer", **rate_form(input="5.50"), "_continue": "1"})

    shown = admin.get(url).content.decode()

    typed = re.findall(r'name="rates-0-(?:input|output)" value="([^"]*)"', shown)
    assert typed == ["5.5", "25"]


@pytest.mark.parametrize("price", ["-1", "NaN", "Infinity", "much"])
def test_a_price_that_is_none_is_refused(admin: Client, draft: Publication, price: str):
    url = reverse("admin:billing_publication_change", args=[draft.pk])

    admin.post(url, {"note": "", **rate_form(input=price)})

    assert not draft.rates.exists()


# --- Budgets and estimates ----------------------------------------------------------


def budget_form(cast: Cast, **changes: object) -> dict[str, object]:
    return {
        "organization": cast.acme.pk,
        "team": cast.search.pk,
        "period": "month",
        "week_starts_on": 0,
        "fiscal_starts_in": 1,
        "exempt_free": "on",
        "amount": "100",
        "thresholds": "50,80",
        "reason": "first",
        "revisions-TOTAL_FORMS": 0,
        "revisions-INITIAL_FORMS": 0,
        "alerts-TOTAL_FORMS": 0,
        "alerts-INITIAL_FORMS": 0,
    } | changes


def test_a_budget_is_made_and_changed_with_its_revisions(admin: Client, cast: Cast):
    admin.post(reverse("admin:billing_budget_add"), budget_form(cast))
    budget = Budget.objects.get()
    url = reverse("admin:billing_budget_change", args=[budget.pk])

    admin.post(url, budget_form(cast, amount="200", reason="more"))

    assert list(
        budget.revisions.order_by("revision").values_list("amount", "changed_by", "reason")
    ) == [(100, "root", "first"), (200, "root", "more")]
    assert "more" in admin.get(url).content.decode()


def test_somebody_elses_change_in_between_stands(admin: Client, cast: Cast):
    admin.post(reverse("admin:billing_budget_add"), budget_form(cast))
    budget = Budget.objects.get()
    url = reverse("admin:billing_budget_change", args=[budget.pk])
    assert 'name="seen_revision" value="1"' in admin.get(url).content.decode()
    amend = {"hard": True, "thresholds": (90,)}
    budgets.amend(budget=budget, changes=amend, by="gina", now=timezone.now())

    late = admin.post(url, budget_form(cast, amount="200", seen_revision="1"))

    assert "changed meanwhile" in late.content.decode()
    changed = Budget.objects.get()
    assert (changed.amount, changed.hard, changed.thresholds) == (100, True, [90])
    admin.post(
        url, budget_form(cast, amount="200", seen_revision="2", hard="on", thresholds="90")
    )
    changed = Budget.objects.get()
    assert (changed.amount, changed.hard, changed.revision) == (200, True, 3)


def test_only_what_was_changed_in_the_form_is_a_change(admin: Client, cast: Cast):
    """A term that a form without it would empty."""
    admin.post(reverse("admin:billing_budget_add"), budget_form(cast, forecast_alert="75"))
    url = reverse("admin:billing_budget_change", args=[Budget.objects.get().pk])
    assert Budget.objects.get().forecast_alert == 75

    admin.post(url, budget_form(cast, amount="200", forecast_alert="75", seen_revision="1"))
    admin.post(url, budget_form(cast, amount="200", forecast_alert="", seen_revision="2"))

    said = AuditEvent.objects.filter(action="budget.change").order_by("pk")
    assert [
        {name for name in one.after if one.after[name] != one.before[name]} for one in said
    ] == [{"amount"}, {"forecast_alert"}]


def test_a_limited_budget_is_made_and_its_limits_are_shown(admin: Client, cast: Cast):
    opus = LanguageModel.objects.get(provider="anthropic", name="claude-opus-5-5")
    year = timezone.now().year
    limits = {
        "models": [opus.pk],
        "processing": ["batch", "flex"],
        "tag_key": "env",
        "tag_values": "prod,staging",
        "period": "custom",
        "custom_first": f"{year}-11-01",
        "custom_until": f"{year + 4}-11-15",
        "expires_on": f"{year + 4}-11-10",
    }
    admin.post(reverse("admin:billing_budget_add"), budget_form(cast, **limits))
    budget = Budget.objects.with_scope().get()
    url = reverse("admin:billing_budget_change", args=[budget.pk])

    admin.post(url, budget_form(cast, amount="200", expires_on="", exempt_free=""))

    changed = Budget.objects.with_scope().get()
    words = "batch and flex only, claude-opus-5-5, tag env=prod or staging"
    assert budget.scope == changed.scope == f"team search, {words}"
    assert changed.window == budget.window
    assert (changed.amount, changed.expires_on, changed.exempt_free) == (200, None, False)
    assert words in page(admin, "billing_budget_change", budget.pk)
    days = f"1 Nov {year} – 14 Nov {year + 4}"
    assert days in page(admin, "billing_budget_changelist")


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"period": "custom"}, "A custom period needs its first day"),
        ({"week_starts_on": 3}, "Only a week has a day to start on."),
        ({"tag_key": "env"}, "Say which values of the tag count."),
        ({"expires_on": "2020-01-01"}, "It would be expired from the beginning."),
    ],
)
def test_nonsense_about_a_budget_is_said_in_the_form(admin, cast, said, sentence):
    url = reverse("admin:billing_budget_add")

    refused = admin.post(url, budget_form(cast, **said)).content.decode()

    assert sentence in refused
    assert not Budget.objects.exists()


@pytest.mark.parametrize("amount", ["1_000", "1e3", "٣٠٠", "1,5"])
def test_an_amount_in_the_admin_is_written_plainly(admin, cast, amount):
    refused = admin.post(
        reverse("admin:billing_budget_add"), budget_form(cast, amount=amount)
    )

    assert "Type an amount, such as" in refused.content.decode()
    assert not Budget.objects.exists()


def test_a_budget_of_another_organization_is_refused(admin: Client, cast: Cast):
    response = admin.post(
        reverse("admin:billing_budget_add"), budget_form(cast, team=cast.elsewhere.pk)
    )

    assert "is in another organization" in response.content.decode()
    assert not Budget.objects.exists()


@pytest.mark.parametrize("thresholds", ["0", "50,-1", "half"])
def test_thresholds_are_percentages(admin: Client, cast: Cast, thresholds: str):
    admin.post(
        reverse("admin:billing_budget_add"), budget_form(cast, thresholds=thresholds)
    )

    assert not Budget.objects.exists()


def estimate_form(cast: Cast) -> dict[str, object]:
    model = LanguageModel.objects.get(provider="anthropic", name="claude-opus-5-5")
    line = {
        "model": model.pk,
        "scenario": "medium",
        "requests": 1000,
        "input": 1_000_000,
        "output": 10_000,
        "cache_write_5m": 0,
        "cache_write_1h": 0,
        "cache_read": 0,
        "web_search": 0,
    }
    return {
        "team": cast.search.pk,
        "month": "2026-11-01",
        "months": 1,
        "plan": "medium",
        "contingency_percent": 0,
        "lines-TOTAL_FORMS": 1,
        "lines-INITIAL_FORMS": 0,
        **{f"lines-0-{name}": value for name, value in line.items()},
    }


def decide(admin: Client, estimate: Estimate, step: str, **typed: str) -> str:
    """As it is, unless it says which version was looked at. The page that follows."""
    version = Estimate.objects.get(pk=estimate.pk).version
    url = reverse("admin:billing_estimate_decide", args=[estimate.pk])
    said = {"version": version, step: "1", **typed}
    return str(admin.post(url, said, follow=True).content.decode())


def test_an_estimate_is_priced_when_it_is_saved_and_approved(admin: Client, cast: Cast):
    admin.post(reverse("admin:billing_estimate_add"), estimate_form(cast))
    estimate = Estimate.objects.get()
    assert estimate.lines.get().cost == Decimal("4.2")

    decide(admin, estimate, "approve")

    estimate.refresh_from_db()
    assert (estimate.state, estimate.approved_by) == ("approved", "root")


def test_a_change_in_the_admin_leaves_what_it_does_not_show(admin: Client, cast: Cast):
    admin.post(reverse("admin:billing_estimate_add"), estimate_form(cast))
    estimate = Estimate.objects.get()
    estimate.source = "Told by the provider."
    estimate.save()

    url = reverse("admin:billing_estimate_change", args=[estimate.pk])
    admin.post(url, opened(cast, estimate) | {"note": "Looked at."})

    estimate.refresh_from_db()
    assert (estimate.note, estimate.source) == ("Looked at.", "Told by the provider.")


def opened(cast: Cast, estimate: Estimate) -> dict[str, object]:
    """Its form in the admin, as it is opened now."""
    kept = {"lines-INITIAL_FORMS": 1, "lines-0-id": estimate.lines.get().pk}
    kept |= {"lines-0-estimate": estimate.pk}
    return estimate_form(cast) | kept | {"seen_version": estimate.version}


def test_an_estimate_with_what_no_row_shows_is_not_changed(admin: Client, cast: Cast):
    model = LanguageModel.objects.get(provider="anthropic", name="claude-opus-5-5")
    line = Line(model, Scenario.MEDIUM, 1000, NOTHING._replace(input=10**6))
    given = {"team": cast.search, "month": date(2026, 11, 1), "by": "lead", "now": NOW}
    estimate = estimates.save(**given, lines=[line])
    form = opened(cast, estimate)
    estimate.lines.update(session=60_000)
    url = reverse("admin:billing_estimate_change", args=[estimate.pk])

    page = admin.get(url).content.decode()
    answer = admin.post(url, form)

    assert "sound, pictures or sessions, which a row here has no column for" in page
    assert 'name="_save"' not in page
    assert answer.status_code == 403
    assert estimate.lines.get().session == 60_000


def test_of_two_who_change_an_estimate_the_second_is_told(admin: Client, cast: Cast):
    """Its lines are others by then, and fewer."""
    admin.post(reverse("admin:billing_estimate_add"), estimate_form(cast))
    estimate = Estimate.objects.get()
    url = reverse("admin:billing_estimate_change", args=[estimate.pk])
    shown = admin.get(url).content.decode()
    assert f'name="seen_version" value="{estimate.version}"' in shown
    form = opened(cast, estimate) | {"note": "Mine.", "lines-0-requests": 777}
    estimates.save(
        team=cast.search,
        month=estimate.month,
        lines=[],
        estimate=estimate,
        by="tom",
        now=NOW,
    )

    refused = admin.post(url, form).content.decode()

    changed = Estimate.objects.get()
    assert "tom changed it meanwhile, on 22 Nov 2026 at 13:00 (Europe/Berlin)" in refused
    assert f'name="seen_version" value="{changed.version}"' in refused
    assert 'value="777"' in refused
    assert (changed.note, changed.lines.count()) == ("", 0)
    admin.post(url, form | {"seen_version": changed.version})
    changed.refresh_from_db()
    assert (changed.note, changed.lines.get().requests) == ("Mine.", 777)


@pytest.mark.parametrize("deleted", [False, True])
def test_lines_are_changed_and_deleted_as_they_are_shown(
    admin: Client, cast: Cast, deleted: bool
):
    two = {
        name.replace("lines-0", "lines-1"): its
        for name, its in estimate_form(cast).items()
        if name.startswith("lines-0")
    }
    form = estimate_form(cast) | two | {"lines-TOTAL_FORMS": 2, "lines-1-scenario": "heavy"}
    admin.post(reverse("admin:billing_estimate_add"), form)
    estimate = Estimate.objects.get()
    shown: dict[str, object] = {"seen_version": estimate.version, "lines-0-requests": 5}
    for number, line in enumerate(estimate.lines.order_by("pk")):
        shown |= {
            f"lines-{number}-id": line.pk,
            f"lines-{number}-estimate": estimate.pk,
            f"lines-{number}-month": line.month.isoformat(),
            f"lines-{number}-processing": line.processing,
        }
    if deleted:
        shown["lines-1-DELETE"] = "on"

    url = reverse("admin:billing_estimate_change", args=[estimate.pk])
    admin.post(url, form | shown | {"lines-INITIAL_FORMS": 2})

    kept = dict(estimate.lines.values_list("scenario", "requests"))
    assert kept == {"medium": 5} | ({} if deleted else {"heavy": 1000})


def test_a_form_that_names_no_version_saves_nothing(admin: Client, cast: Cast):
    admin.post(reverse("admin:billing_estimate_add"), estimate_form(cast))
    estimate = Estimate.objects.get()

    url = reverse("admin:billing_estimate_change", args=[estimate.pk])
    admin.post(url, opened(cast, estimate) | {"seen_version": "", "note": "Mine."})

    assert Estimate.objects.get().note == ""


@pytest.mark.parametrize("step", ["approve", "send_back"])
def test_an_estimate_is_decided_on_as_it_was_looked_at(
    admin: Client, cast: Cast, step: str
):
    admin.post(reverse("admin:billing_estimate_add"), estimate_form(cast))
    estimate = Estimate.objects.get()
    kept = {"team": cast.search, "month": estimate.month, "estimate": estimate}
    lines = estimate_view.lines_of(estimate)
    estimates.save(**kept, lines=lines, by="tom", now=NOW)
    if step == "send_back":
        estimates.submit(estimate=estimate, by="tom", now=NOW)

    for version in (estimate.version, ""):
        refused = decide(admin, estimate, step, note="Why?", version=version)
        assert "tom changed it meanwhile, on 22 Nov 2026 at 13:00 (Europe/B" in refused

    assert Estimate.objects.get().approved_by == ""
    assert "meanwhile" not in decide(admin, estimate, step, note="Why?")
    state = {"approve": "approved", "send_back": "draft"}[step]
    assert Estimate.objects.get().state == state


def test_a_cap_is_decided_in_the_admin_as_on_the_page(admin: Client, cast: Cast):
    raises.set_policy(
        organization=cast.acme, two_approvals_above=Decimal(10), by="tests", now=NOW
    )
    far_off = estimate_form(cast) | {"month": "2199-01-01"}
    admin.post(reverse("admin:billing_estimate_add"), far_off)
    estimate = Estimate.objects.get()
    url = reverse("admin:billing_estimate_decide", args=[estimate.pk])

    shown = admin.get(url).content.decode()
    assert "There is no monthly budget yet" in shown
    assert "its cap waits until then" in shown
    assert "A cap above $10.00 takes two people" in shown
    assert 'name="cap" value="5"' in shown
    assert "Nobody has submitted" in shown
    assert "then another approves" in decide(admin, estimate, "approve", cap="11")
    assert "is draft" in decide(admin, estimate, "send_back", note="Why?")
    assert 'value="-1"' in decide(admin, estimate, "approve", cap="-1")
    assert Estimate.objects.get().state == "draft"
    decide(admin, estimate, "approve", cap="10")
    assert "holds from 1 Jan 2199 on" in admin.get(url).content.decode()
    decide(admin, estimate, "take_back")
    assert "root took back the monthly cap of $10.00" in admin.get(url).content.decode()
    assert "is taken back" in decide(admin, estimate, "take_back")


def test_who_may_not_change_budgets_sets_no_cap(admin: Client, cast: Cast):
    admin.post(reverse("admin:billing_estimate_add"), estimate_form(cast))
    estimate = Estimate.objects.get()
    clerk = Client()
    user = User.objects.create_user("clerk", is_staff=True)
    rights = ["view_estimate", "change_estimate"]
    user.user_permissions.set(Permission.objects.filter(codename__in=rights))
    clerk.force_login(user)

    decide(clerk, estimate, "approve", cap="11")

    assert Estimate.objects.get().approved_by == "clerk"
    assert not Budget.objects.exists()


def test_an_estimate_of_nothing_is_not_approved(admin: Client, cast: Cast):
    made = estimates.save(
        team=cast.search, month=date(2026, 11, 1), lines=[], by="root", now=NOW
    )

    assert "nothing in this estimate" in decide(admin, made, "approve")
    assert Estimate.objects.get().state == "draft"


def test_estimate_vs_actual_shows_what_the_api_says(
    admin: Client, alice: Service, cast: Cast
):
    admin.post(reverse("admin:billing_estimate_add"), estimate_form(cast))
    alice.post("usage", body(record(), record(model="claude-sonnet-5")))
    post.count(team_id=cast.search.pk, now=NOW)

    url = reverse("admin:billing_estimate_compare")
    query = {"team": cast.search.pk, "month": "2026-11"}
    shown = admin.get(url, query).content.decode()

    lead = Service(issue(cast.acme, team=cast.search)[1])
    report = lead.get("reports/estimate-vs-actual", month="2026-11").json()
    assert len(report["rows"]) == 2
    for row in (*report["rows"], report["total"]):
        assert f'<data value="{row["actual"]}"' in shown
    assert "not planned" in shown


def test_the_percent_of_a_budget_is_rounded_down_and_small_amounts_are_not_nothing(
    admin: Client, cast: Cast
):
    nearly = budget_of(cast.search, amount="1")
    spend(nearly, "0.999")
    little = budget_of(cast.support, amount="100")
    spend(little, "0.001")

    shown = page(admin, "billing_budget_changelist")

    assert re.findall(r'<td class="field-percent">(.*?)</td>', shown) == [
        "&lt;1\N{NARROW NO-BREAK SPACE}%",
        "99\N{NARROW NO-BREAK SPACE}%",
    ]
    assert ">&lt;$0.01</data></td>" in shown


def budget_of(team: Team, *, amount: str) -> Budget:
    return budgets.create(
        organization=team.organization,
        team=team,
        period=PeriodKind.MONTH,
        terms=Terms(Decimal(amount), False, ()),
        by="tests",
        now=timezone.now(),
    )


def spend(budget: Budget, amount: str) -> None:
    (status,) = reports.statuses([budget], now=timezone.now())
    team_id = budget.team_id
    assert team_id is not None
    with isolation.visible_teams([team_id]):
        BudgetTotal.objects.update_or_create(
            team_id=team_id,
            budget=budget,
            period_start=status.period.first,
            defaults={"spent": Decimal(amount)},
        )


def test_where_an_alert_is_sent_is_shown_without_its_secret(admin: Client, cast: Cast):
    budget = budget_of(cast.search, amount="1")
    channel, _ = channels.create(
        organization=cast.acme,
        kind=Channel.Kind.WEBHOOK,
        target="https://hooks.example.com/services/T0/hunter2",
        by="tests",
        now=NOW,
    )
    alert = Alert.objects.create(
        kind=Alert.Kind.THRESHOLD,
        organization=budget.organization,
        team=budget.team,
        budget=budget,
        revision=budget.revision,
        period_start=NOW.date(),
        threshold=50,
        spent=Decimal("0.5"),
        cap=budget.amount,
        fired_at=NOW,
    )
    delivery = Delivery.objects.create(
        alert=alert, channel=channel, message_id=uuid4(), due_at=NOW
    )

    for shown in (
        page(admin, "billing_delivery_changelist"),
        page(admin, "billing_delivery_change", delivery.pk),
        page(admin, "billing_alert_change", alert.pk),
    ):
        assert "https://hooks.example.com/…" in shown
        assert "hunter2" not in shown


def test_amounts_are_rounded_as_on_the_pages(admin: Client, alice: Service, cast: Cast):
    """Half a cent, and a share just below a level: here two ways to round differ."""
    alice.post("usage", body(record(usage={"input_tokens": 2_531_250, "output_tokens": 0})))
    post.count(team_id=cast.search.pk, now=NOW)
    admin.post(reverse("admin:billing_budget_add"), budget_form(cast, amount="10.13"))
    query = {"team": cast.search.pk, "month": "2026-11"}

    listed = page(admin, "billing_budget_changelist")
    url = reverse("admin:billing_estimate_compare")
    compared = admin.get(url, query).content.decode()
    team = admin.get("/teams/search/?from=2026-11-01&through=2026-11-30").content.decode()

    assert figures.amount(Decimal("10.125")) == "10.12"
    for shown in (listed, compared, team):
        assert re.search('value="10.125" title="10.125( USD)?">.?10.12<', shown)
    assert f"99{THIN}%" in listed
    assert f"99{THIN}%" in team


def test_the_list_of_budgets_asks_no_more_for_more_of_them(admin: Client, cast: Cast):
    def listed() -> int:
        with CaptureQueriesContext(connection) as queries:
            page(admin, "billing_budget_changelist")
        return len(queries)

    url = reverse("admin:billing_budget_add")
    admin.post(url, budget_form(cast))
    one = listed()
    models = list(LanguageModel.objects.values_list("pk", flat=True)[:3])
    for _ in range(4):
        admin.post(url, budget_form(cast, models=models))

    assert listed() == one


@pytest.mark.parametrize("rights", [[], ["view_estimate", "view_publication"]])
def test_staff_without_the_right_to_change_changes_no_draft(
    admin: Client, draft: Publication, cast: Cast, rights: list[str]
):
    """Looking is a right of its own, and so is the view that compares."""
    admin.post(reverse("admin:billing_estimate_add"), estimate_form(cast))
    estimate = Estimate.objects.get()
    clerk = Client()
    user = User.objects.create_user("clerk", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=rights))
    clerk.force_login(user)

    may_look = 200 if rights else 403
    for name, pk, form in (
        ("billing_publication", draft.pk, {"note": "mine", **rate_form(), "_publish": "1"}),
        ("billing_estimate", estimate.pk, {**estimate_form(cast), "note": "mine"}),
    ):
        url = reverse(f"admin:{name}_change", args=[pk])
        assert clerk.get(url).status_code == may_look
        assert clerk.post(url, form).status_code == 403
    decide(clerk, estimate, "approve")
    compared = clerk.get(reverse("admin:billing_estimate_compare"))

    draft.refresh_from_db()
    estimate.refresh_from_db()
    assert (draft.state, draft.note, draft.rates.count()) == ("draft", "dearer", 0)
    assert (estimate.state, estimate.note) == ("draft", "")
    assert compared.status_code == may_look


def test_an_estimate_without_a_price_is_refused_with_a_sentence(admin: Client, cast: Cast):
    unpriced = LanguageModel.objects.create(
        provider="anthropic", name="claude-tomorrow", display_name="T", family="T"
    )
    form = estimate_form(cast) | {"lines-0-model": unpriced.pk}

    response = admin.post(reverse("admin:billing_estimate_add"), form)

    assert "claude-tomorrow has no rate" in response.content.decode()
    assert not Estimate.objects.exists()


def test_a_month_out_of_the_calendar_is_this_month(admin: Client, cast: Cast):
    url = reverse("admin:billing_estimate_compare")

    for month in ("9999-12", "0000-01", "much"):
        assert admin.get(url, {"team": cast.search.pk, "month": month}).status_code == 200


def test_teams_of_the_same_name_are_told_apart(admin: Client, cast: Cast):
    """A slug is unique in its organization alone."""
    made = {"by": "tests", "now": NOW}
    twin = teams.create(organization=cast.outsiders, name="Search", slug="search", **made)
    url = reverse("admin:billing_estimate_compare")

    for team in (cast.search, twin):
        shown = admin.get(url, {"team": team.pk}).content.decode()
        assert f'<option value="{team.pk}" selected>' in shown


def test_team_budget_and_estimate_lead_to_the_comparison(admin: Client, cast: Cast):
    admin.post(reverse("admin:billing_budget_add"), budget_form(cast))
    admin.post(reverse("admin:billing_estimate_add"), estimate_form(cast))
    compare = f"{reverse('admin:billing_estimate_compare')}?team={cast.search.pk}"

    for name, pk in (
        ("teams_team", cast.search.pk),
        ("billing_budget", Budget.objects.get().pk),
    ):
        assert compare in page(admin, f"{name}_change", pk)
    assert f"{compare}&amp;month=2026-11" in page(admin, "billing_estimate_changelist")
