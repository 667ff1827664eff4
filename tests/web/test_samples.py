"""Samples on pages: each way to make one, what is said when it cannot be, who may."""

import html
import json
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from billing.actions import samples
from billing.formats import sample_columns
from billing.formats.errors import BodyError
from billing.formats.samples import MAX_ROWS, Asked
from billing.models import Sample
from billing.models.samples import Source
from billing.web import samples as pages
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
        ({"content": "1"}, "The first line names no columns."),
        (
            {"content": "Dear Ann, we met in Rome last spring\n1,2"},
            "The first line names no columns.",
        ),
        ({"content": "{}", "place": "team 0"}, "Select a valid choice."),
        ({"content": "in,out\n1,1", "column": "nowhere"}, "No column is named"),
    ],
)
def test_what_cannot_be_read_is_said_beside_the_field(
    lead: Client, cast: Cast, said: dict[str, str], sentence: str
):
    page = paste(lead, cast, **said)

    assert sentence in page.text
    assert not Sample.objects.exists()


def carried(page: Page) -> str:
    """The table that the form takes along to the next step."""
    found = re.search(
        r"<textarea name=\"table\"[^>]*>\r?\n(.*?)</textarea>", page.html, re.DOTALL
    )
    assert found is not None
    return html.unescape(found[1])


def choose(client: Client, cast: Cast, page: Page, *fields: str, **said: Any) -> Page:
    chosen = {f"column_{number}": field for number, field in enumerate(fields)}
    its = {"place": f"team {cast.search.pk}", "table": carried(page), **chosen, **said}
    return post(client, "/samples/new?way=paste", **its)


UNUSUAL = f"""\
which,sent,hit,got,question,asked at,cost
claude-opus-5-5,100,40,5,{SECRET},2026-11-20 10:00,0.1
claude-opus-5-5,200,80,10,"Two
lines of {SECRET}",2026-11-20 11:00,0.2
"""


def test_columns_of_a_table_are_chosen_before_it_is_read(lead: Client, cast: Cast):
    asked = paste(lead, cast, UNUSUAL)

    assert "What is in which column?" in asked.text
    assert "100, 200" in asked.text
    assert not Sample.objects.exists()
    page = choose(
        *(lead, cast, asked, "model", "input", "cache_read", "output"), inclusive="yes"
    )

    assert "180 input tokens, 120 cache-read tokens, 15 output tokens" in page.text
    assert Sample.objects.get().reading["columns"]["input"] == "sent"


def test_of_a_table_only_numbers_and_models_are_taken_along(lead: Client, cast: Cast):
    asked = paste(lead, cast, UNUSUAL)

    assert SECRET not in asked.html
    assert carried(asked) == (
        "which,sent,hit,got,cost\n"
        "claude-opus-5-5,100,40,5,0.1\n"
        "\n"
        "claude-opus-5-5,200,80,10,0.2\n"
    )
    assert "kept nowhere: question, asked at." in asked.text


def test_a_text_among_numbers_stays_behind_and_its_row_is_told_by_its_line(
    lead: Client, cast: Cast
):
    table = f"input,output,note\n1,2,a\n3,4,b\n{SECRET},6,c\n7,8\n9,10,d\n"

    asked = paste(lead, cast, table, model="claude-opus-5-5")
    page = choose(lead, cast, asked, "input", "output", model="claude-opus-5-5")

    assert SECRET not in asked.html
    assert "Line 4: The input is no number." in page.text
    assert "Line 5: It has 1 cells, the first line 2." in page.text
    assert Sample.objects.get().records == 3


def test_columns_of_flat_objects_are_chosen_too(lead: Client, cast: Cast):
    lines = [
        json.dumps({"model": "claude-opus-5-5", "sent": 5, "got": got, "text": SECRET})
        for got in (9, 10)
    ]

    asked = paste(lead, cast, "\n".join(lines))
    page = choose(lead, cast, asked, "model", "input", "output")

    assert SECRET not in asked.html
    assert "10 input tokens, 19 output tokens" in page.text


def test_a_row_of_other_columns_alone_is_told_as_in_a_direct_read(lead: Client, cast: Cast):
    table = "input,output,note\n1,2,a\n,,b\n,,\n5,6,c\n"

    asked = paste(lead, cast, table, model="claude-opus-5-5")
    page = choose(lead, cast, asked, "input", "output", model="claude-opus-5-5")

    assert "Line 3: The input is missing." in page.text
    assert "Line 4" not in page.text
    assert Sample.objects.get().records == 2


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        (("model", "input", "input", "output"), "Another column is that already."),
        (("model", "input"), "No column is known to have the output tokens"),
        (("", "input", "", "output"), "It names no model"),
        (("nothing",), "Select a valid choice."),
    ],
)
def test_columns_that_cannot_be_are_said_and_what_was_chosen_stays(
    lead: Client, cast: Cast, fields: tuple[str, ...], sentence: str
):
    page = choose(lead, cast, paste(lead, cast, UNUSUAL), *fields)

    assert sentence in page.text
    assert carried(page).startswith("which,sent,hit,got,cost")
    assert not Sample.objects.exists()


