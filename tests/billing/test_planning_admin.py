"""Samples, routing policies, saved what-ifs and reviews in the admin: looked at alone."""

from collections.abc import Callable
from datetime import date, timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.db.models import Model
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from billing.actions import samples
from billing.models import LanguageModel, Review, RoutingPolicy, Sample, SavedWhatIf
from billing.models.samples import Source
from tests.conftest import NOW, Cast

pytestmark = pytest.mark.usefixtures("as_app")

NOVEMBER = date(2026, 11, 1)


def sample(cast: Cast, number: int) -> Sample:
    return samples.read(
        team=cast.search,
        project=cast.answers,
        content=b'{"input_tokens": 7, "output_tokens": 1, "model": "claude-opus-5-5"}',
        source=Source.PASTE,
        name=f"Sample {number}",
        by="lea",
        now=NOW,
    )


def policy(cast: Cast, number: int) -> RoutingPolicy:
    opus = LanguageModel.objects.get(provider="anthropic", name="claude-opus-5-5")
    return RoutingPolicy.objects.create(
        team=cast.search,
        effective_from=NOVEMBER + timedelta(days=number),
        model_ids=[opus.pk],
        batch_only_tags=[{"key": "job", "value": "nightly"}],
        reason=f"Policy {number}",
        changed_by="lea",
        changed_at=NOW,
    )


def what_if(cast: Cast, number: int) -> SavedWhatIf:
    return SavedWhatIf.objects.create(
        team=cast.search,
        name=f"What-if {number}",
        question={"batch": "50"},
        created_by="lea",
        created_at=NOW,
    )


def review(cast: Cast, number: int) -> Review:
    return Review.objects.create(
        team=cast.search,
        project=cast.answers,
        since=NOVEMBER,
        until=NOVEMBER + timedelta(days=14 + number),
        opened_by=f"Review {number}",
        opened_at=NOW,
    )


Make = Callable[[Cast, int], Model]
KINDS: list[tuple[str, Make, str, str]] = [
    ("sample", sample, "Sample 1", "/samples/"),
    ("routingpolicy", policy, "Policy 1", "job=nightly"),
    ("savedwhatif", what_if, "What-if 1", "&quot;batch&quot;: &quot;50&quot;"),
    ("review", review, "answers", "/reviews/"),
]


@pytest.fixture
def admin(cast: Cast) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    return client


@pytest.mark.parametrize(("name", "make", "words", "shown"), KINDS)
def test_each_is_found_shown_and_not_changed(
    admin: Client, cast: Cast, name: str, make: Make, words: str, shown: str
):
    made = make(cast, 1)
    listed = reverse(f"admin:billing_{name}_changelist")
    one = reverse(f"admin:billing_{name}_change", args=[made.pk])
    gone = reverse(f"admin:billing_{name}_delete", args=[made.pk])

    found = admin.get(listed, {"q": words}).content.decode()
    missed = admin.get(listed, {"q": "nowhere to be found"}).content.decode()

    assert one in found
    assert one not in missed
    assert shown in admin.get(one).content.decode()
    assert admin.post(one, {"name": "Another"}).status_code == 403
    assert admin.post(gone, {"post": "yes"}).status_code == 403
    assert admin.get(reverse(f"admin:billing_{name}_add")).status_code == 403


@pytest.mark.parametrize(("name", "make"), [kind[:2] for kind in KINDS])
def test_a_list_asks_no_more_for_more_of_them(
    admin: Client, cast: Cast, name: str, make: Make
):
    listed = reverse(f"admin:billing_{name}_changelist")

    def asked() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert admin.get(listed).status_code == 200
        return len(queries)

    make(cast, 1)
    one = asked()
    for number in range(2, 5):
        make(cast, number)

    assert asked() == one


def test_the_rows_of_samples_are_not_read(admin: Client, cast: Cast):
    made = sample(cast, 1)

    with CaptureQueriesContext(connection) as queries:
        admin.get(reverse("admin:billing_sample_changelist"))
        admin.get(reverse("admin:billing_sample_change", args=[made.pk]))

    assert not any('"billing_sample"."rows"' in one["sql"] for one in queries)
