"""The documents as text: pages, headings, links, code."""

import re
from collections import Counter
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent.parent
PAGES = sorted([*CHECKOUT.glob("*.md"), *(CHECKOUT / "docs").rglob("*.md")])

_FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
_SPAN = re.compile(r"`([^`]+)`")
_HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
_LINK = re.compile(r"\[[^\]]+\]\(([^)\s]+)\)")


def name(page: Path) -> str:
    return str(page.relative_to(CHECKOUT))


def prose(page: Path) -> str:
    """The page without its blocks of code."""
    return _FENCE.sub("", page.read_text())


def blocks(page: Path, language: str) -> list[str]:
    found = _FENCE.finditer(page.read_text())
    return [block[2] for block in found if block[1] == language]


def spans(page: Path) -> list[str]:
    """What stands between backticks in the text, on one line."""
    return [" ".join(span.split()) for span in _SPAN.findall(prose(page))]


def code(page: Path) -> str:
    """All blocks and spans."""
    found = [block[2] for block in _FENCE.finditer(page.read_text())]
    return "\n".join([*found, *spans(page)])


def links(page: Path) -> list[str]:
    return _LINK.findall(prose(page))


def anchors(page: Path) -> set[str]:
    """The fragments of a page, as GitHub makes them from headings."""
    seen: Counter[str] = Counter()
    found = set()
    for heading in _HEADING.findall(prose(page)):
        text = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        found.add(f"{text}-{seen[text]}" if seen[text] else text)
        seen[text] += 1
    return found


def section(page: Path, heading: str) -> str:
    """A page from a heading up to the next one that is not below it."""
    level = heading.partition(" ")[0]
    text = page.read_text().partition(f"\n{heading}\n")[2]
    assert text, f"{name(page)} has no {heading!r}"
    return re.split(rf"^#{{1,{len(level)}}} ", text, maxsplit=1, flags=re.MULTILINE)[0]


def first_cells(text: str) -> list[str]:
    """The words in backticks in the first column of each table row."""
    rows = re.findall(r"^\|([^|\n]*)\|", text, re.MULTILINE)
    return [span for row in rows for span in _SPAN.findall(row)]
