"""Rate cards in the admin: from a card to a draft, its review, and its publication."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from billing.actions import budgets, proposals
from billing.actions.budgets import Terms as BudgetTerms
from billing.models import Proposal, Publication, Rate, RateCard
from billing.pricing.budget_periods import PeriodKind
from teams.actions import memberships
from teams.models import AuditEvent, Role
from tests.billing.rates.conftest import ROOT, draft, listed, model, published, terms
from tests.billing.rates.test_proposals import stated
from tests.builders import record
from tests.conftest import NOW, Cast
from tests.web.conftest import Page

pytestmark = pytest.mark.usefixtures("as_app")

LATER = NOW + timedelta(days=400)


@pytest.fixture
def admin(cast: Cast) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    return client


def url(name: str, *args: object) -> str:
    return reverse(f"admin:billing_{name}", args=args)


def text(client: Client, path: str, **query: str) -> str:
    response = client.get(path, query)
    assert response.status_code == 200, response
    return Page(response.content.decode()).text


def review(client: Client, publication: Publication, **query: str) -> str:
    return text(client, url("publication_review", publication.pk), **query)


def test_a_draft_is_started_from_its_card(admin: Client):
    response = admin.post(url("ratecard_draft", listed().pk))

    made = Publication.objects.get(state="draft")
    assert response["location"] == url("publication_change", made.pk)
    assert made.created_by == "root"


def test_the_review_says_old_new_and_percent_in_words(admin: Client):
    prices = {"input": "8", "output": "15", "cache_read": "0.2"}

    page = review(admin, draft(terms(LATER, prices=prices)))

    assert "4.00 8.00 raised +100" in page
    assert "20.00 15.00 lowered −25" in page
    assert "Publish 1 rate" not in page  # that is a button
    assert "until then all of them can be withdrawn" in page


def test_the_review_says_what_would_have_moved(admin: Client, cast: Cast, send):
    send(record(occurred_at=(timezone.now() - timedelta(minutes=1)).isoformat()))
    budgets.create(
        organization=cast.acme,
        team=cast.search,
        period=PeriodKind.MONTH,
        terms=BudgetTerms(Decimal("0.005")),
        **ROOT,
    )
    publication = draft(terms(LATER))

    page = review(admin, publication)
    assert "as if these rates had been in force all the time" in page
    assert "Search" in page
    assert "team search" in page
    assert "cap reached" in page

    dated = review(admin, publication, throughout="0")
    assert "Nothing in the last 30 days would cost anything else" in dated


def test_publishing_takes_a_confirmation(admin: Client):
    publication = draft(terms(LATER))

    admin.post(url("publication_publish", publication.pk))
    publication.refresh_from_db()
    assert publication.state == "draft"

    admin.post(url("publication_publish", publication.pk), {"confirmed": "1"})
    publication.refresh_from_db()
    assert (publication.state, publication.published_by) == ("published", "root")


def test_what_stands_in_the_way_is_said_in_place_of_the_button(admin: Client):
    publication = draft(terms(LATER))
    publication.rates.update(input=Decimal("0.00001"))

    response = admin.get(url("publication_review", publication.pk))

    assert "is it for another unit" in response.content.decode()
    assert "publication_publish" not in response.content.decode()
    assert 'name="confirmed"' not in response.content.decode()


def test_a_slip_is_said_at_its_rate_and_not_saved(admin: Client):
    publication = draft()
    form = {
        "note": "",
        "rates-TOTAL_FORMS": 1,
        "rates-INITIAL_FORMS": 0,
        "rates-0-model": model().pk,
        "rates-0-processing": "standard",
        "rates-0-speed": "standard",
        "rates-0-geo": "global",
        "rates-0-endpoint": "global",
        "rates-0-context_tier": 0,
        "rates-0-effective_from_0": "2027-01-01",
        "rates-0-effective_from_1": "00:00:00",
        "rates-0-input": "0.000005",
        "rates-0-source": "a page",
        "rates-0-observed_on": "2026-11-22",
    }
    change = url("publication_change", publication.pk)

    refused = admin.post(change, form)
    assert "is it for another unit" in refused.content.decode()
    assert not publication.rates.exists()

    admin.post(change, {**form, "rates-0-confirmation": "It is a gift."})
    assert publication.rates.get().confirmation == "It is a gift."


def test_a_rate_is_changed_and_taken_off_in_place(admin: Client):
    publication = draft(terms(LATER), terms(LATER, geo="us"))
    first, second = publication.rates.order_by("pk")
    form = {"note": "", "rates-TOTAL_FORMS": 2, "rates-INITIAL_FORMS": 2}
    for at, rate in enumerate((first, second)):
        form |= {
            f"rates-{at}-id": rate.pk,
            f"rates-{at}-publication": publication.pk,
            f"rates-{at}-model": rate.model_id,
            f"rates-{at}-processing": "standard",
            f"rates-{at}-speed": "standard",
            f"rates-{at}-geo": rate.geo,
            f"rates-{at}-endpoint": "global",
            f"rates-{at}-context_tier": 0,
            f"rates-{at}-effective_from_0": f"{LATER:%Y-%m-%d}",
            f"rates-{at}-effective_from_1": f"{LATER:%H:%M:%S}",
            f"rates-{at}-input": "9",
            f"rates-{at}-source": "a page",
            f"rates-{at}-observed_on": "2026-11-22",
        }

    response = admin.post(
        url("publication_change", publication.pk), {**form, "rates-1-DELETE": "on"}
    )

    assert response.status_code == 302
    (kept,) = publication.rates.all()
    assert (kept.geo, kept.input, kept.output) == ("global", Decimal(9), None)
    actions = AuditEvent.objects.filter(actor="root").order_by("-pk")
    assert {one.action for one in actions[:2]} == {"rate_draft.remove", "rate_draft.set"}


def test_scheduled_rates_are_withdrawn_with_a_reason(admin: Client):
    publication = published(terms(timezone.now() + timedelta(days=400)))
    assert "None of these rates has started" in review(admin, publication)

    admin.post(url("publication_withdraw", publication.pk), {"reason": "Cancelled."})

    publication.refresh_from_db()
    assert publication.state == "withdrawn"
    assert AuditEvent.objects.get(action="rate_card.withdraw").reason == "Cancelled."


def test_rates_that_have_started_have_no_button_and_a_sentence(admin: Client):
    publication = published(terms(NOW - timedelta(days=1)))

    assert "Rates that have started are not withdrawn" in review(admin, publication)
    response = admin.post(url("publication_withdraw", publication.pk), follow=True)
    assert "Its first rate starts" in response.content.decode()


def test_a_draft_is_thrown_away(admin: Client):
    publication = draft(terms(LATER))

    admin.post(url("publication_discard", publication.pk))

    assert not Publication.objects.filter(pk=publication.pk).exists()


def test_a_contract_is_made_and_filled_from_the_list(admin: Client, cast: Cast):
    inline = {"publications-TOTAL_FORMS": 0, "publications-INITIAL_FORMS": 0}
    admin.post(
        url("ratecard_add"),
        {"name": "Deal", "provider": "anthropic", "organization": cast.acme.pk, **inline},
    )
    card = RateCard.objects.get(name="Deal")
    assert (card.kind, card.currency) == ("contract", "USD")
    admin.post(url("ratecard_draft", card.pk))
    publication = card.publications.get()

    form = {
        "fill-percent": "90",
        "fill-models": "claude-opus-5-5 75\n",
        "fill-at_0": "2027-01-01",
        "fill-at": "2027-01-01 00:00",
        "fill-source": "Form 7",
    }
    admin.post(url("publication_fill", publication.pk), form)

    rate = publication.rates.get(
        model=model(), processing="standard", speed="standard", geo="global"
    )
    assert (rate.input, f"{rate.effective_from:%Y-%m-%d %H:%M}") == (
        Decimal(3),
        "2027-01-01 00:00",
    )
    wrong = admin.post(
        url("publication_fill", publication.pk), {**form, "fill-models": "claude-opus-5-5"}
    )
    assert "is no model and percentage" in wrong.content.decode()


def test_rates_of_models_are_copied_onto_a_draft(admin: Client):
    publication = draft()

    admin.post(
        url("publication_copy", publication.pk),
        {"copy-models": [model().pk], "copy-at": "2027-01-01 00:00"},
    )

    assert publication.rates.filter(model=model()).count() > 2


def test_proposals_are_accepted_and_dismissed_from_their_list(admin: Client):
    proposals.compare(card=listed(), rates=stated(), now=NOW)
    changelist = url("proposal_changelist")
    assert "input 5" in text(admin, changelist)
    proposal = Proposal.objects.get()
    chosen = {"_selected_action": [proposal.pk]}

    admin.post(changelist, {"action": "dismiss", **chosen})
    proposal.refresh_from_db()
    assert proposal.state == "open"  # no reason was given

    response = admin.post(changelist, {"action": "accept", **chosen})
    publication = Publication.objects.get(state="draft")
    assert response["location"] == url("publication_review", publication.pk)


def test_models_and_rates_show_their_line(admin: Client):
    published(terms(LATER))

    page = text(admin, url("languagemodel_change", model().pk))
    assert "coming" in page
    assert "in force" in page
    rate = Rate.objects.get(effective_from=LATER)
    assert "(this one)" in text(admin, url("rate_change", rate.pk))


# --- Who may ------------------------------------------------------------------------


@pytest.fixture
def ada(cast: Cast) -> Client:
    """An admin of Acme with the rights of the admin site, and no superuser."""
    user = User.objects.create_user("ada", is_staff=True)
    its = Permission.objects.filter(content_type__app_label="billing")
    user.user_permissions.set(its)
    memberships.grant(user=user, organization=cast.acme, role=Role.ADMIN, **ROOT)
    client = Client()
    client.force_login(user)
    return client


def test_list_prices_are_changed_by_who_runs_the_installation(ada: Client):
    publication = draft(terms(LATER))

    assert ada.get(url("publication_review", publication.pk)).status_code == 403
    for step in ("publish", "discard", "fill", "copy", "withdraw"):
        answer = ada.post(url(f"publication_{step}", publication.pk), {"confirmed": "1"})
        assert answer.status_code == 403
    assert ada.post(url("ratecard_draft", listed().pk)).status_code == 403
    publication.refresh_from_db()
    assert publication.state == "draft"


def test_an_organizations_admin_publishes_its_contract_and_sees_no_others(
    ada: Client, cast: Cast, contract: RateCard
):
    publication = draft(terms(LATER, prices={"input": "3"}), card=contract)
    assert "Publish" in review(ada, publication)
    ada.post(url("publication_publish", publication.pk), {"confirmed": "1"})
    publication.refresh_from_db()
    assert publication.published_by == "ada"

    RateCard.objects.filter(pk=contract.pk).update(organization=cast.outsiders)
    assert ada.get(url("publication_review", publication.pk)).status_code == 403
    assert "Acme contract" not in text(ada, url("ratecard_changelist"))
    assert "Acme contract" not in text(ada, url("rate_changelist"))