def test_what_is_no_table_is_not_taken_for_a_carried_one(lead: Client, cast: Cast):
    place = f"team {cast.search.pk}"

    answer = lead.post("/samples/new?way=paste", {"table": "", "place": place})

    assert answer.status_code == 400


TOO_LONG = sample_columns.MOST_CARRIED + MAX_ROWS


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        (",".join(map(str, range(101))), "It has more than 100 columns."),
        ("a,b\n" + "1,2\n" * (MAX_ROWS + 1), "At most 10,000 rows are read at once."),
        (
            "a,b\n" + " " * TOO_LONG,
            "Its counts are too many",
        ),
    ],
)
def test_what_is_larger_than_any_that_is_carried_is_refused(
    lead: Client, cast: Cast, table: str, sentence: str
):
    place = f"team {cast.search.pk}"

    with pytest.raises(BodyError, match=sentence):
        sample_columns.columns_of(table, MAX_ROWS)
    answer = lead.post("/samples/new?way=paste", {"table": table, "place": place})

    assert answer.status_code == 400


def test_models_with_names_of_ones_own_are_found_in_the_column_that_is_said(
    lead: Client, cast: Cast
):
    table = "deployment,input,output\nour-opus,1,2\n"

    unsaid = paste(lead, cast, table)
    said = paste(lead, cast, table, column="Deployment")

    assert "kept nowhere: deployment." in unsaid.text
    assert "our-opus" in carried(said)


def test_a_file_is_read_alike(lead: Client, cast: Cast):
    content = b"model,input_tokens,output_tokens\nclaude-opus-5-5,1000,10\n"
    file = SimpleUploadedFile("usage.csv", content, "text/csv")
    place = f"project {cast.search.pk} {cast.answers.pk}"

    asked = post(lead, "/samples/new?way=upload", place=place, content=file)
    # What is recognised is chosen.
    assert asked.html.count(" selected>") >= 3
    page = post(
        *(lead, "/samples/new?way=upload"),
        place=place,
        table=carried(asked),
        column_0="model",
        column_1="input",
        column_2="output",
    )

    assert "1 record read as a table" in page.text
    made = Sample.objects.get()
    assert (made.project, made.source) == (cast.answers, "upload")


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


@pytest.fixture
def counting(settings: Any) -> Iterator[receivers.Receiver]:
    """A server of our own, with the provider's documented answer."""
    with receivers.receiving(receivers.answers(200, b'{"input_tokens": 14}')) as provider:
        settings.ANTHROPIC_API_KEY = "sk-ant-of-a-test"
        settings.ANTHROPIC_URL = f"http://{provider.place}"
        settings.OUTGOING_ALLOW = frozenset({provider.place})
        yield provider


def test_a_viewer_has_nothing_counted(viewer: Client, counting: receivers.Receiver):
    page = told(viewer, text=SECRET, count="10")

    assert "14 tokens" not in page.text
    assert 'name="text"' not in page.text
    assert not counting.requests


@pytest.mark.parametrize("limit", ["COUNTED_OF_A_PERSON", "COUNTED_OF_AN_ORGANIZATION"])
def test_only_so_many_texts_are_counted_in_a_while(
    lead: Client, counting: receivers.Receiver, monkeypatch: pytest.MonkeyPatch, limit: str
):
    monkeypatch.setattr(pages, limit, 2)

    asked = {"unit": "words", "kind": "prose", "model": "claude-opus-5-5"}
    answers = [lead.post("/samples/words", {**asked, "text": "Hello"}) for _ in range(3)]
    words = lead.post("/samples/words", {**asked, "count": "10"})

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert len(counting.requests) == 2
    assert b"As many texts as may be are counted for now." in answers[2].content
    assert 0 < int(answers[2]["Retry-After"]) <= 601
    assert words.status_code == 200


def test_with_a_key_the_provider_counts(lead: Client, settings: Any):
    """At a server of our own, with the provider's documented answer."""
    with receivers.receiving(receivers.answers(200, b'{"input_tokens": 14}')) as provider:
        settings.ANTHROPIC_API_KEY = "sk-ant-of-a-test"
        settings.ANTHROPIC_URL = f"http://{provider.place}"
        settings.OUTGOING_ALLOW = frozenset({provider.place})

        page = told(lead, text=SECRET)

    assert "14 tokens" in page.text
    assert SECRET.encode() in provider.requests[0].body


def test_where_the_provider_does_not_count_it_says_why(lead: Client, settings: Any):
    with receivers.receiving(receivers.answers(401)) as provider:
        settings.ANTHROPIC_API_KEY = "sk-ant-of-a-test"
        settings.ANTHROPIC_URL = f"http://{provider.place}"
        settings.OUTGOING_ALLOW = frozenset({provider.place})

        page = told(lead, text="Hello")

    assert "Anthropic did not count it: the API key is not accepted." in page.text
