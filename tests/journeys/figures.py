"""The figures of a team, as its page, the API and the admin of a running service say them.

Each is read over HTTP as its users do: the page and the admin from their HTML.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import ROUND_DOWN, Decimal
from html.parser import HTMLParser
from http.client import HTTPConnection
from http.cookies import SimpleCookie
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlencode, urlsplit


class Figure(NamedTuple):
    """An amount as it is shown, and what it is exactly."""

    shown: str
    exact: Decimal


@dataclass
class Cell:
    kind: str = ""  # its class: what the admin calls the column
    text: str = ""
    value: str | None = None
    hrefs: list[str] = field(default_factory=list)

    @property
    def words(self) -> str:
        return " ".join(self.text.split())

    @property
    def figure(self) -> Figure | None:
        """None where no amount is shown."""
        if self.value is None:
            return None
        return Figure(re.split(r"(?<=\d)\s", self.words)[0], Decimal(self.value))


@dataclass
class Document(HTMLParser):
    """Tables by their caption, rows of cells; and the terms of definition lists."""

    html: str
    tables: dict[str, list[list[Cell]]] = field(default_factory=dict)
    terms: dict[str, Cell] = field(default_factory=dict)
    options: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__init__()
        self._cell: Cell | None = None
        self._rows: list[list[Cell]] = []
        self._term = ""
        self._open: str = ""
        self._option = ""
        self.feed(self.html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = {name: value or "" for name, value in attrs}
        if tag in {"caption", "dt", "option"}:
            self._open = tag
            self._option = said.get("value", "")
        elif tag == "table":
            self._rows = self.tables.setdefault(said.get("id", ""), [])
        elif tag == "tr":
            self._rows.append([])
        elif tag in {"td", "th", "dd"}:
            self._begin(tag, Cell(said.get("class", "")))
        elif self._cell is not None:
            self._note(self._cell, tag, said)

    def _begin(self, tag: str, cell: Cell) -> None:
        self._cell = cell
        if tag != "dd":
            self._rows[-1].append(cell)
        else:
            self.terms.setdefault(self._term, cell)

    def _note(self, cell: Cell, tag: str, said: dict[str, str]) -> None:
        if tag == "data" and cell.value is None:
            cell.value = said["value"]
        elif tag == "a":
            cell.hrefs.append(said.get("href", ""))

    def handle_endtag(self, tag: str) -> None:
        if tag in {"td", "th", "dd"}:
            self._cell = None
        if tag == self._open:
            self._open = ""

    def handle_data(self, data: str) -> None:
        if self._open == "caption":
            self._rows = self.tables[data.strip()] = []
        elif self._open == "dt":
            self._term = data.strip()
        elif self._open == "option":
            self.options[data.strip()] = self._option
        elif self._cell is not None:
            self._cell.text += data + " "


class Site:
    """A running service, asked by a signed-in admin and by a key of the organization."""

    def __init__(self, port: int, *, admin: dict[str, str], key: str) -> None:
        self._connection = HTTPConnection("127.0.0.1", port, timeout=20)
        self._key = key
        self._cookies = SimpleCookie()
        self._sign_in(admin)

    def close(self) -> None:
        self._connection.close()

    def page(self, path: str) -> Document:
        return Document(self._ask("GET", path).decode())

    def api(self, path: str) -> Any:
        headers = {"Authorization": f"Bearer {self._key}"}
        return json.loads(self._ask("GET", f"/api/v1/{path}", **headers))

    def _sign_in(self, admin: dict[str, str]) -> None:
        form = self._ask("GET", "/login/").decode()
        (token,) = set(re.findall(r'name="csrfmiddlewaretoken" value="([^"]+)"', form))
        said = {"csrfmiddlewaretoken": token, "next": "/", **admin}
        content_type = "application/x-www-form-urlencoded"
        body = urlencode(said).encode()
        self._ask("POST", "/login/", body, **{"Content-Type": content_type})
        assert "sessionid" in self._cookies

    def _ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> bytes:
        sent = "; ".join(f"{one.key}={one.value}" for one in self._cookies.values())
        self._connection.request(method, path, body or None, {"Cookie": sent, **headers})
        reply = self._connection.getresponse()
        for cookie in reply.headers.get_all("Set-Cookie") or []:
            self._cookies.load(cookie)
        content = reply.read()
        assert reply.status in {200, 302}, (reply.status, path, content[:500])
        return content


# --- What each of them says ---------------------------------------------------------


class BudgetFigures(NamedTuple):
    spent: Figure
    cap: Decimal
    percent: str


def without_sign(figure: Figure) -> Figure:
    """The API has the currency beside the figures."""
    return figure._replace(shown=figure.shown.lstrip("$"))


class Row(NamedTuple):
    """A model in the estimate: light, medium, heavy, planned, actual, difference."""

    model: str
    amounts: tuple[Figure | None, ...]


@dataclass(frozen=True)
class Team:
    """`admin_id` is how the admin calls it."""

    slug: str
    name: str
    admin_id: str


@dataclass(frozen=True)
class Figures:
    site: Site

    def teams(self) -> Iterator[Team]:
        overview = self.site.page("/").tables["Teams by risk"]
        compare = self.site.page("/admin/billing/estimate/compare/").options
        ids = {text.partition(" · ")[0]: pk for text, pk in compare.items()}
        for row in overview[1:]:
            slug = urlsplit(row[0].hrefs[0]).path.split("/")[2]
            yield Team(slug, row[0].words, ids[row[0].words])

    def models(self) -> dict[str, str]:
        """The name under which each model is shown."""
        listed = self.site.page("/admin/billing/languagemodel/?all=")
        rows = [columns(row) for row in listed.tables["result_list"][1:]]
        return {row["name"].words: row["display_name"].words for row in rows}

    def page(self, team: Team) -> Document:
        return self.site.page(f"/teams/{team.slug}/")


def budget_on_page(page: Document) -> BudgetFigures | None:
    if "Cap" not in page.terms:
        return None
    spent, cap = page.terms["Spent"].figure, page.terms["Cap"].figure
    (percent,) = set(re.findall(r"<b>([^<]*%)</b> of the cap used", page.html))
    assert spent is not None
    assert cap is not None
    return BudgetFigures(without_sign(spent), cap.exact, percent)


def budget_in_api(site: Site, team: Team) -> BudgetFigures | None:
    found = [
        one
        for one in site.api("budgets")["data"]
        if (one["team"], one["period"]) == (team.slug, "month")
    ]
    if not found:
        return None
    spent = Decimal(found[0]["spent"])
    percent = Decimal(found[0]["percent"]).quantize(Decimal(1), ROUND_DOWN)
    return BudgetFigures(
        Figure(f"{spent:,.2f}", spent),
        Decimal(found[0]["amount"]),
        f"{percent}\N{NARROW NO-BREAK SPACE}%",
    )


def budget_in_admin(site: Site, team: Team) -> BudgetFigures | None:
    rows = site.page("/admin/billing/budget/?all=").tables["result_list"][1:]
    for row in map(columns, rows):
        its = (row["scope_shown"].words, row["window_shown"].words)
        if its == (f"team {team.slug}", "month"):
            spent, cap = row["spent"].figure, row["amount_shown"].figure
            assert spent is not None
            assert cap is not None
            return BudgetFigures(
                without_sign(spent), cap.exact, row["percent"].text.strip()
            )
    return None


def columns(row: list[Cell]) -> dict[str, Cell]:
    """A row of a list in the admin."""
    return {
        cell.kind.partition("field-")[2].split()[0]: cell
        for cell in row
        if "field-" in cell.kind
    }


def spend_on_page(page: Document, by: str) -> dict[str, Figure]:
    """`by` is `project` or `model`; the links say which one a row is."""
    rows = page.tables.get(f"Spend by {by}", [[]])[1:]
    found = {}
    for row in rows:
        (name,) = parse_qs(urlsplit(row[0].hrefs[0]).query)[by]
        assert row[2].figure is not None
        found[name] = row[2].figure
    return found


def spend_in_api(site: Site, team: Team, by: str) -> dict[str, Decimal]:
    rows = site.api(f"reports/spend?group_by=team,{by}")["rows"]
    return {row[by]: Decimal(row["cost"]) for row in rows if row["team"] == team.slug}


def estimate_on_page(page: Document) -> list[Row]:
    rows = page.tables.get("Estimate and actual by model, in USD", [[]])[1:]
    return [Row(row[0].words, tuple(cell.figure for cell in row[1:7])) for row in rows]


def estimate_in_admin(site: Site, team: Team) -> list[Row]:
    page = site.page(f"/admin/billing/estimate/compare/?team={team.admin_id}")
    rows = page.tables.get("estimate-vs-actual", [[]])[1:]
    return [Row(row[0].words, tuple(cell.figure for cell in row[1:7])) for row in rows]


def estimate_in_api(
    site: Site, team: Team, shown: dict[str, str]
) -> list[tuple[str, tuple[Decimal | None, ...]]]:
    """`shown` says under which name each model is shown."""
    report = site.api(f"reports/estimate-vs-actual?team={team.slug}")
    rows = [(f"{shown[row['model']]} {row['family']}", row) for row in report["rows"]]
    if report["estimate"] or rows:
        rows.append(("Total", report["total"]))
    return [(name, tuple(_sides(row))) for name, row in rows]


def _sides(row: dict[str, Any]) -> Iterator[Decimal | None]:
    planned = [row["planned"].get(one) for one in ("light", "medium", "heavy")]
    for amount in (*planned, row["estimate"], row["actual"], row["variance"]):
        yield None if amount is None else Decimal(amount)


def to_the_cent(figure: Figure) -> bool:
    """Whether it is shown as the cent that is nearest; less than one says so."""
    shown = figure.shown.replace(",", "").replace("−", "-").lstrip("+")
    if "<" in shown:
        return 0 < abs(figure.exact) < Decimal("0.01")
    if abs(figure.exact) < 1:
        return abs(Decimal(shown) - figure.exact) <= Decimal("0.005")
    return shown == f"{figure.exact:.2f}"
