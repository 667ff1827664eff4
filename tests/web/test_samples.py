"""Samples on pages: each way to make one, what is said when it cannot be, who may."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from billing.actions import samples
from billing.formats.samples import Asked
from billing.models import Sample
from billing.models.samples import Source
from teams.models import Role
from tests import receivers
from tests.billing import spending
from tests.conftest import NOW, Cast
from tests.web.conftest import Browser, Page, read

USAGE = {"input_tokens": 1000, "output_tokens": 10}
SECRET = "the-secret-of-the-prompt"


@pytest.fixture
def lead(cast: Cast, person: Callable[..., User], browser: Browser) -> Client:
    return browser(person("lea", Role.LEAD, cast.acme, cast.search))


@pytest.fixture
def sample(cast: Cast) -> Sample:
    return samples.read(
        team=cast.search,
        content="\n".join([json.dumps(USAGE)] * 12).encode(),
        source=Source.PASTE,
        asked=Asked(model="claude-opus-5-5"),
        name="Twelve answers",
        by="lea",
        now=NOW,
    )


def post(client: Client, path: str, **said: Any) -> Page:
    response = client.post(path, said, follow=True)
    assert response.status_code == 200, response
    return Page(response.content.decode())


def paste(client: Client, cast: Cast, content: str, **said: Any) -> Page:
    place = f"team {cast.search.pk}"
    return post(
        client, "/samples/new?way=paste", **{"place": place, "content": content, **said}
    )


def test_without_a_sample_the_page_teaches(lead: Client, viewer: Client):
    assert "Make a sample" in read(lead, "/samples").text
    assert "Team leads, finance and admins make samples." in read(viewer, "/samples").text


def test_what_is_pasted_is_stated_back(lead: Client, cast: Cast):
    response = {"model": "claude-opus-5-5", "usage": USAGE, "content": SECRET}

    page = paste(lead, cast, f"{json.dumps(response)}\n{{oops\n", name="One answer")

    assert "1 record read as Anthropic, 1 model: 1,000 input tokens, 10" in page.text
    assert "1 line not read." in page.text
    assert "Line 2: JSON is malformed." in page.text
    assert "4.2" in page.values()
    assert SECRET not in page.html
    assert SECRET not in json.dumps(list(Sample.objects.values()), default=str)


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"content": ""}, "Paste at least one usage object."),
        ({"content": json.dumps(USAGE)}, "It names no model: say which one it was."),
        ({"content": "a,b\n1,2"}, "No column is known to have the input and the output"),
        ({"content": "1"}, "No column is known"),
        (
            {"content": "Dear Ann, we met in Rome last spring\n1,2"},
            "The first line names no columns.",
        ),
        ({"content": "{}", "place": "team 0"}, "Select a valid choice."),
        ({"content": "in,out\n1,1", "column_input": "nowhere"}, "No column is named"),
    ],
)
def test_what_cannot_be_read_is_said_beside_the_field(
    lead: Client, cast: Cast, said: dict[str, str], sentence: str
):
    page = paste(lead, cast, **said)

    assert sentence in page.text
    assert not Sample.objects.exists()


def test_columns_of_a_table_can_be_said(lead: Client, cast: Cast):
    page = paste(
        lead,
        cast,
        "what,in,hit,out\nclaude-opus-5-5,100,40,5",
        column_model="what",
        column_input="in",
        column_cache_read="hit",
        column_output="out",
        inclusive="yes",
    )

    assert "60 input tokens, 40 cache-read tokens, 5 output tokens" in page.text


def test_a_file_is_read_alike(lead: Client, cast: Cast):
    content = b"model,input_tokens,output_tokens\nclaude-opus-5-5,1000,10\n"
    file = SimpleUploadedFile("usage.csv", content, "text/csv")
    place = f"project {cast.search.pk} {cast.answers.pk}"

    page = post(lead, "/samples/new?way=upload", place=place, content=file)

    assert "1 record read as a table" in page.text
    assert Sample.objects.get().project == cast.answers


def test_a_file_that_is_too_large_is_refused(lead: Client, cast: Cast):
    file = SimpleUploadedFile("usage.csv", b"x" * 10_000_001, "text/csv")
    place = f"team {cast.search.pk}"

    page = post(lead, "/samples/new?way=upload", place=place, content=file)

    assert "The file has more than 10 MB." in page.text


def test_a_project_has_its_own_records(lead: Client, cast: Cast):
    before = (timezone.now() - timedelta(hours=30)).isoformat()
    spending.spend(cast, 3, occurred_at=before)
    place = f"project {cast.search.pk} {cast.answers.pk}"

    page = post(lead, "/samples/new?way=project", place=place, days="7")

    assert "3 records, 1 model" in page.text
    assert "Fewer than 100 requests cost anything" in page.text


@pytest.mark.parametrize(
    ("days", "sentence"), [("32", "less than or equal to 31"), ("7", "has no record")]
)
def test_a_project_without_such_records_says_so(
    lead: Client, cast: Cast, days: str, sentence: str
):
    place = f"project {cast.search.pk} {cast.answers.pk}"

    page = post(lead, "/samples/new?way=project", place=place, days=days)

    assert sentence in page.text


def test_a_sample_has_its_profile(lead: Client, sample: Sample):
    page = read(lead, f"/samples/{sample.pk}")

    assert "claude-opus-5-5" in page.text
    assert "4.2" in page.values()
    assert f"/estimates/new?sample={sample.pk}" in page.html


def test_what_has_no_price_is_unknown_and_not_free(lead: Client, cast: Cast):
    page = paste(lead, cast, json.dumps(USAGE), model="claude-unheard-of")

    assert "Cost of 1,000 requests unknown" in page.text
    assert "of a model that no rate card names" in page.text


def test_a_sample_is_forgotten_by_who_may(lead: Client, viewer: Client, sample: Sample):
    path = f"/samples/{sample.pk}/delete"
    assert viewer.get(path).status_code == 403
    assert viewer.post(path).status_code == 403

    assert "Forget this sample?" in read(lead, path).text
    post(lead, path)

    assert not Sample.objects.exists()


def test_a_viewer_reads_and_makes_none(viewer: Client, sample: Sample):
    assert "Build an estimate" not in read(viewer, f"/samples/{sample.pk}").text
    assert viewer.get("/samples/new").status_code == 403


def test_of_other_teams_nothing_is_seen(
    outsider: Client,
    cast: Cast,
    person: Callable[..., User],
    browser: Browser,
    sample: Sample,
):
    colleague = browser(person("bob", Role.LEAD, cast.acme, cast.support))

    for stranger in (outsider, colleague):
        assert stranger.get(f"/samples/{sample.pk}").status_code == 404
        assert stranger.post(f"/samples/{sample.pk}/delete").status_code == 404
        assert sample.name not in read(stranger, "/samples").text


# --- Words --------------------------------------------------------------------------


def told(client: Client, **said: str) -> Page:
    asked = {"unit": "words", "kind": "prose", "model": "claude-opus-5-5", **said}
    return post(client, "/samples/words", **asked)


def test_the_page_says_which_way_round_it_is(viewer: Client):
    page = read(viewer, "/samples/words")

    assert "Words are more tokens than words." in page.text
    assert "1,333 tokens" in page.text
    assert "1,800 tokens" in page.text


def test_words_are_told_in_tokens(viewer: Client):
    assert "Likely 3,600 tokens" in told(viewer, count="2000").text
    assert "is not known here" in told(viewer, count="2000", model="gpt-5").text
    assert "Likely 3,600 tokens" in told(viewer, count="2,000").text
    assert "Type a number" in told(viewer).text
    assert "Type a number" in told(viewer, count="2,5").text


def test_without_a_key_no_text_is_taken(viewer: Client):
    page = told(viewer, count="10", text=SECRET)

    assert SECRET not in page.html
    assert "Nothing is sent anywhere." in page.text


def test_with_a_key_the_provider_counts(viewer: Client, settings: Any):
    """At a server of our own, with the provider's documented answer."""
    with receivers.receiving(receivers.answers(200, b'{"input_tokens": 14}')) as provider:
        settings.ANTHROPIC_API_KEY = "sk-ant-of-a-test"
        settings.ANTHROPIC_URL = f"http://{provider.place}"
        settings.OUTGOING_ALLOW = frozenset({provider.place})

        page = told(viewer, text=SECRET)

    assert "14 tokens" in page.text
    assert SECRET.encode() in provider.requests[0].body


def test_where_the_provider_does_not_count_it_says_why(viewer: Client, settings: Any):
    with receivers.receiving(receivers.answers(401)) as provider:
        settings.ANTHROPIC_API_KEY = "sk-ant-of-a-test"
        settings.ANTHROPIC_URL = f"http://{provider.place}"
        settings.OUTGOING_ALLOW = frozenset({provider.place})

        page = told(viewer, text="Hello")

    assert "Anthropic did not count it: the API key is not accepted." in page.text
