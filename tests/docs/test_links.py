"""What a page points to is there."""

import re
from pathlib import Path

import pytest

from tests.docs import pages
from tests.docs.pages import CHECKOUT, PAGES

DECISIONS = sorted((CHECKOUT / "docs" / "adr").glob("[0-9]*.md"))
_FILE = re.compile(r"[\w.-]+(?:/[\w.-]+)*(?:/|\.(?:py|toml|md|txt|yaml))")


@pytest.mark.parametrize("page", PAGES, ids=pages.name)
def test_links_lead_to_files_and_headings(page: Path):
    broken = [link for link in pages.links(page) if not _resolves(page, link)]

    assert broken == []


def _resolves(page: Path, link: str) -> bool:
    if link.startswith("https://"):
        return True
    path, _, fragment = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    if fragment:
        return target.suffix == ".md" and fragment in pages.anchors(target)
    return target.exists()


@pytest.mark.parametrize("page", PAGES, ids=pages.name)
def test_files_that_are_named_exist(page: Path):
    named = {span for span in pages.spans(page) if _FILE.fullmatch(span) and "/" in span}
    # What `make up` writes is not in the repository.
    named = {path for path in named if not path.startswith("var/")}
    bases = (CHECKOUT, CHECKOUT / "billing", page.parent)

    assert [
        path for path in named if not any((base / path).exists() for base in bases)
    ] == []


@pytest.mark.parametrize("page", PAGES, ids=pages.name)
def test_no_page_names_a_place_on_somebodys_machine(page: Path):
    assert not re.findall(r"(?<![\w.}])/(?:home|root|tmp|work|Users)/\S*", page.read_text())


def test_decisions_are_numbered_and_listed():
    index = CHECKOUT / "docs" / "adr" / "README.md"

    assert [int(page.name[:4]) for page in DECISIONS] == list(range(1, len(DECISIONS) + 1))
    assert pages.links(index) == [page.name for page in DECISIONS]


@pytest.mark.parametrize("page", DECISIONS, ids=pages.name)
def test_decision_has_its_three_parts_on_one_page(page: Path):
    text = page.read_text()

    assert text.startswith(f"# {page.name[:4]} ")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == [
        "Context",
        "Decision",
        "Consequences",
    ]
    assert len(text.splitlines()) <= 60
