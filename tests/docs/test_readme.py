"""The README's examples work, and say what comes back."""

import io
import json
import re
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest
from django.utils import timezone

from billing.formats.posted import PostedRecord
from tests.conftest import Service
from tests.docs import pages
from tests.docs.pages import CHECKOUT

README = CHECKOUT / "README.md"
_HEREDOC = re.compile(r"<<RECORD\n(.*?)^RECORD$", re.DOTALL | re.MULTILINE)


def _by_curl() -> str:
    """The record that the curl example posts, as the shell fills it in."""
    (text,) = _HEREDOC.findall("".join(pages.blocks(README, "sh")))
    return re.sub(r"\$\(date [^)]*\)", timezone.now().isoformat(), text)


def test_curl_example_is_answered_as_shown(alice: Service):
    (shown,) = (json.loads(block) for block in pages.blocks(README, "json"))

    response = alice.post("usage", _by_curl(), headers={"prefer": "wait=5"})

    assert response.status_code == 202
    assert response.json() == shown


def test_curl_examples_read_back_what_was_posted(alice: Service):
    posted = json.loads(_by_curl())
    alice.post("usage", _by_curl(), headers={"prefer": "wait=5"})
    text = "".join(pages.blocks(README, "sh"))
    record, report = re.findall(r'"\$URL/((?:usage/|reports/)[^"]+)"', text)

    assert alice.get(record).json()["id"] == posted["id"]
    path, _, query = report.partition("?")
    rows = alice.get(path, **dict([query.split("=")])).json()["rows"]
    assert [row["model"] for row in rows] == [posted["model"]]


def test_the_hold_of_the_example_is_granted(alice: Service):
    text = "".join(pages.blocks(README, "sh"))
    (asked,) = re.findall(r"""\$URL/holds".*?-d '([^']+)'""", text, re.DOTALL)

    response = alice.post("holds", asked)

    assert (response.status_code, response.json()["granted"]) == (201, True)


@pytest.fixture
def service_of_the_snippet(
    alice: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[list[dict[str, Any]]]:
    """A directory with var/demo.json, and urlopen that asks the application itself."""
    (tmp_path / "var").mkdir()
    demo = {"url": "http://purser.test", "api_key": "purser_…"}
    (tmp_path / "var" / "demo.json").write_text(json.dumps(demo))
    posted: list[dict[str, Any]] = []

    def urlopen(request: urllib.request.Request) -> Any:
        assert isinstance(request.data, bytes)
        posted.append(json.loads(request.data))
        path = urlsplit(request.full_url).path.removeprefix("/api/v1/")
        prefer = {"prefer": request.get_header("Prefer")}
        return closing(io.BytesIO(alice.post(path, request.data, headers=prefer).content))

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    return posted


def test_python_example_prints_the_cost(
    service_of_the_snippet: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
):
    (snippet,) = pages.blocks(README, "python")

    exec(compile(snippet, "README.md", "exec"), {})  # noqa: S102

    (posted,) = service_of_the_snippet
    assert posted.keys() <= {field.name for field in msgspec.structs.fields(PostedRecord)}
    assert capsys.readouterr().out.strip() in README.read_text().partition("### From")[0]
